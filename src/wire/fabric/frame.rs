//! The frame: `u32 length of what follows`, `u8 type`, body. And the few pieces that bodies are made of.

use std::fmt;

use bytes::{BufMut, Bytes, BytesMut};

use super::SHARED_PAYLOAD_BYTES;

/// Length and type.
pub const FRAME_HEADER_BYTES: usize = 5;

/// An error that ends this one connection. Names the broken rule and quotes nothing, so that it can be logged
/// as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DecodeError(pub &'static str);

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl std::error::Error for DecodeError {}

/// The types of frames. A type that is not here ends the connection, except for those with the high bit set:
/// they are for later versions, and skipped.
pub(super) mod kind {
    pub(in super::super) const PUBLISH: u8 = 1;
    pub(in super::super) const DELIVER: u8 = 2;
    pub(in super::super) const PUBLISHED: u8 = 3;
    pub(in super::super) const PING: u8 = 4;
    pub(in super::super) const PONG: u8 = 5;
    pub(in super::super) const CONTROL: u8 = 6;
    pub(in super::super) const WATCH: u8 = 7;
    pub(in super::super) const WATCHED: u8 = 8;
    pub(in super::super) const SKIPPED: u8 = 0x80;
}

/// Returns the length of the first frame in `buffered`, its header included; `None` until that is known.
/// Looks at the header alone, so that nothing is kept for a frame longer than `max` bytes.
pub fn frame_length(buffered: &[u8], max: usize) -> Result<Option<usize>, DecodeError> {
    let Some(length) = buffered.first_chunk::<4>() else { return Ok(None) };
    match u32::from_le_bytes(*length) as usize {
        0 => Err(DecodeError("frame without a type")),
        length if length > max => Err(DecodeError("frame too long")),
        length => Ok(Some(length + 4)),
    }
}

/// Appends a ping.
pub fn push_ping(out: &mut BytesMut) {
    out.put_slice(&[1, 0, 0, 0, kind::PING]);
}

/// Appends the answer to a ping.
pub fn push_pong(out: &mut BytesMut) {
    out.put_slice(&[1, 0, 0, 0, kind::PONG]);
}

/// One whole frame, and where its bytes are: in a buffer of the reader's, or shared, so that parts of it can
/// be kept.
#[derive(Debug, Clone, Copy)]
pub enum Frame<'a> {
    /// Everything that is kept of it is copied.
    Borrowed(&'a [u8]),
    /// A big payload is kept where it is.
    Shared(&'a Bytes),
}

impl<'a> Frame<'a> {
    /// Splits a frame into its type and its body.
    pub(super) fn open(self) -> Result<(u8, Reader<'a>), DecodeError> {
        let (bytes, shared) = match self {
            Self::Borrowed(bytes) => (bytes, None),
            Self::Shared(bytes) => (&bytes[..], Some(bytes)),
        };
        match bytes {
            [_, _, _, _, kind, rest @ ..] => Ok((*kind, Reader { rest, shared })),
            _ => Err(TRUNCATED),
        }
    }
}

impl<'a> Reader<'a> {
    /// Reads `body`; `shared` is what it is a part of, if that may be kept.
    pub(super) fn of(body: &'a [u8], shared: Option<&'a Bytes>) -> Self {
        Self { rest: body, shared }
    }
}

/// Reads a body from its front.
#[derive(Debug)]
pub(super) struct Reader<'a> {
    rest: &'a [u8],
    shared: Option<&'a Bytes>,
}

impl<'a> Reader<'a> {
    pub(super) fn u8(&mut self) -> Result<u8, DecodeError> {
        let (&first, rest) = self.rest.split_first().ok_or(TRUNCATED)?;
        self.rest = rest;
        Ok(first)
    }

    /// Reads a number of seven bits a byte, the lowest first.
    #[inline(always)]
    pub(super) fn varint(&mut self) -> Result<u64, DecodeError> {
        // Most numbers are small.
        if let [low, high, rest @ ..] = self.rest
            && low & 0x80 != 0
            && high & 0x80 == 0
        {
            self.rest = rest;
            return Ok(u64::from(low & 0x7f) | u64::from(*high) << 7);
        }
        if let Some(first) = self.rest.first_chunk().copied().map(u64::from_le_bytes)
            && !first & CONTINUES != 0
        {
            let bytes = (!first & CONTINUES).trailing_zeros() / 8 + 1;
            self.rest = &self.rest[bytes as usize..];
            return Ok(joined(first & (u64::MAX >> (64 - 8 * bytes))));
        }
        self.long_varint()
    }

    /// The same for a number that is longer, or near the end.
    fn long_varint(&mut self) -> Result<u64, DecodeError> {
        let mut number = 0;
        for (at, &byte) in self.rest.iter().take(LONGEST_NUMBER).enumerate() {
            let bits = u64::from(byte & 0x7f);
            if at == LONGEST_NUMBER - 1 && bits > 1 {
                break;
            }
            number |= bits << (7 * at);
            if byte & 0x80 == 0 {
                self.rest = &self.rest[at + 1..];
                return Ok(number);
            }
        }
        let is_cut_off = self.rest.len() < LONGEST_NUMBER;
        Err(if is_cut_off { TRUNCATED } else { DecodeError("number too large") })
    }

    pub(super) fn bytes(&mut self, length: usize) -> Result<&'a [u8], DecodeError> {
        let (taken, rest) = self.rest.split_at_checked(length).ok_or(TRUNCATED)?;
        self.rest = rest;
        Ok(taken)
    }

    /// Reads a name: u16 length and UTF-8.
    pub(super) fn name(&mut self) -> Result<&'a str, DecodeError> {
        let length = self.bytes(2)?;
        text(self.bytes(usize::from(u16::from_le_bytes([length[0], length[1]])))?)
    }

    /// Reads a text of any length: varint length and UTF-8.
    pub(super) fn text(&mut self) -> Result<&'a str, DecodeError> {
        let length = self.varint()?;
        text(self.bytes(usize::try_from(length).map_err(|_| TRUNCATED)?)?)
    }

    /// Reads bytes with a u32 length.
    pub(super) fn long(&mut self) -> Result<&'a [u8], DecodeError> {
        let length = self.bytes(4)?;
        self.bytes(u32::from_le_bytes([length[0], length[1], length[2], length[3]]) as usize)
    }

    /// Returns whether nothing is left.
    pub(super) fn is_done(&self) -> bool {
        self.rest.is_empty()
    }

    /// Returns how many bytes are left.
    pub(super) fn len(&self) -> usize {
        self.rest.len()
    }

    /// Returns everything that is left.
    pub(super) fn remainder(self) -> &'a [u8] {
        self.rest
    }

    /// Returns everything that is left, to keep.
    pub(super) fn payload(self) -> Bytes {
        match self.shared {
            Some(shared) if self.rest.len() >= SHARED_PAYLOAD_BYTES => shared.slice_ref(self.rest),
            _ => Bytes::copy_from_slice(self.rest),
        }
    }

    /// Fails if anything is left.
    pub(super) fn end(self) -> Result<(), DecodeError> {
        if self.rest.is_empty() { Ok(()) } else { Err(DecodeError("frame longer than its content")) }
    }
}

pub(super) fn push_varint(out: &mut BytesMut, number: u64) {
    let mut head = Head::default();
    head.push_varint(number);
    out.put_slice(head.bytes());
}

/// Small fields that are appended together: each append looks for room.
pub(super) struct Head {
    bytes: [u8; HEAD_BYTES],
    length: usize,
}

impl Default for Head {
    fn default() -> Self {
        Self { bytes: [0; HEAD_BYTES], length: 0 }
    }
}

impl Head {
    /// Returns the header of a frame whose length is not known yet.
    #[inline(always)]
    pub(super) fn of_frame(kind: u8) -> Self {
        let mut head = Self::default();
        head.bytes[FRAME_HEADER_BYTES - 1] = kind;
        head.length = FRAME_HEADER_BYTES;
        head
    }

    /// Appends what has been collected, and begins anew.
    #[inline(always)]
    pub(super) fn flush(&mut self, out: &mut BytesMut) {
        out.extend_from_slice(self.bytes());
        self.length = 0;
    }

    #[inline(always)]
    pub(super) fn push(&mut self, byte: u8) {
        self.bytes[self.length] = byte;
        self.length += 1;
    }

    #[inline(always)]
    pub(super) fn push_varint(&mut self, mut number: u64) {
        if (0x80..1 << 14).contains(&number) {
            let [low, high, ..] = (number << 1).to_le_bytes();
            self.push(low >> 1 | 0x80);
            return self.push(high);
        }
        if (0x80..1 << 56).contains(&number)
            && let Some(place) = self.bytes.get_mut(self.length..self.length + 8)
        {
            let bytes = (u64::BITS - number.leading_zeros()).div_ceil(7);
            let all_but_last = CONTINUES & ((1 << (8 * (bytes - 1))) - 1);
            place.copy_from_slice(&(spread(number) | all_but_last).to_le_bytes());
            self.length += bytes as usize;
            return;
        }
        while number >= 0x80 {
            self.push(number.to_le_bytes()[0] | 0x80);
            number >>= 7;
        }
        self.push(number.to_le_bytes()[0]);
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes[..self.length]
    }
}

/// Spreads a number of 56 bits over eight bytes, seven bits each.
fn spread(number: u64) -> u64 {
    let halves = (number & 0x0fff_ffff) | ((number & 0x00ff_ffff_f000_0000) << 4);
    let quarters = (halves & 0x0000_3fff_0000_3fff) | ((halves & 0x0fff_c000_0fff_c000) << 2);
    (quarters & 0x007f_007f_007f_007f) | ((quarters & 0x3f80_3f80_3f80_3f80) << 1)
}

/// Undoes [`spread`], whatever the high bits of the bytes are.
fn joined(bytes: u64) -> u64 {
    let quarters = (bytes & 0x007f_007f_007f_007f) | ((bytes & 0x7f00_7f00_7f00_7f00) >> 1);
    let halves = (quarters & 0x0000_3fff_0000_3fff) | ((quarters & 0x3fff_0000_3fff_0000) >> 2);
    (halves & 0x0fff_ffff) | ((halves & 0x0fff_ffff_0000_0000) >> 4)
}

/// The bits of eight bytes that say that another one follows.
const CONTINUES: u64 = 0x8080_8080_8080_8080;
/// Room for the header of a frame, the flags and slots of a publication, and four numbers of 64 bits.
const HEAD_BYTES: usize = 64;
/// Bytes of a number of 64 bits.
const LONGEST_NUMBER: usize = 10;

/// Appends a name. Subjects and patterns are far below the 64 KiB that fit.
pub(super) fn push_name(out: &mut BytesMut, name: &str) {
    out.put_u16_le(u16::try_from(name.len()).unwrap_or(u16::MAX));
    out.put_slice(&name.as_bytes()[..name.len().min(usize::from(u16::MAX))]);
}

/// Appends a text of any length.
pub(super) fn push_text(out: &mut BytesMut, text: &str) {
    push_varint(out, text.len() as u64);
    out.put_slice(text.as_bytes());
}

/// Appends the header of a frame whose length is not known yet. Returns its position.
pub(super) fn begin(out: &mut BytesMut, kind: u8) -> usize {
    let start = out.len();
    out.put_slice(&[0, 0, 0, 0, kind]);
    start
}

/// Fills in the length of the frame that began at `start` and goes on with `more` bytes beyond `out`. A frame
/// that no length can control is taken back: false.
pub(super) fn finish(out: &mut BytesMut, start: usize, more: usize) -> bool {
    let Ok(length) = u32::try_from(out.len() - start - 4 + more) else {
        tracing::debug!("dropped a frame of 4 GiB");
        out.truncate(start);
        return false;
    };
    out[start..start + 4].copy_from_slice(&length.to_le_bytes());
    true
}

fn text(bytes: &[u8]) -> Result<&str, DecodeError> {
    std::str::from_utf8(bytes).map_err(|_| DecodeError("text is not utf-8"))
}

const TRUNCATED: DecodeError = DecodeError("frame shorter than its content");

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn numbers_come_out_as_they_went_in_wherever_they_stand(
            number in (0_u32..64).prop_flat_map(|bits| (1_u64 << bits >> 1)..=(u64::MAX >> (63 - bits))),
            behind in proptest::collection::vec(any::<u8>(), 0..12),
        ) {
            let mut head = Head::default();
            head.push_varint(number);
            let mut plain = Vec::new();
            let mut rest = number;
            while rest >= 0x80 {
                plain.push(rest.to_le_bytes()[0] | 0x80);
                rest >>= 7;
            }
            plain.push(rest.to_le_bytes()[0]);
            prop_assert_eq!(head.bytes(), &plain[..]);
            let bytes = [&plain[..], &behind].concat();
            let mut reader = Reader::of(&bytes, None);
            prop_assert_eq!(reader.varint(), Ok(number));
            prop_assert_eq!(reader.remainder(), &behind[..]);
        }
    }
}
