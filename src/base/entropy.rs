//! Randomness as a value: unguessable ids, and jitter. Machines are given their source, so that a simulation
//! can replay a seed.

use super::FaultPoint;

/// A source of random bits.
pub trait Entropy: Send {
    /// Returns the next 128 bits.
    fn bits(&mut self) -> u128;

    /// Returns a fresh id: a version 4 UUID in simple form (32 hex digits), which is a valid subject token.
    fn id(&mut self) -> String {
        uuid::Builder::from_random_bytes(self.bits().to_le_bytes()).into_uuid().simple().to_string()
    }

    /// Fills `into` with random numbers that nobody can guess: many at once cost one look into the source.
    fn fill(&mut self, into: &mut [u64]) {
        #[expect(clippy::cast_possible_truncation, reason = "half of the bits are as random as all")]
        into.iter_mut().for_each(|number| *number = self.bits() as u64);
    }

    /// A number in `0..bound`; 0 when `bound` is 0.
    fn below(&mut self, bound: usize) -> usize {
        let wide = u128::from(u64::MAX) & self.bits();
        usize::try_from((wide * bound as u128) >> 64).unwrap_or(0)
    }

    /// Returns a fraction in `0.0..1.0`.
    fn fraction(&mut self) -> f64 {
        self.below(1 << 53) as f64 / (1_u64 << 53) as f64
    }

    /// Returns whether to do what is allowed but rare at this point. True only in a simulation.
    fn should_inject(&mut self, _point: FaultPoint) -> bool {
        false
    }

    /// Another source of the same kind.
    fn split(&mut self) -> Box<dyn Entropy>;

    /// Returns a source for the fault points of another machine. Only a simulation has one.
    fn fork(&mut self) -> Option<Box<dyn Entropy>> {
        None
    }
}

/// The operating system's cryptographic source.
#[derive(Debug, Default, Clone, Copy)]
pub struct OsEntropy;

impl Entropy for OsEntropy {
    fn split(&mut self) -> Box<dyn Entropy> {
        Box::new(Self)
    }

    fn bits(&mut self) -> u128 {
        uuid::Uuid::new_v4().as_u128()
    }

    // `bits` has six fixed bits already; a second pass through the builder would be harmless, only slower.
    fn id(&mut self) -> String {
        uuid::Uuid::new_v4().simple().to_string()
    }

    fn fill(&mut self, into: &mut [u64]) {
        let mut bytes = vec![0; size_of_val(into)];
        let filled = ring::rand::SecureRandom::fill(&ring::rand::SystemRandom::new(), &mut bytes);
        filled.expect("an operating system has random bits");
        let (words, _) = bytes.as_chunks::<8>();
        into.iter_mut().zip(words).for_each(|(number, word)| *number = u64::from_le_bytes(*word));
    }

    fn below(&mut self, bound: usize) -> usize {
        // The low 62 bits of a version 4 UUID are all random; its fixed bits lie above them.
        let wide = self.bits() & ((1 << 62) - 1);
        usize::try_from((wide * bound as u128) >> 62).unwrap_or(0)
    }
}

/// A seeded source for simulations: the same seed gives the same run. Not for ids that must be secret.
#[derive(Debug, Clone)]
pub struct SeededEntropy(u64);

impl SeededEntropy {
    /// Starts from `seed`.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// Draws by SplitMix64 (Steele, Lea, Flood 2014): full period, passes BigCrush, three lines.
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}

impl Entropy for SeededEntropy {
    fn split(&mut self) -> Box<dyn Entropy> {
        Box::new(Self::new(self.next()))
    }

    fn bits(&mut self) -> u128 {
        (u128::from(self.next()) << 64) | u128::from(self.next())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_stay_below_their_bound_and_reach_all_of_it() {
        for source in [&mut SeededEntropy::new(7) as &mut dyn Entropy, &mut OsEntropy] {
            let mut seen = [false; 5];
            for _ in 0..1000 {
                seen[source.below(5)] = true;
            }
            assert_eq!(seen, [true; 5]);
            assert_eq!(source.below(0), 0);
            assert!((0.0..1.0).contains(&source.fraction()));
            assert_eq!(source.id().len(), 32);
            let mut numbers = [0; 64];
            source.fill(&mut numbers);
            let different: std::collections::BTreeSet<u64> = numbers.into_iter().collect();
            assert_eq!(different.len(), numbers.len());
            assert!(different.iter().any(|number| number >> 63 == 1) && !different.contains(&0));
        }
    }
}
