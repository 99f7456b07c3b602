//! Something that a receiver asks of its peer, and when it may ask again.

use std::time::{Duration, Instant};

use super::config::Pause;

/// Something asked of the peer: at most one is under way, and a failed one is asked again after a pause.
#[derive(Debug)]
pub(super) struct Question {
    pub(super) under_way: bool,
    pub(super) retry_at: Option<Instant>,
    pause: Pause,
}

impl Question {
    pub(super) fn new() -> Self {
        Self { under_way: false, retry_at: None, pause: Pause::new(LONGEST_PAUSE) }
    }

    pub(super) fn is_free(&self) -> bool {
        !self.under_way && self.retry_at.is_none()
    }

    pub(super) fn settle(&mut self, now: Instant, answered: bool) {
        self.under_way = false;
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

/// Longest pause before a failed question is asked again (Conat's figure).
pub(super) const LONGEST_PAUSE: Duration = Duration::from_secs(15);
