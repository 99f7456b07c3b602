//! The connection header: what each end says first, without waiting for the other.

use bytes::BufMut;

use super::{DecodeError, MAX_CHANNELS};

/// How many channels the end that says it receives on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Handshake {
    /// From 1 to [`MAX_CHANNELS`].
    pub channels: u16,
}

impl Handshake {
    /// Reads it from the front of `bytes`, and how long it is; `None`: more is needed.
    pub fn decode(bytes: &[u8]) -> Result<Option<(Self, usize)>, DecodeError> {
        let Some((&control, rest)) = bytes.split_first() else { return Ok(None) };
        if control & 0xf0 != SIGNATURE {
            return Err(DecodeError::InvalidControlByte);
        }
        let decoded = match (control & 3, rest) {
            (0, _) => Some((1, 1)),
            // An encoder that counts to 255 writes 256 like this.
            (1, [0, ..]) => Some((256, 2)),
            (1, [count, ..]) => Some((u16::from(*count), 2)),
            (2, [low, high, ..]) => match u16::from_le_bytes([*low, *high]) {
                0 => return Err(DecodeError::NoChannels),
                count => Some((count.min(MAX_CHANNELS), 3)),
            },
            (3, _) => Some((MAX_CHANNELS, 1)),
            _ => None,
        };
        Ok(decoded.map(|(channels, length)| (Self { channels }, length)))
    }

    /// Writes it.
    pub fn push(self, out: &mut impl BufMut) {
        match self.channels {
            0 | 1 => out.put_u8(SIGNATURE),
            2..=255 => out.put_slice(&[SIGNATURE | 1, self.channels.to_le_bytes()[0]]),
            MAX_CHANNELS.. => out.put_u8(SIGNATURE | 3),
            _ => {
                out.put_u8(SIGNATURE | 2);
                out.put_u16_le(self.channels);
            }
        }
    }
}

const SIGNATURE: u8 = 0xe0;
