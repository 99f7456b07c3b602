//! Decides when to check whether a responder that does not answer is gone, where the fabric cannot report the
//! end of a process.

use std::time::{Duration, Instant};

/// When to look.
#[derive(Debug, Default)]
pub(super) struct Suspicion {
    at: Option<Instant>,
    /// When anything came of the peer last.
    heard_at: Option<Instant>,
    /// Looks in a row while only requests for any number of answers were open, and nothing came.
    looks: u8,
}

impl Suspicion {
    /// Notes that something is asked.
    pub(super) fn begin(&mut self, now: Instant) {
        if self.at.is_none() {
            (self.at, self.looks) = (Some(now + PAUSE), 0);
        }
    }

    /// Notes that something came of the peer: more may be expected.
    pub(super) fn handle_heard(&mut self, now: Instant) {
        self.heard_at = Some(now);
        if self.looks > 0 {
            (self.at, self.looks) = (self.at.map(|at| at.min(now + PAUSE)), 0);
        }
    }

    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        self.at
    }

    /// Returns whether to look now, if anything is still open. A request for one answer is due soon; who
    /// waits for any number of answers may do so for long, and looks less and less often while nothing comes.
    pub(super) fn try_look(&mut self, now: Instant, is_any_open: bool, is_one_open: bool) -> bool {
        if self.at.is_none_or(|at| at > now) {
            return false;
        }
        let quiet_at = self.heard_at.map(|at| at + SILENCE).filter(|at| *at > now);
        let looks = is_any_open && quiet_at.is_none();
        self.looks = if looks && !is_one_open { (self.looks + 1).min(MAX_DOUBLINGS) } else { 0 };
        let next = quiet_at.unwrap_or(now + PAUSE * (1 << self.looks));
        self.at = is_any_open.then_some(next);
        looks
    }
}

/// Between two looks, and before the first one.
const PAUSE: Duration = Duration::from_secs(1);
/// Whoever has been heard from since then is there.
const SILENCE: Duration = Duration::from_millis(500);
/// Up to 8 s.
const MAX_DOUBLINGS: u8 = 3;

#[cfg(test)]
#[allow(clippy::disallowed_methods)]
mod tests {
    use super::*;

    /// Returns the milliseconds at which it is looked, of a minute, while answers come at these.
    fn looks(answers: &[u64], is_one: bool) -> Vec<u64> {
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        let mut suspicion = Suspicion::default();
        suspicion.begin(start);
        let looks = (0..60_000).filter(|ms| {
            if answers.contains(ms) {
                suspicion.handle_heard(at(*ms));
            }
            suspicion.try_look(at(*ms), true, is_one)
        });
        looks.collect()
    }

    #[test]
    fn an_answer_that_is_due_is_missed_each_second_and_any_number_of_them_less_and_less_often() {
        assert_eq!(looks(&[], true), Vec::from_iter((1..60).map(|second| second * 1000)));
        assert_eq!(looks(&[], false), [1, 3, 7, 15, 23, 31, 39, 47, 55].map(|second| second * 1000));
    }

    #[test]
    fn while_answers_come_nobody_looks_and_who_stops_is_looked_for_within_a_second() {
        for last in [20_000, 20_400, 20_900] {
            for is_one in [true, false] {
                let answers: Vec<u64> = (0..=last).step_by(100).collect();
                let first = looks(&answers, is_one)[0];
                assert!((500..=1000).contains(&(first - last)), "{first} after {last}");
            }
        }
    }

    #[test]
    fn who_was_silent_for_long_and_has_answered_is_looked_for_as_soon_as_any_other() {
        let looks = looks(&[16_000], false);
        let first = looks.iter().find(|at| **at > 16_000);
        assert_eq!(first, Some(&17_000));
    }

    #[test]
    fn nobody_looks_when_nothing_is_open() {
        let (start, mut suspicion) = (Instant::now(), Suspicion::default());
        suspicion.begin(start);
        assert!(!suspicion.try_look(start + PAUSE, false, false));
        assert_eq!(suspicion.poll_timeout(), None);
    }
}
