//! Bytes read and not decoded yet: one buffer, from which big frames are taken without a copy.

use std::io;
use std::pin::pin;
use std::task::{Context, Poll};

use bytes::{Buf, Bytes, BytesMut};
use tokio::io::AsyncReadExt;

use super::BoxedStream;

/// Bytes on their way in.
#[derive(Debug)]
pub(super) struct ReadBuffer {
    buffer: BytesMut,
    /// Bytes missing of the first frame, if that is known.
    missing: usize,
}

/// A whole frame.
pub(super) enum WholeFrame {
    /// The first bytes of [`ReadBuffer::bytes`]; to be consumed.
    Small(usize),
    /// Taken out.
    Big(Bytes),
}

impl ReadBuffer {
    /// Begins with what was read already.
    pub(super) fn new(rest: &[u8]) -> Self {
        Self { buffer: BytesMut::from(rest), missing: 0 }
    }

    /// Returns the next whole frame, or `None` until more was read. `length` tells the first one's length as
    /// soon as it shows.
    pub(super) fn next<E>(
        &mut self,
        length: impl FnOnce(&[u8]) -> Result<Option<usize>, E>,
    ) -> Result<Option<WholeFrame>, E> {
        let Some(length) = length(&self.buffer)? else {
            self.missing = 0;
            return Ok(None);
        };
        if self.buffer.len() < length {
            self.missing = length - self.buffer.len();
            return Ok(None);
        }
        Ok(Some(if length < BIG_FRAME_BYTES {
            WholeFrame::Small(length)
        } else {
            WholeFrame::Big(self.buffer.split_to(length).freeze())
        }))
    }

    /// Returns what was read.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.buffer
    }

    /// Removes a small frame that has been decoded.
    pub(super) fn consume(&mut self, length: usize) {
        self.buffer.advance(length);
    }

    /// Returns what it takes in memory. Of what comes in pieces, the room for the rest counts, too.
    pub(super) fn memory(&self) -> usize {
        if self.buffer.len() < READ_BUFFER_BYTES { self.buffer.len() } else { self.buffer.capacity() }
    }

    /// Returns whether nothing is left over.
    pub(super) fn is_empty(&self) -> bool {
        self.buffer.is_empty()
    }

    /// Reads what is there, at most a buffer; 0 at the end. Makes room for a frame only as fast as it comes:
    /// a length is a claim.
    pub(super) fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        stream: &mut BoxedStream,
    ) -> Poll<io::Result<usize>> {
        let wanted = self.missing.min(self.buffer.len().max(MAX_ON_CREDIT_BYTES)).max(MIN_READ_BYTES);
        if self.buffer.capacity() - self.buffer.len() < wanted {
            // Several big frames to a buffer, because what is there of the last one is copied to the next.
            let frame = self.buffer.len() + self.missing;
            let room = frame.saturating_mul(4).clamp(READ_BUFFER_BYTES, MAX_ON_CREDIT_BYTES);
            self.buffer.reserve(wanted.max(room));
        }
        pin!(stream.read_buf(&mut self.buffer)).poll(cx)
    }

    /// Throws away what comes; 0 at the end.
    pub(super) fn poll_discard(
        &mut self,
        cx: &mut Context<'_>,
        stream: &mut BoxedStream,
    ) -> Poll<io::Result<usize>> {
        self.buffer.clear();
        self.missing = 0;
        self.poll_read(cx, stream)
    }
}

/// Frames from this size on are taken out of the buffer, so that their payload needs no copy.
const BIG_FRAME_BYTES: usize = 2 * 1024;
/// Read at once. A broker has one such buffer for each connection.
const READ_BUFFER_BYTES: usize = 128 * 1024;
/// With less room than this no read is worth its call.
const MIN_READ_BYTES: usize = 16 * 1024;
/// Room that a frame gets on its mere claim.
const MAX_ON_CREDIT_BYTES: usize = 1024 * 1024;
