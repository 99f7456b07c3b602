//! A broker's handshake in Conat's protocol, after the HTTP upgrade.

use std::time::Duration;

use futures_util::SinkExt;
use tokio_tungstenite::tungstenite::protocol::Role;

use super::frames::{max_message, next_text, send};
use super::link::ConatLink;
use crate::transport::liveness::TimedLiveness;
use crate::transport::stream::BoxedStream;
use crate::transport::timer::within;
use crate::transport::websocket::{Socket, failure, open};
use crate::transport::{AcceptOptions, BoxedLink, LinkError};
use crate::wire::conat::{
    EnginePacket, Frames, Open, Packet, PacketKind, ServerCodec, push_connected, push_invalid_namespace,
};
use crate::wire::{ClientOp, ServerOp};

/// Completes the handshake of a client whose upgrade was granted; `rest` is what it has sent since.
pub(in crate::transport) async fn accept(
    stream: BoxedStream,
    rest: Vec<u8>,
    sid: &str,
    options: &AcceptOptions,
) -> Result<BoxedLink<ServerOp, ClientOp>, LinkError> {
    let &AcceptOptions { max_payload, ping_interval, ping_timeout, .. } = options;
    let mut socket = open(stream, rest, Role::Server, max_message(max_payload)).await?;
    let mut frames = Frames::default();
    let open = Open { sid: sid.to_owned(), ping_interval, ping_timeout, max_payload };
    frames.push_text(|out| open.write(out));
    send(&mut socket, &mut frames).await?;
    if let Err(error) = await_connect(&mut socket, &mut frames).await {
        if let LinkError::PeerMisbehaved(_) = error {
            // What it is told on the way out is to reach it.
            let _ = within(PARTING, async { socket.close().await.map_err(failure) }).await;
        }
        return Err(error);
    }
    // Socket.IO has a session id of its own; nothing needs it to be another one.
    frames.push_text(|out| push_connected(out, sid));
    send(&mut socket, &mut frames).await?;
    let liveness = TimedLiveness::server(options);
    Ok(Box::new(ConatLink::new(String::new(), socket, ServerCodec::new(max_payload), liveness)))
}

/// Reads until the client has joined the namespace; before that it may only join it, or ask for another one.
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

/// The time that a client which broke the rules may take to read why.
const PARTING: Duration = Duration::from_millis(500);
/// Other namespaces that a client may ask for first.
const MAX_NAMESPACES: usize = 8;
