//! What a sender keeps: numbered messages until the peer has handled them, as they were written.

use std::collections::VecDeque;

use super::Data;
use crate::wire::Parcel;

/// Messages without gaps, oldest first. Those in front have left at least once.
#[derive(Debug, Default)]
pub(super) struct Queue {
    parcels: VecDeque<Parcel>,
    /// How many were removed: the number of the first message, less one.
    removed: u64,
    messages: usize,
    bytes: usize,
    /// How many of the parcels have left, and what is in them.
    sent_parcels: usize,
    sent: usize,
    sent_bytes: usize,
}

impl Queue {
    /// The number of the first message, there or not.
    pub(super) fn first(&self) -> u64 {
        self.removed + 1
    }

    pub(super) fn messages(&self) -> usize {
        self.messages
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// How many messages have left.
    pub(super) fn sent(&self) -> usize {
        self.sent
    }

    /// Appends, and gives the number of the last message.
    pub(super) fn push(&mut self, parcel: Parcel) -> u64 {
        self.messages += parcel.count() as usize;
        self.bytes += parcel.bytes();
        self.parcels.push_back(parcel);
        self.removed + self.messages as u64
    }

    /// Lets the next parcel leave, if what has left stays within `limit` bytes or is nothing. Gives it with the number of its first message.
    pub(super) fn send(&mut self, limit: usize) -> Option<(u64, Parcel)> {
        let parcel = self.parcels.get(self.sent_parcels)?;
        let bytes = parcel.bytes();
        if self.sent > 0 && self.sent_bytes + bytes > limit {
            return None;
        }
        let first = self.first() + self.sent as u64;
        self.sent_parcels += 1;
        self.sent += parcel.count() as usize;
        self.sent_bytes += bytes;
        Some((first, parcel.clone()))
    }

    /// Removes the messages up to the number `upto`, which have left, and gives their bytes.
    pub(super) fn remove_upto(&mut self, upto: u64) -> usize {
        let mut bytes = 0;
        while upto > self.removed
            && let Some(front) = self.parcels.front_mut()
        {
            let left = u32::try_from(upto - self.removed).unwrap_or(u32::MAX);
            let count = match front {
                Parcel::Many(run) if run.count() > left => {
                    bytes += run.advance(left);
                    left
                }
                whole => {
                    let count = whole.count();
                    bytes += whole.bytes();
                    self.parcels.pop_front();
                    self.sent_parcels -= 1;
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

    /// The last message that has left.
    pub(super) fn last_sent(&self) -> Option<Data> {
        let part = self.last_sent_parcel()?.parts().last()?;
        Some(Data::new(self.removed + self.sent as u64, part))
    }

    /// The bytes of what left last.
    pub(super) fn last_sent_bytes(&self) -> Option<usize> {
        self.last_sent_parcel().map(Parcel::bytes)
    }

    fn last_sent_parcel(&self) -> Option<&Parcel> {
        self.parcels.get(self.sent_parcels.checked_sub(1)?)
    }

    /// Those of the `wanted` messages, in ascending order, that have left.
    pub(super) fn sent_among<'a>(&'a self, wanted: &'a [u64]) -> impl Iterator<Item = Data> + 'a {
        let mut wanted = wanted.iter().copied().skip_while(|seq| *seq < self.first()).peekable();
        let mut next = self.first();
        self.parcels.iter().take(self.sent_parcels).flat_map(move |parcel| {
            let (first, end) = (next, next + u64::from(parcel.count()));
            next = end;
            let mut here = Vec::new();
            while let Some(seq) = wanted.next_if(|seq| *seq < end) {
                here.push(seq);
            }
            let mut here = here.into_iter().peekable();
            let parts = here.peek().is_some().then(|| parcel.parts().zip(first..));
            parts
                .into_iter()
                .flatten()
                .filter_map(move |(part, seq)| here.next_if_eq(&seq).map(|seq| Data::new(seq, part)))
        })
    }

    /// All messages.
    pub(super) fn into_messages(self) -> Vec<Data> {
        let parts = self.parcels.iter().flat_map(Parcel::parts);
        parts.zip(self.first()..).map(|(part, seq)| Data::new(seq, part)).collect()
    }
}
