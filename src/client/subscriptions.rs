//! The client's subscriptions: pattern by pattern, shared by all members.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Instant;

use super::ClientError;
use crate::base::Deadlines;
use crate::subject::Pattern;
use crate::wire::{Message, Publication, Reassembly, Subscription};

/// Patterns, each with one subscription at the broker and any number of members here.
#[derive(Debug)]
pub(super) struct Subscriptions<T> {
    by_pattern: HashMap<Pattern, Entry<T>>,
    by_token: HashMap<T, Pattern>,
    /// Members that wait for the confirmation, and until when.
    waits: Deadlines<T>,
}

#[derive(Debug)]
struct Entry<T> {
    queue: Arc<str>,
    /// In the order of their creation.
    members: Vec<T>,
    confirmed: bool,
    reassembly: Reassembly,
}

/// The outcome of adding a member.
pub(super) enum Added {
    /// The broker does not know it yet.
    Subscribe(Subscription),
    /// The broker knows, and has not confirmed it yet.
    Pending,
    /// Messages flow already.
    Confirmed,
}

impl<T: Copy + Ord + std::hash::Hash> Subscriptions<T> {
    pub(super) fn new() -> Self {
        Self { by_pattern: HashMap::new(), by_token: HashMap::new(), waits: Deadlines::new() }
    }

    /// Adds a member; `fresh_queue` names the queue group if the caller has no preference.
    pub(super) fn add(
        &mut self,
        token: T,
        pattern: Pattern,
        queue: Option<Arc<str>>,
        fresh_queue: Arc<str>,
        waits_until: Instant,
    ) -> Result<Added, ClientError> {
        let added = match self.by_pattern.get_mut(&pattern) {
            Some(entry) if queue.as_ref().is_some_and(|queue| *queue != entry.queue) => {
                return Err(ClientError::QueueGroup { pattern: pattern.to_string() });
            }
            Some(entry) if entry.confirmed => {
                entry.members.push(token);
                Added::Confirmed
            }
            Some(entry) => {
                entry.members.push(token);
                Added::Pending
            }
            None => {
                let queue = queue.unwrap_or(fresh_queue);
                let subscription =
                    Subscription { pattern: pattern.as_str().into(), queue: Some(queue.clone()) };
                let entry = Entry {
                    queue,
                    members: vec![token],
                    confirmed: false,
                    reassembly: Reassembly::default(),
                };
                self.by_pattern.insert(pattern.clone(), entry);
                Added::Subscribe(subscription)
            }
        };
        self.by_token.insert(token, pattern);
        self.waits.set(token, (!matches!(added, Added::Confirmed)).then_some(waits_until));
        Ok(added)
    }

    /// Removes a member. Returns the pattern when it was the last one and the broker must be told.
    pub(super) fn remove(&mut self, token: T) -> Option<Pattern> {
        let pattern = self.by_token.remove(&token)?;
        self.waits.set(token, None);
        let entry = self.by_pattern.get_mut(&pattern)?;
        entry.members.retain(|member| *member != token);
        if !entry.members.is_empty() {
            return None;
        }
        self.by_pattern.remove(&pattern);
        Some(pattern)
    }

    /// Notes that the broker has confirmed a pattern. Returns the members that waited for it.
    pub(super) fn confirm(&mut self, pattern: &Pattern) -> Vec<T> {
        let Some(entry) = self.by_pattern.get_mut(pattern) else { return Vec::new() };
        entry.confirmed = true;
        let waits = &mut self.waits;
        entry.members.iter().copied().filter(|token| waits.take(*token)).collect()
    }

    /// Notes that the broker has refused a pattern: removes the members that still wait for it; the others
    /// stay, and it is retried.
    pub(super) fn refuse(&mut self, pattern: &Pattern) -> Vec<T> {
        let Some(entry) = self.by_pattern.get(pattern) else { return Vec::new() };
        let waiting: Vec<T> =
            entry.members.iter().copied().filter(|token| self.waits.contains(*token)).collect();
        waiting.iter().for_each(|token| drop(self.remove(*token)));
        waiting
    }

    /// Notes that the broker has dropped a pattern. Returns whether it had confirmed it.
    pub(super) fn unconfirm(&mut self, pattern: &Pattern) -> bool {
        self.by_pattern.get_mut(pattern).is_some_and(|entry| std::mem::take(&mut entry.confirmed))
    }

    pub(super) fn contains(&self, pattern: &Pattern) -> bool {
        self.by_pattern.contains_key(pattern)
    }

    /// Marks everything as unconfirmed, for a new connection. Returns what the broker must be told, in a
    /// fixed order.
    pub(super) fn resubscribe(&mut self) -> Vec<Subscription> {
        let mut all: Vec<Subscription> = self
            .by_pattern
            .iter_mut()
            .map(|(pattern, entry)| {
                entry.confirmed = false;
                entry.reassembly = Reassembly::default();
                Subscription { pattern: pattern.as_str().into(), queue: Some(entry.queue.clone()) }
            })
            .collect();
        all.sort_unstable_by(|a, b| a.pattern.cmp(&b.pattern));
        all
    }

    /// Returns what the broker lacks of all this, if `listed` is what it has; in a fixed order.
    pub(super) fn missing(&self, listed: &HashSet<&str>) -> Vec<Subscription> {
        let is_missing = |pattern: &&Pattern| !listed.contains(pattern.as_str());
        let mut missing: Vec<Subscription> =
            self.by_pattern.keys().filter(is_missing).filter_map(|pattern| self.again(pattern)).collect();
        missing.sort_unstable_by(|a, b| a.pattern.cmp(&b.pattern));
        missing
    }

    /// Returns a subscription to retry that the broker refused after a reconnect.
    pub(super) fn again(&self, pattern: &Pattern) -> Option<Subscription> {
        let entry = self.by_pattern.get(pattern)?;
        Some(Subscription { pattern: pattern.as_str().into(), queue: Some(entry.queue.clone()) })
    }

    /// Takes a chunk for `pattern`. If it completes a message, calls `deliver` for each member.
    pub(super) fn handle_chunk(
        &mut self,
        now: Instant,
        pattern: &Pattern,
        publication: Publication,
        mut deliver: impl FnMut(T, Message),
    ) {
        let Some(entry) = self.by_pattern.get_mut(pattern) else { return };
        let Some(message) = entry.reassembly.handle_chunk(now, publication) else { return };
        if let Some((last, others)) = entry.members.split_last() {
            others.iter().for_each(|token| deliver(*token, message.clone()));
            deliver(*last, message);
        }
    }

    /// Returns the members that get the messages for `pattern`.
    pub(super) fn members(&self, pattern: &Pattern) -> &[T] {
        self.by_pattern.get(pattern).map_or(&[], |entry| &entry.members)
    }

    /// Removes the next member whose confirmation did not arrive in time. Returns it with the pattern, and
    /// whether that is no longer wanted.
    pub(super) fn pop_expired(&mut self, now: Instant) -> Option<(T, Pattern, bool)> {
        let token = self.waits.pop_due(now)?;
        let pattern = self.by_token.get(&token)?.clone();
        let unwanted = self.remove(token).is_some();
        Some((token, pattern, unwanted))
    }

    pub(super) fn patterns(&self) -> impl Iterator<Item = &Pattern> {
        self.by_pattern.keys()
    }

    /// Returns the bytes of incomplete messages.
    pub(super) fn partial_bytes(&self) -> usize {
        self.by_pattern.values().map(|entry| entry.reassembly.bytes()).sum()
    }

    /// Drops all messages that have come in part.
    pub(super) fn forget_parts(&mut self) {
        self.by_pattern.values_mut().for_each(|entry| entry.reassembly = Reassembly::default());
    }

    /// Drops messages that have come in part and are too old.
    pub(super) fn prune(&mut self, now: Instant) {
        self.by_pattern.values_mut().for_each(|entry| entry.reassembly.drop_old(now));
    }

    pub(super) fn next_deadline(&self) -> Option<Instant> {
        self.waits.next()
    }

    /// Returns how many chunked messages were given up.
    pub(super) fn dropped(&self) -> u64 {
        self.by_pattern.values().map(|entry| entry.reassembly.dropped()).sum()
    }
}
