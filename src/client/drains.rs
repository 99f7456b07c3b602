//! Subscriptions that end behind the last message that the broker has for them.

use std::collections::{BTreeMap, HashMap};

use crate::subject::Pattern;

/// Names one drain. Never used again.
pub(super) type DrainId = u64;

/// The subscriptions that drain. Of one pattern there may be several, besides a new one that does not.
#[derive(Debug)]
pub(super) struct Drains<E> {
    by_pattern: HashMap<Pattern, BTreeMap<DrainId, E>>,
    begun: DrainId,
}

impl<E> Default for Drains<E> {
    fn default() -> Self {
        Self { by_pattern: HashMap::new(), begun: 0 }
    }
}

impl<E> Drains<E> {
    /// Adds one.
    pub(super) fn begin(&mut self, pattern: Pattern, entry: E) -> DrainId {
        self.begun += 1;
        self.by_pattern.entry(pattern).or_default().insert(self.begun, entry);
        self.begun
    }

    /// Removes one that has come to its end.
    pub(super) fn remove(&mut self, pattern: &Pattern, drain: DrainId) -> Option<E> {
        let drains = self.by_pattern.get_mut(pattern)?;
        let entry = drains.remove(&drain);
        if drains.is_empty() {
            self.by_pattern.remove(pattern);
        }
        entry
    }

    /// Removes all, in the order in which they began.
    pub(super) fn take_all(&mut self) -> impl Iterator<Item = E> + use<E> {
        let mut all: Vec<(DrainId, E)> =
            std::mem::take(&mut self.by_pattern).into_values().flatten().collect();
        all.sort_unstable_by_key(|(drain, _)| *drain);
        all.into_iter().map(|(_, entry)| entry)
    }

    /// Returns whether nothing drains.
    pub(super) fn is_empty(&self) -> bool {
        self.by_pattern.is_empty()
    }

    /// Returns the latest drain of a pattern whose entry is `wanted`.
    pub(super) fn find(&self, pattern: &Pattern, wanted: impl Fn(&E) -> bool) -> Option<DrainId> {
        let drains = self.by_pattern.get(pattern)?;
        drains.iter().rev().find(|(_, entry)| wanted(entry)).map(|(drain, _)| *drain)
    }

    pub(super) fn get(&self, pattern: &Pattern, drain: DrainId) -> Option<&E> {
        self.by_pattern.get(pattern)?.get(&drain)
    }

    pub(super) fn get_mut(&mut self, pattern: &Pattern, drain: DrainId) -> Option<&mut E> {
        self.by_pattern.get_mut(pattern)?.get_mut(&drain)
    }

    pub(super) fn entries(&self) -> impl Iterator<Item = &E> {
        self.by_pattern.values().flat_map(BTreeMap::values)
    }

    pub(super) fn entries_mut(&mut self) -> impl Iterator<Item = &mut E> {
        self.by_pattern.values_mut().flat_map(BTreeMap::values_mut)
    }
}
