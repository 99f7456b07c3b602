//! Faults that a simulation injects into machines: none of them ever happens outside of one.

use super::Entropy;

/// Things that machines may do at any time and hardly ever do, so that a simulation makes them do it often
/// (FoundationDB's "buggify").
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FaultPoint {
    /// An ack leaves before it is due.
    EarlyAck,
    /// An ack that is due waits.
    DelayedAck,
    /// There is no room but for the next message.
    TinyWindow,
    /// The link is given up for no reason.
    SpuriousReconnect,
    /// A message is taken for one that came twice.
    DuplicateDelivery,
    /// What was granted is not told: it has to be asked for.
    LostCredit,
    /// A turn is over after one piece of a message, or the first messages that leave whole.
    ShortTurn,
    /// The first accept of a socket does not leave.
    LostAccept,
    /// A question to whoever listens is said twice: two may take it.
    TwoAccepts,
}

/// The points of one machine; none by default.
#[derive(Default)]
pub struct FaultInjector(Option<Box<dyn Entropy>>);

impl FaultInjector {
    /// Returns the fault points that `source` turns on.
    pub fn fork(source: &mut dyn Entropy) -> Self {
        Self(source.fork())
    }

    /// Returns whether to do what is allowed but rare at this point.
    pub fn should_inject(&mut self, point: FaultPoint) -> bool {
        self.0.as_mut().is_some_and(|source| source.should_inject(point))
    }
}

impl std::fmt::Debug for FaultInjector {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "FaultInjector({})", self.0.is_some())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::OsEntropy;

    #[test]
    fn outside_of_a_simulation_no_point_is_ever_taken() {
        let mut faults = FaultInjector::fork(&mut OsEntropy);
        assert!((0..1000).all(|_| !faults.should_inject(FaultPoint::EarlyAck)
            && !OsEntropy.should_inject(FaultPoint::TinyWindow)));
    }
}
