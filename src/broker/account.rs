//! Who pays for what connections hold.

use super::peer::PeerId;

/// Who pays for what a connection holds: its user with all of the connections, or, where nobody knows who it
/// is, the connection itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Account {
    /// A connection of nobody.
    Connection(PeerId),
    /// A user, by the number that the broker has given.
    User(u64),
}

impl Account {
    /// Names it to receivers, who can tell one sender from another by it, and no more.
    pub(super) fn origin(self) -> u64 {
        match self {
            Self::User(number) => number << 1,
            Self::Connection(peer) => peer.serial << 1 | 1,
        }
    }
}
