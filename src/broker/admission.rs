//! Which connections a broker accepts: counts them, in all and for each user.

use std::collections::{BTreeSet, HashMap};

use bytes::Bytes;

use super::BrokerConfig;
use super::account::{Account, Owner};
use super::error::Refusal;
use super::peer_id::PeerId;
use crate::wire::{Json, json};

/// Counts the open connections, in all and for each user.
#[derive(Debug, Default)]
pub(super) struct Admission {
    total: usize,
    by_user: HashMap<Bytes, Entry>,
    users: u64,
    /// Oldest first; of the broker's own machine none.
    by_network: HashMap<Owner, BTreeSet<PeerId>>,
    /// No more connections are accepted: the broker drains, or is closed.
    is_closed: bool,
}

#[derive(Debug)]
struct Entry {
    connections: usize,
    account: Account,
}

/// Why a connection gets no place.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Denied {
    /// The broker is shutting down.
    ShutDown,
    /// There are too many.
    Refused(Refusal),
}

impl Admission {
    /// Takes a place for a connection that is not authenticated yet, or returns why there is none. When all
    /// are taken, an address that has more than half of them loses its latest to others: that one is
    /// returned, and has to go.
    pub(super) fn enter(
        &mut self,
        config: &BrokerConfig,
        peer: PeerId,
        network: Owner,
    ) -> Result<Option<PeerId>, Denied> {
        if self.is_closed {
            return Err(Denied::ShutDown);
        }
        let limit = config.max_connections;
        let mut yielding = None;
        if self.total >= limit {
            let greedy = self.by_network.iter().find(|(_, peers)| peers.len() > limit / 2);
            let latest = greedy.filter(|(other, _)| **other != network).and_then(|(_, peers)| peers.last());
            yielding = latest.copied();
            if yielding.is_none() {
                return Err(Denied::Refused(Refusal::TooManyConnections { limit }));
            }
        }
        self.total += 1;
        if network != Owner::Network(None) {
            self.by_network.entry(network).or_default().insert(peer);
        }
        Ok(yielding)
    }

    /// Accepts no more connections.
    pub(super) fn close(&mut self) {
        self.is_closed = true;
    }

    /// Returns whether no more connections are accepted.
    pub(super) fn is_closed(&self) -> bool {
        self.is_closed
    }

    /// Counts the connection as one of `user`'s, as well. Returns the account that pays for what it holds.
    pub(super) fn sign_in(
        &mut self,
        config: &BrokerConfig,
        user: &Json,
        peer: PeerId,
    ) -> Result<Account, Refusal> {
        if is_nobody(user) {
            return Ok(Account::Connection(peer));
        }
        let limit = config.max_connections_per_user;
        if self.by_user.get(user.as_bytes()).map_or(0, |entry| entry.connections) >= limit {
            return Err(Refusal::TooManyConnectionsOfUser { limit });
        }
        let users = &mut self.users;
        let entry = self.by_user.entry(user.as_bytes().clone()).or_insert_with(|| {
            *users += 1;
            Entry { connections: 0, account: Account::User(*users) }
        });
        entry.connections += 1;
        Ok(entry.account)
    }

    /// Releases what was taken for `user`, which is `null` until they are known.
    pub(super) fn release(&mut self, peer: PeerId, network: Owner, user: &Json) {
        self.total = self.total.saturating_sub(1);
        if let Some(peers) = self.by_network.get_mut(&network) {
            peers.remove(&peer);
            if peers.is_empty() {
                self.by_network.remove(&network);
            }
        }
        if let Some(entry) = self.by_user.get_mut(user.as_bytes()) {
            entry.connections -= 1;
            if entry.connections == 0 {
                self.by_user.remove(user.as_bytes());
            }
        }
    }

    /// Returns how many connections each user has. Nobody is not among them.
    pub(super) fn by_user(&self) -> impl Iterator<Item = (&str, usize)> {
        let text = |user| std::str::from_utf8(user).unwrap_or_default();
        self.by_user.iter().map(move |(user, entry)| (text(user), entry.connections))
    }

    /// Returns how many places are taken.
    pub(super) fn total(&self) -> usize {
        self.total
    }
}

/// Returns how many subscriptions a connection of `user` may have.
pub(super) fn max_subscriptions(config: &BrokerConfig, user: &Json) -> usize {
    // As JavaScript sees truth: an empty hub_id is none.
    let is_hub = json::member(user.as_str(), "hub_id").is_some_and(json::is_truthy);
    if is_hub { config.max_subscriptions_per_hub } else { config.max_subscriptions_per_client }
}

/// Returns whether this is the user of the system account.
pub(super) fn is_system_user(user: &Json) -> bool {
    json::member(user.as_str(), "hub_id").and_then(json::text).is_some_and(|id| id == "system")
}

/// Returns whether nobody knows who this is.
pub(super) fn is_nobody(user: &Json) -> bool {
    user.as_str().trim() == "null"
}
