//! Data that waits and has a time (`ttl`): until when it may leave, and what of it is taken out, since nobody
//! wants it any more. What is behind it takes its number.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::{Data, SocketEvent, StaleData};
use crate::base::earliest;
use crate::wire::Messages;
use crate::wire::stream::Class;

/// The times of the messages that wait in a queue. Most sockets never have one, and an idle one is small.
#[derive(Debug, Default)]
pub(super) struct WaitingTimes(Option<Box<Times>>);

#[derive(Debug, Default)]
struct Times {
    /// By the number that the message has as things are, ascending.
    times: VecDeque<(u64, Instant)>,
    /// When the first of them is over.
    next: Option<Instant>,
    /// No timer before: a crowd is taken out together.
    paused_until: Option<Instant>,
}

impl WaitingTimes {
    pub(super) fn is_empty(&self) -> bool {
        self.0.as_ref().is_none_or(|times| times.times.is_empty())
    }

    /// The message that was queued last, with this number, may leave until then.
    pub(super) fn push(&mut self, number: u64, until: Instant) {
        let times = self.0.get_or_insert_default();
        times.times.push_back((number, until));
        times.next = earliest([times.next, Some(until)]);
    }

    /// The message with this number leaves. Returns its time, if it has one.
    pub(super) fn take(&mut self, number: u64) -> Option<Instant> {
        let times = self.0.as_mut()?;
        let (_, until) = times.times.front().copied().filter(|(first, _)| *first == number)?;
        times.times.pop_front();
        times.forget_next_if_empty();
        Some(until)
    }

    /// Everything below this number has left.
    pub(super) fn move_below(&mut self, number: u64, left: &mut LeftTimes) {
        let Some(times) = &mut self.0 else { return };
        while let Some((first, until)) = times.times.front().copied().filter(|(first, _)| *first < number) {
            times.times.pop_front();
            left.push(first, until);
        }
        times.forget_next_if_empty();
    }

    /// When [`Self::take_stale`] is to be called.
    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        let times = self.0.as_ref()?;
        times.next.map(|next| times.paused_until.map_or(next, |until| until.max(next)))
    }

    /// Whether any of them is over.
    pub(super) fn is_due(&self, now: Instant) -> bool {
        self.0.as_ref().and_then(|times| times.next).is_some_and(|next| next <= now)
    }

    /// Takes the messages out of `waiting` whose time is over; the first message of data in it has the number
    /// `first`. Those with a time are queued one by one. `volatile` are numbers, too.
    pub(super) fn take_stale(
        &mut self,
        now: Instant,
        waiting: &mut VecDeque<Messages>,
        first: u64,
        volatile: &mut VecDeque<u64>,
    ) -> Vec<StaleData> {
        let Some(times) = &mut self.0 else { return Vec::new() };
        let over: Vec<u64> =
            times.times.iter().filter(|(_, until)| *until <= now).map(|(number, _)| *number).collect();
        let mut stale: Vec<StaleData> = Vec::with_capacity(over.len());
        let (mut number, mut next) = (first, over.iter().copied().peekable());
        waiting.retain(|messages| {
            let count = messages.sizes().map_or(0, |sizes| u64::from(sizes.count(Class::Data)));
            number += count;
            if count == 0 || next.next_if_eq(&(number - 1)).is_none() {
                return true;
            }
            let before = stale.len() as u64;
            stale.push(StaleData { number: number - 1 - before, bytes: messages.bytes(), had_left: false });
            false
        });
        times.times.retain(|(_, until)| *until > now);
        times.times.iter_mut().for_each(|(number, _)| *number -= below(&over, *number));
        volatile.retain(|number| over.binary_search(number).is_err());
        volatile.iter_mut().for_each(|number| *number -= below(&over, *number));
        times.next = times.times.iter().map(|(_, until)| *until).min();
        times.paused_until = Some(now + PAUSE);
        stale
    }

    fn iter(&self) -> impl Iterator<Item = &(u64, Instant)> {
        self.0.iter().flat_map(|times| &times.times)
    }
}

impl Times {
    fn forget_next_if_empty(&mut self) {
        if self.times.is_empty() {
            self.next = None;
        }
    }
}

/// The times of messages that have left and are not known to have been handled.
#[derive(Debug, Default)]
pub(super) struct LeftTimes(VecDeque<(u64, Instant)>);

impl LeftTimes {
    pub(super) fn push(&mut self, number: u64, until: Instant) {
        self.0.push_back((number, until));
    }

    /// Everything up to this number was handled.
    pub(super) fn forget_upto(&mut self, number: u64) {
        while self.0.front().is_some_and(|(first, _)| *first <= number) {
            self.0.pop_front();
        }
    }

    /// Notes in what comes back until when it is worth reading; `waiting` are the times of what has not left.
    pub(super) fn note_in(&self, undelivered: &mut [Data], waiting: &WaitingTimes) {
        let mut times = self.0.iter().chain(waiting.iter()).copied().peekable();
        for data in undelivered {
            while times.next_if(|(number, _)| *number < data.seq).is_some() {}
            data.until = times.next_if(|(number, _)| *number == data.seq).map(|(_, until)| until);
        }
    }
}

/// How many of the numbers, which ascend, are below this one.
fn below(numbers: &[u64], number: u64) -> u64 {
    numbers.partition_point(|other| *other < number) as u64
}

/// Tells the application of each.
pub(super) fn events(stale: Vec<StaleData>) -> impl Iterator<Item = SocketEvent> {
    stale.into_iter().map(SocketEvent::Stale)
}

/// Between two looks through a queue; nothing leaves late for it.
const PAUSE: Duration = Duration::from_millis(10);

#[cfg(test)]
#[allow(clippy::disallowed_methods)]
mod tests {
    use super::*;
    use crate::wire::{PackedBuilder, Payload};

    fn one(size: usize) -> Messages {
        Messages::one(Payload::msgpack(vec![7; size]), None)
    }

    #[test]
    fn what_is_over_is_taken_out_and_what_is_behind_it_takes_its_number() {
        let (now, mut times) = (Instant::now(), WaitingTimes::default());
        let at = |ms| now + Duration::from_millis(ms);
        let mut waiting: VecDeque<Messages> = (1..=5).map(one).collect();
        for (number, ms) in [(11, 5), (13, 50), (14, 5)] {
            times.push(number, at(ms));
        }
        let mut volatile = VecDeque::from([11, 12, 15]);
        assert_eq!(times.poll_timeout(), Some(at(5)));
        assert!(!times.is_due(at(4)) && times.is_due(at(5)));
        let stale = times.take_stale(at(5), &mut waiting, 11, &mut volatile);
        let told: Vec<_> = stale.iter().map(|stale| (stale.number, stale.bytes)).collect();
        assert_eq!(told, [(11, 1), (13, 4)], "each as the numbers are when the one before is gone");
        assert_eq!(volatile, [11, 13]);
        assert_eq!(times.poll_timeout(), Some(at(50)));
        assert_eq!((times.take(11), times.take(12), times.is_empty()), (None, Some(at(50)), true));
        assert_eq!(times.poll_timeout(), None);
        assert_eq!(waiting.iter().map(Messages::bytes).collect::<Vec<_>>(), [2, 3, 5]);
    }

    #[test]
    fn messages_in_a_row_count_and_stay() {
        let (now, mut times) = (Instant::now(), WaitingTimes::default());
        let payload = Payload::msgpack(vec![1]);
        let mut row = PackedBuilder::new(&payload, None);
        (0..2).for_each(|_| row.push(&payload, None));
        let mut waiting = VecDeque::from([Messages::Packed(row.finish()), one(9), one(1)]);
        times.push(4, now);
        let stale = times.take_stale(now, &mut waiting, 1, &mut VecDeque::new());
        assert_eq!(stale, [StaleData { number: 4, bytes: 9, had_left: false }]);
        assert_eq!(waiting.len(), 2);
    }
}
