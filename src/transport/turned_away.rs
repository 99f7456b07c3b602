//! Counts the connections that a broker's door does not let in.

use std::sync::atomic::{AtomicU64, Ordering};

/// Why somebody was turned away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TurnedAwayFor {
    /// A page of an origin that is not allowed.
    Origin,
    /// It asked for another host.
    Host,
    /// It asked for another path.
    Path,
    /// TLS failed, or was wanted on one side only.
    Tls,
    /// Its request was wrong, or it did not say what it wants in time.
    Handshake,
    /// Too many were in their handshake.
    Rate,
}

impl TurnedAwayFor {
    /// All of them, in the order of their numbers.
    pub const ALL: [Self; 6] = [Self::Origin, Self::Host, Self::Path, Self::Tls, Self::Handshake, Self::Rate];

    /// Returns what metrics call it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Origin => "origin",
            Self::Host => "host",
            Self::Path => "path",
            Self::Tls => "tls",
            Self::Handshake => "handshake",
            Self::Rate => "rate",
        }
    }
}

/// How many were turned away, by reason.
#[derive(Debug, Default)]
pub struct TurnedAway([AtomicU64; TurnedAwayFor::ALL.len()]);

impl TurnedAway {
    /// Counts one.
    pub fn count(&self, why: TurnedAwayFor) {
        self.0[why as usize].fetch_add(1, Ordering::Relaxed);
    }

    /// Returns how many there were.
    pub fn get(&self, why: TurnedAwayFor) -> u64 {
        self.0[why as usize].load(Ordering::Relaxed)
    }
}
