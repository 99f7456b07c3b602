//! Clients that unsubscribe in order: answered once nothing more comes from the fabric above.

use std::sync::Arc;

use super::super::UpstreamEvent;
use super::super::outgoing::Client;
use super::{AWAITED_MEMORY, Upstream};
use crate::broker::PeerId;
use crate::subject::Pattern;
use crate::wire::ClientOp;

/// A client that unsubscribes in order.
#[derive(Debug)]
pub(super) struct Leaving {
    peer: PeerId,
    op: ClientOp,
    missing: usize,
}

impl Leaving {
    /// What it takes.
    fn cost(&self) -> usize {
        let ClientOp::Unsubscribe { patterns, .. } = &self.op else { return AWAITED_MEMORY };
        AWAITED_MEMORY + patterns.iter().map(|pattern| size_of_val(pattern) + pattern.len()).sum::<usize>()
    }
}

impl Upstream {
    /// A client unsubscribes in order. Returns the operation if nothing has to be awaited for that.
    pub(in crate::broker) fn begin_drain(&mut self, client: Client, op: ClientOp) -> Option<ClientOp> {
        let (peer, _) = client;
        let ClientOp::Unsubscribe { patterns, .. } = &op else { return Some(op) };
        if !self.session.is_open() {
            return Some(op);
        }
        self.drains_begun += 1;
        let drain = self.drains_begun;
        let mut missing = 0;
        for pattern in patterns.iter().filter_map(|text| Pattern::parse(text).ok()) {
            missing += usize::from(self.release(client, &pattern, Some(drain)));
        }
        if missing == 0 {
            return Some(op);
        }
        let leaving = Leaving { peer, op, missing };
        self.usage.add(peer, leaving.cost());
        self.drains.insert(drain, leaving);
        None
    }

    /// A client subscribes to patterns again: those of them that it unsubscribes from in order are taken out
    /// of that, and returned. What is under way for them there still comes, before the drain ends.
    pub(in crate::broker) fn take_drained_among(
        &mut self,
        peer: PeerId,
        wanted: &[Arc<str>],
    ) -> Vec<Arc<str>> {
        let mut taken = Vec::new();
        for leaving in self.drains.values_mut().filter(|leaving| leaving.peer == peer) {
            let before = leaving.cost();
            if let ClientOp::Unsubscribe { patterns, .. } = &mut leaving.op {
                taken.extend(patterns.extract_if(.., |pattern| wanted.contains(pattern)));
            }
            self.usage.subtract(peer, before - leaving.cost());
        }
        taken
    }

    /// Returns whether a client unsubscribes in order.
    pub(in crate::broker) fn drains(&self, peer: PeerId) -> bool {
        self.drains.values().any(|leaving| leaving.peer == peer)
    }

    /// Returns the patterns of the groups that a client is in.
    pub(in crate::broker) fn groups_of(&self, peer: PeerId) -> Vec<Arc<str>> {
        self.interest.groups_of(peer)
    }

    /// Forgets those of a client that is gone.
    pub(super) fn forget_drains(&mut self, peer: PeerId) {
        let own = self.drains.iter().filter(|(_, leaving)| leaving.peer == peer);
        let own: Vec<u64> = own.map(|(id, _)| *id).collect();
        own.into_iter().for_each(|id| drop(self.remove_drain(id)));
    }

    /// Ends all: nothing more comes.
    pub(super) fn end_drains(&mut self) {
        for leaving in std::mem::take(&mut self.drains).into_values() {
            self.usage.subtract(leaving.peer, leaving.cost());
            self.events.push_back(UpstreamEvent::Drained(leaving.peer, leaving.op));
        }
    }

    /// One of the ends that a drain waits for is confirmed.
    pub(super) fn handle_left(&mut self, drain: u64) {
        let Some(leaving) = self.drains.get_mut(&drain) else { return };
        leaving.missing -= 1;
        if leaving.missing == 0
            && let Some(Leaving { peer, op, .. }) = self.remove_drain(drain)
        {
            self.events.push_back(UpstreamEvent::Drained(peer, op));
        }
    }

    fn remove_drain(&mut self, id: u64) -> Option<Leaving> {
        let leaving = self.drains.remove(&id)?;
        self.usage.subtract(leaving.peer, leaving.cost());
        Some(leaving)
    }
}
