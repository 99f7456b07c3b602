//! What was decided about one connection a moment ago: a stream of messages on one subject is asked about once.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use super::inquiry::Right;

/// Decisions by right and subject. At the bound everything is forgotten: it is only asked again.
#[derive(Debug, Default)]
pub(super) struct Decisions {
    publish: HashMap<Arc<str>, Decision>,
    subscribe: HashMap<Arc<str>, Decision>,
    bytes: usize,
}

#[derive(Debug, Clone, Copy)]
struct Decision {
    is_allowed: bool,
    until: Instant,
}

impl Decisions {
    /// What was decided, as long as it holds.
    pub(super) fn get(&self, now: Instant, right: Right, subject: &str) -> Option<bool> {
        let decisions = match right {
            Right::Publish => &self.publish,
            Right::Subscribe => &self.subscribe,
        };
        let decision = decisions.get(subject).filter(|decision| now < decision.until)?;
        Some(decision.is_allowed)
    }

    /// Remembers a decision.
    pub(super) fn put(&mut self, until: Instant, right: Right, subject: Arc<str>, is_allowed: bool) {
        if self.publish.len() + self.subscribe.len() >= MAX_DECISIONS || self.bytes >= MAX_BYTES {
            self.clear();
        }
        self.bytes += subject.len();
        let decisions = match right {
            Right::Publish => &mut self.publish,
            Right::Subscribe => &mut self.subscribe,
        };
        decisions.insert(subject, Decision { is_allowed, until });
    }

    /// Forgets everything.
    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }
}

/// Decisions of one connection: more than it uses within a second, and 100 KB.
pub(super) const MAX_DECISIONS: usize = 1024;

/// Bytes of the subjects among them.
const MAX_BYTES: usize = 256 * 1024;

#[cfg(test)]
#[allow(clippy::disallowed_methods)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn a_decision_holds_for_its_right_and_until_its_end() {
        let (mut decisions, now) = (Decisions::default(), Instant::now());
        let until = now + Duration::from_secs(1);
        decisions.put(until, Right::Publish, "a".into(), true);
        decisions.put(until, Right::Subscribe, "b".into(), false);
        assert_eq!(decisions.get(now, Right::Publish, "a"), Some(true));
        assert_eq!(decisions.get(now, Right::Subscribe, "a"), None);
        assert_eq!(decisions.get(now, Right::Subscribe, "b"), Some(false));
        assert_eq!(decisions.get(until, Right::Publish, "a"), None);
    }

    #[test]
    fn its_memory_is_bounded_in_number_and_bytes() {
        let (mut decisions, now) = (Decisions::default(), Instant::now());
        let until = now + Duration::from_secs(1);
        for index in 0..5 * MAX_DECISIONS {
            decisions.put(until, Right::Publish, index.to_string().into(), true);
            assert!(decisions.publish.len() <= MAX_DECISIONS);
        }
        let long = "x".repeat(8000);
        for index in 0..1000 {
            decisions.put(until, Right::Publish, format!("{long}{index}").into(), true);
            assert!(decisions.bytes <= MAX_BYTES + 8100);
        }
    }
}
