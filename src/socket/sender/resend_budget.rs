//! The budget for resending to a peer: enough for every honest loss, and no amplification of small requests
//! beyond that.

use std::time::{Duration, Instant};

/// Bytes that were sent again and are not refilled, by time or by progress.
#[derive(Debug, Default)]
pub(in crate::socket) struct ResendBudget {
    spent: usize,
    since: Option<Instant>,
}

impl ResendBudget {
    /// Refills the budget for the time since the last call.
    pub(in crate::socket) fn refill(&mut self, now: Instant) {
        let since = self.since.replace(now).unwrap_or(now);
        let seconds = now.saturating_duration_since(since).min(MAX_REFILL_TIME).as_secs_f64();
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "small and not negative")]
        let earned = (seconds * REFILL_RATE) as usize;
        self.spent = self.spent.saturating_sub(earned);
    }

    /// Returns whether the peer must wait before it gets more.
    pub(in crate::socket) fn is_exhausted(&self) -> bool {
        self.spent >= RESEND_BUDGET
    }

    /// Spends what was sent again.
    pub(in crate::socket) fn spend(&mut self, bytes: usize) {
        self.spent += bytes;
    }

    /// Refills the budget by what the peer has handled.
    pub(in crate::socket) fn credit(&mut self, bytes: usize) {
        self.spent = self.spent.saturating_sub(bytes);
    }
}

/// Four times what can be in flight.
pub(super) const RESEND_BUDGET: usize = 4 * super::MAX_IN_FLIGHT_BYTES;

/// Bytes a second that are refilled: one full reply.
const REFILL_RATE: f64 = 8e6;

/// After so long the budget is full again.
const MAX_REFILL_TIME: Duration = Duration::from_secs(60);
