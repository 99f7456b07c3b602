//! Detects an incomplete message that makes no progress, at the tick of an existing timer: a frame that is
//! split over two reads is normal, and a timer for each would cost more than reading it.

use std::time::{Duration, Instant};

use super::after;

/// The progress of reading.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Progress {
    /// Messages that came whole.
    pub whole: u64,
    /// Bytes of any kind.
    pub bytes: u64,
    /// Whether a message has begun and is not over.
    pub is_mid_message: bool,
}

/// A message that has begun must bring another [`MIN_PROGRESS_BYTES`], or its rest, in each period.
#[derive(Debug)]
pub struct StallMeter {
    period: Duration,
    due: Instant,
    /// At the end of the last period.
    last: Progress,
}

impl StallMeter {
    /// Creates a meter that looks once a period.
    pub fn new(now: Instant, period: Duration) -> Self {
        Self { period, due: after(now, period), last: Progress::default() }
    }

    /// Returns whether the message that was under way a period ago still is, and has hardly moved. Between
    /// periods: `false`.
    pub fn handle_timeout(&mut self, now: Instant, progress: Progress) -> bool {
        if now < self.due {
            return false;
        }
        self.due = after(now, self.period);
        let last = std::mem::replace(&mut self.last, progress);
        let is_same_message = progress.is_mid_message && last.is_mid_message && progress.whole == last.whole;
        is_same_message && progress.bytes - last.bytes < MIN_PROGRESS_BYTES
    }

    /// Returns when `handle_timeout` is due.
    pub fn poll_timeout(&self) -> Instant {
        self.due
    }
}

/// What counts as progress of a message: a slow network does more, a peer that wants to keep us busy does
/// less.
pub const MIN_PROGRESS_BYTES: u64 = 64 * 1024;

#[cfg(test)]
#[allow(clippy::disallowed_methods)]
mod tests {
    use super::*;

    const PERIOD: Duration = Duration::from_secs(30);

    /// Returns whether a meter that saw `before` and, a period later, `after` calls it a stall.
    fn stalls(before: Progress, after: Progress) -> bool {
        let start = Instant::now();
        let mut meter = StallMeter::new(start, PERIOD);
        assert!(!meter.handle_timeout(start + PERIOD / 2, before), "not a period yet");
        assert!(!meter.handle_timeout(start + PERIOD, before), "nothing to compare with");
        assert_eq!(meter.poll_timeout(), start + 2 * PERIOD);
        meter.handle_timeout(start + 2 * PERIOD, after)
    }

    #[test]
    fn only_a_message_that_was_under_way_and_has_hardly_moved_is_stalled() {
        let begun = Progress { whole: 5, bytes: 1000, is_mid_message: true };
        assert!(stalls(begun, begun));
        assert!(stalls(begun, Progress { bytes: 1000 + MIN_PROGRESS_BYTES - 1, ..begun }));
        assert!(!stalls(begun, Progress { bytes: 1000 + MIN_PROGRESS_BYTES, ..begun }));
        assert!(!stalls(begun, Progress { whole: 6, ..begun }), "another message");
        assert!(!stalls(begun, Progress { is_mid_message: false, ..begun }));
        assert!(!stalls(Progress { is_mid_message: false, ..begun }, begun), "it has only begun");
    }
}
