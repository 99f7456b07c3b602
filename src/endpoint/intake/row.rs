//! The messages that wait for a place: whose turn it is, and who could go beside the others.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use crate::base::Handle;
use crate::socket::Payer;

/// Payers have turns; of one payer the message that began first is next.
#[derive(Debug, Default)]
pub(super) struct Row {
    queues: HashMap<Payer, Queue>,
    /// By the latest turn of the payer, then by the number of its next message.
    turns: BTreeSet<(u64, u64, Payer)>,
    /// The next messages of payers that have none beside the others, by size.
    shortest: BTreeSet<(usize, u64, Payer)>,
    /// Payers that have one beside the others.
    beside: HashSet<Payer>,
    number: u64,
    /// Turns so far.
    turn: u64,
    waiting: usize,
}

#[derive(Debug, Default)]
struct Queue {
    turn: u64,
    waiting: BTreeMap<u64, (Handle, usize)>,
}

/// A message that is next.
#[derive(Debug, Clone, Copy)]
pub(super) struct Next {
    pub(super) number: u64,
    pub(super) payer: Payer,
    pub(super) handle: Handle,
    pub(super) total: usize,
}

impl Row {
    /// A message of so many bytes is the last of its payer. Returns its number.
    pub(super) fn push(&mut self, payer: Payer, handle: Handle, total: usize) -> u64 {
        self.number += 1;
        let (number, turn) = (self.number, self.turn);
        self.change(payer, |queue| {
            if queue.waiting.is_empty() {
                // Whoever comes waits for a turn of each that is there, and no longer.
                queue.turn = turn;
            }
            queue.waiting.insert(number, (handle, total));
        });
        self.waiting += 1;
        number
    }

    pub(super) fn remove(&mut self, payer: Payer, number: u64) {
        self.change(payer, |queue| {
            queue.waiting.remove(&number);
        });
        self.waiting -= 1;
    }

    /// It is admitted in its turn.
    pub(super) fn take_turn(&mut self, next: Next) {
        self.turn += 1;
        let turn = self.turn;
        self.change(next.payer, |queue| queue.turn = turn);
        self.remove(next.payer, next.number);
    }

    /// It is admitted beside the others.
    pub(super) fn take_beside(&mut self, next: Next) {
        self.remove(next.payer, next.number);
        self.set_beside(next.payer, true);
    }

    pub(super) fn set_beside(&mut self, payer: Payer, is_beside: bool) {
        self.unlist(payer);
        if is_beside {
            self.beside.insert(payer);
        } else {
            self.beside.remove(&payer);
        }
        self.list(payer);
    }

    /// The one whose turn it is.
    pub(super) fn next(&self) -> Option<Next> {
        self.turns.first().and_then(|&(_, _, payer)| self.next_of(payer))
    }

    /// The shortest of those that are next of payers with none beside the others.
    pub(super) fn shortest(&self) -> Option<Next> {
        self.shortest.first().and_then(|&(_, _, payer)| self.next_of(payer))
    }

    pub(super) fn len(&self) -> usize {
        self.waiting
    }

    fn next_of(&self, payer: Payer) -> Option<Next> {
        let (&number, &(handle, total)) = self.queues.get(&payer)?.waiting.first_key_value()?;
        Some(Next { number, payer, handle, total })
    }

    fn change(&mut self, payer: Payer, act: impl FnOnce(&mut Queue)) {
        self.unlist(payer);
        act(self.queues.entry(payer).or_default());
        self.list(payer);
    }

    fn unlist(&mut self, payer: Payer) {
        if let Some(next) = self.next_of(payer) {
            let turn = self.queues.get(&payer).map_or(0, |queue| queue.turn);
            self.turns.remove(&(turn, next.number, payer));
            self.shortest.remove(&(next.total, next.number, payer));
        }
    }

    fn list(&mut self, payer: Payer) {
        let Some(next) = self.next_of(payer) else {
            self.queues.remove(&payer);
            return;
        };
        let turn = self.queues.get(&payer).map_or(0, |queue| queue.turn);
        self.turns.insert((turn, next.number, payer));
        if !self.beside.contains(&payer) {
            self.shortest.insert((next.total, next.number, payer));
        }
    }
}
