//! Bytes to be written: small frames gathered in one buffer, big payloads as they are.

use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes, BytesMut};
use tokio::io::AsyncWrite;

use super::BoxedStream;

/// Bytes on their way out.
#[derive(Debug, Default)]
pub(super) struct WriteBuffer {
    /// The newest frames.
    gathered: BytesMut,
    /// Bytes to be written before them.
    queue: VecDeque<Bytes>,
    queued: usize,
    /// Something was handed to the stream, which may still have it.
    is_unflushed: bool,
}

impl WriteBuffer {
    /// Returns the number of bytes that wait.
    pub(super) fn len(&self) -> usize {
        self.queued + self.gathered.len()
    }

    /// Returns whether nothing waits, here or in the stream.
    pub(super) fn is_done(&self) -> bool {
        self.len() == 0 && !self.is_unflushed
    }

    /// Returns where small pieces are appended, with room for one.
    pub(super) fn gather(&mut self) -> &mut BytesMut {
        if self.gathered.capacity() - self.gathered.len() < MIN_CAPACITY_BYTES {
            // What is full is not grown, which would copy it. With everything before it written, the next is
            // the old buffer again.
            self.seal();
            self.gathered.reserve(WRITE_BUFFER_BYTES);
        }
        &mut self.gathered
    }

    /// Appends a big piece as it is.
    pub(super) fn push(&mut self, bytes: Bytes) {
        self.seal();
        self.queued += bytes.len();
        self.queue.push_back(bytes);
    }

    /// Returns the same without making room: an idle connection that pings needs no buffer of its own.
    pub(super) fn gathered(&mut self) -> &mut BytesMut {
        &mut self.gathered
    }

    /// Writes; ready when everything has been passed to the operating system.
    pub(super) fn poll_write(
        &mut self,
        cx: &mut Context<'_>,
        stream: &mut BoxedStream,
    ) -> Poll<io::Result<()>> {
        self.seal();
        while !self.queue.is_empty() {
            let mut slices = [IoSlice::new(&[]); MAX_SLICES];
            let count = self.queue.len().min(MAX_SLICES);
            for (slice, bytes) in slices.iter_mut().zip(&self.queue) {
                *slice = IoSlice::new(bytes);
            }
            let written = ready!(Pin::new(&mut *stream).poll_write_vectored(cx, &slices[..count]))?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.is_unflushed = true;
            self.advance(written);
        }
        // TLS and WebSocket keep what the connection below did not take at once.
        ready!(Pin::new(stream).poll_flush(cx))?;
        self.is_unflushed = false;
        Poll::Ready(Ok(()))
    }

    fn seal(&mut self) {
        if !self.gathered.is_empty() {
            self.queued += self.gathered.len();
            self.queue.push_back(self.gathered.split().freeze());
        }
    }

    fn advance(&mut self, mut written: usize) {
        self.queued -= written;
        while let Some(first) = self.queue.front_mut() {
            if written < first.len() {
                first.advance(written);
                return;
            }
            written -= first.len();
            self.queue.pop_front();
        }
    }
}

/// Pieces of one system call.
const MAX_SLICES: usize = 64;
/// Gathered without another allocation.
const WRITE_BUFFER_BYTES: usize = 64 * 1024;
/// With less room than this a buffer is full. Most frames below the payloads that are not gathered fit.
const MIN_CAPACITY_BYTES: usize = 4 * 1024;
