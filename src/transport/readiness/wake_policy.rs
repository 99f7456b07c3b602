//! Decides whether what comes over a connection wakes a worker thread besides the second thread.
//!
//! Two threads that are woken for one message cost more than reading it, and get into each other's way. But
//! the second thread runs programs, which may keep it busy; and it reads only so much at a time.

/// The state of one connection.
#[derive(Debug)]
pub(super) struct WakePolicy {
    wakes_worker: bool,
    /// Visits in a row that found little.
    small_visits: u8,
    /// There was a visit since the last check.
    is_visited: bool,
}

impl Default for WakePolicy {
    fn default() -> Self {
        Self { wakes_worker: true, small_visits: 0, is_visited: false }
    }
}

impl WakePolicy {
    pub(super) fn wakes_worker(&self) -> bool {
        self.wakes_worker
    }

    /// Notes that the second thread was there, and whether much has come.
    pub(super) fn note_visit(&mut self, is_much: bool) {
        self.is_visited = true;
        self.small_visits = if is_much { 0 } else { (self.small_visits + 1).min(SMALL_VISITS) };
        self.wakes_worker = self.small_visits < SMALL_VISITS;
    }

    /// Notes that a while is over: without a visit the second thread is busy, or nothing has come.
    pub(super) fn note_while(&mut self) {
        if !std::mem::take(&mut self.is_visited) {
            self.small_visits = 0;
            self.wakes_worker = true;
        }
    }
}

/// So many in a row, and the second thread is alone with the connection.
const SMALL_VISITS: u8 = 16;

#[cfg(test)]
mod tests {
    use super::*;

    fn after_small_visits(count: u8) -> WakePolicy {
        let mut policy = WakePolicy::default();
        (0..count).for_each(|_| policy.note_visit(false));
        policy
    }

    #[test]
    fn a_worker_is_woken_until_the_second_thread_has_shown_that_it_is_quick() {
        assert!(after_small_visits(SMALL_VISITS - 1).wakes_worker());
        assert!(!after_small_visits(SMALL_VISITS).wakes_worker());
        assert!(!after_small_visits(u8::MAX).wakes_worker());
    }

    #[test]
    fn a_worker_helps_with_much() {
        let mut policy = after_small_visits(SMALL_VISITS);
        policy.note_visit(true);
        assert!(policy.wakes_worker());
        policy.note_visit(false);
        assert!(policy.wakes_worker(), "one small visit does not make a flow a conversation");
    }

    #[test]
    fn a_worker_is_woken_again_when_the_second_thread_was_not_there_for_a_while() {
        let mut policy = after_small_visits(SMALL_VISITS);
        policy.note_while();
        assert!(!policy.wakes_worker(), "it was there in this while");
        policy.note_visit(false);
        policy.note_while();
        assert!(!policy.wakes_worker());
        policy.note_while();
        assert!(policy.wakes_worker());
        policy.note_visit(false);
        assert!(policy.wakes_worker(), "it has to show again that it is quick");
    }
}
