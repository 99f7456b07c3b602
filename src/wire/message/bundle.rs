//! Whole messages that were published in one go on one subject: many of them at the cost of one.
//!
//! Kept as the bytes that our own protocol writes (docs/protocols/fabric.md, "Bundles"), so that a broker
//! that only passes it on need not look inside. Protocols without bundles write the messages one by one.

use bytes::Bytes;

use super::packed::{Item, PackedBuilder, PackedMessages, is_small};
use super::{Form, FurtherHeaders, Headers, Message, Payload, Publication};
use crate::subject::Subject;

/// Messages of one subject, oldest first: two and more.
#[derive(Debug, Clone, PartialEq)]
pub struct Bundle {
    /// Where they were published.
    pub subject: Subject,
    /// The number of the first in its socket, if they have any; the others count up from it.
    pub first: Option<u64>,
    /// The incarnation of the socket that they belong to.
    pub attempt: Option<u64>,
    /// The messages.
    pub packed: PackedMessages,
}

impl Bundle {
    /// Takes `raw` if it is exactly `count` messages, within the bounds, and `headers` has only what a bundle
    /// may have.
    pub fn parse(subject: Subject, headers: &Headers, count: u64, raw: Bytes) -> Option<Self> {
        let (first, attempt) = (headers.seq(), headers.attempt());
        if count < 2
            || !headers.has_numbers_only()
            || first.is_some_and(|first| first.saturating_add(count) > 1 << 53)
        {
            return None;
        }
        Some(Self { subject, first, attempt, packed: PackedMessages::parse(count, raw)? })
    }

    /// Returns how many messages there are.
    pub fn count(&self) -> u32 {
        self.packed.count()
    }

    /// Returns how many bytes they take.
    #[expect(clippy::len_without_is_empty, reason = "none is empty")]
    pub fn len(&self) -> usize {
        self.packed.raw().len()
    }

    /// Returns what was taken off its end as a message of its own.
    pub fn message_behind(&self, last: Item) -> Message {
        let seq = self.first.map(|first| first + u64::from(self.packed.count()) - 1);
        let headers = Headers::numbered(seq, self.attempt).with_json(last.json);
        Message { subject: self.subject.clone(), payload: last.payload, headers }
    }

    /// Returns each message by itself. They share the bundle's bytes.
    pub fn messages(&self) -> impl Iterator<Item = Message> + '_ {
        self.packed.items().zip(0..).map(|(Item { payload, json }, index)| {
            let seq = self.first.map(|first| first + index);
            let headers = Headers::numbered(seq, self.attempt).with_json(json);
            Message { subject: self.subject.clone(), payload, headers }
        })
    }
}

impl Publication {
    /// Returns a payload that holds `bundle`.
    pub fn of_bundle(bundle: Bundle) -> Self {
        let Bundle { subject, first, attempt, packed } = bundle;
        let bytes = u32::try_from(packed.payload_bytes()).unwrap_or(u32::MAX);
        let form = Form::Bundle { count: packed.count(), bytes };
        let payload = Payload::msgpack(packed.into_raw());
        Self { subject, form, payload, headers: Headers::numbered(first, attempt) }
    }

    /// Returns what it holds, if that is a bundle.
    pub fn bundle(&self) -> Option<Bundle> {
        if self.is_bundle() { self.clone().into_bundle() } else { None }
    }

    /// The same, without a copy of what they share.
    pub fn into_bundle(self) -> Option<Bundle> {
        let Self { subject, form: Form::Bundle { count, .. }, payload, headers } = self else { return None };
        let packed = PackedMessages::trusted(count, payload.raw);
        Some(Bundle { subject, first: headers.seq(), attempt: headers.attempt(), packed })
    }

    /// Returns how many messages, or chunks of one, it is.
    pub fn count(&self) -> u32 {
        if let Form::Bundle { count, .. } = self.form { count } else { 1 }
    }

    /// Returns the bytes of the application's payloads, or of the chunk of one.
    pub fn payload_bytes(&self) -> usize {
        if let Form::Bundle { bytes, .. } = self.form { bytes as usize } else { self.payload.raw.len() }
    }

    /// Calls `visit` with each of its messages: itself, unless it holds a bundle.
    pub fn for_each_single(self, mut visit: impl FnMut(Self)) {
        let Some(bundle) = self.bundle() else { return visit(self) };
        bundle.messages().for_each(|message| visit(Self::whole(message)));
    }
}

/// Makes a bundle, message by message.
#[derive(Debug)]
pub struct BundleBuilder {
    subject: Subject,
    first: Option<u64>,
    attempt: Option<u64>,
    packed: PackedBuilder,
}

impl BundleBuilder {
    /// Begins with two messages that [`can_be_bundled`], if they may follow each other within `limit` bytes.
    pub fn of_two(first: &Message, second: &Message, limit: usize) -> Option<Self> {
        if first.subject == second.subject { Self::new(first).with(second, limit) } else { None }
    }

    /// Begins with what was to be published alone, which [`can_be_bundled`], and a message behind it.
    pub fn behind(first: &Publication, second: &Message, limit: usize) -> Option<Self> {
        let Publication { subject, payload, headers, .. } = first;
        if *subject == second.subject {
            Self::begin(subject, payload, headers).with(second, limit)
        } else {
            None
        }
    }

    /// Begins with a message that [`can_be_bundled`].
    pub fn new(message: &Message) -> Self {
        Self::begin(&message.subject, &message.payload, &message.headers)
    }

    fn begin(subject: &Subject, payload: &Payload, headers: &Headers) -> Self {
        let (first, attempt) = (headers.seq(), headers.attempt());
        let packed = PackedBuilder::new(payload, headers.json.as_ref());
        Self { subject: subject.clone(), first, attempt, packed }
    }

    fn with(mut self, message: &Message, limit: usize) -> Option<Self> {
        self.takes(message, limit).then(|| self.push(message))?;
        Some(self)
    }

    /// Returns whether `message`, which [`can_be_bundled`], may be the next one, within `limit` bytes.
    pub fn takes(&self, message: &Message, limit: usize) -> bool {
        let Message { subject, headers, payload } = message;
        headers.seq() == self.first.map(|first| first + u64::from(self.packed.count()))
            && headers.attempt() == self.attempt
            && *subject == self.subject
            && self.packed.takes(payload, headers.json.as_ref(), limit)
    }

    /// Appends a message that it takes.
    pub fn push(&mut self, message: &Message) {
        self.packed.push(&message.payload, message.headers.json.as_ref());
    }

    /// Returns the bundle, of two messages or more.
    pub fn finish(self) -> Bundle {
        let Self { subject, first, attempt, packed } = self;
        Bundle { subject, first, attempt, packed: packed.finish() }
    }
}

/// Returns whether a message may travel in a bundle: small, with no reserved header but its number and its
/// incarnation, and with headers that every server takes.
pub fn can_be_bundled(message: &Message) -> bool {
    let FurtherHeaders { command, malformed, json } = &*message.headers;
    let reply = &message.headers.reply;
    let reserved = reply.is_some() || command.is_some() || *malformed;
    !reserved && is_small(&message.payload, json.as_ref())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::message::packed::{MAX_ITEM_BYTES, MAX_PACKED};
    use crate::wire::{Encoding, Json};
    use proptest::prelude::*;

    fn message(seq: Option<u64>, encoding: u8, raw: Vec<u8>, json: Option<String>) -> Message {
        let json = json.map(|text| Json::parse(text.into()).expect("valid"));
        Message {
            subject: Subject::parse("a.b").expect("valid"),
            payload: Payload { encoding: Encoding(encoding), raw: raw.into() },
            headers: Headers::numbered(seq, Some(7)).with_json(json),
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
        let mut fenced = small(6);
        fenced.headers.set_attempt(None);
        assert!(!builder.takes(&fenced, usize::MAX));
        for seq in 6..u64::from(5 + MAX_PACKED) {
            assert!(builder.takes(&small(seq), usize::MAX));
            builder.push(&small(seq));
        }
        assert!(!builder.takes(&small(u64::from(5 + MAX_PACKED)), usize::MAX));
        let kibibytes = message(None, 0, vec![0; 16 * 1024 - 100], None);
        assert_eq!(built(&vec![kibibytes.clone(); 4]).count(), 4);
        let full = BundleBuilder::new(&kibibytes);
        assert!(full.takes(&kibibytes, usize::MAX) && !full.takes(&kibibytes, 20_000));
    }

    #[test]
    fn what_needs_reserved_headers_or_is_big_travels_alone() {
        assert!(can_be_bundled(&message(Some(1), 0, vec![0; 1000], Some("{}".into()))));
        assert!(!can_be_bundled(&message(Some(1), 0, vec![0; MAX_ITEM_BYTES + 1], None)));
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
            let again: Vec<Message> = bundle.messages().collect();
            prop_assert_eq!(&again, &messages);
            let headers = Headers::numbered(first, Some(7));
            let parse = |count, raw: Bytes| Bundle::parse(bundle.subject.clone(), &headers, count, raw);
            let count = u64::from(bundle.count());
            prop_assert_eq!(parse(count, bundle.packed.raw().clone()), Some(bundle.clone()));
            prop_assert_eq!(parse(count + 1, bundle.packed.raw().clone()), None);
            prop_assert_eq!(parse(count - 1, bundle.packed.raw().clone()), None);
            let cut = cut.index(bundle.len());
            prop_assert_eq!(parse(count, bundle.packed.raw().slice(..cut)), None);
            // Noise may be another bundle, but never a panic.
            let mut noisy = bundle.packed.raw().to_vec();
            noisy[cut] ^= noise;
            if let Some(other) = parse(count, noisy.into()) {
                prop_assert_eq!(other.messages().count() as u64, count);
            }
            let mut singles = Vec::new();
            Publication::of_bundle(bundle).for_each_single(|single| singles.push(single));
            prop_assert!(singles.iter().map(|single| &single.payload).eq(messages.iter().map(|message| &message.payload)));
            prop_assert!(singles.iter().all(|single| !single.is_bundle()));
        }
    }
}
