//! Clients that wait until a subject has subscribers.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::error::Refusal;
use super::peer::PeerId;
use crate::base::Deadlines;
use crate::subject::Pattern;
use crate::wire::AckId;

/// Open waits. A new pattern looks only at waits that share its literal beginning; a pattern that begins with
/// a wildcard looks at all, which is acceptable because there are at most [`MAX_WAITS`].
#[derive(Debug, Default)]
pub(super) struct InterestWaits {
    open: HashMap<WaitId, Wait>,
    by_subject: BTreeSet<(Arc<str>, WaitId)>,
    by_peer: HashMap<PeerId, BTreeSet<WaitId>>,
    deadlines: Deadlines<WaitId>,
    begun: u64,
}

/// Grows, so that waits for one subject are answered in the order in which they came.
type WaitId = u64;

#[derive(Debug)]
struct Wait {
    peer: PeerId,
    ack: AckId,
    subject: Arc<str>,
}

impl InterestWaits {
    /// Begins to wait for at most `timeout` (and [`MAX_TIMEOUT`]). `subject` is a valid one that nobody
    /// listens on.
    pub(super) fn begin(
        &mut self,
        now: Instant,
        peer: PeerId,
        ack: AckId,
        subject: Arc<str>,
        timeout: Duration,
    ) -> Result<(), Refusal> {
        if self.open.len() >= MAX_WAITS {
            return Err(Refusal::TooManyWaits { limit: MAX_WAITS });
        }
        let of_peer = self.by_peer.entry(peer).or_default();
        if of_peer.len() >= MAX_WAITS_PER_PEER {
            return Err(Refusal::TooManyWaits { limit: MAX_WAITS_PER_PEER });
        }
        let id = self.begun;
        self.begun += 1;
        of_peer.insert(id);
        self.by_subject.insert((subject.clone(), id));
        self.deadlines.set(id, Some(now + timeout.min(MAX_TIMEOUT)));
        self.open.insert(id, Wait { peer, ack, subject });
        Ok(())
    }

    /// Ends the waits that a new subscription to `pattern` satisfies, and calls `answer` for each.
    pub(super) fn handle_interest(&mut self, pattern: &Pattern, mut answer: impl FnMut(PeerId, AckId)) {
        if self.open.is_empty() || pattern.is_silent() {
            return;
        }
        let text = pattern.as_str();
        let prefix = literal_prefix(text);
        let satisfied: Vec<WaitId> = self
            .by_subject
            .range((Arc::<str>::from(prefix), 0)..)
            .take_while(
                |(subject, _)| if prefix == text { &**subject == text } else { subject.starts_with(prefix) },
            )
            .filter(|(subject, _)| pattern.matches(subject))
            .map(|(_, id)| *id)
            .collect();
        for id in satisfied {
            if let Some(wait) = self.end(id) {
                answer(wait.peer, wait.ack);
            }
        }
    }

    /// Ends a wait whose time is over.
    pub(super) fn pop_due(&mut self, now: Instant) -> Option<(PeerId, AckId)> {
        let id = self.deadlines.pop_due(now)?;
        self.end(id).map(|wait| (wait.peer, wait.ack))
    }

    /// Returns when the next wait is over.
    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        self.deadlines.next()
    }

    /// Drops the waits of a peer without an answer.
    pub(super) fn forget(&mut self, peer: PeerId) {
        for id in self.by_peer.remove(&peer).unwrap_or_default() {
            self.end(id);
        }
    }

    /// Returns the subjects that a peer waits for, each once.
    pub(super) fn subjects_of(&self, peer: PeerId) -> BTreeSet<Arc<str>> {
        let of_peer = self.by_peer.get(&peer).into_iter().flatten();
        of_peer.filter_map(|id| Some(self.open.get(id)?.subject.clone())).collect()
    }

    /// Drops the waits of a peer for one subject. Returns what is to be answered.
    pub(super) fn forget_subject(&mut self, peer: PeerId, subject: &str) -> Vec<AckId> {
        let of_peer = self.by_peer.get(&peer).into_iter().flatten();
        let is_same = |id: &&WaitId| self.open.get(*id).is_some_and(|wait| &*wait.subject == subject);
        let ended: Vec<WaitId> = of_peer.filter(is_same).copied().collect();
        ended.into_iter().filter_map(|id| Some(self.end(id)?.ack)).collect()
    }

    /// Returns how many there are.
    pub(super) fn len(&self) -> usize {
        self.open.len()
    }

    fn end(&mut self, id: WaitId) -> Option<Wait> {
        let wait = self.open.remove(&id)?;
        self.deadlines.set(id, None);
        self.by_subject.remove(&(wait.subject.clone(), id));
        if let Some(of_peer) = self.by_peer.get_mut(&wait.peer) {
            of_peer.remove(&id);
            if of_peer.is_empty() {
                self.by_peer.remove(&wait.peer);
            }
        }
        Some(wait)
    }
}

/// Returns what every subject that `pattern` matches begins with; the whole pattern if it has no wildcard.
fn literal_prefix(pattern: &str) -> &str {
    let mut length = 0;
    for token in pattern.split('.') {
        if token == "*" || token == ">" {
            return &pattern[..length];
        }
        length += token.len() + 1;
    }
    pattern
}

/// Longest wait (Conat's).
pub(super) const MAX_TIMEOUT: Duration = Duration::from_secs(90);

/// InterestWaits of one connection. A client has one for each publish or socket that waits for its receiver.
pub(super) const MAX_WAITS_PER_PEER: usize = 1000;

/// InterestWaits of all connections: about 10 MB, and some milliseconds for a pattern that has to look at all
/// of them.
pub(super) const MAX_WAITS: usize = 65_536;

#[cfg(test)]
#[allow(clippy::disallowed_methods)]
mod tests {
    use super::*;

    #[test]
    fn all_peers_together_have_a_limit_too() {
        let (mut waits, now, second) = (InterestWaits::default(), Instant::now(), Duration::from_secs(1));
        let mut begin = |index: usize| {
            let slot = u32::try_from(index / MAX_WAITS_PER_PEER).unwrap();
            let peer = PeerId { serial: u64::from(slot), slot };
            waits.begin(now, peer, AckId(0), "a".into(), second)
        };
        assert!((0..MAX_WAITS).all(|index| begin(index).is_ok()));
        assert_eq!(begin(MAX_WAITS), Err(Refusal::TooManyWaits { limit: MAX_WAITS }));
        assert_eq!(std::iter::from_fn(|| waits.pop_due(now + second)).count(), MAX_WAITS);
        assert!(waits.by_peer.is_empty() && waits.by_subject.is_empty() && waits.poll_timeout().is_none());
    }

    #[test]
    fn the_prefix_ends_before_the_first_wildcard_token() {
        for (pattern, prefix) in
            [("a.b", "a.b"), ("a.*", "a."), ("a.>", "a."), ("*.a", ""), ("a*.b>.*.c", "a*.b>."), ("*", "")]
        {
            assert_eq!(literal_prefix(pattern), prefix, "{pattern}");
        }
    }
}
