//! The acknowledgements that a client awaits on its link.

use std::collections::HashMap;

use foldhash::fast::RandomState;

use super::drains::DrainId;
use super::inbox::RequestId;
use crate::subject::Pattern;
use crate::wire::{AckId, Subscription};

/// The purpose of an awaited acknowledgement.
#[derive(Debug)]
pub(super) enum Awaited {
    /// The count of a request.
    Count(RequestId),
    /// Whether there is interest in a request's subject.
    Interest(RequestId),
    /// A subscription made while the session was up.
    Subscription(Pattern),
    /// The inbox and everything else, after the sign-in.
    Sync(Vec<Subscription>),
    /// A list of the broker's.
    List(RequestId),
    /// The subscriptions that the broker lacked.
    Repair(RequestId, Vec<Subscription>),
    /// The end of a subscription, behind its last delivery.
    Drain(Pattern, DrainId),
}

/// Awaited acknowledgements by id.
#[derive(Debug, Default)]
pub(super) struct Acks {
    /// Ids are our own, never a peer's choice.
    awaited: HashMap<AckId, Awaited, RandomState>,
    next: u64,
}

impl Acks {
    /// Returns a fresh id, whose acknowledgement is awaited from now on.
    pub(super) fn expect(&mut self, awaited: Awaited) -> AckId {
        let id = AckId(self.next);
        self.next += 1;
        self.awaited.insert(id, awaited);
        id
    }

    /// Awaits another acknowledgement with the same id.
    pub(super) fn expect_again(&mut self, id: AckId, awaited: Awaited) {
        self.awaited.insert(id, awaited);
    }

    /// Takes what an acknowledgement is for. `None`: it is not awaited, or not any more.
    pub(super) fn take(&mut self, id: AckId) -> Option<Awaited> {
        self.awaited.remove(&id)
    }

    /// Forgets all of them: the link is gone. Returns the requests whose count was awaited, oldest first.
    pub(super) fn clear(&mut self) -> Vec<RequestId> {
        let counts = |awaited| if let Awaited::Count(id) = awaited { Some(id) } else { None };
        let mut counted: Vec<RequestId> =
            std::mem::take(&mut self.awaited).into_values().filter_map(counts).collect();
        counted.sort_unstable();
        counted
    }

    /// Returns how many are awaited.
    pub(super) fn len(&self) -> usize {
        self.awaited.len()
    }
}
