//! Whole messages in a row, kept as bytes: what a bundle carries (docs/protocols/fabric.md, "Bundles"), what a socket writes and hands over in one go,
//! and what crosses to JavaScript and back (docs/internals/boundary.md). One layout for all, so that a run goes from end to end without being taken apart.

use bytes::{BufMut, Bytes, BytesMut};

use super::socketio::fits;
use super::{Encoding, Headers, Json, Payload};

/// One message: what it carries, and the application's headers.
#[derive(Debug, Clone, PartialEq)]
pub struct Part {
    /// What it carries.
    pub payload: Payload,
    /// The application's headers.
    pub json: Option<Json>,
}

/// Small messages, oldest first: at most [`MAX_RUN`] in [`MAX_RUN_BYTES`].
#[derive(Debug, Clone, PartialEq)]
pub struct Run {
    count: u32,
    bytes: usize,
    raw: Bytes,
}

/// What is written, or handed over, in one go.
#[derive(Debug, Clone, PartialEq)]
pub enum Parcel {
    /// A message.
    One(Part),
    /// Several small ones.
    Many(Run),
}

impl Part {
    /// What it takes of a window of bytes: payload and headers. JavaScript counts the same.
    pub fn bytes(&self) -> usize {
        size(&self.payload, self.json.as_ref())
    }
}

/// What a message takes of a window.
fn size(payload: &Payload, json: Option<&Json>) -> usize {
    payload.raw.len() + json.map_or(0, |json| json.as_bytes().len())
}

/// Whether a message may be one of several: small, with headers that everybody takes.
pub(super) fn is_small(payload: &Payload, json: Option<&Json>) -> bool {
    let taken = |json: &Json| fits(&Headers { json: Some(json.clone()), ..Headers::default() });
    size(payload, json) <= MAX_PART_BYTES && json.is_none_or(taken)
}

impl Run {
    /// Takes `raw` if it is exactly `count` messages, within the bounds, with headers that everybody takes.
    pub fn parse(count: u64, raw: Bytes) -> Option<Self> {
        let count = u32::try_from(count).ok().filter(|count| (1..=MAX_RUN).contains(count))?;
        if raw.len() > MAX_RUN_BYTES {
            return None;
        }
        let (mut rest, mut bytes) = (&raw[..], 0);
        for _ in 0..count {
            let part = split_part(&mut rest)?;
            bytes += part.bytes();
            if let Some(json) = part.json {
                let json = Json::parse(Bytes::copy_from_slice(json)).ok();
                json.filter(|json| fits(&Headers { json: Some(json.clone()), ..Headers::default() }))?;
            }
        }
        rest.is_empty().then_some(Self { count, bytes, raw })
    }

    /// Takes `raw`, which was parsed before.
    pub(super) fn trusted(count: u32, raw: Bytes) -> Self {
        let (mut rest, mut run) = (&raw[..], Self { count: 0, bytes: 0, raw: Bytes::new() });
        for part in (0..count).map_while(|_| split_part(&mut rest)) {
            run.count += 1;
            run.bytes += part.bytes();
        }
        Self { raw, ..run }
    }

    /// How many messages there are.
    pub fn count(&self) -> u32 {
        self.count
    }

    /// What they take of a window of bytes.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// All of it, without its count.
    pub fn into_raw(self) -> Bytes {
        self.raw
    }

    /// All of it.
    pub fn raw(&self) -> &Bytes {
        &self.raw
    }

    /// Its messages. They share its bytes.
    pub fn parts(&self) -> impl Iterator<Item = Part> + '_ {
        let mut rest = &self.raw[..];
        (0..self.count).map_while(move |_| Some(split_part(&mut rest)?.shared(&self.raw)))
    }

    /// Drops the first `count` messages; all of them leave an empty run. Gives what they took of a window of bytes.
    pub fn advance(&mut self, count: u32) -> usize {
        let (mut rest, mut bytes) = (&self.raw[..], 0);
        for _ in 0..count.min(self.count) {
            bytes += split_part(&mut rest).map_or(0, |part| part.bytes());
        }
        self.raw = self.raw.slice_ref(rest);
        self.count -= count.min(self.count);
        self.bytes -= bytes;
        bytes
    }
}

impl Parcel {
    /// A message.
    pub fn one(payload: Payload, json: Option<Json>) -> Self {
        Self::One(Part { payload, json })
    }

    /// How many messages there are.
    pub fn count(&self) -> u32 {
        match self {
            Self::One(_) => 1,
            Self::Many(run) => run.count,
        }
    }

    /// What they take of a window of bytes.
    pub fn bytes(&self) -> usize {
        match self {
            Self::One(part) => part.bytes(),
            Self::Many(run) => run.bytes,
        }
    }

    /// Its messages.
    pub fn parts(&self) -> impl Iterator<Item = Part> + '_ {
        let (one, many) = match self {
            Self::One(part) => (Some(part.clone()), None),
            Self::Many(run) => (None, Some(run.parts())),
        };
        one.into_iter().chain(many.into_iter().flatten())
    }

    /// What `raw`, messages to its end, is best sent as. `None`: it is no messages.
    pub fn cut(raw: &Bytes) -> Option<Vec<Self>> {
        let mut cut = Cutter { raw, parcels: Vec::new(), start: 0, count: 0, bytes: 0 };
        let mut rest = &raw[..];
        while !rest.is_empty() {
            let start = raw.len() - rest.len();
            let part = split_part(&mut rest)?;
            cut.put(start, raw.len() - rest.len(), &part)?;
        }
        cut.close(raw.len());
        Some(cut.parcels)
    }
}

/// Cuts messages in a row into parcels.
struct Cutter<'a> {
    raw: &'a Bytes,
    parcels: Vec<Parcel>,
    /// Where the open run begins, how many messages it has, and what they take of a window.
    start: usize,
    count: u32,
    bytes: usize,
}

impl Cutter<'_> {
    fn put(&mut self, start: usize, end: usize, part: &RawPart<'_>) -> Option<()> {
        let small = if part.json.is_none() {
            part.payload.len() <= MAX_PART_BYTES
        } else {
            let part = part.checked(self.raw)?;
            is_small(&part.payload, part.json.as_ref())
        };
        if !small {
            self.close(start);
            self.parcels.push(Parcel::One(part.shared(self.raw)));
            self.start = end;
            return Some(());
        }
        if self.count == MAX_RUN || end - self.start > MAX_RUN_BYTES {
            self.close(start);
        }
        self.count += 1;
        self.bytes += part.bytes();
        Some(())
    }

    fn close(&mut self, end: usize) {
        let raw = self.raw.slice(self.start..end);
        match self.count {
            0 => {}
            1 => self.parcels.extend(split_part(&mut &raw[..]).map(|part| Parcel::One(part.shared(&raw)))),
            count => self.parcels.push(Parcel::Many(Run { count, bytes: self.bytes, raw })),
        }
        (self.start, self.count, self.bytes) = (end, 0, 0);
    }
}

/// Makes a run, message by message.
#[derive(Debug)]
pub struct RunBuilder {
    count: u32,
    bytes: usize,
    raw: BytesMut,
}

impl RunBuilder {
    /// Begins with a small message.
    pub fn new(payload: &Payload, json: Option<&Json>) -> Self {
        let room = (room(payload, json) * 16).clamp(LEAST_ROOM_BYTES, MAX_RUN_BYTES);
        let mut builder = Self { count: 0, bytes: 0, raw: BytesMut::with_capacity(room) };
        builder.push(payload, json);
        builder
    }

    /// How many messages there are.
    pub fn count(&self) -> u32 {
        self.count
    }

    /// Whether a small message may be the next one, within `limit` bytes.
    pub fn takes(&self, payload: &Payload, json: Option<&Json>, limit: usize) -> bool {
        self.count < MAX_RUN && self.raw.len() + room(payload, json) <= limit.min(MAX_RUN_BYTES)
    }

    /// Appends a message that it takes.
    pub fn push(&mut self, payload: &Payload, json: Option<&Json>) {
        push_part(&mut self.raw, payload, json);
        self.bytes += size(payload, json);
        self.count += 1;
    }

    /// The run.
    pub fn finish(self) -> Run {
        let Self { count, bytes, raw } = self;
        Run { count, bytes, raw: raw.freeze() }
    }
}

/// At least what a message takes in a run.
fn room(payload: &Payload, json: Option<&Json>) -> usize {
    size(payload, json) + PART_OVERHEAD_BYTES
}

struct RawPart<'a> {
    encoding: Encoding,
    payload: &'a [u8],
    json: Option<&'a [u8]>,
}

impl RawPart<'_> {
    fn bytes(&self) -> usize {
        self.payload.len() + self.json.map_or(0, <[u8]>::len)
    }

    /// The message, whose headers have been looked at before.
    fn shared(&self, raw: &Bytes) -> Part {
        let payload = Payload { encoding: self.encoding, raw: raw.slice_ref(self.payload) };
        Part { payload, json: self.json.map(|json| Json::trusted(raw.slice_ref(json))) }
    }

    /// The message, if its headers are JSON.
    fn checked(&self, raw: &Bytes) -> Option<Part> {
        self.json.is_none_or(|json| Json::parse(raw.slice_ref(json)).is_ok()).then(|| self.shared(raw))
    }
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

/// Seven bits a byte, the lowest first; five bytes at most.
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

/// Writes one message as it stands in a run, whatever its size.
pub fn push_part(out: &mut impl BufMut, payload: &Payload, json: Option<&Json>) {
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

/// Most messages of a run: with fewer the run itself would show in the cost of a small message.
pub const MAX_RUN: u32 = 256;
/// Most bytes of a run: with this many, one message more or less makes no difference, and others get their turn.
pub const MAX_RUN_BYTES: usize = 64 * 1024;
/// A message larger than this, headers included, gains nothing in a run.
pub(super) const MAX_PART_BYTES: usize = 16 * 1024;
/// The lengths of payload and headers, and the encoding.
const PART_OVERHEAD_BYTES: usize = 7;
/// Where a buffer for small messages begins.
const LEAST_ROOM_BYTES: usize = 512;

#[cfg(test)]
mod tests;
