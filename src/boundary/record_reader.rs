//! Reads the fields of one record of a batch (`docs/internals/boundary.md`, "Fields"). Does not know
//! commands.

use std::time::Duration;

use bytes::Bytes;

use super::milliseconds;
use crate::base::{Code, Failure, Few, Handle};
use crate::wire::{Encoding, Json, Messages, Payload};

/// The rest of a record. What `lib` writes is well-formed; anything else is a bug, and a failure.
pub(super) struct RecordReader<'a>(&'a [u8]);

impl<'a> RecordReader<'a> {
    /// Takes the first record of a batch. Returns it, and the records behind it.
    pub(super) fn split(batch: &'a [u8]) -> Result<(Self, &'a [u8]), Failure> {
        let mut head = Self(batch);
        let length = head.u32()? as usize;
        let (record, rest) = head.0.split_at_checked(length).ok_or_else(truncated)?;
        Ok((Self(record), rest))
    }

    pub(super) fn u8(&mut self) -> Result<u8, Failure> {
        let (byte, rest) = self.0.split_first().ok_or_else(truncated)?;
        self.0 = rest;
        Ok(*byte)
    }

    pub(super) fn u32(&mut self) -> Result<u32, Failure> {
        let (bytes, rest) = self.0.split_first_chunk().ok_or_else(truncated)?;
        self.0 = rest;
        Ok(u32::from_le_bytes(*bytes))
    }

    pub(super) fn u64(&mut self) -> Result<u64, Failure> {
        let (bytes, rest) = self.0.split_first_chunk().ok_or_else(truncated)?;
        self.0 = rest;
        Ok(u64::from_le_bytes(*bytes))
    }

    /// Reads JavaScript's number: a count.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "saturates, as a count may")]
    pub(super) fn number(&mut self) -> Result<u64, Failure> {
        Ok(f64::from_bits(self.u64()?) as u64)
    }

    pub(super) fn ticket(&mut self) -> Result<Option<Handle>, Failure> {
        Ok(Some(self.u32()?).filter(|ticket| *ticket != 0))
    }

    pub(super) fn duration(&mut self) -> Result<Duration, Failure> {
        Ok(milliseconds(self.u32()?.into()))
    }

    pub(super) fn str(&mut self) -> Result<&'a str, Failure> {
        self.opt_str()?.ok_or_else(|| malformed("a text is absent"))
    }

    pub(super) fn opt_str(&mut self) -> Result<Option<&'a str>, Failure> {
        let length = self.u32()?;
        if length == ABSENT {
            return Ok(None);
        }
        let (text, rest) = self.0.split_at_checked(length as usize).ok_or_else(truncated)?;
        self.0 = rest;
        std::str::from_utf8(text).map(Some).map_err(|_| malformed("a text is not UTF-8"))
    }

    pub(super) fn json(&mut self) -> Result<Option<Json>, Failure> {
        let Some(text) = self.opt_str()? else { return Ok(None) };
        let json = Json::parse(Bytes::copy_from_slice(text.as_bytes()));
        json.map(Some)
            .map_err(|error| Failure::new(Code::InvalidArgument, format!("headers are not JSON: {error}")))
    }

    /// Reads the rest of the record as a text.
    pub(super) fn text(&mut self) -> Result<&'a str, Failure> {
        std::str::from_utf8(std::mem::take(&mut self.0)).map_err(|_| malformed("options are not text"))
    }

    /// Reads the rest of the record, copied because JavaScript reuses its buffer.
    pub(super) fn rest(&mut self) -> Bytes {
        Bytes::copy_from_slice(std::mem::take(&mut self.0))
    }

    /// Reads a payload, which is the rest of the record.
    pub(super) fn payload(&mut self) -> Result<Payload, Failure> {
        let encoding = Encoding(self.u8()?);
        Ok(Payload { encoding, raw: self.rest() })
    }

    /// Reads the messages to the end of the record. They share one copy of it.
    pub(super) fn messages(&mut self) -> Result<Few<Messages>, Failure> {
        Messages::split(self.rest()).ok_or_else(|| {
            Failure::new(Code::InvalidArgument, "malformed messages, or headers that are not JSON")
        })
    }
}

/// Returns the failure for a batch that `lib` would not write.
pub(super) fn malformed(what: impl ToString) -> Failure {
    Failure::new(Code::Internal, format!("malformed batch: {}", what.to_string()))
}

fn truncated() -> Failure {
    malformed("a record is truncated")
}

/// As a length: no text. As a count: no limit.
pub(super) const ABSENT: u32 = u32::MAX;
