//! What the application is told.

use bytes::Bytes;

use super::Records;
use crate::base::{Failure, Weigh};

/// One piece of news.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// Both ends have said their header: messages may be sent, and come.
    Opened,
    /// Many small things, packed.
    Records(Records),
    /// Bytes of a received message, as many as were to be read.
    Data {
        /// The message.
        number: u32,
        /// Which of it.
        part: Part,
        /// What.
        bytes: Bytes,
    },
    /// Nothing comes or goes any more, but what has come whole can still be read.
    Closed(Option<Failure>),
    /// Nothing is left to read, or to do. The last one; with a failure if nothing was told before.
    Finished(Option<Failure>),
}

/// What a message has beside its header.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Part {
    /// The data.
    Data,
    /// The stream.
    Stream,
    /// A file, counted from 0.
    File(u32),
}

impl Part {
    /// Returns it as a number: data, stream, files.
    pub fn number(self) -> u32 {
        match self {
            Self::Data => 0,
            Self::Stream => 1,
            Self::File(index) => index.saturating_add(2),
        }
    }

    /// Returns the part with this number.
    pub fn from_number(number: u32) -> Self {
        match number {
            0 => Self::Data,
            1 => Self::Stream,
            _ => Self::File(number - 2),
        }
    }
}

impl Weigh for Event {
    fn weight(&self) -> usize {
        let content = match self {
            Self::Records(records) => records.len(),
            Self::Data { bytes, .. } => bytes.len(),
            _ => 0,
        };
        content + size_of::<Self>()
    }
}
