//! The one source of chance in a simulated run.

use std::time::Duration;

use selvedge::entropy::{Entropy, SeededEntropy};

/// Throws that replay from a seed.
pub struct Dice(SeededEntropy);

impl Dice {
    pub fn new(seed: u64) -> Self {
        Self(SeededEntropy::new(seed))
    }

    /// A number in `0..bound`.
    pub fn below(&mut self, bound: usize) -> usize {
        self.0.below(bound)
    }

    /// True so often.
    pub fn chance(&mut self, probability: f64) -> bool {
        // No throw for a fault that is off: switching one on moves nothing else.
        probability > 0.0 && self.0.fraction() < probability
    }

    /// A time in `from..to` milliseconds.
    pub fn millis(&mut self, from: u64, to: u64) -> Duration {
        let span = usize::try_from(to.saturating_sub(from)).unwrap_or(0);
        Duration::from_millis(from + self.below(span) as u64)
    }

    pub fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len())]
    }

    /// A source of its own for a machine.
    pub fn split(&mut self) -> Box<dyn Entropy> {
        Box::new(SeededEntropy::new(u64::try_from(self.0.bits() >> 64).unwrap_or(0)))
    }
}
