//! The operations that a client has for its broker, in order. Consecutive messages on one subject become a
//! bundle.

use std::collections::VecDeque;

use crate::wire::{AckId, Bundle, BundleBuilder, ClientOp, Message, MessageId, Publication, can_be_bundled};

/// Operations, oldest first.
#[derive(Debug)]
pub(super) struct Outbound {
    ops: VecDeque<ClientOp>,
    /// Behind all of them; the next message may join it.
    open: Open,
    /// Shared by all messages of one chunk: there is nothing to join by it.
    message_id: MessageId,
}

#[derive(Debug)]
enum Open {
    Nothing,
    One(Message),
    Many(BundleBuilder),
}

impl Outbound {
    pub(super) fn new(message_id: MessageId) -> Self {
        Self { ops: VecDeque::new(), open: Open::Nothing, message_id }
    }

    /// Appends an operation.
    pub(super) fn push(&mut self, op: ClientOp) {
        self.close();
        self.ops.push_back(op);
    }

    /// Appends a message of one chunk. Without an acknowledgement it may travel in a bundle of at most
    /// `limit` bytes.
    pub(super) fn publish(&mut self, message: Message, ack: Option<AckId>, limit: usize) {
        if ack.is_some() || !can_be_bundled(&message) {
            let publication = self.single(message);
            return self.push(ClientOp::Publish { ack, publication });
        }
        match &mut self.open {
            Open::Many(builder) if builder.takes(&message, limit) => return builder.push(&message),
            Open::One(first) => {
                if let Some(builder) = BundleBuilder::of_two(first, &message, limit) {
                    self.open = Open::Many(builder);
                    return;
                }
            }
            _ => {}
        }
        self.close();
        self.open = Open::One(message);
    }

    /// Appends messages in a row.
    pub(super) fn publish_bundle(&mut self, bundle: Bundle) {
        let publication = Publication::of_bundle(bundle, self.message_id.clone());
        self.push(ClientOp::Publish { ack: None, publication });
    }

    /// Returns how many operations wait.
    pub(super) fn len(&self) -> usize {
        self.ops.len() + usize::from(!matches!(self.open, Open::Nothing))
    }

    /// Returns the next operation.
    pub(super) fn pop(&mut self) -> Option<ClientOp> {
        if self.ops.is_empty() {
            self.close();
        }
        self.ops.pop_front()
    }

    /// Forgets everything: the link is gone.
    pub(super) fn clear(&mut self) {
        self.ops.clear();
        self.open = Open::Nothing;
    }

    fn close(&mut self) {
        let publication = match std::mem::replace(&mut self.open, Open::Nothing) {
            Open::Nothing => return,
            Open::One(message) => self.single(message),
            Open::Many(builder) => Publication::of_bundle(builder.finish(), self.message_id.clone()),
        };
        self.ops.push_back(ClientOp::Publish { ack: None, publication });
    }

    fn single(&self, message: Message) -> Publication {
        let Message { subject, payload, headers } = message;
        Publication { subject, id: self.message_id.clone(), seq: 0, done: true, bundled: 0, payload, headers }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::subject::Subject;
    use crate::wire::{Headers, Payload};

    fn message(subject: &str, seq: Option<u64>) -> Message {
        let headers = Headers { seq, ..Headers::default() };
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
        let mut outbound = Outbound::new("1".into());
        let mut publish = |subject: &str, seq, ack: Option<u64>| {
            outbound.publish(message(subject, seq), ack.map(AckId), usize::MAX);
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
        outbound.publish(message("a", Some(5)), None, usize::MAX);
        let all = ["a × 3", "b × 1", "b × 1 ack 7", "b × 2", "a × 1", "a × 1", "InfoReceived", "a × 1"];
        assert_eq!(popped(&mut outbound), all);
        outbound.publish(message("a", None), None, usize::MAX);
        outbound.clear();
        assert!(popped(&mut outbound).is_empty());
    }

    #[test]
    fn a_bundle_stays_within_what_the_broker_takes() {
        let mut outbound = Outbound::new("1".into());
        for _ in 0..100 {
            outbound.publish(message("a", None), None, 90);
        }
        let counts = popped(&mut outbound);
        assert!(counts.iter().all(|shown| shown != "a × 1" && shown != "a × 100"), "{counts:?}");
    }
}
