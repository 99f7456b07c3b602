//! What the fabric above says of what was asked, and what is said when it cannot any more.

use std::time::Instant;

use super::super::{Counted, UpstreamEvent};
use super::fellows::is_of_gateways;
use super::{Awaited, Upstream};
use crate::base::Code;
use crate::broker::PeerId;
use crate::subject::{Pattern, Subject};
use crate::wire::{AckId, ClientOp, OpError, Reply, SubscribeStatus, UpstreamOp};

impl Upstream {
    pub(super) fn handle_ack(&mut self, now: Instant, id: AckId, reply: Reply) {
        let Some((client, awaited)) = self.awaited.remove(&id) else { return };
        if let Some((peer, _)) = client {
            self.usage.subtract(peer, awaited.cost());
        }
        match (awaited, reply) {
            (Awaited::Patterns(patterns), Reply::Subscribed(statuses)) => {
                for (pattern, status) in patterns.into_iter().zip(statuses) {
                    self.handle_subscribed(&pattern, id, status);
                }
            }
            (Awaited::Member(member), Reply::Subscribed(mut statuses)) => {
                self.fellows.handle_joined(now);
                self.handle_joined(member, statuses.pop().unwrap_or(Ok(SubscribeStatus::Added)));
            }
            (Awaited::Left(member, drain), _) => {
                member.into_iter().for_each(|member| self.interest.forget_member(member));
                drain.into_iter().for_each(|drain| self.handle_left(drain));
            }
            (Awaited::Count(counted), reply) => self.handle_count(counted, reply),
            (Awaited::Look(peer, ack, _), reply) => {
                self.events.push_back(UpstreamEvent::Answer(peer, ack, reply));
            }
            (Awaited::Wait(subject), reply) => {
                self.asked.remove(&subject);
                self.events.extend(match reply {
                    Reply::Interest(is_there) => Some(UpstreamEvent::Interest(subject, is_there)),
                    Reply::Error(error) => Some(UpstreamEvent::InterestRefused(subject, error)),
                    _ => None,
                });
            }
            (Awaited::Return(subject), reply) => {
                let is_nowhere = matches!(reply, Reply::Interest(false));
                self.events.push_back(UpstreamEvent::Elsewhere(subject, !is_nowhere));
            }
            (Awaited::Gateway(name), reply) => {
                let is_nowhere = matches!(reply, Reply::Interest(false));
                self.fellows.handle_look(now, &name, !is_nowhere);
            }
            (awaited, reply) => tracing::error!(?awaited, ?reply, "an answer of another kind"),
        }
        let was_severed = self.session.is_severed();
        if self.session.handle_synced(now, id) {
            self.events.extend(was_severed.then_some(UpstreamEvent::Severed(false)));
            self.has_news = true;
            self.fellows.handle_ready(now);
            self.handle_fellows(now);
            let held = self.held.take_all(&mut self.usage);
            self.events.push_back(UpstreamEvent::Ready(held));
        }
    }

    fn handle_subscribed(&mut self, pattern: &Pattern, ack: AckId, status: Result<SubscribeStatus, OpError>) {
        let refusal = status.err();
        for batch in self.interest.settle(pattern, ack) {
            let answered = self.batches.settle(batch, pattern, refusal.as_ref(), &mut self.usage);
            self.events.extend(answered.map(|(peer, ack, reply)| UpstreamEvent::Answer(peer, ack, reply)));
        }
        if let Some(error) = refusal {
            let peers = self.interest.users(pattern);
            self.events.push_back(UpstreamEvent::Refused { peers, pattern: pattern.clone(), error });
        }
    }

    fn handle_joined(&mut self, member: u64, status: Result<SubscribeStatus, OpError>) {
        let Some(known) = self.interest.member(member) else { return };
        let (peer, pattern, is_leaving) = (known.peer, known.pattern.clone(), known.is_leaving());
        let refusal = status.err();
        if let Some(batch) = self.interest.settle_member(member) {
            let answered = self.batches.settle(batch, &pattern, refusal.as_ref(), &mut self.usage);
            self.events.extend(answered.map(|(peer, ack, reply)| UpstreamEvent::Answer(peer, ack, reply)));
        }
        match refusal {
            Some(error) => {
                self.events.push_back(UpstreamEvent::Refused { peers: vec![peer], pattern, error });
            }
            None if !is_leaving => self.events.push_back(UpstreamEvent::Joined(pattern)),
            None => {}
        }
    }

    /// A pattern that stood is refused.
    pub(super) fn handle_refused(&mut self, pattern: &Pattern, message: String) {
        let error = OpError { message, code: Code::NotPermitted.number() };
        let peers = self.interest.users(pattern);
        self.events.push_back(UpstreamEvent::Refused { peers, pattern: pattern.clone(), error });
    }

    fn handle_count(&mut self, counted: Counted, reply: Reply) {
        let local = counted.local;
        let reply = match reply {
            Reply::Published { count } => Reply::Published { count: local + count.min(1) },
            // What was delivered here was delivered.
            Reply::Error(_) if local > 0 => Reply::Published { count: local },
            other => other,
        };
        self.events.push_back(UpstreamEvent::Counted(counted, reply));
    }

    /// Nothing that was asked is answered any more.
    pub(super) fn handle_loss(&mut self, now: Instant) {
        for op in self.outgoing.clear(&mut self.usage) {
            if let UpstreamOp::Op(ClientOp::Publish { ack: None, publication }) = op
                && !is_of_gateways(publication.subject.as_str())
            {
                self.count_lost(publication.count());
            }
        }
        self.asked.clear();
        self.fellows.handle_loss();
        let mut awaited: Vec<_> = self.awaited.drain().collect();
        awaited.sort_unstable_by_key(|(ack, _)| *ack);
        for (_, (client, awaited)) in awaited {
            if let Some((peer, _)) = client {
                self.usage.subtract(peer, awaited.cost());
            }
            match awaited {
                Awaited::Count(counted) => self.handle_lost_count(counted),
                Awaited::Look(_, ack, subject) => {
                    let Some(client) = client else { continue };
                    let subject = subject.as_str().into();
                    let op = ClientOp::WaitForInterest { ack, subject, timeout: std::time::Duration::ZERO };
                    self.hold(now, client, op);
                }
                Awaited::Return(subject) => {
                    self.events.push_back(UpstreamEvent::Elsewhere(subject, true));
                }
                Awaited::Patterns(_)
                | Awaited::Member(_)
                | Awaited::Left(..)
                | Awaited::Wait(_)
                | Awaited::Gateway(_) => {}
            }
        }
        let answered = self.batches.take_all(&mut self.usage);
        self.events
            .extend(answered.into_iter().map(|(peer, ack, reply)| UpstreamEvent::Answer(peer, ack, reply)));
        self.end_drains();
        // They are served here meanwhile.
        self.events.extend(self.interest.joining().into_iter().map(UpstreamEvent::Joined));
        self.interest.renew();
        self.tell_released();
    }

    /// Whether it arrived is not known.
    fn handle_lost_count(&mut self, counted: Counted) {
        let Counted { peer, ack, local, has_reply, is_request, .. } = counted;
        let reply = match (is_request, local, has_reply) {
            // Its receiver may be at it.
            (true, ..) => return,
            (false, 0, false) => timeout("the upstream was lost before it confirmed this"),
            (false, local, _) => Reply::Published { count: local.max(1) },
        };
        self.events.push_back(UpstreamEvent::Answer(peer, ack, reply));
    }

    /// Refuses what is held. Returns where those wait for answers who have asked beyond.
    pub(in crate::broker) fn give_up(&mut self) -> Vec<Subject> {
        for (peer, op) in self.held.take_all(&mut self.usage) {
            self.refuse(peer, &op, LEAVING);
        }
        self.fellows.take_asked()
    }

    /// Answers an operation that cannot be held any longer.
    pub(in crate::broker) fn refuse(&mut self, peer: PeerId, op: &ClientOp, why: &str) {
        let ack = match op {
            ClientOp::Publish { ack, .. } => *ack,
            ClientOp::Request { ack, .. } | ClientOp::WaitForInterest { ack, .. } => Some(*ack),
            _ => None,
        };
        self.events.extend(ack.map(|ack| UpstreamEvent::Answer(peer, ack, timeout(why))));
    }
}

fn timeout(message: &str) -> Reply {
    Reply::Error(OpError { message: message.to_owned(), code: Code::Timeout.number() })
}

/// Why nothing is held.
pub(in crate::broker) const LEAVING: &str = "the upstream is away, and this broker drains";
/// Why something is not held.
pub(super) const FULL: &str = "the upstream is away, and as much waits for it as may";
