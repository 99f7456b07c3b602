//! All connections: finds one, sends to one, remembers which to wake and which are slow consumers.

use std::collections::VecDeque;

use super::account::{Account, Owner};
use super::budget::{Budget, Kept, SharedPayloads};
use super::discarded::Discarded;
use super::error::Refusal;
use super::given_requests::{AnswerId, AskedId};
use super::outbox::{FEW_TAKE_OPS, OutboxLimits, Overflow, Sent, TAKE_OPS};
use super::peer::Peer;
use super::peer_id::PeerId;
use super::{BrokerConfig, DisconnectReason};
use crate::base::Code;
use crate::wire::{Carrier, ServerOp, SocketReport};

/// The table of connections. Finding one is an index into a vector: it happens once a delivery.
#[derive(Debug)]
pub(super) struct Peers {
    slots: Vec<Option<Peer>>,
    free: Vec<u32>,
    attached: u64,
    limits: OutboxLimits,
    budget: Budget,
    woken: VecDeque<PeerId>,
    /// Deliveries of which their senders have sent more than their share.
    dropped: u64,
    /// The last one is to be refused.
    is_refused: bool,
    /// Closed while something was sent to them; their subscriptions are still in the router.
    evicted: Vec<PeerId>,
    /// What waited for those who were closed, or have gone.
    discarded: Vec<Discarded>,
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
            dropped: 0,
            is_refused: false,
            evicted: Vec::new(),
            discarded: Vec::new(),
        }
    }

    /// Has the bounds of `config` on memory from now on.
    pub(super) fn set_memory_bounds(&mut self, config: &BrokerConfig) {
        self.budget.set_bounds(config);
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
        let peer = Peer::new(id, name, address);
        self.budget.attach(id, peer.owner);
        self.slots[slot as usize] = Some(peer);
        id
    }

    /// Takes out a connection with all that it has.
    pub(super) fn remove(&mut self, id: PeerId) {
        if self.get(id).is_some() {
            self.budget.finish(id);
            let gone = self.slots[id.slot as usize].take();
            self.discarded.extend(gone.and_then(|peer| Discarded::much_of(peer.outbox)));
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
        self.push(id, op, None, |_| {})
    }

    /// As [`Self::send`], for news of what somebody's connection has done: it stays behind what was sent from
    /// there.
    pub(super) fn send_news(&mut self, id: PeerId, op: ServerOp, sender: Account) -> bool {
        let sent = Sent { sender, is_shared: false, refused_at: None };
        self.push(id, op, Some(sent), |_| {})
    }

    /// As [`Self::send`], for a delivery.
    pub(super) fn deliver(
        &mut self,
        id: PeerId,
        op: ServerOp,
        sent: Sent,
        messages: u32,
        size: usize,
    ) -> bool {
        self.push(id, op, Some(sent), |peer| peer.delivered.add(messages, size))
    }

    #[inline]
    fn push(&mut self, id: PeerId, op: ServerOp, sent: Option<Sent>, count: impl FnOnce(&mut Peer)) -> bool {
        let Self { slots, woken, limits, dropped, is_refused, .. } = self;
        let Some(peer) = find(slots, id).filter(|peer| peer.close.is_none()) else { return false };
        match peer.outbox.push(*limits, op, sent) {
            Ok(()) => {}
            Err(overflow @ (Overflow::Sender | Overflow::Refused)) => {
                *dropped += 1;
                *is_refused |= overflow == Overflow::Refused;
                return false;
            }
            Err(Overflow::Peer) => {
                self.evict(id);
                return false;
            }
        }
        count(peer);
        wake(woken, peer);
        if peer.passing().is_beyond(peer.budgeted) {
            self.keep_budget(id);
            return self.get(id).is_some_and(|peer| peer.close.is_none());
        }
        true
    }

    /// Takes so much memory for what a peer has asked for, or says why it must not. Where all together would
    /// have too much, others give way to a peer whose owner has less than they.
    pub(super) fn keep(&mut self, id: PeerId, kind: Kept, more: usize) -> Result<(), Refusal> {
        self.budget.check(id, more)?;
        while let Some(greediest) = self.budget.yielding(more) {
            let owner = self.get(id).map(|peer| peer.owner);
            if greediest == id || (self.get(greediest).map(|peer| peer.owner) == owner && is_user(owner)) {
                return Err(Refusal::TooMuchMemoryOfAll { limit: self.budget.max_of_all() });
            }
            self.evict(greediest);
        }
        self.budget.keep(id, kind, more);
        Ok(())
    }

    /// Counts memory that a peer has taken in the course of what it was granted.
    pub(super) fn keep_more(&mut self, id: PeerId, kind: Kept, more: usize) {
        self.budget.keep(id, kind, more);
        self.cut_overdrawn(id);
    }

    /// A peer keeps so much less.
    pub(super) fn give_back(&mut self, id: PeerId, kind: Kept, less: usize) {
        self.budget.give_back(id, kind, less);
    }

    /// A peer is given an answer to what it has asked.
    pub(super) fn handle_answer(&mut self, id: PeerId, asked: AskedId, answer: AnswerId) {
        let asks = self.get_mut(id).and_then(|peer| peer.asks.as_mut());
        let less = asks.map_or(0, |asks| asks.handle_answer(asked, answer));
        if less > 0 {
            self.give_back(id, Kept::Other, less);
        }
    }

    /// What of a peer's operations waits for decisions has become so much.
    pub(super) fn set_undecided(&mut self, id: PeerId, bytes: usize) {
        let Some(peer) = find(&mut self.slots, id) else { return };
        peer.undecided = bytes;
        self.keep_budget_of(id);
    }

    /// What a peer's link holds, with what it has said and has not had its turn, has become so much.
    pub(super) fn set_unread(&mut self, id: PeerId, bytes: usize) {
        let Some(peer) = find(&mut self.slots, id) else { return };
        peer.unread = bytes;
        self.keep_budget_of(id);
    }

    /// A peer tells of its sockets.
    pub(super) fn take_reports(&mut self, id: PeerId, reports: Vec<SocketReport>) {
        let Some(peer) = find(&mut self.slots, id).filter(|peer| peer.close.is_none()) else { return };
        peer.reports.get_or_insert_default().take(reports);
        self.keep_budget_of(id);
    }

    fn keep_budget_of(&mut self, id: PeerId) {
        let Some(peer) = find(&mut self.slots, id) else { return };
        let passing = peer.passing();
        if passing.is_beyond(peer.budgeted) {
            self.keep_budget(id);
        } else if peer.budgeted.is_beyond(passing) {
            self.tell_budget(id);
        }
    }

    /// Tells the budget what passes through a peer, and cuts off whoever it names.
    fn keep_budget(&mut self, id: PeerId) {
        self.tell_budget(id);
        self.cut_overdrawn(id);
    }

    fn cut_overdrawn(&mut self, id: PeerId) {
        while let Some(overdrawn) = self.budget.overdrawn_by(id) {
            self.evict(overdrawn);
        }
    }

    fn tell_budget(&mut self, id: PeerId) {
        let Self { slots, budget, .. } = self;
        let Some(peer) = find(slots, id) else { return };
        peer.budgeted = peer.passing();
        budget.set_passing(id, peer.budgeted);
    }

    /// Drops all that waits for a peer that is too slow or holds too much, but for the word that says so, and
    /// wants it gone.
    fn evict(&mut self, id: PeerId) {
        let held = self.budget.of_peer(id);
        self.budget.finish(id);
        let Self { slots, limits, woken, evicted, discarded, .. } = self;
        let Some(peer) = find(slots, id) else { return };
        let notice = cut_off_notice(peer.outbox.len(), peer.outbox.bytes(), held);
        discarded.extend(Discarded::much_of(std::mem::take(&mut peer.outbox)));
        // Bounds so narrow that this does not fit are a test's.
        let _ = peer.outbox.push(*limits, notice, None);
        if peer.close.replace(DisconnectReason::SlowConsumer).is_none() {
            evicted.push(id);
        }
        wake(woken, peer);
    }

    /// It is known now who a peer is.
    pub(super) fn set_account(&mut self, id: PeerId, account: Account) {
        let Self { slots, budget, .. } = self;
        let Some(peer) = find(slots, id) else { return };
        (peer.account, peer.owner) = (account, Owner::of(account, &peer.address));
        budget.set_owner(id, peer.owner);
        self.keep_budget(id);
    }

    /// A peer has nothing more in other tables: what it kept is given back.
    pub(super) fn retire(&mut self, id: PeerId) {
        self.budget.finish(id);
    }

    /// Returns what counts payloads that several connections wait for.
    pub(super) fn shared_payloads(&self) -> SharedPayloads {
        self.budget.shared().clone()
    }

    /// Returns whether a delivery since this was last asked is to be refused to its sender.
    pub(super) fn take_refused(&mut self) -> bool {
        std::mem::take(&mut self.is_refused)
    }

    /// How many deliveries were dropped because their senders had sent more than their share.
    pub(super) fn dropped(&self) -> u64 {
        self.dropped
    }

    /// What all peers hold.
    pub(super) fn memory(&self) -> usize {
        self.budget.total()
    }

    /// What of it is kept of one kind.
    pub(super) fn kept(&self, kind: Kept) -> usize {
        self.budget.kept(kind)
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

    /// Returns what waited for one who was closed, or has gone.
    pub(super) fn poll_discarded(&mut self) -> Option<Discarded> {
        self.discarded.pop()
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
        let is_few = peer.carrier == Carrier::Conat || peer.time.is_short();
        let most = if is_few { FEW_TAKE_OPS } else { TAKE_OPS };
        peer.outbox.take(into, most);
        if peer.outbox.len() > 0 || owed {
            wake(woken, peer);
        }
        if peer.budgeted.is_beyond(peer.passing()) {
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

fn is_user(owner: Option<Owner>) -> bool {
    matches!(owner, Some(Owner::User(_)))
}

/// Makes the notice that a peer gets in place of all that waited for it.
fn cut_off_notice(ops: usize, bytes: usize, held: usize) -> ServerOp {
    let message = if bytes >= held / 2 {
        format!("slow consumer: {ops} operations of {bytes} bytes were not read, and are dropped")
    } else {
        format!(
            "too much memory: the broker held {held} bytes for this connection; {ops} operations are dropped"
        )
    };
    ServerOp::Closing { code: Code::SlowConsumer.to_string(), message }
}

fn wake(woken: &mut VecDeque<PeerId>, peer: &mut Peer) {
    if !peer.is_woken {
        peer.is_woken = true;
        woken.push_back(peer.id);
    }
}
