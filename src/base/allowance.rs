//! How often something may be done.

use std::time::{Duration, Instant};

/// So many at once, and so many a second.
#[derive(Debug, Clone)]
pub struct Allowance {
    burst: u32,
    per_second: u32,
    /// The time at which all that was taken has been earned again.
    even_at: Option<Instant>,
}

impl Allowance {
    /// Nothing is taken yet.
    pub const fn new(burst: u32, per_second: u32) -> Self {
        Self { burst, per_second, even_at: None }
    }

    /// Takes one, if there is one.
    pub fn take(&mut self, now: Instant) -> bool {
        let one = Duration::from_secs(1) / self.per_second;
        let even_at = self.even_at.map_or(now, |at| at.max(now));
        let after = even_at + one;
        let is_taken = after.saturating_duration_since(now) <= one * self.burst;
        if is_taken {
            self.even_at = Some(after);
        }
        is_taken
    }
    /// Whether all that was taken has been earned again.
    pub fn is_even(&self, now: Instant) -> bool {
        self.even_at.is_none_or(|at| at <= now)
    }
}

#[cfg(test)]
#[allow(clippy::disallowed_methods)]
mod tests {
    use super::*;

    #[test]
    fn an_allowance_is_so_many_at_once_and_so_many_a_second() {
        let (mut allowance, start) = (Allowance::new(10, 100), Instant::now());
        let taken = |allowance: &mut Allowance, millis: u64| {
            let now = start + Duration::from_millis(millis);
            std::iter::from_fn(|| allowance.take(now).then_some(())).take(1000).count()
        };
        assert_eq!(taken(&mut allowance, 0), 10);
        assert_eq!(taken(&mut allowance, 9), 0);
        assert_eq!(taken(&mut allowance, 30), 3);
        assert_eq!(taken(&mut allowance, 60_000), 10, "what is not taken is not saved");
    }
}
