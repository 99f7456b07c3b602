//! A WebSocket as a stream: what its binary messages hold, one after the other. Where a message ends means
//! nothing.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes, BytesMut};
use futures_util::{Sink, Stream};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::{Error, Message};

use super::{Socket, failure};
use crate::transport::LinkError;
use crate::transport::link::misbehaved;

/// Frames of our own protocol cross it as if it were TCP.
pub(in crate::transport) struct WebSocketBytes {
    socket: Socket,
    /// The rest of the last message.
    rest: Bytes,
    /// Bytes of the message that has not come whole.
    unfinished: Arc<AtomicUsize>,
    whole_at: u64,
    /// We have sent a close frame: a peer that just goes away then has received it.
    is_shut: bool,
}

impl WebSocketBytes {
    pub(in crate::transport) fn new(socket: Socket) -> Self {
        Self { socket, rest: Bytes::new(), unfinished: Arc::default(), whole_at: 0, is_shut: false }
    }

    /// Returns where it says how many bytes it holds that cannot be read yet.
    pub(in crate::transport) fn unfinished(&self) -> Arc<AtomicUsize> {
        self.unfinished.clone()
    }

    /// The largest message that is taken: far more than is ever sent.
    pub(in crate::transport) const MAX_MESSAGE_BYTES: usize = 1024 * 1024;
}

impl AsyncRead for WebSocketBytes {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        while self.rest.is_empty() {
            let Poll::Ready(message) = Pin::new(&mut self.socket).poll_next(cx) else {
                let stream = self.socket.get_ref();
                let begun = if stream.is_mid_message() { stream.bytes() - self.whole_at } else { 0 };
                self.unfinished.store(usize::try_from(begun).unwrap_or(usize::MAX), Ordering::Relaxed);
                return Poll::Pending;
            };
            match message {
                Some(Ok(Message::Binary(bytes))) => {
                    self.rest = bytes;
                    self.whole_at = self.socket.get_ref().bytes();
                }
                Some(Ok(Message::Text(_))) => {
                    self.socket.fail(cx, CloseCode::Unsupported, "only binary messages");
                    return Poll::Ready(Err(misbehaved("text message where there are only binary ones")));
                }
                Some(Ok(Message::Close(_))) | None => return Poll::Ready(Ok(())),
                Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_))) => {}
                Some(Err(_)) if self.is_shut => return Poll::Ready(Ok(())),
                Some(Err(error)) => return Poll::Ready(ended(error)),
            }
        }
        let length = self.rest.len().min(into.remaining());
        into.put_slice(&self.rest[..length]);
        self.rest.advance(length);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for WebSocketBytes {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(cx, &[IoSlice::new(bytes)])
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        ready!(Pin::new(&mut self.socket).poll_ready(cx)).map_err(to_io)?;
        let whole: usize = slices.iter().map(|slice| slice.len()).sum();
        let mut message = BytesMut::with_capacity(whole.min(MESSAGE_BYTES));
        for slice in slices {
            let room = MESSAGE_BYTES - message.len();
            message.extend_from_slice(&slice[..slice.len().min(room)]);
        }
        let length = message.len();
        if length > 0 {
            Pin::new(&mut self.socket).start_send(Message::Binary(message.freeze())).map_err(to_io)?;
        }
        Poll::Ready(Ok(length))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_flush(cx).map_err(to_io)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.is_shut = true;
        Pin::new(&mut self.socket).poll_close(cx).map_err(to_io)
    }
}

/// Returns the end of the bytes, if the error means that.
fn ended(error: Error) -> io::Result<()> {
    match failure(error) {
        LinkError::Closed => Ok(()),
        LinkError::Io(error) => Err(error),
        LinkError::PeerMisbehaved(what) => Err(misbehaved(what)),
        other => Err(io::Error::other(other)),
    }
}

fn to_io(error: Error) -> io::Error {
    match ended(error) {
        Ok(()) => io::ErrorKind::BrokenPipe.into(),
        Err(error) => error,
    }
}

/// The largest message that is sent.
const MESSAGE_BYTES: usize = 64 * 1024;
