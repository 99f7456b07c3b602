//! What was sent and is not settled yet: a server settles it by a refusal, by a 503, or by the answer to the
//! `PING` behind it.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use crate::subject::{Pattern, Subject};
use crate::wire::message::{AckId, OpError, SubscribeStatus};

/// Something that the server has not settled.
#[derive(Debug)]
pub(super) enum Unsettled {
    /// A message; silence means that somebody got it.
    Publish {
        subject: Subject,
        reply: Subject,
        ack: AckId,
        /// Nothing is said of it if somebody got it.
        is_request: bool,
    },
    /// A look at who listens to a subject.
    Probe {
        subject: Subject,
        reply: Subject,
        ack: AckId,
    },
    Subscribe(Subscribing),
    Unsubscribe {
        ack: Option<AckId>,
        /// Messages still come for these until it is settled.
        sids: Vec<u64>,
        count: usize,
    },
    /// A look at what is subscribed to, once the server has all that was said before.
    List {
        ack: AckId,
    },
}

/// Patterns that are being subscribed to.
#[derive(Debug)]
pub(super) struct Subscribing {
    pub(super) ack: Option<AckId>,
    pub(super) patterns: Vec<Arc<str>>,
    pub(super) statuses: Vec<Result<SubscribeStatus, OpError>>,
}

/// All of it, in order.
#[derive(Debug, Default)]
pub(super) struct Fences {
    /// From number `base` on.
    unsettled: VecDeque<Option<Unsettled>>,
    base: u64,
    /// Where each fence stands: behind all with a lower number.
    sent: VecDeque<u64>,
    /// Where the last fence stands.
    last: u64,
    by_reply: HashMap<Subject, u64>,
}

impl Fences {
    /// Takes note of what is sent now.
    pub(super) fn add(&mut self, unsettled: Unsettled) {
        if let Unsettled::Publish { reply, .. } | Unsettled::Probe { reply, .. } = &unsettled {
            self.by_reply.insert(reply.clone(), self.end());
        }
        self.unsettled.push_back(Some(unsettled));
    }

    /// Returns how much is unsettled.
    pub(super) fn len(&self) -> usize {
        self.unsettled.len()
    }

    /// Returns whether something was sent that no fence stands behind.
    pub(super) fn is_open(&self) -> bool {
        self.end() > self.last
    }

    /// Returns whether no fence is under way.
    pub(super) fn is_settled(&self) -> bool {
        self.sent.is_empty()
    }

    /// Takes note that a fence is sent.
    pub(super) fn close(&mut self) {
        self.last = self.end();
        self.sent.push_back(self.last);
    }

    /// Takes what nobody got, going by the reply subject.
    pub(super) fn take_unheard(&mut self, reply: &Subject) -> Option<Unsettled> {
        let number = self.by_reply.remove(reply)?;
        self.slot(number)?.take()
    }

    /// Takes the oldest publish to `subject`.
    pub(super) fn take_publish(&mut self, subject: &str) -> Option<Unsettled> {
        let is_it = |slot: &Option<Unsettled>| {
            matches!(slot, Some(Unsettled::Publish { subject: to, .. } | Unsettled::Probe { subject: to, .. })
                if to.as_str() == subject)
        };
        let at = self.unsettled.iter().position(is_it)?;
        let taken = self.unsettled[at].take()?;
        self.forget_reply(&taken);
        Some(taken)
    }

    /// Returns whether `pattern` was being subscribed to, which is refused now.
    pub(super) fn refuse_pattern(&mut self, pattern: &str, error: &OpError) -> bool {
        let mut all = self.unsettled.iter_mut().flatten();
        all.any(|unsettled| match unsettled {
            Unsettled::Subscribe(subscribing) => subscribing.refuse(pattern, error),
            _ => false,
        })
    }

    /// Returns the pattern that the last subscription of the oldest batch is for, which is refused now. A
    /// server does not say which one is beyond its limit, but it is the last ones.
    pub(super) fn refuse_last(&mut self, error: &OpError) -> Option<Pattern> {
        let end = self.sent.front().map_or(self.end(), |end| *end);
        let count = usize::try_from(end - self.base).unwrap_or(usize::MAX);
        let mut batch = self.unsettled.iter_mut().take(count).rev().flatten();
        batch.find_map(|unsettled| match unsettled {
            Unsettled::Subscribe(subscribing) => subscribing.refuse_last(error),
            _ => None,
        })
    }

    /// Settles what stands before the oldest fence, in order; `None` without a fence.
    pub(super) fn settle(&mut self) -> Option<Vec<Unsettled>> {
        let end = self.sent.pop_front()?;
        let count = usize::try_from(end - self.base).unwrap_or(usize::MAX).min(self.unsettled.len());
        self.base = end;
        let settled: Vec<Unsettled> = self.unsettled.drain(..count).flatten().collect();
        settled.iter().for_each(|unsettled| self.forget_reply(unsettled));
        Some(settled)
    }

    fn end(&self) -> u64 {
        self.base + self.unsettled.len() as u64
    }

    fn slot(&mut self, number: u64) -> Option<&mut Option<Unsettled>> {
        self.unsettled.get_mut(usize::try_from(number.checked_sub(self.base)?).ok()?)
    }

    fn forget_reply(&mut self, unsettled: &Unsettled) {
        if let Unsettled::Publish { reply, .. } | Unsettled::Probe { reply, .. } = unsettled {
            self.by_reply.remove(reply);
        }
    }
}

impl Subscribing {
    fn refuse(&mut self, pattern: &str, error: &OpError) -> bool {
        let mut all = self.patterns.iter().zip(&mut self.statuses);
        let added = all.find(|(name, status)| ***name == *pattern && **status == ADDED);
        added.is_some_and(|(_, status)| {
            *status = Err(error.clone());
            true
        })
    }

    fn refuse_last(&mut self, error: &OpError) -> Option<Pattern> {
        let mut all = self.patterns.iter().zip(&mut self.statuses).rev();
        let (pattern, status) = all.find(|(_, status)| **status == ADDED)?;
        *status = Err(error.clone());
        Pattern::parse(pattern).ok()
    }
}

const ADDED: Result<SubscribeStatus, OpError> = Ok(SubscribeStatus::Added);
