//! Invariant 8: at rest the broker's interest table is what its clients want, without ghosts and without
//! gaps.

use std::collections::BTreeMap;
use std::time::Duration;

use selvedge::subject::Pattern;

use crate::world::World;

/// What is under way when everything is at rest arrives within this.
const LATENCY: Duration = Duration::from_secs(1);

impl World {
    /// Compares the table with the wishes, pattern by pattern.
    pub(crate) fn check_interest(&mut self) {
        self.run_for(LATENCY);
        let mut wanted: BTreeMap<Pattern, usize> = BTreeMap::new();
        let endpoints = self.nodes.iter().filter_map(|node| node.endpoint.as_ref());
        for pattern in endpoints.flat_map(|endpoint| endpoint.patterns()) {
            *wanted.entry(pattern.clone()).or_default() += 1;
        }
        let mut known: BTreeMap<Pattern, usize> = BTreeMap::new();
        for (pattern, count) in self.net.brokers().flat_map(|broker| broker.patterns()) {
            *known.entry(pattern).or_default() += count;
        }
        if known != wanted {
            let ghosts: Vec<_> = known.iter().filter(|(pattern, _)| !wanted.contains_key(*pattern)).collect();
            let gaps: Vec<_> = wanted.iter().filter(|(pattern, _)| !known.contains_key(*pattern)).collect();
            self.blame(format_args!("the interest tables differ: ghosts {ghosts:?}, gaps {gaps:?}"));
        }
    }
}
