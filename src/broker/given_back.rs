//! Memory that was kept for connections and is not any more, until the budget is told.

use super::peer_id::PeerId;

/// Whose it was, and how much, in no order.
#[derive(Debug, Default)]
pub(super) struct GivenBack(Vec<(PeerId, usize)>);

impl GivenBack {
    /// Adds what was kept for a connection.
    pub(super) fn push(&mut self, peer: PeerId, memory: usize) {
        self.0.push((peer, memory));
    }

    /// Takes one of them. There is none behind nearly every operation.
    #[inline]
    pub(super) fn poll(&mut self) -> Option<(PeerId, usize)> {
        if self.0.is_empty() { None } else { self.take_last() }
    }

    fn take_last(&mut self) -> Option<(PeerId, usize)> {
        let last = self.0.pop();
        if self.0.is_empty() {
            // What a crowd has left does not stay.
            self.0 = Vec::new();
        }
        last
    }
}
