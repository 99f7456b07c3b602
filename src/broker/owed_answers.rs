//! Answers that a connection owes to those who have asked over a fabric above: a gateway does not know who
//! they are, nor for how long they wait.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use foldhash::fast::RandomState;

use super::given_requests::AnswerId;
use crate::subject::Subject;

/// Those of one connection.
#[derive(Debug, Default)]
pub(super) struct OwedAnswers {
    open: HashMap<AnswerId, Owed, RandomState>,
}

/// An answer that is owed.
#[derive(Debug, Clone)]
pub(super) struct Owed {
    pub(super) asked: Instant,
    /// Where it goes, if whoever owes it was chosen alone: nobody else will answer.
    pub(super) place: Option<Subject>,
}

impl OwedAnswers {
    /// Makes room for one more, by forgetting what is not waited for any more, or by growing. Returns by how
    /// many bytes there is more of it.
    pub(super) fn make_room(&mut self, now: Instant) -> usize {
        if self.open.len() < self.open.capacity() {
            return 0;
        }
        self.open.retain(|_, owed| is_awaited(owed.asked, now));
        let before = self.open.capacity();
        if self.open.len() >= before / 2 && self.open.len() < MAX_OWED {
            self.open.reserve(self.open.len() + 1);
        }
        (self.open.capacity() - before) * NOTE_BYTES
    }

    /// Notes one, if there is room for it.
    pub(super) fn note(&mut self, answer: AnswerId, owed: Owed) {
        if self.open.len() < self.open.capacity() {
            self.open.insert(answer, owed);
        }
    }

    /// Takes those that nobody else will give, in the order in which they were asked.
    pub(super) fn take_places(&mut self) -> Vec<(Instant, Subject)> {
        let owed = std::mem::take(&mut self.open).into_values();
        let mut places: Vec<_> = owed.filter_map(|Owed { asked, place }| Some((asked, place?))).collect();
        places.sort_unstable();
        places
    }

    /// Handles that the connection has answered, if this was an answer.
    pub(super) fn handle_answer(&mut self, answer: AnswerId) {
        self.open.remove(&answer);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.open.is_empty()
    }

    /// Returns whether anybody may wait for one.
    pub(super) fn is_awaited(&self, now: Instant) -> bool {
        self.open.values().any(|owed| is_awaited(owed.asked, now))
    }
}

fn is_awaited(asked: Instant, now: Instant) -> bool {
    now.saturating_duration_since(asked) < AWAITED_FOR
}

/// How long an answer is waited for: who asks beyond the gateway does not say how long that is.
const AWAITED_FOR: Duration = Duration::from_secs(10);
/// Answers of one connection that are remembered. Those beyond are not waited for.
const MAX_OWED: usize = 16_384;
/// What one takes, with the place that it is for and its share of the room that is never used.
const NOTE_BYTES: usize = 128;

#[cfg(test)]
#[allow(clippy::disallowed_methods)]
mod tests {
    use super::*;

    fn note(owed: &mut OwedAnswers, now: Instant, answer: u64) -> usize {
        let more = owed.make_room(now);
        owed.note(AnswerId(answer), Owed { asked: now, place: None });
        more
    }

    #[test]
    fn they_are_bounded_and_what_nobody_waits_for_makes_room() {
        let (mut owed, start) = (OwedAnswers::default(), Instant::now());
        let memory: usize = (0..100_000).map(|answer| note(&mut owed, start, answer)).sum();
        assert!(memory <= 4 * MAX_OWED * NOTE_BYTES, "{memory}");
        assert!(owed.open.len() >= MAX_OWED);
        assert!(owed.is_awaited(start));
        let later = start + AWAITED_FOR;
        assert!(!owed.is_awaited(later));
        assert_eq!(note(&mut owed, later, 100_001), 0);
        assert_eq!(owed.open.len(), 1);
        assert!(owed.is_awaited(later));
        owed.handle_answer(AnswerId(100_001));
        assert!(owed.is_empty());
    }
}
