//! Where items are after they have left: in flight until they have arrived, kept until they were handled.

use std::collections::VecDeque;
use std::time::Instant;

use bytes::Bytes;

use crate::socket::StaleData;
use crate::wire::{Encoding, Item, Messages, PackedMessages, Payload};

/// Items that have left and are not known to have arrived, with the number of the first of each batch.
#[derive(Debug, Default)]
pub(super) struct Flight {
    batches: VecDeque<(u64, Messages)>,
    /// Data that left as something else, as it was written: in pieces, with the number of the last one, or
    /// with a time.
    wholes: VecDeque<(u64, Item)>,
    /// Data that may leave again until then: the number of the item, which one of the data it is, and when.
    times: VecDeque<(u64, u64, Instant)>,
    bytes: usize,
    data_bytes: usize,
}

/// Data that has arrived and is not known to have been handled.
#[derive(Debug, Default)]
pub(super) struct Kept {
    batches: VecDeque<Messages>,
    count: u64,
    bytes: usize,
}

impl Flight {
    pub(super) fn push(&mut self, first: u64, messages: Messages, data_bytes: usize) {
        self.bytes += messages.bytes();
        self.data_bytes += data_bytes;
        self.batches.push_back((first, messages));
    }

    /// Adds a piece; with the last one of data the whole.
    pub(super) fn push_piece(&mut self, number: u64, piece: Messages, whole: Option<Item>) {
        self.push(number, piece, whole.as_ref().map_or(0, Item::bytes));
        self.wholes.extend(whole.map(|item| (number, item)));
    }

    /// Adds data with a time, which was written as `whole`; which one of the data it is, and its time.
    pub(super) fn push_timed(&mut self, number: u64, timed: Messages, whole: Item, time: (u64, Instant)) {
        self.push(number, timed, whole.bytes());
        self.wholes.push_back((number, whole));
        self.times.push_back((number, time.0, time.1));
    }

    /// In place of data of these ranges whose time is over, something leaves that has its number. Returns
    /// what it was.
    pub(super) fn expire(&mut self, now: Instant, ranges: &[(u64, u64)]) -> Vec<StaleData> {
        let mut stale = Vec::new();
        let is_meant = |number| ranges.iter().any(|(from, to)| (*from..=*to).contains(&number));
        let Self { batches, wholes, times, bytes, data_bytes } = self;
        times.retain(|&(item, number, until)| {
            if until > now || !is_meant(item) {
                return true;
            }
            let expired =
                Item { payload: Payload { encoding: Encoding::EXPIRED, raw: Bytes::new() }, json: None };
            if let Ok(at) = batches.binary_search_by_key(&item, |(first, _)| *first) {
                *bytes -= batches[at].1.bytes();
                batches[at].1 = Messages::One(expired.clone());
            }
            if let Ok(at) = wholes.binary_search_by_key(&item, |(number, _)| *number) {
                let lost = std::mem::replace(&mut wholes[at].1, expired).bytes();
                *data_bytes -= lost;
                stale.push(StaleData { number, bytes: lost, had_left: true });
            }
            false
        });
        stale
    }

    /// How many of the items up to this number are such ones, each by itself.
    pub(super) fn count_upto(&self, number: u64, encoding: Encoding) -> usize {
        let upto = self.batches.iter().take_while(|(first, _)| *first <= number);
        upto.filter(
            |(_, messages)| matches!(messages, Messages::One(item) if item.payload.encoding == encoding),
        )
        .count()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.batches.is_empty()
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(super) fn data_bytes(&self) -> usize {
        self.data_bytes
    }

    pub(super) fn first(&self) -> Option<&Messages> {
        self.batches.front().map(|(_, messages)| messages)
    }

    /// The bytes of the largest batch.
    pub(super) fn largest(&self) -> usize {
        self.batches.iter().map(|(_, messages)| messages.bytes()).max().unwrap_or(0)
    }

    /// Everything up to this number has arrived: data is kept, the rest is done with. Returns whether that is
    /// news.
    pub(super) fn remove_upto(&mut self, arrived: u64, kept: &mut Kept) -> bool {
        let mut is_news = false;
        while let Some((first, messages)) = self.batches.front_mut().filter(|(first, _)| *first <= arrived) {
            is_news = true;
            let number = *first;
            let there = u32::try_from(arrived - *first + 1).unwrap_or(u32::MAX);
            let removed = match messages {
                Messages::Packed(packed) if packed.count() > there => {
                    *first += u64::from(there);
                    Messages::Packed(packed.split_front(there))
                }
                _ => {
                    let Some((_, messages)) = self.batches.pop_front() else { break };
                    messages
                }
            };
            self.bytes -= removed.bytes();
            if removed.is_done_with() {
                continue;
            }
            let whole = if removed.is_wrapped() { self.take_whole(number) } else { None };
            self.data_bytes -= kept.push(whole.map_or(removed, Messages::One));
        }
        while self.times.front().is_some_and(|(number, ..)| *number <= arrived) {
            self.times.pop_front();
        }
        is_news
    }

    /// Takes out the oldest message in pieces, if this is the last of them.
    fn take_whole(&mut self, number: u64) -> Option<Item> {
        let is_last = self.wholes.front().is_some_and(|(last, _)| *last == number);
        if is_last { self.wholes.pop_front().map(|(_, item)| item) } else { None }
    }

    /// The items of the ranges, which ascend, in batches as they left.
    pub(super) fn among<'a>(
        &'a self,
        ranges: &'a [(u64, u64)],
    ) -> impl Iterator<Item = (u64, Messages)> + 'a {
        self.batches.iter().flat_map(move |(first, messages)| {
            let end = first + u64::from(messages.count());
            let overlaps = move |range: &&(u64, u64)| range.0 < end && range.1 >= *first;
            ranges.iter().filter(overlaps).filter_map(move |&(from, to)| {
                let (from, to) = (from.max(*first), to.min(end - 1));
                let skipped = u32::try_from(from - first).ok()?;
                let count = u32::try_from(to + 1 - from).ok()?;
                Some((from, cut(messages, skipped, count)))
            })
        })
    }

    /// Returns what has not arrived; data in pieces as it was.
    pub(super) fn into_messages(mut self) -> impl Iterator<Item = Messages> {
        std::mem::take(&mut self.batches)
            .into_iter()
            .map(move |(number, messages)| self.take_whole(number).map_or(messages, Messages::One))
    }
}

/// Some of the messages.
fn cut(messages: &Messages, skipped: u32, count: u32) -> Messages {
    match messages {
        Messages::Packed(packed) if skipped > 0 || count < packed.count() => {
            let mut packed: PackedMessages = packed.clone();
            packed.split_front(skipped);
            Messages::Packed(packed.split_front(count))
        }
        whole => whole.clone(),
    }
}

impl Kept {
    /// Keeps what is data, and returns its bytes.
    fn push(&mut self, messages: Messages) -> usize {
        let before = self.bytes;
        if messages.is_data() || matches!(&messages, Messages::One(item) if item.payload.encoding.is_timed())
        {
            self.add(messages);
        } else if let Messages::Packed(packed) = messages
            && packed.has_data()
        {
            let data = packed.items().filter(|item| item.payload.encoding.is_data());
            data.for_each(|item| self.add(Messages::One(item)));
        }
        self.bytes - before
    }

    fn add(&mut self, messages: Messages) {
        self.count += u64::from(messages.count());
        self.bytes += messages.bytes();
        self.batches.push_back(messages);
    }

    pub(super) fn count(&self) -> u64 {
        self.count
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// So many of the oldest were handled. Returns their bytes.
    pub(super) fn remove(&mut self, count: u64) -> usize {
        let (before, mut left) = (self.bytes, count.min(self.count));
        self.count -= left;
        while left > 0
            && let Some(front) = self.batches.front_mut()
        {
            match front {
                Messages::Packed(packed) if u64::from(packed.count()) > left => {
                    self.bytes -= packed.advance(u32::try_from(left).unwrap_or(u32::MAX));
                    left = 0;
                }
                whole => {
                    left -= u64::from(whole.count());
                    self.bytes -= whole.bytes();
                    self.batches.pop_front();
                }
            }
        }
        before - self.bytes
    }

    pub(super) fn into_messages(self) -> impl Iterator<Item = Messages> {
        self.batches.into_iter()
    }
}
