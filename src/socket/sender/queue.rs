//! The queue of a sender: numbered messages until the peer has handled them, as they were written.

use std::collections::VecDeque;
use std::time::Instant;

use super::Data;
use crate::socket::StaleData;
use crate::socket::stale::WaitingTimes;
use crate::wire::Messages;

/// Messages without gaps, oldest first. Those in front have left at least once.
#[derive(Debug, Default)]
pub(super) struct Queue {
    batches: VecDeque<Messages>,
    /// Messages removed: the number of the first message, less one.
    removed: u64,
    messages: usize,
    bytes: usize,
    /// Batches that have left, and what is in them.
    sent_batches: usize,
    sent: usize,
    sent_bytes: usize,
}

impl Queue {
    /// Returns the number of the first message, whether there is one or not.
    pub(super) fn first(&self) -> u64 {
        self.removed + 1
    }

    pub(super) fn messages(&self) -> usize {
        self.messages
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Returns how many messages have left.
    pub(super) fn sent(&self) -> usize {
        self.sent
    }

    /// Appends messages. Returns the number of the last one.
    pub(super) fn push(&mut self, batch: Messages) -> u64 {
        self.messages += batch.count() as usize;
        self.bytes += batch.bytes();
        self.batches.push_back(batch);
        self.removed + self.messages as u64
    }

    /// Returns the bytes of what is next to leave, if that is one message, as all large ones are.
    pub(super) fn next_single_bytes(&self) -> Option<usize> {
        let next = self.batches.get(self.sent_batches)?;
        matches!(next, Messages::One(_)).then(|| next.bytes())
    }

    /// Returns the bytes of the first batch.
    pub(super) fn first_bytes(&self) -> usize {
        self.batches.front().map_or(0, Messages::bytes)
    }

    /// Lets the next batch leave, if what has left stays within `limit` bytes or is nothing, and it is no
    /// message of more than `most` bytes. Returns it with the number of its first message.
    pub(super) fn send(&mut self, limit: usize, most: usize) -> Option<(u64, Messages)> {
        let batch = self.batches.get(self.sent_batches)?;
        let bytes = batch.bytes();
        if bytes > most && matches!(batch, Messages::One(_)) {
            return None;
        }
        if self.sent > 0 && self.sent_bytes + bytes > limit {
            return None;
        }
        let first = self.first() + self.sent as u64;
        self.sent_batches += 1;
        self.sent += batch.count() as usize;
        self.sent_bytes += bytes;
        Some((first, batch.clone()))
    }

    /// Removes the messages up to the number `upto`, which have left, and gives their bytes.
    pub(super) fn remove_upto(&mut self, upto: u64) -> usize {
        let mut bytes = 0;
        while upto > self.removed
            && let Some(front) = self.batches.front_mut()
        {
            let left = u32::try_from(upto - self.removed).unwrap_or(u32::MAX);
            let count = match front {
                Messages::Packed(packed) if packed.count() > left => {
                    bytes += packed.advance(left);
                    left
                }
                whole => {
                    let count = whole.count();
                    bytes += whole.bytes();
                    self.batches.pop_front();
                    self.sent_batches -= 1;
                    count
                }
            };
            self.removed += u64::from(count);
            self.messages -= count as usize;
            self.sent -= count as usize;
        }
        self.bytes -= bytes;
        self.sent_bytes -= bytes;
        bytes
    }

    /// Returns the last message that has left.
    pub(super) fn last_sent(&self) -> Option<Data> {
        let item = self.last_sent_batch()?.items().last()?;
        Some(Data::new(self.removed + self.sent as u64, item))
    }

    /// Returns the bytes of the messages that left last.
    pub(super) fn last_sent_bytes(&self) -> Option<usize> {
        self.last_sent_batch().map(Messages::bytes)
    }

    fn last_sent_batch(&self) -> Option<&Messages> {
        self.batches.get(self.sent_batches.checked_sub(1)?)
    }

    /// Returns those of the `wanted` messages, in ascending order, that have left.
    pub(super) fn sent_among<'a>(&'a self, wanted: &'a [u64]) -> impl Iterator<Item = Data> + 'a {
        let mut wanted = wanted.iter().copied().skip_while(|seq| *seq < self.first()).peekable();
        let mut next = self.first();
        self.batches.iter().take(self.sent_batches).flat_map(move |batch| {
            let (first, end) = (next, next + u64::from(batch.count()));
            next = end;
            let mut here = Vec::new();
            while let Some(seq) = wanted.next_if(|seq| *seq < end) {
                here.push(seq);
            }
            let mut here = here.into_iter().peekable();
            let items = here.peek().is_some().then(|| batch.items().zip(first..));
            items
                .into_iter()
                .flatten()
                .filter_map(move |(item, seq)| here.next_if_eq(&seq).map(|seq| Data::new(seq, item)))
        })
    }

    /// Takes out what has not left and may not leave any more.
    pub(super) fn take_stale(
        &mut self,
        now: Instant,
        times: &mut WaitingTimes,
        volatile: &mut VecDeque<u64>,
    ) -> Vec<StaleData> {
        let mut waiting = self.batches.split_off(self.sent_batches);
        let first = self.first() + self.sent as u64;
        let stale = times.take_stale(now, &mut waiting, first, volatile);
        self.batches.append(&mut waiting);
        self.messages -= stale.len();
        self.bytes -= stale.iter().map(|stale| stale.bytes).sum::<usize>();
        stale
    }

    /// Returns all messages.
    pub(super) fn into_messages(self) -> Vec<Data> {
        let items = self.batches.iter().flat_map(Messages::items);
        items.zip(self.first()..).map(|(item, seq)| Data::new(seq, item)).collect()
    }
}
