//! When a status has to leave although nothing else does. Mostly none has: what one end knows rides on what
//! goes the other way.

use std::time::{Duration, Instant};

use crate::base::earliest;
use crate::socket::pause::Pause;
use crate::socket::retrying_request::MAX_PAUSE;
use crate::wire::stream::Counts;

/// What the other end was told last, and what it waits for.
#[derive(Debug)]
pub(super) struct StatusSchedule {
    said: Counts,
    /// Bytes that had arrived, and bytes of data that were handled, by then.
    said_bytes: (u64, u64),
    /// It was asked for.
    is_asked: bool,
    /// Something is missing, or came twice.
    repairs: bool,
    repaired_at: Option<Instant>,
    /// The number up to which the latest status said what is missing, how much had arrived by then, and when
    /// it is said again.
    asked_upto: u64,
    asked_from: u64,
    ask_again_at: Option<Instant>,
    pause: Pause,
    /// What is new is said then, at the latest. Left as it is when a status rides meanwhile.
    deadline: Option<Instant>,
    /// It has passed.
    is_overdue: bool,
    /// Since when there is something new that was not said.
    news_since: Option<Instant>,
}

/// How far one end is.
#[derive(Debug, Clone, Copy)]
pub(super) struct Standing {
    pub(super) counts: Counts,
    /// Bytes that have arrived, and bytes of data that were handled.
    pub(super) bytes: (u64, u64),
    /// The data that has arrived is handled.
    pub(super) is_caught_up: bool,
    /// Something is missing.
    pub(super) has_gap: bool,
}

/// Of what was handled, how much is said at once: an eighth of a window of data, half of one of requests or
/// answers.
#[derive(Debug, Clone, Copy)]
pub(super) struct Early {
    pub(super) data: u64,
    pub(super) data_bytes: u64,
    pub(super) arrived_bytes: u64,
    pub(super) requests: u64,
    pub(super) answers: u64,
}

impl StatusSchedule {
    pub(super) fn new() -> Self {
        Self {
            said: Counts::default(),
            said_bytes: (0, 0),
            is_asked: false,
            repairs: false,
            repaired_at: None,
            asked_upto: 0,
            asked_from: 0,
            ask_again_at: None,
            pause: Pause::new(MAX_PAUSE),
            deadline: None,
            is_overdue: false,
            news_since: None,
        }
    }

    /// The other end wants to know.
    pub(super) fn handle_question(&mut self) {
        self.is_asked = true;
    }

    /// Something came that was here already: the other end does not know.
    pub(super) fn handle_duplicate(&mut self) {
        self.repairs = true;
    }

    /// Nothing that was said before counts: what was under way may be lost.
    pub(super) fn attach(&mut self) {
        self.ask_again_at = None;
        self.asked_upto = 0;
        self.pause.reset();
    }

    /// How far this end is now.
    pub(super) fn handle_standing(&mut self, standing: &Standing) {
        if !standing.has_gap {
            self.ask_again_at = None;
            self.asked_upto = 0;
            self.pause.reset();
        }
    }

    /// Whether a status rides on what leaves now: at once where somebody may wait for what it says; else when
    /// it has been new for a while, since it costs both ends as much as a message.
    pub(super) fn check_ride(&mut self, now: Instant, standing: &Standing, early: &Early) -> bool {
        if !self.has_news(standing) {
            return false;
        }
        let is_wanted = self.is_asked || self.repairs || standing.counts.data > self.said.data;
        let since = *self.news_since.get_or_insert(now);
        is_wanted
            || self.is_overdue
            || now >= since + RIDES_AFTER
            || self.wants_missing(standing)
            || self.is_early(standing, early)
    }

    /// Whether a status would say anything new.
    fn has_news(&self, standing: &Standing) -> bool {
        self.is_asked || self.repairs || standing.counts != self.said || self.wants_missing(standing)
    }

    /// Whether what is missing is to be said (again): when it is found out, when all that was asked for has
    /// come, and after a pause.
    pub(super) fn wants_missing(&self, standing: &Standing) -> bool {
        standing.has_gap && (self.ask_again_at.is_none() || standing.counts.arrived >= self.asked_upto)
    }

    /// Whether it is settled when the next status leaves, and no sooner than it was.
    pub(super) fn rests(&self, standing: &Standing, early: &Early) -> bool {
        let is_quiet = !self.is_asked && !self.repairs && !self.is_overdue && self.ask_again_at.is_none();
        is_quiet
            && !standing.has_gap
            && standing.counts.data == self.said.data
            && (standing.counts == self.said || (self.deadline.is_some() && !self.is_early(standing, early)))
    }

    /// Whether a status has to leave by itself, now. If not, it will when the time has come.
    pub(super) fn check_due(&mut self, now: Instant, standing: &Standing, early: &Early) -> bool {
        let is_overdue = std::mem::take(&mut self.is_overdue);
        if !self.has_news(standing) {
            return false;
        }
        self.news_since.get_or_insert(now);
        if self.is_asked || is_overdue || self.is_early(standing, early) {
            return true;
        }
        let mut latest = now + LATEST;
        if self.repairs || self.wants_missing(standing) {
            match self.repaired_at.map(|at| at + MIN_REPAIR_PAUSE).filter(|at| *at > now) {
                None => return true,
                Some(at) => latest = at,
            }
        } else if standing.counts.data > self.said.data {
            latest = now + LATEST_HANDLED;
        }
        self.deadline = Some(self.deadline.map_or(latest, |at| at.min(latest)));
        false
    }

    fn is_early(&self, standing: &Standing, early: &Early) -> bool {
        let (counts, said) = (&standing.counts, &self.said);
        let (arrived, handled) = standing.bytes;
        let data = counts.data - said.data;
        (data > 0 && (standing.is_caught_up || data >= early.data))
            || handled - self.said_bytes.1 >= early.data_bytes
            || arrived - self.said_bytes.0 >= early.arrived_bytes
            || counts.requests - said.requests >= early.requests
            || counts.answers - said.answers >= early.answers
    }

    /// A status with this standing leaves; with what is missing up to a number, if it says that.
    pub(super) fn handle_said(&mut self, now: Instant, standing: &Standing, missing_upto: Option<u64>) {
        self.said = standing.counts;
        self.said_bytes = standing.bytes;
        self.is_asked = false;
        self.is_overdue = false;
        self.news_since = None;
        if self.repairs || missing_upto.is_some() {
            self.repaired_at = Some(now);
        }
        self.repairs = false;
        if let Some(upto) = missing_upto {
            // Who keeps little of what comes before its turn gets through a long gap bit by bit.
            if standing.counts.arrived > self.asked_from {
                self.pause.reset();
            }
            (self.asked_from, self.asked_upto) = (standing.counts.arrived, upto);
            self.ask_again_at = Some(now + self.pause.take());
        }
    }

    /// Holds back what is not asked for (a simulation's point).
    pub(super) fn hold(&mut self, until: Instant) {
        self.deadline = Some(until);
    }

    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        earliest([self.deadline, self.ask_again_at])
    }

    pub(super) fn handle_timeout(&mut self, now: Instant) {
        if self.deadline.is_some_and(|at| at <= now) {
            self.deadline = None;
            self.is_overdue = true;
        }
        if self.ask_again_at.is_some_and(|at| at <= now) {
            self.ask_again_at = None;
        }
    }
}

/// Data that was handled is said after so long, while there is more to handle: 50 times a second instead of
/// once a message.
const LATEST_HANDLED: Duration = Duration::from_millis(20);
/// Anything is said after so long: an asynchronous handler answers within that, mostly, and its answer
/// carries it.
const LATEST: Duration = Duration::from_millis(100);
/// What nobody waits for rides on the first message that leaves after so long: in a row of requests and
/// answers a status in so long, instead of one on each.
const RIDES_AFTER: Duration = Duration::from_millis(10);
/// Gaps and duplicates are not told more often.
const MIN_REPAIR_PAUSE: Duration = Duration::from_millis(20);
