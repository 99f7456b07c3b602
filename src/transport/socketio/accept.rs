//! A broker's door: one deadline from the first byte to the end of the handshake, and a clear answer to whoever does not belong.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::Role;

use super::http::{Answer, Verdict, judge};
use super::keepalive::Keepalive;
use super::link::SocketIoLink;
use super::websocket::{Socket, config, next_text, send};
use crate::transport::{BoxedLink, LinkError};
use crate::wire::socketio::{
    EnginePacket, Frames, Open, Packet, PacketKind, ServerCodec, push_connected, push_invalid_namespace,
};
use crate::wire::{ClientOp, ServerOp};

/// Who may come in, and how connections are kept.
#[derive(Debug, Clone)]
pub struct AcceptOptions {
    /// Where the fabric is: `/conat`.
    pub path: String,
    /// Largest payload of one packet in bytes. A connection can make us hold one of them: 8 000 000.
    pub max_payload: usize,
    /// How often a client is pinged: 25 s.
    pub ping_interval: Duration,
    /// How long a ping may go unanswered: 20 s.
    pub ping_timeout: Duration,
    /// For the whole handshake: 10 s. Bounds what a silent visitor costs.
    pub handshake_timeout: Duration,
    /// Web pages that may connect, by exact `Origin`. Empty: none. Programs send no `Origin` and are not concerned.
    pub allowed_origins: Vec<String>,
    /// Take only requests whose `Host` is a loopback name or address. For a broker that listens on loopback only: keeps
    /// web pages with a rebound name out.
    pub check_host: bool,
}

impl Default for AcceptOptions {
    fn default() -> Self {
        Self {
            path: "/conat".to_owned(),
            max_payload: 8_000_000,
            ping_interval: Duration::from_secs(25),
            ping_timeout: Duration::from_secs(20),
            handshake_timeout: Duration::from_secs(10),
            allowed_origins: Vec::new(),
            check_host: false,
        }
    }
}

/// What a client said about itself before it was a client.
#[derive(Debug, Clone, Default)]
pub struct Handshake {
    /// The HTTP headers of its request, names in lower case.
    pub headers: Vec<(String, String)>,
    /// The session's id, which the client knows too.
    pub sid: String,
}

/// Takes over a connection from a client that speaks Conat's language.
///
/// [`LinkError::Refused`] after an HTTP answer that was no upgrade (a health check, too), [`LinkError::Silent`] when the time
/// is over.
pub async fn accept(
    stream: TcpStream,
    options: &AcceptOptions,
) -> Result<BoxedLink<ServerOp, ClientOp>, LinkError> {
    accept_with_handshake(stream, options).await.map(|(link, _)| link)
}

/// As [`accept`], and tells what the client's request said: what a sign-in looks at.
pub async fn accept_with_handshake(
    stream: TcpStream,
    options: &AcceptOptions,
) -> Result<(BoxedLink<ServerOp, ClientOp>, Handshake), LinkError> {
    timeout(options.handshake_timeout, welcome(stream, options)).await.unwrap_or(Err(LinkError::Silent))
}

async fn welcome(
    mut stream: TcpStream,
    options: &AcceptOptions,
) -> Result<(BoxedLink<ServerOp, ClientOp>, Handshake), LinkError> {
    stream.set_nodelay(true)?;
    let mut bytes = Vec::with_capacity(MAX_HEAD_BYTES);
    let (verdict, headers, length) = match read_head(&mut stream, &mut bytes).await? {
        Some(length) => judge_head(&bytes[..length], options, length),
        None => (Verdict::Answer(Answer::TOO_LARGE), Vec::new(), 0),
    };
    let switch = match verdict {
        Verdict::Upgrade(switch) => switch,
        Verdict::Answer(answer) => {
            refuse(&mut stream, &answer).await?;
            return Err(LinkError::Refused(answer.describe()));
        }
    };
    stream.write_all(switch.as_bytes()).await?;
    let (rest, config) = (bytes.split_off(length), config(options.max_payload));
    let mut socket = WebSocketStream::from_partially_read(stream, rest, Role::Server, Some(config)).await;
    let sid = uuid::Uuid::new_v4().simple().to_string();
    let (max_payload, ping_interval, ping_timeout) =
        (options.max_payload, options.ping_interval, options.ping_timeout);
    let mut frames = Frames::default();
    frames.push_text(|out| Open { sid: sid.clone(), ping_interval, ping_timeout, max_payload }.write(out));
    send(&mut socket, &mut frames).await?;
    await_connect(&mut socket, &mut frames).await?;
    // Socket.IO has a session id of its own; nothing needs it to be another one.
    frames.push_text(|out| push_connected(out, &sid));
    send(&mut socket, &mut frames).await?;
    let keepalive = Keepalive::server(ping_interval, ping_timeout);
    let link = SocketIoLink::new(socket, ServerCodec::new(max_payload), keepalive);
    Ok((Box::new(link), Handshake { headers, sid }))
}

/// Reads up to the empty line that ends a request's head; gives its length. `None` when it is too long.
async fn read_head(stream: &mut TcpStream, bytes: &mut Vec<u8>) -> Result<Option<usize>, LinkError> {
    loop {
        // Only what is new can end the head, so that a visitor who sends byte by byte costs a step for each.
        let seen = bytes.len().saturating_sub(HEAD_END.len() - 1);
        let room = MAX_HEAD_BYTES - bytes.len();
        if room == 0 {
            return Ok(None);
        }
        let mut limited = (&mut *stream).take(room as u64);
        if limited.read_buf(bytes).await? == 0 {
            return Err(LinkError::Closed);
        }
        if let Some(end) = bytes[seen..].windows(HEAD_END.len()).position(|window| window == HEAD_END) {
            return Ok(Some(seen + end + HEAD_END.len()));
        }
        if !bytes[0].is_ascii_uppercase() {
            return Err(LinkError::PeerMisbehaved("not an http request".into()));
        }
    }
}

fn judge_head(
    head: &[u8],
    options: &AcceptOptions,
    length: usize,
) -> (Verdict, Vec<(String, String)>, usize) {
    let mut fields = [httparse::EMPTY_HEADER; MAX_HEADERS];
    let mut request = httparse::Request::new(&mut fields);
    let verdict = match request.parse(head) {
        Ok(httparse::Status::Complete(_)) => judge(&request, options),
        Ok(httparse::Status::Partial) => Verdict::Answer(Answer::BAD_REQUEST),
        Err(httparse::Error::TooManyHeaders) => Verdict::Answer(Answer::TOO_LARGE),
        Err(_) => Verdict::Answer(Answer::BAD_REQUEST),
    };
    let owned = |field: &httparse::Header<'_>| {
        (field.name.to_ascii_lowercase(), String::from_utf8_lossy(field.value).into_owned())
    };
    let headers = request.headers.iter().filter(|field| !field.name.is_empty()).map(owned).collect();
    (verdict, headers, length)
}

async fn refuse(stream: &mut TcpStream, answer: &Answer) -> Result<(), LinkError> {
    stream.write_all(answer.to_text().as_bytes()).await?;
    stream.shutdown().await?;
    // Closing over unread bytes resets the connection, and the answer may be lost with it.
    let mut unread = stream.take(MAX_HEAD_BYTES as u64);
    let _ = timeout(LINGER, tokio::io::copy(&mut unread, &mut tokio::io::sink())).await;
    Ok(())
}

/// Before it has joined the namespace a client has two legal words: to join it, and to ask for another one.
async fn await_connect(socket: &mut Socket, frames: &mut Frames) -> Result<(), LinkError> {
    for _ in 0..MAX_NAMESPACES {
        let text = next_text(socket).await?;
        let packet = match EnginePacket::parse(text.as_str())? {
            EnginePacket::Message(packet) => Packet::parse(packet)?,
            EnginePacket::Close => return Err(LinkError::Closed),
            _ => {
                return Err(LinkError::PeerMisbehaved(
                    "engine.io packet before the namespace is joined".into(),
                ));
            }
        };
        if packet.kind != PacketKind::Connect {
            return Err(LinkError::PeerMisbehaved("packet before the namespace is joined".into()));
        }
        if packet.namespace == "/" {
            return Ok(());
        }
        frames.push_text(|out| push_invalid_namespace(out, packet.namespace));
        send(socket, frames).await?;
    }
    Err(LinkError::PeerMisbehaved("asks for one namespace after the other".into()))
}

const HEAD_END: &[u8] = b"\r\n\r\n";
/// Longest head of a request in bytes, cookies included.
const MAX_HEAD_BYTES: usize = 16 * 1024;
/// Most headers of a request.
const MAX_HEADERS: usize = 64;
/// Other namespaces that a client may ask for first.
const MAX_NAMESPACES: usize = 8;
/// How long a refused visitor may take to read its answer.
const LINGER: Duration = Duration::from_millis(500);
