//! Data that nobody wants after a while, and what is said of such data that was not handed out.

use std::time::Duration;

use bytes::{BufMut, Bytes, BytesMut};

use super::varint::{push_number, split_byte, split_number};
use crate::wire::{Encoding, Payload};

/// Data with the time that it is worth reading.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Timed {
    /// As left when it left: how long it was on its way is not counted.
    pub left: Duration,
    /// The data.
    pub payload: Payload,
}

/// Data that was not handed out, since its time was over: a message of [`Class::Answer`](super::Class), so
/// that whoever wrote the data hears of it before it counts as handled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Dropped {
    /// Which one of the messages of data, from 1.
    pub number: u64,
}

impl Timed {
    /// Writes it down, in whole milliseconds.
    pub fn encode(left: Duration, payload: &Payload) -> Payload {
        let mut raw = BytesMut::with_capacity(payload.raw.len() + HEAD_BYTES);
        push_number(&mut raw, u64::try_from(left.as_millis()).unwrap_or(u64::MAX).min(MAX_LEFT_MS));
        raw.put_u8(payload.encoding.0);
        raw.put_slice(&payload.raw);
        Payload { encoding: Encoding::TIMED, raw: raw.freeze() }
    }

    /// Reads it; the payload shares the bytes.
    pub fn decode(raw: &Bytes) -> Option<Self> {
        let (left, encoding, rest) = read(raw)?;
        let payload = Payload { encoding, raw: raw.slice_ref(rest) };
        Some(Self { left: Duration::from_millis(left), payload })
    }

    /// Returns whether `raw` can be read.
    pub(super) fn is_valid(raw: &[u8]) -> bool {
        read(raw).is_some()
    }
}

fn read(raw: &[u8]) -> Option<(u64, Encoding, &[u8])> {
    let mut rest = raw;
    let left = split_number(&mut rest)?.min(MAX_LEFT_MS);
    let encoding = Encoding(split_byte(&mut rest)?);
    encoding.is_data().then_some((left, encoding, rest))
}

impl Dropped {
    /// Writes it down.
    pub fn encode(self) -> Payload {
        let mut raw = BytesMut::with_capacity(HEAD_BYTES);
        push_number(&mut raw, self.number);
        Payload { encoding: Encoding::DROPPED, raw: raw.freeze() }
    }

    /// Reads it.
    pub fn decode(mut raw: &[u8]) -> Option<Self> {
        split_number(&mut raw).map(|number| Self { number })
    }
}

/// More than any program waits: 2^31 ms.
const MAX_LEFT_MS: u64 = 1 << 31;
/// What a number and a byte take at most, rounded up.
const HEAD_BYTES: usize = 16;
