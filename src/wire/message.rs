//! A message: subject, payload, headers. The payload is opaque here; of the headers only the reserved ones are understood.

use std::sync::Arc;

use bytes::Bytes;

use crate::subject::Subject;

/// One whole message.
#[derive(Debug, Clone, PartialEq)]
pub struct Message {
    /// Where it was published.
    pub subject: Subject,
    /// What it carries.
    pub payload: Payload,
    /// What travels beside the payload.
    pub headers: Headers,
}

/// An encoded value. The engine never decodes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Payload {
    /// How `raw` is to be read.
    pub encoding: Encoding,
    /// The bytes.
    pub raw: Bytes,
}

impl Payload {
    /// MessagePack's nil: what commands carry.
    pub const NIL: Self = Self { encoding: Encoding::MSGPACK, raw: Bytes::from_static(b"\xc0") };

    /// A MessagePack payload.
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

    /// A text that was checked by `parse` before.
    pub(super) fn trusted(text: Bytes) -> Self {
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

    /// The same text in bytes of its own.
    pub fn detached(&self) -> Self {
        Self(Bytes::copy_from_slice(&self.0))
    }

    /// The text.
    pub fn as_bytes(&self) -> &Bytes {
        &self.0
    }

    /// The text. Empty only if an invariant of this type is broken.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default()
    }

    /// The value that the text stands for.
    pub fn to_value(&self) -> serde_json::Value {
        serde_json::from_slice(&self.0).unwrap_or_default()
    }
}

/// What travels beside a payload. The reserved headers stand apart from the application's, so that a link in memory
/// and our own frames need no JSON for them; the languages that write them into one object join and split them.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Headers {
    /// `CN-Reply`: where an answer goes.
    pub reply: Option<Subject>,
    /// `CN-SocketCmd`.
    pub command: Option<SocketCommand>,
    /// `CN-SocketSeq`: 1, 2, 3 …
    pub seq: Option<u64>,
    /// `CN-SocketConnectAttempt`: 1, 2, 3 …
    pub attempt: Option<u64>,
    /// A reserved header is there with a value that it must not have. It stays in `json`, as it came.
    pub malformed: bool,
    /// The application's headers: any JSON value, normally an object. `None` when there are none.
    pub json: Option<Json>,
}

impl Headers {
    /// No headers at all.
    pub fn is_empty(&self) -> bool {
        self.json.is_none() && !self.has_reserved()
    }

    /// Whether any of the reserved headers is set.
    pub fn has_reserved(&self) -> bool {
        self.reply.is_some() || self.command.is_some() || self.seq.is_some() || self.attempt.is_some()
    }
}

/// The value of `CN-SocketCmd`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SocketCommand {
    /// A client attaches.
    Connect,
    /// A server of the newer dialect answers a connect.
    Connected,
    /// Either side closes.
    Close,
    /// Keep-alive.
    Ping,
    /// Progress and resend requests of the reliable channel.
    Socket,
    /// Something we do not know.
    Other(Arc<str>),
}

impl SocketCommand {
    /// As it stands on the wire.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Connect => "connect",
            Self::Connected => "connected",
            Self::Close => "close",
            Self::Ping => "ping",
            Self::Socket => "socket",
            Self::Other(name) => name,
        }
    }

    /// From the wire. Never fails: an unknown command is one that its receiver answers with an error.
    pub fn from_name(name: &str) -> Self {
        match name {
            "connect" => Self::Connect,
            "connected" => Self::Connected,
            "close" => Self::Close,
            "ping" => Self::Ping,
            "socket" => Self::Socket,
            other => Self::Other(other.into()),
        }
    }
}
