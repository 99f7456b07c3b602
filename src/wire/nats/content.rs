//! How payloads look to programs of NATS: `Content-Type` says how a value is encoded, and bytes are bytes.

use bytes::{BufMut, Bytes, BytesMut};

use crate::wire::message::{Encoding, Payload};

/// What a payload is on the wire.
pub(super) struct Content {
    pub(super) content_type: Option<&'static str>,
    pub(super) raw: Bytes,
}

/// Returns how a payload travels in the open form; `None` for what only our own programs know.
pub(super) fn open(payload: &Payload) -> Option<Content> {
    let (content_type, raw) = match payload.encoding {
        Encoding::MSGPACK => match bytes_in(&payload.raw) {
            Some(bytes) => (None, bytes),
            None => (Some(MSGPACK), payload.raw.clone()),
        },
        Encoding::JSON => (Some(JSON), payload.raw.clone()),
        _ => return None,
    };
    Some(Content { content_type, raw })
}

/// Returns the payload that `raw` is. A type that is not known here, and none at all, stands for bytes.
pub(super) fn payload(content_type: Option<&str>, raw: &[u8], shared: Option<&Bytes>) -> Payload {
    let name = content_type.and_then(|text| text.split(';').next()).unwrap_or_default().trim_ascii();
    if name.eq_ignore_ascii_case(MSGPACK) {
        return Payload::msgpack(kept(raw, shared));
    }
    if name.eq_ignore_ascii_case(JSON) {
        return Payload { encoding: Encoding::JSON, raw: kept(raw, shared) };
    }
    let is_text = name.eq_ignore_ascii_case(TEXT) && std::str::from_utf8(raw).is_ok();
    Payload::msgpack(wrapped(raw, is_text))
}

fn kept(raw: &[u8], shared: Option<&Bytes>) -> Bytes {
    match shared {
        Some(shared) => shared.slice_ref(raw),
        None => Bytes::copy_from_slice(raw),
    }
}

/// Returns the bytes if `raw` is exactly one `bin` of MessagePack.
fn bytes_in(raw: &Bytes) -> Option<Bytes> {
    let (head, length) = match raw[..] {
        [BIN8, length, ..] => (2, usize::from(length)),
        [BIN16, a, b, ..] => (3, usize::from(u16::from_be_bytes([a, b]))),
        [BIN32, a, b, c, d, ..] => (5, u32::from_be_bytes([a, b, c, d]) as usize),
        _ => return None,
    };
    (raw.len() - head == length).then(|| raw.slice(head..))
}

/// Returns `raw` as a value of MessagePack.
fn wrapped(raw: &[u8], is_text: bool) -> Bytes {
    let mut out = BytesMut::with_capacity(raw.len() + 5);
    let [eight, sixteen, most] = if is_text { [STR8, STR16, STR32] } else { [BIN8, BIN16, BIN32] };
    if let Ok(length) = u8::try_from(raw.len()) {
        out.put_slice(&[eight, length]);
    } else if let Ok(length) = u16::try_from(raw.len()) {
        out.put_u8(sixteen);
        out.put_u16(length);
    } else {
        out.put_u8(most);
        // No server takes a message of 4 GiB.
        out.put_u32(u32::try_from(raw.len()).unwrap_or(u32::MAX));
    }
    out.put_slice(raw);
    out.freeze()
}

const MSGPACK: &str = "application/msgpack";
const JSON: &str = "application/json";
const TEXT: &str = "text/plain";

const BIN8: u8 = 0xc4;
const BIN16: u8 = 0xc5;
const BIN32: u8 = 0xc6;
const STR8: u8 = 0xd9;
const STR16: u8 = 0xda;
const STR32: u8 = 0xdb;
