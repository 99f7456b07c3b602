//! The questions that are open, of all connections: asks within bounds, and brings each answer to who waits for it.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::sync::Arc;
use std::time::Instant;

use super::PeerId;
use super::gate::{Claim, Gate, Verdict, Waiter, claim, claims};
use super::inquiry::{AuthorityConfig, Decision, Inquiry, QuestionId, Right, Visitor};
use crate::deadlines::Deadlines;
use crate::wire::ClientOp;

/// A gate for each connection, and what was asked for them.
///
/// After each call `poll_touched` names the connections for which something may be decided now.
#[derive(Debug)]
pub(super) struct Authority {
    config: AuthorityConfig,
    gates: HashMap<PeerId, Gate>,
    /// Each until its answer comes, whoever is still there to hear it: so what the application has to do is bounded.
    questions: HashMap<QuestionId, Asked>,
    deadlines: Deadlines<QuestionId>,
    asked: QuestionId,
    signing_in: usize,
    /// Connections that have to wait with their questions.
    starved: VecDeque<PeerId>,
    touched: VecDeque<PeerId>,
    inquiries: VecDeque<Inquiry>,
}

#[derive(Debug)]
enum Asked {
    User(PeerId),
    Permission {
        peer: PeerId,
        right: Right,
        subject: Arc<str>,
        waiters: Vec<Waiter>,
    },
    /// Nobody waits for it any more.
    Stale {
        is_user: bool,
    },
}

impl Authority {
    pub(super) fn new(config: AuthorityConfig) -> Self {
        Self {
            config,
            gates: HashMap::new(),
            questions: HashMap::new(),
            deadlines: Deadlines::new(),
            asked: 0,
            signing_in: 0,
            starved: VecDeque::new(),
            touched: VecDeque::new(),
            inquiries: VecDeque::new(),
        }
    }

    pub(super) fn config(&self) -> &AuthorityConfig {
        &self.config
    }

    /// Asks who this is. False when too many others are asked about.
    pub(super) fn ask_user(&mut self, now: Instant, peer: PeerId, visitor: Visitor) -> bool {
        if self.signing_in >= MAX_SIGNING_IN {
            return false;
        }
        self.signing_in += 1;
        let question = self.asked;
        self.asked += 1;
        self.questions.insert(question, Asked::User(peer));
        self.gates.entry(peer).or_default().open.insert(question);
        self.deadlines.set(question, Some(now + self.config.sign_in_timeout));
        self.inquiries.push_back(Inquiry::User { question, peer, visitor });
        true
    }

    /// It is known who this is: what it said meanwhile can be asked about.
    pub(super) fn admit(&mut self, now: Instant, peer: PeerId, is_system: bool) {
        let gate = self.gates.entry(peer).or_default();
        gate.is_signed_in = true;
        gate.is_system = is_system;
        self.ask_more(now, peer);
    }

    /// Gives the operation back when it may be carried out at once; else it is held.
    pub(super) fn take_in(&mut self, now: Instant, peer: PeerId, op: ClientOp) -> Option<ClientOp> {
        let Self { gates, config, .. } = self;
        let Some(gate) = gates.get_mut(&peer) else { return Some(op) };
        let is_decided = gate.is_signed_in
            && gate.is_empty()
            && claims(&op).is_none_or(|(right, count)| {
                (0..count)
                    .all(|index| verdict(config, gate, now, right, claim(&op, index)) == Verdict::Allowed)
            });
        if is_decided {
            return Some(op);
        }
        gate.hold(op);
        self.ask_more(now, peer);
        None
    }

    /// Who an answer is about, if somebody still waits for it.
    pub(super) fn handle_user(&mut self, question: QuestionId) -> Option<PeerId> {
        if !matches!(self.questions.get(&question), Some(Asked::User(_) | Asked::Stale { is_user: true })) {
            return None;
        }
        self.signing_in -= 1;
        self.deadlines.set(question, None);
        match self.questions.remove(&question) {
            Some(Asked::User(peer)) => {
                self.gates.get_mut(&peer)?.open.remove(&question);
                Some(peer)
            }
            _ => None,
        }
    }

    /// The application has decided.
    pub(super) fn handle_decision(&mut self, now: Instant, question: QuestionId, decision: Decision) {
        if !matches!(
            self.questions.get(&question),
            Some(Asked::Permission { .. } | Asked::Stale { is_user: false })
        ) {
            return;
        }
        self.deadlines.set(question, None);
        if let Some(Asked::Permission { peer, right, subject, waiters }) = self.questions.remove(&question) {
            if decision != Decision::Failed
                && !self.config.permission_cache.is_zero()
                && let Some(gate) = self.gates.get_mut(&peer)
            {
                let until = now + self.config.permission_cache;
                gate.decisions.put(until, right, subject.clone(), decision == Decision::Allowed);
            }
            self.settle(now, peer, question, &(right, subject), waiters, decision == Decision::Allowed);
        }
        // There is room for one more.
        while self.questions.len() - self.signing_in < MAX_QUESTIONS
            && let Some(peer) = self.starved.pop_front()
        {
            if let Some(gate) = self.gates.get_mut(&peer) {
                gate.is_starved = false;
                self.ask_more(now, peer);
            }
        }
    }

    /// Believes nothing that was decided about a connection, and asks again about what it has.
    pub(super) fn revalidate(&mut self, now: Instant, peer: PeerId, existing: Vec<Claim>) {
        if !self.config.asks_permission {
            return;
        }
        let Some(gate) = self.gates.get_mut(&peer).filter(|gate| gate.is_signed_in) else { return };
        let open = gate.revalidate(existing);
        self.abandon(&open);
        self.ask_more(now, peer);
    }

    /// A connection is gone.
    pub(super) fn forget(&mut self, peer: PeerId) {
        let Some(gate) = self.gates.remove(&peer) else { return };
        self.abandon(&gate.open);
        self.inquiries.push_back(Inquiry::Gone(peer));
    }

    /// An answer that did not come in time. Gives the connection if it was about who it is.
    pub(super) fn pop_due(&mut self, now: Instant) -> Option<Option<PeerId>> {
        let question = self.deadlines.pop_due(now)?;
        let is_user = matches!(self.questions.get(&question), Some(Asked::User(_)));
        match self.questions.insert(question, Asked::Stale { is_user }) {
            Some(Asked::User(peer)) => Some(Some(peer)),
            Some(Asked::Permission { peer, right, subject, waiters }) => {
                tracing::warn!(%peer, %subject, "permission was not decided in time");
                self.settle(now, peer, question, &(right, subject), waiters, false);
                Some(None)
            }
            _ => Some(None),
        }
    }

    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        self.deadlines.next()
    }

    /// The next thing to ask of the application.
    pub(super) fn poll_inquiry(&mut self) -> Option<Inquiry> {
        self.inquiries.pop_front()
    }

    /// A connection whose gate is to be looked at.
    pub(super) fn poll_touched(&mut self) -> Option<PeerId> {
        self.touched.pop_front()
    }

    pub(super) fn gate_mut(&mut self, peer: PeerId) -> Option<&mut Gate> {
        self.gates.get_mut(&peer)
    }

    /// Whether a connection is not to be read from.
    pub(super) fn is_full(&self, peer: PeerId) -> bool {
        self.gates.get(&peer).is_some_and(Gate::is_full)
    }

    /// Open questions, of the users and of all.
    #[cfg(test)]
    pub(super) fn open(&self) -> (usize, usize) {
        (self.gates.len(), self.questions.len())
    }

    fn settle(
        &mut self,
        now: Instant,
        peer: PeerId,
        question: QuestionId,
        what: &(Right, Arc<str>),
        waiters: Vec<Waiter>,
        yes: bool,
    ) {
        let Some(gate) = self.gates.get_mut(&peer) else { return };
        gate.open.remove(&question);
        gate.asked.remove(what);
        for waiter in waiters {
            gate.decide(waiter, yes);
        }
        self.ask_more(now, peer);
    }

    /// Decides what can be decided, and asks about what cannot, as far as the bounds allow.
    fn ask_more(&mut self, now: Instant, peer: PeerId) {
        let Self { gates, config, questions, deadlines, .. } = self;
        let Some(gate) = gates.get_mut(&peer) else { return };
        self.touched.push_back(peer);
        let shares = !config.permission_cache.is_zero();
        while gate.open.len() < MAX_OPEN && !gate.is_starved {
            if questions.len() - self.signing_in >= MAX_QUESTIONS {
                gate.is_starved = true;
                self.starved.push_back(peer);
                return;
            }
            let Some((waiter, right, subject)) = gate.next_claim() else { return };
            match verdict(config, gate, now, right, &subject) {
                Verdict::Open => {}
                known => {
                    gate.decide(waiter, known == Verdict::Allowed);
                    continue;
                }
            }
            let same = gate.asked.get(&(right, subject.clone()));
            if let Some(Asked::Permission { waiters, .. }) = same.and_then(|id| questions.get_mut(id)) {
                waiters.push(waiter);
                continue;
            }
            let question = self.asked;
            self.asked += 1;
            gate.open.insert(question);
            if shares {
                gate.asked.insert((right, subject.clone()), question);
            }
            deadlines.set(question, Some(now + config.permission_timeout));
            let waiters = vec![waiter];
            questions.insert(question, Asked::Permission { peer, right, subject: subject.clone(), waiters });
            self.inquiries.push_back(Inquiry::Permission { question, peer, right, subject });
        }
    }

    fn abandon(&mut self, open: &BTreeSet<QuestionId>) {
        for question in open {
            self.deadlines.set(*question, None);
            if let Some(asked) = self.questions.get_mut(question) {
                let is_user = matches!(asked, Asked::User(_) | Asked::Stale { is_user: true });
                *asked = Asked::Stale { is_user };
            }
        }
    }
}

/// What is known without asking.
fn verdict(config: &AuthorityConfig, gate: &Gate, now: Instant, right: Right, subject: &str) -> Verdict {
    if config.guards_system && is_system(subject) && !(right == Right::Publish && gate.is_system) {
        return Verdict::Denied;
    }
    if !config.asks_permission {
        return Verdict::Allowed;
    }
    match gate.decisions.get(now, right, subject) {
        Some(true) => Verdict::Allowed,
        Some(false) => Verdict::Denied,
        None => Verdict::Open,
    }
}

/// Whether a subject, or a pattern by its first tokens, belongs to the system's service.
pub(super) fn is_system(subject: &str) -> bool {
    let mut tokens = subject.split('.');
    tokens.next() == Some("sys") && matches!(tokens.next(), Some("conat" | "*" | ">"))
}

/// Connections that the application is asked about at once; more are refused. Each holds a head of up to 16 KiB.
pub(super) const MAX_SIGNING_IN: usize = 1000;

/// Questions about one connection that are open at once.
pub(super) const MAX_OPEN: usize = 256;

/// Questions about all of them; others wait for their turn. About 20 MB.
pub(super) const MAX_QUESTIONS: usize = 65_536;
