//! What a broker tells of itself: its options, connections, patterns and numbers.

use std::collections::BTreeMap;
use std::time::Instant;

use super::super::budget::Kept;
use super::super::{
    BrokerConfig, BrokerStats, Found, FoundPeer, FoundRows, PatternRow, PeerId, PeerStats, SocketRow, Wanted,
    WantedPatterns, connection_list, pattern_list, snapshot,
};
use super::Broker;
use crate::subject::{Pattern, Subject};
use crate::wire::SocketReport;

impl Broker {
    /// Returns the options that it runs with.
    pub fn config(&self) -> &BrokerConfig {
        &self.config
    }

    /// Returns how many connections are open.
    pub fn connections(&self) -> usize {
        self.admission.total()
    }

    /// Returns every connection, oldest first, including those that are to be closed, but not the broker's
    /// own.
    pub fn peers(&self) -> Vec<PeerId> {
        self.peers.all().into_iter().filter(|peer| !peer.is_internal).map(|peer| peer.id).collect()
    }

    /// Returns those connections that are wanted, sorted.
    pub fn find_connections(&self, now: Instant, wanted: &Wanted) -> Found {
        connection_list::find(self.peers.all().into_iter(), now, wanted)
    }

    /// Returns those patterns that are wanted, the most subscribed first. Inboxes count as one.
    pub fn find_patterns(&self, wanted: &WantedPatterns) -> FoundRows<PatternRow> {
        pattern_list::find_patterns(self.peers.all().into_iter(), wanted)
    }

    /// Returns those sockets that are wanted, sorted by subject.
    pub fn find_sockets(&self, wanted: &WantedPatterns) -> FoundRows<SocketRow> {
        pattern_list::find_sockets(self.peers.all().into_iter(), wanted)
    }

    /// What a client tells of its sockets is kept by a broker that has asked for it.
    pub(super) fn handle_reports(&mut self, peer: PeerId, reports: Vec<SocketReport>) {
        if self.config.report_interval_ms.is_some() {
            self.effort += reports.len() as u64;
            self.peers.take_reports(peer, reports);
        }
    }

    /// Returns one connection by its id, with its patterns and their queue groups.
    pub fn find_connection(&self, now: Instant, name: &str) -> Option<(FoundPeer, Vec<(String, String)>)> {
        let all = self.peers.all();
        let peer = all.into_iter().find(|peer| peer.name == name && connection_list::is_open(peer))?;
        Some((connection_list::found(peer, now), pattern_list::patterns_of(peer)))
    }

    /// Returns the numbers of one connection.
    pub fn peer_stats(&self, peer: PeerId) -> Option<PeerStats> {
        Some(self.peers.get(peer)?.stats())
    }

    /// Returns every pattern with the number of its subscriptions, without the broker's own. Walks over all
    /// of them: for debugging and tools.
    pub fn patterns(&self) -> BTreeMap<Pattern, usize> {
        let mut patterns = BTreeMap::new();
        for peer in self.peers.all().into_iter().filter(|peer| !peer.is_internal) {
            for pattern in peer.subscriptions.keys() {
                *patterns.entry(pattern.clone()).or_default() += 1;
            }
        }
        patterns
    }

    /// Returns whether `subject` has a subscriber other than a tap.
    pub fn has_interest(&self, subject: &Subject) -> bool {
        self.router.has_interest(subject.as_str())
    }

    /// Returns the broker's numbers.
    pub fn stats(&self) -> BrokerStats {
        let (outbox_ops, outbox_bytes) = self.peers.outbox_totals();
        BrokerStats {
            connections: self.admission.total(),
            subscriptions: self.router.subscriptions() - self.own_subscriptions(),
            patterns: self.router.patterns(),
            waits: self.waits.len(),
            watches: self.watches.len(),
            outbox_ops,
            outbox_bytes,
            memory_bytes: self.peers.memory(),
            pattern_bytes: self.peers.kept(Kept::Patterns),
            chunk_bytes: self.peers.kept(Kept::Chunks),
            wait_bytes: self.peers.kept(Kept::Waits),
            ..self.totals
        }
    }

    /// Returns how many subscriptions its own connections have: those of whoever answers for it.
    fn own_subscriptions(&self) -> usize {
        let own = self.internal.iter().filter_map(|peer| self.peers.get(*peer));
        own.map(|peer| peer.subscriptions.len()).sum()
    }

    /// Returns how many assignments for messages in chunks it remembers: for checks that nothing stays
    /// behind.
    pub fn unfinished(&self) -> usize {
        self.router.unfinished()
    }

    /// Returns how many drains wait for the rest of messages: for the same.
    pub fn open_drains(&self) -> usize {
        self.router.drains()
    }

    /// Returns a printable table of peers and patterns, for debugging. Bounded, and escaped: names are
    /// untrusted.
    pub fn snapshot(&self) -> String {
        let peers: Vec<(PeerId, PeerStats)> =
            self.peers.all().into_iter().map(|peer| (peer.id, peer.stats())).collect();
        snapshot::render(&self.config.id, &self.stats(), &peers, &self.patterns())
    }
}
