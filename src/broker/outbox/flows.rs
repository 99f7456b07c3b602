//! What waits for a crowded peer, by who sent it: each sender has a turn, so that nobody waits behind
//! another's flood. What one sender has sent stays in order, and a fence behind all that came before it.

use std::collections::{HashMap, VecDeque};
use std::time::{Duration, Instant};

use super::{MAX_CHANGES, OutboxLimits, TAKE_BYTES, cost};
use crate::base::Shares;
use crate::broker::account::Account;
use crate::broker::watches::is_end;
use crate::wire::{PresenceChange, ServerOp};

/// Operations by sender, and whose turn is next.
#[derive(Debug)]
pub(super) struct Flows {
    /// Each with the number of fences before it.
    by_sender: HashMap<Account, VecDeque<(usize, ServerOp)>>,
    /// In bytes.
    shares: Shares<Account>,
    turns: VecDeque<Account>,
    /// Several have sent since it was last empty.
    is_contended: bool,
    len: usize,
    fences: VecDeque<ServerOp>,
    /// Fences that have gone.
    passed: usize,
    /// Operations that have gone out of the flows, and that the peer has sent meanwhile; what was known of
    /// them when it was last asked, and when that was not the same.
    moved: u64,
    moved_at: Option<(u64, Instant)>,
    /// How many operations stand before each fence and behind the one before it; at the end, behind all.
    between: VecDeque<usize>,
}

impl Default for Flows {
    fn default() -> Self {
        Self {
            by_sender: HashMap::new(),
            shares: Shares::default(),
            turns: VecDeque::new(),
            is_contended: false,
            len: 0,
            fences: VecDeque::new(),
            passed: 0,
            moved: 0,
            moved_at: None,
            between: VecDeque::from([0]),
        }
    }
}

impl Flows {
    pub(super) fn len(&self) -> usize {
        self.len + self.fences.len()
    }

    /// Returns whether several have sent since it was last empty.
    pub(super) fn is_contended(&self) -> bool {
        self.is_contended
    }

    pub(super) fn push(&mut self, sender: Account, op: ServerOp) {
        self.shares.add(sender, cost(&op));
        self.len += 1;
        if let Some(behind_all) = self.between.back_mut() {
            *behind_all += 1;
        }
        let place = self.passed + self.fences.len();
        let flow = self.by_sender.entry(sender).or_insert_with(|| {
            self.turns.push_back(sender);
            VecDeque::new()
        });
        flow.push_back((place, op));
        self.is_contended |= self.by_sender.len() > 1;
    }

    /// Adds an operation that goes when all that is there has gone.
    pub(super) fn push_fence(&mut self, op: ServerOp) {
        self.fences.push_back(op);
        self.between.push_back(0);
    }

    /// Returns whether a sender has its share of what may wait, so that what is for the end of a socket,
    /// which sends it again, is not taken.
    pub(super) fn has_share(&self, sender: Account, limits: OutboxLimits) -> bool {
        self.shares.of(&sender) >= limits.bytes / SHARES
            || self.by_sender.get(&sender).is_some_and(|flow| flow.len() >= (limits.ops / SHARES).max(1))
    }

    /// Returns whether a sender has many times as much in here as is free. So one alone may have nearly all,
    /// and of several nobody more than the others, and there is always room for one who sends little.
    pub(super) fn has_most(&self, sender: Account, free: OutboxLimits) -> bool {
        self.shares.of(&sender) >= free.bytes.saturating_mul(MOST)
            || self.by_sender.get(&sender).is_some_and(|flow| flow.len() >= free.ops.saturating_mul(MOST))
    }

    /// Notes that the peer has sent something. One that answers is at work, although the network may hold
    /// more than it reads in a while.
    pub(super) fn note_sent(&mut self) {
        self.moved += 1;
    }

    /// Returns whether the peer is at work: something has gone, or has come from it, since this was asked a
    /// while ago.
    pub(super) fn check_reading(&mut self, now: Instant) -> bool {
        match self.moved_at {
            Some((moved, at)) if moved == self.moved => now.saturating_duration_since(at) < MAX_UNREAD_TIME,
            _ => {
                self.moved_at = Some((self.moved, now));
                true
            }
        }
    }

    /// The changes at the end of what this sender has sent, if they are the last thing.
    pub(super) fn open_changes(
        &mut self,
        sender: Account,
        more: usize,
        count: usize,
    ) -> Option<&mut Vec<PresenceChange>> {
        let end = self.passed + self.fences.len();
        match self.by_sender.get_mut(&sender)?.back_mut() {
            Some((place, ServerOp::Watched(open))) if *place == end && open.len() + count <= MAX_CHANGES => {
                self.shares.add(sender, more);
                Some(open)
            }
            _ => None,
        }
    }

    /// Drops the latest of what waits for ends of sockets, for one who has sent less, or for the broker: of
    /// those who have sent most, the first who has sent such a thing last. Returns it; `None`: nobody has to
    /// give way.
    pub(super) fn yield_to(&mut self, sender: Option<Account>) -> Option<ServerOp> {
        let less = sender.map_or(0, |sender| self.shares.of(&sender));
        // The oldest stays: its sender has its turn, and must not be without anything.
        let can_yield = |sender: &&Account| {
            let flow = self.by_sender.get(*sender);
            flow.is_some_and(|flow| flow.len() > 1 && flow.back().is_some_and(|(_, op)| is_for_end(op)))
        };
        let yielding = *self.shares.above(less).take(MAX_ASKED_TO_YIELD).find(can_yield)?;
        let (place, op) = self.by_sender.get_mut(&yielding)?.pop_back()?;
        self.shares.subtract(yielding, cost(&op));
        self.settle(place);
        Some(op)
    }

    /// Moves operations to `into`, to go with so many `ops` and `bytes` before them: fewer than `most` in
    /// all. Returns their cost.
    pub(super) fn take(
        &mut self,
        into: &mut Vec<ServerOp>,
        most: usize,
        mut ops: usize,
        mut bytes: usize,
    ) -> usize {
        let mut taken = self.pass_fences(into);
        while ops < most
            && bytes < TAKE_BYTES
            && let Some(sender) = self.turns.pop_front()
        {
            let mut turn = 0;
            while turn < TURN_BYTES
                && ops < most
                && let Some((place, op)) = self.by_sender.get_mut(&sender).and_then(VecDeque::pop_front)
            {
                turn += cost(&op);
                ops += 1;
                self.moved += 1;
                into.push(op);
                self.settle(place);
                taken += self.pass_fences(into);
            }
            self.shares.subtract(sender, turn);
            bytes += turn;
            taken += turn;
            if self.by_sender.get(&sender).is_some_and(|flow| !flow.is_empty()) {
                self.turns.push_back(sender);
            } else {
                self.by_sender.remove(&sender);
            }
        }
        taken
    }

    /// Drops up to so many operations, of whomever. Returns how many. Nothing else is done with the rest.
    pub(super) fn drop_some(&mut self, most: usize) -> usize {
        let mut dropped = self.fences.len().min(most);
        drop(self.fences.drain(..dropped));
        while dropped < most
            && let Some(sender) = self.by_sender.keys().next().copied()
            && let Some(flow) = self.by_sender.get_mut(&sender)
        {
            let count = flow.len().min(most - dropped);
            drop(flow.drain(..count));
            dropped += count;
            if flow.is_empty() {
                self.by_sender.remove(&sender);
            }
        }
        dropped
    }

    /// An operation with so many fences before it is gone.
    fn settle(&mut self, place: usize) {
        self.len -= 1;
        if let Some(left) = self.between.get_mut(place - self.passed) {
            *left -= 1;
        }
    }

    /// Moves fences before which nothing stands any more. Returns their cost.
    fn pass_fences(&mut self, into: &mut Vec<ServerOp>) -> usize {
        let mut passed = 0;
        while self.between.front() == Some(&0)
            && let Some(op) = self.fences.pop_front()
        {
            self.between.pop_front();
            self.passed += 1;
            passed += cost(&op);
            into.push(op);
        }
        passed
    }
}

/// Returns whether it is for the end of a socket, which notices a loss and makes it good.
pub(super) fn is_for_end(op: &ServerOp) -> bool {
    matches!(op, ServerOp::Deliver { pattern, .. } if is_end(pattern))
}

/// How many times as much as is free one sender may have.
const MOST: usize = 15;
/// A peer that takes and sends nothing for so long, while messages for it are refused, does not read. The
/// network may hold what a slow one reads in half of that; one that is dead ends by its heartbeat.
pub(in crate::broker) const MAX_UNREAD_TIME: Duration = Duration::from_secs(30);
/// Bytes that go out for one sender before the next one has its turn.
const TURN_BYTES: usize = 32 * 1024;
/// Senders who are looked at for one who gives way: those who have sent most have nearly all.
const MAX_ASKED_TO_YIELD: usize = 64;
/// One sender may have one of so many parts of what may wait for a peer, as far as it is for ends of sockets.
pub(in crate::broker) const SHARES: usize = 2;
