//! One question to a server, and its repetitions: it, or the answer, may be lost with a connection on its
//! way, and nobody tells of that. Each is the same to the server, and any answer counts.

use std::time::{Duration, Instant};

/// None, or the one that is in flight.
#[derive(Debug, Default)]
pub(super) struct Questions {
    /// Of those that were asked. Empty: none.
    numbers: Vec<u32>,
    /// When it is asked again, and how long after that; until when.
    again: Option<Again>,
    /// Nobody is there yet who could have lost it.
    is_unheard: bool,
}

#[derive(Debug, Clone, Copy)]
struct Again {
    at: Instant,
    pause: Duration,
    until: Instant,
}

impl Questions {
    /// Returns one that has just been asked.
    pub(super) fn new(number: u32) -> Self {
        Self { numbers: vec![number], again: None, is_unheard: false }
    }

    /// It is asked again while it is not answered, until its time is over.
    pub(super) fn repeat_until(&mut self, now: Instant, until: Instant) {
        self.again = Some(Again { at: now + FIRST_PAUSE, pause: FIRST_PAUSE, until });
    }

    pub(super) fn note_repeated(&mut self, number: u32) {
        self.numbers.push(number);
    }

    /// Whether this is one that is in flight.
    pub(super) fn is_current(&self, number: u32) -> bool {
        self.numbers.contains(&number)
    }

    /// Notes whether anybody has been given it. Returns whether it is in flight.
    pub(super) fn handle_heard(&mut self, number: u32, there: bool) -> bool {
        let is_current = self.is_current(number);
        if is_current {
            self.is_unheard = !there;
        }
        is_current
    }

    /// It is answered, or given up.
    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }

    /// The same, and returns what is not waited for any more.
    pub(super) fn take(&mut self) -> Vec<u32> {
        std::mem::take(self).numbers
    }

    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        self.again.map(|again| again.at)
    }

    /// Returns how much time it has left, if it is to be asked again now.
    pub(super) fn take_due(&mut self, now: Instant) -> Option<Duration> {
        let Again { pause, until, .. } = self.again.filter(|again| again.at <= now)?;
        let left = until.saturating_duration_since(now);
        let pause = pause * 2;
        self.again = (pause < left).then_some(Again { at: now + pause, pause, until });
        // Whoever comes gets the first one.
        (!left.is_zero() && !self.is_unheard).then_some(left)
    }
}

/// A server that is there has answered by then, even over a slow network. Each further pause is twice as
/// long, so that a server that is only slow is not asked much.
const FIRST_PAUSE: Duration = Duration::from_millis(1500);
