//! From HTTP to frames: one request, one answer, and both ends know all they need (docs/protocols/fabric.md).

use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio_tungstenite::tungstenite::protocol::Role;

use super::link::FabricLink;
use crate::transport::head::{UpgradeResponse, ask};
use crate::transport::liveness::TimedLiveness;
use crate::transport::stream::BoxedStream;
use crate::transport::target::{MAX_PAYLOAD_BYTES, MIN_PAYLOAD_BYTES, Target};
use crate::transport::websocket::{Upgraded, WebSocketBytes, open};
use crate::transport::{AcceptOptions, BoxedLink, LinkError};
use crate::wire::fabric::{ClientCodec, EXTENSIONS, PROTOCOL, SUBPROTOCOL, ServerCodec};
use crate::wire::{Carrier, ClientOp, ServerOp};

/// Grants a client's request; `rest` is what it has sent since.
pub(in crate::transport) async fn accept(
    mut stream: BoxedStream,
    rest: Vec<u8>,
    sid: &str,
    options: &AcceptOptions,
) -> Result<BoxedLink<ServerOp, ClientOp>, LinkError> {
    grant(&mut stream, &format!("Upgrade: {PROTOCOL}\r\n"), sid, options).await?;
    Ok(Box::new(serve(stream, &rest, options)))
}

/// Accepts a client that has asked for a WebSocket around the protocol; `key` is the response to its key.
pub(in crate::transport) async fn accept_in_websocket(
    mut stream: BoxedStream,
    rest: Vec<u8>,
    key: &str,
    sid: &str,
    options: &AcceptOptions,
) -> Result<BoxedLink<ServerOp, ClientOp>, LinkError> {
    let fields = format!(
        "Upgrade: websocket\r\nSec-WebSocket-Accept: {key}\r\nSec-WebSocket-Protocol: {SUBPROTOCOL}\r\n"
    );
    grant(&mut stream, &fields, sid, options).await?;
    let (stream, unfinished) = wrap(stream, rest, Role::Server).await?;
    Ok(Box::new(serve(stream, &[], options).over(unfinished)))
}

async fn grant(
    stream: &mut BoxedStream,
    fields: &str,
    sid: &str,
    options: &AcceptOptions,
) -> Result<(), LinkError> {
    let &AcceptOptions { max_payload, ping_interval, ping_timeout, .. } = options;
    let answer = format!(
        "HTTP/1.1 101 Switching Protocols\r\n{fields}Connection: Upgrade\r\n\
        {SESSION}: {sid}\r\n{MAX_PAYLOAD}: {max_payload}\r\n{PING_INTERVAL}: {}\r\n{PING_TIMEOUT}: {}\r\n\
        {EXTENSIONS_FIELD}: {EXTENSIONS}\r\n\r\n",
        ping_interval.as_millis(),
        ping_timeout.as_millis(),
    );
    stream.write_all(answer.as_bytes()).await?;
    Ok(stream.flush().await?)
}

fn serve(stream: BoxedStream, rest: &[u8], options: &AcceptOptions) -> FabricLink<ServerCodec> {
    let (codec, liveness) = (ServerCodec::new(options.max_payload), TimedLiveness::server(options));
    FabricLink::new(String::new(), stream, rest, codec, liveness)
}

/// Returns the stream inside the WebSocket, and where it says how many bytes it holds.
async fn wrap(
    stream: BoxedStream,
    rest: Vec<u8>,
    role: Role,
) -> Result<(BoxedStream, Arc<AtomicUsize>), LinkError> {
    let stream = WebSocketBytes::new(open(stream, rest, role, WebSocketBytes::MAX_MESSAGE_BYTES).await?);
    let unfinished = stream.unfinished();
    Ok((Box::new(stream), unfinished))
}

/// Asks a server for our protocol. [`LinkError::Refused`] when it answers anything else.
pub(in crate::transport) async fn connect(
    mut stream: BoxedStream,
    target: &Target,
) -> Result<BoxedLink<ClientOp, ServerOp>, LinkError> {
    let answer = ask(&mut stream, target, "", &format!("Upgrade: {PROTOCOL}\r\n")).await?;
    if answer.code != 101 || answer.field("upgrade") != Some(PROTOCOL) {
        return Err(answer.refusal());
    }
    let terms = Terms::read(&answer)?;
    Ok(Box::new(join(stream, &answer.rest, terms)))
}

/// Goes on where a server has granted our protocol inside a WebSocket.
pub(in crate::transport) async fn connect_in_websocket(
    granted: Upgraded,
) -> Result<BoxedLink<ClientOp, ServerOp>, LinkError> {
    let Upgraded { stream, mut answer, .. } = granted;
    let terms = Terms::read(&answer)?;
    let rest = std::mem::take(&mut answer.rest);
    let link = join(wrap(stream, rest, Role::Client).await?.0, &[], terms);
    Ok(Box::new(link.inside(Carrier::OwnInWebSocket)))
}

fn join(stream: BoxedStream, rest: &[u8], terms: Terms) -> FabricLink<ClientCodec> {
    let codec = ClientCodec::new(terms.max_payload.clamp(MIN_PAYLOAD_BYTES, MAX_PAYLOAD_BYTES))
        .with_extensions(&terms.extensions);
    let liveness = TimedLiveness::client(terms.ping_interval, terms.ping_timeout);
    FabricLink::new(terms.session, stream, rest, codec, liveness)
}

/// The terms of the connection, by the server.
struct Terms {
    /// Its name for the connection.
    session: String,
    max_payload: usize,
    ping_interval: Duration,
    ping_timeout: Duration,
    /// Its capabilities beyond those of every server of this version.
    extensions: String,
}

impl Terms {
    fn read(answer: &UpgradeResponse) -> Result<Self, LinkError> {
        let number = |name: &str| -> Result<u32, LinkError> {
            let text = answer.field(&name.to_ascii_lowercase());
            let number = text.and_then(|text| text.parse().ok()).filter(|&number| number > 0);
            number.ok_or_else(|| LinkError::PeerMisbehaved(format!("answer without a {name}")))
        };
        Ok(Self {
            session: answer.field(&SESSION.to_ascii_lowercase()).unwrap_or_default().to_owned(),
            max_payload: number(MAX_PAYLOAD)? as usize,
            ping_interval: Duration::from_millis(number(PING_INTERVAL)?.into()),
            ping_timeout: Duration::from_millis(number(PING_TIMEOUT)?.into()),
            extensions: answer.field(&EXTENSIONS_FIELD.to_ascii_lowercase()).unwrap_or_default().to_owned(),
        })
    }
}

const SESSION: &str = "Selvedge-Session";
const MAX_PAYLOAD: &str = "Selvedge-Max-Payload";
const PING_INTERVAL: &str = "Selvedge-Ping-Interval";
const PING_TIMEOUT: &str = "Selvedge-Ping-Timeout";
const EXTENSIONS_FIELD: &str = "Selvedge-Extensions";
