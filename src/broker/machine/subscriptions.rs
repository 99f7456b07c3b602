//! Subscriptions: added, taken over by a newer connection, removed, and left in order.

use std::sync::Arc;
use std::time::Instant;

use super::super::budget::Kept;
use super::super::error::Refusal;
use super::super::exclusives::{Granted, Holder};
use super::super::member_drains::{DrainId, MemberDrain};
use super::super::router::Way;
use super::super::subscription_limits::memory_of;
use super::super::watches::Notices;
use super::super::{JournalKind, PeerId, RefusedOp, limits};
use super::{Broker, SUBSCRIPTION_EFFORT};
use crate::subject::Pattern;
use crate::wire::{
    ClientOp, OpError, Presence, Reply, ServerOp, SubscribeStatus, Subscription, SubscriptionClass,
};

impl Broker {
    pub(super) fn subscribe(
        &mut self,
        now: Instant,
        peer: PeerId,
        subscription: Subscription,
        waits: bool,
    ) -> Result<SubscribeStatus, OpError> {
        let noted = self.journal.is_on().then(|| (subscription.pattern.clone(), subscription.queue.clone()));
        let (pattern, queue) = noted
            .as_ref()
            .map_or(("", ""), |(pattern, queue)| (&**pattern, queue.as_deref().unwrap_or_default()));
        match self.try_subscribe(now, peer, subscription, waits) {
            Err(Refusal::Superseded) => Ok(SubscribeStatus::Superseded),
            Err(refusal) => {
                self.note(JournalKind::SubscribeRefused, peer, refusal.kind().name(), pattern);
                Err(self.count_refused_subscription(peer, refusal))
            }
            Ok(SubscribeStatus::AlreadyAdded) => Ok(SubscribeStatus::AlreadyAdded),
            Ok(status) => {
                if self.config.notes_subscriptions {
                    self.note(JournalKind::Subscribed, peer, queue, pattern);
                }
                Ok(status)
            }
        }
    }

    /// Returns the answer to a subscription that is refused.
    pub(super) fn count_refused_subscription(&mut self, peer: PeerId, refusal: Refusal) -> OpError {
        self.note_lacking(peer);
        self.totals.count_refusal(RefusedOp::Subscribe, refusal.kind());
        refusal.into()
    }

    /// Notes that a connection does not have all that it has subscribed to.
    pub(super) fn note_lacking(&mut self, peer: PeerId) {
        if let Some(entry) = self.peers.get_mut(peer) {
            entry.lacks_subscriptions = true;
        }
    }

    pub(super) fn try_subscribe(
        &mut self,
        now: Instant,
        peer: PeerId,
        subscription: Subscription,
        waits: bool,
    ) -> Result<SubscribeStatus, Refusal> {
        let exclusive = subscription.exclusive;
        self.check_reserved(&subscription.pattern)?;
        let class = self.class_of(&subscription);
        let is_inbox = subscription.class == SubscriptionClass::Direct;
        let (pattern, queue) = limits::check_subscription(subscription)?;
        // It can fall within a list, by the answers to its own waits; then it gets none of these statuses
        // either.
        let Some(entry) = self.peers.open_mut(peer) else { return Ok(SubscribeStatus::AlreadyAdded) };
        if entry.subscriptions.contains_key(&pattern) {
            return Ok(SubscribeStatus::AlreadyAdded);
        }
        if entry.subscriptions.len() >= entry.max_subscriptions {
            return Err(Refusal::TooManySubscriptions { limit: entry.max_subscriptions });
        }
        if exclusive.is_some() && self.is_outlived(peer, &pattern, &queue) {
            return Err(Refusal::Superseded);
        }
        let Some(entry) = self.peers.open_mut(peer) else { return Ok(SubscribeStatus::AlreadyAdded) };
        entry.subscription_use.add(entry.max_subscriptions, &pattern, &queue)?;
        let clock = (now, self.config.started_ms);
        let claim = |claim| self.exclusives.claim(clock, &pattern, peer, claim);
        let kept = self.peers.keep(peer, Kept::Patterns, memory_of(&pattern, &queue));
        let granted = kept.and_then(|()| exclusive.map(claim).transpose());
        let Some(entry) = self.peers.open_mut(peer) else { return Ok(SubscribeStatus::AlreadyAdded) };
        let granted = match granted {
            Ok(granted) => granted,
            Err(refusal) => {
                entry.subscription_use.remove(&pattern, &queue);
                if kept.is_ok() {
                    self.peers.give_back(peer, Kept::Patterns, memory_of(&pattern, &queue));
                }
                return Err(refusal);
            }
        };
        self.effort += SUBSCRIPTION_EFFORT;
        entry.subscriptions.insert(pattern.clone(), queue.clone());
        if is_inbox && entry.inbox.is_none() {
            entry.inbox = Some(pattern.clone());
            entry.asked = Some(self.names.asked(&pattern));
            entry.askers = self.cut_off.take(&pattern);
            self.take_up_owed(peer, &pattern);
        }
        if let Some(granted) = &granted {
            self.supersede(&pattern, granted);
        }
        let client = self.client(peer);
        if let Some(upstream) = &mut self.upstream {
            upstream.subscribe(client, &pattern, queue.clone(), class, waits);
        }
        self.router.subscribe(&pattern, queue, peer, Way { class, since: now });
        if !self.is_joining_beyond(peer, &pattern) {
            self.answer_waits(&pattern);
        }
        self.handle_owner(peer, &pattern);
        Ok(granted.map_or(SubscribeStatus::Added, |granted| SubscribeStatus::Exclusive(granted.token)))
    }

    /// Tells those who wait for it that somebody gets what is published.
    pub(super) fn answer_waits(&mut self, pattern: &Pattern) {
        let peers = &mut self.peers;
        self.waits.handle_interest(pattern, |waiting, ack| {
            peers.send(waiting, ServerOp::Ack { id: ack, reply: Reply::Interest(true) });
        });
    }

    /// Returns whether a later connection of the same listener, known by its queue, has the pattern already:
    /// what this one had still said, before it was given up, comes after what the later one says.
    fn is_outlived(&self, peer: PeerId, pattern: &Pattern, queue: &Arc<str>) -> bool {
        let later = self.exclusives.holder(pattern).filter(|holder| *holder > peer);
        let entry = later.and_then(|holder| self.peers.get(holder));
        entry.is_some_and(|entry| entry.subscriptions.get(pattern) == Some(queue))
    }

    /// Takes the pattern away from whoever had it to itself. An older connection of the same is not told.
    pub(super) fn supersede(&mut self, pattern: &Pattern, granted: &Granted) {
        let Some(Holder { peer, token }) = granted.before else { return };
        self.remove_subscription(peer, pattern, None, Presence::Replaced);
        if token != granted.token {
            tracing::warn!(%peer, %pattern, "superseded by another listener of the same id");
            let (pattern, token) = (pattern.clone(), granted.token);
            self.peers.send(peer, ServerOp::Superseded { pattern, token });
        }
    }

    pub(super) fn unsubscribe(&mut self, peer: PeerId, pattern: &str, drain: Option<DrainId>) {
        if let Ok(pattern) = Pattern::parse(pattern) {
            self.remove_subscription(peer, &pattern, drain, Presence::Left);
            self.exclusives.release(&pattern, peer);
        }
    }

    pub(super) fn remove_subscription(
        &mut self,
        peer: PeerId,
        pattern: &Pattern,
        drain: Option<DrainId>,
        why: Presence,
    ) {
        let Some(entry) = self.peers.open_mut(peer) else { return };
        if let Some(queue) = entry.subscriptions.remove(pattern) {
            entry.subscription_use.remove(pattern, &queue);
            self.peers.give_back(peer, Kept::Patterns, memory_of(pattern, &queue));
            self.effort += SUBSCRIPTION_EFFORT;
            let client = self.client(peer);
            if let Some(upstream) = &mut self.upstream {
                upstream.unsubscribe(client, pattern);
                self.handle_upstream_events();
            }
            self.router.unsubscribe(pattern, &queue, peer, drain);
            let mut notices = Notices::default();
            self.watches.handle_owner_gone(pattern, peer, why, &mut notices);
            self.tell(peer, notices);
        }
    }

    /// Unsubscribes in order: the answer comes behind all that was begun.
    pub(super) fn drain_patterns(&mut self, peer: PeerId, op: ClientOp) {
        let ClientOp::Unsubscribe { ack, patterns, .. } = op else { return };
        let drain = self.router.begin_drain(peer, ack, patterns.len());
        for pattern in &patterns {
            self.unsubscribe(peer, pattern, Some(drain));
        }
        let drained = self.router.take_drained(drain);
        drained.into_iter().for_each(|drain| self.handle_drained(drain));
    }

    /// Answers those who wait for the end of unfinished messages.
    pub(super) fn settle_unfinished(&mut self) {
        while let Some(drain) = self.router.poll_drained() {
            self.handle_drained(drain);
        }
    }

    pub(super) fn handle_drained(&mut self, MemberDrain { peer, ack, patterns, .. }: MemberDrain) {
        self.acknowledge(peer, ack, Reply::Unsubscribed { count: patterns });
    }
}
