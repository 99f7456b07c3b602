//! Connections that were cut before they had answered all that they were given: their clients may come back,
//! and still answer. A client is known by its inbox, which it keeps.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::hash::{BuildHasher, RandomState};
use std::time::Instant;

use super::account::{Account, Owner};
use super::given_requests::{AskedId, Askers};
use crate::base::Shares;
use crate::subject::Pattern;
use crate::wire::{ANSWER_GRACE, Json};

/// Connections that were cut and owe answers, while their clients may come back. When there is no room for
/// one more, the oldest of the owner with most gives way.
#[derive(Debug, Default)]
pub(super) struct CutOff {
    /// By inbox, which a peer chooses.
    by_inbox: HashMap<Pattern, (Due, CutUnanswered)>,
    /// In the order in which their time is over.
    due: BTreeMap<Due, Pattern>,
    by_owner: HashMap<Owner, BTreeSet<Due>>,
    shares: Shares<Owner>,
    kept: u64,
    /// A user has a number only while it is connected: here its hash stands for it.
    users: RandomState,
}

/// When the time of one is over, and which it is.
type Due = (Instant, u64);

/// A connection that was cut: who it was, and who has asked it.
#[derive(Debug)]
pub(super) struct CutUnanswered {
    pub(super) account: Account,
    pub(super) owner: Owner,
    pub(super) asked: AskedId,
    pub(super) askers: Box<Askers>,
}

impl CutOff {
    /// Who has the place of a connection that was cut.
    pub(super) fn owner(&self, owner: Owner, user: &Json) -> Owner {
        match owner {
            Owner::User(_) => Owner::User(self.users.hash_one(user.as_bytes())),
            Owner::Network(_) => owner,
        }
    }

    /// Keeps what a connection was given until its client is back, or its time is over. Returns what there is
    /// no room for: what another had to give up, or this.
    pub(super) fn keep(
        &mut self,
        now: Instant,
        inbox: Pattern,
        mut cut: CutUnanswered,
    ) -> Option<CutUnanswered> {
        if let Some(earlier) = self.take(&inbox) {
            cut.askers.take_over(*earlier);
        }
        let mut given_up = None;
        if self.by_inbox.len() >= MAX_CUT_OFF {
            let owns_some = self.shares.of(&cut.owner) > 0;
            let yielding = self.shares.greedier_than(&cut.owner).or(owns_some.then_some(cut.owner));
            let oldest = yielding.and_then(|owner| self.by_owner.get(&owner)?.first().copied());
            let Some(oldest) = oldest else { return Some(cut) };
            given_up = self.end(oldest);
        }
        let due = (now + ANSWER_GRACE, self.kept);
        self.kept += 1;
        self.shares.add(cut.owner, 1);
        self.by_owner.entry(cut.owner).or_default().insert(due);
        self.due.insert(due, inbox.clone());
        self.by_inbox.insert(inbox, (due, cut));
        given_up
    }

    /// The client with this inbox is back.
    pub(super) fn take(&mut self, inbox: &Pattern) -> Option<Box<Askers>> {
        let due = self.by_inbox.get(inbox).map(|(due, _)| *due);
        due.and_then(|due| self.end(due)).map(|cut| cut.askers)
    }

    /// Takes one whose client has not come back in time.
    pub(super) fn pop_due(&mut self, now: Instant) -> Option<CutUnanswered> {
        let (due, _) = self.due.first_key_value().filter(|((at, _), _)| *at <= now)?;
        self.end(*due)
    }

    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        self.due.first_key_value().map(|((at, _), _)| *at)
    }

    fn end(&mut self, due: Due) -> Option<CutUnanswered> {
        let (_, cut) = self.by_inbox.remove(&self.due.remove(&due)?)?;
        self.shares.subtract(cut.owner, 1);
        if let Some(all) = self.by_owner.get_mut(&cut.owner) {
            all.remove(&due);
            if all.is_empty() {
                self.by_owner.remove(&cut.owner);
            }
        }
        Some(cut)
    }
}

/// Connections that were cut, and of which something is remembered.
pub(super) const MAX_CUT_OFF: usize = 1024;
