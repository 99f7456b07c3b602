//! Requests that one connection alone was given: when it ends, whoever waits for its answer is told.
//!
//! The client of a connection that was only cut comes back, and may still answer. It is known by its inbox,
//! which it keeps.

use std::collections::{HashMap, VecDeque};
use std::time::Instant;

use super::account::Account;
use super::peer::PeerId;
use crate::subject::Pattern;
use crate::wire::{ANSWER_GRACE, AckId};

/// The latest requests of one connection, oldest first, answered or not.
#[derive(Debug, Default)]
pub(super) struct GivenRequests(VecDeque<(PeerId, AckId)>);

impl GivenRequests {
    /// Notes who asked, and by which acknowledgement a request is known there.
    #[inline]
    pub(super) fn note(&mut self, asker: PeerId, ack: AckId) {
        if self.0.len() == MAX_NOTED {
            self.0.pop_front();
        }
        self.0.push_back((asker, ack));
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Adds those of an earlier connection of the same client.
    pub(super) fn take_over(&mut self, earlier: Self) {
        earlier.0.into_iter().for_each(|(asker, ack)| self.note(asker, ack));
    }

    pub(super) fn into_askers(self) -> impl Iterator<Item = (PeerId, AckId)> {
        self.0.into_iter()
    }
}

/// Those of connections that were cut, while their clients may come back.
#[derive(Debug, Default)]
pub(super) struct CutOff {
    /// By inbox, which a peer chooses.
    by_inbox: HashMap<Pattern, Unanswered>,
    /// In the order in which their time is over; what has been taken over stays here until then.
    due: VecDeque<(Instant, Pattern, PeerId)>,
}

#[derive(Debug)]
struct Unanswered {
    peer: PeerId,
    account: Account,
    given: GivenRequests,
}

impl CutOff {
    /// Whether there is room for one more.
    pub(super) fn has_room(&self) -> bool {
        self.due.len() < MAX_CUT_OFF
    }

    /// Keeps what a connection was given until its client is back, or its time is over.
    pub(super) fn keep(
        &mut self,
        now: Instant,
        (peer, account): (PeerId, Account),
        inbox: Pattern,
        mut given: GivenRequests,
    ) {
        given.take_over(self.take(&inbox));
        self.due.push_back((now + ANSWER_GRACE, inbox.clone(), peer));
        self.by_inbox.insert(inbox, Unanswered { peer, account, given });
    }

    /// The client with this inbox is back.
    pub(super) fn take(&mut self, inbox: &Pattern) -> GivenRequests {
        self.by_inbox.remove(inbox).map(|unanswered| unanswered.given).unwrap_or_default()
    }

    /// Takes one whose client has not come back in time, and who it was.
    pub(super) fn pop_due(&mut self, now: Instant) -> Option<(Account, GivenRequests)> {
        while self.due.front().is_some_and(|(at, ..)| *at <= now)
            && let Some((_, inbox, peer)) = self.due.pop_front()
        {
            let is_same = self.by_inbox.get(&inbox).is_some_and(|unanswered| unanswered.peer == peer);
            if is_same && let Some(Unanswered { account, given, .. }) = self.by_inbox.remove(&inbox) {
                return Some((account, given));
            }
        }
        None
    }

    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        self.due.front().map(|(at, ..)| *at)
    }
}

/// Requests that are remembered of a connection.
pub(super) const MAX_NOTED: usize = 64;
/// Connections that were cut, and of which something is remembered.
const MAX_CUT_OFF: usize = 1024;
