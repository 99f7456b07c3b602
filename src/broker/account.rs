//! Who pays for what connections hold.

use std::net::IpAddr;

use ring::hmac;

use super::peer_id::PeerId;
use crate::base::{Entropy, network_of};

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

/// Names networks to receivers, who can tell one from another by it, and learn no address.
#[derive(Debug, Default)]
pub(super) struct NetworkNumbers {
    key: Option<hmac::Key>,
    /// Many in a row come from one.
    latest: Option<(IpAddr, u32)>,
}

impl NetworkNumbers {
    /// Returns the number of the network of `address`; `None`: the broker's own machine, without one.
    pub(super) fn number(&mut self, entropy: &mut dyn Entropy, address: &str) -> Option<u32> {
        let Owner::Network(Some(network)) = Owner::at(address) else { return None };
        if let Some((_, number)) = self.latest.filter(|(latest, _)| *latest == network) {
            return Some(number);
        }
        let key = self.key.get_or_insert_with(|| {
            let mut key = [0; 4];
            entropy.fill(&mut key);
            hmac::Key::new(hmac::HMAC_SHA256, key.map(u64::to_le_bytes).as_flattened())
        });
        let tag = hmac::sign(key, network.to_string().as_bytes());
        let number = tag.as_ref().first_chunk().copied().map_or(0, u32::from_le_bytes);
        self.latest = Some((network, number));
        Some(number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::SeededEntropy;

    #[test]
    fn networks_have_numbers_that_tell_nothing_of_their_addresses() {
        let numbers = |seed: u64| {
            let (mut numbers, mut entropy) = (NetworkNumbers::default(), SeededEntropy::new(seed));
            [
                "10.0.0.1",
                "10.0.0.2",
                "10.0.0.1",
                "2001:db8::1",
                "2001:db8::2",
                "2001:db8:0:1::1",
                "",
                "/run/a",
            ]
            .map(|address| numbers.number(&mut entropy, address))
        };
        let [one, other, again, six, same, next, none, file] = numbers(1);
        assert!(one.is_some() && one == again && one != other && six.is_some() && six == same && six != next);
        assert_eq!((none, file), (None, None));
        assert_ne!(one, numbers(2)[0], "another broker has others");
    }
}
