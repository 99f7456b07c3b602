//! One socket to which messages come in pieces: what it has, and where its message stands.

use std::time::Instant;

use crate::socket::{Claim, Payer};

#[derive(Debug)]
pub(super) struct Sender {
    pub(super) payer: Payer,
    pub(super) claim: Claim,
    pub(super) place: Place,
    /// Offset up to which it may send, and whether it still counts.
    pub(super) credit: u64,
    pub(super) is_live: bool,
    pub(super) is_in_rotation: bool,
    pub(super) moved_at: Instant,
    /// What had come of the message when it was last looked at.
    pub(super) reviewed: usize,
}

/// Where its message stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// There is none.
    Nothing,
    /// In the row, with this number.
    Waiting(u64),
    Admitted,
    /// Admitted beside those whose turn it was.
    Beside,
    /// It was slow while others waited: it is not even in the row.
    SetBack,
}

impl Place {
    pub(super) fn may_send(self) -> bool {
        matches!(self, Self::Nothing | Self::Admitted | Self::Beside)
    }

    pub(super) fn is_outside(self) -> bool {
        matches!(self, Self::Waiting(_) | Self::SetBack)
    }
}

impl Sender {
    /// What it may send and has not.
    pub(super) fn left(&self) -> u64 {
        if self.is_live { self.credit.saturating_sub(self.claim.received) } else { 0 }
    }

    pub(super) fn wants(&self) -> bool {
        self.claim.wanted > self.claim.received && self.place.may_send()
    }
}
