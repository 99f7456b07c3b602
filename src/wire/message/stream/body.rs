//! The payloads of requests, of answers and of what goes with them. Each begins with the key of its request.

use bytes::{BufMut, Bytes, BytesMut};

use super::control::{MAX_CODE_BYTES, MAX_MESSAGE_BYTES};
use super::piece::Beginning;
use super::timed::{Dropped, Timed};
use super::varint::{push_number, push_text, split_byte, split_number, split_text};
use crate::wire::{Encoding, Payload};

/// A request, one answer or many.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// 1, 2, 3 … a direction, in the order of the calls; what was cancelled in time leaves a hole.
    pub key: u64,
    /// How long the caller waits, in ms, from when it leaves; 0: not said.
    pub timeout: u64,
    /// What is asked.
    pub payload: Payload,
}

/// An answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// That of its request.
    pub key: u64,
    /// What is answered.
    pub payload: Payload,
}

/// An error in place of an answer: the engine's word, never that of an application.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// That of its request.
    pub key: u64,
    /// Whether a handler had the request.
    pub handled: bool,
    /// A stable code, at most 64 bytes.
    pub code: String,
    /// In words, at most 1 KiB.
    pub message: String,
}

/// Nobody waits for the answer any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cancel {
    /// That of its request.
    pub key: u64,
    /// Why.
    pub reason: CancelReason,
}

/// Why nobody waits for an answer any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CancelReason {
    /// The caller has enough.
    Dropped,
    /// Its time is over.
    Timeout,
    /// The caller's signal aborted.
    Aborted,
    /// The answering end was away for too long.
    Away,
    /// Something that a later version says.
    Other(u8),
}

impl Request {
    /// Writes it down; `many` for any number of answers.
    pub fn encode(&self, many: bool) -> Payload {
        let mut raw = BytesMut::with_capacity(self.payload.raw.len() + HEAD_BYTES);
        push_number(&mut raw, self.key);
        push_number(&mut raw, self.timeout);
        raw.put_u8(self.payload.encoding.0);
        raw.put_slice(&self.payload.raw);
        let encoding = if many { Encoding::REQUEST_MANY } else { Encoding::REQUEST };
        Payload { encoding, raw: raw.freeze() }
    }

    /// Reads key and timeout.
    pub fn head(mut raw: &[u8]) -> Option<(u64, u64)> {
        Some((split_key(&mut raw)?, split_number(&mut raw)?))
    }

    /// Reads it; the payload shares the bytes.
    pub fn decode(raw: &Bytes) -> Option<Self> {
        let mut rest = &raw[..];
        let (key, timeout) = (split_key(&mut rest)?, split_number(&mut rest)?);
        let payload = split_payload(&mut rest, raw)?;
        Some(Self { key, timeout, payload })
    }
}

impl Answer {
    /// Writes it down; `more` if others may follow.
    pub fn encode(&self, more: bool) -> Payload {
        let mut raw = BytesMut::with_capacity(self.payload.raw.len() + HEAD_BYTES);
        push_number(&mut raw, self.key);
        raw.put_u8(self.payload.encoding.0);
        raw.put_slice(&self.payload.raw);
        let encoding = if more { Encoding::ANSWER_MORE } else { Encoding::ANSWER };
        Payload { encoding, raw: raw.freeze() }
    }

    /// Reads it; the payload shares the bytes.
    pub fn decode(raw: &Bytes) -> Option<Self> {
        let mut rest = &raw[..];
        let key = split_key(&mut rest)?;
        let payload = split_payload(&mut rest, raw)?;
        Some(Self { key, payload })
    }
}

impl Refusal {
    /// Writes it down. Texts that are too long are cut.
    pub fn encode(&self) -> Payload {
        let mut raw = BytesMut::with_capacity(self.code.len() + self.message.len() + HEAD_BYTES);
        push_number(&mut raw, self.key);
        raw.put_u8(u8::from(self.handled));
        push_text(&mut raw, &self.code, MAX_CODE_BYTES);
        push_text(&mut raw, &self.message, MAX_MESSAGE_BYTES);
        Payload { encoding: Encoding::REFUSAL, raw: raw.freeze() }
    }

    /// Reads it.
    pub fn decode(raw: &[u8]) -> Option<Self> {
        let mut rest = raw;
        let (key, handled) = (split_key(&mut rest)?, split_byte(&mut rest)? != 0);
        let code = split_text(&mut rest, MAX_CODE_BYTES)?.to_owned();
        let message = split_text(&mut rest, MAX_MESSAGE_BYTES)?.to_owned();
        Some(Self { key, handled, code, message })
    }
}

impl Cancel {
    /// Writes it down.
    pub fn encode(&self) -> Payload {
        let mut raw = BytesMut::with_capacity(HEAD_BYTES);
        push_number(&mut raw, self.key);
        raw.put_u8(self.reason.number());
        Payload { encoding: Encoding::CANCEL, raw: raw.freeze() }
    }

    /// Reads it.
    pub fn decode(raw: &[u8]) -> Option<Self> {
        let mut rest = raw;
        let (key, reason) = (split_key(&mut rest)?, split_byte(&mut rest)?);
        Some(Self { key, reason: CancelReason::from_number(reason) })
    }
}

impl CancelReason {
    /// As it stands on the wire.
    pub fn number(self) -> u8 {
        match self {
            Self::Dropped => 0,
            Self::Timeout => 1,
            Self::Aborted => 2,
            Self::Away => 3,
            Self::Other(number) => number,
        }
    }

    /// From the wire.
    pub fn from_number(number: u8) -> Self {
        match number {
            0 => Self::Dropped,
            1 => Self::Timeout,
            2 => Self::Aborted,
            3 => Self::Away,
            other => Self::Other(other),
        }
    }
}

/// Returns the key that a payload begins with.
pub fn key(raw: &[u8]) -> Option<u64> {
    split_key(&mut &raw[..])
}

/// Returns whether a payload is what its encoding says, so that whoever is handed one need not check.
pub fn is_valid(encoding: Encoding, raw: &[u8]) -> bool {
    let mut rest = raw;
    match encoding {
        Encoding::REQUEST | Encoding::REQUEST_MANY => {
            let key = split_key(&mut rest).and_then(|_| split_number(&mut rest));
            key.and_then(|_| split_byte(&mut rest)).is_some()
        }
        Encoding::ANSWER | Encoding::ANSWER_MORE => {
            split_key(&mut rest).and_then(|_| split_byte(&mut rest)).is_some()
        }
        Encoding::ANSWER_END => split_key(&mut rest).is_some(),
        Encoding::REFUSAL => Refusal::decode(raw).is_some(),
        Encoding::CANCEL => Cancel::decode(raw).is_some(),
        Encoding::BIG => Beginning::is_valid(raw),
        Encoding::TIMED => Timed::is_valid(raw),
        Encoding::DROPPED => Dropped::decode(raw).is_some(),
        _ => true,
    }
}

fn split_key(rest: &mut &[u8]) -> Option<u64> {
    split_number(rest).filter(|key| *key > 0)
}

fn split_payload(rest: &mut &[u8], raw: &Bytes) -> Option<Payload> {
    let encoding = Encoding(split_byte(rest)?);
    Some(Payload { encoding, raw: raw.slice_ref(rest) })
}

/// What a key, a timeout and a byte take at most, rounded up.
const HEAD_BYTES: usize = 24;
