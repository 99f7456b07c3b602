//! The operations that a client has for its broker, in order. Consecutive messages on one subject become a
//! bundle.

use std::sync::Arc;

use super::inbox::parse_reply_token;
use super::op_queue::{OpQueue, Source};
use crate::base::{Entropy, SecretIds};
use crate::subject::Subject;
use crate::wire::{
    AckId, Bundle, BundleBuilder, Chunk, ClientOp, Form, Headers, LargeMessages, Message, MessageId, Payload,
    Publication, WatchRequest, can_be_bundled, split,
};

/// Operations, oldest first.
#[derive(Debug)]
pub(super) struct Outbound {
    ops: OpQueue,
    /// What the next message of the same source may join.
    open: Open,
    source: Source,
    /// What messages of one chunk are called, all of them: there is nothing to join by it.
    alone: Arc<Chunk>,
    /// Of the ids of messages in chunks.
    ids: SecretIds,
    /// Largest chunk of a message.
    chunk: usize,
    /// Largest message whole, to a subject that several may share; `None`: chunks find their way together.
    whole: Option<usize>,
    /// Largest message, in however many chunks.
    max_message: usize,
    /// Whatever is not larger can be sent.
    harmless: usize,
}

/// When a publish is to be acknowledged.
#[derive(Clone, Copy)]
pub(super) enum Confirm {
    Never,
    /// With the count of those who got it.
    Always(AckId),
    /// When it had no receiver.
    WhenUnheard(AckId),
}

#[derive(Debug)]
enum Open {
    Nothing,
    /// The last of the operations.
    Last,
    /// Behind all of them.
    Many(BundleBuilder),
}

impl Outbound {
    pub(super) fn new(message_id: MessageId, entropy: &mut dyn Entropy) -> Self {
        let alone = Chunk { id: message_id, seq: 0, done: true }.into();
        let (ops, open, chunk) = (OpQueue::default(), Open::Nothing, chunk_size(DEFAULT_MAX_PAYLOAD));
        let source = Source::Application;
        let (ids, most) = (SecretIds::new(entropy), usize::MAX);
        Self { ops, open, source, alone, ids, chunk, whole: None, max_message: most, harmless: most }
    }

    /// Sets the largest payload that the broker takes, and how larger messages travel.
    pub(super) fn set_max_payload(&mut self, bytes: usize, large: Option<LargeMessages>) {
        self.chunk = large.map_or_else(|| chunk_size(bytes), |large| large.chunk.max(1));
        self.whole = large.map(|large| large.whole);
        self.harmless = self.whole.unwrap_or(usize::MAX).min(self.max_message);
    }

    /// Sets the largest message that the broker takes, if it says so.
    pub(super) fn set_max_message(&mut self, bytes: Option<u64>) {
        let known = bytes.map(|bytes| usize::try_from(bytes).unwrap_or(usize::MAX));
        self.max_message = known.unwrap_or(usize::MAX);
        self.harmless = self.whole.unwrap_or(usize::MAX).min(self.max_message);
    }

    /// Returns the bytes of a message and the limit that it breaks, if it can be sent neither whole nor in
    /// chunks.
    pub(super) fn exceeded_limit(&self, message: &Message) -> Option<(usize, usize)> {
        let Message { subject, payload, headers } = message;
        let bytes = payload.raw.len();
        let size = bytes + headers.json.as_ref().map_or(0, |json| json.as_bytes().len());
        if size <= self.harmless {
            return None;
        }
        if size > self.max_message {
            return Some((size, self.max_message));
        }
        let limit = self.whole.filter(|limit| bytes > *limit && !has_one_owner(subject, headers))?;
        Some((bytes, limit))
    }

    /// Appends an operation.
    pub(super) fn push(&mut self, op: ClientOp) {
        self.close();
        self.ops.push(op);
    }

    fn push_from(&mut self, source: Source, op: ClientOp) {
        self.close();
        self.ops.push_from(source, op);
    }

    /// Sends a message: one operation a chunk, of which the last has the headers and requests the
    /// acknowledgement.
    pub(super) fn send(&mut self, source: Source, message: Message, confirm: Confirm) {
        let chunk_size = self.chunk;
        let is_whole = message.payload.raw.len() <= chunk_size
            || self.whole.is_some_and(|_| !has_one_owner(&message.subject, &message.headers));
        if is_whole {
            let ack = match confirm {
                Confirm::WhenUnheard(ack) => {
                    let publication = self.single(message);
                    return self.push_from(source, ClientOp::Request { ack, publication });
                }
                Confirm::Always(ack) => Some(ack),
                Confirm::Never => None,
            };
            return self.publish(source, message, ack);
        }
        let Message { subject, payload: Payload { encoding, raw }, headers } = message;
        // Nobody can guess it: who knew it could send chunks under it where no broker tells publishers apart.
        let id: MessageId = self.ids.next_id().into();
        for (seq, done, piece) in split(raw, chunk_size) {
            let payload = Payload { encoding, raw: piece };
            let headers = if done { headers.clone() } else { Default::default() };
            let message = Message { subject: subject.clone(), payload, headers };
            let publication = Publication::chunk(id.clone(), seq, done, message);
            let op = match confirm {
                Confirm::WhenUnheard(ack) if done => ClientOp::Request { ack, publication },
                Confirm::Always(ack) if done => ClientOp::Publish { ack: Some(ack), publication },
                _ => ClientOp::Publish { ack: None, publication },
            };
            self.push_from(source, op);
        }
    }

    /// Appends a message of one chunk. Without an acknowledgement it may travel in a bundle that the broker
    /// takes.
    fn publish(&mut self, source: Source, message: Message, ack: Option<AckId>) {
        let limit = self.chunk;
        if ack.is_some() || !can_be_bundled(&message) {
            let publication = self.single(message);
            return self.push_from(source, ClientOp::Publish { ack, publication });
        }
        if self.source != source {
            self.close();
            self.source = source;
        }
        match &mut self.open {
            Open::Many(builder) if builder.takes(&message, limit) => return builder.push(&message),
            Open::Last => {
                if let Some(ClientOp::Publish { publication, .. }) = self.ops.last()
                    && let Some(builder) = BundleBuilder::behind(publication, &message, limit)
                {
                    self.ops.take_last();
                    self.open = Open::Many(builder);
                    return;
                }
            }
            _ => {}
        }
        self.close();
        let publication = self.single(message);
        self.ops.push_from(source, ClientOp::Publish { ack: None, publication });
        self.open = Open::Last;
    }

    /// Appends messages in a row, one by one if the broker does not take them together.
    pub(super) fn publish_bundle(&mut self, source: Source, bundle: Bundle) {
        if bundle.len() > self.chunk {
            return bundle.messages().for_each(|message| self.send(source, message, Confirm::Never));
        }
        let publication = Publication::of_bundle(bundle);
        self.push_from(source, ClientOp::Publish { ack: None, publication });
    }

    /// Appends watches, to those that were appended last if nothing has come since.
    pub(super) fn watch(&mut self, requests: Vec<WatchRequest>) {
        match self.ops.back_mut() {
            Some(ClientOp::Watch(open)) if !matches!(self.open, Open::Many(_)) => open.extend(requests),
            _ => self.push(ClientOp::Watch(requests)),
        }
    }

    /// Returns whether the application may publish more although the link is full.
    pub(super) fn has_room(&self) -> bool {
        self.ops.has_room()
    }

    /// Returns how many operations wait.
    pub(super) fn len(&self) -> usize {
        self.ops.len() + usize::from(matches!(self.open, Open::Many(_)))
    }

    /// Returns the next operation.
    pub(super) fn pop(&mut self) -> Option<ClientOp> {
        // What is the application's may pass.
        if self.ops.len() == 0 || (self.source == Source::Application && self.ops.is_passed()) {
            self.close_bundle();
        }
        self.ops.pop()
    }

    /// Forgets everything: the link is gone.
    pub(super) fn clear(&mut self) {
        self.ops.clear();
        self.open = Open::Nothing;
    }

    /// What comes next joins nothing that is there.
    fn close(&mut self) {
        self.close_bundle();
        self.open = Open::Nothing;
    }

    fn close_bundle(&mut self) {
        if let Open::Many(builder) = std::mem::replace(&mut self.open, Open::Nothing) {
            let publication = Publication::of_bundle(builder.finish());
            self.ops.push_from(self.source, ClientOp::Publish { ack: None, publication });
        }
    }

    fn single(&self, message: Message) -> Publication {
        Publication { form: Form::Chunk(self.alone.clone()), ..Publication::whole(message) }
    }
}

fn chunk_size(max_payload: usize) -> usize {
    max_payload.saturating_sub(CHUNK_MARGIN).max(MIN_CHUNK_BYTES)
}

/// Returns whether all that is sent there goes to one end: a message of a socket, or an answer.
fn has_one_owner(subject: &Subject, headers: &Headers) -> bool {
    let is_of_socket = headers.seq().is_some() || headers.command.is_some() || headers.attempt().is_some();
    is_of_socket || parse_reply_token(subject.last_token()).is_some()
}

/// Largest payload until the broker announces another.
const DEFAULT_MAX_PAYLOAD: usize = 1_000_000;
/// Bytes by which a chunk stays below the largest payload, for headers and framing (conat.md section 2).
const CHUNK_MARGIN: usize = 100_000;
/// Smallest chunk size, however small the largest payload.
const MIN_CHUNK_BYTES: usize = 1000;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::SeededEntropy;

    fn message(subject: &str, seq: Option<u64>) -> Message {
        let headers = Headers::numbered(seq, None);
        Message { subject: Subject::parse(subject).expect("valid"), payload: Payload::msgpack("x"), headers }
    }

    /// Returns each publish as `subject × messages`, and anything else as its acknowledgement.
    fn popped(outbound: &mut Outbound) -> Vec<String> {
        std::iter::from_fn(|| outbound.pop())
            .map(|op| match op {
                ClientOp::Publish { ack, publication } => {
                    let ack = ack.map_or(String::new(), |AckId(id)| format!(" ack {id}"));
                    format!("{} × {}{ack}", publication.subject, publication.count())
                }
                other => format!("{other:?}"),
            })
            .collect()
    }

    #[test]
    fn messages_in_a_row_on_one_subject_are_bundled_and_the_order_stays() {
        let mut outbound = Outbound::new("1".into(), &mut SeededEntropy::new(1));
        let mut publish = |subject: &str, seq, ack: Option<u64>| {
            outbound.publish(Source::Application, message(subject, seq), ack.map(AckId));
        };
        for seq in 1..=3 {
            publish("a", Some(seq), None);
        }
        publish("b", None, None);
        publish("b", None, Some(7));
        publish("b", None, None);
        publish("b", None, None);
        publish("a", Some(4), None);
        publish("a", Some(4), None);
        outbound.push(ClientOp::InfoReceived);
        outbound.publish(Source::Application, message("a", Some(5)), None);
        let all = ["a × 3", "b × 1", "b × 1 ack 7", "b × 2", "a × 1", "a × 1", "InfoReceived", "a × 1"];
        assert_eq!(popped(&mut outbound), all);
        outbound.publish(Source::Application, message("a", None), None);
        outbound.clear();
        assert!(popped(&mut outbound).is_empty());
    }

    #[test]
    fn a_bundle_stays_within_what_the_broker_takes() {
        let mut outbound = Outbound::new("1".into(), &mut SeededEntropy::new(1));
        // The smallest chunk holds some of these.
        outbound.set_max_payload(0, None);
        for _ in 0..200 {
            let payload = Payload::msgpack("x".repeat(20));
            outbound.publish(Source::Application, Message { payload, ..message("a", None) }, None);
        }
        let counts = popped(&mut outbound);
        assert!(counts.iter().all(|shown| shown != "a × 1" && shown != "a × 200"), "{counts:?}");
    }
}
