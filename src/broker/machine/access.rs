//! Authentication and permissions: carries out what the application decides.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Instant;

use super::super::account::Owner;
use super::super::admission::{self, Denied};
use super::super::auth_request::{Action, AuthRequest, AuthRequestId, ConnectionInfo, Decision};
use super::super::authorizer::{Authorizer, is_system};
use super::super::error::Refusal;
use super::super::peer::Peer;
use super::super::pending_ops::{Claim, PendingOps, Verdict};
use super::super::watches::Notices;
use super::super::{DisconnectReason, EndReason, JournalKind, PeerId, RefusedFor, RefusedOp, Unwanted};
use super::{Broker, INFO_INTERVAL, INFO_REPEAT_TIMEOUT};
use crate::base::Code;
use crate::subject::Pattern;
use crate::wire::{
    AckId, ClientOp, Json, OpError, Presence, Publication, Reply, ServerOp, SubscribeStatus, Subscription,
};

impl Broker {
    /// Attaches a connection whose link is up. Its user is asked for if the configuration says so; otherwise
    /// it is `null`.
    pub fn attach_connection(&mut self, now: Instant, connection: ConnectionInfo) -> PeerId {
        let peer = self.peers.attach(connection.id.clone(), connection.address.clone());
        if let Some(entry) = self.peers.get_mut(peer) {
            entry.carrier = connection.carrier;
        }
        if !self.enter(peer) {
            return peer;
        }
        match &mut self.authorizer {
            Some(authorizer) if authorizer.config().asks_user => {
                if let Some(entry) = self.peers.get_mut(peer) {
                    entry.head =
                        connection.headers.iter().map(|(name, value)| name.len() + value.len()).sum();
                }
                if !authorizer.ask_user(now, peer, connection) {
                    let limit = super::super::authorizer::MAX_SIGNING_IN;
                    self.refuse_sign_in(peer, Refusal::TooManySigningIn { limit }.into(), Unwanted::Limit);
                }
            }
            _ => self.sign_in(now, peer, nobody()),
        }
        self.evict_slow_consumers();
        peer
    }

    /// Attaches a connection of the broker's own: a system user without authentication, which counts towards
    /// no limit.
    pub fn attach_internal(&mut self) -> PeerId {
        let peer = self.peers.attach(String::new(), String::new());
        if self.admission.is_closed() {
            self.peers.close(peer, DisconnectReason::ShutDown);
            return peer;
        }
        let user = Json::from_value(&serde_json::json!({ "hub_id": "system" }));
        if let Some(entry) = self.peers.get_mut(peer) {
            (entry.is_admitted, entry.is_internal) = (true, true);
            entry.user = user.clone();
            entry.max_subscriptions = usize::MAX;
            self.internal.insert(peer);
        }
        self.peers.send(peer, self.info(Ok(user)));
        peer
    }

    /// Takes the reply to [`AuthRequest::Authenticate`]: the user, or why they are refused.
    pub fn handle_user(&mut self, now: Instant, request: AuthRequestId, user: Result<Json, OpError>) {
        let Some(peer) = self.authorizer.as_mut().and_then(|authorizer| authorizer.handle_user(request))
        else {
            return;
        };
        match user {
            Ok(user) => self.sign_in(now, peer, user),
            Err(error) => self.refuse_sign_in(peer, error, Unwanted::SignIn),
        }
        self.settle();
        self.evict_slow_consumers();
    }

    /// Takes the reply to [`AuthRequest::Authorize`].
    pub fn handle_decision(&mut self, now: Instant, request: AuthRequestId, decision: Decision) {
        if let Some(authorizer) = &mut self.authorizer {
            authorizer.handle_decision(now, request, decision);
        }
        self.settle();
        self.evict_slow_consumers();
    }

    /// Returns the next request or notice for the application.
    pub fn poll_auth_request(&mut self) -> Option<AuthRequest> {
        self.authorizer.as_mut()?.poll_auth_request()
    }

    /// Returns whether it is known who a peer is.
    pub fn is_signed_in(&self, peer: PeerId) -> bool {
        self.peers.get(peer).is_some_and(|entry| entry.is_admitted && entry.is_signed_in)
    }

    /// Returns whether something that a peer has said waits for a decision, or for the peer's turn after it.
    pub fn is_deciding(&self, peer: PeerId) -> bool {
        self.authorizer.as_ref().is_some_and(|authorizer| authorizer.holds(peer))
    }

    /// Returns whether nothing more is to be read from a peer, until it is woken.
    pub fn is_paused(&self, peer: PeerId) -> bool {
        self.peers.owes_reading(peer)
            || self.upstream.as_ref().is_some_and(|upstream| upstream.is_blocked(peer))
            || self.authorizer.as_ref().is_some_and(|authorizer| authorizer.is_full(peer))
    }

    /// Believes no decision any more about the connections of these names (`None`: about any), and asks about
    /// their subscriptions and open waits again. Returns their number.
    pub fn revalidate(&mut self, now: Instant, names: Option<&BTreeSet<String>>) -> usize {
        let mut chosen = Vec::new();
        for peer in self.peers.all() {
            if peer.is_admitted && !peer.is_internal && names.is_none_or(|names| names.contains(&peer.name)) {
                let subscriptions =
                    peer.subscriptions.keys().map(|pattern| (Action::Subscribe, Arc::from(pattern.as_str())));
                let waits = self.waits.subjects_of(peer.id).into_iter();
                let waits = waits.map(|subject| (Action::Publish, subject));
                let watches = self.watches.subjects_of(peer.id).map(|subject| (Action::Publish, subject));
                let claims = subscriptions.chain(waits).chain(watches);
                chosen.push((peer.id, claims.collect::<Vec<Claim>>()));
            }
        }
        let count = chosen.len();
        if let Some(authorizer) = &mut self.authorizer {
            for (peer, existing) in chosen {
                authorizer.revalidate(now, peer, existing);
            }
        }
        self.settle();
        self.evict_slow_consumers();
        count
    }

    /// Wants the connections of these names gone. Returns the number of those that were there.
    pub fn disconnect(&mut self, names: &BTreeSet<String>) -> usize {
        let wanted = |peer: &&&Peer| peer.close.is_none() && !peer.is_internal && names.contains(&peer.name);
        let chosen: Vec<PeerId> = self.peers.all().iter().filter(wanted).map(|peer| peer.id).collect();
        for peer in &chosen {
            self.retire(*peer, EndReason::Disconnect);
            self.peers.close(*peer, DisconnectReason::Disconnected);
        }
        chosen.len()
    }

    /// Returns the patterns that a connection is subscribed to.
    pub fn patterns_of(&self, peer: PeerId) -> Vec<String> {
        let own = self.peers.get(peer).map(|entry| &entry.subscriptions);
        own.into_iter().flat_map(|patterns| patterns.keys()).map(Pattern::to_string).collect()
    }

    /// Returns how many connections each user has, by the user's JSON text. Those of `null` are not counted.
    pub fn connections_by_user(&self) -> Vec<(String, usize)> {
        self.admission.by_user().map(|(user, count)| (user.to_owned(), count)).collect()
    }

    /// Takes a place for a connection. Returns false if there is none; then the connection is told why.
    pub(super) fn enter(&mut self, peer: PeerId) -> bool {
        let network = self.peers.get(peer).map_or(Owner::Network(None), |entry| Owner::at(&entry.address));
        match self.admission.enter(&self.config, peer, network) {
            Ok(yielding) => {
                if let Some(entry) = self.peers.get_mut(peer) {
                    entry.is_admitted = true;
                }
                if let Some(yielding) = yielding {
                    let limit = self.config.max_connections;
                    let refusal = Refusal::TooManyConnections { limit };
                    self.refuse_sign_in(yielding, refusal.into(), Unwanted::Limit);
                }
                true
            }
            Err(Denied::ShutDown) => {
                self.peers.close(peer, DisconnectReason::ShutDown);
                false
            }
            Err(Denied::Refused(refusal)) => {
                self.refuse_sign_in(peer, refusal.into(), Unwanted::Limit);
                false
            }
        }
    }

    pub(super) fn sign_in(&mut self, now: Instant, peer: PeerId, user: Json) {
        match self.admission.sign_in(&self.config, &user, peer) {
            Ok(account) => self.peers.set_account(peer, account),
            Err(refusal) => return self.refuse_sign_in(peer, refusal.into(), Unwanted::UserLimit),
        }
        if let Some(entry) = self.peers.get_mut(peer) {
            (entry.head, entry.is_signed_in) = (0, true);
            entry.since = Some(now);
            self.totals.opened[entry.carrier as usize] += 1;
            entry.user = user.clone();
            entry.max_subscriptions = admission::max_subscriptions(&self.config, &user);
            entry.info_until = Some(now + INFO_REPEAT_TIMEOUT);
        }
        self.repeats.set(peer, Some(now + INFO_INTERVAL));
        if let Some(authorizer) = &mut self.authorizer {
            let max_subscriptions = admission::max_subscriptions(&self.config, &user);
            authorizer.admit(now, peer, admission::is_system_user(&user), max_subscriptions);
        }
        self.note(JournalKind::Connect, peer, "", user.as_str());
        self.peers.send(peer, self.info(Ok(user)));
    }

    fn refuse_sign_in(&mut self, peer: PeerId, error: OpError, why: Unwanted) {
        self.totals.connections_refused += 1;
        self.totals.refused_by[why as usize] += 1;
        let is_sign_in = why == Unwanted::SignIn;
        let kind = if is_sign_in { JournalKind::SignInFailed } else { JournalKind::Refused };
        self.note(kind, peer, why.name(), &error.message);
        self.peers.send(peer, self.info(Err(error)));
        self.retire(peer, EndReason::Disconnect);
        self.peers.close(peer, DisconnectReason::SignInRefused);
    }

    /// Carries the operation out, or holds it until it is decided.
    pub(super) fn authorize(&mut self, now: Instant, peer: PeerId, op: ClientOp) {
        let Some(authorizer) = &mut self.authorizer else { return };
        // Before the sign-in nobody knows how much it may: what it asks for is looked at again then.
        let room = |entry: &Peer| entry.max_subscriptions.saturating_sub(entry.subscriptions.len());
        let room = self.peers.get(peer).filter(|entry| entry.max_subscriptions > 0).map_or(usize::MAX, room);
        match authorizer.take_in(now, peer, op, room) {
            Some(op) => self.execute(now, peer, op, &[]),
            None => {
                // A denial may be known: one in, one out.
                self.execute_decided(now, peer);
                self.settle();
            }
        }
    }

    pub(super) fn handle_overdue_auth_requests(&mut self, now: Instant) {
        while let Some(due) = self.authorizer.as_mut().and_then(|authorizer| authorizer.pop_due(now)) {
            if let Some(peer) = due {
                self.refuse_sign_in(peer, Refusal::SignInTimeout.into(), Unwanted::SignIn);
            }
        }
        self.settle();
    }

    /// Returns whether only the broker itself may receive this.
    pub(super) fn is_private(&self, publication: &Publication) -> bool {
        self.authorizer.as_ref().is_some_and(|authorizer| {
            authorizer.config().guards_system && is_system(publication.subject.as_str())
        })
    }

    /// Notes what has been decided. What is revoked ends at once; whoever has operations to be done now is
    /// woken, and does them in turns of its own.
    fn settle(&mut self) {
        while let Some(peer) = self.authorizer.as_mut().and_then(Authorizer::poll_dirty) {
            for (action, subject) in self.pending_mut(peer).map(PendingOps::take_revoked).unwrap_or_default()
            {
                match action {
                    Action::Subscribe => self.revoke(peer, &subject),
                    Action::Publish => self.revoke_waits(peer, &subject),
                }
            }
            let is_due = self.pending_mut(peer).is_some_and(|pending| pending.is_due());
            self.note_undecided(peer);
            if is_due {
                self.peers.wake(peer);
            }
        }
    }

    /// Does the oldest operation that waited, if it is decided. Returns whether there was one.
    pub(super) fn execute_decided(&mut self, now: Instant, peer: PeerId) -> bool {
        let Some((op, verdicts)) = self.pending_mut(peer).and_then(PendingOps::pop_decided) else {
            return false;
        };
        self.note_undecided(peer);
        self.execute(now, peer, op, &verdicts);
        self.evict_slow_consumers();
        true
    }

    fn note_undecided(&mut self, peer: PeerId) {
        let undecided = self.pending_mut(peer).map_or(0, |pending| pending.memory());
        self.peers.set_undecided(peer, undecided);
    }

    /// Returns the authorizer, for tests.
    #[cfg(test)]
    pub(in crate::broker) fn authority_for_tests(&self) -> &Authorizer {
        self.authorizer.as_ref().expect("it has one")
    }

    /// Returns the peers that have decided operations to do, for tests.
    #[cfg(test)]
    pub(in crate::broker) fn due_for_tests(&self) -> Vec<PeerId> {
        self.authorizer.as_ref().map(Authorizer::due).unwrap_or_default()
    }

    fn pending_mut(&mut self, peer: PeerId) -> Option<&mut PendingOps> {
        self.authorizer.as_mut()?.pending_mut(peer)
    }

    /// Ends a subscription that is no longer allowed.
    fn revoke(&mut self, peer: PeerId, pattern: &str) {
        let Ok(parsed) = Pattern::parse(pattern) else { return };
        let had = self.peers.open_mut(peer).is_some_and(|entry| entry.subscriptions.contains_key(&parsed));
        if had {
            tracing::info!(%peer, %pattern, "subscription revoked");
            // Its owner is still there, and has not ended it.
            self.remove_subscription(peer, &parsed, None, Presence::Cut);
            self.exclusives.release(&parsed, peer);
            let error = self.denial(peer, Action::Subscribe, pattern);
            self.tell_denial(peer, Action::Subscribe, pattern, error.message);
        }
    }

    /// Ends the waits of a client for a subject to which it may no longer publish.
    fn revoke_waits(&mut self, peer: PeerId, subject: &str) {
        for ack in self.waits.forget_subject(peer, subject) {
            self.deny(peer, Some(ack), subject, RefusedOp::Interest);
        }
        let mut notices = Notices::default();
        self.watches.forget_subject(peer, subject, &mut notices);
        self.tell(peer, notices);
    }

    pub(super) fn deny(&mut self, peer: PeerId, ack: Option<AckId>, subject: &str, op: RefusedOp) {
        self.totals.publishes_refused += 1;
        self.totals.count_refusal(op, RefusedFor::Permission);
        self.note(JournalKind::PublishRefused, peer, RefusedFor::Permission.name(), subject);
        let error = self.denial(peer, Action::Publish, subject);
        self.acknowledge(peer, ack, Reply::Error(error.clone()));
        self.tell_denial(peer, Action::Publish, subject, error.message);
    }

    pub(super) fn subscribe_allowed(
        &mut self,
        (now, peer): (Instant, PeerId),
        ack: Option<AckId>,
        (subscriptions, patterns): (Vec<Subscription>, Vec<Arc<str>>),
        verdicts: &[Verdict],
    ) {
        let mut denied = Vec::new();
        let mut statuses = Vec::with_capacity(subscriptions.len());
        for (subscription, verdict) in subscriptions.into_iter().zip(verdicts) {
            statuses.push(match verdict {
                Verdict::Denied => {
                    let why = RefusedFor::Permission;
                    self.note_lacking(peer);
                    self.totals.count_refusal(RefusedOp::Subscribe, why);
                    self.note(JournalKind::SubscribeRefused, peer, why.name(), &subscription.pattern);
                    let error = self.denial(peer, Action::Subscribe, &subscription.pattern);
                    denied.push((subscription.pattern, error.message.clone()));
                    Err(error)
                }
                Verdict::Allowed => self.subscribe(now, peer, subscription, ack.is_some()),
                // There was no room for it when it came: nobody was asked, so there is none now either.
                Verdict::Open => {
                    let status = self.refuse_subscription(peer, &subscription.pattern);
                    status.map_err(|refusal| self.count_refused_subscription(peer, refusal))
                }
            });
        }
        self.answer_subscribe(peer, ack, patterns, statuses);
        for (pattern, message) in denied {
            self.tell_denial(peer, Action::Subscribe, &pattern, message);
        }
    }

    fn refuse_subscription(&self, peer: PeerId, pattern: &str) -> Result<SubscribeStatus, Refusal> {
        let Some(entry) = self.peers.get(peer) else { return Ok(SubscribeStatus::AlreadyAdded) };
        match Pattern::parse(pattern) {
            Err(_) => Err(Refusal::InvalidSubject),
            Ok(pattern) if entry.subscriptions.contains_key(&pattern) => Ok(SubscribeStatus::AlreadyAdded),
            Ok(_) => Err(Refusal::TooManySubscriptions { limit: entry.max_subscriptions }),
        }
    }

    /// Conat's text, which programs match on, but for the user: who is denied knows who it is, and a denial
    /// must not be larger than what was asked.
    fn denial(&self, peer: PeerId, action: Action, subject: &str) -> OpError {
        let is_nobody = self.peers.get(peer).is_none_or(|entry| admission::is_nobody(&entry.user));
        let user = if is_nobody { "null" } else { "this user" };
        let what = match action {
            Action::Publish => "publishing",
            Action::Subscribe => "subscribing",
        };
        OpError {
            message: format!("permission denied {what} to '{subject}' from {user}"),
            code: Code::NotPermitted.number(),
        }
    }

    pub(super) fn tell_denial(&mut self, peer: PeerId, action: Action, subject: &str, message: String) {
        let (subject, kind) = (subject.to_owned(), action.name().to_owned());
        self.peers.send(peer, ServerOp::Permission { message, subject, kind });
    }
}

fn nobody() -> Json {
    Json::from_value(&serde_json::Value::Null)
}
