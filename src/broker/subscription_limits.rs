//! What the subscriptions of one connection take, and how much of it they may: memory, and time of every
//! publish.

use std::collections::HashMap;
use std::sync::Arc;

use foldhash::fast::RandomState;

use super::error::Refusal;
use crate::subject::{Pattern, Shape};

/// What the subscriptions of one connection take.
#[derive(Debug, Default)]
pub(super) struct SubscriptionUse {
    bytes: usize,
    /// Arrangements of wildcards, with the number of patterns that have them.
    shapes: HashMap<Shape, usize, RandomState>,
    /// What looking for all of these costs.
    cost: usize,
}

impl SubscriptionUse {
    /// Takes what one more subscription needs, or says why it must not.
    pub(super) fn add(
        &mut self,
        max_subscriptions: usize,
        pattern: &Pattern,
        queue: &Arc<str>,
    ) -> Result<(), Refusal> {
        let limit = max_subscriptions.saturating_mul(BYTES_PER_SUBSCRIPTION).max(MIN_BYTES);
        let bytes = self.bytes + size(pattern, queue);
        if bytes > limit {
            return Err(Refusal::TooManySubscriptionBytes { limit });
        }
        let shape = Shape::of(pattern);
        if shape.cost() > 0 {
            let limit = (max_subscriptions / 2).max(MIN_WILDCARD_COST);
            if !self.shapes.contains_key(&shape) {
                if self.cost + shape.cost() > limit {
                    return Err(Refusal::TooManyWildcards { limit });
                }
                self.cost += shape.cost();
            }
            *self.shapes.entry(shape).or_default() += 1;
        }
        self.bytes = bytes;
        Ok(())
    }

    /// Gives back what a subscription took.
    pub(super) fn remove(&mut self, pattern: &Pattern, queue: &Arc<str>) {
        self.bytes -= size(pattern, queue);
        let shape = Shape::of(pattern);
        if let Some(count) = self.shapes.get_mut(&shape) {
            *count -= 1;
            if *count == 0 {
                self.cost -= shape.cost();
                self.shapes.remove(&shape);
            }
        }
    }
}

fn size(pattern: &Pattern, queue: &Arc<str>) -> usize {
    pattern.as_str().len() + queue.len()
}

/// What a subscription takes in all tables together, about: `tests/memory.rs` compares.
pub(super) fn memory_of(pattern: &Pattern, queue: &Arc<str>) -> usize {
    SUBSCRIPTION_MEMORY + size(pattern, queue)
}

/// What a subscription takes beside its names, where it shares nothing with others.
const SUBSCRIPTION_MEMORY: usize = 720;

/// Bytes of pattern and queue that a connection may have for each subscription that it may have: 1 MB where
/// these are 500. A list of them is one answer.
pub(super) const BYTES_PER_SUBSCRIPTION: usize = 2048;

/// However few subscriptions it may have.
const MIN_BYTES: usize = 64 * 1024;

/// What all arrangements of wildcards may cost ([`Shape::cost`]), however few subscriptions it may have; else
/// half as much as these. A publish takes so many steps for each connection, at worst: a microsecond or two.
const MIN_WILDCARD_COST: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    fn pattern(text: &str) -> Pattern {
        Pattern::parse(text).expect(text)
    }

    #[test]
    fn arrangements_of_wildcards_are_bounded_and_patterns_of_one_arrangement_are_not() {
        let (mut taken, queue) = (SubscriptionUse::default(), Arc::from("q"));
        for n in 0..400 {
            assert_eq!(taken.add(500, &pattern(&format!("server{n}.*")), &queue), Ok(()));
        }
        let own = |depth: usize| pattern(&format!("{}*", "a.".repeat(depth)));
        let count = (2..).take_while(|&depth| taken.add(500, &own(depth), &queue).is_ok()).count();
        assert_eq!(count, 124, "two each, of 250, and one was there");
        assert_eq!(taken.add(500, &own(300), &queue), Err(Refusal::TooManyWildcards { limit: 250 }));
        assert_eq!(taken.add(500, &pattern("no.wildcard"), &queue), Ok(()));
        taken.remove(&own(2), &queue);
        assert_eq!(taken.add(500, &own(300), &queue), Ok(()));
    }

    #[test]
    fn the_bytes_of_names_are_bounded_and_given_back() {
        let (mut taken, queue) = (SubscriptionUse::default(), Arc::from("q".repeat(1000)));
        let name = |n: usize| pattern(&format!("{}{n}", "x".repeat(7000)));
        let count = (0..).take_while(|&n| taken.add(500, &name(n), &queue).is_ok()).count();
        assert_eq!(count, 500 * BYTES_PER_SUBSCRIPTION / 8003);
        (0..count).for_each(|n| taken.remove(&name(n), &queue));
        assert_eq!((taken.bytes, taken.cost), (0, 0));
    }
}
