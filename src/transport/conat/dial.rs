//! A client's handshake in Conat's protocol, once it is inside a WebSocket: Engine.IO, Socket.IO.

use bytes::BufMut;
use tokio_tungstenite::tungstenite::protocol::Role;

use super::frames::{max_message, next_text, send};
use super::link::ConatLink;
use crate::transport::liveness::TimedLiveness;
use crate::transport::stream::BoxedStream;
use crate::transport::target::{MAX_PAYLOAD_BYTES, MIN_PAYLOAD_BYTES};
use crate::transport::websocket::{Socket, open};
use crate::transport::{BoxedLink, LinkError};
use crate::wire::conat::{ClientCodec, EnginePacket, Frames, Open, Packet, PacketKind};
use crate::wire::{ClientOp, ServerOp};

/// Completes the handshake with a server that has granted the upgrade; `rest` is what it has sent since.
pub(in crate::transport) async fn connect(
    stream: BoxedStream,
    rest: Vec<u8>,
) -> Result<BoxedLink<ClientOp, ServerOp>, LinkError> {
    // The bound must be set before the server has announced its own.
    let mut socket = open(stream, rest, Role::Client, max_message(MAX_PAYLOAD_BYTES)).await?;
    let open = match EnginePacket::parse(next_text(&mut socket).await?.as_str())? {
        EnginePacket::Open(json) => Open::parse(json)?,
        _ => return Err(LinkError::Refused("not an engine.io server".into())),
    };
    let mut frames = Frames::default();
    frames.push_text(|out| out.put_slice(b"40"));
    send(&mut socket, &mut frames).await?;
    let id = await_connected(&mut socket, &mut frames).await?;
    let liveness = TimedLiveness::client(open.ping_interval, open.ping_timeout);
    let codec = ClientCodec::new(open.max_payload.clamp(MIN_PAYLOAD_BYTES, MAX_PAYLOAD_BYTES));
    Ok(Box::new(ConatLink::new(id, socket, codec, liveness)))
}

/// Waits for the namespace, and what the server calls us there; answers pings meanwhile, as a slow sign-in
/// may take a while.
async fn await_connected(socket: &mut Socket, frames: &mut Frames) -> Result<String, LinkError> {
    loop {
        let text = next_text(socket).await?;
        match EnginePacket::parse(text.as_str())? {
            EnginePacket::Message(packet) => {
                let packet = Packet::parse(packet)?;
                return match packet.kind {
                    PacketKind::Connect if packet.namespace == "/" => Ok(packet.sid()),
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
