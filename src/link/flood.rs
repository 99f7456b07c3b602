//! Counts frames with little or no content: an honest peer sends one or two of them a period.

use std::fmt;
use std::time::{Duration, Instant};

use super::after;

/// A bound on frames in a period. It costs no timer: the clock matters only once the bound is reached.
#[derive(Debug)]
pub struct FloodMeter {
    max_frames: u32,
    period: Duration,
    frames: u32,
    since: Instant,
}

/// The peer sends more of them than any honest one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Flooded;

impl fmt::Display for Flooded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("flood of frames with little or no content")
    }
}

impl FloodMeter {
    /// Creates a meter that allows `max_frames` in `period`.
    pub fn new(now: Instant, max_frames: u32, period: Duration) -> Self {
        Self { max_frames, period, frames: 0, since: now }
    }

    /// Counts frames, unless there are too many of them.
    pub fn try_count(&mut self, now: Instant, frames: u32) -> Result<(), Flooded> {
        self.frames = self.frames.saturating_add(frames);
        if self.frames <= self.max_frames {
            return Ok(());
        }
        if now < after(self.since, self.period) {
            return Err(Flooded);
        }
        // They arrived over more than a period. The latest one counts for the next period.
        (self.frames, self.since) = (frames, now);
        if frames > self.max_frames { Err(Flooded) } else { Ok(()) }
    }
}

#[cfg(test)]
#[allow(clippy::disallowed_methods)]
mod tests {
    use super::*;

    const PERIOD: Duration = Duration::from_secs(30);

    #[test]
    fn more_frames_than_allowed_in_one_period_are_a_flood_and_over_several_they_are_not() {
        let start = Instant::now();
        let mut meter = FloodMeter::new(start, 10, PERIOD);
        assert_eq!(meter.try_count(start, 10), Ok(()));
        assert_eq!(meter.try_count(start + PERIOD, 1), Ok(()), "the period is over");
        assert_eq!(meter.try_count(start + PERIOD, 9), Ok(()));
        assert_eq!(meter.try_count(start + 2 * PERIOD - Duration::from_nanos(1), 1), Err(Flooded));
    }

    #[test]
    fn a_peer_at_the_pace_of_a_heartbeat_is_never_cut_off_and_one_that_bursts_always_is() {
        let start = Instant::now();
        let mut meter = FloodMeter::new(start, 10, PERIOD);
        for second in 0..100_000 {
            assert_eq!(meter.try_count(start + Duration::from_secs(second * 4), 1), Ok(()));
        }
        assert_eq!(
            meter.try_count(start + Duration::from_secs(900_000), 11),
            Err(Flooded),
            "also after a rest"
        );
        let mut meter = FloodMeter::new(start, 10, PERIOD);
        assert_eq!(meter.try_count(start, u32::MAX), Err(Flooded));
    }
}
