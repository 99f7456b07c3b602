//! WebSocket below both protocols: set up within bounds, and metered.

mod bytes;
mod meter;
mod metered;
mod request;
mod socket;

use std::io;

use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Error;
use tokio_tungstenite::tungstenite::error::ProtocolError;
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocketConfig};

use super::LinkError;
use super::stream::BoxedStream;

pub(super) use bytes::WebSocketBytes;
pub(super) use metered::Metered;
pub(super) use request::{Upgraded, upgrade};
pub(super) use socket::Socket;

/// Takes over a stream on which both ends have agreed to speak WebSocket; `rest` was read behind that. No
/// message may be longer than `max_message` bytes.
pub(super) async fn open(
    stream: BoxedStream,
    rest: Vec<u8>,
    role: Role,
    max_message: usize,
) -> Result<Socket, LinkError> {
    let stream = Metered::new(stream, &rest)?;
    let config = Some(config(max_message));
    Ok(Socket::new(WebSocketStream::from_partially_read(stream, rest, role, config).await))
}

fn config(max_message: usize) -> WebSocketConfig {
    WebSocketConfig::default()
        .read_buffer_size(READ_BUFFER_BYTES)
        .write_buffer_size(WRITE_BUFFER_BYTES)
        .max_write_buffer_size(FULL_BYTES + max_message + WRITE_BUFFER_BYTES)
        .max_message_size(Some(max_message))
        .max_frame_size(Some(max_message))
}

/// Returns what an error of the WebSocket means for the link.
pub(super) fn failure(error: Error) -> LinkError {
    match error {
        Error::ConnectionClosed | Error::AlreadyClosed => LinkError::Closed,
        Error::Io(error) => error.into(),
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

/// A link with this much unflushed is full.
pub(super) const FULL_BYTES: usize = 1024 * 1024;
/// Read at once. Half of tungstenite's default: a broker has one for each connection.
const READ_BUFFER_BYTES: usize = 64 * 1024;
/// Written at once.
const WRITE_BUFFER_BYTES: usize = 128 * 1024;
