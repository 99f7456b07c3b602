//! How far those who send may be ahead: what is under way is divided among the payers, and what one payer has
//! among its sockets.

use std::collections::{BTreeSet, HashMap, VecDeque};

use crate::base::Handle;
use crate::socket::Payer;

/// Bytes that may come and have not, by who is to send them.
#[derive(Debug)]
pub(super) struct Pool {
    size: u64,
    promised: u64,
    shares: HashMap<Payer, Share>,
    /// Those of them of whom a socket may send.
    payers: u64,
    /// Payers that may want more: those who have nothing, and the others, each in turn.
    fresh: BTreeSet<(u64, Payer)>,
    turns: BTreeSet<(u64, Payer)>,
    number: u64,
}

#[derive(Debug, Default)]
struct Share {
    promised: u64,
    /// Its sockets that may send.
    senders: u64,
    /// Those that may want more, in turn.
    wanting: VecDeque<Handle>,
    place: Option<(Lane, u64)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Lane {
    Fresh,
    Turns,
}

impl Pool {
    pub(super) fn new(size: usize) -> Self {
        Self {
            size: size as u64,
            promised: 0,
            shares: HashMap::new(),
            payers: 0,
            fresh: BTreeSet::new(),
            turns: BTreeSet::new(),
            number: 0,
        }
    }

    /// One more, or one less, of its sockets may send.
    pub(super) fn set_senders(&mut self, payer: Payer, is_more: bool) {
        let share = self.shares.entry(payer).or_default();
        let before = share.senders;
        share.senders = if is_more { before + 1 } else { before - 1 };
        match (before, share.senders) {
            (0, 1) => self.payers += 1,
            (1, 0) => self.payers -= 1,
            _ => {}
        }
        self.forget(payer);
    }

    /// What was promised to one socket is something else now.
    pub(super) fn set_promised(&mut self, payer: Payer, before: u64, after: u64) {
        if before == after {
            return;
        }
        let share = self.shares.entry(payer).or_default();
        share.promised = share.promised + after - before;
        self.promised = self.promised + after - before;
        self.line_up(payer);
        self.forget(payer);
    }

    /// A socket may want more. It must not be among those that do.
    pub(super) fn want(&mut self, payer: Payer, handle: Handle) {
        self.shares.entry(payer).or_default().wanting.push_back(handle);
        self.line_up(payer);
    }

    /// What one payer may send and has not.
    pub(super) fn promised_to(&self, payer: Payer) -> u64 {
        self.shares.get(&payer).map_or(0, |share| share.promised)
    }

    /// Returns whether so much more may be promised.
    pub(super) fn has_room(&self, more: u64) -> bool {
        self.promised + more <= 2 * self.size
    }

    /// Returns whether somebody waits for others to use, or lose, what they may send.
    pub(super) fn is_wanted(&self) -> bool {
        !self.turns.is_empty() || !self.fresh.is_empty()
    }

    /// Returns whose turn it is, and how far it may be ahead.
    pub(super) fn poll_turn(&mut self) -> Option<(Handle, u64)> {
        let least = (self.size / LEAST_SHARE).max(1);
        let of_payer = (self.size / self.payers.max(1)).max(least);
        loop {
            // Who has nothing need not wait until others have used what is theirs: each of those gets a part
            // of what is left of as much again, so that there is something left for the next one.
            let spare = (2 * self.size).saturating_sub(self.promised);
            let is_spent = self.promised >= self.size;
            let &(_, payer) = match (self.fresh.first(), self.turns.first()) {
                (Some(first), _) if spare >= least => first,
                (_, Some(first)) if !is_spent => first,
                _ => return None,
            };
            let most = if is_spent { (spare / SPARE_PART).max(least) } else { spare };
            self.step_out(payer);
            let share = self.shares.get_mut(&payer)?;
            if share.promised >= of_payer {
                // It has its part, and its turn again when that is less.
                continue;
            }
            let of_socket = (of_payer / share.senders.max(1)).max(least).min(most);
            let handle = share.wanting.pop_front();
            self.line_up(payer);
            self.forget(payer);
            if let Some(handle) = handle {
                return Some((handle, of_socket));
            }
        }
    }

    fn step_out(&mut self, payer: Payer) {
        let place = self.shares.get_mut(&payer).and_then(|share| share.place.take());
        match place {
            Some((Lane::Fresh, number)) => drop(self.fresh.remove(&(number, payer))),
            Some((Lane::Turns, number)) => drop(self.turns.remove(&(number, payer))),
            None => {}
        }
    }

    /// Puts it where it belongs, behind the others there unless it is there.
    fn line_up(&mut self, payer: Payer) {
        let Some(share) = self.shares.get(&payer) else { return };
        let lane = match share.promised {
            _ if share.wanting.is_empty() => None,
            0 => Some(Lane::Fresh),
            _ => Some(Lane::Turns),
        };
        if lane == share.place.map(|(lane, _)| lane) {
            return;
        }
        self.step_out(payer);
        self.number += 1;
        match lane {
            Some(Lane::Fresh) => drop(self.fresh.insert((self.number, payer))),
            Some(Lane::Turns) => drop(self.turns.insert((self.number, payer))),
            None => return,
        }
        if let Some(share) = self.shares.get_mut(&payer) {
            share.place = lane.map(|lane| (lane, self.number));
        }
    }

    fn forget(&mut self, payer: Payer) {
        if let Some(share) = self.shares.get(&payer)
            && (share.promised, share.senders, share.wanting.len()) == (0, 0, 0)
        {
            self.shares.remove(&payer);
        }
    }

    #[cfg(test)]
    pub(super) fn promised(&self) -> u64 {
        assert_eq!(self.shares.values().map(|share| share.promised).sum::<u64>(), self.promised);
        self.promised
    }
}

/// This part of the pool is the least that one gets: with more, they take turns.
const LEAST_SHARE: u64 = 128;
/// This part of what is left beside the pool is for one who has nothing.
const SPARE_PART: u64 = 8;
