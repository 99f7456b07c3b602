//! A map that one can also pick from by position: a queue group draws one of its members from it.

use std::collections::HashMap;
use std::hash::Hash;

/// Keys with values, in an order that depends only on what was done to it, never on a hash. Every operation
/// is constant time; a small map, as nearly all are, has no hash table.
#[derive(Debug)]
pub(super) struct IndexMap<K, V> {
    entries: Vec<(K, V)>,
    /// Positions by key, once there are more than [`LINEAR`] entries.
    index: Option<HashMap<K, usize>>,
}

impl<K: Clone + Eq + Hash, V> IndexMap<K, V> {
    /// Returns an empty map.
    pub(super) fn new() -> Self {
        Self { entries: Vec::new(), index: None }
    }

    /// Returns how many entries there are.
    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    /// Returns whether there are none.
    pub(super) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Returns the entry at a position below `len`.
    pub(super) fn nth(&self, position: usize) -> Option<&(K, V)> {
        self.entries.get(position)
    }

    /// Returns the value, if there is one.
    pub(super) fn only(&self) -> Option<&V> {
        if let [(_, value)] = &self.entries[..] { Some(value) } else { None }
    }

    /// Returns every key.
    pub(super) fn keys(&self) -> impl Iterator<Item = &K> {
        self.entries.iter().map(|(key, _)| key)
    }

    /// Returns every value.
    pub(super) fn values(&self) -> impl Iterator<Item = &V> {
        self.entries.iter().map(|(_, value)| value)
    }

    /// Returns the value of `key`.
    pub(super) fn get(&self, key: &K) -> Option<&V> {
        self.entries.get(self.position(key)?).map(|(_, value)| value)
    }

    /// Returns the value of `key`, made by `make` if there is none yet.
    pub(super) fn get_or_insert_with(&mut self, key: K, make: impl FnOnce() -> V) -> &mut V {
        let position = self.position(&key).unwrap_or(self.entries.len());
        if position == self.entries.len() {
            if let Some(index) = &mut self.index {
                index.insert(key.clone(), position);
            }
            if self.entries.is_empty() {
                // Most have one entry for good, and there are two rosters a subscription.
                self.entries.reserve_exact(1);
            }
            self.entries.push((key, make()));
            if self.index.is_none() && self.entries.len() > LINEAR {
                self.index =
                    Some(self.entries.iter().enumerate().map(|(at, (key, _))| (key.clone(), at)).collect());
            }
        }
        &mut self.entries[position].1
    }

    /// Returns the value of `key`, to change it.
    pub(super) fn get_mut(&mut self, key: &K) -> Option<&mut V> {
        let position = self.position(key)?;
        self.entries.get_mut(position).map(|(_, value)| value)
    }

    /// Takes out `key`; the last entry moves into its place.
    pub(super) fn remove(&mut self, key: &K) -> Option<V> {
        let position = self.position(key)?;
        let (_, value) = self.entries.swap_remove(position);
        if let Some(index) = &mut self.index {
            index.remove(key);
            if let Some((moved, _)) = self.entries.get(position) {
                index.insert(moved.clone(), position);
            }
            // Half of the bound, so that a map of about this size does not build its index over and over.
            if self.entries.len() <= LINEAR / 2 {
                self.index = None;
                self.entries.shrink_to_fit();
            }
        }
        Some(value)
    }

    fn position(&self, key: &K) -> Option<usize> {
        match &self.index {
            Some(index) => index.get(key).copied(),
            None => self.entries.iter().position(|(candidate, _)| candidate == key),
        }
    }
}

/// Up to here a walk is as fast as a hash, and takes no memory.
const LINEAR: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    proptest! {
        #[test]
        fn a_roster_is_a_map(steps in prop::collection::vec((any::<bool>(), 0_u8..60), 0..400)) {
            let (mut index_map, mut model) = (IndexMap::new(), BTreeMap::new());
            for (time, (is_insert, key)) in steps.into_iter().enumerate() {
                if is_insert {
                    let value = *index_map.get_or_insert_with(key, || time);
                    prop_assert_eq!(value, *model.entry(key).or_insert(time));
                } else {
                    prop_assert_eq!(index_map.remove(&key), model.remove(&key));
                }
                prop_assert_eq!(index_map.get(&key), model.get(&key));
                let mut entries: Vec<_> = (0..index_map.len()).filter_map(|at| index_map.nth(at).copied()).collect();
                entries.sort_unstable();
                prop_assert!(entries.into_iter().eq(model.iter().map(|(key, value)| (*key, *value))));
            }
        }
    }
}
