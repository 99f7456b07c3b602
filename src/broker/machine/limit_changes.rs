//! Limits that change while the broker runs.

use super::Broker;
use crate::broker::LimitChanges;

impl Broker {
    /// Changes limits. What is above a new one stays, and more is refused; memory that is above one costs the
    /// greatest holder its connection as soon as more comes for it.
    pub fn change_limits(&mut self, changes: &LimitChanges) {
        self.config.change_limits(changes);
        self.peers.set_memory_bounds(&self.config);
    }
}
