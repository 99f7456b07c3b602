//! Clients that wait until a subject has subscribers.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::account::Owner;
use super::error::Refusal;
use super::given_back::GivenBack;
use super::peer_id::PeerId;
use crate::base::Deadlines;
use crate::base::Tiers;
use crate::subject::{Awaited, Pattern, Subject};
use crate::wire::AckId;

/// Open waits. A new pattern finds those that it satisfies by an index ([`Awaited`]). When there is no room
/// for one more, the connection with most waits, of the owner with most, loses its oldest.
#[derive(Debug, Default)]
pub(super) struct InterestWaits {
    open: HashMap<WaitId, Wait>,
    by_subject: Awaited<BTreeSet<WaitId>>,
    by_peer: HashMap<PeerId, Held>,
    shares: Tiers<Owner, PeerId>,
    deadlines: Deadlines<WaitId>,
    begun: u64,
    /// Memory of waits that have ended, and whose it was.
    given_back: GivenBack,
}

/// Grows, so that waits for one subject are answered in the order in which they came.
type WaitId = u64;

#[derive(Debug)]
struct Wait {
    peer: PeerId,
    owner: Owner,
    ack: AckId,
    subject: Arc<str>,
}

/// What one connection has.
#[derive(Debug, Default)]
struct Held {
    waits: BTreeSet<WaitId>,
    bytes: usize,
}

impl InterestWaits {
    /// Begins to wait for at most `timeout` (and [`MAX_TIMEOUT`]). `subject` is a valid one that nobody
    /// listens on. Returns a wait that had to give way, to be refused.
    pub(super) fn begin(
        &mut self,
        now: Instant,
        (peer, owner): (PeerId, Owner),
        ack: AckId,
        subject: Arc<str>,
        timeout: Duration,
    ) -> Result<Option<(PeerId, AckId)>, Refusal> {
        let held = self.by_peer.get(&peer);
        if held.is_some_and(|held| held.waits.len() >= MAX_WAITS_PER_PEER) {
            return Err(Refusal::TooManyWaits { limit: MAX_WAITS_PER_PEER });
        }
        if held.map_or(0, |held| held.bytes) + subject.len() > MAX_WAIT_BYTES_PER_PEER {
            return Err(Refusal::TooManyWaitBytes { limit: MAX_WAIT_BYTES_PER_PEER });
        }
        let mut evicted = None;
        if self.open.len() >= MAX_WAITS {
            let Some(greedier) = self.shares.yielding_to(&owner, &peer) else {
                return Err(Refusal::TooManyWaits { limit: MAX_WAITS });
            };
            let oldest = self.by_peer.get(&greedier).and_then(|held| held.waits.first().copied());
            evicted = oldest.and_then(|id| self.end(id)).map(|wait| (wait.peer, wait.ack));
        }
        let id = self.begun;
        self.begun += 1;
        let held = self.by_peer.entry(peer).or_default();
        held.waits.insert(id);
        held.bytes += subject.len();
        self.shares.add(owner, peer, 1);
        self.by_subject.get_or_insert_with(&subject, BTreeSet::new).insert(id);
        self.deadlines.set(id, Some(now + timeout.min(MAX_TIMEOUT)));
        self.open.insert(id, Wait { peer, owner, ack, subject });
        Ok(evicted)
    }

    /// Ends the waits that a new subscription to `pattern` satisfies, and calls `answer` for each.
    pub(super) fn handle_interest(&mut self, pattern: &Pattern, mut answer: impl FnMut(PeerId, AckId)) {
        if self.open.is_empty() || pattern.is_silent() {
            return;
        }
        for (_, waits) in self.by_subject.take_matches(pattern) {
            for id in waits {
                if let Some(wait) = self.end(id) {
                    answer(wait.peer, wait.ack);
                }
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

    /// Takes some memory that was given back, and by whom.
    pub(super) fn poll_given_back(&mut self) -> Option<(PeerId, usize)> {
        self.given_back.poll()
    }

    /// Drops the waits of a peer without an answer.
    pub(super) fn forget(&mut self, peer: PeerId) {
        for id in self.by_peer.remove(&peer).unwrap_or_default().waits {
            self.end(id);
        }
    }

    /// Returns the subjects that a peer waits for, each once.
    pub(super) fn subjects_of(&self, peer: PeerId) -> BTreeSet<Arc<str>> {
        self.waits_of(peer).filter_map(|id| Some(self.open.get(id)?.subject.clone())).collect()
    }

    /// Drops the waits of a peer for one subject. Returns what is to be answered.
    pub(super) fn forget_subject(&mut self, peer: PeerId, subject: &str) -> Vec<AckId> {
        let is_same = |id: &&WaitId| self.open.get(*id).is_some_and(|wait| &*wait.subject == subject);
        let ended: Vec<WaitId> = self.waits_of(peer).filter(is_same).copied().collect();
        ended.into_iter().filter_map(|id| Some(self.end(id)?.ack)).collect()
    }

    /// Ends all waits for one subject. Returns what is to be answered.
    pub(super) fn end_subject(&mut self, subject: &str) -> Vec<(PeerId, AckId)> {
        let ids: Vec<WaitId> =
            self.by_subject.get_mut(subject).map_or_else(Vec::new, |ids| ids.iter().copied().collect());
        ids.into_iter().filter_map(|id| self.end(id)).map(|wait| (wait.peer, wait.ack)).collect()
    }

    /// Finds out whether anybody waits for a subject.
    pub(super) fn look_for_subject(&mut self, subject: &str) -> bool {
        self.by_subject.get_mut(subject).is_some_and(|waits| !waits.is_empty())
    }

    /// Returns all subjects that somebody waits for, each once.
    pub(super) fn subjects(&self) -> Vec<Subject> {
        let subjects: BTreeSet<&Arc<str>> = self.open.values().map(|wait| &wait.subject).collect();
        subjects.into_iter().filter_map(|subject| Subject::parse(subject).ok()).collect()
    }

    /// Returns how many a peer has.
    pub(super) fn count_of(&self, peer: PeerId) -> usize {
        self.by_peer.get(&peer).map_or(0, |held| held.waits.len())
    }

    /// Returns how many there are.
    pub(super) fn len(&self) -> usize {
        self.open.len()
    }

    /// Steps that looking for waits has taken.
    pub(super) fn steps(&self) -> u64 {
        self.by_subject.steps()
    }

    fn waits_of(&self, peer: PeerId) -> impl Iterator<Item = &WaitId> {
        self.by_peer.get(&peer).into_iter().flat_map(|held| &held.waits)
    }

    fn end(&mut self, id: WaitId) -> Option<Wait> {
        let wait = self.open.remove(&id)?;
        self.deadlines.set(id, None);
        self.shares.subtract(wait.owner, wait.peer, 1);
        self.given_back.push(wait.peer, memory_of(&wait.subject));
        if let Some(same) = self.by_subject.get_mut(&wait.subject) {
            same.remove(&id);
            if same.is_empty() {
                self.by_subject.remove(&wait.subject);
            }
        }
        if let Some(held) = self.by_peer.get_mut(&wait.peer) {
            held.waits.remove(&id);
            held.bytes -= wait.subject.len();
            if held.waits.is_empty() {
                self.by_peer.remove(&wait.peer);
            }
        }
        Some(wait)
    }
}

/// What a wait takes in all tables together, about: `tests/memory.rs` compares.
pub(super) fn memory_of(subject: &str) -> usize {
    let tokens = subject.bytes().filter(|&byte| byte == b'.').count() + 1;
    WAIT_MEMORY + subject.len() + tokens * size_of::<u64>()
}

/// What a wait takes beside its subject.
const WAIT_MEMORY: usize = 768;

/// Longest wait (Conat's).
pub(super) const MAX_TIMEOUT: Duration = Duration::from_secs(90);

/// Waits of one connection. A client has one for each publish or socket that waits for its receiver.
pub(super) const MAX_WAITS_PER_PEER: usize = 1000;

/// Bytes of their subjects. Each takes up to five times as much in memory, and some hundred bytes.
pub(super) const MAX_WAIT_BYTES_PER_PEER: usize = 1024 * 1024;

/// Waits of all connections: about 20 MB where names are short. Beyond it, who has most gives way.
pub(super) const MAX_WAITS: usize = 65_536;

#[cfg(test)]
#[allow(clippy::disallowed_methods)]
mod tests {
    use super::*;

    fn peer(slot: usize) -> PeerId {
        let slot = u32::try_from(slot).unwrap();
        PeerId { serial: u64::from(slot), slot }
    }

    #[test]
    fn who_has_most_waits_gives_way_to_others_and_a_user_to_nobody_but_itself() {
        let (mut waits, now, second) = (InterestWaits::default(), Instant::now(), Duration::from_secs(1));
        let begin = |waits: &mut InterestWaits, slot: usize, user: u64, ack: usize| {
            let owner = Owner::User(user);
            waits.begin(now, (peer(slot), owner), AckId(ack as u64), "a".into(), second)
        };
        for index in 0..MAX_WAITS {
            assert_eq!(begin(&mut waits, index / MAX_WAITS_PER_PEER, 1, index), Ok(None));
        }
        let greatest = (MAX_WAITS - 1) / MAX_WAITS_PER_PEER - 1;
        let first_of = |slot: usize| AckId((slot * MAX_WAITS_PER_PEER) as u64);
        let evicted = |slot: usize| Ok(Some((peer(slot), first_of(slot))));
        assert_eq!(begin(&mut waits, 99, 1, 0), evicted(greatest), "a connection of the same user");
        assert_eq!(begin(&mut waits, 100, 2, 0), evicted(greatest - 1));
        assert_eq!(begin(&mut waits, 100, 2, 1), evicted(greatest - 2));
        assert_eq!(begin(&mut waits, 0, 1, 0), Err(Refusal::TooManyWaits { limit: MAX_WAITS_PER_PEER }));
        assert_eq!(waits.shares.yielding_to(&Owner::User(1), &peer(0)), None, "who has most");
        assert_eq!(std::iter::from_fn(|| waits.pop_due(now + second)).count(), MAX_WAITS);
        assert!(waits.by_peer.is_empty() && waits.by_subject.is_empty());
        assert_eq!((waits.shares.total(), waits.poll_timeout()), (0, None));
    }

    #[test]
    fn the_bytes_of_one_connection_are_bounded_too() {
        let (mut waits, now, second) = (InterestWaits::default(), Instant::now(), Duration::from_secs(1));
        let begin = |waits: &mut InterestWaits, n: usize| {
            let subject = format!("{}{n}", "x".repeat(8000)).into();
            waits.begin(now, (peer(0), Owner::User(0)), AckId(0), subject, second)
        };
        let count = (0..MAX_WAITS_PER_PEER).take_while(|&n| begin(&mut waits, n).is_ok()).count();
        assert_eq!(count, MAX_WAIT_BYTES_PER_PEER / 8003);
        waits.forget(peer(0));
        assert_eq!(begin(&mut waits, 0), Ok(None));
    }
}
