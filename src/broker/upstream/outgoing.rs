//! What waits to be sent to the fabric above: in order, and bounded by whose it is.

use std::collections::{BTreeSet, VecDeque};

use super::super::PeerId;
use super::super::account::Owner;
use super::super::outbox::publication_size;
use super::usage::Usage;
use crate::base::Shares;
use crate::wire::{ClientOp, UpstreamOp};

/// A client that causes something to be sent, and who pays for it.
pub(in crate::broker) type Client = (PeerId, Owner);

/// Oldest first. Clients whose share is full are not read from until half of it has left.
#[derive(Debug, Default)]
pub(super) struct Outgoing {
    ops: VecDeque<(Option<Client>, UpstreamOp)>,
    bytes: usize,
    by_peer: Shares<PeerId>,
    by_owner: Shares<Owner>,
    blocked: BTreeSet<(PeerId, Owner)>,
    released: Vec<PeerId>,
}

impl Outgoing {
    pub(super) fn push(&mut self, client: Option<Client>, op: UpstreamOp, usage: &mut Usage) {
        let cost = cost(&op);
        self.bytes += cost;
        self.ops.push_back((client, op));
        let Some((peer, owner)) = client else { return };
        self.by_peer.add(peer, cost);
        self.by_owner.add(owner, cost);
        usage.add(peer, cost);
        if self.by_peer.of(&peer) >= MAX_OF_CLIENT
            || self.by_owner.of(&owner) >= MAX_OF_OWNER
            || self.bytes >= MAX_OUTGOING_BYTES
        {
            self.blocked.insert((peer, owner));
        }
    }

    pub(super) fn pop(&mut self, usage: &mut Usage) -> Option<UpstreamOp> {
        let (client, op) = self.ops.pop_front()?;
        let cost = cost(&op);
        let before = self.bytes;
        self.bytes -= cost;
        let crosses = |before: usize, most: usize| before > most / 2 && before - cost <= most / 2;
        let mut may_release = crosses(before, MAX_OUTGOING_BYTES);
        if let Some((peer, owner)) = client {
            may_release |= crosses(self.by_peer.of(&peer), MAX_OF_CLIENT)
                || crosses(self.by_owner.of(&owner), MAX_OF_OWNER);
            self.by_peer.subtract(peer, cost);
            self.by_owner.subtract(owner, cost);
            usage.subtract(peer, cost);
        }
        if may_release {
            self.release();
        }
        Some(op)
    }

    /// Drops everything. Returns it.
    pub(super) fn clear(&mut self, usage: &mut Usage) -> Vec<UpstreamOp> {
        let all = std::iter::from_fn(|| self.pop(usage)).collect();
        self.release();
        all
    }

    /// A client is gone. What it has caused leaves none the less.
    pub(super) fn forget(&mut self, peer: PeerId) {
        self.blocked.retain(|(other, _)| *other != peer);
    }

    /// Returns whether a client is not to be read from.
    pub(super) fn is_blocked(&self, peer: PeerId) -> bool {
        self.blocked.iter().next().is_some()
            && self
                .blocked
                .range((peer, Owner::Network(None))..)
                .next()
                .is_some_and(|(next, _)| *next == peer)
    }

    /// Returns clients that may be read from again.
    pub(super) fn take_released(&mut self) -> Vec<PeerId> {
        std::mem::take(&mut self.released)
    }

    fn release(&mut self) {
        let Self { by_peer, by_owner, bytes, blocked, released, .. } = self;
        if *bytes > MAX_OUTGOING_BYTES / 2 {
            return;
        }
        blocked.retain(|(peer, owner)| {
            let is_full = by_peer.of(peer) > MAX_OF_CLIENT / 2 || by_owner.of(owner) > MAX_OF_OWNER / 2;
            if !is_full {
                released.push(*peer);
            }
            is_full
        });
    }
}

/// What an operation takes while it waits to be sent.
fn cost(op: &UpstreamOp) -> usize {
    let own = match op {
        UpstreamOp::Op(ClientOp::Publish { publication, .. }) => publication_size(publication),
        UpstreamOp::Op(ClientOp::Subscribe { subscriptions, .. }) => {
            subscriptions.iter().map(|one| size_of_val(one) + one.pattern.len()).sum()
        }
        UpstreamOp::Op(ClientOp::Unsubscribe { patterns, .. }) => {
            patterns.iter().map(|pattern| size_of_val(pattern) + pattern.len()).sum()
        }
        UpstreamOp::Op(ClientOp::WaitForInterest { subject, .. }) => subject.len(),
        _ => 0,
    };
    own + size_of::<UpstreamOp>()
}

/// Bytes that wait to be sent before those who cause more are not read from. Too low: every burst stops
/// them. Too high: memory, and what is stale by the time that it leaves.
const MAX_OUTGOING_BYTES: usize = 8 * 1024 * 1024;
/// The same of one user, or of the connections of one address.
const MAX_OF_OWNER: usize = 4 * 1024 * 1024;
/// The same of one connection.
const MAX_OF_CLIENT: usize = 1024 * 1024;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::AckId;

    fn client(serial: u32) -> Client {
        (PeerId { serial: serial.into(), slot: serial }, Owner::User(u64::from(serial % 2)))
    }

    /// About 1 KiB.
    fn op() -> UpstreamOp {
        let (ack, subject) = (AckId(1), "x".repeat(1024 - size_of::<UpstreamOp>()).into());
        UpstreamOp::Op(ClientOp::WaitForInterest { ack, subject, timeout: std::time::Duration::ZERO })
    }

    #[test]
    fn a_client_and_its_owner_have_shares_and_are_released_at_half() {
        let (mut outgoing, mut usage) = (Outgoing::default(), Usage::default());
        let mut fill = |outgoing: &mut Outgoing, client: Client| {
            let mut count = 0;
            while !outgoing.is_blocked(client.0) {
                outgoing.push(Some(client), op(), &mut usage);
                count += 1;
            }
            count
        };
        let counts = [2, 4, 6, 8, 10].map(|serial| fill(&mut outgoing, client(serial)));
        assert_eq!(counts, [1024, 1024, 1024, 1024, 1], "an owner has 4 MiB");
        assert_eq!(fill(&mut outgoing, client(1)), 1024, "another one has room");
        let held: usize = usage.more.iter().map(|(_, bytes)| bytes).sum();
        assert_eq!(held, outgoing.bytes);
        let mut usage = Usage::default();
        (0..2048).for_each(|_| drop(outgoing.pop(&mut usage)));
        assert_eq!(outgoing.take_released(), [], "half of each has to leave");
        while outgoing.pop(&mut usage).is_some() {}
        assert_eq!((outgoing.take_released().len(), outgoing.bytes), (6, 0));
        assert_eq!(usage.less.iter().map(|(_, bytes)| bytes).sum::<usize>(), held);
    }
}
