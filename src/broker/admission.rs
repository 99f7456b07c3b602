//! Which connections a broker accepts: counts them, in all and for each user.

use std::collections::HashMap;

use bytes::Bytes;

use super::BrokerConfig;
use super::error::Refusal;
use crate::wire::Json;

/// Counts the open connections, in all and for each user.
#[derive(Debug, Default)]
pub(super) struct Admission {
    total: usize,
    by_user: HashMap<Bytes, usize>,
    /// No more connections are accepted: the broker drains, or is closed.
    is_closed: bool,
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
    /// Takes a place for a connection that is not authenticated yet, or returns why there is none.
    pub(super) fn enter(&mut self, config: &BrokerConfig) -> Result<(), Denied> {
        if self.is_closed {
            return Err(Denied::ShutDown);
        }
        if self.total >= config.max_connections {
            let limit = config.max_connections;
            return Err(Denied::Refused(Refusal::TooManyConnections { limit }));
        }
        self.total += 1;
        Ok(())
    }

    /// Accepts no more connections.
    pub(super) fn close(&mut self) {
        self.is_closed = true;
    }

    /// Returns whether no more connections are accepted.
    pub(super) fn is_closed(&self) -> bool {
        self.is_closed
    }

    /// Counts the connection as one of `user`'s, as well.
    pub(super) fn sign_in(&mut self, config: &BrokerConfig, user: &Json) -> Result<(), Refusal> {
        if !is_nobody(user) {
            let limit = config.max_connections_per_user;
            if self.by_user.get(user.as_bytes()).copied().unwrap_or(0) >= limit {
                return Err(Refusal::TooManyConnectionsOfUser { limit });
            }
            *self.by_user.entry(user.as_bytes().clone()).or_default() += 1;
        }
        Ok(())
    }

    /// Releases what was taken for `user`, which is `null` until they are known.
    pub(super) fn release(&mut self, user: &Json) {
        self.total = self.total.saturating_sub(1);
        if let Some(count) = self.by_user.get_mut(user.as_bytes()) {
            *count -= 1;
            if *count == 0 {
                self.by_user.remove(user.as_bytes());
            }
        }
    }

    /// Returns how many connections each user has. Nobody is not among them.
    pub(super) fn by_user(&self) -> impl Iterator<Item = (&str, usize)> {
        self.by_user.iter().map(|(user, count)| (std::str::from_utf8(user).unwrap_or_default(), *count))
    }

    /// Returns how many places are taken.
    pub(super) fn total(&self) -> usize {
        self.total
    }
}

/// Returns how many subscriptions a connection of `user` may have.
pub(super) fn max_subscriptions(config: &BrokerConfig, user: &Json) -> usize {
    // As JavaScript sees truth: an empty hub_id is none.
    let value = user.to_value();
    let is_hub = match value.get("hub_id") {
        None | Some(serde_json::Value::Null | serde_json::Value::Bool(false)) => false,
        Some(serde_json::Value::String(id)) => !id.is_empty(),
        Some(_) => true,
    };
    if is_hub { config.max_subscriptions_per_hub } else { config.max_subscriptions_per_client }
}

/// Returns whether this is the user of the system account.
pub(super) fn is_system_user(user: &Json) -> bool {
    user.to_value().get("hub_id").and_then(serde_json::Value::as_str) == Some("system")
}

fn is_nobody(user: &Json) -> bool {
    user.as_str().trim() == "null"
}
