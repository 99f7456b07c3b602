//! Who comes in, and what he may do: what the application was asked, carried out.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Instant;

use super::super::authority::{Authority, is_system};
use super::super::error::Refusal;
use super::super::gate::{Claim, Gate, Verdict};
use super::super::inquiry::{Decision, Inquiry, QuestionId, Right, Visitor};
use super::super::limits;
use super::super::{CloseReason, PeerId};
use super::{Broker, INFO_INTERVAL, INFO_PATIENCE, is_denied};
use crate::subject::Pattern;
use crate::wire::{AckId, ClientOp, Json, OpError, Publication, Reply, ServerOp, Subscription};

impl Broker {
    /// A connection whose link is up and whose user is to be found out, if the configuration says so; else he is `null`.
    pub fn attach_visitor(&mut self, now: Instant, visitor: Visitor) -> PeerId {
        let peer = self.peers.attach(visitor.id.clone(), visitor.address.clone());
        if !self.enter(peer) {
            return peer;
        }
        match &mut self.authority {
            Some(authority) if authority.config().asks_user => {
                if !authority.ask_user(now, peer, visitor) {
                    let limit = super::super::authority::MAX_SIGNING_IN;
                    self.refuse_sign_in(peer, Refusal::TooManySigningIn { limit }.into());
                }
            }
            _ => self.sign_in(now, peer, nobody()),
        }
        self.retire_fallen();
        peer
    }

    /// A connection of the broker's own: a system user that nobody is asked about, and that takes no place.
    pub fn attach_own(&mut self, _now: Instant) -> PeerId {
        let peer = self.peers.attach(String::new(), String::new());
        if self.is_closed {
            self.peers.close(peer, CloseReason::ShutDown);
            return peer;
        }
        let user = Json::from_value(&serde_json::json!({ "hub_id": "system" }));
        if let Some(entry) = self.peers.get_mut(peer) {
            (entry.is_admitted, entry.is_own) = (true, true);
            entry.user = user.clone();
            entry.max_subscriptions = usize::MAX;
        }
        self.peers.send(peer, self.info(Ok(user)));
        peer
    }

    /// The answer to [`Inquiry::User`]: who it is, or why he may not come in.
    pub fn handle_user(&mut self, now: Instant, question: QuestionId, user: Result<Json, OpError>) {
        let Some(peer) = self.authority.as_mut().and_then(|authority| authority.handle_user(question)) else {
            return;
        };
        match user {
            Ok(user) => self.sign_in(now, peer, user),
            Err(error) => self.refuse_sign_in(peer, error),
        }
        self.settle(now);
        self.retire_fallen();
    }

    /// The answer to [`Inquiry::Permission`].
    pub fn handle_decision(&mut self, now: Instant, question: QuestionId, decision: Decision) {
        if let Some(authority) = &mut self.authority {
            authority.handle_decision(now, question, decision);
        }
        self.settle(now);
        self.retire_fallen();
    }

    /// The next thing that the application is to be asked, or told.
    pub fn poll_inquiry(&mut self) -> Option<Inquiry> {
        self.authority.as_mut()?.poll_inquiry()
    }

    /// Whether nothing more is to be read from a peer, until it is woken.
    pub fn is_held_up(&self, peer: PeerId) -> bool {
        self.authority.as_ref().is_some_and(|authority| authority.is_full(peer))
    }

    /// Believes no decision any more about the connections of these names (`None`: about any), and asks about their
    /// subscriptions and open waits again. Gives their number.
    pub fn revalidate(&mut self, now: Instant, names: Option<&BTreeSet<String>>) -> usize {
        let mut chosen = Vec::new();
        for peer in self.peers.all() {
            if peer.is_admitted && !peer.is_own && names.is_none_or(|names| names.contains(&peer.name)) {
                let subscriptions =
                    peer.subscriptions.keys().map(|pattern| (Right::Subscribe, Arc::from(pattern.as_str())));
                let waits = self.waits.subjects_of(peer.id).into_iter();
                let waits = waits.map(|subject| (Right::Publish, subject));
                chosen.push((peer.id, subscriptions.chain(waits).collect::<Vec<Claim>>()));
            }
        }
        let count = chosen.len();
        if let Some(authority) = &mut self.authority {
            for (peer, existing) in chosen {
                authority.revalidate(now, peer, existing);
            }
        }
        self.settle(now);
        self.retire_fallen();
        count
    }

    /// Wants the connections of these names gone. Gives the number of those that were there.
    pub fn disconnect(&mut self, names: &BTreeSet<String>) -> usize {
        let wanted = |peer: &&&super::super::peer::Peer| {
            peer.close.is_none() && !peer.is_own && names.contains(&peer.name)
        };
        let chosen: Vec<PeerId> = self.peers.all().iter().filter(wanted).map(|peer| peer.id).collect();
        for peer in &chosen {
            self.retire(*peer);
            self.peers.close(*peer, CloseReason::Disconnected);
        }
        chosen.len()
    }

    /// The patterns that a connection is subscribed to.
    pub fn patterns_of(&self, peer: PeerId) -> Vec<String> {
        let own = self.peers.get(peer).map(|entry| &entry.subscriptions);
        own.into_iter().flat_map(|patterns| patterns.keys()).map(Pattern::to_string).collect()
    }

    /// How many connections each user has, by his JSON text. Those of `null` are not counted.
    pub fn connections_by_user(&self) -> Vec<(String, usize)> {
        self.admission.by_user().map(|(user, count)| (user.to_owned(), count)).collect()
    }

    /// Takes a place for a connection. False: it was told why there is none.
    pub(super) fn enter(&mut self, peer: PeerId) -> bool {
        if self.is_closed {
            self.peers.close(peer, CloseReason::ShutDown);
            return false;
        }
        match self.admission.enter(&self.config) {
            Ok(()) => {
                if let Some(entry) = self.peers.get_mut(peer) {
                    entry.is_admitted = true;
                }
                true
            }
            Err(refusal) => {
                self.refuse_sign_in(peer, refusal.into());
                false
            }
        }
    }

    pub(super) fn sign_in(&mut self, now: Instant, peer: PeerId, user: Json) {
        if let Err(refusal) = self.admission.sign_in(&self.config, &user) {
            return self.refuse_sign_in(peer, refusal.into());
        }
        if let Some(entry) = self.peers.get_mut(peer) {
            entry.user = user.clone();
            entry.max_subscriptions = limits::max_subscriptions(&self.config, &user);
            entry.info_until = Some(now + INFO_PATIENCE);
        }
        self.repeats.set(peer, Some(now + INFO_INTERVAL));
        if let Some(authority) = &mut self.authority {
            authority.admit(now, peer, limits::is_system_user(&user));
        }
        self.peers.send(peer, self.info(Ok(user)));
    }

    fn refuse_sign_in(&mut self, peer: PeerId, error: OpError) {
        self.totals.connections_refused += 1;
        self.peers.send(peer, self.info(Err(error)));
        self.retire(peer);
        self.peers.close(peer, CloseReason::SignInRefused);
    }

    /// Carries the operation out, or holds it until it is decided.
    pub(super) fn judge(&mut self, now: Instant, peer: PeerId, op: ClientOp) {
        let Some(authority) = &mut self.authority else { return };
        match authority.take_in(now, peer, op) {
            Some(op) => self.carry_out(now, peer, op, &[]),
            None => self.settle(now),
        }
    }

    pub(super) fn handle_overdue_inquiries(&mut self, now: Instant) {
        while let Some(due) = self.authority.as_mut().and_then(|authority| authority.pop_due(now)) {
            if let Some(peer) = due {
                self.refuse_sign_in(peer, Refusal::SignInTimeout.into());
            }
        }
        self.settle(now);
    }

    /// Whether only the broker itself may receive this.
    pub(super) fn is_private(&self, publication: &Publication) -> bool {
        self.authority.as_ref().is_some_and(|authority| {
            authority.config().guards_system && is_system(publication.subject.as_str())
        })
    }

    /// Carries out what has been decided.
    fn settle(&mut self, now: Instant) {
        while let Some(peer) = self.authority.as_mut().and_then(Authority::poll_touched) {
            let was_full = self.is_held_up(peer);
            for (right, subject) in self.gate_mut(peer).map(Gate::take_revoked).unwrap_or_default() {
                match right {
                    Right::Subscribe => self.revoke(peer, &subject),
                    Right::Publish => self.revoke_waits(peer, &subject),
                }
            }
            // Carrying one out can close the peer, and then its gate is gone.
            while let Some((op, verdicts)) = self.gate_mut(peer).and_then(Gate::pop_decided) {
                self.carry_out(now, peer, op, &verdicts);
                self.retire_fallen();
            }
            if was_full && !self.is_held_up(peer) {
                self.peers.wake(peer);
            }
        }
    }

    /// For tests.
    #[cfg(test)]
    pub(in crate::broker) fn authority_for_tests(&self) -> &Authority {
        self.authority.as_ref().expect("it has one")
    }

    fn gate_mut(&mut self, peer: PeerId) -> Option<&mut Gate> {
        self.authority.as_mut()?.gate_mut(peer)
    }

    /// A subscription that exists is not allowed any more.
    fn revoke(&mut self, peer: PeerId, pattern: &str) {
        let Ok(parsed) = Pattern::parse(pattern) else { return };
        let had = self.peers.open_mut(peer).is_some_and(|entry| entry.subscriptions.contains_key(&parsed));
        if had {
            tracing::info!(%peer, %pattern, "subscription revoked");
            self.unsubscribe(peer, pattern);
            let error = self.denial(peer, Right::Subscribe, pattern);
            self.tell_denial(peer, Right::Subscribe, pattern, error.message);
        }
    }

    /// Who may not publish there any more need not know when somebody listens.
    fn revoke_waits(&mut self, peer: PeerId, subject: &str) {
        for ack in self.waits.forget_subject(peer, subject) {
            self.deny_publish(peer, Some(ack), subject);
        }
    }

    pub(super) fn deny_publish(&mut self, peer: PeerId, ack: Option<AckId>, subject: &str) {
        self.totals.publishes_refused += 1;
        let error = self.denial(peer, Right::Publish, subject);
        self.acknowledge(peer, ack, Reply::Error(error.clone()));
        self.tell_denial(peer, Right::Publish, subject, error.message);
    }

    pub(super) fn subscribe_allowed(
        &mut self,
        peer: PeerId,
        ack: Option<AckId>,
        subscriptions: Vec<Subscription>,
        verdicts: &[Verdict],
    ) {
        let mut denied = Vec::new();
        let mut statuses = Vec::with_capacity(subscriptions.len());
        for (subscription, verdict) in subscriptions.into_iter().zip(verdicts) {
            if is_denied(std::slice::from_ref(verdict)) {
                let error = self.denial(peer, Right::Subscribe, &subscription.pattern);
                denied.push((subscription.pattern, error.message.clone()));
                statuses.push(Err(error));
            } else {
                statuses.push(self.subscribe(peer, subscription).map_err(OpError::from));
            }
        }
        self.acknowledge(peer, ack, Reply::Subscribed(statuses));
        for (pattern, message) in denied {
            self.tell_denial(peer, Right::Subscribe, &pattern, message);
        }
    }

    /// Conat's text, which programs match on.
    fn denial(&self, peer: PeerId, right: Right, subject: &str) -> OpError {
        let user = self.peers.get(peer).map_or("null", |entry| entry.user.as_str());
        let what = match right {
            Right::Publish => "publishing",
            Right::Subscribe => "subscribing",
        };
        OpError { message: format!("permission denied {what} to '{subject}' from {user}"), code: Some(403) }
    }

    fn tell_denial(&mut self, peer: PeerId, right: Right, subject: &str, message: String) {
        let (subject, kind) = (subject.to_owned(), right.name().to_owned());
        self.peers.send(peer, ServerOp::Permission { message, subject, kind });
    }
}

fn nobody() -> Json {
    Json::from_value(&serde_json::Value::Null)
}
