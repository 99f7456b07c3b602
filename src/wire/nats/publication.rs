//! Messages as they travel: in the open form, which every client of NATS reads, or packed, which only ours
//! do.

use bytes::{BufMut, Bytes, BytesMut};

use super::commands::{OpenMessage, Sink, push_pub};
use super::content::{self, Content};
use super::frame::{Frame, LINE_END};
use super::headers::{Block, FIRST_LINE, push_block};
use super::{DecodeError, Delivery};
use crate::subject::Subject;
use crate::wire::fabric::{BodyDecoder, GIVEN_PAYLOAD_BYTES, push_body};
use crate::wire::message::{Headers, Message, Publication};

/// Appends a publication: one message, or several if it is a bundle that only has to save work.
pub(super) fn push_publication(out: &mut impl Sink, mut publication: Publication, reply: Option<&str>) {
    publication.headers.reply = None;
    if !is_packed(&publication) {
        return publication.for_each_single(|single| push_open(out, &single, reply));
    }
    let buffer = out.gather();
    let subject = publication.subject.clone();
    let message = OpenMessage::begin(buffer, subject.as_str(), reply);
    buffer.put_slice(PACKED_BLOCK);
    let start = buffer.len();
    let given = push_body(buffer, publication);
    message.finish(buffer, start, given.as_ref().map_or(0, Bytes::len));
    end(out, given);
}

/// Returns whether only our own programs can read it: a part of a message or of a socket's, or a payload of
/// ours.
pub(super) fn is_packed(publication: &Publication) -> bool {
    let Publication { payload, headers, .. } = publication;
    let is_numbered = headers.has_reserved() || headers.malformed;
    // A bundle without numbers holds values of any encoding, each looked at by itself.
    let is_closed = || !publication.is_bundle() && content::open(payload).is_none();
    is_numbered || publication.part().is_some() || is_closed()
}

fn push_open(out: &mut impl Sink, publication: &Publication, reply: Option<&str>) {
    let Publication { subject, payload, headers, .. } = publication;
    let Some(Content { content_type, raw }) = content::open(payload) else {
        return push_publication(out, publication.clone(), reply);
    };
    let buffer = out.gather();
    let is_given = raw.len() >= GIVEN_PAYLOAD_BYTES;
    if content_type.is_none() && headers.json.is_none() {
        push_pub(buffer, subject.as_str(), reply, raw.len());
    } else {
        let message = OpenMessage::begin(buffer, subject.as_str(), reply);
        push_block(buffer, content_type, headers.json.as_ref());
        let start = buffer.len();
        message.finish(buffer, start, raw.len());
    }
    if !is_given {
        buffer.put_slice(&raw);
    }
    end(out, is_given.then_some(raw));
}

fn end(out: &mut impl Sink, given: Option<Bytes>) {
    if let Some(given) = given {
        out.push(given);
    }
    out.gather().put_slice(LINE_END);
}

/// Appends a question to the server whether anybody listens to `subject`: with a server that traces, nobody
/// gets it. `destination` is where the trace goes; nobody need listen there.
pub(super) fn push_probe(out: &mut BytesMut, subject: &str, reply: &str, destination: Option<&str>) {
    let message = OpenMessage::begin(out, subject, Some(reply));
    out.put_slice(FIRST_LINE);
    match destination {
        Some(destination) => {
            for part in ["Nats-Trace-Dest: ", destination, "\r\nNats-Trace-Only: true\r\n\r\n"] {
                out.put_slice(part.as_bytes());
            }
        }
        None => out.put_slice(b"Sv: probe\r\n\r\n"),
    }
    let end = out.len();
    message.finish(out, end, 0);
    out.put_slice(LINE_END);
}

/// What came for a subscription.
#[derive(Debug)]
pub(super) enum Arrival {
    /// A message, or a part of one.
    Publication(Publication),
    /// A status, such as 503: something that a server says.
    Status(u16),
    /// A question of an older kind whether anybody listens.
    Probe,
}

/// Reads messages.
#[derive(Debug, Default)]
pub(super) struct Reader {
    bodies: BodyDecoder,
}

impl Reader {
    /// Reads a message. Fails for one that breaks a rule: anybody may have sent it.
    pub(super) fn read(&self, delivery: &Delivery<'_>, frame: Frame<'_>) -> Result<Arrival, DecodeError> {
        let subject = name(delivery.subject)?;
        let reply = delivery.reply.map(name).transpose()?.filter(|reply| !is_count(reply));
        let shared = frame.shared().filter(|_| delivery.payload.len() >= SHARED_PAYLOAD_BYTES);
        if delivery.headers == PACKED_BLOCK {
            return self.packed(subject, reply, delivery, shared);
        }
        let block = Block::read(delivery.headers)?;
        if let Some(status) = block.status {
            return Ok(Arrival::Status(status));
        }
        match block.form.as_deref() {
            None => {}
            Some("1") => return self.packed(subject, reply, delivery, shared),
            Some("probe") => return Ok(Arrival::Probe),
            Some(_) => return Err(DecodeError("unknown form")),
        }
        let headers = Headers::default().with_reply(reply).with_json(block.json()?);
        let payload = content::payload(block.content_type.as_deref(), delivery.payload, shared);
        let message = Message { subject, payload, headers };
        Ok(Arrival::Publication(Publication::whole(message)))
    }

    fn packed(
        &self,
        subject: Subject,
        reply: Option<Subject>,
        delivery: &Delivery<'_>,
        shared: Option<&Bytes>,
    ) -> Result<Arrival, DecodeError> {
        let read = self.bodies.read(subject, delivery.payload, shared);
        let mut publication = read.map_err(|error| DecodeError(error.0))?;
        if !publication.headers.are_accepted() {
            return Err(DecodeError("headers too long or nested too deep"));
        }
        publication.headers.reply = reply;
        Ok(Arrival::Publication(publication))
    }
}

fn name(text: &[u8]) -> Result<Subject, DecodeError> {
    let text = std::str::from_utf8(text).map_err(|_| DecodeError("subject is not utf-8"))?;
    Subject::parse(text).map_err(|_| DecodeError("invalid subject"))
}

/// Returns whether a reply subject only serves to learn that nobody listens: no answer is wanted there.
fn is_count(reply: &Subject) -> bool {
    let is_count = |token: &str| {
        token
            .strip_prefix(COUNT)
            .is_some_and(|digits| !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit()))
    };
    reply.as_str().starts_with("_INBOX") && is_count(reply.last_token())
}

/// What the last token of such a reply subject begins with.
pub(super) const COUNT: char = 'c';
/// The header block of what is packed.
const PACKED_BLOCK: &[u8] = b"NATS/1.0\r\nSv: 1\r\n\r\n";
/// Payloads of at least this many bytes stay in the buffer that they were read into.
const SHARED_PAYLOAD_BYTES: usize = 2 * 1024;
