//! How often a peer that repeats a message is taken to lack our word: one that repeats without end is not
//! answered each time.

use std::time::{Duration, Instant};

/// Paces what repeated messages bring about.
#[derive(Debug, Default)]
pub(super) struct Doubt {
    last: Option<Instant>,
    /// What the last one brought about has not been answered.
    is_open: bool,
}

impl Doubt {
    /// Notes a repeated message. Returns whether our word is to be said again.
    pub(super) fn arises(&mut self, now: Instant) -> bool {
        let pause = if self.is_open { OPEN_PAUSE } else { MIN_PAUSE };
        let arises = self.last.is_none_or(|last| now >= last + pause);
        if arises {
            (self.last, self.is_open) = (Some(now), true);
        }
        arises
    }

    /// Notes an answer of the peer.
    pub(super) fn handle_answer(&mut self) {
        self.is_open = false;
    }
}

/// As long as the answer to the last one is awaited: the pause of a sender that repeats for lack of progress.
const OPEN_PAUSE: Duration = Duration::from_millis(500);
/// Shorter than any such pause, and longer than a round trip that is not worth waiting for.
pub(super) const MIN_PAUSE: Duration = Duration::from_millis(20);
