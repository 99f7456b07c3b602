//! Data that nobody wants after a while: what of it is taken out here, and what the other end is told of its
//! own.

use std::collections::VecDeque;
use std::time::Instant;

use super::SendQueue;
use crate::socket::stale::LeftTimes;
use crate::socket::{StaleData, WriteError};
use crate::wire::stream::{Class, Dropped};
use crate::wire::{Item, Messages};

/// What is to be known of data with a time.
#[derive(Debug, Default)]
pub(super) struct Late {
    /// The times of what has left.
    pub(super) left: LeftTimes,
    /// What had left, was to leave again and was over then, and is to be told.
    pub(super) stale: Vec<StaleData>,
    /// What the other end wrote and this one did not hand out, by its number: until it is known to have heard
    /// of it, that does not count as handled.
    pub(super) dropped: VecDeque<u64>,
}

impl SendQueue {
    /// Queues data that may leave until then. It says how much of its time is left when it does.
    pub fn write_timed(
        &mut self,
        now: Instant,
        item: Item,
        volatile: bool,
        until: Instant,
    ) -> Result<(), WriteError> {
        self.write(now, Messages::One(item), volatile)?;
        self.times.push(self.written(), until);
        Ok(())
    }

    /// Takes out what waits and may not leave any more, and tells of what may not leave again.
    pub fn take_stale(&mut self, now: Instant) -> Vec<StaleData> {
        let mut all = self.late.as_mut().map_or_else(Vec::new, |late| std::mem::take(&mut late.stale));
        if self.times.is_due(now) {
            let begun = u64::from(self.pieces.class() == Some(Class::Data));
            let first = self.sent[Class::Data as usize] + begun + 1;
            let stale = self.times.take_stale(now, &mut self.waiting, first, &mut self.volatile);
            self.waiting_sizes.counts[Class::Data as usize] -= stale.len() as u64;
            self.waiting_sizes.bytes[Class::Data as usize] -=
                stale.iter().map(|stale| stale.bytes).sum::<usize>();
            if !self.window.is_half_used(self.unacked(), self.unacked_bytes()) {
                self.stalls_at = None;
            }
            all.extend(stale);
        }
        all
    }

    /// Tells the other end that this message of its data was not handed out. One that hears of nothing is not
    /// told of any number of them: the others count as handled.
    pub fn note_dropped(&mut self, now: Instant, number: u64) {
        let dropped = &mut self.late.get_or_insert_default().dropped;
        if dropped.len() >= MAX_DROPPED {
            return;
        }
        dropped.push_back(number);
        // There is no bound for what belongs to answers.
        let _ = self.write(now, Messages::one(Dropped { number }.encode(), None), false);
    }

    /// How much of the other end's data may count as handled at most: what was dropped is told first.
    pub fn most_handled(&self) -> Option<u64> {
        self.late.as_ref()?.dropped.front().map(|number| number - 1)
    }
}

/// Messages that were dropped and that the other end has not heard of.
const MAX_DROPPED: usize = 65_536;
