//! What stands behind the names in PUBLISH and DELIVER, for a protocol that says by itself where a message
//! goes.

use bytes::{Bytes, BytesMut};

use super::frame::{DecodeError, Head, Reader};
use super::publication::{PublicationDecoder, flags_of, push_rest};
use crate::subject::Subject;
use crate::wire::message::Publication;

/// Appends the flags and what follows them. A payload of [`super::GIVEN_PAYLOAD_BYTES`] and more is given
/// back instead of copied: it must follow right behind.
pub fn push_body(out: &mut BytesMut, publication: Publication) -> Option<Bytes> {
    let mut head = Head::default();
    head.push(flags_of(&publication));
    push_rest(out, head, &publication)
}

/// Reads what [`push_body`] wrote.
#[derive(Debug, Default)]
pub struct BodyDecoder(PublicationDecoder);

impl BodyDecoder {
    /// Reads all of `body`, which came to `subject`. A large payload stays in `shared`, which `body` is a
    /// part of.
    pub fn read(
        &self,
        subject: Subject,
        body: &[u8],
        shared: Option<&Bytes>,
    ) -> Result<Publication, DecodeError> {
        self.0.body(subject, Reader::of(body, shared))
    }
}
