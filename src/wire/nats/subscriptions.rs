//! The subscriptions of one connection, by the numbers that stand for them on the wire.

use std::collections::HashMap;

use crate::subject::Pattern;

/// Numbers and patterns.
#[derive(Debug, Default)]
pub(super) struct Subscriptions {
    /// Those that end are here until the server has settled that.
    by_sid: HashMap<u64, Pattern>,
    by_pattern: HashMap<Pattern, Subscribed>,
    last: u64,
}

#[derive(Debug, Clone)]
struct Subscribed {
    sid: u64,
    /// The queue group, by its name there.
    queue: Option<Box<str>>,
}

impl Subscriptions {
    /// Adds a pattern that is not there yet. Returns its number.
    pub(super) fn add(&mut self, pattern: Pattern, queue: Option<&str>) -> u64 {
        self.last += 1;
        self.by_sid.insert(self.last, pattern.clone());
        self.by_pattern.insert(pattern, Subscribed { sid: self.last, queue: queue.map(Into::into) });
        self.last
    }

    /// Returns the same for another connection: without those that end.
    pub(super) fn repeated(&self) -> Self {
        let by_sid = self.by_pattern.iter().map(|(pattern, one)| (one.sid, pattern.clone())).collect();
        Self { by_sid, by_pattern: self.by_pattern.clone(), last: self.last }
    }

    /// Returns each with its queue group and number.
    pub(super) fn all(&self) -> impl Iterator<Item = (&Pattern, Option<&str>, u64)> {
        self.by_pattern.iter().map(|(pattern, one)| (pattern, one.queue.as_deref(), one.sid))
    }

    /// Returns whether a pattern is subscribed to in a queue group.
    pub(super) fn is_shared(&self, pattern: &Pattern) -> bool {
        self.by_pattern.get(pattern).is_some_and(|one| one.queue.is_some())
    }

    pub(super) fn contains(&self, pattern: &Pattern) -> bool {
        self.by_pattern.contains_key(pattern)
    }

    /// Takes a pattern out. Its messages are still known by the number.
    pub(super) fn end(&mut self, pattern: &Pattern) -> Option<u64> {
        self.by_pattern.remove(pattern).map(|one| one.sid)
    }

    /// Forgets a number.
    pub(super) fn forget(&mut self, sid: u64) {
        self.by_sid.remove(&sid);
    }

    /// Forgets a pattern and its number: the server has refused it. Returns whether it was there.
    pub(super) fn remove(&mut self, pattern: &Pattern) -> bool {
        let sid = self.end(pattern);
        sid.is_some_and(|sid| self.by_sid.remove(&sid).is_some())
    }

    pub(super) fn pattern(&self, sid: u64) -> Option<&Pattern> {
        self.by_sid.get(&sid)
    }

    pub(super) fn sids(&self) -> impl Iterator<Item = u64> {
        self.by_pattern.values().map(|one| one.sid)
    }

    pub(super) fn patterns(&self) -> impl Iterator<Item = &Pattern> {
        self.by_pattern.keys()
    }
}
