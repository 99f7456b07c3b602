//! Memory usage of a client, and the points at which a simulation injects faults.

use std::time::Instant;

use super::Client;
use crate::base::{FaultInjector, FaultPoint};
use crate::subject::Pattern;
use crate::wire::Publication;
use crate::wire::message::chunk::PARTIAL_LIFETIME;

/// Counts; all but the patterns are 0 once the client is closed and drained.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ClientUsage {
    /// Open requests.
    pub requests: usize,
    /// Acknowledgements that the broker owes.
    pub acks: usize,
    /// Patterns with members.
    pub patterns: usize,
    /// Bytes of messages that have come in part.
    pub partial_bytes: usize,
    /// Operations and events that have not been fetched.
    pub outputs: usize,
}

impl<T: Copy + Ord + std::hash::Hash> Client<T> {
    /// Notes an incomplete message, whose other chunks may never arrive.
    pub(super) fn expect_rest(&mut self, now: Instant, publication: &Publication) {
        if !publication.done && self.prune_at.is_none() {
            self.prune_at = Some(now + PARTIAL_LIFETIME);
        }
    }

    /// Drops messages that have come in part and are too old.
    pub(super) fn prune(&mut self, now: Instant) {
        self.replies.drop_old(now);
        self.subscriptions.prune(now);
        let partial_bytes = self.subscriptions.partial_bytes() + self.replies.bytes();
        self.prune_at = (partial_bytes > 0).then(|| now + PARTIAL_LIFETIME);
    }

    /// Returns what it keeps.
    pub fn usage(&self) -> ClientUsage {
        ClientUsage {
            requests: self.requests.keys(|_| true).len(),
            acks: self.acks.len(),
            patterns: self.subscriptions.patterns().count(),
            partial_bytes: self.subscriptions.partial_bytes() + self.replies.bytes(),
            outputs: self.ops.len() + self.events.len(),
        }
    }

    /// Returns what the broker should have of it while it is ready: the inbox, and each pattern once. Nothing
    /// once it is closed.
    pub fn patterns(&self) -> impl Iterator<Item = &Pattern> {
        let all = std::iter::once(&self.inbox_pattern).chain(self.subscriptions.patterns());
        all.filter(|_| !self.is_closed())
    }

    /// Returns whether to do what is allowed but rare at this point: never outside of a simulation.
    pub fn should_inject(&mut self, point: FaultPoint) -> bool {
        self.entropy.should_inject(point)
    }

    /// Returns the fault points of a machine that this client is joined with.
    pub fn fork_faults(&mut self) -> FaultInjector {
        FaultInjector::fork(self.entropy.as_mut())
    }
}
