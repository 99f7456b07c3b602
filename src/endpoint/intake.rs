//! What comes to an endpoint in pieces: how much may be under way to it, and which messages it holds in part.
//!
//! All sockets of an endpoint share one connection and one memory. Whoever sends may be so far ahead as the
//! *pool* reaches, divided among those who send; messages are *admitted* in the order in which they began,
//! while all of them have room. So what is under way is bounded, whatever the peers do, and of messages that
//! are half there one can always become whole.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::{Duration, Instant};

use crate::base::{Deadlines, Handle, earliest};
use crate::socket::Claim;

/// Shares out pool and room.
#[derive(Debug)]
pub(super) struct Intake {
    limits: IntakeLimits,
    senders: BTreeMap<Handle, Sender>,
    /// Those whose message waits to be admitted, oldest first.
    row: BTreeSet<(u64, Handle)>,
    places: u64,
    /// Bytes of the messages that are admitted, and what has come of those that are not.
    admitted: usize,
    outside: usize,
    /// Those that may want more credit, in rotation.
    rotation: VecDeque<Handle>,
    /// Bytes that may come and have not.
    promised: u64,
    /// When credit does not count any more.
    lapses: Deadlines<Handle>,
    /// When an admitted message has stood still for too long.
    stills: Deadlines<Handle>,
}

/// What an endpoint takes of messages in pieces.
#[derive(Debug, Clone, Copy)]
pub struct IntakeLimits {
    /// Bytes that may be under way. Default 8 MiB: a small message of somebody else waits behind it at most;
    /// too low: one message in pieces is slow over long distances.
    pub pool: usize,
    /// Bytes of messages that are held in part, one alone always fits; as much again is held of those that
    /// stand still. Default 256 MiB.
    pub room: usize,
}

impl Default for IntakeLimits {
    fn default() -> Self {
        Self { pool: POOL, room: ASSEMBLY }
    }
}

#[derive(Debug)]
struct Sender {
    claim: Claim,
    place: Place,
    /// Offset up to which it may send, and whether it still counts.
    credit: u64,
    is_live: bool,
    is_in_rotation: bool,
    moved_at: Instant,
}

/// Where its message stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// There is none.
    Nothing,
    /// In the row, with this number.
    Waiting(u64),
    Admitted,
    /// It stood still while others waited: it is not even in the row.
    SetBack,
}

/// What is to be done with a socket.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Decision {
    /// It may send up to this offset.
    Grant(Handle, u64),
    /// It has stood still for the longest time of those that hold too much in all.
    Close(Handle),
}

impl Sender {
    /// What it may send and has not.
    fn left(&self) -> u64 {
        if self.is_live { self.credit.saturating_sub(self.claim.received) } else { 0 }
    }

    fn wants(&self) -> bool {
        self.claim.wanted > self.claim.received && matches!(self.place, Place::Nothing | Place::Admitted)
    }
}

impl Intake {
    pub(super) fn new(limits: IntakeLimits) -> Self {
        Self {
            limits,
            senders: BTreeMap::new(),
            row: BTreeSet::new(),
            places: 0,
            admitted: 0,
            outside: 0,
            rotation: VecDeque::new(),
            promised: 0,
            lapses: Deadlines::new(),
            stills: Deadlines::new(),
        }
    }

    /// How it stands with the messages in pieces of one socket.
    pub(super) fn handle_claim(&mut self, now: Instant, handle: Handle, claim: Claim) {
        let sender = self.senders.entry(handle).or_insert_with(|| Sender {
            claim: Claim::default(),
            place: Place::Nothing,
            credit: claim.granted,
            is_live: false,
            is_in_rotation: false,
            moved_at: now,
        });
        self.promised -= sender.left();
        let before = std::mem::replace(&mut sender.claim, claim);
        if claim.asked > before.asked {
            // It has no credit that it knows of.
            sender.is_live = false;
        }
        self.promised += sender.left();
        let has_moved = claim.received > before.received;
        if has_moved {
            sender.moved_at = now;
        }
        if sender.is_live {
            self.lapses.set(handle, Some(now + CREDIT_TIME));
        }
        let place = sender.place;
        if claim.begun > before.begun || claim.total == 0 {
            self.leave(handle, place, &before);
            if claim.total > 0 {
                self.line_up(handle, claim.came);
            }
        } else {
            match place {
                Place::SetBack => {
                    self.outside -= before.came;
                    self.line_up(handle, claim.came);
                }
                Place::Waiting(_) => self.outside += claim.came - before.came,
                Place::Admitted => self.stills.set(handle, Some(now + STAND_STILL)),
                Place::Nothing => {}
            }
        }
        self.admit(now);
        self.rotate(handle);
        if claim.total == 0 && claim.wanted <= claim.received {
            self.remove(now, handle);
        }
    }

    /// Forgets a socket: what it held is free.
    pub(super) fn remove(&mut self, now: Instant, handle: Handle) {
        let Some(sender) = self.senders.get(&handle) else { return };
        self.promised -= sender.left();
        let (place, claim) = (sender.place, sender.claim);
        self.leave(handle, place, &claim);
        self.senders.remove(&handle);
        self.lapses.set(handle, None);
        self.admit(now);
    }

    /// Its message is over, or another one has begun.
    fn leave(&mut self, handle: Handle, place: Place, claim: &Claim) {
        match place {
            Place::Nothing => {}
            Place::Admitted => self.admitted -= claim.total,
            Place::SetBack => self.outside -= claim.came,
            Place::Waiting(number) => {
                self.outside -= claim.came;
                self.row.remove(&(number, handle));
            }
        }
        self.stills.set(handle, None);
        self.put(handle, Place::Nothing);
    }

    fn put(&mut self, handle: Handle, place: Place) {
        if let Some(sender) = self.senders.get_mut(&handle) {
            sender.place = place;
        }
    }

    fn line_up(&mut self, handle: Handle, came: usize) {
        self.places += 1;
        self.row.insert((self.places, handle));
        self.outside += came;
        self.put(handle, Place::Waiting(self.places));
    }

    /// Admits those in the row for which there is room, in order.
    fn admit(&mut self, now: Instant) {
        while let Some(&(number, handle)) = self.row.first() {
            let Some(sender) = self.senders.get_mut(&handle) else { return };
            if self.admitted > 0 && self.admitted + sender.claim.total > self.limits.room {
                return;
            }
            self.row.remove(&(number, handle));
            sender.place = Place::Admitted;
            self.admitted += sender.claim.total;
            self.outside -= sender.claim.came;
            self.stills.set(handle, Some(now + STAND_STILL));
            self.rotate(handle);
        }
    }

    fn rotate(&mut self, handle: Handle) {
        let Some(sender) = self.senders.get_mut(&handle) else { return };
        if sender.wants() && !sender.is_in_rotation {
            sender.is_in_rotation = true;
            self.rotation.push_back(handle);
        }
    }

    /// Returns what is to be done next.
    pub(super) fn poll_decision(&mut self, now: Instant) -> Option<Decision> {
        if self.outside > self.limits.room
            && let Some(handle) = self.stillest()
        {
            return Some(Decision::Close(handle));
        }
        let pool = self.limits.pool as u64;
        let share = (pool / self.sharers()).max(pool / LEAST_SHARE).max(1);
        while self.promised < pool {
            let handle = self.rotation.pop_front()?;
            let Some(sender) = self.senders.get_mut(&handle) else { continue };
            sender.is_in_rotation = false;
            let claim = &sender.claim;
            let (left, upto) = (sender.left(), claim.wanted.min(claim.received + share));
            if !sender.wants() || left >= share.div_ceil(2) || (sender.is_live && upto <= sender.credit) {
                continue;
            }
            sender.credit = sender.credit.max(upto);
            sender.is_live = true;
            self.promised += sender.left() - left;
            let grant = Decision::Grant(handle, sender.credit);
            self.lapses.set(handle, Some(now + CREDIT_TIME));
            return Some(grant);
        }
        None
    }

    /// Among how many the pool is divided.
    fn sharers(&self) -> u64 {
        (self.senders.len().saturating_sub(self.row.len()) as u64).max(1)
    }

    /// Of those that are not admitted, and hold something, the one that has stood still for the longest time.
    fn stillest(&self) -> Option<Handle> {
        let outside = |sender: &Sender| {
            matches!(sender.place, Place::SetBack | Place::Waiting(_)) && sender.claim.came > 0
        };
        let held = self.senders.iter().filter(|(_, sender)| outside(sender));
        held.min_by_key(|(handle, sender)| (sender.moved_at, **handle)).map(|(handle, _)| *handle)
    }

    pub(super) fn handle_timeout(&mut self, now: Instant) {
        while let Some(handle) = self.lapses.pop_due(now) {
            let Some(sender) = self.senders.get_mut(&handle) else { continue };
            self.promised -= sender.left();
            sender.is_live = false;
            if sender.claim.total == 0 {
                // It wanted more than it has sent; when it does again, it says so.
                self.remove(now, handle);
            }
        }
        while let Some(handle) = self.stills.pop_due(now) {
            let Some(sender) = self.senders.get_mut(&handle) else { continue };
            if self.row.is_empty() || sender.is_in_rotation {
                self.stills.set(handle, Some(now + STAND_STILL));
                continue;
            }
            tracing::debug!(socket = handle, "half a message has stood still while others wait");
            sender.place = Place::SetBack;
            self.admitted -= sender.claim.total;
            self.outside += sender.claim.came;
            self.admit(now);
        }
    }

    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        earliest([self.lapses.next(), self.stills.next()])
    }

    /// Returns the sockets that are remembered.
    pub(super) fn len(&self) -> usize {
        self.senders.len()
    }
}

/// Bytes that may be under way to a connection.
const POOL: usize = 8 * 1024 * 1024;
/// Bytes of messages that are held in part.
const ASSEMBLY: usize = 256 * 1024 * 1024;
/// How long credit counts that is not used: twice as long as for who has it, so that it is never used after
/// it was given to others.
const CREDIT_TIME: Duration = Duration::from_secs(2);
/// Half a message that has not moved for so long gives up its place to those that wait.
const STAND_STILL: Duration = Duration::from_secs(10);
/// This part of the pool is the least that one gets: with more senders, they take turns.
const LEAST_SHARE: u64 = 128;

#[cfg(test)]
#[allow(clippy::disallowed_methods)]
mod tests;
