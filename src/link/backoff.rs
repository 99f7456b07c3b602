//! The pause before the next attempt to connect.

use std::time::{Duration, Instant};

use crate::base::Entropy;

/// Pauses between attempts to connect.
#[derive(Debug, Clone)]
pub struct ReconnectConfig {
    /// Whether to connect again after a loss. Default true.
    pub enabled: bool,
    /// The unit of the ceilings: two fifths of it, twice, four times, and four times again while the outage
    /// is younger than 10 s; then on to `delay_max`. Default 500 ms.
    pub delay: Duration,
    /// Ceiling of all pauses. Default 15 s.
    pub delay_max: Duration,
    /// The random part of a pause: 1 (default) is full jitter, so that a thousand clients do not come back in
    /// step; 0 is none.
    pub jitter: f64,
}

impl Default for ReconnectConfig {
    fn default() -> Self {
        Self {
            enabled: true,
            delay: Duration::from_millis(500),
            delay_max: Duration::from_secs(15),
            jitter: 1.0,
        }
    }
}

/// Exponential pauses with full jitter. Only a connection that lasted starts them small again: one that is
/// lost at once is no success.
#[derive(Debug)]
pub struct Backoff {
    config: ReconnectConfig,
    failures: u32,
    ready_since: Option<Instant>,
    /// When the first connection, or the one that lasted last, was found to be missing.
    missing_since: Option<Instant>,
}

impl Backoff {
    /// Pauses as `config` says.
    pub fn new(config: ReconnectConfig) -> Self {
        Self { config, failures: 0, ready_since: None, missing_since: None }
    }

    /// Notes that the connection works.
    pub fn handle_ready(&mut self, now: Instant) {
        self.ready_since = Some(now);
    }

    /// Notes that the connection ends in order, which is no failure: the next pause is the first one.
    pub fn start_over(&mut self) {
        (self.failures, self.missing_since) = (0, None);
    }

    /// Notes that the connection, or the attempt at one, is over. Returns how long to wait now.
    pub fn next_pause(&mut self, now: Instant, entropy: &mut dyn Entropy) -> Duration {
        if self.ready_since.take().is_some_and(|since| now.saturating_duration_since(since) >= STABLE) {
            (self.failures, self.missing_since) = (0, None);
        }
        let missing_since = *self.missing_since.get_or_insert(now);
        let is_young = now.saturating_duration_since(missing_since) < YOUNG;
        let ReconnectConfig { delay, delay_max, .. } = self.config;
        if is_young {
            // A broker that restarts is found soon after it is back.
            self.failures = self.failures.min(2);
        }
        let ceiling = match self.failures {
            0 => delay.mul_f64(FIRST_PART),
            failures => delay.saturating_mul(1 << failures.min(16)),
        };
        let ceiling = ceiling.min(delay_max);
        self.failures += 1;
        ceiling.mul_f64(1.0 - self.config.jitter.clamp(0.0, 1.0) * entropy.fraction())
    }
}

/// The part of `delay` that is the ceiling of the first pause: half of all links that are cut are back at
/// once.
const FIRST_PART: f64 = 0.4;

/// An outage that is younger has no pause longer than four times `delay`.
const YOUNG: Duration = Duration::from_secs(10);

/// How long a connection must last to count as a success.
const STABLE: Duration = Duration::from_secs(5);

#[cfg(test)]
#[allow(clippy::disallowed_methods)]
mod tests {
    use super::*;
    use crate::base::SeededEntropy;

    #[test]
    fn pauses_grow_to_the_cap_and_spread_over_all_of_it() {
        let (start, mut entropy) = (Instant::now(), SeededEntropy::new(1));
        let mut longest = Duration::ZERO;
        for _ in 0..200 {
            let (mut backoff, mut now) = (Backoff::new(ReconnectConfig::default()), start);
            for ceiling in [200, 1000, 2000, 2000, 2000, 4000, 8000, 15_000, 15_000] {
                let ceiling = Duration::from_millis(ceiling);
                let pause = backoff.next_pause(now, &mut entropy);
                assert!(pause <= ceiling, "{pause:?} after {:?}", now - start);
                longest = longest.max(pause);
                now += ceiling.max(Duration::from_secs(2));
            }
        }
        assert!(longest > Duration::from_secs(14), "{longest:?}");
    }

    #[test]
    fn a_broker_that_is_back_within_ten_seconds_is_found_within_two_and_one_that_is_not_less_and_less_often()
    {
        let (mut now, mut entropy) = (Instant::now(), SeededEntropy::new(1));
        let mut backoff = Backoff::new(ReconnectConfig { jitter: 0.0, ..ReconnectConfig::default() });
        let mut pauses = Vec::new();
        for _ in 0..10 {
            let pause = backoff.next_pause(now, &mut entropy);
            pauses.push(pause.as_millis());
            now += pause;
        }
        assert_eq!(pauses, [200, 1000, 2000, 2000, 2000, 2000, 2000, 4000, 8000, 15_000]);
    }

    #[test]
    fn only_a_connection_that_lasted_resets_them() {
        let (now, mut entropy) = (Instant::now(), SeededEntropy::new(1));
        let mut backoff = Backoff::new(ReconnectConfig { jitter: 0.0, ..ReconnectConfig::default() });
        let pauses: Vec<_> = (0..3).map(|_| backoff.next_pause(now, &mut entropy).as_millis()).collect();
        assert_eq!(pauses, [200, 1000, 2000]);
        backoff.handle_ready(now);
        assert_eq!(backoff.next_pause(now + Duration::from_secs(1), &mut entropy).as_millis(), 2000);
        backoff.handle_ready(now);
        assert_eq!(backoff.next_pause(now + Duration::from_secs(9), &mut entropy).as_millis(), 200);
    }
}
