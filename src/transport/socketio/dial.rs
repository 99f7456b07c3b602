//! A client's handshake in Conat's language: WebSocket, Engine.IO, Socket.IO.

use bytes::BufMut;
use tokio::net::TcpStream;
use tokio_tungstenite::client_async_with_config;
use tokio_tungstenite::tungstenite::Error;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::handshake::client::Request;
use tokio_tungstenite::tungstenite::http::Response;

use super::link::SocketIoLink;
use super::websocket::{Socket, config, failure, next_text, send};
use crate::transport::keepalive::Keepalive;
use crate::transport::target::{MAX_PAYLOAD_BYTES, MIN_PAYLOAD_BYTES, Target, refused};
use crate::transport::{BoxedLink, LinkError};
use crate::wire::socketio::{ClientCodec, EnginePacket, Frames, Open, Packet, PacketKind};
use crate::wire::{ClientOp, ServerOp};

/// Introduces us to a server over a fresh connection.
pub(in crate::transport) async fn connect(
    stream: TcpStream,
    target: &Target,
) -> Result<BoxedLink<ClientOp, ServerOp>, LinkError> {
    let request = request(target)?;
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

fn request(target: &Target) -> Result<Request, LinkError> {
    let Target { authority, path, headers, .. } = target;
    let url = format!("ws://{authority}{path}?EIO=4&transport=websocket");
    let mut request = url.into_client_request().map_err(|_| refused("malformed address or path"))?;
    for (name, value) in headers {
        request.headers_mut().append(name, value.clone());
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

/// Of a refusal's body this much is shown.
const MAX_BODY_BYTES: usize = 200;
