//! How far a link is with leaving a server that is about to stop.

use std::time::Instant;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Departure {
    None,
    /// It is time then.
    Planned(Instant),
    /// It is time: there may be a link to another server first.
    Due,
    /// There is none: whoever uses this one is to be told.
    Alone,
    /// Whoever uses the link asks nothing more over it, and waits for answers, at most until then.
    Told(Instant),
    /// Subscriptions are ended, and what is under way is waited for, at most until then.
    Ending(Instant),
}

impl Departure {
    /// Notes when to begin; once.
    pub(super) fn plan(&mut self, at: Instant) {
        if *self == Self::None {
            *self = Self::Planned(at);
        }
    }

    pub(super) fn is_planned_by(self, now: Instant) -> bool {
        matches!(self, Self::Planned(at) if at <= now)
    }

    /// Returns whether what was waited for has come, or its time is over.
    pub(super) fn is_waiting_by(self, now: Instant, has_answers: bool) -> bool {
        matches!(self, Self::Told(until) if has_answers || until <= now)
    }

    pub(super) fn deadline(self) -> Option<Instant> {
        match self {
            Self::None | Self::Due | Self::Alone => None,
            Self::Planned(at) | Self::Told(at) | Self::Ending(at) => Some(at),
        }
    }
}
