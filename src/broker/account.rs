//! Who pays for what connections hold.

use std::net::IpAddr;

use super::peer_id::PeerId;
use crate::base::network_of;

/// One sender, as receivers tell them apart: a user with all of the connections, or, where nobody knows who
/// it is, the connection itself.
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

/// Who has a share of what all have together: a user, or, where nobody knows who it is, the network that the
/// connection comes from. Of those of one owner, each connection has a share of that share.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Owner {
    /// Connections of nobody, by where they come from; `None`: the broker's own machine.
    Network(Option<IpAddr>),
    /// A user, by the number that the broker has given.
    User(u64),
}

impl Owner {
    /// The owner of a connection from `address`, as long as nobody knows who it is.
    pub(super) fn at(address: &str) -> Self {
        Self::Network(address.parse().ok().map(network_of))
    }

    /// The owner of a connection that has signed in.
    pub(super) fn of(account: Account, address: &str) -> Self {
        match account {
            Account::User(number) => Self::User(number),
            Account::Connection(_) => Self::at(address),
        }
    }
}
