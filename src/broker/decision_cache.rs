//! Recent decisions about one connection: a stream of messages on one subject is asked about once.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use super::auth_request::Action;

/// DecisionCache by action and subject. At the bound everything is forgotten: it is only asked again.
#[derive(Debug, Default)]
pub(super) struct DecisionCache {
    publish: HashMap<Arc<str>, CachedDecision>,
    subscribe: HashMap<Arc<str>, CachedDecision>,
    bytes: usize,
}

#[derive(Debug, Clone, Copy)]
struct CachedDecision {
    is_allowed: bool,
    until: Instant,
}

impl DecisionCache {
    /// Returns what was decided, as long as it holds.
    pub(super) fn get(&self, now: Instant, action: Action, subject: &str) -> Option<bool> {
        let decisions = match action {
            Action::Publish => &self.publish,
            Action::Subscribe => &self.subscribe,
        };
        let decision = decisions.get(subject).filter(|decision| now < decision.until)?;
        Some(decision.is_allowed)
    }

    /// Remembers a decision.
    pub(super) fn put(&mut self, until: Instant, action: Action, subject: Arc<str>, is_allowed: bool) {
        if self.publish.len() + self.subscribe.len() >= MAX_DECISIONS || self.bytes >= MAX_BYTES {
            self.clear();
        }
        self.bytes += subject.len();
        let decisions = match action {
            Action::Publish => &mut self.publish,
            Action::Subscribe => &mut self.subscribe,
        };
        decisions.insert(subject, CachedDecision { is_allowed, until });
    }

    /// What it takes in memory, about.
    pub(super) fn memory(&self) -> usize {
        self.bytes + (self.publish.len() + self.subscribe.len()) * DECISION_MEMORY
    }

    /// Forgets everything.
    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }
}

/// DecisionCache of one connection: more than it uses within a second, and 100 KB.
pub(super) const MAX_DECISIONS: usize = 1024;

/// What a decision takes beside its subject.
const DECISION_MEMORY: usize = 128;

/// Bytes of the subjects among them.
const MAX_BYTES: usize = 256 * 1024;

#[cfg(test)]
#[allow(clippy::disallowed_methods)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn a_decision_holds_for_its_right_and_until_its_end() {
        let (mut decisions, now) = (DecisionCache::default(), Instant::now());
        let until = now + Duration::from_secs(1);
        decisions.put(until, Action::Publish, "a".into(), true);
        decisions.put(until, Action::Subscribe, "b".into(), false);
        assert_eq!(decisions.get(now, Action::Publish, "a"), Some(true));
        assert_eq!(decisions.get(now, Action::Subscribe, "a"), None);
        assert_eq!(decisions.get(now, Action::Subscribe, "b"), Some(false));
        assert_eq!(decisions.get(until, Action::Publish, "a"), None);
    }

    #[test]
    fn its_memory_is_bounded_in_number_and_bytes() {
        let (mut decisions, now) = (DecisionCache::default(), Instant::now());
        let until = now + Duration::from_secs(1);
        for index in 0..5 * MAX_DECISIONS {
            decisions.put(until, Action::Publish, index.to_string().into(), true);
            assert!(decisions.publish.len() <= MAX_DECISIONS);
        }
        let long = "x".repeat(8000);
        for index in 0..1000 {
            decisions.put(until, Action::Publish, format!("{long}{index}").into(), true);
            assert!(decisions.bytes <= MAX_BYTES + 8100);
        }
    }
}
