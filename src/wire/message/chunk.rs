//! Splits big payloads and joins their chunks, within bounds.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};

use super::{Message, MessageId, Payload, Publication};

/// Cuts `raw` into pieces of at most `size` bytes: `(seq, done, bytes)`. No copy. An empty payload is one
/// empty piece.
pub fn split(raw: Bytes, size: usize) -> impl Iterator<Item = (u32, bool, Bytes)> {
    let size = size.max(1);
    let count = raw.len().div_ceil(size).max(1);
    (0..count).map(move |index| {
        let piece = raw.slice(index * size..raw.len().min((index + 1) * size));
        (u32::try_from(index).unwrap_or(u32::MAX), index + 1 == count, piece)
    })
}

/// Joins the chunks that one subscription receives. Holds at most [`MAX_PARTIALS`] unfinished messages and
/// [`MAX_PARTIAL_BYTES`] of them, each for at most [`PARTIAL_LIFETIME`]; what does not fit is dropped and
/// counted.
#[derive(Debug, Default)]
pub struct Reassembly {
    partials: HashMap<MessageId, Partial>,
    bytes: usize,
    dropped: u64,
}

#[derive(Debug)]
struct Partial {
    chunks: Vec<Bytes>,
    bytes: usize,
    started: Instant,
}

impl Reassembly {
    /// Takes one chunk; gives the whole message when it was the last one.
    pub fn handle_chunk(&mut self, now: Instant, publication: Publication) -> Option<Message> {
        let Publication { subject, id, seq, done, payload, headers, .. } = publication;
        if seq == 0 && done {
            return Some(Message { subject, payload, headers });
        }
        self.drop_old(now);
        if seq == 0 {
            self.forget(&id);
            if self.partials.len() >= MAX_PARTIALS {
                self.dropped += 1;
                return None;
            }
            self.partials.insert(id.clone(), Partial { chunks: Vec::new(), bytes: 0, started: now });
        }
        let partial = self.partials.get_mut(&id)?;
        if partial.chunks.len() != seq as usize || self.bytes + payload.raw.len() > MAX_PARTIAL_BYTES {
            self.forget(&id);
            self.dropped += 1;
            return None;
        }
        self.bytes += payload.raw.len();
        partial.bytes += payload.raw.len();
        partial.chunks.push(payload.raw);
        if !done {
            return None;
        }
        let partial = self.partials.remove(&id)?;
        self.bytes -= partial.bytes;
        let mut whole = BytesMut::with_capacity(partial.bytes);
        partial.chunks.iter().for_each(|chunk| whole.extend_from_slice(chunk));
        Some(Message {
            subject,
            payload: Payload { encoding: payload.encoding, raw: whole.freeze() },
            headers,
        })
    }

    /// Returns how many messages were given up: a gap, too old, or no room.
    pub fn dropped(&self) -> u64 {
        self.dropped
    }

    /// Returns how many bytes of unfinished messages it keeps.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Drops what is too old. Done with every chunk; to be called when none comes any more.
    pub fn drop_old(&mut self, now: Instant) {
        let before = self.partials.len();
        let bytes = &mut self.bytes;
        self.partials.retain(|_, partial| {
            let keep = now.saturating_duration_since(partial.started) < PARTIAL_LIFETIME;
            *bytes -= if keep { 0 } else { partial.bytes };
            keep
        });
        self.dropped += (before - self.partials.len()) as u64;
    }

    fn forget(&mut self, id: &MessageId) {
        if let Some(partial) = self.partials.remove(id) {
            self.bytes -= partial.bytes;
        }
    }
}

/// Unfinished messages at once. Publishers send the chunks of a message in one go, so few are open at a time.
pub const MAX_PARTIALS: usize = 1024;
/// Bytes of unfinished messages at once, a subscription.
pub const MAX_PARTIAL_BYTES: usize = 256 * 1024 * 1024;
/// The time that an unfinished message is kept (Conat's rule).
pub const PARTIAL_LIFETIME: Duration = Duration::from_secs(120);

#[cfg(test)]
#[allow(clippy::disallowed_methods)]
mod tests {
    use super::*;
    use crate::subject::Subject;
    use crate::wire::{Encoding, Headers};
    use proptest::prelude::*;

    fn chunk(id: &str, seq: u32, done: bool, raw: Bytes) -> Publication {
        let payload = Payload { encoding: Encoding::MSGPACK, raw };
        Publication {
            subject: Subject::parse("a").expect("valid"),
            id: id.into(),
            seq,
            done,
            bundled: 0,
            payload,
            headers: Headers::default(),
        }
    }

    #[test]
    fn a_gap_drops_the_whole_message_and_nothing_else() {
        let (mut reassembly, now) = (Reassembly::default(), Instant::now());
        let piece = || Bytes::from_static(b"x");
        assert!(reassembly.handle_chunk(now, chunk("m", 0, false, piece())).is_none());
        assert!(reassembly.handle_chunk(now, chunk("n", 0, false, piece())).is_none());
        assert!(reassembly.handle_chunk(now, chunk("m", 2, false, piece())).is_none());
        assert!(reassembly.handle_chunk(now, chunk("m", 3, true, piece())).is_none());
        assert!(reassembly.handle_chunk(now, chunk("late", 1, true, piece())).is_none());
        let joined = reassembly.handle_chunk(now, chunk("n", 1, true, piece())).expect("whole");
        assert_eq!(joined.payload.raw, "xx");
        assert_eq!((reassembly.bytes, reassembly.partials.len(), reassembly.dropped()), (0, 0, 1));
    }

    #[test]
    fn unfinished_messages_are_bounded_in_number_and_age() {
        let (mut reassembly, now) = (Reassembly::default(), Instant::now());
        for index in 0..MAX_PARTIALS + 10 {
            reassembly.handle_chunk(now, chunk(&index.to_string(), 0, false, Bytes::from_static(b"x")));
        }
        assert_eq!((reassembly.partials.len(), reassembly.dropped()), (MAX_PARTIALS, 10));
        reassembly.handle_chunk(now + PARTIAL_LIFETIME, chunk("new", 0, false, Bytes::from_static(b"y")));
        assert_eq!((reassembly.partials.len(), reassembly.bytes), (1, 1));
    }

    proptest! {
        #[test]
        fn what_is_split_joins_again(raw in prop::collection::vec(any::<u8>(), 0..2000), size in 1_usize..300) {
            let raw = Bytes::from(raw);
            let (mut reassembly, now) = (Reassembly::default(), Instant::now());
            let mut whole = None;
            for (seq, done, piece) in split(raw.clone(), size) {
                prop_assert!(whole.is_none() && piece.len() <= size);
                whole = reassembly.handle_chunk(now, chunk("m", seq, done, piece));
            }
            prop_assert_eq!(whole.expect("joined").payload.raw, raw);
            prop_assert_eq!(reassembly.bytes, 0);
        }
    }
}
