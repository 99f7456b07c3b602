//! What comes to an endpoint in pieces: how much may be under way to it, and which messages it holds in part.
//!
//! All sockets of an endpoint share one connection and one memory. Whoever sends may be so far ahead as the
//! *pool* reaches; a message is *admitted* when there is room for all of it. Both are divided by payers: a
//! user, or a connection without one, with all of its sockets. So what is under way is bounded, whatever the
//! peers do, of messages that are half there one can always become whole, and nobody waits for one who is
//! slow.

mod pool;
mod row;
mod sender;

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use crate::base::{Deadlines, Handle, Shares, earliest};
use crate::socket::{Claim, Payer};
use pool::Pool;
use row::Row;
use sender::{Place, Sender};

/// Shares out pool and room.
#[derive(Debug)]
pub(super) struct Intake {
    limits: IntakeLimits,
    senders: BTreeMap<Handle, Sender>,
    /// Those whose message waits to be admitted.
    row: Row,
    /// Bytes of the messages that are admitted in their turn.
    admitted: usize,
    /// Those that are admitted beside these, by size, one of a payer; and their bytes.
    beside: BTreeSet<(usize, Handle)>,
    beside_bytes: usize,
    /// What has come of those that are not admitted.
    outside: Shares<Payer>,
    pool: Pool,
    /// When credit does not count any more.
    lapses: Deadlines<Handle>,
    /// When it is looked at how much has come of an admitted message.
    reviews: Deadlines<Handle>,
}

/// What an endpoint takes of messages in pieces.
#[derive(Debug, Clone, Copy)]
pub struct IntakeLimits {
    /// Bytes that may be under way; for moments twice as many, for those who have nothing. Default 8 MiB: a
    /// small message of somebody else waits behind it at most; too low: one message in pieces is slow over
    /// long distances.
    pub pool: usize,
    /// Bytes of messages that are held in part, one alone always fits, with a quarter of it for those that go
    /// beside these; as much again is held of those that were slow. Default 256 MiB.
    pub room: usize,
    /// Bytes that are kept of what comes before its turn, of all sockets. Default 64 MiB: what comes after
    /// one lost item, of four connections that are busy; what is more has to come once more.
    pub gaps: usize,
}

impl Default for IntakeLimits {
    fn default() -> Self {
        Self { pool: POOL, room: ASSEMBLY, gaps: MAX_GAP_BYTES }
    }
}

/// What is to be done with a socket.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Decision {
    /// It may send up to this offset.
    Grant(Handle, u64),
    /// Of those that were slow, its payer holds most, and of that payer's it has stood still for the longest
    /// time.
    Close(Handle),
}

impl Intake {
    pub(super) fn new(limits: IntakeLimits) -> Self {
        Self {
            limits,
            senders: BTreeMap::new(),
            row: Row::default(),
            admitted: 0,
            beside: BTreeSet::new(),
            beside_bytes: 0,
            outside: Shares::default(),
            pool: Pool::new(limits.pool),
            lapses: Deadlines::new(),
            reviews: Deadlines::new(),
        }
    }

    /// How it stands with the messages in pieces of one socket.
    pub(super) fn handle_claim(&mut self, now: Instant, handle: Handle, payer: Payer, claim: Claim) {
        let pool = &mut self.pool;
        let sender = self.senders.entry(handle).or_insert_with(|| {
            pool.set_senders(payer, true);
            Sender {
                payer,
                claim: Claim::default(),
                place: Place::Nothing,
                credit: claim.granted,
                is_live: false,
                is_in_rotation: false,
                moved_at: now,
                reviewed: 0,
            }
        });
        let (payer, left) = (sender.payer, sender.left());
        let before = std::mem::replace(&mut sender.claim, claim);
        if claim.asked > before.asked {
            // It has no credit that it knows of.
            sender.is_live = false;
        }
        let (place, after) = (sender.place, sender.left());
        if claim.received > before.received {
            sender.moved_at = now;
            if sender.is_live && place.may_send() {
                self.lapses.set(handle, Some(now + CREDIT_TIME));
            }
        }
        self.pool.set_promised(payer, left, after);
        if claim.begun > before.begun || claim.total == 0 {
            self.leave(handle, &before);
            if claim.total > 0 {
                self.line_up(handle);
            }
        } else if place == Place::SetBack {
            self.outside.subtract(payer, before.came);
            self.line_up(handle);
        } else if place.is_outside() {
            self.outside.add(payer, claim.came - before.came);
        }
        self.admit(now);
        self.rotate(handle);
        if claim.total == 0 && claim.wanted <= claim.received {
            self.remove(now, handle);
        }
    }

    /// Forgets a socket: what it held is free.
    pub(super) fn remove(&mut self, now: Instant, handle: Handle) {
        let Some(sender) = self.senders.get_mut(&handle) else { return };
        let (payer, left, claim) = (sender.payer, sender.left(), sender.claim);
        sender.is_live = false;
        self.pool.set_promised(payer, left, 0);
        self.leave(handle, &claim);
        self.senders.remove(&handle);
        self.pool.set_senders(payer, false);
        self.lapses.set(handle, None);
        self.admit(now);
    }

    /// Its message, of which so much was there, is over, or has lost its place.
    fn leave(&mut self, handle: Handle, claim: &Claim) {
        let Some(sender) = self.senders.get(&handle) else { return };
        let payer = sender.payer;
        match sender.place {
            Place::Nothing => {}
            Place::Admitted => self.admitted -= claim.total,
            Place::Beside => {
                self.beside_bytes -= claim.total;
                self.beside.remove(&(claim.total, handle));
                self.row.set_beside(payer, false);
            }
            Place::SetBack => self.outside.subtract(payer, claim.came),
            Place::Waiting(number) => {
                self.outside.subtract(payer, claim.came);
                self.row.remove(payer, number);
            }
        }
        self.reviews.set(handle, None);
        self.put(handle, Place::Nothing);
    }

    fn put(&mut self, handle: Handle, place: Place) {
        if let Some(sender) = self.senders.get_mut(&handle) {
            let (before, payer) = (std::mem::replace(&mut sender.place, place), sender.payer);
            if before.may_send() != place.may_send() {
                self.pool.set_senders(payer, place.may_send());
            }
        }
    }

    fn line_up(&mut self, handle: Handle) {
        let Some(Sender { payer, claim, .. }) = self.senders.get(&handle) else { return };
        let (payer, came) = (*payer, claim.came);
        let number = self.row.push(payer, handle, claim.total);
        self.outside.add(payer, came);
        self.put(handle, Place::Waiting(number));
    }

    /// Admits those in the row for which there is room, each payer in its turn; and beside them, one of each
    /// payer, the shortest ones. Those are in nobody's way: the largest gives way to a shorter one.
    fn admit(&mut self, now: Instant) {
        while let Some(next) = self.row.next() {
            if self.admitted > 0 && self.admitted + next.total > self.limits.room {
                break;
            }
            self.row.take_turn(next);
            self.admitted += next.total;
            self.handle_admitted(now, next.handle, Place::Admitted);
        }
        while let Some(next) = self.row.shortest() {
            if self.beside_bytes + next.total > self.limits.room / BESIDE_PART {
                match self.beside.last() {
                    Some(&(total, largest)) if total > next.total => {
                        self.give_way(largest);
                        continue;
                    }
                    _ => return,
                }
            }
            self.row.take_beside(next);
            self.beside.insert((next.total, next.handle));
            self.beside_bytes += next.total;
            self.handle_admitted(now, next.handle, Place::Beside);
        }
    }

    fn handle_admitted(&mut self, now: Instant, handle: Handle, place: Place) {
        if let Some(sender) = self.senders.get_mut(&handle) {
            sender.reviewed = sender.claim.came;
            self.outside.subtract(sender.payer, sender.claim.came);
        }
        self.reviews.set(handle, Some(now + REVIEW));
        self.put(handle, place);
        self.rotate(handle);
    }

    /// An admitted message goes to the end of the row.
    fn give_way(&mut self, handle: Handle) {
        if let Some(claim) = self.senders.get(&handle).map(|sender| sender.claim) {
            self.leave(handle, &claim);
            self.line_up(handle);
        }
    }

    fn rotate(&mut self, handle: Handle) {
        let Some(sender) = self.senders.get_mut(&handle) else { return };
        if sender.wants() && !sender.is_in_rotation {
            sender.is_in_rotation = true;
            self.pool.want(sender.payer, handle);
        }
    }

    /// Returns what is to be done next.
    pub(super) fn poll_decision(&mut self, now: Instant) -> Option<Decision> {
        if self.outside.total() > self.limits.room
            && let Some(handle) = self.stillest()
        {
            return Some(Decision::Close(handle));
        }
        while let Some((handle, share)) = self.pool.poll_turn() {
            let Some(sender) = self.senders.get_mut(&handle) else { continue };
            sender.is_in_rotation = false;
            let claim = &sender.claim;
            let (left, upto) = (sender.left(), claim.wanted.min(claim.received + share));
            if !sender.wants() || left >= share.div_ceil(2) || (sender.is_live && upto <= sender.credit) {
                continue;
            }
            let credit = sender.credit.max(upto);
            if !self.pool.has_room(credit - claim.received - left) {
                self.rotate(handle);
                return None;
            }
            sender.credit = credit;
            sender.is_live = true;
            self.pool.set_promised(sender.payer, left, sender.left());
            self.lapses.set(handle, Some(now + CREDIT_TIME));
            return Some(Decision::Grant(handle, sender.credit));
        }
        None
    }

    /// Of the payer that holds most of what is not admitted, the one that has stood still for the longest
    /// time.
    fn stillest(&self) -> Option<Handle> {
        let payer = self.outside.greediest()?;
        let is_held =
            |sender: &Sender| sender.payer == payer && sender.place.is_outside() && sender.claim.came > 0;
        let held = self.senders.iter().filter(|(_, sender)| is_held(sender));
        held.min_by_key(|(handle, sender)| (sender.moved_at, **handle)).map(|(handle, _)| *handle)
    }

    pub(super) fn handle_timeout(&mut self, now: Instant) {
        while let Some(handle) = self.lapses.pop_due(now) {
            let Some(sender) = self.senders.get_mut(&handle) else { continue };
            let (payer, left) = (sender.payer, sender.left());
            sender.is_live = false;
            let is_open = sender.claim.total > 0;
            self.pool.set_promised(payer, left, 0);
            if !is_open {
                // It wanted more than it has sent; when it does again, it says so.
                self.remove(now, handle);
            }
        }
        while let Some(handle) = self.reviews.pop_due(now) {
            self.review(now, handle);
        }
    }

    /// Looks at how much has come of an admitted message: who is slow does not hold up those who wait.
    fn review(&mut self, now: Instant, handle: Handle) {
        let Some(sender) = self.senders.get_mut(&handle) else { return };
        let Claim { total, came, .. } = sender.claim;
        let moved = came - std::mem::replace(&mut sender.reviewed, came);
        let is_waiting = sender.is_in_rotation && sender.left() == 0;
        let is_wanted = if self.row.len() > 0 {
            !is_waiting || self.pool.promised_to(sender.payer) > 0
        } else {
            sender.left() > 0 && self.pool.is_wanted()
        };
        if !is_wanted || moved >= total.div_ceil(SLOW_PART) {
            self.reviews.set(handle, Some(now + REVIEW));
        } else if moved < total.div_ceil(STILL_PART) {
            tracing::debug!(socket = handle, "half a message stands still while others wait");
            let claim = sender.claim;
            self.leave(handle, &claim);
            self.put(handle, Place::SetBack);
            if let Some(sender) = self.senders.get(&handle) {
                self.outside.add(sender.payer, came);
            }
            self.admit(now);
        } else if self.outside.total() + came <= self.limits.room / 2 {
            // As long as it costs nobody a place: many who share a slow line are all slow.
            self.give_way(handle);
            self.admit(now);
        } else {
            self.reviews.set(handle, Some(now + REVIEW));
        }
    }

    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        earliest([self.lapses.next(), self.reviews.next()])
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
/// Bytes that came before their turn, of all sockets.
const MAX_GAP_BYTES: usize = 64 * 1024 * 1024;
/// This part of as much goes beside them.
const BESIDE_PART: usize = 4;
/// How long credit counts that is not used: twice as long as for who has it, so that it is never used after
/// it was given to others.
const CREDIT_TIME: Duration = Duration::from_secs(2);
/// How often it is looked at how much has come of a message that holds up others.
const REVIEW: Duration = Duration::from_secs(1);
/// This part of it has to come meanwhile, or the next one has its turn: nobody has a place for longer than
/// two minutes.
const SLOW_PART: usize = 128;
/// With less than this part it stands still, and has no place until it moves again.
const STILL_PART: usize = 2048;

#[cfg(test)]
#[allow(clippy::disallowed_methods)]
mod tests;
