//! Subjects on which nobody heard a question to whoever listens: for a while it is asked who serves, instead.

use std::collections::{HashMap, VecDeque};
use std::time::{Duration, Instant};

use crate::subject::Subject;

/// Those of the last minute.
#[derive(Debug, Default)]
pub(super) struct UnheardSubjects {
    until: HashMap<String, Instant>,
    /// The same, oldest first.
    order: VecDeque<String>,
}

impl UnheardSubjects {
    /// Notes one. That it was noted before makes it no longer.
    pub(super) fn note(&mut self, now: Instant, subject: String) {
        self.forget_old(now);
        if self.until.contains_key(&subject) {
            return;
        }
        if self.order.len() >= MAX_SUBJECTS
            && let Some(oldest) = self.order.pop_front()
        {
            self.until.remove(&oldest);
        }
        self.order.push_back(subject.clone());
        self.until.insert(subject, now + REMEMBERED);
    }

    /// Returns whether the subject of this question, `<S>.server.~.<socket>`, is noted.
    pub(super) fn is_noted(&self, now: Instant, question: &Subject) -> bool {
        if self.until.is_empty() {
            return false;
        }
        let text = question.as_str().strip_suffix(question.last_token());
        let subject = text.and_then(|text| text.strip_suffix(".server.~."));
        subject.and_then(|subject| self.until.get(subject)).is_some_and(|until| now < *until)
    }

    fn forget_old(&mut self, now: Instant) {
        while let Some(oldest) = self.order.front()
            && self.until.get(oldest).is_none_or(|until| *until <= now)
        {
            self.until.remove(oldest);
            self.order.pop_front();
        }
    }
}

/// How long one is noted.
const REMEMBERED: Duration = Duration::from_secs(60);
/// How many are.
const MAX_SUBJECTS: usize = 1000;

#[cfg(test)]
#[allow(clippy::disallowed_methods)]
mod tests {
    use super::*;

    fn question(subject: &str) -> Subject {
        Subject::parse(&format!("{subject}.server.~.id")).expect("valid")
    }

    #[test]
    fn a_subject_is_noted_for_a_minute_from_the_first_time_and_the_oldest_makes_room() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut subjects = UnheardSubjects::default();
        assert!(!subjects.is_noted(start, &question("a.b")));
        subjects.note(start, "a.b".into());
        subjects.note(at(30), "a.b".into());
        let noted = [0, 59, 60].map(|seconds| subjects.is_noted(at(seconds), &question("a.b")));
        assert_eq!(noted, [true, true, false]);
        assert!(!subjects.is_noted(start, &question("b")), "a whole subject, not its end");
        for number in 0..MAX_SUBJECTS {
            subjects.note(at(1), format!("s{number}"));
        }
        assert!(!subjects.is_noted(at(1), &question("a.b")) && subjects.is_noted(at(1), &question("s0")));
        subjects.note(at(61), "late".into());
        assert_eq!((subjects.order.len(), subjects.until.len()), (1, 1));
    }
}
