//! Control: how far each direction is, and the end of the socket. All counts run from the beginning of the
//! socket, so that any one replaces all before it.

use bytes::{BufMut, Bytes, BytesMut};

use super::varint::{push_number, push_numbers, push_text, split_number, split_text};
use crate::wire::{Encoding, Payload};

/// What one end has of what the other has sent.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Everything up to this number is in line.
    pub arrived: u64,
    /// Messages of data that were handled.
    pub data: u64,
    /// Requests that were handled.
    pub requests: u64,
    /// Answers, and what belongs to requests, that were handled.
    pub answers: u64,
}

/// How far both directions are, as one end sees it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Status {
    /// What it has.
    pub counts: Counts,
    /// It wants a status back, at once.
    pub asks: bool,
    /// It was away: what was under way to it may be lost.
    pub was_away: bool,
    /// Nothing more of data and requests is handed to its application.
    pub is_going: bool,
    /// What it lacks above `arrived`: each is so many numbers that it has, then so many that it lacks.
    pub missing: Vec<(u64, u64)>,
    /// So many bytes wait there for credit.
    pub wants: Option<u64>,
    /// The other end may send up to this offset.
    pub credit: Option<u64>,
}

/// The end of the socket.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Close {
    /// What its sender has.
    pub counts: Counts,
    /// How many messages of data its application has written in all, those included that never left.
    pub written: u64,
    /// It goes away in order.
    pub is_draining: bool,
    /// Why, as a stable code; empty: in order.
    pub code: String,
    /// In words.
    pub message: String,
    /// What a system above adds.
    pub rest: Bytes,
}

/// The bytes of a status that says nothing of what is missing.
#[derive(Debug, Clone, Copy)]
pub struct ShortStatus {
    bytes: [u8; SHORT_STATUS_BYTES],
    length: usize,
}

impl ShortStatus {
    /// Returns them.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes[..self.length]
    }

    fn push_number(&mut self, mut number: u64) {
        while number >= 0x80 {
            self.bytes[self.length] = number.to_le_bytes()[0] | 0x80;
            self.length += 1;
            number >>= 7;
        }
        self.bytes[self.length] = number.to_le_bytes()[0];
        self.length += 1;
    }
}

impl Status {
    /// Writes it down where it costs no memory, if it is short.
    pub fn encode_short(&self) -> Option<ShortStatus> {
        if !self.missing.is_empty() {
            return None;
        }
        let mut short = ShortStatus { bytes: [0; SHORT_STATUS_BYTES], length: 0 };
        let Counts { arrived, data, requests, answers } = self.counts;
        for number in [self.flags(), arrived, data, requests, answers] {
            short.push_number(number);
        }
        self.wants.into_iter().chain(self.credit).for_each(|number| short.push_number(number));
        Some(short)
    }

    /// Writes it down.
    pub fn encode(&self) -> Payload {
        if let Some(short) = self.encode_short() {
            return Payload { encoding: Encoding::STATUS, raw: Bytes::copy_from_slice(short.bytes()) };
        }
        let mut raw = BytesMut::with_capacity(STATUS_BYTES + 4 * self.missing.len());
        let Counts { arrived, data, requests, answers } = self.counts;
        push_numbers(&mut raw, [self.flags(), arrived, data, requests, answers]);
        push_number(&mut raw, self.missing.len() as u64);
        for &(present, missing) in &self.missing {
            push_number(&mut raw, present);
            push_number(&mut raw, missing);
        }
        self.wants.into_iter().chain(self.credit).for_each(|number| push_number(&mut raw, number));
        Payload { encoding: Encoding::STATUS, raw: raw.freeze() }
    }

    fn flags(&self) -> u64 {
        let flags = [
            (ASKS, self.asks),
            (WAS_AWAY, self.was_away),
            (MISSING, !self.missing.is_empty()),
            (GOING, self.is_going),
            (WANTS, self.wants.is_some()),
            (CREDIT, self.credit.is_some()),
        ];
        flags.iter().filter(|(_, set)| *set).map(|(flag, _)| flag).sum()
    }

    /// Reads it. What a later version puts behind it is passed over.
    pub fn decode(raw: &[u8]) -> Option<Self> {
        let mut rest = raw;
        let flags = split_number(&mut rest)?;
        let counts = split_counts(&mut rest)?;
        let mut missing = Vec::new();
        if flags & MISSING != 0 {
            let ranges = split_number(&mut rest)?;
            if ranges > MAX_RANGES as u64 {
                return None;
            }
            let mut numbers = 0;
            for _ in 0..ranges {
                let range = (split_number(&mut rest)?, split_number(&mut rest)?);
                numbers += range.1;
                if range.1 == 0 || numbers > MAX_MISSING_NUMBERS {
                    return None;
                }
                missing.push(range);
            }
        }
        let wants = if flags & WANTS != 0 { Some(split_number(&mut rest)?) } else { None };
        let credit = if flags & CREDIT != 0 { Some(split_number(&mut rest)?) } else { None };
        let was_away = flags & WAS_AWAY != 0;
        Some(Self {
            counts,
            asks: flags & ASKS != 0 || was_away,
            was_away,
            is_going: flags & GOING != 0,
            missing,
            wants,
            credit,
        })
    }
}

impl Close {
    /// Writes it down. Texts that are too long are cut.
    pub fn encode(&self) -> Payload {
        let texts = self.code.len() + self.message.len() + self.rest.len();
        let mut raw = BytesMut::with_capacity(STATUS_BYTES + texts);
        push_counts(&mut raw, &self.counts);
        push_number(&mut raw, self.written);
        push_number(&mut raw, if self.is_draining { DRAINING } else { 0 });
        push_text(&mut raw, &self.code, MAX_CODE_BYTES);
        push_text(&mut raw, &self.message, MAX_MESSAGE_BYTES);
        raw.put_slice(&self.rest);
        Payload { encoding: Encoding::CLOSE, raw: raw.freeze() }
    }

    /// Reads it.
    pub fn decode(raw: &Bytes) -> Option<Self> {
        let mut rest = &raw[..];
        let (counts, written) = (split_counts(&mut rest)?, split_number(&mut rest)?);
        let is_draining = split_number(&mut rest)? & DRAINING != 0;
        let code = split_text(&mut rest, MAX_CODE_BYTES)?.to_owned();
        let message = split_text(&mut rest, MAX_MESSAGE_BYTES)?.to_owned();
        let rest = Some(raw.slice_ref(rest)).filter(|rest| rest.len() <= MAX_REST_BYTES)?;
        Some(Self { counts, written, is_draining, code, message, rest })
    }
}

fn push_counts(raw: &mut BytesMut, counts: &Counts) {
    let &Counts { arrived, data, requests, answers } = counts;
    push_numbers(raw, [arrived, data, requests, answers]);
}

fn split_counts(rest: &mut &[u8]) -> Option<Counts> {
    Some(Counts {
        arrived: split_number(rest)?,
        data: split_number(rest)?,
        requests: split_number(rest)?,
        answers: split_number(rest)?,
    })
}

const ASKS: u64 = 1;
const WAS_AWAY: u64 = 2;
const MISSING: u64 = 4;
const GOING: u64 = 8;
const WANTS: u64 = 16;
const CREDIT: u64 = 32;
/// In a close.
const DRAINING: u64 = 1;

/// Most ranges in one status: what one answer brings is asked for at once, the rest with the next one.
pub const MAX_RANGES: usize = 256;
/// Most missing numbers in one status.
pub const MAX_MISSING_NUMBERS: u64 = 1000;
/// Longest code of a close or a refusal.
pub const MAX_CODE_BYTES: usize = 64;
/// Longest text of a close or a refusal.
pub const MAX_MESSAGE_BYTES: usize = 1024;
/// Most bytes that a system above may add to a close.
const MAX_REST_BYTES: usize = 1024;
/// Room for seven numbers of 64 bits.
const SHORT_STATUS_BYTES: usize = 70;
/// What flags and counts take, rounded up.
const STATUS_BYTES: usize = 48;
