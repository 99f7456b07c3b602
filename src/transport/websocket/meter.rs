//! Reads the headers of a WebSocket's frames as they pass, to count what the reader behind does not show:
//! fragments, and whether a message has begun and is not over. Pure.

/// Why a peer is cut off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct TooManyFragments;

/// The frames that passed, in one direction.
#[derive(Debug, Default)]
pub(super) struct Meter {
    header: [u8; MAX_HEADER_BYTES],
    /// Bytes of the header that are there.
    filled: usize,
    /// Bytes of the payload to come.
    payload: u64,
    /// Frames of the message that is not over.
    fragments: u32,
    /// Frames of little or no use: control frames, and tiny fragments.
    light: u32,
    bytes: u64,
}

impl Meter {
    /// Looks at the next bytes.
    pub(super) fn feed(&mut self, mut bytes: &[u8]) -> Result<(), TooManyFragments> {
        self.bytes += bytes.len() as u64;
        while let Some((&first, rest)) = bytes.split_first() {
            if self.payload > 0 {
                let skipped = usize::try_from(self.payload).unwrap_or(usize::MAX).min(bytes.len());
                bytes = &bytes[skipped..];
                self.payload -= skipped as u64;
                continue;
            }
            self.header[self.filled] = first;
            self.filled += 1;
            bytes = rest;
            if self.filled >= 2 && self.filled == header_length(self.header[1]) {
                self.handle_header()?;
                self.filled = 0;
            }
        }
        Ok(())
    }

    /// Returns whether a message has begun and is not over.
    pub(super) fn is_mid_message(&self) -> bool {
        self.fragments > 0 || self.filled > 0 || self.payload > 0
    }

    /// Returns the number of bytes that have passed.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Returns the number of light frames since the last call.
    pub(super) fn take_light(&mut self) -> u32 {
        std::mem::take(&mut self.light)
    }

    fn handle_header(&mut self) -> Result<(), TooManyFragments> {
        let [first, second, extended @ ..] = &self.header;
        self.payload = match second & 0x7f {
            126 => u16::from_be_bytes([extended[0], extended[1]]).into(),
            127 => u64::from_be_bytes(extended[..8].try_into().expect("12 bytes are more than 8")),
            short => short.into(),
        };
        let (is_last, opcode) = (first & 0x80 != 0, first & 0x0f);
        let is_control = opcode >= 8;
        let is_whole = opcode != 0 && is_last;
        if is_control || (!is_whole && self.payload < CRUMB_BYTES) {
            self.light = self.light.saturating_add(1);
        }
        if !is_control {
            self.fragments = if is_last { 0 } else { self.fragments + 1 };
        }
        if self.fragments > MAX_FRAGMENTS { Err(TooManyFragments) } else { Ok(()) }
    }
}

fn header_length(second: u8) -> usize {
    let mask = if second & 0x80 != 0 { 4 } else { 0 };
    let length = match second & 0x7f {
        126 => 2,
        127 => 8,
        _ => 0,
    };
    2 + length + mask
}

const MAX_HEADER_BYTES: usize = 14;
/// Frames that one message may come in: the largest in pieces of 2 KiB, which no proxy cuts.
const MAX_FRAGMENTS: u32 = 4096;
/// A fragment below this size is light: honest peers do not make such.
const CRUMB_BYTES: u64 = 64;

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns a masked frame, as clients send them.
    fn frame(first: u8, payload: usize) -> Vec<u8> {
        let mut bytes = vec![first];
        match payload {
            0..126 => bytes.push(0x80 | u8::try_from(payload).expect("short")),
            126..65536 => {
                bytes.push(0x80 | 126);
                bytes.extend(u16::try_from(payload).expect("short").to_be_bytes());
            }
            _ => {
                bytes.push(0x80 | 127);
                bytes.extend((payload as u64).to_be_bytes());
            }
        }
        bytes.extend([0xff; 4]);
        bytes.resize(bytes.len() + payload, 0x82);
        bytes
    }

    #[test]
    fn whole_messages_of_every_length_leave_nothing_behind_however_they_are_cut() {
        let lengths = [0, 1, 125, 126, 127, 65_535, 65_536, 200_000];
        let all: Vec<u8> = lengths.iter().flat_map(|&length| frame(0x82, length)).collect();
        for step in [1, 3, 1000, all.len()] {
            let mut meter = Meter::default();
            for piece in all.chunks(step) {
                meter.feed(piece).expect("orderly");
            }
            assert!(!meter.is_mid_message());
            assert_eq!((meter.take_light(), meter.bytes()), (0, all.len() as u64));
        }
    }

    #[test]
    fn a_message_is_begun_until_its_last_byte() {
        let mut meter = Meter::default();
        for (bytes, is_mid) in [
            (frame(0x02, 10), true),
            (frame(0x89, 0), true),
            (frame(0x00, 10), true),
            (frame(0x80, 10), false),
            (frame(0x81, 10)[..9].to_vec(), true),
        ] {
            meter.feed(&bytes).expect("orderly");
            assert_eq!(meter.is_mid_message(), is_mid, "{bytes:?}");
        }
    }

    #[test]
    fn crumbs_and_control_frames_are_light_and_fragments_have_a_cap() {
        let mut meter = Meter::default();
        meter
            .feed(&[frame(0x02, 0), frame(0x00, 5), frame(0x00, 64), frame(0x80, 1000)].concat())
            .expect("ok");
        meter.feed(&[frame(0x89, 3), frame(0x8a, 0), frame(0x82, 0)].concat()).expect("ok");
        assert_eq!(meter.take_light(), 4);
        let mut meter = Meter::default();
        assert_eq!(meter.feed(&frame(0x00, 2000).repeat(4096)), Ok(()));
        assert_eq!(meter.feed(&frame(0x00, 2000)), Err(TooManyFragments));
    }
}
