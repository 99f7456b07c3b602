//! A broker that is a gateway: what is delivered here, what goes beyond, and what comes from there.

use std::sync::Arc;
use std::time::Instant;

use super::super::account::Owner;
use super::super::budget::Kept;
use super::super::error::Refusal;
use super::super::router::Choice;
use super::super::upstream::{
    Class, Client, Counted, LEAVING, carried_bytes, has_one_owner, held_cost, is_local, is_reserved,
};
use super::super::{PeerId, UpstreamState, UpstreamStats, limits};
use super::Broker;
use super::publications::Reached;
use crate::base::Failure;
use crate::subject::{Pattern, Subject};
use crate::wire::{
    AckId, ClientOp, Form, OpError, Publication, Reply, SubscribeStatus, Subscription, UpstreamNews,
    UpstreamOp,
};

impl Broker {
    /// Returns whether the fabric above is to be dialed now: the answer is [`Broker::handle_upstream_up`], or
    /// [`Broker::handle_upstream_down`].
    pub fn poll_upstream_dial(&mut self) -> bool {
        self.upstream.as_mut().is_some_and(|upstream| upstream.poll_dial())
    }

    /// Returns whether there is something to do for the driver of the upstream.
    pub fn poll_upstream_woken(&mut self) -> bool {
        self.upstream.as_mut().is_some_and(|upstream| upstream.poll_woken())
    }

    /// Returns the next operation for the fabric above. Called while its link has room.
    pub fn poll_upstream_op(&mut self) -> Option<UpstreamOp> {
        let op = self.upstream.as_mut()?.poll_op();
        self.handle_upstream_events();
        self.settle_usage();
        op
    }

    /// Returns how far the upstream has come, once for each change.
    pub fn poll_upstream_state(&mut self) -> Option<UpstreamState> {
        self.upstream.as_mut()?.poll_state()
    }

    /// Returns whether there is a change to be returned by [`Broker::poll_upstream_state`].
    pub fn has_upstream_news(&self) -> bool {
        self.upstream.as_ref().is_some_and(|upstream| upstream.has_news())
    }

    /// Returns whether the upstream has been away for so long that clients are better off elsewhere.
    pub fn is_upstream_overdue(&self) -> bool {
        self.upstream.as_ref().is_some_and(|upstream| upstream.is_overdue())
    }

    /// Returns the numbers of the upstream.
    pub fn upstream_stats(&self) -> Option<UpstreamStats> {
        self.upstream.as_ref().map(|upstream| upstream.stats())
    }

    /// Takes the link that was asked for.
    pub fn handle_upstream_up(&mut self) {
        if let Some(upstream) = &mut self.upstream {
            upstream.handle_link_up();
        }
    }

    /// Handles the loss of the link, or that it could not be had.
    pub fn handle_upstream_down(&mut self, now: Instant, why: Failure) {
        tracing::warn!(%why, "no upstream");
        if let Some(upstream) = &mut self.upstream {
            upstream.handle_link_down(now, why);
        }
        self.handle_upstream_events_at(now);
    }

    /// Takes what the fabric above says.
    pub fn handle_upstream(&mut self, now: Instant, news: UpstreamNews) {
        if let Some(upstream) = &mut self.upstream {
            upstream.handle_news(now, news);
        }
        self.handle_upstream_events_at(now);
    }

    pub(super) fn handle_upstream_timeout(&mut self, now: Instant) {
        if let Some(upstream) = &mut self.upstream {
            upstream.handle_timeout(now);
        }
        self.handle_upstream_events_at(now);
    }

    /// Returns whether others than the clients of this broker may get a publication.
    pub(super) fn crosses(&self, publication: &Publication) -> bool {
        self.upstream.is_some() && !is_local(publication.subject.as_str())
    }

    /// Publishes here and beyond, and answers once it is known who got it.
    pub(super) fn publish_beyond(
        &mut self,
        now: Instant,
        peer: PeerId,
        (ack, is_request): (Option<AckId>, bool),
        publication: Publication,
    ) {
        let reached = self.check_beyond(&publication).and_then(|()| {
            let choice = if self.is_upstream_ready() { Choice::Above } else { Choice::ByName };
            self.deliver_here(now, peer, publication.clone(), choice)
        });
        let Reached { count, has_owner, receiver } = match reached {
            Ok(reached) => reached,
            Err(refusal) => {
                let reply = self.refuse_publish(peer, refusal);
                return self.acknowledge(peer, ack, reply);
            }
        };
        self.handle_answer_owed(peer, &publication);
        let is_asked = count == 0 && self.is_upstream_ready();
        let wanted = if is_asked { self.answer_wanted(&publication) } else { None };
        if let Some(receiver) = receiver.filter(|_| count == 1)
            && let Some(answer) = self.answer_wanted(&publication)
        {
            self.note_owed(now, receiver, answer, false);
        }
        let client = self.client(peer);
        let Some(upstream) = &mut self.upstream else { return };
        upstream.handle_answer(&publication);
        wanted.into_iter().for_each(|place| upstream.note_asked(now, &place));
        let is_ready = upstream.is_ready();
        if has_owner {
            // It has got where it is for.
        } else if is_ready {
            let has_reply = publication.headers.reply.is_some();
            // A request that somebody has got is not counted.
            let wanted = ack.filter(|_| !(is_request && count > 0));
            let counted = wanted.map(|ack| {
                let subject = publication.subject.clone();
                Counted { peer, ack, subject, local: count, has_reply, is_request }
            });
            upstream.forward(client, named(publication, peer), counted);
            if wanted.is_some() {
                return;
            }
        } else if count == 0
            && let Some(ack) = ack
        {
            let op = match is_request {
                true => ClientOp::Request { ack, publication },
                false => ClientOp::Publish { ack: Some(ack), publication },
            };
            return self.hold_beyond(now, peer, op);
        } else {
            upstream.count_lost(publication.count());
        }
        let reply = Reply::Published { count };
        match ack {
            Some(ack) if is_request => self.acknowledge_request(peer, ack, reply),
            ack => self.acknowledge(peer, ack, reply),
        }
    }

    /// Keeps an operation until the fabric above is back, if its client may hold so much.
    fn hold_beyond(&mut self, now: Instant, peer: PeerId, op: ClientOp) {
        let (client, cost) = (self.client(peer), held_cost(&op));
        match self.peers.keep(peer, Kept::Other, cost) {
            Ok(()) => {
                // Counted by the upstream from here on.
                self.peers.give_back(peer, Kept::Other, cost);
                let is_leaving = self.is_leaving_severed();
                match &mut self.upstream {
                    Some(upstream) if is_leaving => upstream.refuse(peer, &op, LEAVING),
                    Some(upstream) => upstream.hold(now, client, op),
                    None => {}
                }
                self.handle_upstream_events();
            }
            Err(refusal) => match op {
                ClientOp::Publish { ack, .. } => {
                    let reply = self.refuse_publish(peer, refusal);
                    self.acknowledge(peer, ack, reply);
                }
                ClientOp::Request { ack, .. } => {
                    let reply = self.refuse_publish(peer, refusal);
                    self.acknowledge(peer, Some(ack), reply);
                }
                ClientOp::WaitForInterest { ack, .. } => {
                    let reply = self.refuse_interest(refusal);
                    self.acknowledge(peer, Some(ack), reply);
                }
                other => tracing::error!(?other, "an operation that is not held"),
            },
        }
    }

    /// Tells the budget what clients hold at the upstream.
    pub(super) fn settle_usage(&mut self) {
        let Some(upstream) = &mut self.upstream else { return };
        let usage = upstream.take_usage();
        usage.more.into_iter().for_each(|(peer, memory)| self.peers.keep_more(peer, Kept::Other, memory));
        usage.less.into_iter().for_each(|(peer, memory)| self.peers.give_back(peer, Kept::Other, memory));
    }

    /// Who a peer is to the upstream.
    pub(super) fn client(&self, peer: PeerId) -> Client {
        (peer, self.peers.get(peer).map_or(Owner::Network(None), |entry| entry.owner))
    }

    /// Refuses what no fabric above could carry.
    fn check_beyond(&self, publication: &Publication) -> Result<(), Refusal> {
        let subject = publication.subject.as_str();
        self.check_reserved(subject)?;
        limits::check_publication(&self.config, publication)?;
        let limit = self.upstream.as_ref().map_or(usize::MAX, |upstream| upstream.max_message());
        let size = carried_bytes(publication);
        let is_whole = publication.position() == (0, true);
        // A group would choose a member for each chunk.
        if if is_whole { size <= limit || has_one_owner(subject) } else { has_one_owner(subject) } {
            return Ok(());
        }
        Err(Refusal::TooBigAbove { limit })
    }

    /// Refuses names that are none for clients.
    pub(super) fn check_reserved(&self, name: &str) -> Result<(), Refusal> {
        match &self.upstream {
            Some(upstream) if is_reserved(name, upstream.allows_reserved()) => Err(Refusal::ReservedAbove),
            _ => Ok(()),
        }
    }

    /// Returns which way a subscription takes. Without an upstream there is only one.
    pub(super) fn class_of(&self, subscription: &Subscription) -> Class {
        let pattern = self.upstream.as_ref().and_then(|_| Pattern::parse(&subscription.pattern).ok());
        pattern.map_or(Class::Plain, |pattern| Class::of(&pattern, subscription))
    }

    /// Returns the names of what a client subscribes to, if they are needed later.
    pub(super) fn names_of(&self, subscriptions: &[Subscription]) -> Vec<Arc<str>> {
        let names = subscriptions.iter().map(|subscription| subscription.pattern.clone());
        if self.upstream.is_some() { names.collect() } else { Vec::new() }
    }

    /// Answers a subscribe operation that is carried out, or leaves that to the upstream.
    pub(super) fn answer_subscribe(
        &mut self,
        peer: PeerId,
        ack: Option<AckId>,
        patterns: Vec<Arc<str>>,
        statuses: Vec<Result<SubscribeStatus, OpError>>,
    ) {
        let statuses = match &mut self.upstream {
            Some(upstream) => upstream.end_batch(peer, ack, patterns, statuses),
            None => Some(statuses),
        };
        if let Some(statuses) = statuses {
            self.acknowledge(peer, ack, Reply::Subscribed(statuses));
        }
    }

    /// Begins to unsubscribe in order. Returns the operation if nothing is to be awaited.
    pub(super) fn begin_drain_beyond(&mut self, peer: PeerId, op: ClientOp) -> Option<ClientOp> {
        let client = self.client(peer);
        let Some(upstream) = &mut self.upstream else { return Some(op) };
        let left = upstream.begin_drain(client, op);
        self.handle_upstream_events();
        left
    }

    /// A client subscribes to patterns that it may be unsubscribing from in order: here that is over for
    /// them, and the drain goes on beyond.
    pub(super) fn yield_drains_beyond(&mut self, peer: PeerId, wanted: &[Arc<str>]) {
        let Some(upstream) = &mut self.upstream else { return };
        let patterns = upstream.take_drained_among(peer, wanted);
        if !patterns.is_empty() {
            self.drain_patterns(
                peer,
                ClientOp::Unsubscribe { ack: None, patterns, list: false, drain: true },
            );
        }
    }

    /// Looks whether somebody listens beyond. Returns false if there is no beyond.
    pub(super) fn look_beyond(&mut self, now: Instant, peer: PeerId, ack: AckId, subject: Subject) -> bool {
        let client = self.client(peer);
        let Some(upstream) = self.upstream.as_mut().filter(|_| !is_local(subject.as_str())) else {
            return false;
        };
        if upstream.is_ready() {
            upstream.look(client, ack, subject);
            return true;
        }
        let (subject, timeout) = (subject.as_str().into(), std::time::Duration::ZERO);
        self.hold_beyond(now, peer, ClientOp::WaitForInterest { ack, subject, timeout });
        true
    }

    /// Waits until somebody listens beyond.
    pub(super) fn wait_beyond(&mut self, subject: &Subject) {
        if let Some(upstream) = self.upstream.as_mut().filter(|_| !is_local(subject.as_str())) {
            upstream.wait(subject);
        }
    }

    /// Returns whether a client that is subscribed here gets nothing yet: a fabric above chooses among the
    /// members of its group, and has not confirmed it.
    pub(super) fn is_joining_beyond(&self, peer: PeerId, pattern: &Pattern) -> bool {
        self.upstream.as_ref().is_some_and(|upstream| upstream.is_joining(peer, pattern))
    }

    pub(super) fn forget_beyond(&mut self, peer: PeerId) {
        let client = self.client(peer);
        if let Some(upstream) = &mut self.upstream {
            upstream.forget(client);
            self.handle_upstream_events();
        }
    }

    /// Returns the largest payload of one publish.
    pub(super) fn max_payload_beyond(&self, max_payload: usize) -> usize {
        let names = limits::MAX_ID_BYTES;
        let limit = self.upstream.as_ref().map(|upstream| upstream.max_message().saturating_sub(names));
        limit.map_or(max_payload, |limit| limit.min(max_payload))
    }

    fn is_upstream_ready(&self) -> bool {
        self.upstream.as_ref().is_some_and(|upstream| upstream.is_ready())
    }
}

/// Chunks of two clients of this broker must not be taken for those of one message.
fn named(mut publication: Publication, peer: PeerId) -> Publication {
    if publication.part().is_some()
        && let Form::Chunk(chunk) = &mut publication.form
    {
        Arc::make_mut(chunk).id = format!("{}.{}", peer.serial(), chunk.id).into();
    }
    publication
}
