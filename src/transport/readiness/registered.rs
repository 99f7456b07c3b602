//! A connection that both threads read, one at a time.

use std::io::{self, Read, Write};
use std::os::fd::OwnedFd;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use socket2::{SockRef, Socket};
use tokio::io::unix::AsyncFd;
use tokio::io::{AsyncRead, AsyncWrite, Interest, ReadBuf};

use super::connection::Connection;
use super::{MAX_READ_AHEAD_BYTES, Shared};

/// The runtime watches only whether it can be written to.
pub(super) struct Registered {
    socket: AsyncFd<Socket>,
    connection: Arc<Connection>,
    shared: Arc<Shared>,
    /// The last visit of the second thread in which it was read.
    seen: u64,
}

impl Registered {
    pub(super) fn new(fd: OwnedFd, connection: Arc<Connection>, shared: Arc<Shared>) -> io::Result<Self> {
        #[expect(deprecated, reason = "the new form is unsafe; a socket keeps its descriptor, as that wants")]
        let socket = AsyncFd::with_interest(Socket::from(fd), Interest::WRITABLE)?;
        Ok(Self { socket, connection, shared, seen: 0 })
    }

    /// Returns how much may be read now. In a visit of the second thread that is once, and no more than does
    /// not hold it up.
    fn limit(&mut self) -> Option<usize> {
        match self.connection.visit() {
            0 => Some(usize::MAX),
            visit if visit == self.seen => None,
            visit => {
                self.seen = visit;
                Some(MAX_READ_AHEAD_BYTES)
            }
        }
    }

    fn poll_written(
        &self,
        cx: &mut Context<'_>,
        mut write: impl FnMut(SockRef<'_>) -> io::Result<usize>,
    ) -> Poll<io::Result<usize>> {
        loop {
            let mut guard = ready!(self.socket.poll_write_ready(cx))?;
            if let Ok(written) = guard.try_io(|socket| write(SockRef::from(socket.get_ref()))) {
                return Poll::Ready(written);
            }
        }
    }
}

impl Drop for Registered {
    fn drop(&mut self) {
        self.shared.remove(&self.connection);
    }
}

impl AsyncRead for Registered {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        loop {
            if !self.connection.poll_readable(cx) {
                return Poll::Pending;
            }
            let Some(limit) = self.limit() else {
                self.connection.wait(cx);
                // Its end wakes who waits, unless it came meanwhile: this may be another thread.
                if self.connection.visit() == self.seen {
                    return Poll::Pending;
                }
                continue;
            };
            let most = into.remaining().min(limit);
            self.connection.begin_read();
            let read = (&*SockRef::from(self.socket.get_ref())).read(into.initialize_unfilled_to(most));
            match read {
                Ok(count) => {
                    self.connection.end_read(count, count < most);
                    into.advance(count);
                    return Poll::Ready(Ok(()));
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {
                    self.connection.end_read(0, false)
                }
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
    }
}

impl AsyncWrite for Registered {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_written(cx, |socket| (&*socket).write(bytes))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.poll_written(cx, |socket| (&*socket).write_vectored(slices))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(SockRef::from(self.socket.get_ref()).shutdown(std::net::Shutdown::Write))
    }
}
