//! The bodies of PUBLISH and DELIVER from the flags on: they differ by an acknowledgement and a pattern.

use bytes::{Bytes, BytesMut};

use super::GIVEN_PAYLOAD_BYTES;
use super::frame::{DecodeError, Head, Reader, finish, kind, push_name, push_text};
use super::headers::{are_needed, push_headers, read_headers};
use super::slots::Slots;
use crate::subject::{Pattern, Subject};
use crate::wire::message::{
    AckId, Bundle, Chunk, ClientOp, Encoding, Form, Headers, MessageId, OpError, Payload, Publication,
    ServerOp,
};

/// Writes publications: one a direction of a connection.
#[derive(Debug, Default)]
pub(super) struct PublicationEncoder {
    subjects: Slots<Subject>,
    patterns: Slots<Pattern>,
}

impl PublicationEncoder {
    /// Appends a PUBLISH. A big payload is given back: it follows right behind.
    pub(super) fn publish(
        &mut self,
        out: &mut BytesMut,
        ack: Option<AckId>,
        publication: &Publication,
    ) -> Option<Bytes> {
        self.published(out, if ack.is_some() { ACK } else { 0 }, ack, publication)
    }

    /// Appends a PUBLISH that is acknowledged only if it has no receiver. Also returns a large payload.
    pub(super) fn request(
        &mut self,
        out: &mut BytesMut,
        ack: AckId,
        publication: &Publication,
    ) -> Option<Bytes> {
        self.published(out, ACK | REQUEST, Some(ack), publication)
    }

    fn published(
        &mut self,
        out: &mut BytesMut,
        flags: u8,
        ack: Option<AckId>,
        publication: &Publication,
    ) -> Option<Bytes> {
        let (start, mut head) = (out.len(), Head::of_frame(kind::PUBLISH));
        let (slot, is_known) = self.subjects.put(&publication.subject);
        head.push(flags | flags_of(publication) | if is_known { 0 } else { SUBJECT });
        if let Some(AckId(id)) = ack {
            head.push_varint(id);
        }
        head.push(slot);
        if !is_known {
            head.flush(out);
            push_name(out, publication.subject.as_str());
        }
        finished(out, start, head, publication)
    }

    /// Appends a DELIVER. A big payload is given back: it follows right behind.
    pub(super) fn deliver(
        &mut self,
        out: &mut BytesMut,
        pattern: &Pattern,
        publication: &Publication,
    ) -> Option<Bytes> {
        let (start, mut head) = (out.len(), Head::of_frame(kind::DELIVER));
        let subject = &publication.subject;
        let (subject_slot, knows_subject) = self.subjects.put(subject);
        let (pattern_slot, knows_pattern) = self.patterns.put(pattern);
        let names = if knows_subject { 0 } else { SUBJECT } | if knows_pattern { 0 } else { PATTERN };
        head.push(flags_of(publication) | names);
        head.push(subject_slot);
        if !knows_subject {
            head.flush(out);
            push_name(out, subject.as_str());
        }
        head.push(pattern_slot);
        if !knows_pattern {
            head.flush(out);
            push_name(out, pattern.as_str());
        }
        finished(out, start, head, publication)
    }
}

/// Appends what follows the names, of which the last ones may still be in `head`.
fn finished(out: &mut BytesMut, start: usize, head: Head, publication: &Publication) -> Option<Bytes> {
    let given = push_rest(out, head, publication);
    let more = given.as_ref().map_or(0, Bytes::len);
    if finish(out, start, more) { given } else { None }
}

/// The flags that say what follows the names.
pub(super) fn flags_of(publication: &Publication) -> u8 {
    let flag = |is_set: bool, flag: u8| if is_set { flag } else { 0 };
    flag(publication.part().is_some(), CHUNK)
        | flag(are_needed(&publication.headers), HEADERS)
        | flag(publication.is_bundle(), BUNDLE)
}

/// Appends `head` and what follows the names, in a frame of any kind.
#[inline(always)]
pub(super) fn push_rest(out: &mut BytesMut, mut head: Head, publication: &Publication) -> Option<Bytes> {
    if let Some(chunk) = publication.part() {
        head.flush(out);
        push_text(out, &chunk.id);
        head.push_varint(chunk.seq.into());
        head.push(chunk.done.into());
    }
    let Publication { form, payload, headers, .. } = publication;
    if are_needed(headers) {
        push_headers(out, &mut head, headers);
    }
    match *form {
        Form::Bundle { count, .. } => head.push_varint(count.into()),
        _ => head.push(payload.encoding.0),
    }
    head.flush(out);
    if payload.raw.len() < GIVEN_PAYLOAD_BYTES {
        out.extend_from_slice(&payload.raw);
        return None;
    }
    Some(payload.raw.clone())
}

/// Reads publications: one a direction of a connection.
#[derive(Debug, Default)]
pub(super) struct PublicationDecoder {
    subjects: Slots<Subject>,
    patterns: Slots<Pattern>,
}

impl PublicationDecoder {
    /// Decodes a PUBLISH. Appended where it is wanted: a publication is big.
    pub(super) fn published(
        &mut self,
        mut reader: Reader<'_>,
        into: &mut Vec<ClientOp>,
    ) -> Result<(), DecodeError> {
        let flags = flags(&mut reader, ACK | SUBJECT | CHUNK | HEADERS | BUNDLE | REQUEST)?;
        let ack = if flags & ACK == 0 { None } else { Some(AckId(reader.varint()?)) };
        if flags & REQUEST != 0 && ack.is_none() {
            return Err(DecodeError("request without an acknowledgement id"));
        }
        let Some(subject) = self.subject(flags, &mut reader)? else {
            into.push(ClientOp::PublishRefused { ack, error: OpError::text("Error: invalid subject") });
            return Ok(());
        };
        let publication = self.chunk(flags, subject, reader)?;
        if !publication.headers.are_accepted() {
            return Err(DecodeError("headers too long or nested too deep"));
        }
        into.push(match ack {
            Some(ack) if flags & REQUEST != 0 => ClientOp::Request { ack, publication },
            ack => ClientOp::Publish { ack, publication },
        });
        Ok(())
    }

    /// Decodes a DELIVER, as [`Self::published`].
    pub(super) fn delivered(
        &mut self,
        mut reader: Reader<'_>,
        into: &mut Vec<ServerOp>,
    ) -> Result<(), DecodeError> {
        let flags = flags(&mut reader, SUBJECT | PATTERN | CHUNK | HEADERS | BUNDLE)?;
        let subject =
            self.subject(flags, &mut reader)?.ok_or(DecodeError("delivery with an invalid subject"))?;
        let slot = reader.u8()?;
        if flags & PATTERN != 0 {
            self.patterns.set(slot, Pattern::parse(reader.name()?).ok());
        }
        let pattern = self.patterns.at(slot).ok_or(DecodeError("delivery with an invalid pattern"))?.clone();
        into.push(ServerOp::Deliver { pattern, publication: self.chunk(flags, subject, reader)? });
        Ok(())
    }

    /// Decodes what stands behind the names, from the flags on.
    pub(super) fn body(&self, subject: Subject, mut reader: Reader<'_>) -> Result<Publication, DecodeError> {
        let flags = flags(&mut reader, CHUNK | HEADERS | BUNDLE)?;
        self.chunk(flags, subject, reader)
    }

    /// Resolves the slot. An invalid subject empties it, so that it no longer means what was there before.
    fn subject(&mut self, flags: u8, reader: &mut Reader<'_>) -> Result<Option<Subject>, DecodeError> {
        let slot = reader.u8()?;
        if flags & SUBJECT != 0 {
            let subject = Subject::parse(reader.name()?).ok();
            self.subjects.set(slot, subject.clone());
            return Ok(subject);
        }
        self.subjects.at(slot).cloned().map(Some).ok_or(DecodeError("slot without a subject"))
    }

    /// Returns what follows the names. Inlined, because a publication is big, and each move of it shows in a
    /// profile.
    #[inline(always)]
    fn chunk(&self, flags: u8, subject: Subject, mut reader: Reader<'_>) -> Result<Publication, DecodeError> {
        let form =
            if flags & CHUNK == 0 { Form::Whole } else { Form::Chunk(read_chunk(&mut reader)?.into()) };
        let headers = if flags & HEADERS == 0 { Headers::default() } else { read_headers(&mut reader)? };
        if flags & BUNDLE != 0 {
            return self.bundle(flags, subject, &headers, reader);
        }
        let encoding = Encoding(reader.u8()?);
        let payload = Payload { encoding, raw: reader.payload() };
        Ok(Publication { subject, form, payload, headers })
    }

    /// Checks the whole bundle, so that a broker passes on no invalid one.
    fn bundle(
        &self,
        flags: u8,
        subject: Subject,
        headers: &Headers,
        mut reader: Reader<'_>,
    ) -> Result<Publication, DecodeError> {
        if flags & (ACK | CHUNK) != 0 {
            return Err(DecodeError("bundle with what only a single message has"));
        }
        let count = reader.varint()?;
        let bundle = Bundle::parse(subject, headers, count, reader.payload());
        let bundle = bundle.ok_or(DecodeError("malformed bundle"))?;
        Ok(Publication::of_bundle(bundle))
    }
}

#[cold]
fn read_chunk(reader: &mut Reader<'_>) -> Result<Chunk, DecodeError> {
    let id = MessageId::from(reader.text()?);
    let seq = u32::try_from(reader.varint()?).map_err(|_| DecodeError("chunk number too large"))?;
    let done = match reader.u8()? {
        0 => false,
        1 => true,
        _ => return Err(DecodeError("done is neither 0 nor 1")),
    };
    Ok(Chunk { id, seq, done })
}

fn flags(reader: &mut Reader<'_>, known: u8) -> Result<u8, DecodeError> {
    let flags = reader.u8()?;
    if flags & !known != 0 { Err(DecodeError("unknown flags")) } else { Ok(flags) }
}

/// An acknowledgement is wanted: its id follows.
const ACK: u8 = 1;
/// The subject's slot is filled anew: its text follows.
const SUBJECT: u8 = 2;
/// The pattern's slot is filled anew: its text follows.
const PATTERN: u8 = 4;
/// One of several chunks: id, number and done follow.
const CHUNK: u8 = 8;
/// Headers follow.
const HEADERS: u8 = 16;
/// Several messages: their number follows, then they.
const BUNDLE: u8 = 32;
/// The acknowledgement is wanted only if there is no receiver.
const REQUEST: u8 = 64;
