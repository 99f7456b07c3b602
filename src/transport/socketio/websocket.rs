//! How the WebSocket is set up, and what both handshakes read from it.

use std::io;
use std::pin::Pin;

use futures_util::{SinkExt, StreamExt};
use tokio::net::TcpStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::error::ProtocolError;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{Error, Message, Utf8Bytes};

use crate::transport::LinkError;
use crate::wire::socketio::{DecodeError, Frame, Frames, MAX_TEXT_BYTES};

/// The WebSocket of every link.
pub(super) type Socket = WebSocketStream<TcpStream>;

/// Buffers and bounds for payloads of at most `max_payload` bytes.
pub(super) fn config(max_payload: usize) -> WebSocketConfig {
    let message = max_payload.max(MAX_TEXT_BYTES) + MESSAGE_SLACK_BYTES;
    WebSocketConfig::default()
        .read_buffer_size(READ_BUFFER_BYTES)
        .write_buffer_size(WRITE_BUFFER_BYTES)
        .max_write_buffer_size(FULL_BYTES + message + MAX_TEXT_BYTES + MESSAGE_SLACK_BYTES)
        .max_message_size(Some(message))
        .max_frame_size(Some(message))
}

/// The next text frame; during a handshake nothing else is legal but a few control frames.
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

/// A frame as tungstenite wants it.
pub(super) fn message(frame: Frame) -> Result<Message, LinkError> {
    match frame {
        Frame::Text(text) => match Utf8Bytes::try_from(text) {
            Ok(text) => Ok(Message::Text(text)),
            Err(_) => Err(LinkError::Io(io::Error::new(io::ErrorKind::InvalidData, "text is not utf-8"))),
        },
        Frame::Binary(bytes) => Ok(Message::Binary(bytes)),
    }
}

/// What an error of the WebSocket means for the link.
pub(super) fn failure(error: Error) -> LinkError {
    match error {
        Error::ConnectionClosed | Error::AlreadyClosed => LinkError::Closed,
        Error::Io(error) => LinkError::Io(error),
        Error::Protocol(ProtocolError::ResetWithoutClosingHandshake) => {
            LinkError::Io(io::Error::new(io::ErrorKind::UnexpectedEof, "connection cut"))
        }
        Error::Protocol(ProtocolError::SendAfterClosing) => LinkError::Closed,
        Error::WriteBufferFull(_) => {
            LinkError::Io(io::Error::new(io::ErrorKind::OutOfMemory, "message larger than the write buffer"))
        }
        other => LinkError::PeerMisbehaved(other.to_string()),
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

/// A link with this much unflushed is full.
pub(super) const FULL_BYTES: usize = 1024 * 1024;
/// Read at once. Half of tungstenite's default: a broker has one for each connection.
const READ_BUFFER_BYTES: usize = 64 * 1024;
/// Written at once.
const WRITE_BUFFER_BYTES: usize = 128 * 1024;
/// A frame may be larger than a payload by this much.
const MESSAGE_SLACK_BYTES: usize = 256 * 1024;
/// Pings before the handshake is through.
const MAX_HANDSHAKE_FRAMES: usize = 16;
