//! Operations that wait until the fabric above is back, within bounds that no client can take from others.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Instant;

use crate::base::Tiers;
use crate::broker::PeerId;
use crate::broker::account::Owner;
use crate::broker::outbox::publication_size;
use crate::broker::upstream::outgoing::Client;
use crate::broker::upstream::usage::Usage;
use crate::wire::ClientOp;

/// Oldest first. Where there is no room, the client with most of it, of the owner with most, loses its oldest
/// operation.
#[derive(Debug, Default)]
pub(super) struct Held {
    ops: BTreeMap<u64, Waiting>,
    by_peer: HashMap<PeerId, BTreeSet<u64>>,
    shares: Tiers<Owner, PeerId>,
    begun: u64,
}

#[derive(Debug)]
struct Waiting {
    until: Instant,
    client: Client,
    op: ClientOp,
}

/// What has to give way, and whose it is.
pub(super) type Evicted = (PeerId, ClientOp);

impl Held {
    /// Adds one, until it is due. Returns what has to give way for it: of others, or itself.
    pub(super) fn push(
        &mut self,
        until: Instant,
        client: Client,
        op: ClientOp,
        usage: &mut Usage,
    ) -> Vec<Evicted> {
        let (peer, owner) = client;
        let (cost, mut evicted) = (cost(&op), Vec::new());
        while self.ops.len() >= MAX_OPS || self.shares.total() + cost > MAX_BYTES {
            let greedier = self.shares.yielding_to(&owner, &peer);
            let oldest = greedier.and_then(|greedier| self.by_peer.get(&greedier)?.first().copied());
            let Some(gone) = oldest.and_then(|id| self.remove(id, usage)) else {
                evicted.push((peer, op));
                return evicted;
            };
            evicted.push((gone.client.0, gone.op));
        }
        let id = self.begun;
        self.begun += 1;
        self.shares.add(owner, peer, cost);
        self.by_peer.entry(peer).or_default().insert(id);
        usage.add(peer, cost);
        self.ops.insert(id, Waiting { until, client, op });
        evicted
    }

    pub(super) fn pop_due(&mut self, now: Instant, usage: &mut Usage) -> Option<(PeerId, ClientOp)> {
        let (id, _) = self.ops.first_key_value().filter(|(_, waiting)| waiting.until <= now)?;
        let waiting = self.remove(*id, usage)?;
        Some((waiting.client.0, waiting.op))
    }

    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        self.ops.first_key_value().map(|(_, waiting)| waiting.until)
    }

    pub(super) fn take_all(&mut self, usage: &mut Usage) -> Vec<(PeerId, ClientOp)> {
        let ids: Vec<u64> = self.ops.keys().copied().collect();
        let all = ids.into_iter().filter_map(|id| self.remove(id, usage));
        all.map(|waiting| (waiting.client.0, waiting.op)).collect()
    }

    pub(super) fn forget(&mut self, peer: PeerId, usage: &mut Usage) {
        for id in self.by_peer.get(&peer).cloned().unwrap_or_default() {
            self.remove(id, usage);
        }
    }

    pub(super) fn len(&self) -> usize {
        self.ops.len()
    }

    fn remove(&mut self, id: u64, usage: &mut Usage) -> Option<Waiting> {
        let waiting = self.ops.remove(&id)?;
        let ((peer, owner), cost) = (waiting.client, cost(&waiting.op));
        self.shares.subtract(owner, peer, cost);
        usage.subtract(peer, cost);
        if let Some(ids) = self.by_peer.get_mut(&peer) {
            ids.remove(&id);
            if ids.is_empty() {
                self.by_peer.remove(&peer);
            }
        }
        Some(waiting)
    }
}

/// What an operation takes while it is held.
pub(in crate::broker) fn cost(op: &ClientOp) -> usize {
    let own = match op {
        ClientOp::WaitForInterest { subject, .. } => subject.len(),
        other => other.publication().map_or(0, publication_size),
    };
    own + size_of::<ClientOp>() + HELD_MEMORY
}

/// Operations that wait.
const MAX_OPS: usize = 16 * 1024;
/// Their bytes.
const MAX_BYTES: usize = 16 * 1024 * 1024;
/// What a place takes in all tables.
const HELD_MEMORY: usize = 200;
