//! What the broker answers: sign-in, acknowledgements, and whether it has every subscription.

use std::time::{Duration, Instant};

use super::super::acks::Awaited;
use super::super::inbox::RequestId;
use super::super::requests::PendingRequest;
use super::super::session::Phase;
use super::super::{ClientError, ClientEvent, SessionState};
use super::Client;
use crate::subject::Pattern;
use crate::wire::{AckId, ClientOp, Info, OpError, Reassembly, Reply, SubscribeStatus, Subscription};

impl<T: Copy + Ord + std::hash::Hash> Client<T> {
    pub(super) fn handle_ack(&mut self, now: Instant, id: AckId, reply: Reply) {
        let Self { requests, subscriptions, out, .. } = self;
        match (out.acks.take(id), reply) {
            (Some(Awaited::Count(id)), Reply::Published { count }) => {
                requests.handle_count(now, out, id, count)
            }
            (Some(Awaited::Interest(id)), Reply::Interest(there)) => {
                requests.handle_interest(now, out, id, there)
            }
            (Some(Awaited::List(id)), Reply::Strings(list)) => {
                if let Some(list) = requests.handle_list(out, id, list) {
                    self.repair(id, &list);
                }
            }
            (Some(Awaited::Repair(id, missing)), Reply::Subscribed(statuses)) => {
                self.handle_statuses(now, &missing, statuses.into_iter());
                self.requests.finish_sync(&mut self.out, id);
            }
            (
                Some(Awaited::Count(id) | Awaited::Interest(id) | Awaited::List(id) | Awaited::Repair(id, _)),
                Reply::Error(error),
            ) => {
                requests.handle_refused(out, id, error);
            }
            (Some(Awaited::Subscription(pattern)), Reply::Subscribed(statuses)) => {
                let status = statuses.into_iter().next().unwrap_or(Ok(SubscribeStatus::Added));
                subscriptions.handle_status(now, out, &pattern, status);
            }
            (Some(Awaited::Subscription(pattern)), Reply::Error(error)) => {
                subscriptions.handle_status(now, out, &pattern, Err(error));
            }
            (Some(Awaited::Drain(pattern, drain)), _) => subscriptions.handle_drained(out, &pattern, drain),
            (Some(Awaited::Sync(subscriptions)), reply) => self.handle_sync(now, &subscriptions, reply),
            _ => {}
        }
    }

    /// Signs in: subscribes to the inbox and to everything else.
    pub(super) fn handle_info(&mut self, info: Box<Info>) {
        match self.session.phase() {
            Phase::AwaitingInfo { .. } => {}
            Phase::Ready if info.user.is_ok() && info.id != self.server => return self.handle_moved(info),
            _ => return,
        }
        if let Err(error) = &info.user {
            self.out.emit(ClientEvent::Session(SessionState::SignInFailed(error.clone())));
            if self.parting.is_some() {
                return self.finish();
            }
            return self.session.drop_link();
        }
        self.session.handle_info();
        self.server.clone_from(&info.id);
        self.out.ops.set_max_message(info.max_message);
        self.out.ops.set_max_payload(info.max_payload, info.large);
        self.is_other_broker |= self.instance.is_some() && self.instance != info.instance;
        self.instance.clone_from(&info.instance);
        self.out.ops.push(ClientOp::InfoReceived);
        if self.finish_parting() {
            return;
        }
        self.out.emit(ClientEvent::Session(SessionState::SignedIn(info)));
        let inbox = self.requests.inbox.subscription(self.entropy.as_mut());
        self.requests.inbox.replies = Reassembly::default();
        let mut subscriptions = self.subscriptions.resubscribe();
        subscriptions.insert(0, inbox);
        self.out.push_awaiting(Awaited::Sync(subscriptions.clone()), |ack| ClientOp::Subscribe {
            ack: Some(ack),
            subscriptions,
            list: true,
        });
    }

    /// Handles that the link is to another server by now, which has all subscriptions.
    fn handle_moved(&mut self, info: Box<Info>) {
        self.server.clone_from(&info.id);
        self.out.ops.set_max_payload(info.max_payload, info.large);
        self.out.emit(ClientEvent::Session(SessionState::SignedIn(info)));
    }

    /// Handles that everything is subscribed again, or will be tried again. Only now may requests leave.
    fn handle_sync(&mut self, now: Instant, subscriptions: &[Subscription], reply: Reply) {
        let statuses = if let Reply::Subscribed(statuses) = reply { statuses } else { Vec::new() };
        match statuses.first() {
            Some(Ok(_)) => {}
            Some(Err(error)) => return self.handle_inbox_refused(error.clone()),
            None => return self.session.drop_link(),
        }
        self.handle_statuses(now, &subscriptions[1..], statuses.into_iter().skip(1));
        if self.session.handle_synced(now) {
            self.out.emit(ClientEvent::Session(SessionState::Ready));
            let own_absence =
                self.lost_at.take().map_or(Duration::ZERO, |at| now.saturating_duration_since(at));
            if std::mem::take(&mut self.is_other_broker) {
                self.requests.handle_broker_ended(now, own_absence);
            }
            if !self.requests.is_holding() {
                self.requests.handle_ready(now, &mut self.out);
            }
        }
    }

    /// Fails whatever waited for the inbox, without which this connection is of no use. The sockets' own
    /// commands are kept: the next connection may have the permission, and one that was missing for a moment
    /// must not cost a session.
    fn handle_inbox_refused(&mut self, error: OpError) {
        let why = ClientError::InboxRefused { inbox: self.requests.inbox.pattern().to_string(), error };
        self.requests.fail_where(&mut self.out, &why, PendingRequest::is_waiting_request);
        self.out.emit(ClientEvent::Session(SessionState::Ending(why)));
        self.session.drop_link();
    }

    pub(super) fn handle_loss(&mut self, reason: String) {
        self.out.emit(ClientEvent::Session(SessionState::Lost(reason.clone())));
        self.requests.handle_loss(&mut self.out);
        self.subscriptions.handle_loss(&mut self.out);
        self.out.emit(ClientEvent::Session(SessionState::Disconnected(reason)));
    }

    /// Handles that the broker no longer permits a subscription.
    pub(super) fn handle_revoked(&mut self, now: Instant, subject: &str, message: &str) {
        let Ok(pattern) = Pattern::parse(subject) else { return };
        if pattern != *self.requests.inbox.pattern() {
            self.subscriptions.handle_revoked(now, &mut self.out, pattern, message);
        } else if self.session.is_ready() {
            // Without an inbox this connection is of no use.
            self.session.drop_link();
        }
    }

    /// Tells the broker what it lacks and what it has too much. What has changed here meanwhile is sent
    /// anyway, and does no harm twice.
    fn repair(&mut self, id: RequestId, list: &[String]) {
        let inbox = &self.requests.inbox;
        let (mut missing, unwanted) = self.subscriptions.difference(list, inbox.pattern());
        if !list.iter().any(|text| text == inbox.pattern().as_str()) {
            missing.insert(0, inbox.subscription(self.entropy.as_mut()));
        }
        if !unwanted.is_empty() {
            self.out.ops.push(ClientOp::Unsubscribe {
                ack: None,
                patterns: unwanted,
                list: true,
                drain: false,
            });
        }
        if missing.is_empty() {
            return self.requests.finish_sync(&mut self.out, id);
        }
        self.out.push_awaiting(Awaited::Repair(id, missing.clone()), |ack| ClientOp::Subscribe {
            ack: Some(ack),
            subscriptions: missing,
            list: true,
        });
    }

    fn handle_statuses(
        &mut self,
        now: Instant,
        subscriptions: &[Subscription],
        statuses: impl Iterator<Item = Result<SubscribeStatus, OpError>>,
    ) {
        for (subscription, status) in subscriptions.iter().zip(statuses) {
            if let Ok(pattern) = Pattern::parse(&subscription.pattern) {
                self.subscriptions.handle_status(now, &mut self.out, &pattern, status);
            }
        }
    }
}
