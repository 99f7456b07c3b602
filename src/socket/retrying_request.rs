//! A request of a receiver to its peer that is retried: one in flight at a time.

use std::time::{Duration, Instant};

use super::pause::Pause;

/// A request to the peer: at most one is in flight, and a failed one is sent again after a pause.
#[derive(Debug)]
pub(super) struct RetryingRequest {
    pub(super) in_flight: bool,
    pub(super) retry_at: Option<Instant>,
    pause: Pause,
}

impl RetryingRequest {
    pub(super) fn new() -> Self {
        Self { in_flight: false, retry_at: None, pause: Pause::new(MAX_PAUSE) }
    }

    pub(super) fn is_idle(&self) -> bool {
        !self.in_flight && self.retry_at.is_none()
    }

    pub(super) fn complete(&mut self, now: Instant, answered: bool) {
        self.in_flight = false;
        if answered {
            self.pause.reset();
        } else {
            self.retry_at = Some(now + self.pause.take());
        }
    }

    pub(super) fn handle_timeout(&mut self, now: Instant) {
        if self.retry_at.is_some_and(|at| at <= now) {
            self.retry_at = None;
        }
    }
}

/// Longest pause before a failed request is asked again (Conat's figure).
pub(super) const MAX_PAUSE: Duration = Duration::from_secs(15);
