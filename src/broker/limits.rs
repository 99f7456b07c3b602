//! Limits on connections and on single operations. Slow consumers are the outbox's business.

use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;

use super::BrokerConfig;
use super::error::Refusal;
use crate::subject::Pattern;
use crate::wire::{Json, Publication, Subscription};

/// Counts the open connections, in all and for each user.
#[derive(Debug, Default)]
pub(super) struct Admission {
    total: usize,
    by_user: HashMap<Bytes, usize>,
}

impl Admission {
    /// Takes a place for a connection that is not authenticated yet, or returns why there is none.
    pub(super) fn enter(&mut self, config: &BrokerConfig) -> Result<(), Refusal> {
        if self.total >= config.max_connections {
            return Err(Refusal::TooManyConnections { limit: config.max_connections });
        }
        self.total += 1;
        Ok(())
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

/// Returns whether a publish is small enough. Headers count with the payload: they are stored and sent as it
/// is.
pub(super) fn check_publication(config: &BrokerConfig, publication: &Publication) -> Result<(), Refusal> {
    if publication.id.len() > MAX_ID_BYTES {
        return Err(Refusal::IdTooLong { limit: MAX_ID_BYTES });
    }
    let command = publication.headers.command.as_ref().map_or(0, |command| command.as_str().len());
    let json = publication.headers.json.as_ref().map_or(0, |json| json.as_bytes().len());
    let size = publication.payload.raw.len() + command + json;
    if size > config.max_payload {
        return Err(Refusal::TooBig { size, limit: config.max_payload });
    }
    Ok(())
}

/// Returns the pattern and queue that a subscription names, if they are valid.
pub(super) fn check_subscription(subscription: Subscription) -> Result<(Pattern, Arc<str>), Refusal> {
    let pattern = Pattern::parse(&subscription.pattern).map_err(|_| Refusal::InvalidSubject)?;
    if subscription.is_reserved() {
        return Err(Refusal::ReservedPattern);
    }
    let queue = subscription.queue.ok_or(Refusal::NoQueue)?;
    if queue.len() > MAX_QUEUE_BYTES {
        return Err(Refusal::QueueTooLong { limit: MAX_QUEUE_BYTES });
    }
    Ok((pattern, queue))
}

fn is_nobody(user: &Json) -> bool {
    user.as_str().trim() == "null"
}

/// Longest id of a message in bytes. Real ones have 10 to 32; the broker keeps those of unfinished messages.
pub(super) const MAX_ID_BYTES: usize = 1024;

/// Longest name of a queue in bytes: a bound for memory, far above any real name.
pub(super) const MAX_QUEUE_BYTES: usize = 8 * 1024;
