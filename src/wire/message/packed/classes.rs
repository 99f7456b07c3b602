//! Messages in a row that are not all data: what they take of each window, taken apart, and joined with the
//! control behind them.

use super::{Item, Messages, PackedMessages, is_small, last_of, push_item, push_length, split_item};
use crate::wire::Encoding;
use crate::wire::message::stream::{Class, Status};

/// A message where it stands among others.
#[derive(Debug, Clone, Copy)]
pub struct ItemRef<'a> {
    /// The encoding of its payload.
    pub encoding: Encoding,
    /// The bytes of its payload.
    pub payload: &'a [u8],
    /// The application's headers.
    pub json: Option<&'a [u8]>,
}

impl ItemRef<'_> {
    /// Returns what it takes of a window of bytes: payload and headers.
    pub fn bytes(&self) -> usize {
        self.payload.len() + self.json.map_or(0, <[u8]>::len)
    }
}

/// Messages of each class, and their bytes: payloads and headers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Sizes {
    counts: [u32; 3],
    bytes: [usize; 3],
}

/// What packed messages take: by class, and in the last place what has none.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Tally {
    counts: [u32; 4],
    bytes: [u32; 4],
    /// Of these, the bytes of headers.
    headers: u32,
}

impl Tally {
    /// Adds a message.
    #[inline(always)]
    #[allow(clippy::cast_possible_truncation)]
    pub(super) fn add(&mut self, encoding: Encoding, payload: usize, headers: usize) {
        // What is packed has at most 64 KiB.
        let (payload, headers) = (payload as u32, headers as u32);
        let at = usize::from(PLACES[usize::from(encoding.0)] & 3);
        self.counts[at] += 1;
        self.bytes[at] = self.bytes[at].wrapping_add(payload.wrapping_add(headers));
        self.headers = self.headers.wrapping_add(headers);
    }

    /// The same, where it stands.
    #[inline(always)]
    pub(super) fn add_ref(&mut self, item: &ItemRef<'_>) {
        self.add(item.encoding, item.payload.len(), item.json.map_or(0, <[u8]>::len));
    }

    fn remove(&mut self, other: &Self) {
        for at in 0..4 {
            self.counts[at] -= other.counts[at];
            self.bytes[at] = self.bytes[at].wrapping_sub(other.bytes[at]);
        }
        self.headers = self.headers.wrapping_sub(other.headers);
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes.iter().sum::<u32>() as usize
    }

    /// The bytes of payloads alone.
    pub(super) fn payload_bytes(&self) -> usize {
        self.bytes().wrapping_sub(self.headers as usize)
    }
}

/// By encoding: the place in a tally.
const PLACES: [u8; 256] = places();

const fn places() -> [u8; 256] {
    let mut places = [3; 256];
    let mut encoding: u8 = 0;
    loop {
        // Those with a time are handed in one by one: the others need not be looked through for them.
        if let Some(class) = Encoding(encoding).class()
            && !Encoding(encoding).is_timed()
        {
            places[encoding as usize] = class as u8;
        }
        if encoding == u8::MAX {
            return places;
        }
        encoding += 1;
    }
}

impl Sizes {
    /// Adds a message.
    pub fn add(&mut self, class: Class, bytes: usize) {
        self.counts[class as usize] += 1;
        self.bytes[class as usize] += bytes;
    }

    /// Whether it is one message.
    pub fn is_single(&self) -> bool {
        self.counts.iter().sum::<u32>() == 1
    }

    /// How many messages of a class.
    pub fn count(&self, class: Class) -> u32 {
        self.counts[class as usize]
    }

    /// The bytes of a class.
    pub fn bytes(&self, class: Class) -> usize {
        self.bytes[class as usize]
    }
}

impl Class {
    /// Every class there is.
    pub const ALL: [Self; 3] = [Self::Data, Self::Request, Self::Answer];
}

impl PackedMessages {
    /// How many of them are not data.
    pub fn others(&self) -> u32 {
        self.count - self.tally.counts[Class::Data as usize]
    }

    /// Whether some of them are data.
    pub fn has_data(&self) -> bool {
        self.tally.counts[Class::Data as usize] > 0
    }

    /// Whether all of them are data.
    pub fn is_data(&self) -> bool {
        self.tally.counts[Class::Data as usize] == self.count
    }

    /// Removes the first `count` messages and returns them.
    pub fn split_front(&mut self, count: u32) -> Self {
        let (mut rest, mut front) = (&self.raw[..], Self::empty());
        while front.count < count.min(self.count)
            && let Some(item) = split_item(&mut rest)
        {
            front.count += 1;
            front.tally.add_ref(&item);
        }
        front.raw = self.raw.slice(..self.raw.len() - rest.len());
        self.raw = self.raw.slice_ref(rest);
        self.count -= front.count;
        self.tally.remove(&front.tally);
        front
    }

    /// Returns the last message, if it is control, and the others without it. Control stands nowhere else.
    pub fn split_control(&self) -> Option<(Self, ItemRef<'_>)> {
        if self.tally.counts[3] == 0 {
            return None;
        }
        let (mut rest, mut last) = (&self.raw[..], None);
        for _ in 0..self.count {
            let start = self.raw.len() - rest.len();
            last = split_item(&mut rest).map(|item| (start, item));
        }
        let (start, item) = last.filter(|(_, item)| item.encoding.is_control())?;
        let mut gone = Tally::default();
        gone.add_ref(&item);
        let mut others = Self { count: self.count - 1, tally: self.tally, raw: self.raw.slice(..start) };
        others.tally.remove(&gone);
        Some((others, item))
    }

    /// Returns the only message, without taking another share of its bytes; or all of them as they were.
    pub fn into_one(self) -> Result<Item, Self> {
        let mut rest = &self.raw[..];
        match split_item(&mut rest) {
            Some(ItemRef { encoding, payload, json: None }) if rest.is_empty() => {
                let length = payload.len();
                Ok(Item { payload: last_of(self.raw, encoding, length), json: None })
            }
            Some(item) if rest.is_empty() => Ok(item.shared(&self.raw)),
            _ => Err(self),
        }
    }

    /// Returns one of its messages, which was looked at.
    pub fn item(&self, item: ItemRef<'_>) -> Item {
        item.shared(&self.raw)
    }

    /// Returns what they take of each window; `None` if one of them has no class.
    #[inline]
    pub fn sizes(&self) -> Option<Sizes> {
        let Tally { counts: [data, requests, answers, none], bytes, .. } = self.tally;
        let bytes = [bytes[0] as usize, bytes[1] as usize, bytes[2] as usize];
        (none == 0).then_some(Sizes { counts: [data, requests, answers], bytes })
    }
}

impl Messages {
    /// Returns whether all of them are data.
    pub fn is_data(&self) -> bool {
        match self {
            Self::One(item) => item.payload.encoding.is_data(),
            Self::Packed(packed) => packed.is_data(),
        }
    }

    /// Returns whether it is one message that nobody needs when it has arrived: a request, an answer, or what
    /// belongs to them.
    pub fn is_done_with(&self) -> bool {
        let of_requests = |class| matches!(class, Some(Class::Request | Class::Answer));
        matches!(self, Self::One(item) if of_requests(item.payload.encoding.class()))
    }

    /// Returns whether it is a piece of a larger message, or data with a time: what the application wrote is
    /// something else.
    pub fn is_wrapped(&self) -> bool {
        let is_wrapped = |encoding: Encoding| encoding.is_piece() || encoding.is_timed();
        matches!(self, Self::One(item) if is_wrapped(item.payload.encoding))
    }

    /// Returns what they take of each window; `None` if one of them has no class.
    #[inline]
    pub fn sizes(&self) -> Option<Sizes> {
        match self {
            Self::One(item) => {
                let mut sizes = Sizes::default();
                sizes.add(item.payload.encoding.class()?, item.bytes());
                Some(sizes)
            }
            Self::Packed(packed) => packed.sizes(),
        }
    }

    /// Returns the same messages with a status behind them, in bytes of their own; `None` if that is more
    /// than `limit` messages, or if a copy of more than so many bytes.
    pub fn with_status(&self, status: &Status, limit: u32, most: usize) -> Option<PackedMessages> {
        let (bytes, mut tally) = match self {
            Self::One(Item { payload, json }) if is_small(payload, json.as_ref()) => {
                let mut tally = Tally::default();
                let headers = json.as_ref().map_or(0, |json| json.as_bytes().len());
                tally.add(payload.encoding, payload.raw.len(), headers);
                let head = if json.is_some() { length_bytes(headers) } else { 0 };
                (tally.bytes() + head + length_bytes(payload.raw.len() << 1) + 1, tally)
            }
            Self::One(_) => return None,
            Self::Packed(packed) => (packed.raw.len(), packed.tally),
        };
        if self.count() >= limit || bytes > most {
            return None;
        }
        let (short, long);
        let last = if let Some(bytes) = status.encode_short() {
            short = bytes;
            short.bytes()
        } else {
            long = status.encode().raw;
            &long[..]
        };
        // Exactly what it takes: its bytes are shared without another allocation.
        let mut raw = Vec::with_capacity(bytes + length_bytes(last.len() << 1) + 1 + last.len());
        match self {
            Self::One(Item { payload, json }) => push_item(&mut raw, payload, json.as_ref()),
            Self::Packed(packed) => raw.extend_from_slice(&packed.raw),
        }
        push_length(&mut raw, last.len() << 1);
        raw.push(Encoding::STATUS.0);
        raw.extend_from_slice(last);
        tally.add(Encoding::STATUS, last.len(), 0);
        Some(PackedMessages { count: self.count() + 1, tally, raw: raw.into() })
    }

    /// Calls `visit` with each message, to look at.
    pub fn for_each_ref(&self, mut visit: impl FnMut(ItemRef<'_>)) {
        match self {
            Self::One(Item { payload, json }) => visit(ItemRef {
                encoding: payload.encoding,
                payload: &payload.raw,
                json: json.as_ref().map(|json| &json.as_bytes()[..]),
            }),
            Self::Packed(packed) => packed.refs().for_each(visit),
        }
    }
}

/// The bytes of a length, as `push_length` writes it.
fn length_bytes(length: usize) -> usize {
    (usize::BITS - (length | 1).leading_zeros()).div_ceil(7) as usize
}
