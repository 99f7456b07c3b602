//! A message that is larger than a piece, in pieces: the headers as they stand, then the payload. The first
//! piece says what it will be.

use bytes::{BufMut, Bytes, BytesMut};

use super::varint::{push_number, split_byte, split_number};
use crate::wire::{Encoding, Item, Payload};

/// What the first piece says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Beginning {
    /// The bytes of the whole: headers and payload.
    pub total: usize,
    /// Those of its headers; 0: it has none.
    pub headers: usize,
    /// What it is.
    pub encoding: Encoding,
    /// The first of its bytes.
    pub bytes: Bytes,
}

impl Beginning {
    /// Begins a message with the first `length` of its bytes.
    pub fn of(item: &Item, length: usize) -> Payload {
        let headers = item.json.as_ref().map_or(0, |json| json.as_bytes().len());
        let bytes = cut(item, 0, length);
        let mut raw = BytesMut::with_capacity(bytes.len() + HEAD_BYTES);
        push_number(&mut raw, item.bytes() as u64);
        push_number(&mut raw, headers as u64);
        raw.put_u8(item.payload.encoding.0);
        raw.put_slice(&bytes);
        Payload { encoding: Encoding::BIG, raw: raw.freeze() }
    }

    /// Goes on with `length` bytes from `from` on.
    pub fn more(item: &Item, from: usize, length: usize) -> Payload {
        Payload { encoding: Encoding::MORE, raw: cut(item, from, length) }
    }

    /// Reads it. What it begins has a class, and more bytes than came with it.
    pub fn decode(raw: &Bytes) -> Option<Self> {
        let (total, headers, encoding, bytes) = read(raw)?;
        Some(Self { total, headers, encoding, bytes: raw.slice_ref(bytes) })
    }

    /// Returns whether `raw` can be read.
    pub(super) fn is_valid(raw: &[u8]) -> bool {
        read(raw).is_some()
    }

    /// Returns what it begins.
    pub fn encoding(raw: &[u8]) -> Option<Encoding> {
        read(raw).map(|(_, _, encoding, _)| encoding)
    }
}

fn read(raw: &[u8]) -> Option<(usize, usize, Encoding, &[u8])> {
    let mut rest = raw;
    let total = usize::try_from(split_number(&mut rest)?).ok()?;
    let headers = usize::try_from(split_number(&mut rest)?).ok()?;
    let encoding = Encoding(split_byte(&mut rest)?);
    let is_sound = headers <= total && rest.len() < total && encoding.class().is_some();
    is_sound.then_some((total, headers, encoding, rest))
}

/// Some of the bytes of a message: its headers, then its payload. Copied only where both are in it.
fn cut(item: &Item, from: usize, length: usize) -> Bytes {
    let raw = &item.payload.raw;
    let Some(json) = &item.json else { return raw.slice(from..from + length) };
    let headers = json.as_bytes();
    if from >= headers.len() {
        return raw.slice(from - headers.len()..from - headers.len() + length);
    }
    let of_headers = length.min(headers.len() - from);
    let mut both = BytesMut::with_capacity(length);
    both.put_slice(&headers[from..from + of_headers]);
    both.put_slice(&raw[..length - of_headers]);
    both.freeze()
}

/// What two lengths and a byte take at most, rounded up.
const HEAD_BYTES: usize = 24;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::wire::Json;

    proptest! {
        #[test]
        fn what_is_cut_anywhere_is_whole_again(
            text in "[a-z]{0,40}",
            has_headers in any::<bool>(),
            raw in prop::collection::vec(any::<u8>(), 2..200),
            lengths in prop::collection::vec(1..50_usize, 200),
        ) {
            let json = has_headers.then(|| Json::from_value(&serde_json::json!({ "h": text })));
            let payload = Payload { encoding: Encoding::REQUEST, raw: raw.into() };
            let item = Item { payload, json };
            let mut lengths = lengths.into_iter();
            let first = lengths.next().expect("many").min(item.bytes() - 1);
            let head = Beginning::decode(&Beginning::of(&item, first).raw).expect("sound");
            prop_assert_eq!((head.total, head.encoding), (item.bytes(), Encoding::REQUEST));
            let mut whole = head.bytes.to_vec();
            while whole.len() < head.total {
                let length = lengths.next().expect("many").min(head.total - whole.len());
                whole.extend_from_slice(&Beginning::more(&item, whole.len(), length).raw);
            }
            let (headers, payload) = whole.split_at(head.headers);
            prop_assert_eq!(headers, item.json.as_ref().map_or(&b""[..], |json| json.as_bytes()));
            prop_assert_eq!(payload, &item.payload.raw[..]);
        }

        #[test]
        fn any_bytes_are_a_beginning_or_none(raw in prop::collection::vec(any::<u8>(), 0..30)) {
            let raw = Bytes::from(raw);
            if let Some(head) = Beginning::decode(&raw) {
                prop_assert!(head.bytes.len() < head.total && head.headers <= head.total);
                prop_assert_eq!(Beginning::encoding(&raw), Some(head.encoding));
            }
        }
    }
}
