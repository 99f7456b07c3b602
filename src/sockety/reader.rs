//! Cuts what comes from the peer into packets and pieces of their content, however it was cut before.

use bytes::{Buf, Bytes};

use crate::wire::sockety::{DecodeError, MAX_HEAD_BYTES, Packet};

/// The place in the stream of packets.
#[derive(Debug, Default)]
pub(super) struct Reader {
    /// The beginning of a packet that has not come whole.
    carry: Vec<u8>,
    /// Content of the current packet that is still to come.
    left: u32,
}

/// What comes next.
#[derive(Debug, PartialEq)]
pub(super) enum Step {
    /// A packet; it has been taken from the chunk. Its content, if it has any, comes behind it.
    Packet(Packet),
    /// The chunk begins with so many bytes of the last packet's content, and whether they are the last of it.
    /// Whoever has looked at them takes them from the chunk.
    Content(usize, bool),
}

impl Reader {
    /// Finds what comes next; `None`: more has to come.
    pub(super) fn next(&mut self, chunk: &mut Bytes) -> Result<Option<Step>, DecodeError> {
        if chunk.is_empty() {
            return Ok(None);
        }
        if self.left > 0 {
            let length = u32::try_from(chunk.len()).unwrap_or(u32::MAX).min(self.left);
            self.left -= length;
            return Ok(Some(Step::Content(length as usize, self.left == 0)));
        }
        let packet = if self.carry.is_empty() { self.whole(chunk)? } else { self.carried(chunk)? };
        if let Some(packet) = packet {
            self.left = packet.size();
        }
        Ok(packet.map(Step::Packet))
    }

    fn whole(&mut self, chunk: &mut Bytes) -> Result<Option<Packet>, DecodeError> {
        let Some((packet, length)) = Packet::decode(chunk)? else {
            self.carry.extend_from_slice(&std::mem::take(chunk));
            return Ok(None);
        };
        chunk.advance(length);
        Ok(Some(packet))
    }

    fn carried(&mut self, chunk: &mut Bytes) -> Result<Option<Packet>, DecodeError> {
        let before = self.carry.len();
        let more = chunk.len().min(MAX_HEAD_BYTES - before);
        self.carry.extend_from_slice(&chunk[..more]);
        let Some((packet, length)) = Packet::decode(&self.carry)? else {
            chunk.clear();
            return Ok(None);
        };
        chunk.advance(length - before);
        self.carry.clear();
        Ok(Some(packet))
    }
}
