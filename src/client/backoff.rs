//! The pause before the next attempt to connect.

use std::time::{Duration, Instant};

use super::ReconnectConfig;
use crate::base::Entropy;

/// Exponential pauses with full jitter. Only a connection that lasted starts them small again: one that is
/// lost at once is no success.
#[derive(Debug)]
pub struct Backoff {
    config: ReconnectConfig,
    failures: u32,
    ready_since: Option<Instant>,
}

impl Backoff {
    /// Pauses as `config` says.
    pub fn new(config: ReconnectConfig) -> Self {
        Self { config, failures: 0, ready_since: None }
    }

    /// Notes that the connection works.
    pub fn handle_ready(&mut self, now: Instant) {
        self.ready_since = Some(now);
    }

    /// Notes that the connection, or the attempt at one, is over. Returns how long to wait now.
    pub fn next_pause(&mut self, now: Instant, entropy: &mut dyn Entropy) -> Duration {
        if self.ready_since.take().is_some_and(|since| now.saturating_duration_since(since) >= STABLE) {
            self.failures = 0;
        }
        let ceiling = self.config.delay.saturating_mul(1 << self.failures.min(16)).min(self.config.delay_max);
        self.failures += 1;
        ceiling.mul_f64(1.0 - self.config.jitter.clamp(0.0, 1.0) * entropy.fraction())
    }
}

/// How long a connection must last to count as a success.
const STABLE: Duration = Duration::from_secs(5);

#[cfg(test)]
#[allow(clippy::disallowed_methods)]
mod tests {
    use super::*;
    use crate::base::SeededEntropy;

    #[test]
    fn pauses_grow_to_the_cap_and_spread_over_all_of_it() {
        let (now, mut entropy) = (Instant::now(), SeededEntropy::new(1));
        let mut longest = Duration::ZERO;
        for _ in 0..200 {
            let mut backoff = Backoff::new(ReconnectConfig::default());
            for failures in 0..8_u32 {
                let ceiling = Duration::from_millis(500 << failures).min(Duration::from_secs(15));
                let pause = backoff.next_pause(now, &mut entropy);
                assert!(pause <= ceiling, "{pause:?} after {failures}");
                longest = longest.max(pause);
            }
        }
        assert!(longest > Duration::from_secs(14), "{longest:?}");
    }

    #[test]
    fn only_a_connection_that_lasted_resets_them() {
        let (now, mut entropy) = (Instant::now(), SeededEntropy::new(1));
        let mut backoff = Backoff::new(ReconnectConfig { jitter: 0.0, ..ReconnectConfig::default() });
        let pauses: Vec<_> = (0..3).map(|_| backoff.next_pause(now, &mut entropy).as_millis()).collect();
        assert_eq!(pauses, [500, 1000, 2000]);
        backoff.handle_ready(now);
        assert_eq!(backoff.next_pause(now + Duration::from_secs(1), &mut entropy).as_millis(), 4000);
        backoff.handle_ready(now);
        assert_eq!(backoff.next_pause(now + Duration::from_secs(9), &mut entropy).as_millis(), 500);
    }
}
