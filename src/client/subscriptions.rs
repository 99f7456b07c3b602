//! The client's subscriptions: pattern by pattern, shared by all members.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use foldhash::fast::RandomState;

use super::acks::Awaited;
use super::drains::{DrainId, Drains};
use super::outputs::Outputs;
use super::{ClientError, ClientEvent};
use crate::base::{Code, Deadlines, earliest};
use crate::subject::Pattern;
use crate::wire::{
    Claim, ClientOp, Message, OpError, Publication, Reassembly, SubscribeStatus, Subscription,
    SubscriptionClass,
};

/// Patterns, each with one subscription at the broker and any number of members here.
#[derive(Debug)]
pub(super) struct Subscriptions<T> {
    /// Our own, never a peer's choice.
    by_pattern: HashMap<Pattern, Entry<T>, RandomState>,
    by_token: HashMap<T, Pattern, RandomState>,
    /// The only member of the pattern that was looked for last, until members change.
    latest: Option<(Pattern, T)>,
    /// Those that end behind their last delivery.
    draining: Drains<Entry<T>>,
    /// Members that wait for the confirmation, and until when.
    waits: Deadlines<T>,
    retries: Retries,
}

/// Patterns that the broker refused after a reconnect, or has revoked since: tried again, ever more rarely.
#[derive(Debug, Default)]
struct Retries {
    refused: Vec<Pattern>,
    /// When, and the pause before that.
    next: Option<(Instant, Duration)>,
}

#[derive(Debug)]
struct Entry<T> {
    queue: Arc<str>,
    /// Whether the application has named the queue, and whose it is.
    class: SubscriptionClass,
    /// In the order of their creation.
    members: Vec<T>,
    confirmed: bool,
    /// How the pattern is claimed, if this connection is to have it to itself.
    exclusive: Option<Claim>,
    reassembly: Reassembly,
}

/// Who shares the messages of a subscription.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SubscriptionKind {
    /// The members of this queue; `None`: nobody.
    Shared(Option<Arc<str>>),
    /// Nobody, and what comes has this one receiver.
    Owned,
    /// The same, and no other connection may have the pattern: the newest takes it, where the broker can
    /// tell.
    Exclusive,
}

impl<T: Copy> Entry<T> {
    fn tell_revoked(&self, out: &mut Outputs<T>, error: &OpError) {
        out.events.extend(self.members.iter().map(|token| ClientEvent::Revoked(*token, error.clone())));
    }

    fn subscription(&self, pattern: &Pattern) -> Subscription {
        let (pattern, queue) = (pattern.as_str().into(), Some(self.queue.clone()));
        Subscription { pattern, queue, class: self.class, exclusive: self.exclusive }
    }
}

/// The outcome of adding a member.
enum Added {
    /// The broker does not know it yet.
    Subscribe(Subscription),
    /// The broker knows, and has not confirmed it yet.
    Pending,
    /// Messages flow already.
    Confirmed,
}

impl<T: Copy + Ord + std::hash::Hash> Subscriptions<T> {
    pub(super) fn new() -> Self {
        Self {
            latest: None,
            by_pattern: HashMap::default(),
            by_token: HashMap::default(),
            draining: Drains::default(),
            waits: Deadlines::new(),
            retries: Retries::default(),
        }
    }

    /// Subscribes for `token`, at the broker if it does not know the pattern; `fresh_queue` names the queue
    /// group if the caller has no preference.
    pub(super) fn subscribe(
        &mut self,
        link: &mut Link<'_, T>,
        token: T,
        pattern: Pattern,
        kind: SubscriptionKind,
        fresh_queue: Arc<str>,
        waits_until: Instant,
    ) {
        match self.add(token, pattern.clone(), kind, fresh_queue, waits_until) {
            Ok(Added::Subscribe(subscription)) => link.subscribe(pattern, subscription),
            Ok(Added::Pending) => {}
            Ok(Added::Confirmed) => link.out.emit(ClientEvent::Subscribed(token)),
            Err(error) => link.out.emit(ClientEvent::Failed(token, error)),
        }
    }

    /// Ends the subscription of `token`, confirmed or not.
    pub(super) fn unsubscribe(&mut self, link: &mut Link<'_, T>, token: T) {
        if let Some(pattern) = self.remove(token) {
            link.unsubscribe(&pattern);
        }
    }

    /// Ends the subscription of `token` behind the last message that the broker has for it: `Drained` comes.
    /// Where others share it, they take what comes.
    pub(super) fn drain(&mut self, link: &mut Link<'_, T>, token: T) {
        let pattern = self.by_token.get(&token).cloned();
        let is_only =
            |pattern: &Pattern| self.by_pattern.get(pattern).is_some_and(|entry| entry.members.len() == 1);
        let Some(pattern) = pattern.filter(|pattern| link.is_signed_in && is_only(pattern)) else {
            self.unsubscribe(link, token);
            return link.out.emit(ClientEvent::Drained(token));
        };
        self.by_token.remove(&token);
        self.waits.set(token, None);
        self.latest = None;
        let Some(entry) = self.by_pattern.remove(&pattern) else { return };
        let drain = self.draining.begin(pattern.clone(), entry);
        link.drain(pattern, drain);
    }

    /// Handles that nothing more comes for it.
    pub(super) fn handle_drained(&mut self, out: &mut Outputs<T>, pattern: &Pattern, drain: DrainId) {
        let entry = self.draining.remove(pattern, drain);
        out.events.extend(entry.into_iter().flat_map(|entry| entry.members).map(ClientEvent::Drained));
    }

    /// Handles that the broker has confirmed a pattern, or refused it. Of a refused one the members that
    /// wait are removed; for the others it is tried again.
    pub(super) fn handle_status(
        &mut self,
        now: Instant,
        out: &mut Outputs<T>,
        pattern: &Pattern,
        status: Result<SubscribeStatus, OpError>,
    ) {
        let Some(entry) = self.by_pattern.get_mut(pattern) else { return };
        let error = match status {
            Err(error) => error,
            Ok(SubscribeStatus::Superseded) => return self.handle_superseded(out, pattern),
            Ok(status) => {
                entry.confirmed = true;
                if let (SubscribeStatus::Exclusive(token), Some(claim)) = (status, &mut entry.exclusive) {
                    *claim = Claim::Returning(token);
                }
                let waiting = entry.members.iter().copied().filter(|token| self.waits.take(*token));
                return out.events.extend(waiting.map(ClientEvent::Subscribed));
            }
        };
        tracing::warn!(%pattern, %error, "subscription refused");
        let waiting: Vec<T> =
            entry.members.iter().copied().filter(|token| self.waits.contains(*token)).collect();
        for token in waiting {
            self.remove(token);
            out.emit(ClientEvent::Failed(token, ClientError::Refused(error.clone())));
        }
        if let Some(entry) = self.by_pattern.get(pattern) {
            if error.code == Code::NotPermitted.number() {
                entry.tell_revoked(out, &error);
            }
            self.retries.add(now, pattern.clone());
        }
    }

    /// Handles that a newer connection has a pattern to itself.
    pub(super) fn handle_superseded(&mut self, out: &mut Outputs<T>, pattern: &Pattern) {
        if self.by_pattern.get(pattern).is_some_and(|entry| entry.exclusive.is_some()) {
            self.latest = None;
            let members = self.by_pattern.remove(pattern).map(|entry| entry.members).unwrap_or_default();
            for token in members {
                self.by_token.remove(&token);
                self.waits.set(token, None);
                out.emit(ClientEvent::Superseded(token));
            }
        }
    }

    /// Handles that the broker no longer permits a subscription. It is tried again for as long as it is
    /// wanted here.
    pub(super) fn handle_revoked(
        &mut self,
        now: Instant,
        out: &mut Outputs<T>,
        pattern: Pattern,
        message: &str,
    ) {
        let Some(entry) = self.by_pattern.get_mut(&pattern) else { return };
        if std::mem::take(&mut entry.confirmed) {
            let error = OpError { message: message.to_owned(), code: Code::NotPermitted.number() };
            entry.tell_revoked(out, &error);
            self.retries.add(now, pattern);
        }
    }

    /// Fails the members whose confirmation did not arrive in time, and tries again what was refused.
    pub(super) fn handle_timeout(&mut self, now: Instant, link: &mut Link<'_, T>) {
        while let Some(token) = self.waits.pop_due(now) {
            let Some(pattern) = self.by_token.get(&token).cloned() else { continue };
            self.unsubscribe(link, token);
            let error = ClientError::Timeout { what: "subscribe", subject: pattern.to_string() };
            link.out.emit(ClientEvent::Failed(token, error));
        }
        let Some((at, pause)) = self.retries.next.filter(|(at, _)| *at <= now) else { return };
        self.retries.next = None;
        for pattern in std::mem::take(&mut self.retries.refused) {
            if let Some(subscription) = self.again(&pattern) {
                link.subscribe(pattern, subscription);
                let pause = (pause * 2).min(MAX_RETRY);
                self.retries.next = Some((at + pause, pause));
            }
        }
    }

    /// Forgets what was to be tried again: a new connection subscribes to everything anyway. Drains are over:
    /// what was on its way is lost, as for any subscription.
    pub(super) fn handle_loss(&mut self, out: &mut Outputs<T>) {
        self.retries = Retries::default();
        let members = self.draining.take_all().flat_map(|entry| entry.members);
        out.events.extend(members.map(ClientEvent::Drained));
    }

    /// Adds a member; `fresh_queue` names the queue group if the caller has no preference.
    fn add(
        &mut self,
        token: T,
        pattern: Pattern,
        kind: SubscriptionKind,
        fresh_queue: Arc<str>,
        waits_until: Instant,
    ) -> Result<Added, ClientError> {
        let (queue, class, exclusive) = match kind {
            SubscriptionKind::Shared(None) => (None, SubscriptionClass::Plain, None),
            SubscriptionKind::Shared(queue) => (queue, SubscriptionClass::Shared, None),
            SubscriptionKind::Owned => (None, SubscriptionClass::Direct, None),
            SubscriptionKind::Exclusive => (None, SubscriptionClass::Direct, Some(Claim::Fresh)),
        };
        self.latest = None;
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
                let entry = Entry {
                    queue,
                    class,
                    members: vec![token],
                    confirmed: false,
                    exclusive,
                    reassembly: Reassembly::default(),
                };
                let subscription = entry.subscription(&pattern);
                self.by_pattern.insert(pattern.clone(), entry);
                Added::Subscribe(subscription)
            }
        };
        self.by_token.insert(token, pattern);
        self.waits.set(token, (!matches!(added, Added::Confirmed)).then_some(waits_until));
        Ok(added)
    }

    /// Removes a member. Returns the pattern when it was the last one and the broker must be told.
    fn remove(&mut self, token: T) -> Option<Pattern> {
        self.latest = None;
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

    fn contains(&self, pattern: &Pattern) -> bool {
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
                entry.subscription(pattern)
            })
            .collect();
        // A listener's own subject before the one of all listeners: it is back before it is another one.
        all.sort_unstable_by_key(|one| (is_of_all_listeners(&one.pattern), one.pattern.clone()));
        all
    }

    /// Returns what the broker lacks of all this if it has `list`, in a fixed order, and what of that is not
    /// wanted here; the inbox is.
    pub(super) fn difference(&self, list: &[String], inbox: &Pattern) -> (Vec<Subscription>, Vec<Arc<str>>) {
        let listed: HashSet<&str> = list.iter().map(String::as_str).collect();
        let is_missing = |pattern: &&Pattern| !listed.contains(pattern.as_str());
        let mut missing: Vec<Subscription> =
            self.by_pattern.keys().filter(is_missing).filter_map(|pattern| self.again(pattern)).collect();
        missing.sort_unstable_by(|a, b| a.pattern.cmp(&b.pattern));
        let is_wanted = |text: &str| {
            text == inbox.as_str() || Pattern::parse(text).is_ok_and(|pattern| self.contains(&pattern))
        };
        let unwanted = list.iter().filter(|text| !is_wanted(text)).map(|text| text.as_str().into()).collect();
        (missing, unwanted)
    }

    /// Returns a subscription to retry that the broker refused after a reconnect.
    fn again(&self, pattern: &Pattern) -> Option<Subscription> {
        Some(self.by_pattern.get(pattern)?.subscription(pattern))
    }

    /// Takes a chunk for `pattern`. If it completes a message, calls `deliver` for each member.
    pub(super) fn handle_chunk(
        &mut self,
        now: Instant,
        pattern: &Pattern,
        publication: Publication,
        mut deliver: impl FnMut(T, Message),
    ) {
        let begun = publication.part().and_then(|chunk| {
            let holds = |reassembly: &Reassembly| reassembly.holds(&publication.subject, &chunk.id);
            self.draining.find(pattern, |entry| holds(&entry.reassembly))
        });
        let entry = match begun.or_else(|| self.draining_owner(pattern)) {
            Some(drain) => self.draining.get_mut(pattern, drain),
            None => self.by_pattern.get_mut(pattern),
        };
        let Some(entry) = entry else { return };
        let Some(message) = entry.reassembly.handle_chunk(now, publication) else { return };
        if let Some((last, others)) = entry.members.split_last() {
            others.iter().for_each(|token| deliver(*token, message.clone()));
            deliver(*last, message);
        }
    }

    /// Returns the members that get the messages for `pattern`.
    pub(super) fn members(&self, pattern: &Pattern) -> &[T] {
        let entry = match self.draining_owner(pattern) {
            Some(drain) => self.draining.get(pattern, drain),
            None => self.by_pattern.get(pattern),
        };
        entry.map_or(&[], |entry| &entry.members)
    }

    /// Returns the member that gets the messages for `pattern`, if there is one and nothing drains.
    pub(super) fn only_member(&mut self, pattern: &Pattern) -> Option<T> {
        if !self.draining.is_empty() {
            return None;
        }
        if let Some((latest, token)) = &self.latest
            && latest.is_same(pattern)
        {
            return Some(*token);
        }
        let [only] = self.by_pattern.get(pattern)?.members[..] else { return None };
        self.latest = Some((pattern.clone(), only));
        Some(only)
    }

    /// Returns the drain that a message for `pattern` is for: the last one, unless a subscription stands.
    fn draining_owner(&self, pattern: &Pattern) -> Option<DrainId> {
        if self.draining.is_empty() {
            return None;
        }
        let stands = self.by_pattern.get(pattern).is_some_and(|entry| entry.confirmed);
        if stands { None } else { self.draining.find(pattern, |_| true) }
    }

    pub(super) fn patterns(&self) -> impl Iterator<Item = &Pattern> {
        self.by_pattern.keys()
    }

    /// Returns the bytes of incomplete messages.
    pub(super) fn partial_bytes(&self) -> usize {
        self.entries().map(|entry| entry.reassembly.bytes()).sum()
    }

    /// Drops all messages that have come in part, and what drains.
    pub(super) fn handle_close(&mut self) {
        self.draining = Drains::default();
        self.entries_mut().for_each(|entry| entry.reassembly = Reassembly::default());
    }

    /// Drops messages that have come in part and are too old.
    pub(super) fn prune(&mut self, now: Instant) {
        self.entries_mut().for_each(|entry| entry.reassembly.drop_old(now));
    }

    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        earliest([self.waits.next(), self.retries.next.map(|(at, _)| at)])
    }

    /// Returns how many chunked messages were given up.
    pub(super) fn dropped(&self) -> u64 {
        self.entries().map(|entry| entry.reassembly.dropped()).sum()
    }

    fn entries(&self) -> impl Iterator<Item = &Entry<T>> {
        self.by_pattern.values().chain(self.draining.entries())
    }

    fn entries_mut(&mut self) -> impl Iterator<Item = &mut Entry<T>> {
        self.by_pattern.values_mut().chain(self.draining.entries_mut())
    }
}

impl Retries {
    fn add(&mut self, now: Instant, pattern: Pattern) {
        self.refused.push(pattern);
        self.next.get_or_insert((now + FIRST_RETRY, FIRST_RETRY));
    }
}

/// The outputs of a client, and whether the broker takes subscriptions: before the sign-in all of them are
/// sent together.
pub(super) struct Link<'a, T> {
    pub(super) out: &'a mut Outputs<T>,
    pub(super) is_signed_in: bool,
}

impl<T> Link<'_, T> {
    fn subscribe(&mut self, pattern: Pattern, subscription: Subscription) {
        if self.is_signed_in {
            let subscriptions = vec![subscription];
            self.out.push_awaiting(Awaited::Subscription(pattern), |ack| ClientOp::Subscribe {
                ack: Some(ack),
                subscriptions,
                list: false,
            });
        }
    }

    fn unsubscribe(&mut self, pattern: &Pattern) {
        if self.is_signed_in {
            let patterns = vec![pattern.as_str().into()];
            self.out.ops.push(ClientOp::Unsubscribe { ack: None, patterns, list: false, drain: false });
        }
    }

    fn drain(&mut self, pattern: Pattern, drain: DrainId) {
        let patterns = vec![pattern.as_str().into()];
        self.out.push_awaiting(Awaited::Drain(pattern, drain), |ack| ClientOp::Unsubscribe {
            ack: Some(ack),
            patterns,
            list: false,
            drain: true,
        });
    }
}

/// Whether clients find listeners there.
fn is_of_all_listeners(pattern: &str) -> bool {
    pattern.ends_with(".server.status") || pattern.ends_with(".server.~.*")
}

/// First and longest pause before a refused subscription is tried again.
const FIRST_RETRY: Duration = Duration::from_secs(1);
const MAX_RETRY: Duration = Duration::from_secs(15);
