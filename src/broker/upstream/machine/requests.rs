//! What is said to the fabric above, each with whoever causes it and with the answer that it expects.

use std::sync::Arc;
use std::time::Duration;

use super::super::UpstreamEvent;
use super::super::interest::Change;
use super::super::outgoing::Client;
use super::{Awaited, Upstream};
use crate::subject::{Pattern, Subject};
use crate::wire::{
    AckId, ClientOp, Headers, Message, Payload, Publication, Subscription, SubscriptionClass, UpstreamOp,
    split,
};

impl Upstream {
    /// Says what follows from a change, if there is a connection to say it to.
    pub(super) fn say(&mut self, client: Option<Client>, change: Change, drain: Option<u64>) {
        let is_open = self.session.is_open();
        match change {
            Change::Leave(member) if !is_open => self.interest.forget_member(member),
            _ if !is_open => {}
            Change::Subscribe(pattern) => {
                let ack = self.expect(client, Awaited::Patterns(vec![pattern.clone()]));
                self.interest.note_asked(&pattern, ack);
                self.push_subscribe(client, ack, &[pattern]);
            }
            Change::Join(member) => drop(self.push_join(client, member)),
            Change::Unsubscribe(pattern) => {
                let ack = Some(self.expect(client, Awaited::Left(None, drain)));
                let patterns = vec![pattern.as_str().into()];
                self.push(client, ClientOp::Unsubscribe { ack, patterns, list: false, drain: false });
            }
            Change::Leave(member) => {
                let ack = self.expect(client, Awaited::Left(Some(member), drain));
                self.push_op(client, UpstreamOp::Leave { ack, member });
            }
            Change::Awaited | Change::None => {}
        }
    }

    pub(super) fn push_subscribe(&mut self, client: Option<Client>, ack: AckId, patterns: &[Pattern]) {
        let subscription = |pattern: &Pattern| Subscription {
            pattern: pattern.as_str().into(),
            queue: None,
            class: SubscriptionClass::Plain,
            exclusive: None,
        };
        let subscriptions = patterns.iter().map(subscription).collect();
        self.push(client, ClientOp::Subscribe { ack: Some(ack), subscriptions, list: true });
    }

    pub(super) fn push_join(&mut self, client: Option<Client>, member: u64) -> Option<AckId> {
        let known = self.interest.member(member)?;
        let (pattern, queue) = (known.pattern.clone(), known.queue.clone());
        self.interest.note_joining(member);
        let ack = self.expect(client, Awaited::Member(member));
        self.push_op(client, UpstreamOp::Join { ack, member, pattern, queue });
        Some(ack)
    }

    pub(super) fn push_wait(
        &mut self,
        client: Option<Client>,
        ack: AckId,
        subject: &Subject,
        timeout: Duration,
    ) {
        self.push(client, ClientOp::WaitForInterest { ack, subject: subject.as_str().into(), timeout });
    }

    /// The same message in parts that fit. What it says beside its payload goes with the last one.
    pub(super) fn push_in_chunks(&mut self, client: Client, ack: Option<AckId>, publication: Publication) {
        let Publication { subject, payload: Payload { encoding, raw }, headers, .. } = publication;
        let own = headers.json.as_ref().map_or(0, |json| json.as_bytes().len());
        let id: Arc<str> = self.entropy.id().into();
        let size = CHUNK_BYTES.min(self.whole.saturating_sub(own + id.len()).max(1));
        let mut rest = Some(headers);
        for (seq, done, piece) in split(raw, size) {
            let headers = rest.take_if(|_| done).unwrap_or_else(Headers::default);
            let payload = Payload { encoding, raw: piece };
            let message = Message { subject: subject.clone(), payload, headers };
            let publication = Publication::chunk(id.clone(), seq, done, message);
            self.push(Some(client), ClientOp::Publish { ack: ack.filter(|_| done), publication });
        }
    }

    pub(super) fn push(&mut self, client: Option<Client>, op: ClientOp) {
        self.push_op(client, UpstreamOp::Op(op));
    }

    fn push_op(&mut self, client: Option<Client>, op: UpstreamOp) {
        self.outgoing.push(client, op, &mut self.usage);
        self.is_woken = true;
    }

    /// Expects an acknowledgement, for a client or for the broker itself.
    pub(super) fn expect(&mut self, client: Option<Client>, awaited: Awaited) -> AckId {
        self.acks += 1;
        if let Some((peer, _)) = client {
            self.usage.add(peer, awaited.cost());
        }
        self.awaited.insert(AckId(self.acks), (client, awaited));
        AckId(self.acks)
    }

    pub(super) fn tell_released(&mut self) {
        let released = self.outgoing.take_released();
        if !released.is_empty() {
            self.events.push_back(UpstreamEvent::HasRoom(released));
        }
    }
}

/// A chunk of what has to be cut.
const CHUNK_BYTES: usize = 128 * 1024;
