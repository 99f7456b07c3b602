//! What comes from the fabric above to a broker that is a gateway: messages for its clients, and answers.

use std::sync::Arc;
use std::time::Instant;

use super::super::account::Account;
use super::super::auth_request::Action;
use super::super::outbox::{SHARED_FROM_BYTES, Sent};
use super::super::upstream::{Counted, UpstreamEvent, is_local, is_reserved};
use super::super::{JournalKind, PeerId, RefusedFor, RefusedOp};
use super::Broker;
use super::publications::tells_origin;
use crate::base::Code;
use crate::subject::{Pattern, Subject};
use crate::wire::{Publication, Reply, ServerOp};

impl Broker {
    pub(super) fn handle_upstream_events_at(&mut self, now: Instant) {
        while let Some(event) = self.upstream.as_mut().and_then(|upstream| upstream.poll_event()) {
            match event {
                UpstreamEvent::Ready(held) => {
                    tracing::info!("the upstream is ready");
                    for (peer, op) in held {
                        if self.peers.open_mut(peer).is_some() {
                            // It was permitted when it came.
                            self.execute(now, peer, op, &[]);
                        }
                    }
                    for subject in self.waits.subjects() {
                        self.wait_beyond(&subject);
                    }
                }
                UpstreamEvent::Interest(subject, is_there) => self.handle_interest_beyond(&subject, is_there),
                UpstreamEvent::Elsewhere(inbox, is_there) => self.handle_elsewhere(now, &inbox, is_there),
                UpstreamEvent::Unanswered(inbox, places) => self.end_unanswered(now, inbox, places),
                UpstreamEvent::Severed(is_severed) => {
                    self.handle_severed(is_severed);
                    self.end_out_of_reach(now);
                }
                event => self.handle_upstream_event(event),
            }
        }
        self.evict_slow_consumers();
    }

    /// Those events that need no clock.
    pub(super) fn handle_upstream_events(&mut self) {
        while let Some(event) =
            self.upstream.as_mut().and_then(|upstream| upstream.poll_event_without_clock())
        {
            self.handle_upstream_event(event);
        }
    }

    fn handle_upstream_event(&mut self, event: UpstreamEvent) {
        match event {
            UpstreamEvent::Answer(peer, ack, reply) => self.acknowledge(peer, Some(ack), reply),
            UpstreamEvent::Counted(counted, reply) => self.answer_counted(counted, reply),
            UpstreamEvent::Refused { peers, pattern, error } => {
                for peer in peers {
                    self.count_denial(peer, RefusedOp::Subscribe, pattern.as_str());
                    self.unsubscribe(peer, pattern.as_str(), None);
                    self.tell_denial(peer, Action::Subscribe, pattern.as_str(), error.message.clone());
                }
            }
            UpstreamEvent::Joined(pattern) => self.answer_waits(&pattern),
            UpstreamEvent::Deliver(pattern, publication) => {
                self.deliver_from_beyond(&pattern, None, publication);
            }
            UpstreamEvent::DeliverToGroup { pattern, queue, publication } => {
                self.deliver_from_beyond(&pattern, Some(&queue), publication);
            }
            UpstreamEvent::DeliverTo(peer, pattern, mut publication) => {
                let (messages, answer) = (publication.count(), self.answer_wanted(&publication));
                if vouch_for_nothing(&mut publication)
                    && !self.deliver_one(peer, &pattern, (publication, false))
                {
                    self.count_lost(messages);
                } else {
                    self.note_owed_beyond(peer, answer, true);
                }
            }
            UpstreamEvent::InterestRefused(subject, error) => {
                for (peer, ack) in self.waits.end_subject(subject.as_str()) {
                    self.count_denial(peer, RefusedOp::Interest, subject.as_str());
                    self.acknowledge(peer, Some(ack), Reply::Error(error.clone()));
                }
            }
            UpstreamEvent::Drained(peer, op) => self.drain_patterns(peer, op),
            UpstreamEvent::HasRoom(peers) => peers.into_iter().for_each(|peer| self.peers.wake(peer)),
            UpstreamEvent::Ready(_)
            | UpstreamEvent::Interest(..)
            | UpstreamEvent::Elsewhere(..)
            | UpstreamEvent::Unanswered(..)
            | UpstreamEvent::Severed(_) => {
                tracing::error!("an event of the upstream at the wrong time");
            }
        }
    }

    /// It is known whether anybody got it.
    fn answer_counted(&mut self, counted: Counted, reply: Reply) {
        let Counted { peer, ack, subject, has_reply, is_request, .. } = counted;
        if matches!(&reply, Reply::Error(error) if error.code == Code::NotPermitted.number()) {
            self.totals.publishes_refused += 1;
            self.count_denial(peer, RefusedOp::Publish, subject.as_str());
        }
        if is_request {
            return self.acknowledge_request(peer, ack, reply);
        }
        if has_reply && matches!(reply, Reply::Published { count: 0 }) {
            self.totals.unheard += 1;
        }
        self.acknowledge(peer, Some(ack), reply);
    }

    /// Counts what the fabric above does not permit.
    fn count_denial(&mut self, peer: PeerId, op: RefusedOp, subject: &str) {
        let kind = match op {
            RefusedOp::Subscribe => JournalKind::SubscribeRefused,
            RefusedOp::Publish | RefusedOp::Interest => JournalKind::PublishRefused,
        };
        self.totals.count_refusal(op, RefusedFor::Permission);
        self.note(kind, peer, RefusedFor::Permission.name(), subject);
    }

    fn handle_interest_beyond(&mut self, subject: &Subject, is_there: bool) {
        if is_there {
            for (peer, ack) in self.waits.end_subject(subject.as_str()) {
                self.acknowledge(peer, Some(ack), Reply::Interest(true));
            }
        } else if self.waits.look_for_subject(subject.as_str()) {
            self.wait_beyond(subject);
        }
    }

    /// Delivers what has come for a pattern, to whoever is subscribed to just that.
    fn deliver_from_beyond(
        &mut self,
        pattern: &Pattern,
        queue: Option<&Arc<str>>,
        mut publication: Publication,
    ) {
        if !vouch_for_nothing(&mut publication) {
            return;
        }
        let mut receivers = Vec::new();
        self.router.route_to(pattern, queue, &publication, |peer, publication| {
            receivers.push((peer, publication));
        });
        if receivers.is_empty() && queue.is_some() {
            self.count_lost(publication.count());
        }
        let is_shared = receivers.len() > 1 && publication.payload.raw.len() >= SHARED_FROM_BYTES;
        if is_shared {
            let counted = self.peers.shared_payloads().count(publication.payload.raw);
            for (_, copy) in &mut receivers {
                copy.payload.raw = counted.clone();
            }
        }
        let is_only = receivers.len() == 1 && !pattern.is_silent();
        for (peer, publication) in receivers {
            let answer = if is_only { self.answer_wanted(&publication) } else { None };
            if self.deliver_one(peer, pattern, (publication, is_shared)) {
                self.note_owed_beyond(peer, answer, queue.is_some());
            }
        }
    }

    /// Returns whether the client could be given it. `is_shared`: others get the same payload.
    fn deliver_one(
        &mut self,
        peer: PeerId,
        pattern: &Pattern,
        (publication, is_shared): (Publication, bool),
    ) -> bool {
        let (messages, size) = (publication.count(), publication.payload_bytes());
        let op = ServerOp::Deliver { pattern: pattern.clone(), publication };
        let sent = Sent { sender: BEYOND, is_shared, refused_at: None };
        let is_delivered = self.peers.deliver(peer, op, sent, messages, size);
        if is_delivered {
            self.totals.delivered.add(messages, size);
        }
        is_delivered
    }

    pub(super) fn count_lost(&mut self, messages: u32) {
        self.upstream.iter_mut().for_each(|upstream| upstream.count_lost(messages));
    }
}

/// Takes out of a message what only this broker could know. Returns whether it may be delivered at all.
fn vouch_for_nothing(publication: &mut Publication) -> bool {
    let subject = publication.subject.as_str();
    if is_local(subject) || is_reserved(subject, true) {
        return false;
    }
    if tells_origin(publication) {
        publication.headers.stamp_origin(None);
    }
    true
}

/// Who pays for what comes from beyond.
pub(super) const BEYOND: Account = Account::Connection(PeerId { serial: u64::MAX, slot: u32::MAX });
