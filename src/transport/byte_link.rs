//! A link of plain bytes, for state machines that decode by themselves.

use std::pin::{Pin, pin};
use std::task::{Context, Poll, ready};

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncReadExt, AsyncWrite};

use super::write_buffer::WriteBuffer;
use super::{BoxedLink, BoxedStream, Link, LinkError};
use crate::base::Chunk;

/// One end of a connection.
pub struct ByteLink {
    stream: BoxedStream,
    incoming: BytesMut,
    outgoing: WriteBuffer,
    /// The peer has ended its direction, and the machine knows.
    is_ended: bool,
    is_shut: bool,
}

impl ByteLink {
    /// Takes over a connection; `rest` was read from it already.
    pub fn new(stream: BoxedStream, rest: &[u8]) -> Self {
        let (incoming, outgoing) = (BytesMut::from(rest), WriteBuffer::default());
        Self { stream, incoming, outgoing, is_ended: false, is_shut: false }
    }

    /// Boxes the link for a driver.
    pub fn boxed(stream: BoxedStream, rest: &[u8]) -> BoxedLink<Bytes, Chunk> {
        Box::new(Self::new(stream, rest))
    }

    fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<std::io::Result<usize>> {
        if self.incoming.capacity() - self.incoming.len() < MIN_READ_BYTES {
            // Used again once the machine has let go of what was in it.
            self.incoming.reserve(READ_BUFFER_BYTES);
        }
        pin!(self.stream.read_buf(&mut self.incoming)).poll(cx)
    }
}

impl Link for ByteLink {
    type Out = Bytes;
    type In = Chunk;

    fn poll_recv(&mut self, cx: &mut Context<'_>, into: &mut Vec<Chunk>) -> Poll<Result<(), LinkError>> {
        if self.is_ended {
            return Poll::Pending;
        }
        if self.incoming.is_empty() && ready!(self.poll_read(cx))? == 0 {
            self.is_ended = true;
            into.push(Chunk::End);
        } else {
            into.push(Chunk::Bytes(self.incoming.split().freeze()));
        }
        Poll::Ready(Ok(()))
    }

    fn feed(&mut self, bytes: Bytes) -> Result<(), LinkError> {
        if bytes.len() <= MAX_GATHERED_BYTES {
            self.outgoing.gather().extend_from_slice(&bytes);
        } else {
            self.outgoing.push(bytes);
        }
        Ok(())
    }

    fn is_full(&self) -> bool {
        self.outgoing.len() >= FULL_BYTES
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), LinkError>> {
        if self.outgoing.is_done() {
            return Poll::Ready(Ok(()));
        }
        ready!(self.outgoing.poll_write(cx, &mut self.stream))?;
        Poll::Ready(Ok(()))
    }

    fn poll_close(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), LinkError>> {
        ready!(self.poll_flush(cx))?;
        if !self.is_shut {
            ready!(Pin::new(&mut self.stream).poll_shutdown(cx))?;
            self.is_shut = true;
        }
        // Closing over unread bytes resets the connection, and what was sent last may be lost with it.
        while !self.is_ended {
            self.incoming.clear();
            self.is_ended = ready!(self.poll_read(cx))? == 0;
        }
        Poll::Ready(Ok(()))
    }
}

/// Read at once.
const READ_BUFFER_BYTES: usize = 64 * 1024;
/// With less room than this no read is worth its call.
const MIN_READ_BYTES: usize = 16 * 1024;
/// Pieces up to this size are copied next to each other; larger ones are written from where they are.
const MAX_GATHERED_BYTES: usize = 4 * 1024;
/// A link with this much unflushed is full.
const FULL_BYTES: usize = 1024 * 1024;
