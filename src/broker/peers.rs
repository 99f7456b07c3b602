//! All connections: finds one, sends to one, remembers which to wake and which are slow consumers.

use std::collections::VecDeque;

use super::account::Account;
use super::budget::{Budget, STEP};
use super::outbox::{OutboxLimits, Overflow};
use super::peer::{Peer, PeerId};
use super::{BrokerConfig, DisconnectReason};
use crate::base::Code;
use crate::wire::ServerOp;

/// The table of connections. Finding one is an index into a vector: it happens once a delivery.
#[derive(Debug)]
pub(super) struct Peers {
    slots: Vec<Option<Peer>>,
    free: Vec<u32>,
    attached: u64,
    limits: OutboxLimits,
    budget: Budget,
    woken: VecDeque<PeerId>,
    /// Closed while something was sent to them; their subscriptions are still in the router.
    evicted: Vec<PeerId>,
}

impl Peers {
    /// Returns an empty table.
    pub(super) fn new(config: &BrokerConfig) -> Self {
        let limits = OutboxLimits { bytes: config.max_outbox_bytes, ops: config.max_outbox_ops };
        Self {
            slots: Vec::new(),
            free: Vec::new(),
            attached: 0,
            limits,
            budget: Budget::new(config),
            woken: VecDeque::new(),
            evicted: Vec::new(),
        }
    }

    /// Adds a connection.
    pub(super) fn attach(&mut self, name: String, address: String) -> PeerId {
        let slot = self.free.pop().unwrap_or_else(|| {
            self.slots.push(None);
            // Four thousand million open connections do not fit into any memory.
            u32::try_from(self.slots.len() - 1).unwrap_or(u32::MAX)
        });
        let id = PeerId { serial: self.attached, slot };
        self.attached += 1;
        self.slots[slot as usize] = Some(Peer::new(id, name, address));
        id
    }

    /// Takes out a connection with all that it has.
    pub(super) fn remove(&mut self, id: PeerId) {
        if self.get(id).is_some() {
            self.clear_outbox(id, |_, _| None);
            self.slots[id.slot as usize] = None;
            self.free.push(id.slot);
        }
    }

    /// Returns the connection, even if it is to be closed.
    pub(super) fn get(&self, id: PeerId) -> Option<&Peer> {
        self.slots.get(id.slot as usize)?.as_ref().filter(|peer| peer.id == id)
    }

    /// Returns the connection, even if it is to be closed.
    pub(super) fn get_mut(&mut self, id: PeerId) -> Option<&mut Peer> {
        find(&mut self.slots, id)
    }

    /// Returns the connection, unless it is to be closed.
    pub(super) fn open_mut(&mut self, id: PeerId) -> Option<&mut Peer> {
        self.get_mut(id).filter(|peer| peer.close.is_none())
    }

    /// Returns every connection, oldest first.
    pub(super) fn all(&self) -> Vec<&Peer> {
        let mut all: Vec<&Peer> = self.slots.iter().flatten().collect();
        all.sort_unstable_by_key(|peer| peer.id);
        all
    }

    /// Puts `op` into the outbox of `id`. False if it is gone or going; then, or when this was too much for
    /// it, `op` is dropped.
    pub(super) fn send(&mut self, id: PeerId, op: ServerOp) -> bool {
        self.push(id, op, 1, None, |_| {})
    }

    /// As [`Self::send`], for news of what somebody's connection has done: it stays behind what was sent from
    /// there.
    pub(super) fn send_news(&mut self, id: PeerId, op: ServerOp, sender: Account) -> bool {
        self.push(id, op, 1, Some(sender), |_| {})
    }

    /// As [`Self::send`], for a delivery that goes to so many peers.
    pub(super) fn deliver(
        &mut self,
        id: PeerId,
        op: ServerOp,
        (sender, sharers): (Account, usize),
        messages: u32,
        size: usize,
    ) -> bool {
        self.push(id, op, sharers, Some(sender), |peer| peer.delivered.add(messages, size))
    }

    #[inline]
    fn push(
        &mut self,
        id: PeerId,
        op: ServerOp,
        sharers: usize,
        sender: Option<Account>,
        count: impl FnOnce(&mut Peer),
    ) -> bool {
        let Self { slots, woken, limits, .. } = self;
        let Some(peer) = find(slots, id).filter(|peer| peer.close.is_none()) else { return false };
        match peer.outbox.push(*limits, op, sharers, sender) {
            Ok(()) => {}
            Err(Overflow::Sender) => return false,
            Err(Overflow::Peer) => {
                self.evict(id);
                return false;
            }
        }
        count(peer);
        wake(woken, peer);
        if peer.outbox.charged() >= peer.budgeted + STEP {
            self.keep_budget(id);
            return self.get(id).is_some_and(|peer| peer.close.is_none());
        }
        true
    }

    /// Tells the budget what an outbox has become, and evicts whoever it names.
    fn keep_budget(&mut self, id: PeerId) {
        self.tell_budget(id);
        let Some(account) = self.get(id).map(|peer| peer.account) else { return };
        while let Some(account) = self.budget.overdrawn_by(account) {
            let own =
                self.slots.iter().flatten().filter(|peer| peer.account == account && peer.close.is_none());
            let Some(largest) = own.max_by_key(|peer| peer.budgeted).map(|peer| peer.id) else { return };
            self.evict(largest);
        }
    }

    fn tell_budget(&mut self, id: PeerId) {
        let Self { slots, budget, .. } = self;
        let Some(peer) = find(slots, id) else { return };
        let known = peer.outbox.charged() / STEP * STEP;
        budget.change(peer.account, peer.budgeted, known);
        peer.budgeted = known;
    }

    /// Drops all that waits for a slow consumer, but for the word that says so, and wants it gone.
    fn evict(&mut self, id: PeerId) {
        self.clear_outbox(id, |ops, bytes| Some(slow_consumer_notice(ops, bytes)));
        let Self { slots, woken, evicted, .. } = self;
        let Some(peer) = find(slots, id) else { return };
        peer.close = Some(DisconnectReason::SlowConsumer);
        evicted.push(id);
        wake(woken, peer);
    }

    fn clear_outbox(&mut self, id: PeerId, last: impl FnOnce(usize, usize) -> Option<ServerOp>) {
        let Self { slots, limits, .. } = self;
        let Some(peer) = find(slots, id) else { return };
        let (ops, bytes) = (peer.outbox.len(), peer.outbox.bytes());
        peer.outbox.clear();
        // Bounds so narrow that this does not fit are a test's.
        let _ = last(ops, bytes).map(|last| peer.outbox.push(*limits, last, 1, None));
        self.tell_budget(id);
    }

    /// Somebody else pays for what this connection holds.
    pub(super) fn set_account(&mut self, id: PeerId, account: super::account::Account) {
        let Self { slots, budget, .. } = self;
        let Some(peer) = find(slots, id) else { return };
        budget.change(peer.account, peer.budgeted, 0);
        (peer.account, peer.budgeted) = (account, 0);
        self.tell_budget(id);
    }

    /// Whether this peer has to read answers before it may ask more.
    pub(super) fn owes_reading(&self, id: PeerId) -> bool {
        self.get(id).is_some_and(|peer| peer.outbox.owes_reading())
    }

    /// Operations in all outboxes, and their bytes.
    pub(super) fn outbox_totals(&self) -> (usize, usize) {
        let outboxes = self.slots.iter().flatten().map(|peer| &peer.outbox);
        outboxes.fold((0, 0), |(ops, bytes), outbox| (ops + outbox.len(), bytes + outbox.bytes()))
    }

    /// Marks `id` as one to be closed, with its outbox as it is.
    pub(super) fn close(&mut self, id: PeerId, reason: DisconnectReason) {
        let Self { slots, woken, .. } = self;
        if let Some(peer) = find(slots, id).filter(|peer| peer.close.is_none()) {
            peer.close = Some(reason);
            wake(woken, peer);
        }
    }

    /// Puts `id` among the woken peers.
    pub(super) fn wake(&mut self, id: PeerId) {
        let Self { slots, woken, .. } = self;
        if let Some(peer) = find(slots, id) {
            wake(woken, peer);
        }
    }

    /// Returns a connection that `send` closed, each once.
    pub(super) fn pop_evicted(&mut self) -> Option<PeerId> {
        self.evicted.pop()
    }

    /// Moves a part of what waits for `id`; when there is more, it is woken again, so that others have their
    /// turn.
    pub(super) fn take_outbox(&mut self, id: PeerId, into: &mut Vec<ServerOp>) {
        let Self { slots, woken, .. } = self;
        let Some(peer) = find(slots, id) else { return };
        let owed = peer.outbox.owes_reading();
        peer.outbox.take(into);
        if peer.outbox.len() > 0 || owed {
            wake(woken, peer);
        }
        if peer.budgeted > peer.outbox.charged() {
            self.tell_budget(id);
        }
    }

    /// Returns the next connection that something happened to.
    pub(super) fn poll_woken(&mut self) -> Option<PeerId> {
        while let Some(id) = self.woken.pop_front() {
            if let Some(peer) = self.get_mut(id) {
                peer.is_woken = false;
                return Some(id);
            }
        }
        None
    }
}

// Functions of the parts, not of the whole: their callers hold a peer and the queue at once.

fn find(slots: &mut [Option<Peer>], id: PeerId) -> Option<&mut Peer> {
    slots.get_mut(id.slot as usize)?.as_mut().filter(|peer| peer.id == id)
}

/// Makes the notice that a slow consumer gets in place of all that waited for it.
fn slow_consumer_notice(ops: usize, bytes: usize) -> ServerOp {
    ServerOp::Closing {
        code: Code::SlowConsumer.to_string(),
        message: format!("slow consumer: {ops} operations of {bytes} bytes were not read, and are dropped"),
    }
}

fn wake(woken: &mut VecDeque<PeerId>, peer: &mut Peer) {
    if !peer.is_woken {
        peer.is_woken = true;
        woken.push_back(peer.id);
    }
}
