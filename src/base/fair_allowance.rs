//! How often something may be done for all who ask together: nobody takes more of it than is left.

use std::collections::{BTreeSet, HashMap};
use std::hash::Hash;
use std::time::Instant;

/// So many at once, and so many a second, divided among those who ask: of what is taken and not earned again,
/// one may have at most as much as nobody has. Who asks less than the others always gets one.
#[derive(Debug)]
pub struct FairAllowance<K> {
    burst: u64,
    per_second: u64,
    /// What is taken, in parts.
    taken: u64,
    /// What each has been given back so far, of those that had taken something all the time.
    returned: u64,
    updated: Option<Instant>,
    /// With how much of `returned` each has taken nothing any more.
    even_at: HashMap<K, u64>,
    by_even: BTreeSet<(u64, K)>,
}

impl<K: Clone + Eq + Ord + Hash> FairAllowance<K> {
    /// Nothing is taken yet.
    pub fn new(burst: u32, per_second: u32) -> Self {
        Self {
            burst: u64::from(burst) * ONE,
            per_second: per_second.into(),
            taken: 0,
            returned: 0,
            updated: None,
            even_at: HashMap::new(),
            by_even: BTreeSet::new(),
        }
    }

    /// Takes one, if there is one for whoever this is.
    pub fn take(&mut self, now: Instant, who: K) -> bool {
        self.update(now);
        let even_at = self.even_at.get(&who).copied();
        let own = even_at.map_or(0, |at| at - self.returned);
        let left = self.burst - self.taken;
        if left < ONE || own + ONE > left {
            return false;
        }
        self.taken += ONE;
        let after = self.returned + own + ONE;
        if let Some(at) = even_at {
            self.by_even.remove(&(at, who.clone()));
        }
        self.by_even.insert((after, who.clone()));
        self.even_at.insert(who, after);
        true
    }

    /// Gives back what has been earned since, to all alike.
    fn update(&mut self, now: Instant) {
        let since = self
            .updated
            .replace(now)
            .map_or(0, |at| u64::try_from(now.saturating_duration_since(at).as_micros()).unwrap_or(u64::MAX));
        let mut earned = since.saturating_mul(self.per_second);
        while let Some((at, who)) = self.by_even.first().cloned() {
            let count = self.by_even.len() as u64;
            let each = (earned / count).min(at - self.returned);
            self.returned += each;
            self.taken -= each * count;
            earned -= each * count;
            if at > self.returned {
                return;
            }
            self.by_even.pop_first();
            self.even_at.remove(&who);
        }
    }
}

/// One, in parts: what is earned in a microsecond at one a second.
const ONE: u64 = 1_000_000;

#[cfg(test)]
#[allow(clippy::disallowed_methods)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn taken(allowance: &mut FairAllowance<u32>, now: Instant, who: u32) -> usize {
        std::iter::from_fn(|| allowance.take(now, who).then_some(())).take(100_000).count()
    }

    #[test]
    fn one_takes_at_most_what_is_left_and_so_does_everybody() {
        let (mut allowance, start) = (FairAllowance::new(1000, 100), Instant::now());
        assert_eq!(taken(&mut allowance, start, 1), 500);
        assert_eq!(taken(&mut allowance, start, 2), 250);
        assert_eq!(taken(&mut allowance, start, 3), 125);
        let later = start + Duration::from_secs(60);
        assert_eq!(taken(&mut allowance, later, 2), 500, "what is not taken is not saved");
        assert_eq!(allowance.even_at.len(), 1);
    }

    #[test]
    fn beside_floods_one_who_asks_now_and_then_is_never_refused() {
        let (mut allowance, mut now, mut given) = (FairAllowance::new(1000, 100), Instant::now(), 0);
        for round in 0..10_000 {
            now += Duration::from_millis(5);
            (0..17).for_each(|who| given += (0..9).filter(|_| allowance.take(now, who)).count());
            assert!(round % 40 > 0 || allowance.take(now, 100), "round {round}");
        }
        assert!((5000 - 250 - 17..=5000 - 250 + 1000).contains(&given), "{given} in 50 seconds");
    }
}
