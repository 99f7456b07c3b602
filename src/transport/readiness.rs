//! Connections that a second thread polls, too: one that sleeps in an event loop of its own, and can read
//! what comes without being woken by the first. Both wake up; the faster one reads.

use std::io::{self, Read};
use std::os::fd::{AsFd, AsRawFd, RawFd};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use mio::unix::SourceFd;
use mio::{Events, Interest, Registry, Token};
use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::Stream;

/// Polls the readiness of registered connections for the second thread.
pub struct ReadinessPoller {
    poll: mio::Poll,
    events: Events,
    polls: u64,
    shared: Arc<Shared>,
}

/// The part that its streams share.
#[derive(Debug)]
struct Shared {
    registry: Registry,
    /// The number of the poll in progress; 0: none.
    current_poll: AtomicU64,
}

/// Watches the connections of one client.
#[derive(Debug, Clone)]
pub struct Registration {
    shared: Arc<Shared>,
    name: u32,
}

impl ReadinessPoller {
    /// Sees nothing yet.
    pub fn new() -> io::Result<Self> {
        let poll = mio::Poll::new()?;
        let shared =
            Arc::new(Shared { registry: poll.registry().try_clone()?, current_poll: AtomicU64::new(0) });
        Ok(Self { poll, events: Events::with_capacity(MAX_READY_EVENTS), polls: 0, shared })
    }

    /// Returns a descriptor that is readable when a connection is.
    pub fn fd(&self) -> RawFd {
        self.poll.as_raw_fd()
    }

    /// Returns a registration for the client of that name.
    pub fn registration(&self, name: u32) -> Registration {
        Registration { shared: self.shared.clone(), name }
    }

    /// Calls `visit` with each client whose connections have something to read. Meanwhile their streams can
    /// be read.
    pub fn poll_ready(&mut self, mut visit: impl FnMut(u32)) {
        // Interrupted at most; what is there stays to be seen.
        if self.poll.poll(&mut self.events, Some(Duration::ZERO)).is_err() {
            return;
        }
        self.polls += 1;
        self.shared.current_poll.store(self.polls, Ordering::Relaxed);
        for event in &self.events {
            visit(u32::try_from(event.token().0).unwrap_or_default());
        }
        self.shared.current_poll.store(0, Ordering::Relaxed);
    }
}

/// A stream that is register.
struct Registered<S: AsFd> {
    stream: S,
    registration: Registration,
    /// The last poll in which it was read.
    seen: u64,
}

/// Lets `registration` see the stream too. Where that cannot be done it stays as it is.
pub(super) fn register<S: Stream + AsFd + 'static>(
    stream: S,
    registration: Option<&Registration>,
) -> Box<dyn Stream> {
    let Some(registration) = registration else { return Box::new(stream) };
    let (fd, token) = (stream.as_fd().as_raw_fd(), Token(registration.name as usize));
    if registration.shared.registry.register(&mut SourceFd(&fd), token, Interest::READABLE).is_err() {
        return Box::new(stream);
    }
    Box::new(Registered { stream, registration: registration.clone(), seen: 0 })
}

impl<S: AsFd> Registered<S> {
    /// Reads once in a poll, so much as does not hold the second thread up. The first thread finds the
    /// rest: it was woken too.
    fn read_ahead(&mut self, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let current = self.registration.shared.current_poll.load(Ordering::Relaxed);
        if current == 0 || current == self.seen {
            return Poll::Pending;
        }
        self.seen = current;
        let most = into.remaining().min(MAX_READ_AHEAD_BYTES);
        match (&*SockRef::from(&self.stream)).read(into.initialize_unfilled_to(most)) {
            Ok(count) => {
                into.advance(count);
                Poll::Ready(Ok(()))
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Poll::Pending,
            Err(error) => Poll::Ready(Err(error)),
        }
    }
}

impl<S: AsFd> Drop for Registered<S> {
    fn drop(&mut self) {
        let fd = self.stream.as_fd().as_raw_fd();
        // Not register any more in any case, as it is closed now.
        let _ = self.registration.shared.registry.deregister(&mut SourceFd(&fd));
    }
}

impl<S: Stream + AsFd> AsyncRead for Registered<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match Pin::new(&mut self.stream).poll_read(cx, into) {
            Poll::Pending => self.read_ahead(into),
            ready => ready,
        }
    }
}

impl<S: Stream + AsFd> AsyncWrite for Registered<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

/// Connections that one poll_ready sees at most; the others stay to be seen.
const MAX_READY_EVENTS: usize = 64;
/// Bytes read of a connection in one poll.
const MAX_READ_AHEAD_BYTES: usize = 16 * 1024;
