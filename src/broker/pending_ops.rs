//! Operations of one connection that are not decided yet: held in order, so that nothing overtakes an earlier
//! one.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::sync::Arc;

use super::auth_request::{Action, AuthRequestId};
use super::decision_cache::DecisionCache;
use crate::subject::{Pattern, Subject};
use crate::wire::{ClientOp, WatchRequest};

/// The pending of one connection.
#[derive(Debug, Default)]
pub(super) struct PendingOps {
    held: VecDeque<PendingOp>,
    /// The serial of the first that is held.
    first: u64,
    /// The next claim to ask about: an operation's serial, and the index of the subject in it.
    cursor: (u64, usize),
    /// Existing subscriptions and waits, to be asked about again.
    review: VecDeque<Claim>,
    /// Those that are not allowed any more.
    revoked: Vec<Claim>,
    bytes: usize,
    /// Subscriptions that the operations here give back.
    given_back: usize,
    /// It is known who this is.
    pub(super) is_signed_in: bool,
    /// It is a system user.
    pub(super) is_system: bool,
    pub(super) decisions: DecisionCache,
    /// Open requests.
    pub(super) open: BTreeSet<AuthRequestId>,
    /// The same by what they ask, for what else wants to know it.
    pub(super) asked: HashMap<(Action, Arc<str>), AuthRequestId>,
    /// It waits until others have fewer open requests.
    pub(super) is_throttled: bool,
}

#[derive(Debug)]
struct PendingOp {
    op: ClientOp,
    /// One for each subject that it names.
    verdicts: Vec<Verdict>,
    /// How many of them are asked for.
    asks: usize,
    /// Those that are not in.
    missing: usize,
    bytes: usize,
}

/// The decision about one subject of an operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// To come.
    Open,
    Allowed,
    Denied,
}

/// Something that waits for a decision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Waiter {
    /// An operation by its serial, and which of its subjects.
    Op(u64, usize),
    /// A subscription, or a wait for interest, that exists.
    Existing(Claim),
}

/// A action on a subject or pattern.
pub(super) type Claim = (Action, Arc<str>);

impl PendingOps {
    /// Returns whether nothing is held.
    pub(super) fn is_empty(&self) -> bool {
        self.held.is_empty()
    }

    /// Returns whether the connection is not to be read from. Before sign-in it gets one read, afterwards a
    /// window.
    pub(super) fn is_full(&self) -> bool {
        if self.is_signed_in {
            self.held.len() >= MAX_PENDING_OPS || self.bytes >= MAX_PENDING_BYTES
        } else {
            !self.held.is_empty()
        }
    }

    /// What all of it takes in memory, about.
    pub(super) fn memory(&self) -> usize {
        self.bytes + self.open.len() * QUESTION_MEMORY + self.decisions.memory()
    }

    /// It is known now how many subscriptions there may be; nothing was asked before.
    pub(super) fn limit_subscriptions(&mut self, most: usize) {
        for held in &mut self.held {
            if let ClientOp::Subscribe { .. } = held.op {
                held.asks = held.asks.min(most);
                held.missing = held.asks;
            }
        }
    }

    /// Puts an operation behind the others. Of a list of subscriptions, no more are asked about than there is
    /// `room` for, with what the operations before it give back.
    pub(super) fn hold(&mut self, op: ClientOp, room: usize) {
        let count = claims(&op).map_or(0, |(_, count)| count);
        let asks = if let ClientOp::Subscribe { .. } = op {
            count.min(room.saturating_add(self.given_back))
        } else {
            count
        };
        self.given_back += given_back(&op);
        let bytes = cost(&op);
        self.bytes += bytes;
        self.held.push_back(PendingOp {
            op,
            verdicts: vec![Verdict::Open; count],
            asks,
            missing: asks,
            bytes,
        });
    }

    /// Returns the next claim that is not decided. Invalid subjects are skipped, since the broker refuses
    /// them anyway.
    pub(super) fn next_claim(&mut self) -> Option<(Waiter, Action, Arc<str>)> {
        if !self.is_signed_in {
            return None;
        }
        if let Some((action, subject)) = self.review.pop_front() {
            return Some((Waiter::Existing((action, subject.clone())), action, subject));
        }
        loop {
            let (serial, index) = self.cursor;
            let held = self.held.get(usize::try_from(serial - self.first).ok()?)?;
            if index >= held.asks {
                self.cursor = (serial + 1, 0);
                continue;
            }
            self.cursor.1 += 1;
            let (action, _) = claims(&held.op)?;
            let name = claim(&held.op, index);
            if is_valid(action, name) {
                return Some((Waiter::Op(serial, index), action, name.into()));
            }
            self.decide(Waiter::Op(serial, index), true);
        }
    }

    /// Takes a decision.
    pub(super) fn decide(&mut self, waiter: Waiter, is_allowed: bool) {
        match waiter {
            Waiter::Op(serial, index) => {
                let place = serial.checked_sub(self.first).and_then(|place| usize::try_from(place).ok());
                let Some(held) = place.and_then(|place| self.held.get_mut(place)) else { return };
                if held.verdicts[index] == Verdict::Open {
                    held.missing -= 1;
                }
                held.verdicts[index] = if is_allowed { Verdict::Allowed } else { Verdict::Denied };
            }
            Waiter::Existing(claim) if !is_allowed => self.revoked.push(claim),
            Waiter::Existing(_) => {}
        }
    }

    /// Returns whether everything about the oldest operation is decided.
    pub(super) fn is_due(&self) -> bool {
        self.is_signed_in && self.held.front().is_some_and(|held| held.missing == 0)
    }

    /// Returns the oldest operation, once everything about it is decided.
    pub(super) fn pop_decided(&mut self) -> Option<(ClientOp, Vec<Verdict>)> {
        if !self.is_due() {
            return None;
        }
        let held = self.held.pop_front()?;
        self.first += 1;
        if self.cursor.0 < self.first {
            self.cursor = (self.first, 0);
        }
        self.bytes -= held.bytes;
        self.given_back -= given_back(&held.op);
        Some((held.op, held.verdicts))
    }

    /// Returns the subscriptions and waits that were revoked.
    pub(super) fn take_revoked(&mut self) -> Vec<Claim> {
        std::mem::take(&mut self.revoked)
    }

    /// Forgets all decisions, and has what exists asked about again. Returns the requests that do not count
    /// any more.
    pub(super) fn revalidate(&mut self, existing: Vec<Claim>) -> BTreeSet<AuthRequestId> {
        self.decisions.clear();
        self.asked.clear();
        for held in &mut self.held {
            held.verdicts.fill(Verdict::Open);
            held.missing = held.asks;
        }
        self.cursor = (self.first, 0);
        self.review = existing.into();
        std::mem::take(&mut self.open)
    }
}

/// Returns the action that an operation needs, and on how many subjects.
pub(super) fn claims(op: &ClientOp) -> Option<(Action, usize)> {
    match op {
        ClientOp::Publish { .. } | ClientOp::Request { .. } | ClientOp::WaitForInterest { .. } => {
            Some((Action::Publish, 1))
        }
        ClientOp::Subscribe { subscriptions, .. } => Some((Action::Subscribe, subscriptions.len())),
        ClientOp::Watch(requests) => Some((Action::Publish, requests.len())),
        _ => None,
    }
}

/// Returns one of these subjects.
pub(super) fn claim(op: &ClientOp, index: usize) -> &str {
    match op {
        ClientOp::Publish { publication, .. } | ClientOp::Request { publication, .. } => {
            publication.subject.as_str()
        }
        ClientOp::WaitForInterest { subject, .. } => subject,
        ClientOp::Subscribe { subscriptions, .. } => {
            subscriptions.get(index).map_or("", |subscription| &subscription.pattern)
        }
        // The end of a watch names none, and needs no permission.
        ClientOp::Watch(requests) => {
            requests.get(index).and_then(|request| request.subject.as_deref()).unwrap_or_default()
        }
        _ => "",
    }
}

/// How many subscriptions an operation ends.
fn given_back(op: &ClientOp) -> usize {
    if let ClientOp::Unsubscribe { patterns, .. } = op { patterns.len() } else { 0 }
}

fn is_valid(action: Action, name: &str) -> bool {
    match action {
        Action::Publish => Subject::parse(name).is_ok(),
        Action::Subscribe => Pattern::parse(name).is_ok(),
    }
}

/// Returns what an operation takes in memory while it is held, in bytes.
pub(super) fn cost(op: &ClientOp) -> usize {
    let own = match op {
        ClientOp::Publish { publication, .. } | ClientOp::Request { publication, .. } => {
            super::outbox::publication_size(publication)
        }
        ClientOp::Subscribe { subscriptions, .. } => {
            let size = |item: &crate::wire::Subscription| {
                size_of_val(item) + item.pattern.len() + item.queue.as_ref().map_or(0, |queue| queue.len())
            };
            subscriptions.iter().map(size).sum()
        }
        ClientOp::Unsubscribe { patterns, .. } => patterns.iter().map(|pattern| pattern.len() + 16).sum(),
        ClientOp::WaitForInterest { subject, .. } => subject.len(),
        ClientOp::Watch(requests) => {
            let name = |request: &WatchRequest| request.subject.as_ref().map_or(0, |subject| subject.len());
            requests.iter().map(|request| size_of_val(request) + name(request)).sum()
        }
        ClientOp::Sockets(reports) => {
            reports.iter().map(|one| size_of_val(one) + one.id.len() + one.subject.len()).sum()
        }
        _ => 0,
    };
    own + size_of::<ClientOp>()
}

/// What an open question takes, beside what it is about.
const QUESTION_MEMORY: usize = 1024;

/// Operations that one connection may have held before it is not read from any more. What one read brings
/// still goes in.
pub(super) const MAX_PENDING_OPS: usize = 256;

/// Their bytes.
pub(super) const MAX_PENDING_BYTES: usize = 1024 * 1024;
