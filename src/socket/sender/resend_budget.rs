//! The budget for resending to a peer: enough for every honest loss, and no amplification of small requests
//! beyond that.

use std::time::{Duration, Instant};

/// Bytes that were sent again and are not made up for, by time or by credit.
#[derive(Debug, Default)]
pub(super) struct ResendBudget {
    spent: usize,
    since: Option<Instant>,
}

impl ResendBudget {
    /// Returns whether the peer may have more now.
    pub(super) fn is_open(&mut self, now: Instant) -> bool {
        let since = self.since.replace(now).unwrap_or(now);
        let seconds = now.saturating_duration_since(since).min(MAX_REFILL_TIME).as_secs_f64();
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "small and not negative")]
        let earned = (seconds * REFILL_RATE) as usize;
        self.spent = self.spent.saturating_sub(earned);
        self.spent < RESEND_BUDGET
    }

    /// Notes that so many bytes were sent again.
    pub(super) fn spend(&mut self, bytes: usize) {
        self.spent += bytes;
    }

    /// Notes that the peer has handled so many bytes.
    pub(super) fn credit(&mut self, bytes: usize) {
        self.spent = self.spent.saturating_sub(bytes);
    }
}

/// Four times what can be in flight.
pub(super) const RESEND_BUDGET: usize = 4 * super::MAX_IN_FLIGHT_BYTES;

/// Bytes a second that are forgiven: one full answer.
const REFILL_RATE: f64 = 8e6;

/// After so long nothing is left of the largest debt.
const MAX_REFILL_TIME: Duration = Duration::from_secs(60);
