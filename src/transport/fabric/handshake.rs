//! From HTTP to frames: one request, one answer, and both ends know all they need (docs/wire.md).

use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use super::link::FabricLink;
use crate::transport::head::{MAX_HEAD_BYTES, MAX_HEADERS, read_head};
use crate::transport::keepalive::Keepalive;
use crate::transport::target::{MAX_PAYLOAD_BYTES, MIN_PAYLOAD_BYTES, Target};
use crate::transport::{AcceptOptions, BoxedLink, LinkError};
use crate::wire::fabric::{ClientCodec, PROTOCOL, ServerCodec};
use crate::wire::{ClientOp, ServerOp};

/// Tells a client that its request was granted; `rest` is what it has said since.
pub(in crate::transport) async fn welcome(
    mut stream: TcpStream,
    rest: Vec<u8>,
    sid: &str,
    options: &AcceptOptions,
) -> Result<BoxedLink<ServerOp, ClientOp>, LinkError> {
    let &AcceptOptions { max_payload, ping_interval, ping_timeout, .. } = options;
    let answer = format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: {PROTOCOL}\r\nConnection: Upgrade\r\n\
        {SESSION}: {sid}\r\n{MAX_PAYLOAD}: {max_payload}\r\n{PING_INTERVAL}: {}\r\n{PING_TIMEOUT}: {}\r\n\r\n",
        ping_interval.as_millis(),
        ping_timeout.as_millis(),
    );
    stream.write_all(answer.as_bytes()).await?;
    let keepalive = Keepalive::server(ping_interval, ping_timeout);
    Ok(Box::new(FabricLink::new(stream, &rest, ServerCodec::new(max_payload), keepalive)))
}

/// Asks a server for our language. [`LinkError::Refused`] when it answers anything else.
pub(in crate::transport) async fn connect(
    mut stream: TcpStream,
    target: &Target,
) -> Result<BoxedLink<ClientOp, ServerOp>, LinkError> {
    let Target { authority, path, headers, .. } = target;
    let mut request =
        format!("GET {path} HTTP/1.1\r\nHost: {authority}\r\nConnection: Upgrade\r\nUpgrade: {PROTOCOL}\r\n")
            .into_bytes();
    for (name, value) in headers {
        for part in [name.as_str().as_bytes(), b": ", value.as_bytes(), b"\r\n"] {
            request.extend_from_slice(part);
        }
    }
    request.extend_from_slice(b"\r\n");
    stream.write_all(&request).await?;
    let mut bytes = Vec::with_capacity(MAX_HEAD_BYTES);
    let Some(length) = read_head(&mut stream, &mut bytes).await? else {
        return Err(LinkError::Refused("the answer's head is too long".into()));
    };
    let terms = Terms::read(&bytes[..length])?;
    let codec = ClientCodec::new(terms.max_payload.clamp(MIN_PAYLOAD_BYTES, MAX_PAYLOAD_BYTES));
    let keepalive = Keepalive::client(terms.ping_interval, terms.ping_timeout);
    Ok(Box::new(FabricLink::new(stream, &bytes[length..], codec, keepalive)))
}

/// What a server says about the connection.
struct Terms {
    max_payload: usize,
    ping_interval: Duration,
    ping_timeout: Duration,
}

impl Terms {
    fn read(head: &[u8]) -> Result<Self, LinkError> {
        let mut fields = [httparse::EMPTY_HEADER; MAX_HEADERS];
        let mut answer = httparse::Response::new(&mut fields);
        let is_whole = answer.parse(head).is_ok_and(|status| status.is_complete());
        let field = |name: &str| {
            let found = answer.headers.iter().find(|field| field.name.eq_ignore_ascii_case(name))?;
            std::str::from_utf8(found.value).ok().map(str::trim)
        };
        if !is_whole || answer.code != Some(101) || field("upgrade") != Some(PROTOCOL) {
            let code = answer.code.unwrap_or_default();
            return Err(LinkError::Refused(format!("http {code} {}", answer.reason.unwrap_or_default())));
        }
        let number = |name: &str| -> Result<u32, LinkError> {
            let number = field(name).and_then(|text| text.parse().ok()).filter(|&number| number > 0);
            number.ok_or_else(|| LinkError::PeerMisbehaved(format!("answer without a {name}")))
        };
        Ok(Self {
            max_payload: number(MAX_PAYLOAD)? as usize,
            ping_interval: Duration::from_millis(number(PING_INTERVAL)?.into()),
            ping_timeout: Duration::from_millis(number(PING_TIMEOUT)?.into()),
        })
    }
}

const SESSION: &str = "Selvedge-Session";
const MAX_PAYLOAD: &str = "Selvedge-Max-Payload";
const PING_INTERVAL: &str = "Selvedge-Ping-Interval";
const PING_TIMEOUT: &str = "Selvedge-Ping-Timeout";
