//! Limits on single operations. Slow consumers are the outbox's business.

use std::sync::Arc;

use super::BrokerConfig;
use super::error::Refusal;
use crate::subject::Pattern;
use crate::wire::{Publication, Subscription};

/// Returns whether a publish is small enough. Headers count with the payload: they are stored and sent as it
/// is.
pub(super) fn check_publication(config: &BrokerConfig, publication: &Publication) -> Result<(), Refusal> {
    if publication.id().len() > MAX_ID_BYTES {
        return Err(Refusal::IdTooLong { limit: MAX_ID_BYTES });
    }
    let command = publication.headers.command.as_ref().map_or(0, |command| command.as_str().len());
    let json = publication.headers.json.as_ref().map_or(0, |json| json.as_bytes().len());
    let size = publication.payload.raw.len() + command + json;
    let limit = config.max_payload.min(config.max_message_bytes);
    if size > limit {
        return Err(Refusal::TooBig { size, limit });
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

/// Longest id of a message in bytes. Real ones have 10 to 32; the broker keeps those of unfinished messages.
pub(super) const MAX_ID_BYTES: usize = 1024;

/// Longest name of a queue in bytes: a bound for memory, far above any real name.
pub(super) const MAX_QUEUE_BYTES: usize = 8 * 1024;
