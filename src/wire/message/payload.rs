//! The payload of a message, and JSON text: both opaque to the engine.

use bytes::Bytes;

use super::{MAX_HEADERS_BYTES, MAX_HEADERS_DEPTH, json};

/// An encoded value. The engine never decodes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Payload {
    /// The encoding of `raw`.
    pub encoding: Encoding,
    /// The bytes.
    pub raw: Bytes,
}

impl Payload {
    /// MessagePack's nil: what commands carry.
    pub const NIL: Self = Self { encoding: Encoding::MSGPACK, raw: Bytes::from_static(b"\xc0") };

    /// Returns a MessagePack payload.
    pub fn msgpack(raw: impl Into<Bytes>) -> Self {
        Self { encoding: Encoding::MSGPACK, raw: raw.into() }
    }
}

/// The number that names a payload's encoding on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Encoding(pub u8);

impl Encoding {
    /// MessagePack, the default.
    pub const MSGPACK: Self = Self(0);
    /// JSON in UTF-8.
    pub const JSON: Self = Self(1);
}

/// A valid JSON text in UTF-8.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Json(Bytes);

impl Json {
    /// Takes `text` if it is valid JSON (no deeper than serde_json allows, 128 levels).
    pub fn parse(text: Bytes) -> Result<Self, serde_json::Error> {
        serde_json::from_slice::<&serde_json::value::RawValue>(&text)?;
        Ok(Self(text))
    }

    /// Returns a text that `parse` has checked before.
    pub(in crate::wire) fn trusted(text: Bytes) -> Self {
        Self(text)
    }

    /// Copies a text that serde_json has checked already.
    pub fn from_raw(raw: &serde_json::value::RawValue) -> Self {
        Self(Bytes::copy_from_slice(raw.get().as_bytes()))
    }

    /// Writes `value` down.
    pub fn from_value(value: &serde_json::Value) -> Self {
        Self(value.to_string().into())
    }

    /// Writes down what has no maps with keys that are no texts, which no JSON has.
    pub fn of(value: &impl serde::Serialize) -> Self {
        Self(serde_json::to_vec(value).unwrap_or_else(|_| b"null".to_vec()).into())
    }

    /// Returns whether it may be the application's headers of a message.
    pub fn fits_headers(&self) -> bool {
        self.0.len() <= MAX_HEADERS_BYTES && is_depth_within(self.as_str(), MAX_HEADERS_DEPTH)
    }

    /// Returns the same text in bytes of its own.
    pub fn detached(&self) -> Self {
        Self(Bytes::copy_from_slice(&self.0))
    }

    /// Returns the text as bytes.
    pub fn as_bytes(&self) -> &Bytes {
        &self.0
    }

    /// Returns the text. Empty only if an invariant of this type is broken.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default()
    }

    /// The value that the text stands for, as far as serde has such values ([`json::read`]). For what is
    /// looked into only: what goes on to others goes as text.
    pub fn to_value(&self) -> serde_json::Value {
        json::read(self.as_str()).unwrap_or_default()
    }

    /// The text as it stands, to be put into another one.
    pub fn to_raw(&self) -> Box<serde_json::value::RawValue> {
        serde_json::value::RawValue::from_string(self.as_str().to_owned())
            .unwrap_or_else(|_| serde_json::value::RawValue::NULL.to_owned())
    }
}

/// Returns whether arrays and objects nest at most `max` deep. Looks at brackets only: what is no JSON fails
/// later, without recursion deeper than this.
pub(in crate::wire) fn is_depth_within(text: &str, max: usize) -> bool {
    let is_open = |byte: u8| byte == b'[' || byte == b'{';
    // Nearly every packet has fewer brackets than levels allowed, strings included: one fast pass settles it.
    if text.bytes().filter(|&byte| is_open(byte)).count() <= max {
        return true;
    }
    let (mut depth, mut in_string, mut escaped) = (0_usize, false, false);
    for byte in text.bytes() {
        if in_string {
            in_string = escaped || byte != b'"';
            escaped = !escaped && byte == b'\\';
        } else if byte == b'"' {
            in_string = true;
        } else if is_open(byte) {
            depth += 1;
            if depth > max {
                return false;
            }
        } else if byte == b']' || byte == b'}' {
            depth = depth.saturating_sub(1);
        }
    }
    true
}
