//! Bytes on their way out: small things gathered, large ones as they are, and marks between them.

use std::collections::VecDeque;

use bytes::{Bytes, BytesMut};

#[derive(Debug, Default)]
pub(super) struct Output {
    /// Older than what is being gathered.
    segments: VecDeque<Bytes>,
    gathered: BytesMut,
    /// Bytes put in so far.
    put: u64,
    /// Bytes taken out so far.
    taken: u64,
    /// Where marks are, oldest first.
    marks: VecDeque<(u64, u32)>,
}

impl Output {
    /// Writes something small.
    pub(super) fn write(&mut self, write: impl FnOnce(&mut BytesMut)) {
        let before = self.gathered.len();
        write(&mut self.gathered);
        self.put += (self.gathered.len() - before) as u64;
    }

    /// Puts in bytes; many of them are not copied.
    pub(super) fn put(&mut self, bytes: Bytes) {
        self.put += bytes.len() as u64;
        if bytes.len() <= MAX_COPIED_BYTES {
            self.gathered.extend_from_slice(&bytes);
        } else {
            self.close_gathered();
            self.segments.push_back(bytes);
        }
    }

    /// Reports `mark` when all that was put in so far has been taken out.
    pub(super) fn mark(&mut self, mark: u32) {
        if mark != 0 {
            self.marks.push_back((self.put, mark));
        }
    }

    /// Returns whether there is nothing to take out.
    pub(super) fn is_empty(&self) -> bool {
        self.put == self.taken
    }

    /// Takes the next bytes.
    pub(super) fn poll(&mut self) -> Option<Bytes> {
        if self.segments.is_empty() {
            self.close_gathered();
        }
        let bytes = self.segments.pop_front()?;
        self.taken += bytes.len() as u64;
        Some(bytes)
    }

    /// Takes the next mark that has been passed.
    pub(super) fn poll_mark(&mut self) -> Option<u32> {
        let &(_, mark) = self.marks.front().filter(|(at, _)| *at <= self.taken)?;
        self.marks.pop_front();
        Some(mark)
    }

    /// Drops everything.
    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }

    fn close_gathered(&mut self) {
        if !self.gathered.is_empty() {
            self.segments.push_back(self.gathered.split().freeze());
        }
    }
}

/// More is not copied.
const MAX_COPIED_BYTES: usize = 16 * 1024;
