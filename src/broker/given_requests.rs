//! Requests that one connection alone was given and has not answered: when it ends, whoever waits is told.
//!
//! Whoever asks keeps them, by whom it has asked, and pays for them. Whoever is asked knows only who they
//! are, so that neither an answer nor an end has to look through the requests of others.

use std::collections::{HashMap, HashSet, VecDeque};
use std::hash::BuildHasher;

use foldhash::fast::RandomState;

use super::peer_id::PeerId;
use crate::subject::{Pattern, Subject};
use crate::wire::AckId;

/// Names a client that is asked, over all of its connections: the hash of its inbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct AskedId(pub(super) u64);

/// Names a request to whoever has asked: the hash of where its answer comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct AnswerId(pub(super) u64);

/// Makes these names: nobody outside knows which.
#[derive(Debug, Default)]
pub(super) struct Names(RandomState);

impl Names {
    pub(super) fn asked(&self, inbox: &Pattern) -> AskedId {
        AskedId(self.0.hash_one(inbox.as_str()))
    }

    #[inline]
    pub(super) fn answer(&self, place: &Subject) -> AnswerId {
        AnswerId(self.0.hash_one(place.as_str()))
    }
}

/// The requests of one connection, by whom they were given to.
#[derive(Debug, Default)]
pub(super) struct Asks {
    by_asked: HashMap<AskedId, Unanswered, RandomState>,
    unanswered: usize,
}

/// The requests of one connection to one client.
#[derive(Debug, Default)]
pub(super) struct Unanswered {
    /// Those that end with an answer.
    single: HashMap<AnswerId, AckId, RandomState>,
    /// The latest of those for which the broker sees no last answer, oldest first.
    others: VecDeque<AckId>,
}

impl Unanswered {
    fn len(&self) -> usize {
        self.single.len() + self.others.len()
    }

    /// The bytes that it takes.
    fn memory(&self) -> usize {
        PAIR_BYTES + self.single.capacity() * NOTE_BYTES + self.others.capacity() * size_of::<AckId>()
    }

    /// Returns all of them, oldest first.
    pub(super) fn into_acks(self) -> Vec<AckId> {
        let mut acks: Vec<AckId> = self.single.into_values().chain(self.others).collect();
        acks.sort_unstable();
        acks
    }
}

impl Asks {
    /// Notes a request that takes no more memory: `answer` where one ends it. Returns whether that is done.
    #[inline]
    pub(super) fn try_note(&mut self, asked: AskedId, answer: Option<AnswerId>, ack: AckId) -> bool {
        let Some(open) = self.by_asked.get_mut(&asked) else { return false };
        match answer {
            Some(answer)
                if open.single.len() < open.single.capacity() && self.unanswered < MAX_UNANSWERED =>
            {
                self.unanswered += usize::from(open.single.insert(answer, ack).is_none());
                true
            }
            Some(_) => false,
            None => {
                if open.others.len() >= MAX_OTHERS {
                    open.others.pop_front();
                }
                let has_room = open.others.len() < open.others.capacity();
                if has_room {
                    open.others.push_back(ack);
                }
                has_room
            }
        }
    }

    /// Makes room for one more request. Returns by how many bytes there is more or less of it.
    pub(super) fn make_room(&mut self, asked: AskedId, answer: Option<AnswerId>) -> (usize, usize) {
        let given_back = if self.unanswered >= MAX_UNANSWERED { self.forget_most() } else { 0 };
        let before = self.by_asked.get(&asked).map_or(0, Unanswered::memory);
        let open = self.by_asked.entry(asked).or_default();
        if answer.is_some() {
            // Twice as much as is needed: a table that is nearly full is built anew again and again.
            open.single.reserve(open.single.len() + 1);
        } else {
            open.others.reserve(1);
        }
        (open.memory() - before, given_back)
    }

    /// Handles an answer on its way from whoever was asked. Returns the bytes that are not needed any more.
    #[inline]
    pub(super) fn handle_answer(&mut self, asked: AskedId, answer: AnswerId) -> usize {
        let Some(open) = self.by_asked.get_mut(&asked) else { return 0 };
        if open.single.remove(&answer).is_none() {
            return 0;
        }
        self.unanswered -= 1;
        if open.single.is_empty() { open.tidy() } else { 0 }
    }

    /// Whether an answer could end a request.
    #[inline]
    pub(super) fn has_unanswered(&self) -> bool {
        self.unanswered > 0
    }

    /// Whether anything is noted of this client.
    pub(super) fn has_open(&self, asked: AskedId) -> bool {
        self.by_asked.get(&asked).is_some_and(|open| open.len() > 0)
    }

    /// Whether an answer of this client would end a request.
    pub(super) fn awaits_answer(&self, asked: AskedId) -> bool {
        self.by_asked.get(&asked).is_some_and(|open| !open.single.is_empty())
    }

    /// Takes the requests to one client, and what they took in bytes.
    pub(super) fn take(&mut self, asked: AskedId) -> Option<(Unanswered, usize)> {
        let open = self.by_asked.remove(&asked)?;
        self.unanswered -= open.single.len();
        let memory = open.memory();
        Some((open, memory))
    }

    /// Forgets the requests to the client with most of them: they wait until their time is over. Returns the
    /// bytes that this gives back.
    fn forget_most(&mut self) -> usize {
        let most = self.by_asked.iter().max_by_key(|(asked, open)| (open.single.len(), **asked));
        let Some(open) = most.map(|(asked, _)| *asked).and_then(|asked| self.by_asked.get_mut(&asked)) else {
            return 0;
        };
        self.unanswered -= open.single.len();
        open.give_up_room()
    }
}

impl Unanswered {
    /// Makes the table of an empty one as good as new. Returns the bytes that it gives back.
    fn tidy(&mut self) -> usize {
        self.single.clear();
        if self.single.capacity() > MAX_SPARE { self.give_up_room() } else { 0 }
    }

    #[cold]
    fn give_up_room(&mut self) -> usize {
        let before = self.memory();
        self.single = HashMap::default();
        before - self.memory()
    }
}

/// The connections that have asked a client.
#[derive(Debug, Default)]
pub(super) struct Askers {
    all: HashSet<PeerId, RandomState>,
    /// How many there were after the last look for those who are none any more.
    looked_at: usize,
}

impl Askers {
    pub(super) fn add(&mut self, asker: PeerId) {
        self.all.insert(asker);
    }

    /// Whether it is time to look for those who are none any more.
    pub(super) fn is_look_due(&self) -> bool {
        self.all.len() >= 2 * self.looked_at + MIN_ASKERS
    }

    /// Keeps only those that still wait for an answer.
    pub(super) fn retain(&mut self, waits: impl FnMut(&PeerId) -> bool) {
        self.all.retain(waits);
        self.looked_at = self.all.len();
    }

    pub(super) fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = PeerId> {
        self.all.iter().copied()
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.all.len()
    }

    /// Adds those of another connection of the same client.
    pub(super) fn take_over(&mut self, earlier: Self) {
        self.all.extend(earlier.all);
    }

    /// Returns all of them, oldest first.
    pub(super) fn into_sorted(self) -> Vec<PeerId> {
        let mut all: Vec<PeerId> = self.all.into_iter().collect();
        all.sort_unstable();
        all
    }
}

/// Unanswered requests of one connection that are remembered: 6 MiB.
pub(super) const MAX_UNANSWERED: usize = 65_536;
/// Requests for several answers that are remembered of one connection to one client.
pub(super) const MAX_OTHERS: usize = 64;
/// Room that stays when every request is answered.
const MAX_SPARE: usize = 128;
/// The least number of askers that is looked through.
const MIN_ASKERS: usize = 32;
/// What a request takes of a table, with its share of the room that is never used.
const NOTE_BYTES: usize = 24;
/// What it takes in two tables that one has asked another.
const PAIR_BYTES: usize = 300;
