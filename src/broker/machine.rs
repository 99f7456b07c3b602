//! The broker as a whole: takes operations, keeps the rules, and joins peers, router and waits.

mod access;
mod presence;
mod publications;
mod shutdown;
mod subscriptions;
mod views;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::account::Account;
use super::admission::Admission;
use super::authorizer::Authorizer;
use super::drain::Drain;
use super::error::Refusal;
use super::exclusives::Exclusives;
use super::interest_waits::{self, InterestWaits};
use super::outbox::publication_size;
use super::peers::Peers;
use super::pending_ops::Verdict;
use super::router::Router;
use super::subscription_limits::SubscriptionUse;
use super::watches::{Notices, Watches};
use super::{BrokerConfig, BrokerStats, DisconnectReason, PeerId};
use crate::base::{Deadlines, Entropy};
use crate::subject::{Pattern, Subject};
use crate::wire::{AckId, ClientOp, Info, Json, OpError, Presence, Reply, ServerOp};

/// An embedded broker.
///
/// Its driver attaches a peer for each link, hands over its operations, and after each call drains
/// [`Broker::poll_woken`]: for each peer named there it calls [`Broker::take_outbox`] and looks at
/// [`Broker::close_reason`]. When [`Broker::poll_timeout`] is reached it calls [`Broker::handle_timeout`].
/// With [`BrokerConfig::authorizer`] it also drains [`Broker::poll_auth_request`], and does not read from a
/// peer while [`Broker::is_paused`].
pub struct Broker {
    config: BrokerConfig,
    entropy: Box<dyn Entropy>,
    peers: Peers,
    router: Router,
    waits: InterestWaits,
    watches: Watches,
    exclusives: Exclusives,
    /// Drawn anew by each broker: what lived in the process of another one is gone for good.
    instance: String,
    admission: Admission,
    /// When to send `info` again to a peer that has not confirmed it.
    repeats: Deadlines<PeerId>,
    totals: BrokerStats,
    /// What everything so far has cost, but for looks for patterns and waits, in their steps.
    effort: u64,
    authorizer: Option<Authorizer>,
    drain: Option<Drain>,
}

impl Broker {
    /// Returns a broker without connections.
    pub fn new(config: BrokerConfig, mut entropy: Box<dyn Entropy>) -> Self {
        Self {
            instance: entropy.id(),
            peers: Peers::new(&config),
            authorizer: config.authorizer.clone().map(Authorizer::new),
            config,
            entropy,
            router: Router::default(),
            waits: InterestWaits::default(),
            watches: Watches::default(),
            exclusives: Exclusives::default(),
            admission: Admission::default(),
            repeats: Deadlines::new(),
            totals: BrokerStats::default(),
            effort: 0,
            drain: None,
        }
    }

    /// Attaches a connection whose link is up and whose user is known. Its first output is
    /// [`ServerOp::Info`]: with this user, or with code 429 and then a close reason if there are too many
    /// connections.
    pub fn attach(&mut self, now: Instant, user: Json) -> PeerId {
        let peer = self.peers.attach(String::new(), String::new());
        if self.enter(peer) {
            self.sign_in(now, peer, user);
        }
        self.evict_slow_consumers();
        peer
    }

    /// Takes an operation of a peer. Ignored when the peer is gone, or about to be closed.
    pub fn handle_op(&mut self, now: Instant, peer: PeerId, op: ClientOp) {
        if self.peers.open_mut(peer).is_none() {
            return;
        }
        if self.authorizer.is_some() {
            self.authorize(now, peer, op);
        } else {
            self.execute(now, peer, op, &[]);
        }
        self.evict_slow_consumers();
    }

    /// What a peer wants, in order: takes operations out of `ops` until the peer is paused or has had its
    /// turn. Returns whether it was the turn; then others should have theirs before this is called again.
    pub fn handle_ops(&mut self, now: Instant, peer: PeerId, ops: &mut Vec<ClientOp>) -> bool {
        let end = self.work() + MAX_TURN;
        let mut is_over = false;
        let mut is_paused = self.is_paused(peer);
        let mut taken = ops.drain(..);
        while !is_over
            && !is_paused
            && let Some(op) = taken.next()
        {
            // Where nobody is asked, a publish pauses nobody.
            let may_pause = self.authorizer.is_some() || !op.is_publish();
            self.handle_op(now, peer, op);
            is_over = self.work() >= end;
            is_paused = may_pause && self.is_paused(peer);
        }
        if taken.len() > 0 {
            let left: Vec<ClientOp> = taken.collect();
            *ops = left;
        }
        is_over
    }

    /// What everything so far has cost, in steps of some nanoseconds that do not depend on the machine: looks
    /// for patterns and waits, deliveries, subscriptions.
    pub fn work(&self) -> u64 {
        self.router.steps() + self.waits.steps() + self.effort
    }

    /// Drops the subscriptions, waits and outbox of a peer whose link is gone.
    pub fn detach(&mut self, peer: PeerId) {
        self.retire(peer);
        self.peers.remove(peer);
    }

    /// Moves what waits for this peer to `into`, oldest first: at most 1024 operations and about 1 MiB a
    /// call. When more is left the peer is woken again.
    pub fn take_outbox(&mut self, peer: PeerId, into: &mut Vec<ServerOp>) {
        self.peers.take_outbox(peer, into);
    }

    /// Returns a peer that got output, or was closed, since it was last returned here.
    pub fn poll_woken(&mut self) -> Option<PeerId> {
        self.peers.poll_woken()
    }

    /// Returns why the broker wants to close this peer, if it does: flush its outbox, close the link, and
    /// detach it.
    pub fn close_reason(&self, peer: PeerId) -> Option<DisconnectReason> {
        self.peers.get(peer)?.close
    }

    /// Does what is due: ends waits, repeats `info`, forgets unfinished messages.
    pub fn handle_timeout(&mut self, now: Instant) {
        while let Some((peer, ack)) = self.waits.pop_due(now) {
            self.peers.send(peer, ServerOp::Ack { id: ack, reply: Reply::Interest(false) });
        }
        while let Some(peer) = self.repeats.pop_due(now) {
            let Some(entry) = self.peers.get(peer) else { continue };
            if entry.info_until.is_some_and(|until| now <= until) {
                let info = self.info(Ok(entry.user.clone()));
                self.repeats.set(peer, Some(now + INFO_INTERVAL));
                self.peers.send(peer, info);
            }
        }
        self.router.handle_timeout(now);
        self.settle_unfinished();
        self.handle_overdue_auth_requests(now);
        self.release_due(now);
        self.evict_slow_consumers();
    }

    /// Returns when [`Broker::handle_timeout`] has something to do.
    pub fn poll_timeout(&self) -> Option<Instant> {
        let auth_requests = self.authorizer.as_ref().and_then(Authorizer::poll_timeout);
        let release = self.drain.as_ref().and_then(Drain::poll_timeout);
        let timeouts = [
            self.waits.poll_timeout(),
            self.repeats.next(),
            self.router.poll_timeout(),
            auth_requests,
            release,
        ];
        timeouts.into_iter().flatten().min()
    }

    /// Does what a peer wants, but for what it may not. `verdicts` are on the subjects that `op` names; none:
    /// all are allowed.
    fn execute(&mut self, now: Instant, peer: PeerId, op: ClientOp, verdicts: &[Verdict]) {
        self.effort += OP_EFFORT;
        match op {
            ClientOp::Publish { ack, publication } if is_denied(verdicts) => {
                self.deny_publish(peer, ack, publication.subject.as_str());
            }
            ClientOp::Request { ack, publication } if is_denied(verdicts) => {
                self.deny_publish(peer, Some(ack), publication.subject.as_str());
            }
            ClientOp::Publish { ack, publication } => {
                let reply = self.publish(now, peer, publication);
                self.acknowledge(peer, ack, reply);
            }
            ClientOp::Request { ack, publication } => {
                let reply = self.publish(now, peer, publication);
                // A receiver of it answers itself.
                if !matches!(reply, Reply::Published { count: 1.. }) {
                    self.acknowledge(peer, Some(ack), reply);
                }
            }
            ClientOp::PublishRefused { ack, error } => {
                self.totals.publishes_refused += 1;
                self.acknowledge(peer, ack, Reply::Error(error));
            }
            ClientOp::Subscribe { ack, subscriptions, list: _ } => {
                tracing::trace!(%peer, count = subscriptions.len(), "subscribe");
                if verdicts.iter().any(|verdict| *verdict != Verdict::Allowed) {
                    return self.subscribe_allowed((now, peer), ack, subscriptions, verdicts);
                }
                let statuses = subscriptions
                    .into_iter()
                    .map(|subscription| self.subscribe(now, peer, subscription))
                    .collect();
                self.acknowledge(peer, ack, Reply::Subscribed(statuses));
            }
            ClientOp::Unsubscribe { ack, patterns, list: _, drain: false } => {
                for pattern in &patterns {
                    self.unsubscribe(peer, pattern, None);
                }
                self.acknowledge(peer, ack, Reply::Unsubscribed { count: patterns.len() });
            }
            ClientOp::Unsubscribe { ack, patterns, list: _, drain: true } => {
                let drain = self.router.begin_drain(peer, ack, patterns.len());
                for pattern in &patterns {
                    self.unsubscribe(peer, pattern, Some(drain));
                }
                let drained = self.router.take_drained(drain);
                drained.into_iter().for_each(|drain| self.handle_drained(drain));
            }
            ClientOp::Subscriptions { ack } => {
                let own = self.peers.get(peer).map(|entry| &entry.subscriptions);
                let patterns = own.into_iter().flat_map(BTreeMap::keys).map(Pattern::to_string).collect();
                self.acknowledge(peer, Some(ack), Reply::Strings(patterns));
            }
            ClientOp::WaitForInterest { ack, subject, .. } if is_denied(verdicts) => {
                self.deny_publish(peer, Some(ack), &subject);
            }
            ClientOp::WaitForInterest { ack, subject, timeout } => {
                self.wait_for_interest(now, peer, ack, subject, timeout);
            }
            ClientOp::Cluster { ack } => {
                self.acknowledge(peer, Some(ack), Reply::Strings(self.config.addresses.clone()));
            }
            ClientOp::Stats { messages, bytes } => {
                if let Some(entry) = self.peers.get_mut(peer) {
                    entry.reported.messages = messages;
                    entry.reported.bytes = bytes;
                }
            }
            ClientOp::InfoReceived => {
                if let Some(entry) = self.peers.get_mut(peer) {
                    entry.info_until = None;
                }
                self.repeats.set(peer, None);
            }
            ClientOp::Watch(requests) => self.watch(peer, requests, verdicts),
            ClientOp::Leaving => self.note_end(peer, Presence::Gone),
        }
    }

    fn wait_for_interest(
        &mut self,
        now: Instant,
        peer: PeerId,
        ack: AckId,
        subject: Arc<str>,
        timeout: Duration,
    ) {
        let reply = if Subject::parse(&subject).is_err() {
            Reply::Error(Refusal::InvalidSubject.into())
        } else if self.router.has_interest(&subject) {
            Reply::Interest(true)
        } else if timeout.is_zero() {
            Reply::Interest(false)
        } else {
            let account = self.peers.get(peer).map_or(Account::Connection(peer), |entry| entry.account);
            self.effort += SUBSCRIPTION_EFFORT;
            match self.waits.begin(now, (peer, account), ack, subject, timeout) {
                Ok(evicted) => {
                    let refusal = Refusal::TooManyWaits { limit: interest_waits::MAX_WAITS };
                    if let Some((other, ack)) = evicted {
                        self.acknowledge(other, Some(ack), Reply::Error(refusal.into()));
                    }
                    return;
                }
                Err(refusal) => Reply::Error(refusal.into()),
            }
        };
        self.acknowledge(peer, Some(ack), reply);
    }

    fn acknowledge(&mut self, peer: PeerId, ack: Option<AckId>, reply: Reply) {
        if let Some(id) = ack {
            self.peers.send(peer, ServerOp::Ack { id, reply });
        }
    }

    fn info(&self, user: Result<Json, OpError>) -> ServerOp {
        let BrokerConfig { max_payload, id, cluster_name, .. } = &self.config;
        let (id, cluster_name) = (id.clone(), cluster_name.clone());
        let instance = Some(self.instance.clone());
        let (max_payload, max_message) = (*max_payload, Some(self.config.max_message_bytes as u64));
        ServerOp::Info(Info { max_payload, id, cluster_name, user, instance, large: None, max_message })
    }

    /// Retires those that became slow consumers meanwhile. Not at once: they fall while the router is walked.
    fn evict_slow_consumers(&mut self) {
        while let Some(peer) = self.peers.pop_evicted() {
            self.totals.slow_consumers += 1;
            self.retire(peer);
        }
    }

    /// Takes back all that a peer has in other tables, once. One that was refused has nothing there.
    fn retire(&mut self, peer: PeerId) {
        let Some(entry) = self.peers.get_mut(peer) else { return };
        if !std::mem::take(&mut entry.is_admitted) {
            return;
        }
        if !entry.is_internal {
            self.admission.release(&entry.user);
        }
        let why = entry.ends_as();
        let mut notices = Notices::default();
        entry.subscription_use = SubscriptionUse::default();
        for (pattern, queue) in std::mem::take(&mut entry.subscriptions) {
            self.router.unsubscribe(&pattern, &queue, peer, None);
            self.exclusives.release(&pattern, peer);
            self.watches.handle_owner_gone(&pattern, peer, why, &mut notices);
        }
        self.watches.forget(peer);
        self.tell(peer, notices);
        self.router.forget_peer(peer);
        self.settle_unfinished();
        self.waits.forget(peer);
        self.repeats.set(peer, None);
        if let Some(authorizer) = &mut self.authorizer {
            authorizer.forget(peer);
        }
    }
}

fn is_denied(verdicts: &[Verdict]) -> bool {
    verdicts.contains(&Verdict::Denied)
}

/// The interval at which `info` is repeated until the client has it (Conat's).
pub(super) const INFO_INTERVAL: Duration = Duration::from_millis(7500);

/// For how long (Conat's). A client that is silent for longer has a keep-alive problem, which its link
/// notices.
pub(super) const INFO_REPEAT_TIMEOUT: Duration = Duration::from_secs(120);

/// Steps that one peer may take before others have their turn: about a millisecond.
const MAX_TURN: u64 = 50_000;
/// An operation, in steps.
const OP_EFFORT: u64 = 16;
/// To add or remove a subscription or a wait, in steps.
const SUBSCRIPTION_EFFORT: u64 = 64;
