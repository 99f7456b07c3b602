//! The broker as a whole: takes operations, keeps the rules, and joins peers, router and waits.

mod access;
mod given;
mod journal;
mod limit_changes;
mod owed;
mod presence;
mod publications;
mod shutdown;
mod subscriptions;
mod turns;
mod upstream;
mod upstream_events;
mod views;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use self::given::Untold;
use super::account::Owner;
use super::admission::Admission;
use super::authorizer::Authorizer;
use super::budget::Kept;
use super::cut_off::CutOff;
use super::debtors::Debtors;
use super::drain::Drain;
use super::error::Refusal;
use super::exclusives::Exclusives;
use super::given_requests::Names;
use super::interest_waits::{self, InterestWaits};
use super::journal::Journal;
use super::peers::Peers;
use super::pending_ops::Verdict;
use super::router::Router;
use super::subscription_limits::SubscriptionUse;
use super::time_shares::TimeShares;
use super::upstream::Upstream;
use super::watches::{Notices, Watches};
use super::{
    BrokerConfig, BrokerStats, Discarded, DisconnectReason, EndReason, JournalKind, PeerId, RefusedFor,
    RefusedOp,
};
use crate::base::{Deadlines, Entropy, NetworkNumbers};
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
    /// Its own connections.
    internal: BTreeSet<PeerId>,
    router: Router,
    waits: InterestWaits,
    watches: Watches,
    exclusives: Exclusives,
    cut_off: CutOff,
    debtors: Debtors,
    time_shares: TimeShares,
    names: Names,
    untold: Untold,
    networks: NetworkNumbers,
    /// Drawn anew by each broker: what lived in the process of another one is gone for good.
    instance: String,
    admission: Admission,
    /// When to send `info` again to a peer that has not confirmed it.
    repeats: Deadlines<PeerId>,
    totals: BrokerStats,
    journal: Journal,
    /// What everything so far has cost, but for looks for patterns and waits, in their steps.
    effort: u64,
    /// How many watches were told of their ends, so far.
    told: u64,
    authorizer: Option<Authorizer>,
    drain: Option<Drain>,
    is_leaving: bool,
    upstream: Option<Box<Upstream>>,
}

impl Broker {
    /// Returns a broker without connections.
    pub fn new(config: BrokerConfig, mut entropy: Box<dyn Entropy>) -> Self {
        let upstream = config.upstream.clone().map(|upstream| Upstream::new(upstream, entropy.split()));
        let peers = Peers::new(&config);
        Self {
            upstream: upstream.map(Box::new),
            instance: entropy.id(),
            journal: Journal::new(config.is_watched),
            authorizer: config.authorizer.clone().map(Authorizer::new),
            time_shares: TimeShares::new(config.threads),
            config,
            entropy,
            router: Router::new(peers.shared_payloads()),
            peers,
            internal: BTreeSet::new(),
            waits: InterestWaits::default(),
            watches: Watches::default(),
            exclusives: Exclusives::default(),
            cut_off: CutOff::default(),
            debtors: Debtors::default(),
            names: Names::default(),
            untold: Untold::default(),
            networks: NetworkNumbers::default(),
            admission: Admission::default(),
            repeats: Deadlines::new(),
            totals: BrokerStats::default(),
            effort: 0,
            told: 0,
            drain: None,
            is_leaving: false,
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
        let Some(entry) = self.peers.open_mut(peer) else { return };
        entry.outbox.note_sent();
        if self.upstream.is_some() {
            entry.heard_at = Some(now);
        }
        if self.authorizer.is_some() {
            self.authorize(now, peer, op);
        } else {
            self.execute(now, peer, op, &[]);
        }
        self.evict_slow_consumers();
    }

    /// Drops the subscriptions, waits and outbox of a peer whose link is gone.
    pub fn detach(&mut self, now: Instant, peer: PeerId) {
        let lost = self.peers.get(peer).and_then(|entry| entry.lost);
        self.retire(peer, lost.unwrap_or(EndReason::Client));
        self.end_owed(now, peer);
        self.end_given(now, peer);
        self.peers.remove(peer);
        self.evict_slow_consumers();
    }

    /// Moves what waits for this peer to `into`, oldest first: at most 1024 operations and about 1 MiB a
    /// call. When more is left the peer is woken again.
    pub fn take_outbox(&mut self, peer: PeerId, into: &mut Vec<ServerOp>) {
        self.peers.take_outbox(peer, into);
    }

    /// Whether several senders wait for their turns at a peer: then no more is to be taken from its outbox
    /// than goes out soon, since whatever is taken is in the way of all that comes later.
    pub fn is_contended(&self, peer: PeerId) -> bool {
        self.peers.get(peer).is_some_and(|entry| entry.outbox.is_contended())
    }

    /// Returns a peer that got output, or was closed, since it was last returned here.
    pub fn poll_woken(&mut self) -> Option<PeerId> {
        self.peers.poll_woken()
    }

    /// Returns what waited for a peer that was closed or detached, if that is much: the driver drops it bit
    /// by bit, and lets others have their turns meanwhile.
    pub fn poll_discarded(&mut self) -> Option<Discarded> {
        self.peers.poll_discarded()
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
        self.handle_cut_off(now);
        self.handle_debtors(now);
        self.handle_overdue_auth_requests(now);
        self.handle_upstream_timeout(now);
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
            self.cut_off.poll_timeout(),
            self.debtors.poll_timeout(),
            self.untold.poll_timeout(),
            auth_requests,
            release,
            self.upstream.as_ref().and_then(|upstream| upstream.poll_timeout()),
        ];
        timeouts.into_iter().flatten().min()
    }

    /// Does what a peer wants, but for what it may not. `verdicts` are on the subjects that `op` names; none:
    /// all are allowed.
    fn execute(&mut self, now: Instant, peer: PeerId, op: ClientOp, verdicts: &[Verdict]) {
        self.effort += OP_EFFORT;
        match op {
            ClientOp::Publish { ack, publication } if is_denied(verdicts) => {
                self.deny(peer, ack, publication.subject.as_str(), RefusedOp::Publish);
            }
            ClientOp::Request { ack, publication } if is_denied(verdicts) => {
                self.deny(peer, Some(ack), publication.subject.as_str(), RefusedOp::Publish);
            }
            ClientOp::Publish { ack, publication } if self.crosses(&publication) => {
                self.publish_beyond(now, peer, (ack, false), publication);
            }
            ClientOp::Request { ack, publication } if self.crosses(&publication) => {
                self.publish_beyond(now, peer, (Some(ack), true), publication);
            }
            ClientOp::Publish { ack, publication } => {
                let asks = publication.headers.reply.is_some();
                let reply = match ack.filter(|_| asks && self.hears_of_ends(peer)) {
                    Some(ack) => self.ask(now, peer, (ack, true), publication),
                    None => self.publish(now, peer, publication),
                };
                if asks && matches!(reply, Reply::Published { count: 0 }) {
                    self.totals.unheard += 1;
                }
                self.acknowledge(peer, ack, reply);
            }
            ClientOp::Request { ack, publication } => {
                let reply = self.ask(now, peer, (ack, false), publication);
                self.acknowledge_request(peer, ack, reply);
            }
            ClientOp::PublishRefused { ack, error } => {
                self.totals.publishes_refused += 1;
                let is_large = error.code == Some(crate::wire::message::TOO_LARGE);
                let why = if is_large { RefusedFor::TooLarge } else { RefusedFor::Invalid };
                self.totals.count_refusal(RefusedOp::Publish, why);
                self.note(JournalKind::PublishRefused, peer, why.name(), &error.message);
                self.acknowledge(peer, ack, Reply::Error(error));
            }
            ClientOp::Subscribe { ack, subscriptions, list: _ } => {
                tracing::trace!(%peer, count = subscriptions.len(), "subscribe");
                let patterns = self.names_of(&subscriptions);
                self.yield_drains_beyond(peer, &patterns);
                if verdicts.iter().any(|verdict| *verdict != Verdict::Allowed) {
                    return self.subscribe_allowed((now, peer), ack, (subscriptions, patterns), verdicts);
                }
                let statuses = subscriptions
                    .into_iter()
                    .map(|subscription| self.subscribe(now, peer, subscription, ack.is_some()))
                    .collect();
                self.answer_subscribe(peer, ack, patterns, statuses);
            }
            ClientOp::Unsubscribe { ack, patterns, list: _, drain: false } => {
                for pattern in &patterns {
                    self.unsubscribe(peer, pattern, None);
                }
                self.acknowledge(peer, ack, Reply::Unsubscribed { count: patterns.len() });
            }
            op @ ClientOp::Unsubscribe { drain: true, .. } => {
                if let Some(op) = self.begin_drain_beyond(peer, op) {
                    self.drain_patterns(peer, op);
                }
            }
            ClientOp::Subscriptions { ack } => {
                let own = self.peers.get(peer).map(|entry| &entry.subscriptions);
                let patterns = own.into_iter().flat_map(BTreeMap::keys).map(Pattern::to_string).collect();
                self.acknowledge(peer, Some(ack), Reply::Strings(patterns));
            }
            ClientOp::WaitForInterest { ack, subject, .. } if is_denied(verdicts) => {
                self.deny(peer, Some(ack), &subject, RefusedOp::Interest);
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
                let entry = self.peers.get_mut(peer);
                let is_again = entry.is_some_and(|entry| entry.info_until.take().is_none());
                self.repeats.set(peer, None);
                if let Some(drain) = self.drain.as_mut().filter(|_| is_again) {
                    drain.handle_word(peer);
                }
            }
            ClientOp::Watch(requests) => self.watch(peer, requests, verdicts),
            ClientOp::Sockets(reports) => self.handle_reports(peer, reports),
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
        let Ok(valid) = Subject::parse(&subject) else {
            let reply = self.refuse_interest(Refusal::InvalidSubject);
            return self.acknowledge(peer, Some(ack), reply);
        };
        let reply = if let Err(refusal) = self.check_reserved(&subject) {
            self.refuse_interest(refusal)
        } else if self.is_heard(&subject) {
            Reply::Interest(true)
        } else if timeout.is_zero() {
            if self.look_beyond(now, peer, ack, valid) {
                return;
            }
            Reply::Interest(false)
        } else {
            let owner = self.peers.get(peer).map_or(Owner::Network(None), |entry| entry.owner);
            let memory = interest_waits::memory_of(&subject);
            self.effort += SUBSCRIPTION_EFFORT;
            let kept = self.peers.keep(peer, Kept::Waits, memory);
            match kept.and_then(|()| self.waits.begin(now, (peer, owner), ack, subject, timeout)) {
                Ok(evicted) => {
                    let refusal = Refusal::TooManyWaits { limit: interest_waits::MAX_WAITS };
                    if let Some((other, ack)) = evicted {
                        let reply = self.refuse_interest(refusal);
                        self.acknowledge(other, Some(ack), reply);
                    }
                    return self.wait_beyond(&valid);
                }
                Err(refusal) => {
                    if kept.is_ok() {
                        self.peers.give_back(peer, Kept::Waits, memory);
                    }
                    self.refuse_interest(refusal)
                }
            }
        };
        self.acknowledge(peer, Some(ack), reply);
    }

    /// Returns whether somebody here gets what is published to a subject now.
    fn is_heard(&self, subject: &str) -> bool {
        match &self.upstream {
            None => self.router.has_interest(subject),
            Some(upstream) => {
                self.router.has_member(subject, |pattern, peer| !upstream.is_joining(peer, pattern))
            }
        }
    }

    fn refuse_interest(&mut self, refusal: Refusal) -> Reply {
        self.totals.count_refusal(RefusedOp::Interest, refusal.kind());
        Reply::Error(refusal.into())
    }

    /// Acknowledges a request only if nobody has received it: a receiver answers itself.
    fn acknowledge_request(&mut self, peer: PeerId, ack: AckId, reply: Reply) {
        if !matches!(reply, Reply::Published { count: 1.. }) {
            if matches!(reply, Reply::Published { .. }) {
                self.totals.unheard += 1;
            }
            self.acknowledge(peer, Some(ack), reply);
        }
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
        let (max_payload, max_message) =
            (self.max_payload_beyond(*max_payload), Some(self.config.max_message_bytes as u64));
        let monitor = self.config.report_interval_ms;
        ServerOp::Info(Box::new(Info {
            max_payload,
            id,
            cluster_name,
            user,
            instance,
            large: None,
            max_message,
            monitor,
        }))
    }

    /// Retires those that became slow consumers meanwhile, and gives back the memory of what has ended. Not
    /// at once: they fall while the router is walked.
    fn evict_slow_consumers(&mut self) {
        self.settle_usage();
        while let Some(peer) = self.peers.pop_evicted() {
            self.totals.slow_consumers += 1;
            self.retire(peer, EndReason::SlowConsumer);
        }
        while let Some((peer, kind, memory)) = self.poll_given_back() {
            self.peers.give_back(peer, kind, memory);
        }
    }

    fn poll_given_back(&mut self) -> Option<(PeerId, Kept, usize)> {
        let beside = self.waits.poll_given_back().or_else(|| self.watches.poll_given_back());
        let of = |kind| move |(peer, memory)| (peer, kind, memory);
        beside.map(of(Kept::Waits)).or_else(|| self.router.poll_given_back().map(of(Kept::Chunks)))
    }

    /// Takes back all that a peer has in other tables, once. One that was refused has nothing there.
    fn retire(&mut self, peer: PeerId, reason: EndReason) {
        let Some(entry) = self.peers.get_mut(peer) else { return };
        if !std::mem::take(&mut entry.is_admitted) {
            return;
        }
        let was_signed_in = entry.is_signed_in;
        if was_signed_in {
            self.totals.ended[entry.carrier as usize] += 1;
            self.totals.ended_by[reason as usize] += 1;
        }
        if entry.is_internal {
            self.internal.remove(&peer);
        } else {
            self.admission.release(peer, Owner::at(&entry.address), &entry.user);
        }
        let why = entry.ends_as();
        let mut notices = Notices::default();
        entry.subscription_use = SubscriptionUse::default();
        for (pattern, queue) in std::mem::take(&mut entry.subscriptions) {
            self.router.unsubscribe(&pattern, &queue, peer, None);
            self.exclusives.release(&pattern, peer);
            self.watches.handle_owner_gone(&pattern, peer, why, &mut notices);
        }
        if was_signed_in {
            self.note_end_of(peer, reason);
        }
        self.forget_beyond(peer);
        self.watches.forget(peer);
        self.tell(peer, notices);
        self.router.forget_peer(peer);
        self.settle_unfinished();
        self.waits.forget(peer);
        self.repeats.set(peer, None);
        if let Some(authorizer) = &mut self.authorizer {
            authorizer.forget(peer);
        }
        self.peers.retire(peer);
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

/// An operation, in steps.
const OP_EFFORT: u64 = 16;
/// To add or remove a subscription, a wait or a watch, in steps.
const SUBSCRIPTION_EFFORT: u64 = 64;
/// To tell one who watches an end, in steps.
const NOTICE_EFFORT: u64 = 8;
