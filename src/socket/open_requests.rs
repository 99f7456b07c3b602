//! The requests over a socket that wait for their answers, by key.

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

/// What a request wants beside one answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct AskTerms {
    /// It wants any number of answers, within these limits.
    pub many: Option<AnswerLimits>,
    /// A peer of Conat is waited for until it listens. In the stream the peer does when it is there.
    pub wait_for_interest: bool,
}

/// When a request for any number of answers ends, beside its time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct AnswerLimits {
    /// It ends after so many.
    pub max_messages: Option<u32>,
    /// It ends after so long without another one after the first, whatever its time; `None`: with that.
    pub max_wait: Option<Duration>,
}

/// In the order of their keys, which is that of the calls.
#[derive(Debug, Default)]
pub(super) struct OpenRequests {
    /// Those that are settled stay until all before them are.
    entries: VecDeque<Entry>,
    open: usize,
    last_key: u64,
    /// Not later than the earliest deadline. Looked at when it fires.
    expires_at: Option<Instant>,
    /// Those of the open requests that want more than one answer. Few do.
    terms: BTreeMap<u64, AskTerms>,
    /// Requests that have had as many answers as they want, and whose callers do not know it yet.
    satisfied: Vec<u64>,
}

#[derive(Debug)]
struct Entry {
    key: u64,
    deadline: Option<Instant>,
    is_open: bool,
    /// Whether the deadline is that of another answer: the time for one more than it has had.
    has_had_enough: bool,
}

/// A request whose time is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Expired {
    pub(super) key: u64,
    /// It wants any number of answers.
    pub(super) is_many: bool,
    /// It has had some, and has waited for another one as long as it wanted.
    pub(super) has_had_enough: bool,
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
        self.entries.push_back(Entry { key, deadline, is_open: true, has_had_enough: false });
        if let Some(deadline) = deadline {
            self.expires_at = Some(self.expires_at.map_or(deadline, |at| at.min(deadline)));
        }
    }

    /// Sets what a request wants that is opened next, or was opened before.
    pub(super) fn set_terms(&mut self, key: u64, terms: AskTerms) {
        if terms != AskTerms::default() {
            self.terms.insert(key, terms);
        }
    }

    /// Returns what a request wants beside one answer.
    pub(super) fn terms(&self, key: u64) -> AskTerms {
        self.terms.get(&key).copied().unwrap_or_default()
    }

    /// Whether this is an open request for any number of answers.
    pub(super) fn is_many(&self, key: u64) -> bool {
        self.terms(key).many.is_some()
    }

    /// Returns how many requests for one answer are open.
    pub(super) fn ones(&self) -> usize {
        let many = self.terms.values().filter(|terms| terms.many.is_some()).count();
        self.open.saturating_sub(many)
    }

    /// Ends a request.
    pub(super) fn settle(&mut self, key: u64) -> Settled {
        let Some(at) = self.find(key) else { return self.settled_before(key) };
        self.entries[at].is_open = false;
        self.terms.remove(&key);
        self.handle_settled(1);
        Settled::Open
    }

    /// Takes an answer that others may follow. One that was asked for one only is as good as unknown.
    pub(super) fn take_one_of_many(&mut self, now: Instant, key: u64) -> Settled {
        let Some(at) = self.find(key) else { return self.settled_before(key) };
        let Some(many) = self.terms.get_mut(&key).and_then(|terms| terms.many.as_mut()) else {
            return Settled::Unknown;
        };
        if let Some(left) = &mut many.max_messages {
            *left = left.saturating_sub(1);
        }
        if many.max_messages == Some(0) {
            self.satisfied.push(key);
            return self.settle(key);
        }
        if let Some(wait) = many.max_wait {
            let deadline = now + wait;
            self.entries[at].deadline = Some(deadline);
            self.entries[at].has_had_enough = true;
            self.expires_at = Some(self.expires_at.map_or(deadline, |at| at.min(deadline)));
        }
        Settled::Open
    }

    /// Returns whether any of them wants more than one answer in its time.
    pub(super) fn has_terms(&self) -> bool {
        !self.terms.is_empty()
    }

    /// Takes the end of the answers. A request for one answer has none.
    pub(super) fn take_end(&mut self, key: u64) -> Settled {
        if self.find(key).is_some() && !self.is_many(key) { Settled::Unknown } else { self.settle(key) }
    }

    /// Returns whether there are some of [`Self::take_satisfied`].
    pub(super) fn has_satisfied(&self) -> bool {
        !self.satisfied.is_empty()
    }

    /// Returns the requests that have ended because they have had as many answers as they want.
    pub(super) fn take_satisfied(&mut self) -> Vec<u64> {
        std::mem::take(&mut self.satisfied)
    }

    /// What comes for a request that is not open.
    fn settled_before(&self, key: u64) -> Settled {
        if key <= self.last_key { Settled::Late } else { Settled::Unknown }
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

    /// Ends the requests whose time is over.
    pub(super) fn expire(&mut self, now: Instant) -> Vec<Expired> {
        if self.expires_at.is_none_or(|at| at > now) {
            return Vec::new();
        }
        let mut expired = Vec::new();
        for entry in self.entries.iter_mut().filter(|entry| entry.is_open) {
            if entry.deadline.is_some_and(|at| at <= now) {
                entry.is_open = false;
                let key = entry.key;
                let is_many = self.terms.remove(&key).is_some_and(|terms| terms.many.is_some());
                expired.push(Expired { key, is_many, has_had_enough: entry.has_had_enough });
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
        self.terms.clear();
        entries.into_iter().filter(|entry| entry.is_open).map(|entry| entry.key).collect()
    }

    /// Ends all but those whose keys, in order, are in `kept`. Returns the keys of those that have ended.
    pub(super) fn take_all_but(&mut self, kept: &[u64]) -> Vec<u64> {
        let ends = |entry: &&mut Entry| entry.is_open && kept.binary_search(&entry.key).is_err();
        let ended: Vec<u64> = (self.entries.iter_mut().filter(ends))
            .map(|entry| {
                entry.is_open = false;
                entry.key
            })
            .collect();
        self.terms.retain(|key, _| ended.binary_search(key).is_err());
        self.handle_settled(ended.len());
        ended
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
        assert_eq!((requests.take_all_but(&[1, 9]), requests.len()), (vec![3, 5], 1));
        assert_eq!((requests.take_all(), requests.len()), (vec![1], 0));
    }

    fn many(max_messages: Option<u32>, max_wait: Option<Duration>) -> AskTerms {
        AskTerms { many: Some(AnswerLimits { max_messages, max_wait }), ..AskTerms::default() }
    }

    #[test]
    fn a_request_for_many_ends_with_the_last_that_it_wants_with_the_end_or_with_the_only_one() {
        let now = Instant::now();
        let mut requests = OpenRequests::default();
        for (key, most) in [(1, Some(2)), (2, None), (3, None)] {
            requests.open(key, None);
            requests.set_terms(key, many(most, None));
        }
        let taken = [1, 1, 1, 2, 2].map(|key| requests.take_one_of_many(now, key));
        use Settled::{Late, Open, Unknown};
        assert_eq!(taken, [Open, Open, Late, Open, Open]);
        assert_eq!((requests.take_satisfied(), requests.take_satisfied()), (vec![1], vec![]));
        assert_eq!([2, 2, 1, 9].map(|key| requests.take_end(key)), [Open, Late, Late, Unknown]);
        assert_eq!((requests.settle(3), requests.len(), requests.terms.len()), (Open, 0, 0));
    }

    #[test]
    fn a_request_for_one_answer_has_no_others_and_no_end() {
        let mut requests = OpenRequests::default();
        requests.open(1, None);
        assert_eq!(requests.take_one_of_many(Instant::now(), 1), Settled::Unknown);
        assert_eq!((requests.take_end(1), requests.settle(1)), (Settled::Unknown, Settled::Open));
    }

    #[test]
    fn each_of_many_answers_moves_the_deadline_where_that_is_wanted() {
        let start = Instant::now();
        let at = |seconds: u64| start + Duration::from_secs(seconds);
        let mut requests = OpenRequests::default();
        requests.open(1, Some(at(10)));
        requests.set_terms(1, many(None, Some(Duration::from_secs(2))));
        assert_eq!(requests.take_one_of_many(at(9), 1), Settled::Open);
        assert_eq!(requests.expire(at(10)), vec![], "the first one came");
        assert_eq!(requests.take_one_of_many(at(10), 1), Settled::Open);
        let expired = Expired { key: 1, is_many: true, has_had_enough: true };
        assert_eq!((requests.expire(at(11)), requests.expire(at(12))), (vec![], vec![expired]));
        assert_eq!(requests.poll_timeout(), None);
    }

    #[test]
    fn one_for_many_has_had_enough_only_behind_an_answer_and_by_the_wait_for_another() {
        let start = Instant::now();
        let second = Duration::from_secs(1);
        let mut requests = OpenRequests::default();
        for (key, wait) in [(1, Some(second)), (2, Some(second)), (3, None)] {
            requests.open(key, Some(start + second));
            requests.set_terms(key, many(None, wait));
        }
        assert_eq!([2, 3].map(|key| requests.take_one_of_many(start, key)), [Settled::Open; 2]);
        let expired = |key, has_had_enough| Expired { key, is_many: true, has_had_enough };
        let ended = [expired(1, false), expired(2, true), expired(3, false)];
        assert_eq!(requests.expire(start + second), ended.to_vec());
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
                        let expected: Vec<Expired> = (model.iter().filter(|(_, at)| due(at)))
                            .map(|(key, _)| Expired { key: *key, is_many: false, has_had_enough: false })
                            .collect();
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
