//! Splits big payloads and joins their chunks, within bounds.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};

use super::{Form, Message, MessageId, Payload, Publication};
use crate::base::Shares;
use crate::subject::Subject;

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

/// Joins the chunks that one subscription receives. Holds at most [`MAX_PARTIAL_BYTES`] of unfinished
/// messages, each for at most [`PARTIAL_LIFETIME`]; what does not fit is dropped and counted.
///
/// Chunks belong together that come to one subject under one id. Where room is short, the origin that takes
/// most of it loses its oldest message: origins are told apart by what our brokers write in front of an id
/// ([`chunk_id`]), elsewhere by subject.
#[derive(Debug, Default)]
pub struct Reassembly {
    partials: HashMap<Key, Partial>,
    /// The messages of an origin, oldest first.
    by_origin: HashMap<Arc<str>, BTreeMap<u64, Key>>,
    /// All of them, oldest first.
    by_age: BTreeMap<u64, Key>,
    weights: Shares<Arc<str>>,
    begun: u64,
    bytes: usize,
    dropped: u64,
}

/// The id that a broker gives to a message in chunks: who sends it, for the receiver to tell one from
/// another, and what nobody can guess.
pub fn chunk_id(origin: u64, secret: &str) -> MessageId {
    format!("{origin}.{secret}").into()
}

type Key = (Subject, MessageId);

#[derive(Debug)]
struct Partial {
    serial: u64,
    chunks: Vec<Bytes>,
    bytes: usize,
    started: Instant,
}

impl Partial {
    /// What it counts for where room is short.
    fn weight(&self) -> usize {
        self.bytes.max(MIN_PARTIAL_WEIGHT)
    }
}

impl Reassembly {
    /// Takes one chunk; gives the whole message when it was the last one.
    pub fn handle_chunk(&mut self, now: Instant, publication: Publication) -> Option<Message> {
        let Publication { subject, form, payload, headers } = publication;
        let Form::Chunk(chunk) = form else { return Some(Message { subject, payload, headers }) };
        let (seq, done) = (chunk.seq, chunk.done);
        if seq == 0 && done {
            return Some(Message { subject, payload, headers });
        }
        self.drop_old(now);
        let key = (subject, chunk.id.clone());
        if seq == 0 {
            self.forget(&key);
            self.begin(now, key.clone());
        }
        let partial = self.partials.get(&key)?;
        if partial.chunks.len() != seq as usize || !self.make_room(&key, payload.raw.len()) {
            self.drop_partial(&key);
            return None;
        }
        self.append(&key, payload.raw);
        if !done {
            return None;
        }
        let partial = self.forget(&key)?;
        let mut whole = BytesMut::with_capacity(partial.bytes);
        partial.chunks.iter().for_each(|chunk| whole.extend_from_slice(chunk));
        Some(Message {
            subject: key.0,
            payload: Payload { encoding: payload.encoding, raw: whole.freeze() },
            headers,
        })
    }

    /// Returns whether the beginning of this message is here.
    pub fn holds(&self, subject: &Subject, id: &MessageId) -> bool {
        !self.partials.is_empty() && self.partials.contains_key(&(subject.clone(), id.clone()))
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
        while let Some((_, key)) = self.by_age.first_key_value() {
            let is_old =
                |partial: &Partial| now.saturating_duration_since(partial.started) >= PARTIAL_LIFETIME;
            if !self.partials.get(key).is_none_or(is_old) {
                return;
            }
            let key = key.clone();
            self.drop_partial(&key);
        }
    }

    fn begin(&mut self, now: Instant, key: Key) {
        let (serial, origin) = (self.begun, origin(&key));
        self.begun += 1;
        let partial = Partial { serial, chunks: Vec::new(), bytes: 0, started: now };
        self.weights.add(origin.clone(), partial.weight());
        self.by_origin.entry(origin).or_default().insert(serial, key.clone());
        self.by_age.insert(serial, key.clone());
        self.partials.insert(key, partial);
    }

    /// Makes room for more of a message; false if it has to go itself.
    fn make_room(&mut self, key: &Key, more: usize) -> bool {
        let Some(partial) = self.partials.get(key) else { return false };
        let growth = (partial.bytes + more).max(MIN_PARTIAL_WEIGHT) - partial.weight();
        while self.weights.total() + growth > MAX_PARTIAL_BYTES {
            let origin = origin(key);
            let greediest = self.weights.greedier_than(&origin).unwrap_or(origin);
            let oldest =
                self.by_origin.get(&greediest).and_then(|messages| messages.values().next().cloned());
            match oldest {
                Some(oldest) if oldest != *key => self.drop_partial(&oldest),
                _ => return false,
            }
        }
        true
    }

    fn append(&mut self, key: &Key, chunk: Bytes) {
        let Some(partial) = self.partials.get_mut(key) else { return };
        let before = partial.weight();
        self.bytes += chunk.len();
        partial.bytes += chunk.len();
        partial.chunks.push(chunk);
        self.weights.add(origin(key), partial.weight() - before);
    }

    fn drop_partial(&mut self, key: &Key) {
        if self.forget(key).is_some() {
            self.dropped += 1;
        }
    }

    fn forget(&mut self, key: &Key) -> Option<Partial> {
        let partial = self.partials.remove(key)?;
        let origin = origin(key);
        self.bytes -= partial.bytes;
        self.weights.subtract(origin.clone(), partial.weight());
        self.by_age.remove(&partial.serial);
        if let Some(messages) = self.by_origin.get_mut(&origin) {
            messages.remove(&partial.serial);
            if messages.is_empty() {
                self.by_origin.remove(&origin);
            }
        }
        Some(partial)
    }
}

/// Whose message it is, as far as that is known.
fn origin((subject, id): &Key) -> Arc<str> {
    id.split_once('.').map_or(subject.as_str(), |(origin, _)| origin).into()
}

/// What an unfinished message counts for at least: so there are at most 1024 at once. Publishers send the
/// chunks of a message in one go, so few are open at a time.
pub const MIN_PARTIAL_WEIGHT: usize = 256 * 1024;
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
        Publication::chunk(
            id.into(),
            seq,
            done,
            Message { subject: Subject::parse("a").expect("valid"), payload, headers: Headers::default() },
        )
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

    fn to(subject: &str, publication: Publication) -> Publication {
        Publication { subject: Subject::parse(subject).expect("valid"), ..publication }
    }

    const MAX_PARTIALS: usize = MAX_PARTIAL_BYTES / MIN_PARTIAL_WEIGHT;

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

    #[test]
    fn who_fills_the_room_loses_their_own_and_nobody_elses() {
        let (mut reassembly, now) = (Reassembly::default(), Instant::now());
        let big = || Bytes::from(vec![0; 1 << 20]);
        let mut take = |subject: &str, id: &str, seq, done| {
            reassembly.handle_chunk(now, to(subject, chunk(id, seq, done, big())))
        };
        assert!(take("files.ann", "1.a", 0, false).is_none());
        assert!(take("files.bob", "plain", 0, false).is_none());
        for n in 0..5000 {
            // One sender, whatever the subjects are.
            assert!(take(&format!("files.m{n}"), &format!("2.m{n}"), 0, false).is_none());
        }
        assert!(take("files.m0", "2.m0", 1, true).is_none(), "given up");
        assert!(take("files.ann", "1.a", 1, true).is_some());
        assert!(take("files.bob", "plain", 1, true).is_some());
        assert!(take("files.m4999", "2.m4999", 1, true).is_some());
        let large = Bytes::from(vec![0; MAX_PARTIAL_BYTES + 1]);
        assert!(reassembly.handle_chunk(now, chunk("3.x", 0, false, large)).is_none());
        assert!(reassembly.partials.len() < 300 && reassembly.bytes <= MAX_PARTIAL_BYTES);
        reassembly.drop_old(now + PARTIAL_LIFETIME);
        assert_eq!((reassembly.bytes, reassembly.weights.total(), reassembly.by_origin.len()), (0, 0, 0));
    }

    #[test]
    fn chunks_of_one_id_at_two_subjects_are_two_messages() {
        let (mut reassembly, now) = (Reassembly::default(), Instant::now());
        let mut take = |subject: &str, seq, raw: &'static str| {
            reassembly.handle_chunk(now, to(subject, chunk("m", seq, seq == 1, raw.into())))
        };
        assert!(take("files.ann", 0, "a").is_none());
        assert!(take("files.mallory", 0, "m").is_none());
        assert_eq!(take("files.ann", 1, "a").expect("whole").payload.raw, "aa");
        assert_eq!(take("files.mallory", 1, "m").expect("whole").payload.raw, "mm");
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
