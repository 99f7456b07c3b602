//! The receiving half of a stream: hands items over in the order of their numbers, each once, and knows what
//! is missing.

use std::collections::BTreeMap;
use std::time::Instant;

use super::Windows;
use super::assembly::Assembly;
use super::ledger::Ledger;
use super::send_queue::{MAX_RESEND_BYTES, RESEND_OVERHEAD};
use crate::socket::{GapShare, PeerMisbehaved, Window};
use crate::wire::stream::{Beginning, Class, Counts, MAX_MISSING_NUMBERS, MAX_RANGES, is_valid};
use crate::wire::{Encoding, Item, ItemRef, PackedMessages, Payload, Sizes};

/// What has come, and what the application has handled of it.
#[derive(Debug)]
pub struct ReceiveQueue {
    windows: Windows,
    /// How much may be kept that came before its turn.
    keeps: Window,
    /// And what is left for it of what all sockets may keep.
    gap_share: GapShare,
    /// The next item came when it was next, and takes no part of that.
    is_next_passing: bool,
    /// The number of the next item to hand over.
    next: u64,
    /// The highest number that is known to have been used.
    highest: u64,
    handled: [u64; 3],
    unhandled: [Ledger; 3],
    /// Bytes of data that were handled, and of everything that was handed over.
    handled_bytes: u64,
    arrived_bytes: u64,
    out_of_order: BTreeMap<u64, Item>,
    out_of_order_bytes: usize,
    /// When data with a time came that waits for its turn, by its number; and the one handed over last.
    arrivals: BTreeMap<u64, Instant>,
    arrived_at: Option<Instant>,
    /// Joins messages in pieces.
    assembly: Assembly,
    /// Bytes of the largest message that is taken.
    max_message: usize,
    /// The largest item so far: how many of them are asked for at once.
    largest: usize,
    duplicates: u64,
    /// Something came that was here already.
    has_duplicate: bool,
    is_forced_small: bool,
}

impl ReceiveQueue {
    /// A receiver that takes as much as `windows` say, and keeps as much as `keeps` says of what comes before
    /// its turn; no message is larger than `max_message`.
    pub fn new(windows: Windows, keeps: Window, max_message: usize) -> Self {
        Self {
            windows,
            keeps,
            gap_share: GapShare::default(),
            is_next_passing: false,
            next: 1,
            highest: 0,
            handled: [0; 3],
            unhandled: Default::default(),
            handled_bytes: 0,
            arrived_bytes: 0,
            out_of_order: BTreeMap::new(),
            out_of_order_bytes: 0,
            arrivals: BTreeMap::new(),
            arrived_at: None,
            assembly: Assembly::default(),
            max_message,
            largest: 0,
            duplicates: 0,
            has_duplicate: false,
            is_forced_small: false,
        }
    }

    /// Sets what it may keep beside other sockets. Nothing has come before.
    pub fn set_gap_share(&mut self, share: GapShare) {
        self.gap_share = share;
    }

    /// Accepts messages in a row, the first with this number, if they are exactly what is next and have room.
    /// If not, they have to be handed in one by one.
    pub fn try_accept(&mut self, first: u64, packed: &PackedMessages) -> bool {
        let is_next = first == self.next && self.out_of_order.is_empty() && !self.is_forced_small;
        let Some(sizes) = packed.sizes().filter(|_| is_next) else { return false };
        let well_formed = |item: ItemRef<'_>| is_valid(item.encoding, item.payload);
        if !self.has_room(&sizes) || (!packed.is_data() && !packed.refs().all(well_formed)) {
            return false;
        }
        self.next += u64::from(packed.count());
        self.highest = self.highest.max(self.next - 1);
        self.largest = self.largest.max(packed.bytes() / packed.count().max(1) as usize);
        self.arrived_bytes += packed.bytes() as u64;
        for class in Class::ALL {
            self.unhandled[class as usize].push(sizes.count(class), sizes.bytes(class));
        }
        true
    }

    /// Accepts one message as [`Self::try_accept`] does. Returns its class.
    pub fn try_accept_one(&mut self, seq: u64, payload: &Payload, bytes: usize) -> Option<Class> {
        let encoding = payload.encoding;
        let is_next = seq == self.next && self.out_of_order.is_empty() && !self.is_forced_small;
        let class = encoding.class().filter(|_| is_next && !encoding.is_timed())?;
        if self.is_full(class) || !is_valid(encoding, &payload.raw) {
            return None;
        }
        self.next += 1;
        self.highest = self.highest.max(seq);
        self.largest = self.largest.max(bytes);
        self.arrived_bytes += bytes as u64;
        self.unhandled[class as usize].push(1, bytes);
        Some(class)
    }

    fn has_room(&self, sizes: &Sizes) -> bool {
        Class::ALL.into_iter().all(|class| {
            let (unhandled, window) = (&self.unhandled[class as usize], self.windows.of(class));
            sizes.count(class) == 0
                || (unhandled.count() + u64::from(sizes.count(class)) <= window.messages as u64
                    && unhandled.bytes() <= window.bytes)
        })
    }

    /// An item arrived. What may be handed over now comes out of `poll_item`.
    pub fn handle_item(&mut self, seq: u64, item: Item) -> Result<(), PeerMisbehaved> {
        self.check_number(seq)?;
        let encoding = item.payload.encoding;
        if (encoding.class().is_none() && !encoding.is_piece()) || !is_valid(encoding, &item.payload.raw) {
            return Err(PeerMisbehaved::BadItem { encoding: encoding.0 });
        }
        self.highest = self.highest.max(seq);
        if seq < self.next || self.out_of_order.contains_key(&seq) {
            self.duplicates += 1;
            self.has_duplicate = true;
            return Ok(());
        }
        let bytes = item.bytes();
        self.largest = self.largest.max(bytes);
        // What does not fit is not lost: it has not arrived, so its sender keeps it, and it is asked for when
        // its turn has come. There is room for what is next.
        let is_next = seq == self.next;
        let fits = is_next
            || (!self.is_forced_small
                && self.out_of_order.len() < self.keeps.messages
                && self.out_of_order_bytes.saturating_add(bytes) <= self.keeps.bytes
                && self.gap_share.try_take(bytes));
        if fits {
            self.is_next_passing |= is_next;
            self.out_of_order_bytes += bytes;
            self.out_of_order.insert(seq, if is_next { item } else { item.detached() });
        }
        Ok(())
    }

    /// The time of that item runs from now on, if it is kept and was not here before.
    pub fn note_arrival(&mut self, now: Instant, seq: u64) {
        if self.out_of_order.contains_key(&seq) {
            self.arrivals.entry(seq).or_insert(now);
        }
    }

    /// When the item came that was handed over last, if that was noted.
    pub fn arrived_at(&self) -> Option<Instant> {
        self.arrived_at
    }

    /// Which one of the messages of data was handed over last, from 1.
    pub fn data_number(&self) -> u64 {
        self.handled[Class::Data as usize] + self.unhandled[Class::Data as usize].count()
    }

    /// The sender will use this number next: everything below it has been sent.
    pub fn handle_next(&mut self, next: u64) -> Result<(), PeerMisbehaved> {
        self.check_number(next)?;
        self.highest = self.highest.max(next - 1);
        Ok(())
    }

    fn check_number(&self, seq: u64) -> Result<(), PeerMisbehaved> {
        if seq == 0 || seq >= self.next.saturating_add(MAX_JUMP) {
            return Err(PeerMisbehaved::SeqTooFar { seq });
        }
        Ok(())
    }

    /// The next item for the application, in order, and whole.
    pub fn poll_item(&mut self) -> Result<Option<Item>, PeerMisbehaved> {
        while let Some(item) = self.take_next() {
            let whole = if item.payload.encoding.is_piece() {
                self.assembly.push(item.payload, self.max_message)?
            } else {
                Some(item)
            };
            if let Some(item) = whole {
                let class = item.payload.encoding.class().unwrap_or(Class::Data);
                self.unhandled[class as usize].push(1, item.bytes());
                return Ok(Some(item));
            }
        }
        Ok(None)
    }

    /// Takes what is next, if it is there and its class has room. A message in pieces is judged by the first.
    fn take_next(&mut self) -> Option<Item> {
        let payload = &self.out_of_order.get(&self.next)?.payload;
        let class = match payload.encoding {
            Encoding::BIG => Beginning::encoding(&payload.raw).and_then(Encoding::class),
            encoding => encoding.class(),
        };
        if class.is_some_and(|class| self.is_full(class)) {
            return None;
        }
        let item = self.out_of_order.remove(&self.next)?;
        let bytes = item.bytes();
        if !std::mem::take(&mut self.is_next_passing) {
            self.gap_share.give_back(bytes);
        }
        self.out_of_order_bytes -= bytes;
        self.arrived_bytes += bytes as u64;
        if item.payload.encoding.is_timed() {
            self.arrived_at = self.arrivals.remove(&self.next);
        }
        self.next += 1;
        Some(item)
    }

    /// The message in pieces that comes.
    pub(super) fn assembly(&mut self) -> &mut Assembly {
        &mut self.assembly
    }

    fn is_full(&self, class: Class) -> bool {
        let (unhandled, window) = (&self.unhandled[class as usize], self.windows.of(class));
        unhandled.count() >= window.messages as u64 || unhandled.bytes() >= window.bytes
    }

    /// The application has handled `count` more items of a class.
    pub fn handle_consumed(&mut self, class: Class, count: u64) {
        let unhandled = &mut self.unhandled[class as usize];
        self.handled[class as usize] += count.min(unhandled.count());
        let bytes = unhandled.remove(count);
        if class == Class::Data {
            self.handled_bytes += bytes as u64;
        }
    }

    /// What a status says of it.
    pub fn counts(&self) -> Counts {
        let [data, requests, answers] = self.handled;
        Counts { arrived: self.next - 1, data, requests, answers }
    }

    /// What a close says that the application did not ask for: what it was handed and has not counted yet, it
    /// may handle.
    pub fn counts_of_handed(&self) -> Counts {
        let counts = self.counts();
        let handed = self.unhandled[Class::Request as usize].count();
        Counts { requests: counts.requests + handed, ..counts }
    }

    /// Bytes that have been handed over, and those of data that were handled, since the beginning.
    pub fn bytes(&self) -> (u64, u64) {
        (self.arrived_bytes, self.handled_bytes)
    }

    /// Whether the next item is known to exist, has not come, and has room.
    pub fn has_gap(&self) -> bool {
        self.highest >= self.next && !self.out_of_order.contains_key(&self.next) && !self.is_full(Class::Data)
    }

    /// What it lacks, as a status says it, and the last number of that.
    pub fn missing(&self) -> (Vec<(u64, u64)>, u64) {
        // No more than can be kept, or than the other end sends at once: it is asked again when that has
        // come.
        let most = self.keeps.bytes.min(MAX_RESEND_BYTES) / (self.largest + RESEND_OVERHEAD);
        let most = most.max(1) as u64;
        let (mut ranges, mut left) = (Vec::new(), most.min(MAX_MISSING_NUMBERS));
        let (mut present, mut cursor, mut last) = (0, self.next, self.next - 1);
        let mut lack = |present: u64, from: u64, to: u64, left: &mut u64| {
            let length = (to - from).min(*left);
            if length > 0 && ranges.len() < MAX_RANGES {
                ranges.push((present, length));
                *left -= length;
                last = from + length - 1;
            } else {
                *left = 0;
            }
        };
        for &seq in self.out_of_order.keys() {
            if seq > cursor {
                lack(present, cursor, seq, &mut left);
                present = 0;
            }
            if left == 0 {
                return (ranges, last);
            }
            (present, cursor) = (present + 1, seq + 1);
        }
        if self.highest >= cursor {
            lack(present, cursor, self.highest + 1, &mut left);
        }
        (ranges, last)
    }

    /// Whether something came since the last call that was here already.
    pub fn take_duplicate(&mut self) -> bool {
        std::mem::take(&mut self.has_duplicate)
    }

    /// Whether all that came was next, and whole.
    pub fn rests(&self) -> bool {
        self.out_of_order.is_empty() && !self.has_duplicate && self.assembly.rests()
    }

    /// How many items came that were here already.
    pub fn duplicates(&self) -> u64 {
        self.duplicates
    }

    /// What it keeps that came before its turn: items and bytes.
    pub fn usage(&self) -> (usize, usize) {
        (self.out_of_order.len(), self.out_of_order_bytes)
    }

    /// Bytes of the message that is not whole.
    pub fn partial_bytes(&self) -> usize {
        self.assembly.bytes()
    }

    /// How many messages of data the application has been given and has not handled.
    pub fn unconsumed(&self) -> u64 {
        self.unhandled[Class::Data as usize].count()
    }

    /// Whether there is no room for items before their turn (a simulation's point).
    pub(super) fn set_forced_small(&mut self, is_forced_small: bool) {
        self.is_forced_small = is_forced_small;
    }
}

/// No window is that wide: a number further ahead is no number of this stream.
const MAX_JUMP: u64 = 1 << 24;
