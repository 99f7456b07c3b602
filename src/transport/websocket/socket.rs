//! A WebSocket that fails as RFC 6455 wants it (7.1.7): whoever breaks the rules is told with a close code,
//! and nothing more is read of what it says.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures_util::{Sink, Stream};
use tokio::io::AsyncWrite;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::error::ProtocolError;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::{Error, Message};

use super::Metered;
use crate::transport::link::is_misbehaviour;

/// One end of a WebSocket over whatever it goes over.
pub(in crate::transport) struct Socket {
    frames: WebSocketStream<Metered>,
    state: State,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Open,
    /// Our last frame is on its way: the peer has closed, or is told why it is cut off.
    Parting,
    /// And no byte follows it.
    Shut,
}

impl Socket {
    pub(super) fn new(frames: WebSocketStream<Metered>) -> Self {
        Self { frames, state: State::Open }
    }

    /// Returns what is below it.
    pub(in crate::transport) fn get_ref(&self) -> &Metered {
        self.frames.get_ref()
    }

    /// Tells the peer why it is cut off, as far as that goes without waiting. The close follows.
    pub(in crate::transport) fn fail(&mut self, cx: &mut Context<'_>, code: CloseCode, reason: &'static str) {
        if self.state != State::Open {
            return;
        }
        self.state = State::Parting;
        let close = CloseFrame { code, reason: reason.into() };
        let _ = Pin::new(&mut self.frames).start_send(Message::Close(Some(close)));
        let _ = Pin::new(&mut self.frames).poll_flush(cx);
    }

    /// Says that it ends, then does as [`Self::poll_part`].
    pub(in crate::transport) fn poll_leave(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        if self.state == State::Open {
            ready!(Pin::new(&mut self.frames).poll_close(cx))?;
            self.state = State::Parting;
        }
        self.poll_part(cx)
    }

    /// Flushes the last frame, ends our direction, and drops what comes until the peer ends its own: closing
    /// over unread bytes resets the connection, and the frame may be lost with it.
    fn poll_part(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        if self.state == State::Parting {
            match ready!(Pin::new(&mut self.frames).poll_flush(cx)) {
                Ok(()) | Err(Error::ConnectionClosed | Error::AlreadyClosed) => {}
                Err(error) => return Poll::Ready(Err(error)),
            }
            ready!(Pin::new(self.frames.get_mut()).poll_shutdown(cx))?;
            self.state = State::Shut;
        }
        while ready!(self.frames.get_mut().poll_discard(cx))? > 0 {}
        Poll::Ready(Ok(()))
    }
}

impl Stream for Socket {
    type Item = Result<Message, Error>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let next = ready!(Pin::new(&mut self.frames).poll_next(cx));
        match &next {
            None if self.state == State::Open => self.state = State::Parting,
            Some(Err(error)) => {
                if let Some((code, reason)) = fault(error) {
                    self.fail(cx, code, reason);
                }
            }
            _ => {}
        }
        Poll::Ready(next)
    }
}

impl Sink<Message> for Socket {
    type Error = Error;

    fn poll_ready(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        Pin::new(&mut self.frames).poll_ready(cx)
    }

    fn start_send(mut self: Pin<&mut Self>, message: Message) -> Result<(), Error> {
        Pin::new(&mut self.frames).start_send(message)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        Pin::new(&mut self.frames).poll_flush(cx)
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        if self.state == State::Open { Pin::new(&mut self.frames).poll_close(cx) } else { self.poll_part(cx) }
    }
}

/// Returns the close code for what the peer did, if it did anything wrong.
fn fault(error: &Error) -> Option<(CloseCode, &'static str)> {
    match error {
        Error::Protocol(
            ProtocolError::ResetWithoutClosingHandshake
            | ProtocolError::ReceivedAfterClosing
            | ProtocolError::SendAfterClosing,
        ) => None,
        Error::Protocol(_) => Some((CloseCode::Protocol, "protocol error")),
        Error::Utf8(_) => Some((CloseCode::Invalid, "text is not UTF-8")),
        Error::Capacity(_) => Some((CloseCode::Size, "message too large")),
        Error::Io(error) if is_misbehaviour(error) => Some((CloseCode::Policy, "too many small frames")),
        _ => None,
    }
}
