//! Frames as the WebSocket wants them, and what both handshakes read from it.

use std::io;
use std::pin::Pin;

use futures_util::{SinkExt, StreamExt};
use tokio_tungstenite::tungstenite::{Message, Utf8Bytes};

use crate::transport::LinkError;
use crate::transport::websocket::{Socket, failure};
use crate::wire::conat::{DecodeError, Frame, Frames, MAX_TEXT_BYTES};

/// Returns the largest message of a WebSocket for payloads of at most `max_payload` bytes.
pub(super) fn max_message(max_payload: usize) -> usize {
    max_payload.max(MAX_TEXT_BYTES) + MESSAGE_SLACK_BYTES
}

/// Returns the next text frame; during a handshake nothing else is allowed but a few control frames.
pub(super) async fn next_text(socket: &mut Socket) -> Result<Utf8Bytes, LinkError> {
    for _ in 0..MAX_HANDSHAKE_FRAMES {
        match socket.next().await {
            Some(Ok(Message::Text(text))) => return Ok(text),
            Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
            Some(Ok(Message::Close(_))) | None => return Err(LinkError::Closed),
            Some(Ok(_)) => return Err(LinkError::PeerMisbehaved("binary frame before the handshake".into())),
            Some(Err(error)) => return Err(failure(error)),
        }
    }
    Err(LinkError::PeerMisbehaved("too many control frames in the handshake".into()))
}

/// Sends everything that is queued.
pub(super) async fn send(socket: &mut Socket, frames: &mut Frames) -> Result<(), LinkError> {
    while let Some(frame) = frames.pop() {
        socket.feed(message(frame)?).await.map_err(failure)?;
    }
    Pin::new(socket).flush().await.map_err(failure)
}

/// Converts a frame to tungstenite's form.
pub(super) fn message(frame: Frame) -> Result<Message, LinkError> {
    match frame {
        Frame::Text(text) => match Utf8Bytes::try_from(text) {
            Ok(text) => Ok(Message::Text(text)),
            Err(_) => Err(LinkError::Io(io::Error::new(io::ErrorKind::InvalidData, "text is not utf-8"))),
        },
        Frame::Binary(bytes) => Ok(Message::Binary(bytes)),
    }
}

impl From<DecodeError> for LinkError {
    fn from(error: DecodeError) -> Self {
        match error {
            DecodeError::Disconnected => Self::Closed,
            DecodeError::Refused(what) => Self::Refused(what),
            other => Self::PeerMisbehaved(other.to_string()),
        }
    }
}

/// A frame may be larger than a payload by this much.
const MESSAGE_SLACK_BYTES: usize = 256 * 1024;
/// Pings before the handshake is through.
const MAX_HANDSHAKE_FRAMES: usize = 16;
