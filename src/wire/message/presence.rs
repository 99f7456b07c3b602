//! What a broker says about the end of somebody else that a client watches.

use std::sync::Arc;
use std::time::Duration;

/// How long whoever has a request is waited for when it is away, or when the broker in between has ended.
/// Below the 2 s that people accept.
pub const ANSWER_GRACE: Duration = Duration::from_millis(1500);
/// How much of our own absence is added to such a time: others pause before they reconnect for as long as we
/// do.
pub const MAX_OWN_ABSENCE: Duration = Duration::from_secs(15);

/// Begins or ends one watch of a client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WatchRequest {
    /// Chosen by the client, and used for one watch only.
    pub id: u64,
    /// A subject of the end to watch: a socket's, or `….server.status` for *some listener is there*. `None`
    /// ends the watch.
    pub subject: Option<Arc<str>>,
}

/// What became of one watched end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PresenceChange {
    /// The watch.
    pub id: u64,
    /// The end.
    pub presence: Presence,
    /// The number of watches that were told of this at once; 1 where nothing has ended.
    pub crowd: u64,
}

/// The state of a watched end. `docs/protocols/fabric.md` has the numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Presence {
    /// Nobody owns it: a first answer.
    Absent = 0,
    /// An owner is there.
    Here = 1,
    /// An owner is there, in the broker's own process.
    HereInBroker = 2,
    /// Its connection ended without a word, or the subscription was revoked.
    Cut = 3,
    /// Its connection was given up for its silence, or because it did not read.
    Silent = 4,
    /// Its client had said that it ends for good.
    Gone = 5,
    /// It unsubscribed, and its connection lives.
    Left = 6,
    /// A newer exclusive owner has its place.
    Replaced = 7,
    /// Its drain has begun.
    Draining = 8,
    /// The broker cannot tell: a first answer, or the end of a watch that is no longer permitted.
    Unknown = 9,
    /// Nobody owns it here, and the broker has lost the fabric above it, where an owner may be.
    Unreachable = 10,
}

impl Presence {
    /// Returns the state of a number; a number of a later version is one that cannot be told.
    pub fn from_number(number: u8) -> Self {
        match number {
            0 => Self::Absent,
            1 => Self::Here,
            2 => Self::HereInBroker,
            3 => Self::Cut,
            4 => Self::Silent,
            5 => Self::Gone,
            6 => Self::Left,
            7 => Self::Replaced,
            8 => Self::Draining,
            10 => Self::Unreachable,
            _ => Self::Unknown,
        }
    }

    /// Returns whether it is about an owner that was there and is not any more.
    pub fn is_end(self) -> bool {
        matches!(self, Self::Cut | Self::Silent | Self::Gone | Self::Left)
    }
}
