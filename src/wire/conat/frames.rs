//! WebSocket frames on their way out, in order.

use std::collections::VecDeque;

use bytes::{Bytes, BytesMut};

/// One WebSocket message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Frame {
    /// UTF-8 text.
    Text(Bytes),
    /// An attachment.
    Binary(Bytes),
}

impl Frame {
    /// Returns its size.
    pub fn len(&self) -> usize {
        match self {
            Self::Text(bytes) | Self::Binary(bytes) => bytes.len(),
        }
    }

    /// Returns whether it carries nothing.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// The output of a codec. Its owner drains it after each call, so it stays short.
#[derive(Debug, Default)]
pub struct Frames {
    queue: VecDeque<Frame>,
    /// All text is written here and split off; the allocation comes back once its frames are gone.
    scratch: BytesMut,
}

impl Frames {
    /// Returns the next frame to send.
    pub fn pop(&mut self) -> Option<Frame> {
        self.queue.pop_front()
    }

    /// Returns whether there is none.
    pub fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    /// Adds a text frame of whatever `write` appends, which must be UTF-8.
    pub fn push_text(&mut self, write: impl FnOnce(&mut BytesMut)) {
        self.scratch.reserve(SCRATCH_BYTES);
        write(&mut self.scratch);
        self.queue.push_back(Frame::Text(self.scratch.split().freeze()));
    }

    /// Adds a binary frame.
    pub fn push_binary(&mut self, bytes: Bytes) {
        self.queue.push_back(Frame::Binary(bytes));
    }
}

/// Room that most text frames fit into.
const SCRATCH_BYTES: usize = 512;
