//! Whole messages in a row, kept as bytes: what a bundle carries (docs/protocols/fabric.md, "Bundles"), what
//! a socket writes and hands over in one go, and what crosses to JavaScript and back
//! (docs/internals/boundary.md). One layout for all, so that packed messages go from end to end without being
//! taken apart.

mod classes;

use classes::Tally;
pub use classes::{ItemRef, Sizes};

use bytes::{Buf, BufMut, Bytes, BytesMut};

use super::{Encoding, Json, Payload};
use crate::base::Few;

/// One message: what it carries, and the application's headers.
#[derive(Debug, Clone, PartialEq)]
pub struct Item {
    /// The payload.
    pub payload: Payload,
    /// The application's headers.
    pub json: Option<Json>,
}

/// Small messages, oldest first: at most [`MAX_PACKED`] in [`MAX_PACKED_BYTES`].
#[derive(Debug, Clone, PartialEq)]
pub struct PackedMessages {
    count: u32,
    /// What they take of each window.
    tally: Tally,
    raw: Bytes,
}

/// Messages that are written, or handed over, in one go.
#[derive(Debug, Clone, PartialEq)]
pub enum Messages {
    /// A message.
    One(Item),
    /// Several small ones.
    Packed(PackedMessages),
}

impl Item {
    /// Returns what it takes of a window of bytes: payload and headers. JavaScript counts the same.
    pub fn bytes(&self) -> usize {
        size(&self.payload, self.json.as_ref())
    }

    /// Returns it in bytes of its own: what waits must not keep alive all that it arrived with.
    pub fn detached(self) -> Self {
        let payload = Payload { raw: Bytes::copy_from_slice(&self.payload.raw), ..self.payload };
        Self { payload, json: self.json.map(|json| json.detached()) }
    }
}

/// Returns what a message takes of a window.
fn size(payload: &Payload, json: Option<&Json>) -> usize {
    payload.raw.len() + json.map_or(0, |json| json.as_bytes().len())
}

/// Returns whether a message may be packed: small, with headers that every server takes.
pub(super) fn is_small(payload: &Payload, json: Option<&Json>) -> bool {
    let taken = |json: &Json| json.fits_headers();
    size(payload, json) <= MAX_ITEM_BYTES && json.is_none_or(taken)
}

impl PackedMessages {
    /// Parses `raw` if it is exactly `count` messages, within the bounds, with headers that every server
    /// takes.
    pub fn parse(count: u64, raw: Bytes) -> Option<Self> {
        let count = u32::try_from(count).ok().filter(|count| (1..=MAX_PACKED).contains(count))?;
        if raw.len() > MAX_PACKED_BYTES {
            return None;
        }
        let (mut rest, mut tally) = (&raw[..], Tally::default());
        for _ in 0..count {
            let item = split_item(&mut rest)?;
            tally.add_ref(&item);
            if let Some(json) = item.json {
                let json = Json::parse(Bytes::copy_from_slice(json)).ok();
                json.filter(|json| json.fits_headers())?;
            }
        }
        rest.is_empty().then_some(Self { count, tally, raw })
    }

    /// Takes `raw`, which was parsed before.
    pub(super) fn trusted(count: u32, raw: Bytes) -> Self {
        let (mut rest, mut packed) = (&raw[..], Self::empty());
        for item in (0..count).map_while(|_| split_item(&mut rest)) {
            packed.count += 1;
            packed.tally.add_ref(&item);
        }
        Self { raw, ..packed }
    }

    fn empty() -> Self {
        Self { count: 0, tally: Tally::default(), raw: Bytes::new() }
    }

    /// How many messages there are.
    pub fn count(&self) -> u32 {
        self.count
    }

    /// Returns what they take of a window of bytes.
    pub fn bytes(&self) -> usize {
        self.tally.bytes()
    }

    /// Returns the bytes of their payloads alone.
    pub fn payload_bytes(&self) -> usize {
        self.tally.payload_bytes()
    }

    /// Returns its bytes, without its count.
    pub fn into_raw(self) -> Bytes {
        self.raw
    }

    /// Returns its bytes.
    pub fn raw(&self) -> &Bytes {
        &self.raw
    }

    /// Returns its messages. They share its bytes.
    pub fn items(&self) -> impl Iterator<Item = Item> + '_ {
        let mut rest = &self.raw[..];
        (0..self.count).map_while(move |_| Some(split_item(&mut rest)?.shared(&self.raw)))
    }

    /// Returns its messages, to look at.
    pub fn refs(&self) -> impl Iterator<Item = ItemRef<'_>> {
        let mut rest = &self.raw[..];
        (0..self.count).map_while(move |_| split_item(&mut rest))
    }

    /// Drops the first `count` messages; all of them leave an empty packed. Returns what they took of a
    /// window of bytes.
    pub fn advance(&mut self, count: u32) -> usize {
        self.split_front(count).bytes()
    }
}

impl Messages {
    /// Returns a single message.
    pub fn one(payload: Payload, json: Option<Json>) -> Self {
        Self::One(Item { payload, json })
    }

    /// Returns how many messages there are.
    pub fn count(&self) -> u32 {
        match self {
            Self::One(_) => 1,
            Self::Packed(packed) => packed.count,
        }
    }

    /// Returns what they take of a window of bytes.
    pub fn bytes(&self) -> usize {
        match self {
            Self::One(item) => item.bytes(),
            Self::Packed(packed) => packed.bytes(),
        }
    }

    /// Returns its messages.
    pub fn items(&self) -> impl Iterator<Item = Item> + '_ {
        let (one, many) = match self {
            Self::One(item) => (Some(item.clone()), None),
            Self::Packed(packed) => (None, Some(packed.items())),
        };
        one.into_iter().chain(many.into_iter().flatten())
    }

    /// Returns what `raw`, messages to its end, is best sent as. `None`: it is no messages.
    pub fn split(raw: Bytes) -> Option<Few<Self>> {
        let mut rest = &raw[..];
        let raw = &match split_item(&mut rest) {
            // What is written alone is the only one mostly.
            Some(ItemRef { encoding, payload, json: None }) if rest.is_empty() => {
                let length = payload.len();
                return Some(Few::One(Self::One(Item {
                    payload: last_of(raw, encoding, length),
                    json: None,
                })));
            }
            Some(first) if rest.is_empty() => return Some(Few::One(Self::One(first.checked(&raw)?))),
            _ => raw,
        };
        let mut cut = Splitter { raw, batches: Vec::new(), start: 0, count: 0, tally: Tally::default() };
        let mut rest = &raw[..];
        while !rest.is_empty() {
            let start = raw.len() - rest.len();
            let item = split_item(&mut rest)?;
            cut.put(start, raw.len() - rest.len(), &item)?;
        }
        cut.close(raw.len());
        Some(cut.batches.into())
    }
}

/// Cuts messages in a row into batches.
struct Splitter<'a> {
    raw: &'a Bytes,
    batches: Vec<Messages>,
    /// Where the open batch begins, the number of its messages, and what they take of a window.
    start: usize,
    count: u32,
    tally: Tally,
}

impl Splitter<'_> {
    fn put(&mut self, start: usize, end: usize, item: &ItemRef<'_>) -> Option<()> {
        let small = if item.json.is_none() {
            item.payload.len() <= MAX_ITEM_BYTES
        } else {
            let item = item.checked(self.raw)?;
            is_small(&item.payload, item.json.as_ref())
        };
        if !small {
            self.close(start);
            self.batches.push(Messages::One(item.shared(self.raw)));
            self.start = end;
            return Some(());
        }
        if self.count == MAX_PACKED || end - self.start > MAX_PACKED_BYTES {
            self.close(start);
        }
        self.count += 1;
        self.tally.add_ref(item);
        Some(())
    }

    fn close(&mut self, end: usize) {
        let raw = &self.raw[self.start..end];
        match self.count {
            0 => {}
            1 => self.batches.extend(split_item(&mut &*raw).map(|item| Messages::One(item.shared(self.raw)))),
            count => {
                let raw = self.raw.slice_ref(raw);
                self.batches.push(Messages::Packed(PackedMessages { count, tally: self.tally, raw }));
            }
        }
        (self.start, self.count, self.tally) = (end, 0, Tally::default());
    }
}

/// Builds packed messages, one by one.
#[derive(Debug)]
pub struct PackedBuilder {
    count: u32,
    tally: Tally,
    raw: BytesMut,
}

impl PackedBuilder {
    /// Begins with a small message.
    pub fn new(payload: &Payload, json: Option<&Json>) -> Self {
        let room = (room(payload, json) * 16).clamp(MIN_CAPACITY_BYTES, MAX_PACKED_BYTES);
        let mut builder = Self { count: 0, tally: Tally::default(), raw: BytesMut::with_capacity(room) };
        builder.push(payload, json);
        builder
    }

    /// Returns how many messages there are.
    pub fn count(&self) -> u32 {
        self.count
    }

    /// Returns whether a small message may be the next one, within `limit` bytes.
    pub fn takes(&self, payload: &Payload, json: Option<&Json>, limit: usize) -> bool {
        self.count < MAX_PACKED && self.raw.len() + room(payload, json) <= limit.min(MAX_PACKED_BYTES)
    }

    /// Appends a message that it takes.
    pub fn push(&mut self, payload: &Payload, json: Option<&Json>) {
        push_item(&mut self.raw, payload, json);
        self.tally.add(payload.encoding, payload.raw.len(), json.map_or(0, |json| json.as_bytes().len()));
        self.count += 1;
    }

    /// Returns the packed messages.
    pub fn finish(self) -> PackedMessages {
        let Self { count, tally, raw } = self;
        PackedMessages { count, tally, raw: raw.freeze() }
    }
}

/// Returns the bytes that a message takes at least when packed.
fn room(payload: &Payload, json: Option<&Json>) -> usize {
    size(payload, json) + ITEM_OVERHEAD_BYTES
}

impl ItemRef<'_> {
    /// Returns the message, whose headers have been checked before.
    fn shared(&self, raw: &Bytes) -> Item {
        let payload = Payload { encoding: self.encoding, raw: raw.slice_ref(self.payload) };
        Item { payload, json: self.json.map(|json| Json::trusted(raw.slice_ref(json))) }
    }

    /// Returns the message, if its headers are JSON.
    fn checked(&self, raw: &Bytes) -> Option<Item> {
        self.json.is_none_or(|json| Json::parse(raw.slice_ref(json)).is_ok()).then(|| self.shared(raw))
    }
}

/// Returns a payload of so many bytes that stands at the end of `raw`, without taking another share of it.
fn last_of(mut raw: Bytes, encoding: Encoding, length: usize) -> Payload {
    raw.advance(raw.len() - length);
    Payload { encoding, raw }
}

/// Takes the next message from the front of `rest`.
fn split_item<'a>(rest: &mut &'a [u8]) -> Option<ItemRef<'a>> {
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
    Some(ItemRef { encoding: Encoding(encoding), payload, json })
}

/// Reads a length of seven bits a byte, the lowest first; five bytes at most.
fn split_length(rest: &mut &[u8]) -> Option<usize> {
    let mut length = 0;
    for shift in [0, 7, 14, 21, 28] {
        let (&byte, after) = rest.split_first()?;
        *rest = after;
        length |= usize::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(length);
        }
    }
    None
}

/// Writes one message in packed form, whatever its size.
pub fn push_item(out: &mut impl BufMut, payload: &Payload, json: Option<&Json>) {
    push_length(out, payload.raw.len() << 1 | usize::from(json.is_some()));
    if let Some(json) = json.map(Json::as_bytes) {
        push_length(out, json.len());
        out.put_slice(json);
    }
    out.put_u8(payload.encoding.0);
    out.put_slice(&payload.raw);
}

fn push_length(out: &mut impl BufMut, mut length: usize) {
    while length >= 0x80 {
        out.put_u8(length.to_le_bytes()[0] | 0x80);
        length >>= 7;
    }
    out.put_u8(length.to_le_bytes()[0]);
}

/// Most messages in one pack: with fewer, the pack itself would add to the cost of a small message.
pub const MAX_PACKED: u32 = 256;
/// Most bytes of a pack: with this many, one message more or less makes no difference, and others get their
/// turn.
pub const MAX_PACKED_BYTES: usize = 64 * 1024;
/// A message larger than this, headers included, gains nothing by being packed.
pub(super) const MAX_ITEM_BYTES: usize = 16 * 1024;
/// The lengths of payload and headers, and the encoding.
const ITEM_OVERHEAD_BYTES: usize = 7;
/// Where a buffer for small messages begins.
const MIN_CAPACITY_BYTES: usize = 512;

#[cfg(test)]
mod tests;
