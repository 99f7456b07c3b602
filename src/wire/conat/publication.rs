//! One chunk as the array that both directions write it down in: `[id, seq, done, encoding, bytes,
//! headers?]`.

use std::fmt;
use std::sync::Arc;

use bytes::{BufMut, Bytes, BytesMut};
use serde::de::{Deserialize, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use super::DecodeError;
use super::attachment::{FIRST_PLACEHOLDER, attachment};
use super::headers::{push_headers, split_headers};
use super::json::{Text, push_string, push_u64};
use crate::subject::Subject;
use crate::wire::message::{Chunk, Encoding, Form, Headers, Payload, Publication};

/// Appends the chunk without its brackets. The bytes become attachment 0.
pub(super) fn push_chunk(out: &mut BytesMut, publication: &Publication) {
    push_string(out, publication.id());
    out.put_u8(b',');
    let (seq, done) = publication.position();
    push_u64(out, seq.into());
    out.put_slice(if done { b",1," } else { b",0," });
    push_u64(out, publication.payload.encoding.0.into());
    out.put_u8(b',');
    out.put_slice(FIRST_PLACEHOLDER.as_bytes());
    if !publication.headers.is_empty() {
        out.put_u8(b',');
        push_headers(out, &publication.headers);
    }
}

/// Longer ones are not remembered: real ones have 10 to 32.
const MAX_REMEMBERED_ID_BYTES: usize = 64;

/// The chunk as borrowed from a packet.
#[derive(Debug)]
pub(super) struct RawChunk<'a> {
    id: Text<'a>,
    seq: u32,
    done: bool,
    encoding: u8,
    payload: &'a RawValue,
    headers: Option<&'a RawValue>,
}

impl<'a> RawChunk<'a> {
    /// Joins it with its subject and its bytes. `last`: which chunk the one before it was; a client may give
    /// the same id to all messages that are whole.
    pub(super) fn resolve(
        self,
        subject: Subject,
        attachments: &[Bytes],
        last: &mut Option<Arc<Chunk>>,
    ) -> Result<Publication, DecodeError> {
        let raw = attachment(self.payload.get(), attachments)?;
        let headers = match self.headers {
            Some(headers) => split_headers(headers, attachments)?,
            None => Headers::default(),
        };
        let payload = Payload { encoding: Encoding(self.encoding), raw };
        let Self { id, seq, done, .. } = self;
        let is_same = |last: &Arc<Chunk>| *last.id == *id.0 && (last.seq, last.done) == (seq, done);
        let chunk = last.take().filter(is_same);
        let chunk = chunk.unwrap_or_else(|| Chunk { id: Arc::from(&*id.0), seq, done }.into());
        *last = Some(chunk.clone()).filter(|chunk| chunk.id.len() <= MAX_REMEMBERED_ID_BYTES);
        Ok(Publication { subject, form: Form::Chunk(chunk), payload, headers })
    }

    /// Elements beyond the headers are read over: `targets` is a broker's word, and no client is one.
    fn read<A: SeqAccess<'a>>(items: &mut A) -> Result<Self, A::Error> {
        let id = next(items)?;
        let seq = next(items)?;
        let done = match next::<&RawValue, A>(items)?.get() {
            "1" | "true" => true,
            "0" | "false" => false,
            _ => return Err(A::Error::custom("done is neither 0 nor 1")),
        };
        let chunk = Self {
            id,
            seq,
            done,
            encoding: next(items)?,
            payload: next(items)?,
            headers: items.next_element()?,
        };
        while items.next_element::<IgnoredAny>()?.is_some() {}
        Ok(chunk)
    }
}

/// The argument of `publish`.
#[derive(Debug)]
pub(super) struct RawPublish<'a> {
    /// As JSON: what is no valid subject, a broker answers.
    pub(super) subject: &'a RawValue,
    pub(super) chunk: RawChunk<'a>,
}

impl<'de: 'a, 'a> Deserialize<'de> for RawPublish<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(PublishVisitor)
    }
}

struct PublishVisitor;

impl<'de> Visitor<'de> for PublishVisitor {
    type Value = RawPublish<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a publish")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Self::Value, A::Error> {
        Ok(RawPublish { subject: next(&mut items)?, chunk: RawChunk::read(&mut items)? })
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for RawChunk<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(ChunkVisitor)
    }
}

struct ChunkVisitor;

impl<'de> Visitor<'de> for ChunkVisitor {
    type Value = RawChunk<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a chunk")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Self::Value, A::Error> {
        RawChunk::read(&mut items)
    }
}

/// The argument of a delivery.
#[derive(Debug)]
pub(super) struct RawDelivery<'a> {
    pub(super) subject: Text<'a>,
    pub(super) chunk: RawChunk<'a>,
}

impl<'de: 'a, 'a> Deserialize<'de> for RawDelivery<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(DeliveryVisitor)
    }
}

struct DeliveryVisitor;

impl<'de> Visitor<'de> for DeliveryVisitor {
    type Value = RawDelivery<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a delivery")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let (mut subject, mut chunk) = (None, None);
        while let Some(key) = map.next_key::<Text<'de>>()? {
            match &*key.0 {
                "subject" => subject = Some(map.next_value()?),
                "data" => chunk = Some(map.next_value()?),
                _ => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        match (subject, chunk) {
            (Some(subject), Some(chunk)) => Ok(RawDelivery { subject, chunk }),
            _ => Err(A::Error::custom("subject or data missing")),
        }
    }
}

fn next<'de, T: Deserialize<'de>, A: SeqAccess<'de>>(items: &mut A) -> Result<T, A::Error> {
    items.next_element()?.ok_or_else(|| A::Error::custom("array too short"))
}
