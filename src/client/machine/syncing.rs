//! Signing in, subscribing again after a reconnect, and what a lost link leaves open.

use std::time::{Duration, Instant};

use super::super::requests::{PendingRequest, RequestId, RequestKind, Step};
use super::super::session::Phase;
use super::super::{ClientError, ClientEvent, SessionState};
use super::{Awaited, Client};
use crate::subject::Pattern;
use crate::wire::{ClientOp, Info, OpError, Reassembly, Reply, Subscription};

impl<T: Copy + Ord + std::hash::Hash> Client<T> {
    pub(super) fn handle_info(&mut self, info: Info) {
        if !matches!(self.session.phase(), Phase::AwaitingInfo { .. }) {
            return;
        }
        if let Err(error) = &info.user {
            self.events.push_back(ClientEvent::Session(SessionState::SignInFailed(error.message.clone())));
            self.session.drop_link();
            return;
        }
        self.session.handle_info();
        self.max_payload = info.max_payload;
        self.ops.push(ClientOp::InfoReceived);
        self.events.push_back(ClientEvent::Session(SessionState::SignedIn(info)));
        let inbox = self.inbox_subscription();
        self.replies = Reassembly::default();
        let mut subscriptions = self.subscriptions.resubscribe();
        subscriptions.insert(0, inbox);
        let ack = self.await_ack(Awaited::Sync(subscriptions.clone()));
        self.ops.push(ClientOp::Subscribe { ack: Some(ack), subscriptions, list: true });
    }

    pub(super) fn handle_loss(&mut self, reason: String) {
        let mut lost: Vec<RequestId> = Vec::new();
        for awaited in std::mem::take(&mut self.acks).into_values() {
            if let Awaited::Count(id) = awaited {
                lost.push(id);
            }
        }
        lost.sort_unstable();
        for id in lost {
            // A request may have been received, and its reply finds the inbox; a confirmation cannot arrive
            // any more.
            let Some(pending) = self.requests.get(id) else { continue };
            if pending.request.kind.wants_reply() {
                self.requests.advance(id, Step::AwaitingReply);
            } else {
                let subject = pending.request.message.subject.to_string();
                self.fail(id, ClientError::ConnectionLost { subject });
            }
        }
        self.refused.clear();
        self.retry_at = None;
        self.events.push_back(ClientEvent::Session(SessionState::Disconnected(reason)));
    }

    /// Fails whatever waited for the inbox, without which this connection is of no use. The sockets' own
    /// commands are kept: the next connection may have the permission, and one that was missing for a moment
    /// must not cost a session.
    fn handle_inbox_refused(&mut self, error: OpError) {
        let why = ClientError::InboxRefused { inbox: self.inbox_pattern.to_string(), error };
        let waits = |pending: &PendingRequest<T>| {
            pending.step == Step::AwaitingConnection && pending.request.kind != RequestKind::Command
        };
        for id in self.requests.keys(waits) {
            self.fail(id, why.clone());
        }
        self.events.push_back(ClientEvent::Session(SessionState::Ending(why)));
        self.session.drop_link();
    }

    /// Handles that everything is subscribed again, or will be retried. Only now may requests leave, because
    /// their replies find the inbox.
    pub(super) fn handle_sync(&mut self, now: Instant, subscriptions: &[Subscription], reply: Reply) {
        let statuses = if let Reply::Subscribed(statuses) = reply { statuses } else { Vec::new() };
        match statuses.first() {
            Some(Ok(_)) => {}
            Some(Err(error)) => return self.handle_inbox_refused(error.clone()),
            None => return self.session.drop_link(),
        }
        for (subscription, status) in subscriptions.iter().zip(statuses).skip(1) {
            if let Ok(pattern) = Pattern::parse(&subscription.pattern) {
                self.handle_subscription(now, &pattern, status.err());
            }
        }
        if self.session.handle_synced(now) {
            self.events.push_back(ClientEvent::Session(SessionState::Ready));
            // These were counted 0 before the loss; what they wait for has not changed. First, since `put`
            // makes more of them.
            for id in self.requests.keys(|pending| pending.step == Step::AwaitingInterest) {
                self.await_interest(id);
            }
            let is_open = |step| matches!(step, Step::AwaitingConnection | Step::AwaitingList);
            for id in self.requests.keys(|pending| is_open(pending.step)) {
                self.put(id);
            }
        }
    }

    /// Returns the subscription of the inbox, which this connection shares with no other.
    pub(super) fn inbox_subscription(&mut self) -> Subscription {
        Subscription { pattern: self.inbox_pattern.as_str().into(), queue: Some(self.entropy.id().into()) }
    }

    pub(super) fn handle_subscription(&mut self, now: Instant, pattern: &Pattern, error: Option<OpError>) {
        let Some(error) = error else {
            let confirmed = self.subscriptions.confirm(pattern);
            return self.events.extend(confirmed.into_iter().map(ClientEvent::Subscribed));
        };
        tracing::warn!(%pattern, %error, "subscription refused");
        for token in self.subscriptions.refuse(pattern) {
            self.events.push_back(ClientEvent::Failed(token, ClientError::Refused(error.clone())));
        }
        if self.subscriptions.contains(pattern) {
            self.refused.push(pattern.clone());
            self.retry_at = self.retry_at.or(Some((now + FIRST_RETRY, FIRST_RETRY)));
        }
    }

    /// Handles that the broker no longer permits a subscription. It is retried for as long as it is wanted
    /// here.
    pub(super) fn handle_revoked(&mut self, now: Instant, subject: &str) {
        let Ok(pattern) = Pattern::parse(subject) else { return };
        if pattern == self.inbox_pattern {
            if self.session.is_ready() {
                // Without an inbox this connection is of no use.
                self.session.drop_link();
            }
        } else if self.subscriptions.unconfirm(&pattern) {
            self.refused.push(pattern);
            self.retry_at = self.retry_at.or(Some((now + FIRST_RETRY, FIRST_RETRY)));
        }
    }

    pub(super) fn retry_refused(&mut self) {
        let Some((at, pause)) = self.retry_at.take() else { return };
        let refused = std::mem::take(&mut self.refused);
        for pattern in refused {
            if let Some(subscription) = self.subscriptions.again(&pattern) {
                self.send_subscribe(pattern, subscription);
                let pause = (pause * 2).min(MAX_RETRY);
                self.retry_at = Some((at + pause, pause));
            }
        }
    }

    pub(super) fn send_subscribe(&mut self, pattern: Pattern, subscription: Subscription) {
        if self.session.is_signed_in() {
            let ack = self.await_ack(Awaited::Subscription(pattern));
            self.ops.push(ClientOp::Subscribe {
                ack: Some(ack),
                subscriptions: vec![subscription],
                list: false,
            });
        }
    }

    pub(super) fn send_unsubscribe(&mut self, pattern: &Pattern) {
        if self.session.is_signed_in() {
            let patterns = vec![pattern.as_str().into()];
            self.ops.push(ClientOp::Unsubscribe { ack: None, patterns, list: false });
        }
    }
}

/// First and longest pause before a refused subscription is tried again after a reconnect.
const FIRST_RETRY: Duration = Duration::from_secs(1);
const MAX_RETRY: Duration = Duration::from_secs(15);
