//! What may leave, and who passes whom: data and requests leave in the order of the calls, an answer goes
//! before what cannot leave.

use std::collections::VecDeque;
use std::time::Instant;

use super::SendQueue;
use super::pieces::Piece;
use crate::socket::sender::MAX_IN_FLIGHT_BYTES;
use crate::wire::stream::{Class, Timed, key};
use crate::wire::{Item, Messages, Sizes};

impl SendQueue {
    /// Returns whether anything is to leave, now or when it may.
    pub fn has_more(&self) -> bool {
        !(self.waiting.is_empty() && self.passing.is_empty() && self.again.is_empty())
            || self.pieces.class().is_some()
    }

    /// What leaves next, and the number of its first item.
    pub fn poll_transmit(&mut self, now: Instant) -> Option<(u64, Messages)> {
        if !self.is_attached {
            return None;
        }
        if let Some(again) = self.again.pop_front() {
            return Some(again);
        }
        if self.pieces.class().is_none() {
            if self.whole_turn == 0 {
                self.is_turn_over = !(self.passing.is_empty() && self.waiting.is_empty());
                return None;
            }
            if !self.passing.is_empty() {
                // What has passed once goes before all answers that were made after it.
                self.let_answers_pass();
            }
            if let Some((messages, sizes)) = self.take_whole(now) {
                return Some(self.leave(now, messages, &sizes));
            }
        }
        self.go_on(now)
    }

    /// Takes what may leave as it is. `None`: nothing may, or a message in pieces has begun.
    fn take_whole(&mut self, now: Instant) -> Option<(Messages, Sizes)> {
        if !self.passing.is_empty() {
            if self.begin(now, Queue::Passing) {
                return None;
            }
            let passing = self.take_fitting(Queue::Passing);
            if passing.is_some() {
                return passing;
            }
        }
        let whole = self.take_fitting(Queue::Waiting);
        if whole.is_some() {
            return whole;
        }
        if self.begin(now, Queue::Waiting) {
            return None;
        }
        self.let_answers_pass();
        if self.begin(now, Queue::Passing) { None } else { self.take_fitting(Queue::Passing) }
    }

    /// Begins with the message at the front of a queue, if it leaves in pieces and the other end has room for
    /// all of it. Returns whether.
    fn begin(&mut self, now: Instant, queue: Queue) -> bool {
        let fits = |front: &Messages| {
            let one = front.sizes().filter(|_| self.pieces.is_big(front));
            one.is_some_and(|one| front.bytes() <= self.limit && self.fits_windows(&Sizes::default(), &one))
        };
        if !self.queue(queue).front().is_some_and(fits) {
            return false;
        }
        let Some(Messages::One(item)) = self.queue_mut(queue).pop_front() else { return false };
        let Some(class) = item.payload.encoding.class() else { return false };
        let until = if class == Class::Data { self.times.take(self.sent[class as usize] + 1) } else { None };
        if let Some(until) = until {
            self.late.get_or_insert_default().left.push(self.sent[Class::Data as usize] + 1, until);
        }
        let until = until.filter(|_| self.takes_times);
        let leaving = until.map_or_else(|| item.clone(), |until| timed(now, &item, until));
        self.unhandled[class as usize].push(1, leaving.bytes());
        self.pieces.begin(leaving, item, class);
        if self.behind() > 0 {
            self.pieces.ask();
        }
        true
    }

    /// Goes on with the message that leaves in pieces. Answers go between them, unless it is one.
    fn go_on(&mut self, now: Instant) -> Option<(u64, Messages)> {
        if self.pieces.class()? != Class::Answer {
            self.let_answers_pass();
            if let Some((messages, sizes)) = self.take_fitting(Queue::Passing) {
                return Some(self.leave(now, messages, &sizes));
            }
        }
        if self.turn == 0 {
            self.is_turn_over = true;
            return None;
        }
        if self.pieces.whole_bytes() > self.limit {
            return None;
        }
        let room = MAX_IN_FLIGHT_BYTES.saturating_sub(self.flight.bytes());
        let Piece { payload, whole } = self.pieces.poll(now, room)?;
        self.turn = self.turn.saturating_sub(payload.raw.len());
        let first = self.next;
        self.next += 1;
        let messages = Messages::one(payload, None);
        let whole = whole.and_then(|(item, class)| {
            self.waiting_sizes.counts[class as usize] -= 1;
            self.waiting_sizes.bytes[class as usize] -= item.bytes();
            self.sent[class as usize] += 1;
            if class == Class::Request {
                self.asked.push_back(key(&item.payload.raw).unwrap_or(0));
            }
            (class == Class::Data).then_some(item)
        });
        self.flight.push_piece(first, messages.clone(), whole);
        self.watch_progress(now);
        Some((first, messages))
    }

    /// Bytes of messages in pieces that wait behind the one that has begun, as far as the eye goes.
    pub(super) fn behind(&self) -> usize {
        let near = self.passing.iter().chain(&self.waiting).take(MAX_BEHIND);
        near.filter(|messages| self.pieces.is_big(messages)).map(Messages::bytes).sum()
    }

    /// Begins a turn: so much may leave before others get theirs, in pieces and whole. A short one is over
    /// after one of them.
    pub fn begin_turn(&mut self, is_short: bool) {
        (self.turn, self.whole_turn) = if is_short { (1, 1) } else { (TURN, WHOLE_TURN) };
        if self.is_last_turn {
            self.whole_turn = usize::MAX;
        }
        self.is_turn_over = false;
    }

    /// Has all leave in the next turn that may leave whole: there is no other.
    pub fn set_last_turn(&mut self) {
        self.is_last_turn = true;
    }

    /// Returns whether more could leave, and waits for the next turn.
    pub fn waits_for_turn(&self) -> bool {
        self.is_turn_over
    }

    fn queue(&self, queue: Queue) -> &VecDeque<Messages> {
        match queue {
            Queue::Waiting => &self.waiting,
            Queue::Passing => &self.passing,
        }
    }

    fn queue_mut(&mut self, queue: Queue) -> &mut VecDeque<Messages> {
        match queue {
            Queue::Waiting => &mut self.waiting,
            Queue::Passing => &mut self.passing,
        }
    }

    fn leave(&mut self, now: Instant, messages: Messages, sizes: &Sizes) -> (u64, Messages) {
        if !self.times.is_empty()
            && let Messages::One(item) = &messages
            && item.payload.encoding.is_data()
            && let Some(until) = self.times.take(self.sent[Class::Data as usize] + 1)
        {
            self.late.get_or_insert_default().left.push(self.sent[Class::Data as usize] + 1, until);
            if self.takes_times {
                return self.leave_timed(now, item, until);
            }
        }
        let first = self.next;
        self.next += u64::from(messages.count());
        self.whole_turn = self.whole_turn.saturating_sub(messages.bytes());
        for class in Class::ALL {
            let (count, bytes) = (sizes.count(class), sizes.bytes(class));
            if count == 0 {
                continue;
            }
            self.waiting_sizes.counts[class as usize] -= u64::from(count);
            self.waiting_sizes.bytes[class as usize] -= bytes;
            self.sent[class as usize] += u64::from(count);
            self.unhandled[class as usize].push(count, bytes);
        }
        if sizes.count(Class::Request) > 0 {
            self.note_asked(&messages);
        }
        self.flight.push(first, messages.clone(), sizes.bytes(Class::Data));
        self.watch_progress(now);
        (first, messages)
    }

    /// The same, of data that may leave until then.
    fn leave_timed(&mut self, now: Instant, item: &Item, until: Instant) -> (u64, Messages) {
        let (first, data) = (self.next, Class::Data as usize);
        self.next += 1;
        self.waiting_sizes.counts[data] -= 1;
        self.waiting_sizes.bytes[data] -= item.bytes();
        self.sent[data] += 1;
        let leaving = timed(now, item, until);
        self.unhandled[data].push(1, leaving.bytes());
        let messages = Messages::One(leaving);
        self.whole_turn = self.whole_turn.saturating_sub(messages.bytes());
        self.flight.push_timed(first, messages.clone(), item.clone(), (self.sent[data], until));
        self.watch_progress(now);
        (first, messages)
    }

    fn note_asked(&mut self, messages: &Messages) {
        messages.for_each_ref(|item| {
            if item.encoding.class() == Some(Class::Request) {
                self.asked.push_back(key(item.payload).unwrap_or(0));
            }
        });
    }

    /// Takes from the front of a queue what may leave now, and what that takes of the windows.
    fn take_fitting(&mut self, queue: Queue) -> Option<(Messages, Sizes)> {
        let front = self.queue(queue).front()?;
        if self.pieces.is_big(front) {
            return None;
        }
        let all = front.sizes().filter(|sizes| self.fits(&Sizes::default(), sizes));
        let (fitting, sizes) = all.map_or_else(|| self.fitting(front), |sizes| (front.count(), sizes));
        let queue = self.queue_mut(queue);
        let taken = match queue.front_mut() {
            Some(Messages::Packed(packed)) if (1..packed.count()).contains(&fitting) => {
                Some(Messages::Packed(packed.split_front(fitting)))
            }
            _ if fitting > 0 => queue.pop_front(),
            _ => None,
        };
        Some((taken?, sizes))
    }

    /// How many of the messages may leave now: what the other end takes of each class, and what may be under
    /// way.
    fn fitting(&self, messages: &Messages) -> (u32, Sizes) {
        let (mut taken, mut count) = (Sizes::default(), 0);
        for item in messages.items() {
            let (Some(class), bytes) = (item.payload.encoding.class(), item.bytes()) else { break };
            let mut one = Sizes::default();
            one.add(class, bytes);
            if !self.fits(&taken, &one) {
                break;
            }
            taken.add(class, bytes);
            count += 1;
        }
        (count, taken)
    }

    /// Whether `more` may leave beside what has left and `taken`.
    fn fits(&self, taken: &Sizes, more: &Sizes) -> bool {
        let all = |sizes: &Sizes| Class::ALL.into_iter().map(|class| sizes.bytes(class)).sum::<usize>();
        let is_alone = self.flight.is_empty() && all(taken) == 0 && more.is_single();
        if !is_alone && self.flight.bytes() + all(taken) + all(more) > MAX_IN_FLIGHT_BYTES {
            return false;
        }
        self.fits_windows(taken, more)
    }

    /// Whether the other end has room for `more` beside what has left and `taken`.
    fn fits_windows(&self, taken: &Sizes, more: &Sizes) -> bool {
        Class::ALL.into_iter().all(|class| {
            let (window, unhandled) = (self.windows.of(class), &self.unhandled[class as usize]);
            let count = unhandled.count() + u64::from(taken.count(class) + more.count(class));
            let bytes = unhandled.bytes() + taken.bytes(class) + more.bytes(class);
            more.count(class) == 0
                || (count <= window.messages as u64 && (bytes <= window.bytes || count == 1))
        })
    }

    /// What is first cannot leave: the answers behind it go before it.
    fn let_answers_pass(&mut self) {
        let answers = self.waiting_sizes.counts[Class::Answer as usize];
        let passing: u64 = self.passing.iter().map(|messages| u64::from(messages.count())).sum();
        if answers <= passing {
            return;
        }
        for messages in std::mem::take(&mut self.waiting) {
            if messages.is_data() {
                self.waiting.push_back(messages);
                continue;
            }
            for item in messages.items() {
                let is_answer = item.payload.encoding.class() == Some(Class::Answer);
                let queue = if is_answer { &mut self.passing } else { &mut self.waiting };
                queue.push_back(Messages::One(item));
            }
        }
    }
}

/// Data with what is left of its time.
fn timed(now: Instant, item: &Item, until: Instant) -> Item {
    let left = until.saturating_duration_since(now);
    Item { payload: Timed::encode(left, &item.payload), json: item.json.clone() }
}

#[derive(Clone, Copy)]
enum Queue {
    Waiting,
    Passing,
}

/// Bytes of pieces that leave one socket before others get their turn.
const TURN: usize = 256 * 1024;
/// The same of messages that leave whole.
const WHOLE_TURN: usize = 64 * 1024;
/// How far one looks for messages in pieces that wait.
const MAX_BEHIND: usize = 64;
