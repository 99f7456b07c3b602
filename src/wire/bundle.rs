//! Whole messages that were published in one go on one subject: many of them at the cost of one.
//!
//! Kept as the bytes that our own language writes (docs/wire.md, "Bundles"), so that who only passes it on looks at nothing in it.
//! Languages without bundles write the messages one by one.

use bytes::{BufMut, Bytes, BytesMut};

use super::socketio::fits;
use super::{Encoding, Headers, Json, Message, MessageId, Payload, Publication};
use crate::subject::Subject;

/// Messages of one subject, oldest first: two and more, at most [`MAX_BUNDLED`] in [`MAX_BUNDLE_BYTES`].
#[derive(Debug, Clone, PartialEq)]
pub struct Bundle {
    /// Where they were published.
    pub subject: Subject,
    /// The number of the first in its socket, if they have any; the others count up from it.
    first: Option<u64>,
    count: u32,
    raw: Bytes,
}

/// One message of a bundle.
#[derive(Debug, Clone, PartialEq)]
pub struct Part {
    /// Its number in its socket.
    pub seq: Option<u64>,
    /// What it carries.
    pub payload: Payload,
    /// The application's headers.
    pub json: Option<Json>,
}

impl Bundle {
    /// Takes `raw` if it is exactly `count` messages, within the bounds.
    pub fn parse(subject: Subject, first: Option<u64>, count: u64, raw: Bytes) -> Option<Self> {
        let count = u32::try_from(count).ok().filter(|count| (2..=MAX_BUNDLED).contains(count))?;
        if raw.len() > MAX_BUNDLE_BYTES || first.is_some_and(|first| first + u64::from(count) > 1 << 53) {
            return None;
        }
        let mut rest = &raw[..];
        for _ in 0..count {
            let part = split_part(&mut rest)?;
            if let Some(json) = part.json {
                let json = Json::parse(Bytes::copy_from_slice(json)).ok();
                json.filter(|json| fits(&Headers { json: Some(json.clone()), ..Headers::default() }))?;
            }
        }
        rest.is_empty().then_some(Self { subject, first, count, raw })
    }

    /// How many messages there are.
    pub fn count(&self) -> u32 {
        self.count
    }

    /// How many bytes they take.
    #[expect(clippy::len_without_is_empty, reason = "none is empty")]
    pub fn len(&self) -> usize {
        self.raw.len()
    }

    /// Its messages. They share its bytes.
    pub fn parts(&self) -> impl Iterator<Item = Part> + '_ {
        let mut rest = &self.raw[..];
        (0..self.count).map_while(move |index| {
            let part = split_part(&mut rest)?;
            Some(Part {
                seq: self.first.map(|first| first + u64::from(index)),
                payload: Payload { encoding: part.encoding, raw: self.raw.slice_ref(part.payload) },
                json: part.json.map(|json| Json::trusted(self.raw.slice_ref(json))),
            })
        })
    }
}

impl Part {
    /// As a message of its own.
    pub fn into_message(self, subject: Subject) -> Message {
        let headers = Headers { seq: self.seq, json: self.json, ..Headers::default() };
        Message { subject, payload: self.payload, headers }
    }
}

impl Publication {
    /// One that holds `bundle`.
    pub fn of_bundle(bundle: Bundle, id: MessageId) -> Self {
        let Bundle { subject, first, count, raw } = bundle;
        let headers = Headers { seq: first, ..Headers::default() };
        Self { subject, id, seq: 0, done: true, bundled: count, payload: Payload::msgpack(raw), headers }
    }

    /// What it holds, if that is a bundle.
    pub fn bundle(&self) -> Option<Bundle> {
        (self.bundled > 0).then(|| Bundle {
            subject: self.subject.clone(),
            first: self.headers.seq,
            count: self.bundled,
            raw: self.payload.raw.clone(),
        })
    }

    /// How many messages, or chunks of one, it is.
    pub fn count(&self) -> u32 {
        self.bundled.max(1)
    }

    /// Calls `visit` with each of its messages: itself, unless it holds a bundle.
    pub fn for_each_single(self, mut visit: impl FnMut(Self)) {
        let Some(bundle) = self.bundle() else { return visit(self) };
        for part in bundle.parts() {
            let Message { subject, payload, headers } = part.into_message(self.subject.clone());
            visit(Self { subject, id: self.id.clone(), seq: 0, done: true, bundled: 0, payload, headers });
        }
    }
}

/// Makes a bundle, message by message.
#[derive(Debug)]
pub struct BundleBuilder {
    subject: Subject,
    first: Option<u64>,
    count: u32,
    raw: BytesMut,
}

impl BundleBuilder {
    /// Begins with a message that [`can_be_bundled`].
    pub fn new(message: &Message) -> Self {
        let room = (length(message) * 16).clamp(LEAST_ROOM_BYTES, MAX_BUNDLE_BYTES);
        let mut builder = Self {
            subject: message.subject.clone(),
            first: message.headers.seq,
            count: 0,
            raw: BytesMut::with_capacity(room),
        };
        builder.push(message);
        builder
    }

    /// Begins with two messages that [`can_be_bundled`], if they may follow each other within `limit` bytes.
    pub fn of_two(first: &Message, second: &Message, limit: usize) -> Option<Self> {
        let follows =
            second.headers.seq == first.headers.seq.map(|seq| seq + 1) && second.subject == first.subject;
        let mut builder = (follows && length(first) + length(second) <= limit).then(|| Self::new(first))?;
        builder.push(second);
        Some(builder)
    }

    /// Whether `message`, which [`can_be_bundled`], may be the next one, within `limit` bytes.
    pub fn takes(&self, message: &Message, limit: usize) -> bool {
        self.count < MAX_BUNDLED
            && message.headers.seq == self.first.map(|first| first + u64::from(self.count))
            && self.raw.len() + length(message) <= limit.min(MAX_BUNDLE_BYTES)
            && message.subject == self.subject
    }

    /// Appends a message that it takes.
    pub fn push(&mut self, message: &Message) {
        let Message { payload, headers, .. } = message;
        let json = headers.json.as_ref().map(Json::as_bytes);
        push_length(&mut self.raw, payload.raw.len() << 1 | usize::from(json.is_some()));
        if let Some(json) = json {
            push_length(&mut self.raw, json.len());
            self.raw.put_slice(json);
        }
        self.raw.put_u8(payload.encoding.0);
        self.raw.put_slice(&payload.raw);
        self.count += 1;
    }

    /// The bundle. Of two messages and more.
    pub fn finish(self) -> Bundle {
        let Self { subject, first, count, raw } = self;
        Bundle { subject, first, count, raw: raw.freeze() }
    }
}

/// Whether a message may travel in a bundle: small, with no reserved header but its number, and with headers that everybody takes.
pub fn can_be_bundled(message: &Message) -> bool {
    let Headers { reply, command, attempt, malformed, json, .. } = &message.headers;
    let reserved = reply.is_some() || command.is_some() || attempt.is_some() || *malformed;
    let json_length = json.as_ref().map_or(0, |json| json.as_bytes().len());
    !reserved
        && message.payload.raw.len() + json_length <= MAX_PART_BYTES
        && (json.is_none() || fits(&message.headers))
}

/// At least what it takes in a bundle.
fn length(message: &Message) -> usize {
    let json = message.headers.json.as_ref().map_or(0, |json| json.as_bytes().len());
    message.payload.raw.len() + json + PART_OVERHEAD_BYTES
}

struct RawPart<'a> {
    encoding: Encoding,
    payload: &'a [u8],
    json: Option<&'a [u8]>,
}

/// Takes the next message from the front of `rest`.
fn split_part<'a>(rest: &mut &'a [u8]) -> Option<RawPart<'a>> {
    let head = split_length(rest)?;
    let json = if head & 1 == 0 {
        None
    } else {
        let length = split_length(rest)?;
        let (json, after) = rest.split_at_checked(length)?;
        *rest = after;
        Some(json)
    };
    let (&encoding, after) = rest.split_first()?;
    let (payload, after) = after.split_at_checked(head >> 1)?;
    *rest = after;
    Some(RawPart { encoding: Encoding(encoding), payload, json })
}

/// Seven bits a byte, the lowest first; three bytes at most, which is more than a bundle has.
fn split_length(rest: &mut &[u8]) -> Option<usize> {
    let mut length = 0;
    for shift in [0, 7, 14] {
        let (&byte, after) = rest.split_first()?;
        *rest = after;
        length |= usize::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(length);
        }
    }
    None
}

fn push_length(out: &mut BytesMut, mut length: usize) {
    while length >= 0x80 {
        out.put_u8(length.to_le_bytes()[0] | 0x80);
        length >>= 7;
    }
    out.put_u8(length.to_le_bytes()[0]);
}

/// Most messages of a bundle: with fewer the bundle itself would show in the cost of a small message.
pub const MAX_BUNDLED: u32 = 256;
/// Most bytes of a bundle: with this many, one message more or less makes no difference, and others get their turn.
pub const MAX_BUNDLE_BYTES: usize = 64 * 1024;
/// A message larger than this, headers included, gains nothing in a bundle.
const MAX_PART_BYTES: usize = 16 * 1024;
/// The lengths of payload and headers, and the encoding.
const PART_OVERHEAD_BYTES: usize = 7;
/// Where a buffer for small messages begins.
const LEAST_ROOM_BYTES: usize = 512;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn message(seq: Option<u64>, encoding: u8, raw: Vec<u8>, json: Option<String>) -> Message {
        let json = json.map(|text| Json::parse(text.into()).expect("valid"));
        Message {
            subject: Subject::parse("a.b").expect("valid"),
            payload: Payload { encoding: Encoding(encoding), raw: raw.into() },
            headers: Headers { seq, json, ..Headers::default() },
        }
    }

    fn built(messages: &[Message]) -> Bundle {
        let mut builder = BundleBuilder::new(&messages[0]);
        for message in &messages[1..] {
            assert!(can_be_bundled(message) && builder.takes(message, usize::MAX));
            builder.push(message);
        }
        builder.finish()
    }

    #[test]
    fn a_bundle_is_bounded_in_number_in_bytes_and_to_one_subject_and_its_next_numbers() {
        let small = |seq| message(Some(seq), 0, vec![1; 10], None);
        let mut builder = BundleBuilder::new(&small(5));
        assert!(!builder.takes(&small(5), usize::MAX) && !builder.takes(&small(7), usize::MAX));
        assert!(!builder.takes(&message(None, 0, vec![], None), usize::MAX));
        assert!(builder.takes(&small(6), 100) && !builder.takes(&small(6), 20));
        let other = Message { subject: Subject::parse("a.c").expect("valid"), ..small(6) };
        assert!(!builder.takes(&other, usize::MAX));
        for seq in 6..u64::from(5 + MAX_BUNDLED) {
            assert!(builder.takes(&small(seq), usize::MAX));
            builder.push(&small(seq));
        }
        assert!(!builder.takes(&small(u64::from(5 + MAX_BUNDLED)), usize::MAX));
        let kibibytes = message(None, 0, vec![0; 16 * 1024 - 100], None);
        assert!(!built(&vec![kibibytes.clone(); 4]).raw.is_empty());
        let full = BundleBuilder::new(&kibibytes);
        assert!(full.takes(&kibibytes, usize::MAX) && !full.takes(&kibibytes, 20_000));
    }

    #[test]
    fn what_needs_reserved_headers_or_is_big_travels_alone() {
        assert!(can_be_bundled(&message(Some(1), 0, vec![0; 1000], Some("{}".into()))));
        assert!(!can_be_bundled(&message(Some(1), 0, vec![0; MAX_PART_BYTES + 1], None)));
        let mut asks = message(None, 0, vec![], None);
        asks.headers.reply = Subject::parse("r").ok();
        assert!(!can_be_bundled(&asks));
        let deep = format!("{}1{}", "[".repeat(100), "]".repeat(100));
        assert!(!can_be_bundled(&message(None, 0, vec![], Some(deep))));
    }

    proptest! {
        #[test]
        fn what_went_in_comes_out_and_nothing_else_is_taken(
            first in prop::option::of(1..1000_u64),
            parts in prop::collection::vec(
                (any::<u8>(), prop::collection::vec(any::<u8>(), 0..300), prop::option::of("\\{\"[a-z]{0,9}\":[0-9]\\}")),
                2..40,
            ),
            cut in any::<prop::sample::Index>(),
            noise in any::<u8>(),
        ) {
            let messages: Vec<Message> = parts.into_iter().zip(0_u64..).map(|((encoding, raw, json), index)| {
                message(first.map(|first| first + index), encoding, raw, json)
            }).collect();
            let bundle = built(&messages);
            let again: Vec<Message> = bundle.parts().map(|part| part.into_message(bundle.subject.clone())).collect();
            prop_assert_eq!(&again, &messages);
            let parse = |count, raw: Bytes| Bundle::parse(bundle.subject.clone(), first, count, raw);
            let count = u64::from(bundle.count());
            prop_assert_eq!(parse(count, bundle.raw.clone()), Some(bundle.clone()));
            prop_assert_eq!(parse(count + 1, bundle.raw.clone()), None);
            prop_assert_eq!(parse(count - 1, bundle.raw.clone()), None);
            let cut = cut.index(bundle.raw.len());
            prop_assert_eq!(parse(count, bundle.raw.slice(..cut)), None);
            // Noise may be another bundle, but never a panic.
            let mut noisy = bundle.raw.to_vec();
            noisy[cut] ^= noise;
            if let Some(other) = parse(count, noisy.into()) {
                prop_assert_eq!(other.parts().count() as u64, count);
            }
            let mut singles = Vec::new();
            Publication::of_bundle(bundle, "1".into()).for_each_single(|single| singles.push(single));
            prop_assert!(singles.iter().map(|single| &single.payload).eq(messages.iter().map(|message| &message.payload)));
            prop_assert!(singles.iter().all(|single| single.bundled == 0));
        }
    }
}
