//! A table of deadlines by key: what is due next, and what is due now.

use std::collections::{BTreeSet, HashMap};
use std::hash::Hash;
use std::time::Instant;

use foldhash::fast::RandomState;

/// Returns the earliest of the timers that are set.
#[inline]
pub fn earliest<const N: usize>(timers: [Option<Instant>; N]) -> Option<Instant> {
    let mut earliest = None;
    for timer in timers {
        earliest = sooner(earliest, timer);
    }
    earliest
}

#[inline(always)]
fn sooner(a: Option<Instant>, b: Option<Instant>) -> Option<Instant> {
    match (a, b) {
        (Some(a), Some(b)) => Some(if b < a { b } else { a }),
        (Some(_), None) => a,
        (None, _) => b,
    }
}

/// At most one deadline a key; equal instants come out in key order, so that a run replays.
#[derive(Debug)]
pub struct Deadlines<K> {
    /// Keys are our own, never a peer's choice.
    by_key: HashMap<K, Instant, RandomState>,
    by_time: BTreeSet<(Instant, K)>,
}

impl<K: Copy + Ord + Hash> Deadlines<K> {
    /// Returns an empty table.
    pub fn new() -> Self {
        Self { by_key: HashMap::default(), by_time: BTreeSet::new() }
    }

    /// Sets, moves or (with `None`) removes the deadline of `key`.
    pub fn set(&mut self, key: K, at: Option<Instant>) {
        let before = match at {
            Some(at) => self.by_key.insert(key, at),
            None => self.by_key.remove(&key),
        };
        if before == at {
            return;
        }
        if let Some(before) = before {
            self.by_time.remove(&(before, key));
        }
        if let Some(at) = at {
            self.by_time.insert((at, key));
        }
    }

    /// Returns how many there are.
    pub fn len(&self) -> usize {
        self.by_key.len()
    }

    /// Returns whether there is none.
    pub fn is_empty(&self) -> bool {
        self.by_key.is_empty()
    }

    /// Returns the deadline of `key`.
    pub fn get(&self, key: K) -> Option<Instant> {
        self.by_key.get(&key).copied()
    }

    /// Returns whether `key` has a deadline.
    pub fn contains(&self, key: K) -> bool {
        self.by_key.contains_key(&key)
    }

    /// Removes the deadline of `key`; whether there was one.
    pub fn take(&mut self, key: K) -> bool {
        let there = self.contains(key);
        self.set(key, None);
        there
    }

    /// Returns the earliest deadline.
    pub fn next(&self) -> Option<Instant> {
        self.by_time.first().map(|(at, _)| *at)
    }

    /// Takes out the earliest key that is due.
    pub fn pop_due(&mut self, now: Instant) -> Option<K> {
        let &(at, key) = self.by_time.first().filter(|(at, _)| *at <= now)?;
        self.by_time.remove(&(at, key));
        self.by_key.remove(&key);
        Some(key)
    }
}

impl<K: Copy + Ord + Hash> Default for Deadlines<K> {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
#[allow(clippy::disallowed_methods)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn keys_come_due_in_order_of_time_and_a_moved_deadline_comes_once() {
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        let mut deadlines = Deadlines::new();
        deadlines.set('a', Some(at(30)));
        deadlines.set('b', Some(at(20)));
        deadlines.set('a', Some(at(10)));
        deadlines.set('c', Some(at(5)));
        deadlines.set('c', None);
        assert_eq!(deadlines.next(), Some(at(10)));
        assert_eq!(deadlines.pop_due(at(9)), None);
        assert_eq!(deadlines.pop_due(at(25)), Some('a'));
        assert_eq!(deadlines.pop_due(at(25)), Some('b'));
        assert_eq!(deadlines.pop_due(at(99)), None);
    }
}
