//! How much of a class is not handled, in messages and bytes.

use std::collections::VecDeque;

/// Messages in the batches that they came or left in, oldest first.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    batches: VecDeque<(u32, usize)>,
    count: u64,
    bytes: usize,
}

impl Ledger {
    /// Adds so many messages of so many bytes in all.
    pub(super) fn push(&mut self, count: u32, bytes: usize) {
        if count > 0 {
            self.batches.push_back((count, bytes));
            self.count += u64::from(count);
            self.bytes += bytes;
        }
    }

    /// Removes the oldest messages, at most all, and returns their bytes. Part of a batch takes its share of
    /// the bytes: in the end it is the whole.
    pub(super) fn remove(&mut self, count: u64) -> usize {
        let mut left = count.min(self.count);
        let before = self.bytes;
        self.count -= left;
        while left > 0
            && let Some((count, bytes)) = self.batches.front_mut()
        {
            let removed = u32::try_from(left).unwrap_or(*count).min(*count);
            let share = *bytes * removed as usize / *count as usize;
            *count -= removed;
            *bytes -= share;
            left -= u64::from(removed);
            self.bytes -= share;
            if *count == 0 {
                self.batches.pop_front();
            }
        }
        before - self.bytes
    }

    pub(super) fn count(&self) -> u64 {
        self.count
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }
}
