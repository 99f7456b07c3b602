//! Who may be busy: owners share the time of the broker's threads, whatever they do with it, and however many
//! connections they do it with.
//!
//! Time goes by in rounds: in each, everybody who has something to do has had a turn. An owner who has used
//! more than a share of a round waits for later ones, and then the connections go one after the other.
//! Nobody waits while there is nobody else: then rounds are short.

use std::collections::{HashMap, VecDeque};
use std::time::{Duration, Instant};

use foldhash::fast::RandomState;

use super::account::Owner;
use super::peer_id::PeerId;

/// The time that owners have used beyond their shares, and their connections that wait.
#[derive(Debug)]
pub(super) struct TimeShares {
    /// Connections that may be busy at once.
    threads: u32,
    by_owner: HashMap<Owner, Share, RandomState>,
    waiting: usize,
    /// Somebody waits, and nobody was asked to end the round.
    is_due: bool,
}

#[derive(Debug, Default)]
struct Share {
    /// Time used that no round has paid for.
    debt: Duration,
    waiting: VecDeque<PeerId>,
    /// Those who have done little of late: they go first.
    first: VecDeque<PeerId>,
}

impl Share {
    fn pop(&mut self) -> Option<PeerId> {
        self.first.pop_front().or_else(|| self.waiting.pop_front())
    }

    fn is_awaited(&self) -> bool {
        !self.first.is_empty() || !self.waiting.is_empty()
    }
}

/// What is known of one connection.
#[derive(Debug)]
pub(super) struct TimeUse {
    /// Time used of late: it is forgotten bit by bit.
    used: Duration,
    /// When it was so much; `None`: it was never asked.
    at: Option<Instant>,
    is_waiting: bool,
    /// It has waited for long enough.
    is_called: bool,
    /// Its turn is to be a short one: it goes before others only because it has done little of late.
    is_short: bool,
}

impl Default for TimeUse {
    /// Nothing is known of it: that it does little has to be seen.
    fn default() -> Self {
        Self { used: MAX_USED, at: None, is_waiting: false, is_called: false, is_short: false }
    }
}

impl TimeUse {
    /// Time used of late.
    fn of_late(&mut self, now: Instant) -> Duration {
        let passed = now.saturating_duration_since(self.at.replace(now).unwrap_or(now));
        self.used = self.used.saturating_sub(passed / LITTLE);
        self.used
    }
}

impl TimeShares {
    /// For so many threads.
    pub(super) fn new(threads: u32) -> Self {
        Self { threads, by_owner: HashMap::default(), waiting: 0, is_due: false }
    }

    /// Returns whether a connection may be busy now. Otherwise it is called when it may.
    pub(super) fn try_begin(&mut self, now: Instant, peer: PeerId, owner: Owner, time: &mut TimeUse) -> bool {
        if std::mem::take(&mut time.is_called) {
            return true;
        }
        time.is_short = false;
        let Some(share) = self.by_owner.get_mut(&owner) else { return true };
        // One that does little gets through, however busy the others of its owner are.
        let does_little = time.of_late(now) <= MAX_LITTLE;
        let (all, is_free) = match does_little {
            true => (SHARE_WITH_LITTLE, share.first.is_empty()),
            false => (SHARE, !share.is_awaited()),
        };
        if is_free && share.debt < all * self.threads {
            time.is_short = does_little && share.is_awaited();
            return true;
        }
        if !std::mem::replace(&mut time.is_waiting, true) {
            time.is_short = does_little;
            if does_little { &mut share.first } else { &mut share.waiting }.push_back(peer);
            self.is_due |= self.waiting == 0;
            self.waiting += 1;
        }
        false
    }

    /// A connection was busy for so long.
    pub(super) fn charge(&mut self, now: Instant, owner: Owner, time: &mut TimeUse, took: Duration) {
        let took = took.min(MAX_CHARGE);
        time.used = (time.of_late(now) + took).min(MAX_USED);
        self.by_owner.entry(owner).or_default().debt += took;
        if self.by_owner.len() > MAX_OWNERS {
            self.by_owner.retain(|_, share| share.is_awaited() || share.debt >= SHARE);
        }
    }

    /// Returns the next connection of an owner who has time left: it is to be told, and woken.
    pub(super) fn poll_called(&mut self, owner: Owner) -> Option<PeerId> {
        let all = SHARE * self.threads;
        let share = self.by_owner.get_mut(&owner).filter(|share| share.debt < all)?;
        let called = share.pop()?;
        self.waiting -= 1;
        Some(called)
    }

    /// Everybody has had a turn. Returns those who waited for it: they are to be told, and woken.
    pub(super) fn end_round(&mut self) -> Vec<PeerId> {
        let Self { threads, by_owner, waiting, .. } = self;
        let (all, mut called) = (SHARE * *threads, Vec::new());
        by_owner.retain(|_, share| {
            share.debt = share.debt.saturating_sub(all);
            if share.debt < all {
                called.extend(std::iter::from_fn(|| share.pop()).take(*threads as usize));
            }
            !share.debt.is_zero() || share.is_awaited()
        });
        *waiting -= called.len();
        called
    }

    /// Returns whether somebody waits for the end of the round who did not when this was last asked.
    pub(super) fn poll_due(&mut self) -> bool {
        std::mem::take(&mut self.is_due)
    }

    /// Returns whether somebody waits for the end of the round.
    pub(super) fn is_awaited(&self) -> bool {
        self.waiting > 0
    }
}

impl TimeUse {
    /// Returns whether its turn is to be a short one.
    pub(super) fn is_short(&self) -> bool {
        self.is_short
    }

    /// It waits no more.
    pub(super) fn handle_called(&mut self) {
        (self.is_waiting, self.is_called) = (false, true);
    }
}

/// What an owner may use of a round on each thread. Too low: more rounds than work. Too high: others wait.
const SHARE: Duration = Duration::from_millis(1);
/// The same for those of its connections that do little: they wait less than the others.
const SHARE_WITH_LITTLE: Duration = Duration::from_millis(4);
/// The most that one turn counts for: a thread can be kept from running in the midst of it.
const MAX_CHARGE: Duration = Duration::from_millis(32);

/// A connection that has used less than one of so many parts of the time does little.
const LITTLE: u32 = 128;
/// And no more than this at once.
const MAX_LITTLE: Duration = Duration::from_micros(500);
/// More is not remembered.
const MAX_USED: Duration = Duration::from_millis(1);

/// Owners of whom a little is remembered.
const MAX_OWNERS: usize = 4096;

#[cfg(test)]
mod tests;
