//! The sending half of a stream. An item moves through three stations: it *waits* until it may leave, is in
//! *flight* until it has arrived, and, if it is data, is *kept* until it was handled.

mod departure;
mod large;
mod pieces;
mod repair;
mod stations;
mod times;

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::Windows;
use super::ledger::Ledger;
use crate::base::earliest;
use crate::socket::pause::Pause;
use crate::socket::retrying_request::MAX_PAUSE;
use crate::socket::sender::ResendBudget;
use crate::socket::stale::WaitingTimes;
use crate::socket::withdraw::withdraw_from;
use crate::socket::{Data, PeerMisbehaved, SocketConfig, Window, WriteError};
use crate::wire::stream::{Class, Counts};
use crate::wire::{Encoding, Messages, Sizes};
use pieces::Pieces;
pub(super) use repair::{MAX_RESEND_BYTES, RESEND_OVERHEAD};
use stations::{Flight, Kept};
use times::Late;

/// What the application said, and what the other end has of it.
#[derive(Debug)]
pub struct SendQueue {
    /// The application's own bound: data that is not handled.
    window: Window,
    /// What the other end takes.
    windows: Windows,
    /// In the order of the calls, without numbers.
    waiting: VecDeque<Messages>,
    waiting_sizes: Sizes64,
    /// Answers that were made while what stood before them could not leave.
    passing: VecDeque<Messages>,
    /// Bytes of the largest message that the fabric takes.
    limit: usize,
    /// The message that leaves in pieces. It is counted among those that wait until the last one has left.
    pieces: Pieces,
    /// Bytes of pieces that may leave in this turn, and whether it ended before they did.
    turn: usize,
    is_turn_over: bool,
    /// The same for others.
    whole_turn: usize,
    /// The next turn is the last one: all leaves that may.
    is_last_turn: bool,
    flight: Flight,
    kept: Kept,
    /// What goes again.
    again: VecDeque<(u64, Messages)>,
    /// The number of the next item.
    next: u64,
    sent: [u64; 3],
    handled: [u64; 3],
    unhandled: [Ledger; 3],
    acked_bytes: u64,
    /// Which messages of data nobody wants to hear of when they are lost: counted from 1.
    volatile: VecDeque<u64>,
    /// Of what waits: until when it may leave.
    times: WaitingTimes,
    takes_times: bool,
    /// Absent until something has a time.
    late: Option<Box<Late>>,
    /// The keys of requests that have left and are not known to have been handled.
    asked: VecDeque<u64>,
    resent: u64,
    resend_budget: ResendBudget,
    stall_timeout: Option<Duration>,
    stalls_at: Option<Instant>,
    is_attached: bool,
    /// When the other end is asked where it is, and when it last said something new. Looked at when it fires.
    probe_at: Option<Instant>,
    progressed_at: Option<Instant>,
    pause: Pause,
}

/// Messages of each class, and their bytes.
#[derive(Debug, Default)]
struct Sizes64 {
    counts: [u64; 3],
    bytes: [usize; 3],
}

impl SendQueue {
    /// A sender whose `write` fails when the application's own window is full. What is larger than `piece`
    /// leaves in pieces. Data with a time leaves with what is left of it if the other end takes that.
    pub fn new(config: &SocketConfig, windows: Windows, piece: usize, takes_times: bool) -> Self {
        Self {
            window: config.window(),
            windows,
            waiting: VecDeque::new(),
            waiting_sizes: Sizes64::default(),
            passing: VecDeque::new(),
            limit: usize::MAX,
            pieces: Pieces::new(piece),
            turn: 0,
            whole_turn: 0,
            is_last_turn: false,
            is_turn_over: false,
            flight: Flight::default(),
            kept: Kept::default(),
            again: VecDeque::new(),
            next: 1,
            sent: [0; 3],
            handled: [0; 3],
            unhandled: Default::default(),
            acked_bytes: 0,
            volatile: VecDeque::new(),
            times: WaitingTimes::default(),
            takes_times,
            late: None,
            asked: VecDeque::new(),
            resent: 0,
            resend_budget: ResendBudget::default(),
            stall_timeout: config.slow_consumer_timeout,
            stalls_at: None,
            is_attached: false,
            probe_at: None,
            progressed_at: None,
            pause: Pause::new(MAX_PAUSE),
        }
    }

    /// Whether the application's window has room for so much data. What is not data is bounded where it is
    /// made.
    pub fn has_room(&self, sizes: &Sizes) -> Result<(), WriteError> {
        let (count, bytes) = (sizes.count(Class::Data), sizes.bytes(Class::Data));
        if count == 0 {
            return Ok(());
        }
        self.window.check(self.unacked() + count as usize - 1, self.unacked_bytes(), bytes)
    }

    /// Queues what there is room for. It leaves with the next `poll_transmit`s.
    pub fn write(&mut self, now: Instant, messages: Messages, volatile: bool) -> Result<(), WriteError> {
        // JavaScript wrote it: what has no class was never written.
        let Some(sizes) = messages.sizes() else { return Err(WriteError::Closed) };
        self.has_room(&sizes)?;
        for class in Class::ALL {
            self.waiting_sizes.counts[class as usize] += u64::from(sizes.count(class));
            self.waiting_sizes.bytes[class as usize] += sizes.bytes(class);
        }
        if volatile {
            let last = self.written();
            self.volatile.extend(last + 1 - u64::from(sizes.count(Class::Data))..=last);
        }
        self.waiting.push_back(messages);
        if self.stall_timeout.is_some() && self.stalls_at.is_none() {
            self.watch(now);
        }
        Ok(())
    }

    /// Takes out requests that have not left yet: those with a key that is `wanted`. Returns their keys.
    pub fn withdraw(&mut self, wanted: impl Fn(u64) -> bool) -> Vec<u64> {
        if self.waiting_sizes.counts[Class::Request as usize] == 0 {
            return Vec::new();
        }
        let (withdrawn, bytes) = withdraw_from(&mut self.waiting, wanted);
        self.waiting_sizes.counts[Class::Request as usize] -= withdrawn.len() as u64;
        self.waiting_sizes.bytes[Class::Request as usize] -= bytes;
        withdrawn
    }

    /// The keys of requests that have left and are not known to have been handled. The other end handles them
    /// in order, but for those that were cancelled meanwhile: no other one is missing here.
    pub fn unhandled_requests(&self) -> impl Iterator<Item = u64> + '_ {
        self.asked.iter().copied()
    }

    /// The bytes of a class that have not left yet.
    pub fn waiting_bytes(&self, class: Class) -> usize {
        self.waiting_sizes.bytes[class as usize]
    }

    /// Takes over what was written before it was known what the other end speaks.
    pub(in crate::socket) fn take_over(
        &mut self,
        now: Instant,
        unsent: VecDeque<Messages>,
        volatile: VecDeque<u64>,
        times: WaitingTimes,
    ) {
        for messages in unsent {
            // It was taken within the same bounds.
            let taken = self.write(now, messages, false);
            debug_assert_eq!(taken, Ok(()));
        }
        (self.volatile, self.times) = (volatile, times);
    }

    /// How many messages of data were accepted in all.
    pub fn written(&self) -> u64 {
        self.sent[Class::Data as usize] + self.waiting_sizes.counts[Class::Data as usize]
    }

    /// How many messages of data the other end is not known to have handled.
    pub fn unacked(&self) -> usize {
        usize::try_from(self.written() - self.acked()).unwrap_or(usize::MAX)
    }

    /// Their bytes.
    pub fn unacked_bytes(&self) -> usize {
        self.waiting_bytes(Class::Data) + self.flight.data_bytes() + self.kept.bytes()
    }

    /// How many messages of data the other end has handled.
    pub fn acked(&self) -> u64 {
        self.handled[Class::Data as usize]
    }

    /// Their bytes.
    pub fn acked_bytes(&self) -> u64 {
        self.acked_bytes
    }

    /// How many items left again.
    pub fn resent(&self) -> u64 {
        self.resent
    }

    /// The number of the next item.
    pub fn next(&self) -> u64 {
        self.next
    }

    /// Whether anything has left that is not known to have been handled.
    pub fn is_under_way(&self) -> bool {
        !self.flight.is_empty() || self.kept.count() > 0
    }

    /// The other end is there (again).
    pub fn attach(&mut self, now: Instant) {
        self.is_attached = true;
        self.pieces.attach(now);
        self.pause.reset();
        self.probe_at = None;
        self.watch_progress(now);
    }

    /// The other end is out of reach: nothing leaves.
    pub fn detach(&mut self) {
        self.is_attached = false;
        self.probe_at = None;
        self.again.clear();
    }

    /// The other end says how much it has. Returns whether more data was handled than was known.
    pub fn handle_counts(&mut self, now: Instant, counts: &Counts) -> Result<bool, PeerMisbehaved> {
        let &Counts { arrived, data, requests, answers } = counts;
        let handled = [data, requests, answers];
        if arrived >= self.next {
            return Err(PeerMisbehaved::AckedUnsent { upto: arrived });
        }
        if let Some(class) =
            Class::ALL.into_iter().find(|class| handled[*class as usize] > self.sent[*class as usize])
        {
            return Err(PeerMisbehaved::AckedUnsent { upto: handled[class as usize] });
        }
        if let Some(late) = self.late.as_mut().filter(|late| !late.dropped.is_empty()) {
            let told = self.flight.count_upto(arrived, Encoding::DROPPED);
            late.dropped.drain(..told.min(late.dropped.len()));
        }
        let has_arrived = self.flight.remove_upto(arrived, &mut self.kept);
        let news = data.saturating_sub(self.acked());
        if news > self.kept.count() {
            return Err(PeerMisbehaved::AckedUnsent { upto: data });
        }
        for class in Class::ALL {
            let (known, said) = (&mut self.handled[class as usize], handled[class as usize]);
            if said > *known {
                self.unhandled[class as usize].remove(said - *known);
                *known = said;
            }
        }
        let open = self.sent[Class::Request as usize] - self.handled[Class::Request as usize];
        while self.asked.len() as u64 > open {
            self.asked.pop_front();
        }
        if news > 0 {
            let bytes = self.kept.remove(news);
            self.acked_bytes += bytes as u64;
            self.resend_budget.credit(bytes);
            if let Some(late) = &mut self.late {
                late.left.forget_upto(data);
            }
            while self.volatile.front().is_some_and(|number| *number <= data) {
                self.volatile.pop_front();
            }
            if self.stall_timeout.is_some() {
                self.watch(now);
            }
        }
        if has_arrived {
            self.pieces.handle_progress(now);
            // What was asked for a moment ago may have come meanwhile.
            self.again.retain(|(first, messages)| first + u64::from(messages.count()) > arrived + 1);
        }
        if has_arrived || news > 0 {
            self.pause.reset();
            self.progressed_at = Some(now);
        }
        Ok(news > 0)
    }

    /// When `handle_timeout` wants to be called.
    pub fn poll_timeout(&self) -> Option<Instant> {
        let ask_at = self.pieces.poll_timeout().filter(|_| self.is_attached);
        earliest([self.probe_at, self.stalls_at, ask_at, self.times.poll_timeout()])
    }

    /// A deadline has come. Returns whether the other end is to be asked where it is.
    pub fn handle_timeout(&mut self, now: Instant) -> bool {
        if self.is_attached {
            self.pieces.handle_timeout(now);
        }
        if self.probe_at.is_none_or(|at| at > now) {
            return false;
        }
        self.probe_at = None;
        if !self.is_under_way() {
            return false;
        }
        let time = TIME_PER_BYTE * u32::try_from(self.flight.largest()).unwrap_or(u32::MAX);
        // It has said something since the timer was set: its time began then.
        let due =
            self.progressed_at.take().map(|at| at + self.pause.current() + time).filter(|due| *due > now);
        if due.is_some() {
            self.probe_at = due;
            return false;
        }
        tracing::debug!(acked = self.acked(), next = self.next, "no progress, the peer is asked where it is");
        self.probe_at = Some(now + self.pause.take() + time);
        true
    }

    /// The other end takes pieces up to this offset.
    pub fn handle_credit(&mut self, now: Instant, offset: u64) {
        self.pieces.handle_credit(now, offset);
    }

    /// Returns whether the other end is to be told how much waits.
    pub fn asks_for_credit(&self) -> bool {
        self.pieces.asks()
    }

    /// Returns up to which offset there are pieces to send, if the other end is to be told.
    pub fn take_wanted(&mut self) -> Option<u64> {
        let behind = if self.pieces.asks() { self.behind() } else { 0 };
        self.pieces.take_wanted(behind)
    }

    /// Whether nothing waits, for whatever reason, and there is nothing to be told of data with a time.
    pub fn rests(&self) -> bool {
        !self.has_more() && !self.pieces.asks() && self.late.is_none()
    }

    /// What is not known to have been handled is asked about one day.
    fn watch_progress(&mut self, now: Instant) {
        if self.is_attached && self.probe_at.is_none() && self.is_under_way() {
            // A big message gets time to arrive first.
            let time = TIME_PER_BYTE * u32::try_from(self.flight.largest()).unwrap_or(u32::MAX);
            self.probe_at = Some(now + self.pause.current() + time);
        }
    }

    /// Whether the other end has handled nothing for too long.
    pub fn is_stalled(&self, now: Instant) -> bool {
        self.stalls_at.is_some_and(|at| at <= now)
    }

    /// Starts to wait for an acknowledgement, if half of the window is used.
    fn watch(&mut self, now: Instant) {
        let used = self.window.is_half_used(self.unacked(), self.unacked_bytes());
        self.stalls_at = self.stall_timeout.filter(|_| used).map(|timeout| now + timeout);
    }

    /// Takes out the data that is not known to have been handled, in order, without the volatile messages.
    /// The socket is at its end.
    pub fn take_undelivered(&mut self) -> Vec<Data> {
        let kept = std::mem::take(&mut self.kept).into_messages();
        let flight = std::mem::take(&mut self.flight).into_messages();
        let begun = self.pieces.take().map(Messages::One);
        let all = kept.into_iter().chain(flight).chain(begun).chain(std::mem::take(&mut self.waiting));
        let items = all.flat_map(|messages| messages.items().collect::<Vec<_>>());
        let data = items.filter(|item| item.payload.encoding.class() == Some(Class::Data));
        let numbered = (self.acked() + 1..).zip(data).map(|(number, item)| Data::new(number, item));
        // What may not leave again has been told.
        let numbered = numbered.filter(|data| !data.payload.encoding.is_timed());
        let volatile = std::mem::take(&mut self.volatile);
        let mut undelivered: Vec<Data> =
            numbered.filter(|data| volatile.binary_search(&data.seq).is_err()).collect();
        self.late.take().unwrap_or_default().left.note_in(&mut undelivered, &self.times);
        self.waiting_sizes = Sizes64::default();
        self.passing.clear();
        self.again.clear();
        undelivered
    }
}

/// What a probe waits for each byte of the largest item in flight: a link of 1 MB/s.
const TIME_PER_BYTE: Duration = Duration::from_micros(1);

#[cfg(test)]
#[allow(clippy::disallowed_methods)]
mod tests;
