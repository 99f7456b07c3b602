//! What clients make the upstream hold, in bytes: told to the broker's one budget as it changes.

use super::super::PeerId;

/// The changes since the broker last took them.
#[derive(Debug, Default)]
pub(in crate::broker) struct Usage {
    /// Who holds how much more.
    pub(in crate::broker) more: Vec<(PeerId, usize)>,
    /// Who holds how much less.
    pub(in crate::broker) less: Vec<(PeerId, usize)>,
}

impl Usage {
    pub(super) fn add(&mut self, peer: PeerId, bytes: usize) {
        self.more.push((peer, bytes));
    }

    pub(super) fn subtract(&mut self, peer: PeerId, bytes: usize) {
        self.less.push((peer, bytes));
    }
}
