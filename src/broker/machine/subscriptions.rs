//! Subscriptions: added, taken over by a newer connection, removed, and left in order.

use std::time::Instant;

use super::super::error::Refusal;
use super::super::exclusives::{Granted, Holder};
use super::super::member_drains::{DrainId, MemberDrain};
use super::super::watches::Notices;
use super::super::{PeerId, limits};
use super::{Broker, SUBSCRIPTION_EFFORT};
use crate::subject::Pattern;
use crate::wire::{OpError, Presence, Reply, ServerOp, SubscribeStatus, Subscription};

impl Broker {
    pub(super) fn subscribe(
        &mut self,
        now: Instant,
        peer: PeerId,
        subscription: Subscription,
    ) -> Result<SubscribeStatus, OpError> {
        match self.try_subscribe(now, peer, subscription) {
            Err(Refusal::Superseded) => Ok(SubscribeStatus::Superseded),
            status => status.map_err(OpError::from),
        }
    }

    pub(super) fn try_subscribe(
        &mut self,
        now: Instant,
        peer: PeerId,
        subscription: Subscription,
    ) -> Result<SubscribeStatus, Refusal> {
        let exclusive = subscription.exclusive;
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
        entry.subscription_use.add(entry.max_subscriptions, &pattern, &queue)?;
        let clock = (now, self.config.started_ms);
        let claim = |claim| self.exclusives.claim(clock, &pattern, peer, claim);
        let granted = match exclusive.map(claim).transpose() {
            Ok(granted) => granted,
            Err(refusal) => {
                entry.subscription_use.remove(&pattern, &queue);
                return Err(refusal);
            }
        };
        self.effort += SUBSCRIPTION_EFFORT;
        entry.subscriptions.insert(pattern.clone(), queue.clone());
        if let Some(granted) = &granted {
            self.supersede(&pattern, granted);
        }
        self.router.subscribe(&pattern, queue, peer);
        let peers = &mut self.peers;
        self.waits.handle_interest(&pattern, |waiting, ack| {
            peers.send(waiting, ServerOp::Ack { id: ack, reply: Reply::Interest(true) });
        });
        self.handle_owner(peer, &pattern);
        Ok(granted.map_or(SubscribeStatus::Added, |granted| SubscribeStatus::Exclusive(granted.token)))
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
            self.effort += SUBSCRIPTION_EFFORT;
            self.router.unsubscribe(pattern, &queue, peer, drain);
            let mut notices = Notices::default();
            self.watches.handle_owner_gone(pattern, peer, why, &mut notices);
            self.tell(peer, notices);
        }
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
