//! What waited for a peer and goes nowhere: as much as is dropped in one go, others wait for.

use super::outbox::Outbox;

/// Operations that nobody gets any more.
#[derive(Debug)]
pub struct Discarded(Outbox);

impl Discarded {
    /// Returns what is left of an outbox, if that is much; a little is dropped at once.
    pub(super) fn much_of(outbox: Outbox) -> Option<Self> {
        (outbox.len() > LITTLE_OPS).then_some(Self(outbox))
    }

    /// Drops up to so many operations. Returns whether there are more.
    pub fn drop_some(&mut self, most: usize) -> bool {
        self.0.drop_some(most) == most
    }
}

/// Operations that are dropped at once.
const LITTLE_OPS: usize = 1024;
