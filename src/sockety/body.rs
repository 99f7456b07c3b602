//! What received messages have beside their header, and the application has not read yet: nothing is given
//! out before it is asked for.

use std::collections::{BTreeMap, HashMap, VecDeque};

use bytes::Bytes;
use foldhash::fast::RandomState;

use super::events::Events;
use super::{Event, Part};

/// The bodies of all messages that have not come whole, or have not been read to their end.
#[derive(Debug, Default)]
pub(super) struct Bodies {
    /// Numbers are our own, never a peer's choice.
    by_number: HashMap<u32, Body, RandomState>,
    last_number: u32,
    /// What waits, in bytes.
    unread: usize,
    /// The same, of parts that nobody has begun to read.
    untouched: usize,
}

#[derive(Debug)]
struct Body {
    /// Those that have something to wait for.
    parts: BTreeMap<Part, Waiting>,
    /// More may come.
    is_receiving: bool,
}

/// Bytes of one part that have not been asked for, or that have been asked for and have not come.
#[derive(Debug, Default)]
struct Waiting {
    queue: VecDeque<Bytes>,
    /// Small pieces that came last, joined: none of them keeps alive what else was read with it.
    tail: Vec<u8>,
    bytes: usize,
    wanted: u64,
    is_touched: bool,
    /// Nobody wants it.
    is_dropped: bool,
    has_ended: bool,
}

impl Bodies {
    /// Returns a number for a message that may get a body.
    pub(super) fn next_number(&mut self) -> u32 {
        loop {
            self.last_number = self.last_number.wrapping_add(1);
            if self.last_number != 0 && !self.by_number.contains_key(&self.last_number) {
                return self.last_number;
            }
        }
    }

    /// Begins the body of a message.
    pub(super) fn open(&mut self, number: u32) {
        self.by_number.insert(number, Body { parts: BTreeMap::new(), is_receiving: true });
    }

    /// Returns what waits, in bytes.
    pub(super) fn unread(&self) -> usize {
        self.unread
    }

    /// Returns the same, of parts that nobody has begun to read.
    pub(super) fn untouched(&self) -> usize {
        self.untouched
    }

    pub(super) fn is_empty(&self) -> bool {
        self.by_number.is_empty()
    }

    /// Takes the first `length` bytes of `chunk` for a part; drops them if nobody wants them any more.
    pub(super) fn receive(
        &mut self,
        number: u32,
        part: Part,
        chunk: &Bytes,
        length: usize,
        events: &mut Events,
    ) {
        let Some(body) = self.by_number.get_mut(&number) else { return };
        let waiting = body.parts.entry(part).or_default();
        if waiting.is_dropped {
            return;
        }
        if waiting.bytes == 0 && waiting.wanted >= length as u64 {
            waiting.wanted -= length as u64;
            give(number, part, &chunk.slice(..length), events);
            return;
        }
        let before = waiting.weight();
        waiting.push(chunk, length);
        self.unread += waiting.weight() - before;
        if waiting.is_touched {
            self.give_wanted(number, part, events);
        } else {
            self.untouched += waiting.weight() - before;
        }
    }

    /// Takes note that a stream or file has come to its end, or that all data has come.
    pub(super) fn end(&mut self, number: u32, part: Part, events: &mut Events) {
        let Some(body) = self.by_number.get_mut(&number) else { return };
        let waiting = body.parts.entry(part).or_default();
        waiting.has_ended = true;
        if waiting.bytes == 0 && !waiting.is_dropped {
            body.parts.remove(&part);
            report_end(number, part, events);
        }
    }

    /// Takes note that all of a message has come.
    pub(super) fn finish(&mut self, number: u32) {
        let Some(body) = self.by_number.get_mut(&number) else { return };
        body.is_receiving = false;
        body.parts.retain(|_, waiting| waiting.bytes > 0);
        self.remove_if_empty(number);
    }

    /// Reads so many more bytes.
    pub(super) fn read(&mut self, number: u32, part: Part, bytes: u64, events: &mut Events) {
        let Some(body) = self.by_number.get_mut(&number) else { return };
        let waiting = match body.parts.get_mut(&part) {
            Some(waiting) => waiting,
            // It has ended, or could never begin.
            None if !body.is_receiving => return,
            None => body.parts.entry(part).or_default(),
        };
        if !std::mem::replace(&mut waiting.is_touched, true) {
            self.untouched -= waiting.weight();
        }
        waiting.wanted = waiting.wanted.saturating_add(bytes);
        self.give_wanted(number, part, events);
    }

    /// Drops what waits of a message or of one part, and what still comes.
    pub(super) fn discard(&mut self, number: u32, part: Option<Part>) {
        let Some(part) = part else {
            let Some(body) = self.by_number.remove(&number) else { return };
            return body.parts.into_values().for_each(|waiting| self.forget(&waiting));
        };
        let Some(body) = self.by_number.get_mut(&number) else { return };
        let dropped = Waiting { is_dropped: true, ..Waiting::default() };
        let before = match body.is_receiving {
            true => body.parts.insert(part, dropped),
            false => body.parts.remove(&part),
        };
        before.into_iter().for_each(|waiting| self.forget(&waiting));
        self.remove_if_empty(number);
    }

    /// Ends a message of which nothing more comes. What has come whole stays.
    pub(super) fn abort(&mut self, number: u32, by_peer: bool, events: &mut Events) {
        let Some(body) = self.by_number.get_mut(&number) else { return };
        body.is_receiving = false;
        let parts = std::mem::take(&mut body.parts);
        let (whole, lost): (BTreeMap<_, _>, BTreeMap<_, _>) =
            parts.into_iter().partition(|(_, waiting)| waiting.has_ended && waiting.bytes > 0);
        let kept: Vec<Part> = whole.keys().copied().collect();
        body.parts = whole;
        lost.into_values().for_each(|waiting| self.forget(&waiting));
        events.records().aborted(number, by_peer, &kept);
        self.remove_if_empty(number);
    }

    /// Ends all messages that have not come whole.
    pub(super) fn abort_all(&mut self, events: &mut Events) {
        let receiving = self.by_number.iter().filter(|(_, body)| body.is_receiving);
        let mut numbers: Vec<u32> = receiving.map(|(number, _)| *number).collect();
        numbers.sort_unstable();
        numbers.into_iter().for_each(|number| self.abort(number, false, events));
    }

    /// Drops everything.
    pub(super) fn clear(&mut self) {
        *self = Self { last_number: self.last_number, ..Self::default() };
    }

    fn give_wanted(&mut self, number: u32, part: Part, events: &mut Events) {
        let Some(body) = self.by_number.get_mut(&number) else { return };
        let Some(waiting) = body.parts.get_mut(&part) else { return };
        let before = waiting.weight();
        while let Some(bytes) = waiting.pop() {
            give(number, part, &bytes, events);
        }
        self.unread -= before - waiting.weight();
        if waiting.has_ended && waiting.bytes == 0 {
            body.parts.remove(&part);
            report_end(number, part, events);
            self.remove_if_empty(number);
        }
    }

    fn forget(&mut self, waiting: &Waiting) {
        self.unread -= waiting.weight();
        if !waiting.is_touched {
            self.untouched -= waiting.weight();
        }
    }

    fn remove_if_empty(&mut self, number: u32) {
        if self.by_number.get(&number).is_some_and(|body| !body.is_receiving && body.parts.is_empty()) {
            self.by_number.remove(&number);
        }
    }
}

impl Waiting {
    /// Returns what it takes of the bound.
    fn weight(&self) -> usize {
        if self.bytes == 0 { 0 } else { self.bytes + PART_OVERHEAD_BYTES }
    }

    fn push(&mut self, chunk: &Bytes, length: usize) {
        self.bytes += length;
        if length < SMALL_BYTES {
            self.tail.extend_from_slice(&chunk[..length]);
            if self.tail.len() >= TAIL_BYTES {
                self.close_tail();
            }
        } else {
            self.close_tail();
            self.queue.push_back(chunk.slice(..length));
        }
    }

    fn close_tail(&mut self) {
        if !self.tail.is_empty() {
            self.tail.shrink_to_fit();
            self.queue.push_back(std::mem::take(&mut self.tail).into());
        }
    }

    /// Takes the next bytes that are wanted.
    fn pop(&mut self) -> Option<Bytes> {
        if self.wanted == 0 || self.bytes == 0 {
            return None;
        }
        if self.queue.is_empty() {
            self.close_tail();
        }
        let front = self.queue.front_mut()?;
        let length = usize::try_from(self.wanted).unwrap_or(usize::MAX).min(front.len());
        let bytes = front.split_to(length);
        if front.is_empty() {
            self.queue.pop_front();
        }
        self.bytes -= length;
        self.wanted -= length as u64;
        Some(bytes)
    }
}

fn give(number: u32, part: Part, bytes: &Bytes, events: &mut Events) {
    if bytes.len() < SMALL_BYTES {
        events.records().data(number, part, bytes);
    } else {
        events.push(Event::Data { number, part, bytes: bytes.clone() });
    }
}

/// Reports the end of a stream or file; that of data is known by its size.
fn report_end(number: u32, part: Part, events: &mut Events) {
    if part != Part::Data {
        events.records().end(number, part);
    }
}

/// What a part that waits costs beside its bytes.
const PART_OVERHEAD_BYTES: usize = 512;
/// A piece below this is copied: it is as cheap, and nothing else stays alive with it.
const SMALL_BYTES: usize = 4096;
/// Copied pieces are joined up to this.
const TAIL_BYTES: usize = 16 * 1024;
