//! Connections that a second thread watches: one that sleeps in an event loop of its own, and can act on what comes without being woken by the
//! first. Both wake up; whoever is faster reads.

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

/// The second thread's eyes.
pub struct Lookout {
    poll: mio::Poll,
    events: Events,
    looks: u64,
    post: Arc<Post>,
}

/// What its streams know of it.
#[derive(Debug)]
struct Post {
    registry: Registry,
    /// The number of the look that is under way; 0: none.
    look: AtomicU64,
}

/// Watches the connections of one client.
#[derive(Debug, Clone)]
pub struct Watch {
    post: Arc<Post>,
    name: u32,
}

impl Lookout {
    /// Sees nothing yet.
    pub fn new() -> io::Result<Self> {
        let poll = mio::Poll::new()?;
        let post = Arc::new(Post { registry: poll.registry().try_clone()?, look: AtomicU64::new(0) });
        Ok(Self { poll, events: Events::with_capacity(MOST_SEEN), looks: 0, post })
    }

    /// Readable when there is something to see.
    pub fn fd(&self) -> RawFd {
        self.poll.as_raw_fd()
    }

    /// For the client of that name.
    pub fn watch(&self, name: u32) -> Watch {
        Watch { post: self.post.clone(), name }
    }

    /// Tells the names of clients whose connections have something to read. While `visit` is called, their streams can be read.
    pub fn look(&mut self, mut visit: impl FnMut(u32)) {
        // Interrupted at most; what is there stays to be seen.
        if self.poll.poll(&mut self.events, Some(Duration::ZERO)).is_err() {
            return;
        }
        self.looks += 1;
        self.post.look.store(self.looks, Ordering::Relaxed);
        for event in &self.events {
            visit(u32::try_from(event.token().0).unwrap_or_default());
        }
        self.post.look.store(0, Ordering::Relaxed);
    }
}

/// A stream that is watched.
struct Watched<S: AsFd> {
    stream: S,
    watch: Watch,
    /// The last look in which it was read.
    seen: u64,
}

/// Lets `watch` see the stream too. Where that cannot be done it stays as it is.
pub(super) fn watched<S: Stream + AsFd + 'static>(stream: S, watch: Option<&Watch>) -> Box<dyn Stream> {
    let Some(watch) = watch else { return Box::new(stream) };
    let (fd, token) = (stream.as_fd().as_raw_fd(), Token(watch.name as usize));
    if watch.post.registry.register(&mut SourceFd(&fd), token, Interest::READABLE).is_err() {
        return Box::new(stream);
    }
    Box::new(Watched { stream, watch: watch.clone(), seen: 0 })
}

impl<S: AsFd> Watched<S> {
    /// Reads once in a look, so much as does not hold the second thread up. The first thread finds the rest: it was woken too.
    fn read_ahead(&mut self, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let look = self.watch.post.look.load(Ordering::Relaxed);
        if look == 0 || look == self.seen {
            return Poll::Pending;
        }
        self.seen = look;
        let most = into.remaining().min(MOST_READ_AHEAD_BYTES);
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

impl<S: AsFd> Drop for Watched<S> {
    fn drop(&mut self) {
        let fd = self.stream.as_fd().as_raw_fd();
        // Not watched any more in any case, as it is closed now.
        let _ = self.watch.post.registry.deregister(&mut SourceFd(&fd));
    }
}

impl<S: Stream + AsFd> AsyncRead for Watched<S> {
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

impl<S: Stream + AsFd> AsyncWrite for Watched<S> {
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

/// Connections that one look sees at most; the others stay to be seen.
const MOST_SEEN: usize = 64;
/// What a look reads of a connection.
const MOST_READ_AHEAD_BYTES: usize = 16 * 1024;
