//! The pause before something on a socket is tried again.

use std::time::Duration;

/// A pause that grows from 500 ms by 1.3 up to `cap`: Conat's rhythm for whatever is tried again on a socket.
#[derive(Debug, Clone)]
pub(super) struct Pause {
    next: Duration,
    cap: Duration,
}

impl Pause {
    pub(super) fn new(cap: Duration) -> Self {
        Self { next: FIRST_PAUSE, cap }
    }

    /// Returns the pause to make now; the next one is longer.
    pub(super) fn take(&mut self) -> Duration {
        let pause = self.next;
        self.next = pause.mul_f64(1.3).min(self.cap);
        pause
    }

    /// The pause to make now, without making it.
    pub(super) fn current(&self) -> Duration {
        self.next
    }

    /// Starts again with the shortest pause, after progress.
    pub(super) fn reset(&mut self) {
        self.next = FIRST_PAUSE;
    }
}

const FIRST_PAUSE: Duration = Duration::from_millis(500);
