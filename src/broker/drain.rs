//! The pace at which a broker that drains sends its connections away: spread over a time, so that they do not
//! all reach the next broker at once.

use std::time::{Duration, Instant};

/// One drain.
#[derive(Debug)]
pub(super) struct Drain {
    pause: Duration,
    /// `None`: nothing is left to release.
    release_at: Option<Instant>,
    /// It has been told that the last connection has gone.
    is_reported: bool,
}

impl Drain {
    /// Begins to release so many connections over `spread`, the first one at once.
    pub(super) fn new(now: Instant, spread: Duration, connections: usize) -> Self {
        let pause = spread / u32::try_from(connections.max(1)).unwrap_or(u32::MAX);
        Self { pause, release_at: Some(now), is_reported: false }
    }

    /// Returns whether it is time to release one more.
    pub(super) fn try_release(&mut self, now: Instant) -> bool {
        let Some(at) = self.release_at.filter(|at| *at <= now) else { return false };
        self.release_at = at.checked_add(self.pause);
        true
    }

    /// Notes that there was nothing left to release.
    pub(super) fn handle_empty(&mut self) {
        self.release_at = None;
    }

    /// Returns whether the end is to be reported: once.
    pub(super) fn try_report(&mut self) -> bool {
        !std::mem::replace(&mut self.is_reported, true)
    }

    /// Returns when the next one is to be released.
    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        self.release_at
    }
}
