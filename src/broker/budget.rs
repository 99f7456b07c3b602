//! The memory that a broker holds for its connections, in bytes: of each, of each user, and of all.
//! Everything that a connection can make the broker keep is counted here, and here it is decided who has to
//! give way.
//!
//! What was asked for and would be too much is refused. What comes unasked, a delivery, say, is taken, and
//! then whoever is beyond a bound is cut off: the connection itself, the greatest connection of its user, or,
//! where all together have too much, the greatest connection of whoever has most ([`Owner`]).

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use bytes::Bytes;
use foldhash::fast::RandomState;

use super::BrokerConfig;
use super::account::Owner;
use super::error::Refusal;
use super::peer_id::PeerId;

/// What everybody holds.
#[derive(Debug, Default)]
pub(super) struct Budget {
    max_of_connection: usize,
    max_of_user: usize,
    max_of_all: usize,
    /// By slot.
    connections: Vec<Option<Held>>,
    by_owner: HashMap<Owner, Amount, RandomState>,
    total: Amount,
    kept: KeptBytes,
    shared: SharedPayloads,
}

/// What a connection can ask to have kept, and give back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kept {
    /// Subscriptions.
    Patterns,
    /// Messages in pieces that have begun.
    Chunks,
    /// Waits for interest, and watches of ends.
    Waits,
    /// What it has asked and is owed, and what waits for the fabric above.
    Other,
}

/// Bytes of each kind.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
struct KeptBytes([usize; 4]);

impl KeptBytes {
    fn of(&mut self, kind: Kept) -> &mut usize {
        &mut self.0[kind as usize]
    }

    fn total(&self) -> usize {
        self.0.iter().sum()
    }

    fn forget(&mut self, others: Self) {
        self.0.iter_mut().zip(others.0).for_each(|(bytes, less)| *bytes -= less);
    }
}

/// Bytes that somebody holds.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) struct Amount {
    /// Held for nobody else.
    pub(super) alone: usize,
    /// Payloads that others wait for as well, each as often as it waits.
    pub(super) shared: usize,
}

impl Amount {
    /// What is held, if all payloads that are shared have so many bytes.
    fn within(self, shared: usize) -> usize {
        self.alone + self.shared.min(shared)
    }

    /// Returns whether it is more than what was counted, by so much that it has to be counted anew.
    pub(super) fn is_beyond(self, counted: Self) -> bool {
        self.alone >= counted.alone + STEP || self.shared >= counted.shared + STEP
    }
}

/// The payloads that several connections wait for, each counted once, until the last one has it.
#[derive(Debug, Default, Clone)]
pub(super) struct SharedPayloads(Arc<AtomicUsize>);

impl SharedPayloads {
    /// Counts one as long as any copy of it is held.
    pub(super) fn count(&self, payload: Bytes) -> Bytes {
        self.0.fetch_add(payload.len(), Relaxed);
        Bytes::from_owner(SharedPayload { payload, total: self.0.clone() })
    }

    fn bytes(&self) -> usize {
        self.0.load(Relaxed)
    }
}

struct SharedPayload {
    payload: Bytes,
    total: Arc<AtomicUsize>,
}

impl AsRef<[u8]> for SharedPayload {
    fn as_ref(&self) -> &[u8] {
        &self.payload
    }
}

impl Drop for SharedPayload {
    fn drop(&mut self) {
        self.total.fetch_sub(self.payload.len(), Relaxed);
    }
}

/// What one connection holds.
#[derive(Debug, Clone, Copy)]
struct Held {
    peer: PeerId,
    owner: Owner,
    /// What it has asked for and can give back.
    kept: KeptBytes,
    /// What passes through: its outbox, what it has said and is not dealt with, its buffers.
    passing: Amount,
    /// It does not count any more: what is left of it goes with it.
    is_over: bool,
}

impl Held {
    fn amount(&self) -> Amount {
        Amount { alone: self.kept.total() + self.passing.alone, shared: self.passing.shared }
    }

    fn bytes(&self) -> usize {
        self.kept.total() + self.passing.alone + self.passing.shared
    }
}

impl Budget {
    /// With the bounds of `config`.
    pub(super) fn new(config: &BrokerConfig) -> Self {
        let mut budget = Self::default();
        budget.set_bounds(config);
        budget
    }

    /// Has the bounds of `config` from now on: who is over a new one gets nothing more, and is cut off when
    /// more comes for it.
    pub(super) fn set_bounds(&mut self, config: &BrokerConfig) {
        self.max_of_connection = config.max_memory_bytes_per_connection;
        self.max_of_user = config.max_memory_bytes_per_user;
        self.max_of_all = config.max_memory_bytes;
    }

    /// Returns what counts payloads that several connections wait for.
    pub(super) fn shared(&self) -> &SharedPayloads {
        &self.shared
    }

    /// Begins to count for a connection.
    pub(super) fn attach(&mut self, peer: PeerId, owner: Owner) {
        if self.connections.len() <= peer.slot() {
            self.connections.resize(peer.slot() + 1, None);
        }
        self.connections[peer.slot()] = Some(Held {
            peer,
            owner,
            kept: KeptBytes::default(),
            passing: Amount::default(),
            is_over: false,
        });
    }

    /// Counts nothing more of a connection that has to go, or is gone.
    pub(super) fn finish(&mut self, peer: PeerId) {
        if let Some(held) = self.held_mut(peer) {
            held.is_over = true;
            let (owner, amount, kept) = (held.owner, held.amount(), std::mem::take(&mut held.kept));
            held.passing = Amount::default();
            self.kept.forget(kept);
            self.move_bytes(owner, amount, Amount::default());
        }
    }

    /// It is known now who it is.
    pub(super) fn set_owner(&mut self, peer: PeerId, owner: Owner) {
        if let Some(held) = self.held_mut(peer) {
            let (before, amount) = (std::mem::replace(&mut held.owner, owner), held.amount());
            self.move_bytes(before, amount, Amount::default());
            self.move_bytes(owner, Amount::default(), amount);
        }
    }

    /// Whether a connection may keep so much more, by what it and its user have.
    pub(super) fn check(&self, peer: PeerId, more: usize) -> Result<(), Refusal> {
        let Some(held) = self.held(peer) else { return Ok(()) };
        if held.bytes() + more > self.max_of_connection {
            return Err(Refusal::TooMuchMemory { limit: self.max_of_connection });
        }
        if matches!(held.owner, Owner::User(_)) && self.of(held.owner) + more > self.max_of_user {
            return Err(Refusal::TooMuchMemoryOfUser { limit: self.max_of_user });
        }
        Ok(())
    }

    /// A connection keeps more.
    pub(super) fn keep(&mut self, peer: PeerId, kind: Kept, more: usize) {
        if let Some(held) = self.held_mut(peer) {
            *held.kept.of(kind) += more;
            let owner = held.owner;
            *self.kept.of(kind) += more;
            self.move_bytes(owner, Amount::default(), Amount { alone: more, shared: 0 });
        }
    }

    /// A connection keeps less.
    pub(super) fn give_back(&mut self, peer: PeerId, kind: Kept, less: usize) {
        if let Some(held) = self.held_mut(peer) {
            let kept = held.kept.of(kind);
            let less = less.min(*kept);
            *kept -= less;
            let owner = held.owner;
            *self.kept.of(kind) -= less;
            self.move_bytes(owner, Amount { alone: less, shared: 0 }, Amount::default());
        }
    }

    /// What passes through a connection has become so much.
    pub(super) fn set_passing(&mut self, peer: PeerId, passing: Amount) {
        if let Some(held) = self.held_mut(peer) {
            let (owner, before) = (held.owner, std::mem::replace(&mut held.passing, passing));
            self.move_bytes(owner, before, passing);
        }
    }

    /// Who has to go after `peer` has got more; `None`: nobody has too much.
    pub(super) fn overdrawn_by(&self, peer: PeerId) -> Option<PeerId> {
        let held = self.held(peer)?;
        if held.bytes() > self.max_of_connection {
            return Some(peer);
        }
        if matches!(held.owner, Owner::User(_)) && self.of(held.owner) > self.max_of_user {
            return self.greatest_of(held.owner);
        }
        self.yielding(0)
    }

    /// Who has to go so that all together may hold so much more; `None`: nobody.
    pub(super) fn yielding(&self, more: usize) -> Option<PeerId> {
        if self.total().saturating_add(more) <= self.max_of_all {
            return None;
        }
        let shared = self.shared.bytes();
        let held = |amount: &Amount| amount.within(shared);
        let greediest = self.by_owner.iter().max_by_key(|&(owner, amount)| (held(amount), *owner))?.0;
        self.greatest_of(*greediest)
    }

    /// What all hold.
    pub(super) fn total(&self) -> usize {
        self.total.within(self.shared.bytes())
    }

    /// What all keep of one kind.
    pub(super) fn kept(&self, kind: Kept) -> usize {
        self.kept.0[kind as usize]
    }

    /// How much all may hold.
    pub(super) fn max_of_all(&self) -> usize {
        self.max_of_all
    }

    /// What one connection holds.
    pub(super) fn of_peer(&self, peer: PeerId) -> usize {
        self.held(peer).map_or(0, Held::bytes)
    }

    fn greatest_of(&self, owner: Owner) -> Option<PeerId> {
        let own = self.connections.iter().flatten().filter(|held| held.owner == owner && !held.is_over);
        own.max_by_key(|held| held.bytes()).map(|held| held.peer)
    }

    fn of(&self, owner: Owner) -> usize {
        self.by_owner.get(&owner).map_or(0, |amount| amount.within(self.shared.bytes()))
    }

    fn held(&self, peer: PeerId) -> Option<&Held> {
        self.connections.get(peer.slot())?.as_ref().filter(|held| held.peer == peer && !held.is_over)
    }

    fn held_mut(&mut self, peer: PeerId) -> Option<&mut Held> {
        self.connections.get_mut(peer.slot())?.as_mut().filter(|held| held.peer == peer && !held.is_over)
    }

    fn move_bytes(&mut self, owner: Owner, less: Amount, more: Amount) {
        let of_owner = self.by_owner.entry(owner).or_default();
        for amount in [&mut *of_owner, &mut self.total] {
            amount.alone = amount.alone - less.alone + more.alone;
            amount.shared = amount.shared - less.shared + more.shared;
        }
        if *of_owner == Amount::default() {
            self.by_owner.remove(&owner);
        }
    }
}

/// What passes through has to become so much more or less before it is counted anew.
const STEP: usize = 4096;

/// What a connection takes that holds nothing: its state, its task, its buffers.
pub(super) const CONNECTION_BYTES: usize = 16 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    fn peer(slot: u32) -> PeerId {
        PeerId { serial: u64::from(slot) + 100, slot }
    }

    fn budget() -> Budget {
        let config = BrokerConfig {
            max_memory_bytes_per_connection: 100,
            max_memory_bytes_per_user: 150,
            max_memory_bytes: 400,
            ..BrokerConfig::default()
        };
        let mut budget = Budget::new(&config);
        for (slot, owner) in [(0, Owner::User(1)), (1, Owner::User(1)), (2, Owner::at("10.0.0.1"))] {
            budget.attach(peer(slot), owner);
        }
        budget
    }

    #[test]
    fn a_connection_and_a_user_have_bounds_of_their_own() {
        let mut budget = budget();
        budget.keep(peer(0), Kept::Other, 90);
        assert_eq!(budget.check(peer(0), 11), Err(Refusal::TooMuchMemory { limit: 100 }));
        assert_eq!(budget.check(peer(0), 10), Ok(()));
        assert_eq!(budget.check(peer(1), 61), Err(Refusal::TooMuchMemoryOfUser { limit: 150 }));
        budget.set_passing(peer(1), Amount { alone: 61, shared: 0 });
        assert_eq!(budget.overdrawn_by(peer(1)), Some(peer(0)), "the greatest of the user's");
        assert_eq!(budget.overdrawn_by(peer(2)), None, "which is nobody else's business");
        budget.finish(peer(0));
        budget.give_back(peer(0), Kept::Other, 90);
        assert_eq!((budget.overdrawn_by(peer(1)), budget.total()), (None, 61));
        budget.set_passing(peer(2), Amount { alone: 101, shared: 0 });
        assert_eq!(budget.overdrawn_by(peer(2)), Some(peer(2)));
    }

    #[test]
    fn when_all_hold_too_much_the_greatest_connection_of_the_greediest_owner_goes() {
        let mut budget = budget();
        for slot in 3..7 {
            budget.attach(peer(slot), Owner::at("10.0.0.9"));
            budget.keep(peer(slot), Kept::Other, 60 + slot as usize);
        }
        budget.set_passing(peer(0), Amount { alone: 100, shared: 0 });
        assert_eq!(budget.overdrawn_by(peer(0)), None);
        assert_eq!(budget.yielding(50), Some(peer(6)), "four connections of one address have more");
        budget.finish(peer(6));
        assert_eq!(budget.yielding(50), None);
    }

    #[test]
    fn what_several_wait_for_counts_once_and_for_the_last_one_in_full() {
        let mut budget = budget();
        let payload = budget.shared().count(Bytes::from(vec![0; 90]));
        let copies: Vec<Bytes> = (3..7).map(|_| payload.clone()).collect();
        drop(payload);
        for slot in 3..7 {
            budget.attach(peer(slot), Owner::User(9));
            budget.set_passing(peer(slot), Amount { alone: 5, shared: 90 });
        }
        assert_eq!((budget.total(), budget.overdrawn_by(peer(3))), (110, None));
        for slot in 4..7 {
            budget.finish(peer(slot));
        }
        drop(copies);
        assert_eq!(budget.total(), 5, "nobody has it any more, whatever was told");
        let one = budget.shared().count(Bytes::from(vec![0; 90]));
        assert_eq!((budget.total(), one.len()), (95, 90));
        assert_eq!(budget.check(peer(3), 10), Err(Refusal::TooMuchMemory { limit: 100 }));
    }

    #[test]
    fn what_is_kept_is_known_by_kind_until_it_is_given_back_or_its_connection_is_over() {
        let mut budget = budget();
        let kinds = [Kept::Patterns, Kept::Chunks, Kept::Waits, Kept::Other];
        let kept = |budget: &Budget| kinds.map(|kind| budget.kept(kind));
        for (kind, bytes) in kinds.into_iter().zip([1, 2, 3, 4]) {
            budget.keep(peer(0), kind, bytes);
            budget.keep(peer(2), kind, 10 * bytes);
        }
        assert_eq!((kept(&budget), budget.total()), ([11, 22, 33, 44], 110));
        budget.give_back(peer(2), Kept::Waits, 25);
        budget.give_back(peer(2), Kept::Patterns, 9);
        assert_eq!((kept(&budget), budget.of_peer(peer(2))), ([2, 22, 8, 44], 66));
        budget.finish(peer(0));
        budget.give_back(peer(0), Kept::Chunks, 2);
        assert_eq!((kept(&budget), budget.total()), ([1, 20, 5, 40], 66));
    }

    #[test]
    fn a_slot_that_has_another_connection_now_counts_for_that_one() {
        let mut budget = budget();
        budget.keep(peer(0), Kept::Other, 10);
        budget.finish(peer(0));
        let next = PeerId { serial: 7, slot: 0 };
        budget.attach(next, Owner::at(""));
        budget.keep(next, Kept::Other, 5);
        budget.give_back(peer(0), Kept::Other, 10);
        budget.set_owner(next, Owner::User(4));
        assert_eq!((budget.of_peer(next), budget.total(), budget.by_owner.len()), (5, 5, 1));
    }
}
