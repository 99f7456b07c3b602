//! What a socket's numbered stream carries beside data: requests, answers and control
//! (docs/protocols/socket.md). The encoding byte of a message says which it is, so that every protocol and
//! every broker carries all of them as they are.

mod body;
mod control;
mod piece;
mod timed;
mod varint;

pub use body::{Answer, Cancel, CancelReason, Refusal, Request, is_valid, key};
pub use control::{
    Close, Counts, MAX_CODE_BYTES, MAX_MESSAGE_BYTES, MAX_MISSING_NUMBERS, MAX_RANGES, Status,
};
pub use piece::Beginning;
pub use timed::{Dropped, Timed};

use super::Encoding;

/// What takes a place in one of the three windows of a socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// What the application wrote.
    Data,
    /// What it asked.
    Request,
    /// What it answered, and what belongs to requests and is not one.
    Answer,
}

impl Encoding {
    /// One answer is wanted.
    pub const REQUEST: Self = Self(0x81);
    /// Any number of answers is wanted.
    pub const REQUEST_MANY: Self = Self(0x82);
    /// The only answer, or the last one.
    pub const ANSWER: Self = Self(0x83);
    /// An answer that others may follow.
    pub const ANSWER_MORE: Self = Self(0x84);
    /// No more answers follow.
    pub const ANSWER_END: Self = Self(0x85);
    /// An error of the engine in place of an answer.
    pub const REFUSAL: Self = Self(0x86);
    /// Nobody waits for the answer any more.
    pub const CANCEL: Self = Self(0x87);
    /// No data and no requests follow in this direction.
    pub const END: Self = Self(0x88);
    /// The beginning of a message that is larger than a piece.
    pub const BIG: Self = Self(0x89);
    /// The next piece of the message that was begun last.
    pub const MORE: Self = Self(0x8a);
    /// Data that nobody wants after a while.
    pub const TIMED: Self = Self(0x8c);
    /// In place of such data, whose time was over when it would have been sent again.
    pub const EXPIRED: Self = Self(0xa0);
    /// Such data was not handed out, since its time was over.
    pub const DROPPED: Self = Self(0xa1);
    /// How far each direction is. Has the number that its sender uses next, and does not use it up.
    pub const STATUS: Self = Self(0xc0);
    /// The end of the socket. Has a number as a status has.
    pub const CLOSE: Self = Self(0xc1);

    /// Whether it is the application's: data of a socket, or any other message.
    pub fn is_data(self) -> bool {
        self.0 <= LAST_DATA
    }

    /// Whether it is control, which has no number of its own.
    pub fn is_control(self) -> bool {
        (FIRST_CONTROL..=LAST_CONTROL).contains(&self.0)
    }

    /// The class of a numbered message; `None` for control, and for what this version does not know and may
    /// not skip.
    pub const fn class(self) -> Option<Class> {
        match self.0 {
            0..=LAST_DATA | 0x8c | 0xa0 => Some(Class::Data),
            0x81 | 0x82 => Some(Class::Request),
            0x83..=0x88 | FIRST_SKIPPED..=LAST_SKIPPED => Some(Class::Answer),
            _ => None,
        }
    }

    /// Whether it is a part of a larger message, which has a class once it is whole.
    pub fn is_piece(self) -> bool {
        self == Self::BIG || self == Self::MORE
    }

    /// Whether it is of the class of data and not handed on as it is.
    pub const fn is_timed(self) -> bool {
        matches!(self, Self::TIMED | Self::EXPIRED)
    }

    /// Whether it is numbered, and means nothing to this version: it counts as handled.
    pub fn is_skipped(self) -> bool {
        (FIRST_SKIPPED..=LAST_SKIPPED).contains(&self.0) && self != Self::DROPPED
    }
}

/// Up to it everything is data.
const LAST_DATA: u8 = 0x7f;
/// Numbered messages that a later version may bring, and that may be skipped.
const FIRST_SKIPPED: u8 = 0xa1;
const LAST_SKIPPED: u8 = 0xbf;
const FIRST_CONTROL: u8 = 0xc0;
const LAST_CONTROL: u8 = 0xdf;

#[cfg(test)]
mod tests;
