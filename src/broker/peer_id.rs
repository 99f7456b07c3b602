//! The name of a connection.

use std::fmt;

/// Names one connection to one broker. Never used again; a later connection has a greater one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PeerId {
    pub(super) serial: u64,
    /// Its index in `Peers`. Part of the id only so that finding a peer costs no hash.
    pub(super) slot: u32,
}

impl PeerId {
    /// Returns a small number that no other current connection has.
    pub fn slot(self) -> usize {
        self.slot as usize
    }

    /// Returns the same as a number.
    pub fn serial(self) -> u64 {
        self.serial
    }
}

impl fmt::Display for PeerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "#{}", self.serial)
    }
}
