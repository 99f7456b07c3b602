//! Asks the application about all connections, within bounds, and passes each reply to whatever waits for it.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::sync::Arc;
use std::time::Instant;

use super::PeerId;
use super::account::Owner;
use super::auth_request::{Action, AuthRequest, AuthRequestId, AuthorizerConfig, ConnectionInfo, Decision};
use super::pending_ops::{Claim, PendingOps, Verdict, Waiter, claim, claims};
use crate::base::{Deadlines, Shares};
use crate::wire::ClientOp;

/// A pending for each connection, and what was asked for them.
///
/// After each call `poll_dirty` names the connections for which something may be decided now.
#[derive(Debug)]
pub(super) struct Authorizer {
    config: AuthorizerConfig,
    pending: HashMap<PeerId, PendingOps>,
    /// Each until its reply comes, even when nothing waits for it any more: so the application's work is
    /// bounded.
    requests: HashMap<AuthRequestId, AuthCall>,
    deadlines: Deadlines<AuthRequestId>,
    asked: AuthRequestId,
    /// Requests who somebody is, until they are answered, with where they came from.
    signing_in: HashMap<AuthRequestId, Owner>,
    by_owner: Shares<Owner>,
    /// Connections that have to wait with their requests.
    throttled: VecDeque<PeerId>,
    dirty: VecDeque<PeerId>,
    auth_requests: VecDeque<AuthRequest>,
}

#[derive(Debug)]
enum AuthCall {
    User(PeerId),
    Permission {
        peer: PeerId,
        action: Action,
        subject: Arc<str>,
        waiters: Vec<Waiter>,
    },
    /// Nothing waits for it any more.
    Stale {
        is_user: bool,
    },
}

impl Authorizer {
    pub(super) fn new(config: AuthorizerConfig) -> Self {
        Self {
            config,
            pending: HashMap::new(),
            requests: HashMap::new(),
            deadlines: Deadlines::new(),
            asked: 0,
            signing_in: HashMap::new(),
            by_owner: Shares::default(),
            throttled: VecDeque::new(),
            dirty: VecDeque::new(),
            auth_requests: VecDeque::new(),
        }
    }

    pub(super) fn config(&self) -> &AuthorizerConfig {
        &self.config
    }

    /// Asks who this is. Returns false when too many others are asked about, or too many of this address.
    /// Within the process nobody has an address.
    pub(super) fn ask_user(&mut self, now: Instant, peer: PeerId, connection: ConnectionInfo) -> bool {
        let owner = Owner::at(&connection.address);
        let free = MAX_SIGNING_IN - self.signing_in.len();
        // Whoever has many leaves as many to others: it takes ten addresses to leave next to nothing.
        if free == 0 || (owner != Owner::Network(None) && self.by_owner.of(&owner) >= free) {
            return false;
        }
        let request = self.asked;
        self.asked += 1;
        self.by_owner.add(owner, 1);
        self.signing_in.insert(request, owner);
        self.requests.insert(request, AuthCall::User(peer));
        self.pending.entry(peer).or_default().open.insert(request);
        self.deadlines.set(request, Some(now + self.config.sign_in_timeout));
        self.auth_requests.push_back(AuthRequest::Authenticate { request, peer, connection });
        true
    }

    /// The connection is authenticated: what it sent meanwhile can be asked about.
    pub(super) fn admit(&mut self, now: Instant, peer: PeerId, is_system: bool, max_subscriptions: usize) {
        let pending = self.pending.entry(peer).or_default();
        pending.is_signed_in = true;
        pending.is_system = is_system;
        pending.limit_subscriptions(max_subscriptions);
        self.ask_more(now, peer);
    }

    /// Gives the operation back when it may be carried out at once; else it is held.
    ///
    /// `room`: how many subscriptions the connection may add. More are not asked about.
    pub(super) fn take_in(
        &mut self,
        now: Instant,
        peer: PeerId,
        op: ClientOp,
        room: usize,
    ) -> Option<ClientOp> {
        let Self { pending, config, .. } = self;
        let Some(pending) = pending.get_mut(&peer) else { return Some(op) };
        let is_decided = pending.is_signed_in
            && pending.is_empty()
            && claims(&op).is_none_or(|(action, count)| {
                (0..count)
                    .all(|index| verdict(config, pending, now, action, claim(&op, index)) == Verdict::Allowed)
            });
        if is_decided {
            return Some(op);
        }
        pending.hold(op, room);
        self.ask_more(now, peer);
        None
    }

    /// Takes the reply to an authentication. Returns the connection it is about, if that is still open.
    pub(super) fn handle_user(&mut self, request: AuthRequestId) -> Option<PeerId> {
        if !matches!(self.requests.get(&request), Some(AuthCall::User(_) | AuthCall::Stale { is_user: true }))
        {
            return None;
        }
        if let Some(owner) = self.signing_in.remove(&request) {
            self.by_owner.subtract(owner, 1);
        }
        self.deadlines.set(request, None);
        match self.requests.remove(&request) {
            Some(AuthCall::User(peer)) => {
                self.pending.get_mut(&peer)?.open.remove(&request);
                Some(peer)
            }
            _ => None,
        }
    }

    /// Takes a decision of the application.
    pub(super) fn handle_decision(&mut self, now: Instant, request: AuthRequestId, decision: Decision) {
        if !matches!(
            self.requests.get(&request),
            Some(AuthCall::Permission { .. } | AuthCall::Stale { is_user: false })
        ) {
            return;
        }
        self.deadlines.set(request, None);
        if let Some(AuthCall::Permission { peer, action, subject, waiters }) = self.requests.remove(&request)
        {
            if decision != Decision::Failed
                && !self.config.permission_cache.is_zero()
                && let Some(pending) = self.pending.get_mut(&peer)
            {
                let until = now + self.config.permission_cache;
                pending.decisions.put(until, action, subject.clone(), decision == Decision::Allowed);
            }
            self.settle(now, peer, request, &(action, subject), waiters, decision == Decision::Allowed);
        }
        // There is room for one more.
        while self.requests.len() - self.signing_in.len() < MAX_QUESTIONS
            && let Some(peer) = self.throttled.pop_front()
        {
            if let Some(pending) = self.pending.get_mut(&peer) {
                pending.is_throttled = false;
                self.ask_more(now, peer);
            }
        }
    }

    /// Forgets the decisions about a connection, and asks again about what it has.
    pub(super) fn revalidate(&mut self, now: Instant, peer: PeerId, existing: Vec<Claim>) {
        if !self.config.asks_permission {
            return;
        }
        let Some(pending) = self.pending.get_mut(&peer).filter(|pending| pending.is_signed_in) else {
            return;
        };
        let open = pending.revalidate(existing);
        self.abandon(&open);
        self.ask_more(now, peer);
    }

    /// Forgets a connection that is gone.
    pub(super) fn forget(&mut self, peer: PeerId) {
        let Some(pending) = self.pending.remove(&peer) else { return };
        self.abandon(&pending.open);
        self.auth_requests.push_back(AuthRequest::Disconnected(peer));
    }

    /// Removes a request that was not answered in time. Returns the connection if it was about who it is.
    pub(super) fn pop_due(&mut self, now: Instant) -> Option<Option<PeerId>> {
        let request = self.deadlines.pop_due(now)?;
        let is_user = matches!(self.requests.get(&request), Some(AuthCall::User(_)));
        match self.requests.insert(request, AuthCall::Stale { is_user }) {
            Some(AuthCall::User(peer)) => Some(Some(peer)),
            Some(AuthCall::Permission { peer, action, subject, waiters }) => {
                tracing::warn!(%peer, %subject, "permission was not decided in time");
                self.settle(now, peer, request, &(action, subject), waiters, false);
                Some(None)
            }
            _ => Some(None),
        }
    }

    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        self.deadlines.next()
    }

    /// Returns the next request to the application.
    pub(super) fn poll_auth_request(&mut self) -> Option<AuthRequest> {
        self.auth_requests.pop_front()
    }

    /// Returns a connection whose pending operations have to be looked at.
    pub(super) fn poll_dirty(&mut self) -> Option<PeerId> {
        self.dirty.pop_front()
    }

    pub(super) fn pending_mut(&mut self, peer: PeerId) -> Option<&mut PendingOps> {
        self.pending.get_mut(&peer)
    }

    /// Returns whether operations of a connection are held.
    pub(super) fn holds(&self, peer: PeerId) -> bool {
        self.pending.get(&peer).is_some_and(|pending| !pending.is_empty())
    }

    /// Returns whether a connection is not to be read from.
    pub(super) fn is_full(&self, peer: PeerId) -> bool {
        self.pending.get(&peer).is_some_and(PendingOps::is_full)
    }

    /// Returns the connections that have operations to be done.
    #[cfg(test)]
    pub(super) fn due(&self) -> Vec<PeerId> {
        let due = self.pending.iter().filter(|(_, pending)| pending.is_due());
        due.map(|(peer, _)| *peer).collect()
    }

    /// Returns the number of open requests, for authentication and in all.
    #[cfg(test)]
    pub(super) fn open(&self) -> (usize, usize) {
        (self.pending.len(), self.requests.len())
    }

    fn settle(
        &mut self,
        now: Instant,
        peer: PeerId,
        request: AuthRequestId,
        what: &(Action, Arc<str>),
        waiters: Vec<Waiter>,
        yes: bool,
    ) {
        let Some(pending) = self.pending.get_mut(&peer) else { return };
        pending.open.remove(&request);
        pending.asked.remove(what);
        for waiter in waiters {
            pending.decide(waiter, yes);
        }
        self.ask_more(now, peer);
    }

    /// Decides what can be decided, and asks about what cannot, as far as the bounds allow.
    fn ask_more(&mut self, now: Instant, peer: PeerId) {
        let Self { pending, config, requests, deadlines, .. } = self;
        let Some(pending) = pending.get_mut(&peer) else { return };
        self.dirty.push_back(peer);
        let shares = !config.permission_cache.is_zero();
        while pending.open.len() < MAX_OPEN && !pending.is_throttled {
            if requests.len() - self.signing_in.len() >= MAX_QUESTIONS {
                pending.is_throttled = true;
                self.throttled.push_back(peer);
                return;
            }
            let Some((waiter, action, subject)) = pending.next_claim() else { return };
            match verdict(config, pending, now, action, &subject) {
                Verdict::Open => {}
                known => {
                    pending.decide(waiter, known == Verdict::Allowed);
                    continue;
                }
            }
            let same = pending.asked.get(&(action, subject.clone()));
            if let Some(AuthCall::Permission { waiters, .. }) = same.and_then(|id| requests.get_mut(id)) {
                waiters.push(waiter);
                continue;
            }
            let request = self.asked;
            self.asked += 1;
            pending.open.insert(request);
            if shares {
                pending.asked.insert((action, subject.clone()), request);
            }
            // The application times its own answers, from their calls on: this is for one that stands.
            deadlines.set(request, Some(now + 2 * config.permission_timeout));
            let waiters = vec![waiter];
            requests
                .insert(request, AuthCall::Permission { peer, action, subject: subject.clone(), waiters });
            self.auth_requests.push_back(AuthRequest::Authorize { request, peer, action, subject });
        }
    }

    fn abandon(&mut self, open: &BTreeSet<AuthRequestId>) {
        for request in open {
            self.deadlines.set(*request, None);
            if let Some(asked) = self.requests.get_mut(request) {
                let is_user = matches!(asked, AuthCall::User(_) | AuthCall::Stale { is_user: true });
                *asked = AuthCall::Stale { is_user };
            }
        }
    }
}

/// Returns what is known without asking.
fn verdict(
    config: &AuthorizerConfig,
    pending: &PendingOps,
    now: Instant,
    action: Action,
    subject: &str,
) -> Verdict {
    if config.guards_system && is_system(subject) && !(action == Action::Publish && pending.is_system) {
        return Verdict::Denied;
    }
    if !config.asks_permission {
        return Verdict::Allowed;
    }
    match pending.decisions.get(now, action, subject) {
        Some(true) => Verdict::Allowed,
        Some(false) => Verdict::Denied,
        None => Verdict::Open,
    }
}

/// Returns whether a subject, or a pattern by its first tokens, belongs to the system's service.
pub(super) fn is_system(subject: &str) -> bool {
    let mut tokens = subject.split('.');
    tokens.next() == Some("sys") && matches!(tokens.next(), Some("conat" | "*" | ">"))
}

/// Connections that the application is asked about at once; more are refused, and so is one more of an
/// address that has as many as are free. Each holds a head of up to 16 KiB.
pub(super) const MAX_SIGNING_IN: usize = 1000;

/// Open requests about one connection.
pub(super) const MAX_OPEN: usize = 256;

/// Open requests about all of them; others wait for their turn. About 20 MB.
pub(super) const MAX_QUESTIONS: usize = 65_536;
