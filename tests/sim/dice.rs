//! The one source of chance in a simulated run.

use std::sync::Arc;
use std::sync::atomic::{AtomicU16, AtomicU64, Ordering};
use std::time::Duration;

use selvedge::base::{Entropy, FaultPoint, SeededEntropy};

/// Throws that replay from a seed.
pub struct Dice(SeededEntropy);

/// Whether machines do what is allowed and rare, and how often: one world's points, taken from its seed.
#[derive(Clone, Default)]
pub struct Rare(Arc<RareInner>);

#[derive(Default)]
struct RareInner {
    /// Bit by bit, the points that this seed uses.
    points: AtomicU16,
    /// In 1/1000.
    often: AtomicU64,
    taken: AtomicU64,
}

impl Rare {
    /// From now on at these points, so often.
    pub fn set(&self, points: u16, often: u64) {
        self.0.points.store(points, Ordering::Relaxed);
        self.0.often.store(often, Ordering::Relaxed);
    }

    /// Which points there are.
    pub fn points(&self) -> u16 {
        self.0.points.load(Ordering::Relaxed)
    }

    /// How often it came to that.
    pub fn taken(&self) -> u64 {
        self.0.taken.load(Ordering::Relaxed)
    }
}

/// A machine's source: its own throws, and the world's points.
struct Source(SeededEntropy, Rare);

impl Entropy for Source {
    fn bits(&mut self) -> u128 {
        self.0.bits()
    }

    fn split(&mut self) -> Box<dyn Entropy> {
        let seed = u64::try_from(self.0.bits() >> 64).unwrap_or(0);
        Box::new(Self(SeededEntropy::new(seed), self.1.clone()))
    }

    fn should_inject(&mut self, point: FaultPoint) -> bool {
        let Rare(rare) = &self.1;
        let bit = 1_u16 << point as u16;
        if rare.points.load(Ordering::Relaxed) & bit == 0 {
            return false;
        }
        let often = usize::try_from(rare.often.load(Ordering::Relaxed)).unwrap_or(0);
        // There are few connects in a run.
        let is_rare = matches!(point, FaultPoint::LostAccept | FaultPoint::TwoAccepts);
        let taken = self.0.below(1000) < if is_rare { often * 10 } else { often };
        rare.taken.fetch_add(u64::from(taken), Ordering::Relaxed);
        taken
    }

    fn fork(&mut self) -> Option<Box<dyn Entropy>> {
        Some(self.split())
    }
}

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
    pub fn split(&mut self, rare: &Rare) -> Box<dyn Entropy> {
        let seed = u64::try_from(self.0.bits() >> 64).unwrap_or(0);
        Box::new(Source(SeededEntropy::new(seed), rare.clone()))
    }
}
