//! A client's way in: TCP, WebSocket, Engine.IO, Socket.IO, under one deadline.

use std::time::Duration;

use bytes::BufMut;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_tungstenite::client_async_with_config;
use tokio_tungstenite::tungstenite::Error;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::handshake::client::Request;
use tokio_tungstenite::tungstenite::http::{HeaderName, HeaderValue, Response};

use super::address::Address;
use super::keepalive::Keepalive;
use super::link::SocketIoLink;
use super::websocket::{Socket, config, failure, next_text, send};
use crate::transport::{BoxedLink, LinkError};
use crate::wire::socketio::{ClientCodec, EnginePacket, Frames, Open, Packet, PacketKind};
use crate::wire::{ClientOp, ServerOp};

/// Where to connect to, and how.
#[derive(Debug, Clone)]
pub struct DialOptions {
    /// `http://host:port/base`; `ws://` means the same. The port is 80 if there is none.
    pub address: String,
    /// Where the fabric is below the address: `/conat`.
    pub path: String,
    /// Sent with the request: cookies and the like.
    pub headers: Vec<(String, String)>,
    /// For all of it, from the name look-up to the last word of the handshake.
    pub connect_timeout: Duration,
}

impl DialOptions {
    /// What is wrong with the address, if anything: dialing it would fail, now and later. Does not repeat it, as it may hold a password.
    pub fn check(&self) -> Result<(), &'static str> {
        Address::parse(&self.address).map(drop)
    }
}

/// Connects to a broker that speaks Conat's language.
///
/// [`LinkError::Silent`] when the time is over, [`LinkError::Refused`] when it is no such broker, or it does not want us.
pub async fn dial(options: &DialOptions) -> Result<BoxedLink<ClientOp, ServerOp>, LinkError> {
    let address = Address::parse(&options.address).map_err(refused)?;
    let request = request(&address, options)?;
    timeout(options.connect_timeout, connect(&address, request)).await.unwrap_or(Err(LinkError::Silent))
}

async fn connect(address: &Address, request: Request) -> Result<BoxedLink<ClientOp, ServerOp>, LinkError> {
    let stream = TcpStream::connect((address.host.as_str(), address.port)).await?;
    stream.set_nodelay(true)?;
    // The bound must be set before the server has told its own.
    let config = config(MAX_PAYLOAD_BYTES);
    let (mut socket, _) =
        client_async_with_config(request, stream, Some(config)).await.map_err(handshake_failure)?;
    let open = match EnginePacket::parse(next_text(&mut socket).await?.as_str())? {
        EnginePacket::Open(json) => Open::parse(json)?,
        _ => return Err(LinkError::Refused("not an engine.io server".into())),
    };
    let mut frames = Frames::default();
    frames.push_text(|out| out.put_slice(b"40"));
    send(&mut socket, &mut frames).await?;
    await_connected(&mut socket, &mut frames).await?;
    let keepalive = Keepalive::client(open.ping_interval, open.ping_timeout);
    let codec = ClientCodec::new(open.max_payload.clamp(MIN_PAYLOAD_BYTES, MAX_PAYLOAD_BYTES));
    Ok(Box::new(SocketIoLink::new(socket, codec, keepalive)))
}

/// Waits for the namespace; answers pings meanwhile, as a slow sign-in may take a while.
async fn await_connected(socket: &mut Socket, frames: &mut Frames) -> Result<(), LinkError> {
    loop {
        let text = next_text(socket).await?;
        match EnginePacket::parse(text.as_str())? {
            EnginePacket::Message(packet) => {
                let packet = Packet::parse(packet)?;
                return match packet.kind {
                    PacketKind::Connect if packet.namespace == "/" => Ok(()),
                    PacketKind::ConnectError => Err(LinkError::Refused(packet.refusal())),
                    PacketKind::Disconnect => Err(LinkError::Closed),
                    _ => Err(LinkError::PeerMisbehaved("packet before the namespace is joined".into())),
                };
            }
            EnginePacket::Ping(_) => {
                frames.push_text(|out| out.put_u8(b'3'));
                send(socket, frames).await?;
            }
            EnginePacket::Noop => {}
            EnginePacket::Close => return Err(LinkError::Closed),
            _ => return Err(LinkError::PeerMisbehaved("engine.io packet that does not belong here".into())),
        }
    }
}

fn request(address: &Address, options: &DialOptions) -> Result<Request, LinkError> {
    let Address { authority, base, .. } = address;
    let path = options.path.trim_matches('/');
    let slash = if path.is_empty() { "" } else { "/" };
    let url = format!("ws://{authority}{base}{slash}{path}/?EIO=4&transport=websocket");
    let mut request = url.into_client_request().map_err(|_| refused("malformed address or path"))?;
    for (name, value) in &options.headers {
        let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::from_str(value)) else {
            return Err(refused("malformed header"));
        };
        request.headers_mut().append(name, value);
    }
    Ok(request)
}

fn handshake_failure(error: Error) -> LinkError {
    match error {
        Error::Http(response) => LinkError::Refused(describe(&response)),
        Error::Io(_) | Error::ConnectionClosed | Error::AlreadyClosed => failure(error),
        other => LinkError::Refused(format!("not a websocket server: {other}")),
    }
}

fn describe(response: &Response<Option<Vec<u8>>>) -> String {
    let body = response.body().as_deref().unwrap_or_default();
    let body = String::from_utf8_lossy(&body[..body.len().min(MAX_BODY_BYTES)]);
    format!("http {} {}", response.status(), body.trim()).trim_end().to_owned()
}

fn refused(what: &str) -> LinkError {
    LinkError::Refused(what.to_owned())
}

/// A delivery may have this size whatever the server says about packets in the other direction.
const MIN_PAYLOAD_BYTES: usize = 8_000_000;
/// And never more than this.
const MAX_PAYLOAD_BYTES: usize = 64 * 1024 * 1024;
/// Of a refusal's body this much is shown.
const MAX_BODY_BYTES: usize = 200;
