//! A broker's handshake: one deadline from the first byte to its end, and a clear error for a client that
//! does not belong. The request chooses the protocol.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use bytes::Bytes;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::forwarded::TrustedProxies;
use super::head::{MAX_HEAD_BYTES, MAX_HEADERS, read_head};
use super::http::{ErrorResponse, Negotiation, judge};
use super::pages::Pages;
use super::stream::{BoxedStream, IncomingConnection};
use super::timer::{now, within};
use super::tls::{HANDSHAKE_RECORD, PeerCertificate, ServerTls};
use super::turned_away::{TurnedAway, TurnedAwayFor};
use super::{BoxedLink, ByteLink, LinkError, conat, fabric, tls};
use crate::base::Chunk;
use crate::link::{MESSAGE_TIMEOUT, PageRequest};
use crate::wire::{Carrier, ClientOp, ServerOp};

/// Which connections are accepted, and how they are kept.
#[derive(Debug, Clone)]
pub struct AcceptOptions {
    /// Where the fabric is: `/conat`.
    pub path: String,
    /// Largest payload of one packet in bytes. A connection can make us hold one of them: 8 000 000.
    pub max_payload: usize,
    /// The interval at which a client is pinged: 25 s.
    pub ping_interval: Duration,
    /// The time that a ping may go unanswered: 20 s.
    pub ping_timeout: Duration,
    /// For the whole handshake, TLS and HTTP together: 10 s. Bounds the cost of a silent client.
    pub handshake_timeout: Duration,
    /// The time that a message that has begun may make no progress: 30 s.
    pub message_timeout: Duration,
    /// Web pages that may connect, by exact `Origin`. Empty: none. Programs send no `Origin` and are not
    /// concerned.
    pub allowed_origins: Vec<String>,
    /// Take only requests whose `Host` is a loopback name or address. For a broker that listens on loopback
    /// only: keeps web pages with a rebound name out.
    pub check_host: bool,
    /// Names that `Host` may have. If there are any, all others are refused, but for loopback's under
    /// `check_host`.
    pub allowed_hosts: Vec<String>,
    /// Whether our own protocol is offered beside Conat's.
    pub own_wire: bool,
    /// Speak TLS, and nothing else.
    pub tls: Option<Arc<ServerTls>>,
    /// Handshakes at once; more are dropped: 1000.
    pub max_handshakes: usize,
    /// The same for each address, so that one cannot keep the others out: 500.
    pub max_handshakes_per_address: usize,
    /// The proxies whose word counts for where a client comes from. None.
    pub trusted_proxies: TrustedProxies,
    /// Whether health checks report that clients should go elsewhere.
    pub draining: Arc<AtomicBool>,
    /// Whether they report that the fabric above has been away for too long.
    pub overdue: Arc<AtomicBool>,
    /// The application's own pages.
    pub pages: Option<Arc<Pages>>,
    /// Counts those that are not let in.
    pub turned_away: Arc<TurnedAway>,
}

impl Default for AcceptOptions {
    fn default() -> Self {
        Self {
            path: "/conat".to_owned(),
            max_payload: 8_000_000,
            ping_interval: Duration::from_secs(25),
            ping_timeout: Duration::from_secs(20),
            handshake_timeout: Duration::from_secs(10),
            message_timeout: MESSAGE_TIMEOUT,
            allowed_origins: Vec::new(),
            check_host: false,
            allowed_hosts: Vec::new(),
            own_wire: true,
            tls: None,
            max_handshakes: 1000,
            max_handshakes_per_address: 500,
            trusted_proxies: TrustedProxies::default(),
            draining: Arc::default(),
            overdue: Arc::default(),
            pages: None,
            turned_away: Arc::default(),
        }
    }
}

/// What a client's handshake contained.
#[derive(Debug, Clone, Default)]
pub struct Handshake {
    /// The HTTP headers of its request, names in lower case.
    pub headers: Vec<(String, String)>,
    /// The session's id, which the client knows too.
    pub sid: String,
    /// Where it comes from, by the word of trusted proxies; absent over a Unix socket.
    pub address: Option<IpAddr>,
    /// The certificate that it has shown, verified.
    pub tls: Option<PeerCertificate>,
    /// What carries it.
    pub carrier: Carrier,
}

/// Takes over a connection from a client, in the protocol that it asks for: ours or Conat's.
///
/// [`LinkError::Refused`] after an HTTP response that was no upgrade (a health check, too),
/// [`LinkError::Silent`] when the time is over.
pub async fn accept(
    connection: impl Into<IncomingConnection>,
    options: &AcceptOptions,
) -> Result<BoxedLink<ServerOp, ClientOp>, LinkError> {
    accept_with_handshake(connection, options).await.map(|(link, _)| link)
}

/// Accepts as [`accept`], and returns the client's request, too, which authentication looks at.
pub async fn accept_with_handshake(
    connection: impl Into<IncomingConnection>,
    options: &AcceptOptions,
) -> Result<(BoxedLink<ServerOp, ClientOp>, Handshake), LinkError> {
    let accepted = within(options.handshake_timeout, accept_connection(connection.into(), options)).await;
    match &accepted {
        // Counted where it is known why.
        Err(LinkError::Refused(_)) | Ok(_) => {}
        Err(LinkError::Tls(_)) => options.turned_away.count(TurnedAwayFor::Tls),
        Err(_) => options.turned_away.count(TurnedAwayFor::Handshake),
    }
    accepted
}

async fn accept_connection(
    connection: IncomingConnection,
    options: &AcceptOptions,
) -> Result<(BoxedLink<ServerOp, ClientOp>, Handshake), LinkError> {
    let connection = match &options.tls {
        Some(tls) => tls::accept(connection, tls).await?,
        None => connection,
    };
    let IncomingConnection { mut stream, address, tls, is_to_loopback } = connection;
    let check_host = options.check_host || is_to_loopback;
    let mut bytes = Vec::with_capacity(MAX_HEAD_BYTES);
    let (verdict, headers, length) = match read_head(&mut stream, &mut bytes).await {
        Ok(Some(length)) => judge_head(&bytes[..length], options, check_host, length),
        Ok(None) => (Negotiation::Refused(ErrorResponse::TOO_LARGE), Vec::new(), 0),
        Err(_) if bytes.first() == Some(&HANDSHAKE_RECORD) => {
            (Negotiation::Refused(ErrorResponse::NO_TLS), Vec::new(), 0)
        }
        // Nobody was turned away: it looked whether somebody listens, as balancers do, and `doctor`.
        Err(LinkError::Closed) if bytes.is_empty() => {
            return Err(LinkError::Refused("it closed without sending anything".to_owned()));
        }
        Err(error) => return Err(error),
    };
    let rest = bytes.split_off(length);
    let sid = uuid::Uuid::new_v4().simple().to_string();
    let (link, carrier) = match verdict {
        Negotiation::Own => (fabric::accept(stream, rest, &sid, options).await?, Carrier::Own),
        Negotiation::OwnInWebSocket(key) => {
            let link = fabric::accept_in_websocket(stream, rest, &key, &sid, options).await?;
            (link, Carrier::OwnInWebSocket)
        }
        Negotiation::WebSocket(switch) => {
            stream.write_all(switch.as_bytes()).await?;
            (conat::accept(stream, rest, &sid, options).await?, Carrier::Conat)
        }
        Negotiation::Page => {
            let client = options.trusted_proxies.client(address.map(|address| address.ip()), &headers);
            // Whoever comes over a trusted proxy is told by its fields, which stay: not from this machine.
            let address = client.map_or_else(String::new, |address| address.to_string());
            let Some(body) = read_body(&mut stream, rest, &headers).await? else {
                let answer = ErrorResponse::BODY_TOO_LARGE;
                refuse(&mut stream, &answer).await?;
                return Err(LinkError::Refused(answer.describe()));
            };
            let request = page_request(&bytes, headers, address, body);
            answer_page(&mut stream, options, client, request).await?;
            return Err(LinkError::Refused("a page of the application's".to_owned()));
        }
        Negotiation::Refused(answer) => {
            answer.turned_away().into_iter().for_each(|why| options.turned_away.count(why));
            refuse(&mut stream, &answer).await?;
            return Err(LinkError::Refused(answer.describe()));
        }
    };
    let address = options.trusted_proxies.client(address.map(|address| address.ip()), &headers);
    Ok((link, Handshake { headers, sid, address, tls, carrier }))
}

/// Takes over a connection for a machine that decodes by itself, with the certificate that the client has
/// shown, if it has. [`LinkError::Silent`] when TLS is not agreed on in time.
pub async fn accept_bytes(
    connection: IncomingConnection,
    tls: Option<&ServerTls>,
    handshake_timeout: Duration,
) -> Result<(BoxedLink<Bytes, Chunk>, Option<PeerCertificate>), LinkError> {
    let connection = match tls {
        Some(tls) => within(handshake_timeout, tls::accept(connection, tls)).await?,
        None => connection,
    };
    Ok((ByteLink::boxed(connection.stream, &[]), connection.tls))
}

/// Returns the response to a request with this head; `None`: to go on in our own protocol. For fuzzing.
pub fn answer_to_head(head: &[u8], options: &AcceptOptions) -> Option<String> {
    match judge_head(head, options, options.check_host, head.len()).0 {
        Negotiation::Own | Negotiation::OwnInWebSocket(_) => None,
        Negotiation::WebSocket(switch) => Some(switch),
        Negotiation::Page => Some(String::new()),
        Negotiation::Refused(answer) => Some(answer.to_text()),
    }
}

fn judge_head(
    head: &[u8],
    options: &AcceptOptions,
    check_host: bool,
    length: usize,
) -> (Negotiation, Vec<(String, String)>, usize) {
    let mut fields = [httparse::EMPTY_HEADER; MAX_HEADERS];
    let mut request = httparse::Request::new(&mut fields);
    let verdict = match request.parse(head) {
        // What one reader takes for one line is two for another.
        Ok(httparse::Status::Complete(_)) if has_bare_line_end(head) => {
            Negotiation::Refused(ErrorResponse::BAD_REQUEST)
        }
        Ok(httparse::Status::Complete(_)) => judge(&request, options, check_host),
        Ok(httparse::Status::Partial) => Negotiation::Refused(ErrorResponse::BAD_REQUEST),
        Err(httparse::Error::TooManyHeaders) => Negotiation::Refused(ErrorResponse::TOO_LARGE),
        Err(_) => Negotiation::Refused(ErrorResponse::BAD_REQUEST),
    };
    let owned = |field: &httparse::Header<'_>| {
        (field.name.to_ascii_lowercase(), String::from_utf8_lossy(field.value).into_owned())
    };
    let headers = request.headers.iter().filter(|field| !field.name.is_empty()).map(owned).collect();
    (verdict, headers, length)
}

/// Returns whether a line ends with LF or CR alone.
fn has_bare_line_end(head: &[u8]) -> bool {
    let mut before = 0;
    let mut is_bare = |byte: u8| {
        let is_bare = (byte == b'\n') != (before == b'\r');
        before = byte;
        is_bare
    };
    head.iter().any(|&byte| is_bare(byte)) || head.last() == Some(&b'\r')
}

/// Returns why not, and closes.
pub(super) async fn refuse(stream: &mut BoxedStream, answer: &ErrorResponse) -> Result<(), LinkError> {
    say_and_close(stream, answer.to_text().as_bytes()).await
}

/// Has the application answer, and closes.
async fn answer_page(
    stream: &mut BoxedStream,
    options: &AcceptOptions,
    client: Option<IpAddr>,
    request: PageRequest,
) -> Result<(), LinkError> {
    let method = request.method.clone();
    let answer = match &options.pages {
        Some(pages) => pages.answer(now(), client, request).await,
        None => Err(ErrorResponse::BUSY),
    };
    match answer {
        Ok(response) => say_and_close(stream, &response).await,
        Err(refusal) => refuse(stream, &refusal.to(&method)).await,
    }
}

/// Returns what is asked for by a head that is known to be sound.
fn page_request(head: &[u8], headers: Vec<(String, String)>, address: String, body: String) -> PageRequest {
    let line = head.split(|&byte| byte == b'\r').next().unwrap_or_default();
    let line = String::from_utf8_lossy(line);
    let mut words = line.split(' ').map(str::to_owned);
    let (method, target) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    PageRequest { method, target, headers, address, body }
}

/// Reads what a request for a page sends with it; `None`: more than such a request may, or of unknown length.
async fn read_body(
    stream: &mut BoxedStream,
    mut body: Vec<u8>,
    headers: &[(String, String)],
) -> Result<Option<String>, LinkError> {
    let field = |wanted: &str| headers.iter().find(|(name, _)| name == wanted).map(|(_, value)| value.trim());
    let length = match field("content-length").map(str::parse::<usize>) {
        None => 0,
        Some(Ok(length)) if length <= MAX_BODY_BYTES => length,
        Some(_) => return Ok(None),
    };
    if field("transfer-encoding").is_some() {
        return Ok(None);
    }
    while body.len() < length {
        if stream.read_buf(&mut body).await? == 0 {
            return Err(LinkError::Closed);
        }
    }
    body.truncate(length);
    Ok(Some(String::from_utf8_lossy(&body).into_owned()))
}

async fn say_and_close(stream: &mut BoxedStream, answer: &[u8]) -> Result<(), LinkError> {
    stream.write_all(answer).await?;
    stream.shutdown().await?;
    // Closing over unread bytes resets the connection, and the answer may be lost with it.
    let mut unread = stream.take(MAX_DISCARDED_BYTES);
    let discarded = async { Ok(tokio::io::copy(&mut unread, &mut tokio::io::sink()).await?) };
    let _ = within(LINGER, discarded).await;
    Ok(())
}

/// What a request for a page may send with it: a form with a password.
const MAX_BODY_BYTES: usize = 1024;

/// What a refused client may send on until it reads the response.
const MAX_DISCARDED_BYTES: u64 = 8 * 1024 * 1024;

/// The time that a refused client may take to read the response.
const LINGER: Duration = Duration::from_millis(500);
