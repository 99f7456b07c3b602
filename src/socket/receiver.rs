//! Receiving half of a socket: hands messages over in order, each once, asks for what is missing, and
//! acknowledges what has been handled.
//!
//! An ack is a request of its own on Conat's wire, so acks are coalesced: one is in flight at a time, and the
//! next one carries all that was handled meanwhile. Only a good part of a window makes a second one leave
//! early, or a peer that repeats what was acknowledged already, and that once a round trip.

mod doubt;

use std::collections::{BTreeMap, VecDeque};
use std::time::Instant;

use bytes::Bytes;

use super::retrying_request::RetryingRequest;
use super::sender::MAX_IN_FLIGHT_BYTES;
use super::{Data, GapShare, PeerMisbehaved, Window};
use crate::base::earliest;
use crate::wire::{PackedMessages, Payload};
use doubt::Doubt;

/// A message of the receiver for the sender.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outgoing {
    /// "I have handled so many."
    Ack {
        /// The number.
        upto: u64,
        /// "And I was away: your last messages may be lost, so send the last one again."
        resumed: bool,
    },
    /// "I lack these."
    Missing(Vec<u64>),
}

/// The receiving half.
#[derive(Debug)]
pub struct Receiver {
    attached: bool,
    /// The next message to hand over.
    next: u64,
    /// The highest number seen, kept or not.
    highest: u64,
    /// Number of messages that the application has handled.
    acked_by_app: u64,
    /// What it has been given in one go and has not handled: the number of messages, and their bytes.
    unconsumed: VecDeque<(u32, usize)>,
    unconsumed_bytes: usize,
    /// Came before their turn.
    out_of_order: BTreeMap<u64, Data>,
    held_bytes: usize,
    /// What is left for it of what all sockets may keep.
    gap_share: GapShare,
    /// The next message came when it was next, and takes no part of that.
    is_next_passing: bool,
    /// The largest message so far: how many of them are asked for at once.
    largest: usize,
    unconsumed_limit: u64,
    window: Window,
    duplicates: u64,
    ack: RetryingRequest,
    /// The count in the latest ack.
    last_ack: u64,
    /// The bytes that the application has handled since.
    unacked_bytes: usize,
    /// An ack is due even if its count is not new.
    ack_wanted: bool,
    /// We were away, and the peer has not confirmed that it knows.
    resumed: bool,
    /// The peer repeats what the latest ack covers: that ack may be lost.
    ack_may_be_lost: bool,
    doubted_acks: Doubt,
    missing: RetryingRequest,
    doubted_requests: Doubt,
    /// The first number of the latest request for missing ones.
    resend_from: u64,
    /// There is no room but for the next message.
    is_window_forced_small: bool,
}

impl Receiver {
    /// Returns a receiver that keeps at most a window of messages out of order, and passes on at most as many
    /// bytes that are not handled.
    pub fn new(window: Window) -> Self {
        Self {
            attached: false,
            next: 1,
            highest: 0,
            acked_by_app: 0,
            unconsumed: VecDeque::new(),
            unconsumed_bytes: 0,
            out_of_order: BTreeMap::new(),
            held_bytes: 0,
            gap_share: GapShare::default(),
            is_next_passing: false,
            largest: 0,
            unconsumed_limit: (window.messages as u64).max(MIN_UNCONSUMED),
            window,
            duplicates: 0,
            ack: RetryingRequest::new(),
            last_ack: 0,
            unacked_bytes: 0,
            ack_wanted: false,
            resumed: false,
            ack_may_be_lost: false,
            doubted_acks: Doubt::default(),
            missing: RetryingRequest::new(),
            doubted_requests: Doubt::default(),
            resend_from: 0,
            is_window_forced_small: false,
        }
    }

    /// Sets what it may keep beside other sockets. Nothing has come before.
    pub(super) fn set_gap_share(&mut self, share: GapShare) {
        self.gap_share = share;
    }

    /// Takes a message. What may be passed on now comes out of `poll_data`.
    pub fn handle_data(&mut self, now: Instant, data: Data) -> Result<(), PeerMisbehaved> {
        let seq = data.seq;
        if seq == 0 || seq >= self.next.saturating_add(MAX_SEQ_JUMP) {
            return Err(PeerMisbehaved::SeqTooFar { seq });
        }
        self.highest = self.highest.max(seq);
        if seq < self.next {
            // The peer does not know that we have it: an ack that is in flight has not reached it.
            if self.doubted_acks.arises(now) {
                self.ack_wanted = true;
                self.ack_may_be_lost = true;
            }
            // It resends, which is all that it had to learn from our absence. Reporting that again would make
            // it resend again.
            self.resumed = false;
            self.duplicates += 1;
            return Ok(());
        }
        if self.out_of_order.contains_key(&seq) {
            // The peer resends for lack of progress: our request for missing messages is lost, or its reply.
            if self.doubted_requests.arises(now) {
                self.missing.in_flight = false;
            }
            self.duplicates += 1;
            return Ok(());
        }
        let bytes = data.bytes();
        self.largest = self.largest.max(bytes);
        // What does not fit is not lost: it is not acknowledged either, and asked for when its turn has come.
        // There is room for what is next.
        let is_next = seq == self.next;
        let fits = is_next
            || (!self.is_window_forced_small
                && self.out_of_order.len() < self.window.messages
                && self.held_bytes.saturating_add(bytes) <= self.window.bytes
                && self.gap_share.try_take(bytes));
        if fits {
            self.is_next_passing |= is_next;
            self.held_bytes += bytes;
            self.out_of_order.insert(seq, if is_next { data } else { data.detached() });
        }
        Ok(())
    }

    /// Accepts consecutive messages, the first with this number, if they are exactly the next ones and there
    /// is room. Returns whether; then they may be passed on unchanged. If not, they have to be passed in one
    /// by one.
    pub fn try_accept_packed(&mut self, first: u64, packed: &PackedMessages) -> bool {
        let (count, bytes) = (packed.count(), packed.bytes());
        let takes = first == self.next
            && self.out_of_order.is_empty()
            && !self.is_window_forced_small
            && self.unconsumed() + u64::from(count) <= self.unconsumed_limit
            && self.unconsumed_bytes.saturating_add(bytes) <= self.window.bytes;
        if takes {
            self.next += u64::from(count);
            self.highest = self.highest.max(self.next - 1);
            self.largest = self.largest.max(bytes / count.max(1) as usize);
            self.unconsumed.push_back((count, bytes));
            self.unconsumed_bytes += bytes;
        }
        takes
    }

    /// Returns the next message for the application, in order.
    pub fn poll_data(&mut self) -> Option<Data> {
        if self.is_at_limit() {
            return None;
        }
        let data = self.out_of_order.remove(&self.next)?;
        let bytes = data.bytes();
        self.held_bytes -= bytes;
        if !std::mem::take(&mut self.is_next_passing) {
            self.gap_share.give_back(bytes);
        }
        self.unconsumed_bytes += bytes;
        self.unconsumed.push_back((1, bytes));
        self.next += 1;
        Some(data)
    }

    /// Notes that the application has handled `count` more messages.
    pub fn consumed(&mut self, count: u64) {
        let mut left = count.min(self.unconsumed());
        self.acked_by_app += left;
        while left > 0
            && let Some((count, bytes)) = self.unconsumed.front_mut()
        {
            let handled = u32::try_from(left).unwrap_or(*count).min(*count);
            // Of a part of packed messages its share of the bytes; in the end it is the whole.
            let share = *bytes * handled as usize / *count as usize;
            *count -= handled;
            *bytes -= share;
            left -= u64::from(handled);
            self.unconsumed_bytes -= share;
            self.unacked_bytes += share;
            if *count == 0 {
                self.unconsumed.pop_front();
            }
        }
    }

    /// Returns how many messages came that were here already.
    pub fn duplicates(&self) -> u64 {
        self.duplicates
    }

    /// Returns how many the application has handled.
    pub fn handled(&self) -> u64 {
        self.acked_by_app
    }

    /// Returns whether the application has as much as it may leave unhandled.
    fn is_at_limit(&self) -> bool {
        self.unconsumed() >= self.unconsumed_limit || self.unconsumed_bytes >= self.window.bytes
    }

    /// Returns what it keeps that came before its turn: messages and bytes.
    pub fn usage(&self) -> (usize, usize) {
        (self.out_of_order.len(), self.held_bytes)
    }

    /// Sends the next ack as soon as none is in flight (a simulation's fault).
    pub(super) fn force_ack(&mut self) {
        self.ack_wanted = true;
    }

    pub(super) fn delay_ack(&mut self, until: Instant) {
        if self.ack.is_idle() {
            self.ack.retry_at = Some(until);
        }
    }

    /// Sets whether there is no room for messages out of order (a simulation's fault).
    pub(super) fn force_small_window(&mut self, is_window_forced_small: bool) {
        self.is_window_forced_small = is_window_forced_small;
    }

    /// Returns how many messages the application has been given and has not handled.
    pub fn unconsumed(&self) -> u64 {
        self.next - 1 - self.acked_by_app
    }

    /// Starts over with the peer: it may have lost our last ack, or we its last message.
    pub fn attach(&mut self) {
        self.attached = true;
        self.doubted_acks.handle_answer();
        self.doubted_requests.handle_answer();
        self.ack = RetryingRequest::new();
        self.missing = RetryingRequest::new();
        self.ack_wanted = self.highest > 0 || self.resumed;
    }

    /// Notes an absence that the peer may not have noticed: the next attach tells it, or it would wait for
    /// its timer.
    pub fn resume(&mut self) {
        self.resumed = true;
    }

    /// Stops: the peer is out of reach.
    pub fn detach(&mut self) {
        self.attached = false;
        self.ack = RetryingRequest::new();
        self.missing = RetryingRequest::new();
    }

    /// Returns the next message for the sender.
    pub fn poll_transmit(&mut self) -> Option<Outgoing> {
        if !self.attached {
            return None;
        }
        if let Some(upto) = self.due_ack() {
            self.ack_wanted = false;
            self.ack_may_be_lost = false;
            self.ack.in_flight = true;
            self.last_ack = upto;
            self.unacked_bytes = 0;
            return Some(Outgoing::Ack { upto, resumed: self.resumed });
        }
        if self.missing.is_idle() && self.has_gap() {
            // No more than can be kept: an original answers with all that it is asked for.
            let most = (self.window.bytes / self.largest.max(1)).clamp(1, MAX_MISSING);
            let lacking: Vec<u64> = (self.next..=self.highest)
                .filter(|seq| !self.out_of_order.contains_key(seq))
                .take(most)
                .collect();
            self.resend_from = self.next;
            self.missing.in_flight = true;
            tracing::debug!(count = lacking.len(), first = lacking.first(), "asking for missing messages");
            return Some(Outgoing::Missing(lacking));
        }
        None
    }

    /// Notes that the sender has confirmed the latest ack, or has not.
    pub fn handle_ack_reply(&mut self, now: Instant, answered: bool) {
        self.ack_wanted |= !answered;
        self.resumed &= !answered;
        if answered {
            self.doubted_acks.handle_answer();
        }
        self.ack.complete(now, answered);
    }

    /// Handles the reply to the request for missing messages, or its absence. A reply with nothing new counts
    /// as none, because asking again at once would be a loop.
    pub fn handle_missing_reply(
        &mut self,
        now: Instant,
        messages: Option<Vec<Data>>,
    ) -> Result<(), PeerMisbehaved> {
        let before = (self.next, self.out_of_order.len());
        self.doubted_requests.handle_answer();
        for data in messages.into_iter().flatten() {
            self.handle_data(now, data)?;
        }
        self.missing.complete(now, before != (self.next, self.out_of_order.len()));
        Ok(())
    }

    /// Returns whether the first message of the latest request for missing ones has still not come. If it
    /// came meanwhile, the sender was right to have forgotten it.
    pub fn is_resend_unanswered(&self) -> bool {
        self.is_lacking() && self.next == self.resend_from
    }

    /// Returns whether the next message in line is known to exist and has not come.
    fn is_lacking(&self) -> bool {
        self.highest >= self.next && !self.out_of_order.contains_key(&self.next)
    }

    /// Returns when `handle_timeout` is to be called.
    pub fn poll_timeout(&self) -> Option<Instant> {
        earliest([self.ack.retry_at, self.missing.retry_at])
    }

    /// Handles the end of a pause.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.ack.handle_timeout(now);
        self.missing.handle_timeout(now);
    }

    fn due_ack(&self) -> Option<u64> {
        let news = self.acked_by_app - self.last_ack;
        let due = if self.ack.in_flight {
            let Window { messages, bytes } = self.window;
            let bytes = bytes.min(MAX_IN_FLIGHT_BYTES) / EARLY_PART;
            let is_much = news >= messages.div_ceil(EARLY_PART) as u64 || self.unacked_bytes >= bytes;
            self.ack_may_be_lost || (news > 0 && is_much)
        } else {
            self.ack.is_idle() && (self.ack_wanted || news > 0)
        };
        due.then_some(self.acked_by_app)
    }

    /// Returns whether there is a gap to ask about now. While only the application is slow, asking would fill
    /// memory.
    fn has_gap(&self) -> bool {
        self.is_lacking() && !self.is_at_limit()
    }
}

impl Data {
    /// Returns it with bytes of its own, so that it does not keep alive what it arrived with.
    fn detached(self) -> Self {
        let own = |bytes: &Bytes| Bytes::copy_from_slice(bytes);
        let payload = Payload { raw: own(&self.payload.raw), ..self.payload };
        Self { payload, json: self.json.map(|json| json.detached()), ..self }
    }
}

/// An ack leaves early when this part of a window has been handled since the last one: the writer would run
/// out of room.
const EARLY_PART: usize = 8;
/// Messages that the application may leave unhandled, at least; a peer with a larger window than ours is
/// slowed, not cut.
const MIN_UNCONSUMED: u64 = 10_000;
/// No window is that wide: a number further ahead is not one of this channel.
const MAX_SEQ_JUMP: u64 = 1 << 24;
/// Most numbers in one request for missing messages (conat.md 10.5).
const MAX_MISSING: usize = 1000;

#[cfg(test)]
#[allow(clippy::disallowed_methods)]
mod tests;
