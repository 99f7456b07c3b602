//! Sending half of a socket: numbers messages and keeps each one until the peer has handled it.
//!
//! Pure: no clock, no transport. What was lost is found out by the receiver: the sender only repeats its last
//! message until it is acknowledged, and answers requests for missing ones (spec: the original's protocol,
//! `docs/protocols/socket.md`).

mod queue;
mod resend_budget;

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::pause::Pause;
use super::stale::{LeftTimes, WaitingTimes};
use super::too_large::ASKED_BYTES;
use super::{PeerMisbehaved, SocketConfig, StaleData, Window, WriteError};
use crate::base::earliest;
use crate::wire::{Item, Json, Messages, Payload};
use queue::Queue;
pub(super) use resend_budget::ResendBudget;

/// One numbered message.
#[derive(Debug, Clone, PartialEq)]
pub struct Data {
    /// 1, 2, 3 …
    pub seq: u64,
    /// The payload.
    pub payload: Payload,
    /// The application's headers.
    pub json: Option<Json>,
    /// Until when it is worth reading, if somebody has said so.
    pub until: Option<Instant>,
}

impl Data {
    /// Returns a message with its number.
    pub fn new(seq: u64, item: Item) -> Self {
        let Item { payload, json } = item;
        Self { seq, payload, json, until: None }
    }

    /// Returns what it takes of a window of bytes: payload and headers. JavaScript counts the same.
    pub fn bytes(&self) -> usize {
        self.payload.raw.len() + self.json.as_ref().map_or(0, |json| json.as_bytes().len())
    }
}

/// The sending half.
#[derive(Debug)]
pub struct Sender {
    queue: Queue,
    acked_bytes: u64,
    window: Window,
    /// Numbers of volatile messages, which are not reported when they are lost.
    volatile: VecDeque<u64>,
    /// Of what waits.
    times: WaitingTimes,
    left_times: LeftTimes,
    resent: u64,
    resend_budget: ResendBudget,
    /// Bytes of one answer to a resend request, and of the largest message that the broker takes.
    max_resend: usize,
    limit: usize,
    /// The time that the peer may acknowledge nothing while half of the window is used; `None`: for ever.
    stall_timeout: Option<Duration>,
    stalls_at: Option<Instant>,
    attached: bool,
    /// The last sent message goes (again) with the next `poll_transmit`.
    repeat_last: bool,
    repeat_at: Option<Instant>,
    pause: Pause,
}

impl Sender {
    /// Returns a sender whose `write` fails when its window is full.
    pub fn new(config: &SocketConfig) -> Self {
        Self {
            queue: Queue::default(),
            acked_bytes: 0,
            window: config.window(),
            volatile: VecDeque::new(),
            times: WaitingTimes::default(),
            left_times: LeftTimes::default(),
            resent: 0,
            resend_budget: ResendBudget::default(),
            max_resend: MAX_RESEND_BYTES,
            limit: usize::MAX,
            stall_timeout: config.slow_consumer_timeout,
            stalls_at: None,
            attached: false,
            repeat_last: false,
            repeat_at: None,
            pause: Pause::new(MAX_PAUSE),
        }
    }

    /// Returns whether the window has room for all of it.
    pub fn has_room(&self, batch: &Messages) -> Result<(), WriteError> {
        let (messages, bytes) = (self.queue.messages(), self.queue.bytes());
        self.window.check(messages + batch.count() as usize - 1, bytes, batch.bytes())
    }

    /// Queues what it has room for. It leaves when `poll_transmit` is next called with a peer attached.
    pub fn write(&mut self, now: Instant, batch: Messages, volatile: bool) -> Result<u64, WriteError> {
        self.has_room(&batch)?;
        let count = u64::from(batch.count());
        let last = self.queue.push(batch);
        if volatile {
            self.volatile.extend(last + 1 - count..=last);
        }
        if self.stall_timeout.is_some() && self.stalls_at.is_none() {
            self.watch(now);
        }
        Ok(last)
    }

    /// Queues a message that may leave until then. Once it has left it goes again as it is: an older peer
    /// knows nothing that could come in its place.
    pub(super) fn write_timed(
        &mut self,
        now: Instant,
        item: Item,
        volatile: bool,
        until: Instant,
    ) -> Result<(), WriteError> {
        let number = self.write(now, Messages::One(item), volatile)?;
        self.times.push(number, until);
        Ok(())
    }

    /// Takes out what may not leave any more.
    pub(super) fn take_stale(&mut self, now: Instant) -> Vec<StaleData> {
        if !self.times.is_due(now) {
            return Vec::new();
        }
        let stale = self.queue.take_stale(now, &mut self.times, &mut self.volatile);
        if !self.window.is_half_used(self.queue.messages(), self.queue.bytes()) {
            self.stalls_at = None;
        }
        stale
    }

    /// Sets the bytes of the largest message that the broker takes.
    pub fn set_limit(&mut self, limit: usize) {
        self.limit = limit;
        self.max_resend = MAX_RESEND_BYTES.min(limit / 2);
    }

    /// Returns the bytes of what is next to leave, if that is larger than the broker takes.
    pub fn unsendable(&self) -> Option<usize> {
        self.queue.next_single_bytes().filter(|bytes| *bytes > self.limit)
    }

    /// Returns whether all has been handled that left before what is held up: of what has left the first is
    /// so large that it may be that.
    pub fn is_held_up_alone(&self) -> bool {
        self.queue.sent() == 0 || self.queue.first_bytes() >= ASKED_BYTES
    }

    /// Answers resend requests with less from now on. Returns whether that is any use.
    pub fn may_resend_less(&mut self) -> bool {
        let may = self.max_resend > ASKED_BYTES;
        self.max_resend = (self.max_resend / 4).max(ASKED_BYTES);
        may
    }

    /// Returns how many messages the peer is not known to have handled.
    pub fn unacked(&self) -> usize {
        self.queue.messages()
    }

    /// Returns the bytes of these messages.
    pub fn unacked_bytes(&self) -> usize {
        self.queue.bytes()
    }

    /// Returns whether anything is in flight.
    pub(super) fn is_waiting(&self) -> bool {
        self.queue.sent() > 0
    }

    /// Returns how many messages the peer has handled.
    pub fn acked(&self) -> u64 {
        self.queue.first() - 1
    }

    /// Returns the bytes of the messages that the peer has handled.
    pub fn acked_bytes(&self) -> u64 {
        self.acked_bytes
    }

    /// Returns how many messages went out a second time, or a third.
    pub fn resent(&self) -> u64 {
        self.resent
    }

    /// Takes out what the peer is not known to have handled, in order, without the volatile ones. The socket
    /// is at its end.
    pub fn take_undelivered(&mut self) -> Vec<Data> {
        let mut undelivered = std::mem::take(&mut self.queue).into_messages();
        if !self.volatile.is_empty() {
            undelivered.retain(|data| self.volatile.binary_search(&data.seq).is_err());
        }
        self.left_times.note_in(&mut undelivered, &self.times);
        undelivered
    }

    /// Takes over what was written before it was known what the other end speaks.
    pub(super) fn take_over(
        &mut self,
        now: Instant,
        batches: VecDeque<Messages>,
        volatile: VecDeque<u64>,
        times: WaitingTimes,
    ) {
        for batch in batches {
            self.queue.push(batch);
        }
        (self.volatile, self.times) = (volatile, times);
        if self.stall_timeout.is_some() {
            self.watch(now);
        }
    }

    /// Returns whether the peer has acknowledged nothing for the whole stall timeout.
    pub fn is_stalled(&self, now: Instant) -> bool {
        self.stalls_at.is_some_and(|at| at <= now)
    }

    /// Starts over with the peer: what left before may be lost, so the last message goes again.
    pub fn attach(&mut self, now: Instant) {
        self.attached = true;
        self.pause.reset();
        self.repeat_last = self.is_waiting();
        self.arm(now);
    }

    /// Stops sending: the peer is out of reach.
    pub fn detach(&mut self) {
        self.attached = false;
        self.repeat_at = None;
    }

    /// Notes that the peer has handled everything up to and including `upto`. Returns whether that is new.
    pub fn handle_ack(&mut self, now: Instant, upto: u64) -> Result<bool, PeerMisbehaved> {
        let first = self.queue.first();
        if upto >= first + self.queue.sent() as u64 {
            return Err(PeerMisbehaved::AckedUnsent { upto });
        }
        if upto < first {
            return Ok(false);
        }
        let bytes = self.queue.remove_upto(upto);
        self.acked_bytes += bytes as u64;
        self.resend_budget.credit(bytes);
        self.left_times.forget_upto(upto);
        while self.volatile.front().is_some_and(|seq| *seq <= upto) {
            self.volatile.pop_front();
        }
        if self.stall_timeout.is_some() {
            self.watch(now);
        }
        self.pause.reset();
        self.repeat_last &= self.is_waiting();
        if self.attached {
            self.arm(now);
        }
        Ok(true)
    }

    /// Returns those messages that the peer lacks, as many as fit, oldest first, without what it has
    /// acknowledged meanwhile. `None` if nothing is left to send; empty if its budget is used up: there is no
    /// reply, and it asks again later.
    pub fn resend(&mut self, now: Instant, missing: &[u64]) -> Option<Vec<Data>> {
        self.resend_budget.refill(now);
        if self.resend_budget.is_exhausted() {
            return Some(Vec::new());
        }
        let (mut found, mut bytes) = (Vec::new(), 0);
        // The original asks in the order of the numbers' texts: 10 before 2.
        let mut wanted = missing.to_vec();
        wanted.sort_unstable();
        wanted.dedup();
        for data in self.queue.sent_among(&wanted) {
            bytes += data.bytes() + RESEND_OVERHEAD;
            if !found.is_empty() && bytes > self.max_resend {
                break;
            }
            found.push(data);
        }
        self.resend_budget.spend(bytes);
        self.resent += found.len() as u64;
        (!found.is_empty()).then_some(found)
    }

    /// Returns what to put on the fabric next, and the number of its first message.
    pub fn poll_transmit(&mut self, now: Instant) -> Option<(u64, Messages)> {
        if !self.attached {
            return None;
        }
        if std::mem::take(&mut self.repeat_last) {
            let last = self.queue.last_sent()?;
            self.resent += 1;
            return Some((last.seq, Messages::one(last.payload, last.json)));
        }
        let sent = self.queue.send(MAX_IN_FLIGHT_BYTES, self.limit)?;
        if !self.times.is_empty() {
            self.times.move_below(sent.0 + u64::from(sent.1.count()), &mut self.left_times);
        }
        if self.repeat_at.is_none() {
            self.arm(now);
        }
        Some(sent)
    }

    /// Returns when `handle_timeout` is to be called.
    pub fn poll_timeout(&self) -> Option<Instant> {
        earliest([self.repeat_at, self.stalls_at, self.times.poll_timeout()])
    }

    /// Repeats the last message, since nothing was acknowledged for a while. Returns whether.
    pub fn handle_timeout(&mut self, now: Instant) -> bool {
        let is_due = self.repeat_at.is_some_and(|at| at <= now);
        if is_due {
            self.repeat_last = self.is_waiting();
            tracing::debug!(
                acked = self.acked(),
                sent = self.queue.sent(),
                "no progress, the last message goes again"
            );
            self.arm(now);
        }
        is_due
    }

    /// Starts to wait for an acknowledgement, if half of the window is used.
    fn watch(&mut self, now: Instant) {
        let used = self.window.is_half_used(self.queue.messages(), self.queue.bytes());
        self.stalls_at = self.stall_timeout.filter(|_| used).map(|stall_timeout| now + stall_timeout);
    }

    /// Starts the timer of the repeat. A large message gets time to arrive first, or its repeats would pile
    /// up on a slow link.
    fn arm(&mut self, now: Instant) {
        self.repeat_at = self
            .queue
            .last_sent_bytes()
            .map(|bytes| now + self.pause.take() + TIME_A_BYTE * u32::try_from(bytes).unwrap_or(u32::MAX));
    }
}

/// The time that a repeat waits for each byte of the message: a link of 1 MB/s.
const TIME_A_BYTE: Duration = Duration::from_micros(1);

/// Longest pause between two repeats of the last message (Conat's figure). It goes on while the socket is
/// ready: a sender with unacknowledged data always has a timer (conat.md 10.10).
const MAX_PAUSE: Duration = Duration::from_secs(15);
/// Bytes sent and not acknowledged, a socket, however wide its window. Bounds what a slow reader can pile up
/// in brokers; a single larger message goes alone.
pub(super) const MAX_IN_FLIGHT_BYTES: usize = 16 * 1024 * 1024;
/// Payload bytes in one answer to a resend request (conat.md 10.5).
const MAX_RESEND_BYTES: usize = 8 * 1000 * 1000;
/// Bytes that an element of that reply costs beside its payload.
const RESEND_OVERHEAD: usize = 64;

#[cfg(test)]
#[allow(clippy::disallowed_methods)]
mod tests;
