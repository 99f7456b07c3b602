//! An orderly end: everything written first, then the close. Requested once or more often; each request is
//! answered.

use std::time::Instant;

/// The end that was asked for, if it was.
#[derive(Debug, Default)]
pub(super) struct PendingClose {
    tickets: Vec<u32>,
    deadline: Option<Instant>,
}

impl PendingClose {
    /// Notes that the end is wanted by `deadline`, unless an earlier one is set.
    pub(super) fn request(&mut self, ticket: u32, deadline: Instant) {
        self.tickets.push(ticket);
        self.deadline = Some(self.deadline.map_or(deadline, |before| before.min(deadline)));
    }

    pub(super) fn is_requested(&self) -> bool {
        self.deadline.is_some()
    }

    pub(super) fn is_overdue(&self, now: Instant) -> bool {
        self.deadline.is_some_and(|deadline| deadline <= now)
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        self.deadline
    }

    /// Takes the tickets that wait for it.
    pub(super) fn take(&mut self) -> Vec<u32> {
        self.deadline = None;
        std::mem::take(&mut self.tickets)
    }
}
