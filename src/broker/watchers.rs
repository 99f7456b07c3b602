//! Those who watch one end: mostly one, sometimes tens of thousands.

use std::collections::BTreeSet;

use super::peer_id::PeerId;

/// A peer, and what it calls its watch.
pub(super) type Watcher = (PeerId, u64);

/// Watchers in order. A few are a list, which takes little; many are a tree, so that none of them waits for a
/// walk over all.
#[derive(Debug)]
pub(super) enum Watchers {
    /// Up to [`FEW`].
    Few(Vec<Watcher>),
    /// More than a few, once.
    Many(BTreeSet<Watcher>),
}

impl Watchers {
    pub(super) fn new() -> Self {
        Self::Few(Vec::with_capacity(1))
    }

    pub(super) fn len(&self) -> usize {
        match self {
            Self::Few(few) => few.len(),
            Self::Many(many) => many.len(),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub(super) fn insert(&mut self, watcher: Watcher) {
        match self {
            Self::Few(few) if few.len() < FEW => {
                let at = few.partition_point(|other| *other < watcher);
                few.insert(at, watcher);
            }
            Self::Few(few) => {
                *self = Self::Many(few.drain(..).chain([watcher]).collect());
            }
            Self::Many(many) => drop(many.insert(watcher)),
        }
    }

    pub(super) fn remove(&mut self, watcher: Watcher) {
        match self {
            Self::Few(few) => few.retain(|other| *other != watcher),
            Self::Many(many) => drop(many.remove(&watcher)),
        }
    }

    pub(super) fn for_each(&self, act: impl FnMut(&Watcher)) {
        match self {
            Self::Few(few) => few.iter().for_each(act),
            Self::Many(many) => many.iter().for_each(act),
        }
    }
}

/// As many as a list holds.
const FEW: usize = 32;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn they_stay_in_order_however_many_they_are() {
        let mut watchers = Watchers::new();
        let watcher = |n: u64| (PeerId { serial: n % 7, slot: 0 }, n);
        (0..100).rev().for_each(|n| watchers.insert(watcher(n)));
        watchers.insert(watcher(3));
        (0..100).filter(|n| n % 3 > 0).for_each(|n| watchers.remove(watcher(n)));
        let mut seen = Vec::new();
        watchers.for_each(|watcher| seen.push(*watcher));
        let mut expected: Vec<_> = (0..100).filter(|n| n % 3 == 0).map(watcher).collect();
        expected.sort_unstable();
        assert_eq!((seen, watchers.len()), (expected, 34));
        (0..100).for_each(|n| watchers.remove(watcher(n)));
        assert!(watchers.is_empty());
    }
}
