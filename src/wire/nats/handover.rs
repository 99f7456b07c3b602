//! A connection that is replaced while it stands, by one to another server: when to say what to either, and
//! which of them a message is taken from, so that none is lost, none comes twice, and those of a publisher
//! stay in order (but of queue groups, which have none).
//!
//! ```text
//! Settling ─all settled─► Joining ─subscribed─► Spreading ─all know─► Leaving ─old one ends─► Late
//! ```
//!
//! Nothing is sent meanwhile: the next connection would get what the old one publishes. Until the old one has
//! ended, messages are taken from it. Those of the next one are left out until all servers know of it, and
//! then wait: a message that comes on both is known by its content, and as often as the old one has brought
//! it, the next one's is left out. So of equal messages that follow each other within a millisecond one may
//! be missing, or be too many.

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::time::{Duration, Instant};

use foldhash::fast::RandomState;

/// Which of two connections of one client something comes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// Both: every subscriber gets it. What it is known by.
    Copy(u64),
    /// One of them: a queue group gets it once.
    Share,
    /// This one: it is what its server says about it.
    Word,
}

/// What is to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Subscribe the next connection to all that the old one is subscribed to.
    Join,
    /// End all subscriptions of the old one, and then it.
    Leave,
    /// It takes too long: give the next one up.
    GiveUp,
}

/// One replacement, with what waits of the next connection.
#[derive(Debug)]
pub struct Handover<T> {
    stage: Stage,
    until: Instant,
    seen: Copies,
    waiting: BTreeMap<u64, Waiting<T>>,
    /// Those that wait and have copies, oldest first.
    by_copy: HashMap<u64, VecDeque<u64>, RandomState>,
    waiting_bytes: usize,
    arrived: u64,
}

#[derive(Debug)]
struct Waiting<T> {
    since: Instant,
    reach: Reach,
    bytes: usize,
    news: T,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Settling,
    Joining,
    /// Until then.
    Spreading(Instant),
    /// Since then.
    Leaving(Instant),
}

impl<T> Handover<T> {
    /// Begins one: nothing more is asked over the old connection, and the server settles what was.
    pub fn begin(now: Instant) -> Self {
        Self {
            stage: Stage::Settling,
            until: now + MAX_DURATION,
            seen: Copies::default(),
            waiting: BTreeMap::new(),
            by_copy: HashMap::default(),
            waiting_bytes: 0,
            arrived: 0,
        }
    }

    /// Returns what is to be done by now, given whether each server has settled what it was told.
    pub fn poll(&mut self, now: Instant, is_old_settled: bool, is_next_settled: bool) -> Option<Step> {
        let (stage, step) = match self.stage {
            Stage::Settling if is_old_settled => (Stage::Joining, Some(Step::Join)),
            Stage::Joining if is_next_settled => (Stage::Spreading(now + SPREADING), None),
            Stage::Spreading(until) if until <= now || self.seen.count >= MAX_SEEN => {
                (Stage::Leaving(now), Some(Step::Leave))
            }
            Stage::Settling | Stage::Joining if self.until <= now => return Some(Step::GiveUp),
            stage => (stage, None),
        };
        self.stage = stage;
        step
    }

    /// Returns when [`Self::poll`] is due.
    pub fn deadline(&self) -> Option<Instant> {
        match self.stage {
            Stage::Settling | Stage::Joining => Some(self.until),
            Stage::Spreading(until) => Some(until),
            Stage::Leaving(_) => None,
        }
    }

    /// Returns whether all that was asked over the old connection is settled: its end loses nothing.
    pub fn is_settled(&self) -> bool {
        self.stage != Stage::Settling
    }

    /// Returns whether the next connection is to be read.
    pub fn has_room(&self) -> bool {
        self.waiting_bytes < MAX_WAITING_BYTES
    }

    /// Takes note of what has come on the old connection, and is passed on.
    pub fn handle_old(&mut self, now: Instant, reach: Reach) {
        let Reach::Copy(copy) = reach else { return };
        if !self.is_known_everywhere(now) {
            return;
        }
        let Some(waiting) = self.by_copy.get_mut(&copy) else { return self.seen.add(now, copy) };
        let oldest = waiting.pop_front();
        if waiting.is_empty() {
            self.by_copy.remove(&copy);
        }
        let taken = oldest.and_then(|number| self.waiting.remove(&number));
        self.waiting_bytes -= taken.map_or(0, |waiting| waiting.bytes);
    }

    /// Keeps what has come on the next connection, unless the old one has brought it, or will. Returns what
    /// is to be passed on at once: a group has members at both, and no order.
    pub fn handle_next(&mut self, now: Instant, reach: Reach, bytes: usize, news: T) -> Option<T> {
        match reach {
            Reach::Share => return Some(news),
            Reach::Copy(copy) if !self.is_known_everywhere(now) || self.seen.take(copy) => return None,
            Reach::Copy(copy) => self.by_copy.entry(copy).or_default().push_back(self.arrived),
            Reach::Word => {}
        }
        let bytes = bytes + WAITING_MEMORY;
        self.waiting_bytes += bytes;
        self.waiting.insert(self.arrived, Waiting { since: now, reach, bytes, news });
        self.arrived += 1;
        None
    }

    /// The old connection has ended. Returns what waits, in order, and what is to be left out from now on.
    pub fn finish(self, now: Instant) -> (Vec<T>, Late) {
        let Self { stage, mut seen, waiting, .. } = self;
        let left_at = if let Stage::Leaving(since) = stage { since } else { now };
        // What came long before that has come on both, or will never.
        let start = left_at.checked_sub(SPREADING / 4).unwrap_or(left_at);
        seen.forget_before(start);
        let is_news =
            |waiting: &Waiting<T>| waiting.since >= start || !matches!(waiting.reach, Reach::Copy(_));
        let waiting = waiting.into_values().filter(is_news).map(|waiting| waiting.news).collect();
        (waiting, Late { seen, until: now + LATE })
    }

    /// Returns whether all servers know of the next connection, as far as time tells, so that what the old
    /// one brings comes on it, too.
    fn is_known_everywhere(&self, now: Instant) -> bool {
        match self.stage {
            Stage::Settling | Stage::Joining => false,
            Stage::Spreading(until) => until <= now + SPREADING / 2,
            Stage::Leaving(_) => true,
        }
    }
}

/// What the old connection has brought, and the next one may bring for some time yet.
#[derive(Debug)]
pub struct Late {
    seen: Copies,
    until: Instant,
}

impl Late {
    /// Returns whether something is to be passed on, or is known.
    pub fn admits(&mut self, reach: Reach) -> bool {
        !matches!(reach, Reach::Copy(copy) if self.seen.take(copy))
    }

    /// Returns when nothing comes late any more; `None` if that is now.
    pub fn deadline(&self) -> Option<Instant> {
        (self.seen.count > 0).then_some(self.until)
    }

    /// Returns whether nothing comes late any more.
    pub fn is_over(&self, now: Instant) -> bool {
        self.deadline().is_none_or(|until| until <= now)
    }
}

/// When each content has come, as often as it has.
#[derive(Debug, Default)]
struct Copies {
    by_copy: HashMap<u64, Vec<Instant>, RandomState>,
    count: usize,
}

impl Copies {
    fn add(&mut self, now: Instant, copy: u64) {
        self.by_copy.entry(copy).or_default().push(now);
        self.count += 1;
    }

    /// Takes one out, the latest. Returns whether there was one.
    fn take(&mut self, copy: u64) -> bool {
        let Some(times) = self.by_copy.get_mut(&copy) else { return false };
        times.pop();
        if times.is_empty() {
            self.by_copy.remove(&copy);
        }
        self.count -= 1;
        true
    }

    fn forget_before(&mut self, start: Instant) {
        self.by_copy.retain(|_, times| {
            times.retain(|at| *at >= start);
            !times.is_empty()
        });
        self.count = self.by_copy.values().map(Vec::len).sum();
    }
}

/// From a confirmed subscription to its being known to all servers, and from the first of two copies of a
/// message to the second: milliseconds within a place, more between continents.
const SPREADING: Duration = Duration::from_millis(200);
/// What an old connection has brought is expected on the next one for so long.
const LATE: Duration = Duration::from_millis(500);
/// The next connection has to be subscribed within this.
const MAX_DURATION: Duration = Duration::from_secs(2);
/// Messages that are remembered before the wait is cut short.
const MAX_SEEN: usize = 256 * 1024;
/// What waits before the next connection is not read.
const MAX_WAITING_BYTES: usize = 8 * 1024 * 1024;
/// What one message takes beside its payload.
const WAITING_MEMORY: usize = 300;
