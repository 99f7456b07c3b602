//! The requests over a socket that wait for their answers, by key.

use std::collections::VecDeque;
use std::time::Instant;

/// In the order of their keys, which is that of the calls.
#[derive(Debug, Default)]
pub(super) struct OpenRequests {
    /// Those that are settled stay until all before them are.
    entries: VecDeque<Entry>,
    open: usize,
    last_key: u64,
    /// Not later than the earliest deadline. Looked at when it fires.
    expires_at: Option<Instant>,
}

#[derive(Debug)]
struct Entry {
    key: u64,
    deadline: Option<Instant>,
    is_open: bool,
}

/// What an answer with some key is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Settled {
    /// The answer to an open request.
    Open,
    /// Nobody waits for it any more.
    Late,
    /// There was no such request.
    Unknown,
}

impl OpenRequests {
    /// Adds a request. Keys count up.
    pub(super) fn open(&mut self, key: u64, deadline: Option<Instant>) {
        self.open += 1;
        self.last_key = self.last_key.max(key);
        self.entries.push_back(Entry { key, deadline, is_open: true });
        if let Some(deadline) = deadline {
            self.expires_at = Some(self.expires_at.map_or(deadline, |at| at.min(deadline)));
        }
    }

    /// Ends a request.
    pub(super) fn settle(&mut self, key: u64) -> Settled {
        let Some(at) = self.find(key) else {
            return if key <= self.last_key { Settled::Late } else { Settled::Unknown };
        };
        self.entries[at].is_open = false;
        self.handle_settled(1);
        Settled::Open
    }

    pub(super) fn len(&self) -> usize {
        self.open
    }

    /// The time of a request is somebody else's.
    pub(super) fn clear_deadline(&mut self, key: u64) {
        if let Some(at) = self.find(key) {
            self.entries[at].deadline = None;
        }
    }

    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        self.expires_at
    }

    /// Ends the requests whose time is over, and returns their keys.
    pub(super) fn expire(&mut self, now: Instant) -> Vec<u64> {
        if self.expires_at.is_none_or(|at| at > now) {
            return Vec::new();
        }
        let mut expired = Vec::new();
        for entry in self.entries.iter_mut().filter(|entry| entry.is_open) {
            if entry.deadline.is_some_and(|at| at <= now) {
                entry.is_open = false;
                expired.push(entry.key);
            }
        }
        self.handle_settled(expired.len());
        let open = self.entries.iter().filter(|entry| entry.is_open);
        self.expires_at = open.filter_map(|entry| entry.deadline).min();
        expired
    }

    /// Ends all, and returns their keys.
    pub(super) fn take_all(&mut self) -> Vec<u64> {
        let entries = std::mem::take(&mut self.entries);
        (self.open, self.expires_at) = (0, None);
        entries.into_iter().filter(|entry| entry.is_open).map(|entry| entry.key).collect()
    }

    fn find(&self, key: u64) -> Option<usize> {
        // Answers come in the order of the requests, mostly.
        let at = match self.entries.front() {
            Some(front) if front.key == key => 0,
            _ => self.entries.binary_search_by_key(&key, |entry| entry.key).ok()?,
        };
        self.entries[at].is_open.then_some(at)
    }

    fn handle_settled(&mut self, count: usize) {
        self.open -= count;
        while self.entries.front().is_some_and(|entry| !entry.is_open) {
            self.entries.pop_front();
        }
        if self.entries.len() > 2 * self.open + MIN_SETTLED {
            self.entries.retain(|entry| entry.is_open);
        }
        if self.open == 0 {
            self.expires_at = None;
        }
    }
}

/// Settled ones that are kept before they are removed.
const MIN_SETTLED: usize = 64;

#[cfg(test)]
#[allow(clippy::disallowed_methods)]
mod tests {
    use std::collections::BTreeMap;
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn an_answer_is_open_once_then_late_and_unknown_if_nothing_was_asked() {
        let mut requests = OpenRequests::default();
        requests.open(1, None);
        requests.open(3, None);
        let settled = [3, 3, 2, 1, 4].map(|key| requests.settle(key));
        use Settled::{Late, Open, Unknown};
        assert_eq!(settled, [Open, Late, Late, Open, Unknown]);
        assert_eq!((requests.len(), requests.entries.len()), (0, 0));
    }

    #[test]
    fn one_that_stays_open_does_not_keep_those_behind_it() {
        let mut requests = OpenRequests::default();
        requests.open(1, None);
        for key in 2..10_000 {
            requests.open(key, None);
            assert_eq!(requests.settle(key), Settled::Open);
        }
        assert!(requests.entries.len() < 2 * MIN_SETTLED, "{}", requests.entries.len());
        assert_eq!(requests.settle(1), Settled::Open);
    }

    #[test]
    fn all_that_are_open_end_in_the_order_of_their_keys() {
        let mut requests = OpenRequests::default();
        (1..=5).for_each(|key| requests.open(key, None));
        assert_eq!([2, 4].map(|key| requests.settle(key)), [Settled::Open; 2]);
        assert_eq!((requests.take_all(), requests.len()), (vec![1, 3, 5], 0));
    }

    proptest! {
        #[test]
        fn it_is_a_map_with_deadlines(
            steps in prop::collection::vec((0..4_u8, 1..60_u64, prop::option::of(1..50_u64)), 0..300),
        ) {
            let start = Instant::now();
            let at = |seconds: u64| start + Duration::from_secs(seconds);
            let (mut requests, mut model) = (OpenRequests::default(), BTreeMap::new());
            let (mut last, mut now) = (0, 0);
            for (what, number, deadline) in steps {
                match what {
                    0 | 1 => {
                        last += number % 3 + 1;
                        requests.open(last, deadline.map(|after| at(now + after)));
                        model.insert(last, deadline.map(|after| now + after));
                    }
                    2 => {
                        let key = last.saturating_sub(number) + 1;
                        let expected = match model.remove(&key) {
                            Some(_) => Settled::Open,
                            None if key <= last => Settled::Late,
                            None => Settled::Unknown,
                        };
                        prop_assert_eq!(requests.settle(key), expected);
                    }
                    _ => {
                        now += number % 5;
                        let due = |at: &Option<u64>| at.is_some_and(|at| at <= now);
                        let expected: Vec<u64> =
                            model.iter().filter(|(_, at)| due(at)).map(|(key, _)| *key).collect();
                        model.retain(|_, at| !due(at));
                        prop_assert_eq!(requests.expire(at(now)), expected);
                        let next = model.values().flatten().min();
                        prop_assert!(next.is_none() || requests.poll_timeout() <= next.map(|next| at(*next)));
                    }
                }
                prop_assert_eq!(requests.len(), model.len());
            }
        }
    }
}
