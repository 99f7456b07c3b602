//! A stream whose other side is elsewhere in this process, and passes bytes in and out by function calls,
//! with a bound in each direction.

use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use bytes::{Buf, Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::link::PipeEvent;

/// The stream.
pub struct Pipe {
    shared: Arc<Shared>,
}

/// Its other side.
#[derive(Clone)]
pub struct PipeEnd {
    shared: Arc<Shared>,
}

struct Shared {
    inner: Mutex<Inner>,
    notify: Box<dyn Fn(PipeEvent) + Send + Sync>,
}

#[derive(Default)]
struct Inner {
    incoming: VecDeque<Bytes>,
    /// Nothing more will be incoming: why.
    ended: Option<io::ErrorKind>,
    /// Bytes read and not reported yet.
    unreported: usize,
    /// Given to the other side, and not written by it yet.
    unwritten: usize,
    reader: Option<Waker>,
    writer: Option<Waker>,
    is_shut: bool,
}

/// Returns both sides. `notify` is called, from any thread, with what the other side has to know.
pub fn pipe(notify: impl Fn(PipeEvent) + Send + Sync + 'static) -> (Pipe, PipeEnd) {
    let shared = Arc::new(Shared { inner: Mutex::default(), notify: Box::new(notify) });
    (Pipe { shared: shared.clone() }, PipeEnd { shared })
}

impl PipeEnd {
    /// Pushes bytes. The caller bounds what was not consumed yet: [`PipeEvent::Consumed`] reports it.
    pub fn push(&self, bytes: Bytes) {
        let mut inner = self.shared.lock();
        if inner.ended.is_none() && !bytes.is_empty() {
            inner.incoming.push_back(bytes);
        }
        wake(&mut inner.reader);
    }

    /// Notes that so many bytes have been written, which makes room for as many.
    pub fn on_written(&self, count: usize) {
        let mut inner = self.shared.lock();
        inner.unwritten = inner.unwritten.saturating_sub(count);
        wake(&mut inner.writer);
    }

    /// Ends the pipe, in order or not: nothing more arrives, or is written.
    pub fn end(&self, orderly: bool) {
        let mut inner = self.shared.lock();
        let kind = if orderly { io::ErrorKind::UnexpectedEof } else { io::ErrorKind::ConnectionReset };
        inner.ended.get_or_insert(kind);
        wake(&mut inner.reader);
        wake(&mut inner.writer);
    }
}

impl AsyncRead for Pipe {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let mut inner = self.shared.lock();
        let before = into.filled().len();
        while into.remaining() > 0
            && let Some(first) = inner.incoming.front_mut()
        {
            let length = first.len().min(into.remaining());
            into.put_slice(&first[..length]);
            first.advance(length);
            if first.is_empty() {
                inner.incoming.pop_front();
            }
        }
        let read = into.filled().len() - before;
        if read == 0 && into.remaining() > 0 {
            return match inner.ended {
                Some(io::ErrorKind::UnexpectedEof) => Poll::Ready(Ok(())),
                Some(kind) => Poll::Ready(Err(kind.into())),
                None => {
                    inner.reader = Some(cx.waker().clone());
                    Poll::Pending
                }
            };
        }
        inner.unreported += read;
        // Told in large steps, or when the other side may be waiting for it.
        let is_reported =
            inner.unreported > 0 && (inner.incoming.is_empty() || inner.unreported >= REPORT_BYTES);
        let taken = if is_reported { std::mem::take(&mut inner.unreported) } else { 0 };
        drop(inner);
        if taken > 0 {
            (self.shared.notify)(PipeEvent::Consumed(taken));
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Pipe {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(cx, &[IoSlice::new(bytes)])
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let mut inner = self.shared.lock();
        if inner.ended.is_some() || inner.is_shut {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        let room = MAX_UNWRITTEN_BYTES - inner.unwritten.min(MAX_UNWRITTEN_BYTES);
        if room == 0 {
            inner.writer = Some(cx.waker().clone());
            return Poll::Pending;
        }
        let whole: usize = slices.iter().map(|slice| slice.len()).sum();
        let mut bytes = BytesMut::with_capacity(whole.min(room));
        for slice in slices {
            let left = room - bytes.len();
            bytes.extend_from_slice(&slice[..slice.len().min(left)]);
        }
        let length = bytes.len();
        inner.unwritten += length;
        drop(inner);
        if length > 0 {
            (self.shared.notify)(PipeEvent::Bytes(bytes.freeze()));
        }
        Poll::Ready(Ok(length))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.shared.shut();
        Poll::Ready(Ok(()))
    }
}

impl Drop for Pipe {
    fn drop(&mut self) {
        self.shared.lock().incoming.clear();
        self.shared.shut();
    }
}

impl Shared {
    /// Reports the end once.
    fn shut(&self) {
        if !std::mem::replace(&mut self.lock().is_shut, true) {
            (self.notify)(PipeEvent::End);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn wake(waker: &mut Option<Waker>) {
    if let Some(waker) = waker.take() {
        waker.wake();
    }
}

/// Bytes that wait to be written by the other side before this one writes no more.
const MAX_UNWRITTEN_BYTES: usize = 1024 * 1024;
/// Bytes reported in one event.
const REPORT_BYTES: usize = 256 * 1024;
