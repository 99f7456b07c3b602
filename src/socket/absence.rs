//! The absence of the peer: known at once, survived for a while.
//!
//! Begins with what the broker, a question without a receiver or the keep-alive says. A socket whose peer is
//! back within [`SETTLE`] goes on as if nothing was; later it is `disconnected`, requests over it end, and
//! at last it is lost: not before it was looked up once more, since it may be back and nobody has said so.

use std::fmt;
use std::time::{Duration, Instant};

use crate::base::{Code, Failure, earliest};
use crate::wire::ANSWER_GRACE;

/// Why the peer is not there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PeerLoss {
    /// Its connection to the fabric ended, or it is not on the fabric.
    Ended,
    /// It gave no sign of life.
    Silent,
}

/// Which end a socket is told about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum WatchedEnd {
    /// Its peer.
    Peer,
    /// Any server of its subject: while its own one is away there may be another.
    Others,
}

/// The absence, if there is one.
#[derive(Debug, Default)]
pub(super) struct Absence(Option<Box<Away>>);

#[derive(Debug)]
struct Away {
    loss: PeerLoss,
    /// Until then the application is not told.
    settles_at: Option<Instant>,
    /// Until then requests wait for its return.
    requests_until: Option<Instant>,
    limits: AbsenceLimits,
    others: bool,
    last_look: LastLook,
}

/// Whether the peer was looked up when its time was over.
#[derive(Debug, Clone, Copy)]
enum LastLook {
    /// Not yet.
    Due,
    /// The answer is awaited until then.
    Until(Instant),
    /// It was not there, or that says nothing about it.
    Done,
}

/// How long one end waits for the other.
#[derive(Debug, Clone, Copy)]
pub(super) struct AbsenceLimits {
    /// When there is another server to go to.
    pub(super) lost_if_others_at: Instant,
    /// At the latest.
    pub(super) lost_at: Instant,
    /// How much longer than usual requests wait: as long as we were away ourselves.
    pub(super) own_absence: Duration,
}

/// What is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AbsenceStep {
    /// The application is told that the socket is disconnected.
    Settled(PeerLoss),
    /// Requests do not wait any longer.
    RequestsOver,
    /// Its time is over: it is looked up whether the peer is there by now.
    LookUp,
    /// The peer is given up.
    Lost(PeerLoss),
}

impl Absence {
    /// Begins, unless the peer is away already. With `settles` its return is awaited for a moment before
    /// the application is told.
    pub(super) fn begin(&mut self, now: Instant, loss: PeerLoss, settles: bool, limits: AbsenceLimits) {
        let requests_until = Some(now + ANSWER_GRACE + limits.own_absence);
        let settles_at = settles.then(|| now + SETTLE);
        // Whoever is silent may well be there.
        let last_look = if loss == PeerLoss::Ended { LastLook::Due } else { LastLook::Done };
        self.0.get_or_insert_with(|| {
            Box::new(Away { loss, settles_at, requests_until, limits, others: false, last_look })
        });
    }

    /// Ends. Returns whether the application was told of it; `None` if there was none.
    pub(super) fn end(&mut self) -> Option<bool> {
        self.0.take().map(|away| away.settles_at.is_none())
    }

    /// Has the application be told now, if it has not been. Returns of what.
    pub(super) fn settle(&mut self) -> Option<PeerLoss> {
        let away = self.0.as_mut()?;
        away.settles_at.take().map(|_| away.loss)
    }

    /// Returns why the peer is away.
    pub(super) fn loss(&self) -> Option<PeerLoss> {
        self.0.as_ref().map(|away| away.loss)
    }

    /// Returns whether requests do not wait for its return any more.
    pub(super) fn fails_requests(&self) -> bool {
        self.0.as_ref().is_some_and(|away| away.requests_until.is_none())
    }

    /// Notes whether there is another server.
    pub(super) fn set_others(&mut self, others: bool) {
        if let Some(away) = &mut self.0 {
            let is_new = std::mem::replace(&mut away.others, others) != others;
            if is_new && away.loss == PeerLoss::Ended {
                away.last_look = LastLook::Due;
            }
        }
    }

    /// Notes that the peer was looked up, and is not there. Returns whether its time is over with that.
    pub(super) fn handle_missed(&mut self) -> bool {
        let Some(away) = &mut self.0 else { return false };
        let is_awaited = matches!(away.last_look, LastLook::Until(_));
        if is_awaited {
            away.last_look = LastLook::Done;
        }
        is_awaited
    }

    /// Returns when the time of the peer is over.
    pub(super) fn lost_at(&self) -> Option<Instant> {
        self.0.as_ref().map(|away| {
            let AbsenceLimits { lost_if_others_at, lost_at, .. } = away.limits;
            if away.others { lost_if_others_at.min(lost_at) } else { lost_at }
        })
    }

    /// Returns when something is due.
    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        let away = self.0.as_ref()?;
        let end = if let LastLook::Until(at) = away.last_look { Some(at) } else { self.lost_at() };
        earliest([away.settles_at, away.requests_until, end])
    }

    /// Returns what is due, each once; the end of the wait comes last, and again.
    pub(super) fn poll_step(&mut self, now: Instant) -> Option<AbsenceStep> {
        let lost_at = self.lost_at()?;
        let away = self.0.as_mut()?;
        let is_lost = match away.last_look {
            LastLook::Due => false,
            LastLook::Until(at) => at <= now,
            LastLook::Done => lost_at <= now,
        };
        let is_due = |at: &mut Option<Instant>| at.take_if(|at| *at <= now || is_lost).is_some();
        if is_due(&mut away.settles_at) {
            Some(AbsenceStep::Settled(away.loss))
        } else if is_due(&mut away.requests_until) {
            Some(AbsenceStep::RequestsOver)
        } else if lost_at <= now && matches!(away.last_look, LastLook::Due) {
            away.last_look = LastLook::Until(now + LAST_LOOK);
            Some(AbsenceStep::LookUp)
        } else {
            is_lost.then_some(AbsenceStep::Lost(away.loss))
        }
    }
}

impl PeerLoss {
    /// Returns the failure that the application gets.
    pub fn failure(self) -> Failure {
        let code = match self {
            Self::Ended => Code::PeerEnded,
            Self::Silent => Code::PeerSilent,
        };
        Failure::new(code, self)
    }
}

impl fmt::Display for PeerLoss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ended => "the other side's connection ended",
            Self::Silent => "the other side gave no sign of life",
        })
    }
}

/// An absence that is shorter is not reported: of links that are cut half are back in a fifth of a second,
/// and lists of who is there must not flicker.
pub(super) const SETTLE: Duration = Duration::from_millis(300);
/// How long a client waits for its server while there is another one: two or three attempts to reconnect.
pub(super) const GRACE: Duration = Duration::from_secs(2);
/// While an outage is younger, nobody's pause before the next attempt to connect is longer than [`GRACE`]
/// (`link/backoff.rs`).
pub(super) const SHORT_ABSENCE: Duration = Duration::from_secs(10);
/// How long the peer is waited for otherwise: longer than the longest pause of a reconnect. A client waits up
/// to half as long again, by its id.
pub(super) const PATIENCE: Duration = Duration::from_secs(30);
/// An answer to the last look takes no longer, or the peer is given up without one.
const LAST_LOOK: Duration = Duration::from_secs(2);
/// Clients that lose one server move to others at this rate, a second.
pub(super) const CROWD: u64 = 5000;
/// The time over which they are spread at most.
pub(super) const MAX_SPREAD: Duration = Duration::from_secs(5);

#[cfg(test)]
#[allow(clippy::disallowed_methods)]
mod tests {
    use super::*;

    fn limits(now: Instant) -> AbsenceLimits {
        let (lost_if_others_at, lost_at) = (now + GRACE, now + PATIENCE);
        AbsenceLimits { lost_if_others_at, lost_at, own_absence: Duration::ZERO }
    }

    fn steps(absence: &mut Absence, now: Instant) -> Vec<AbsenceStep> {
        let mut steps = Vec::new();
        while let Some(step) = absence.poll_step(now) {
            steps.push(step);
            if matches!(step, AbsenceStep::Lost(_)) {
                break;
            }
        }
        steps
    }

    #[test]
    fn the_application_is_told_then_requests_end_then_the_peer_is_lost() {
        let (start, mut absence) = (Instant::now(), Absence::default());
        let loss = PeerLoss::Ended;
        absence.begin(start, loss, true, limits(start));
        absence.begin(start + SETTLE, PeerLoss::Silent, false, limits(start + SETTLE));
        assert_eq!(absence.poll_timeout(), Some(start + SETTLE));
        assert_eq!(steps(&mut absence, start + SETTLE), [AbsenceStep::Settled(loss)]);
        assert_eq!(steps(&mut absence, start + ANSWER_GRACE), [AbsenceStep::RequestsOver]);
        assert!(absence.fails_requests());
        assert_eq!((steps(&mut absence, start + GRACE), absence.lost_at()), (vec![], Some(start + PATIENCE)));
        absence.set_others(true);
        assert_eq!(steps(&mut absence, start + GRACE), [AbsenceStep::LookUp]);
        assert!(absence.handle_missed());
        assert_eq!(steps(&mut absence, start + GRACE), [AbsenceStep::Lost(loss)]);
        assert_eq!((absence.end(), absence.end(), absence.poll_timeout()), (Some(true), None, None));
    }

    #[test]
    fn who_looks_late_is_told_everything_in_order() {
        let (start, mut absence) = (Instant::now(), Absence::default());
        absence.begin(start, PeerLoss::Silent, true, limits(start));
        let lost = AbsenceStep::Lost(PeerLoss::Silent);
        let all = [AbsenceStep::Settled(PeerLoss::Silent), AbsenceStep::RequestsOver, lost];
        assert_eq!(steps(&mut absence, start + PATIENCE), all);
    }

    #[test]
    fn a_peer_is_looked_up_when_its_time_is_over_and_given_up_when_it_is_missed_or_nobody_answers() {
        for is_answered in [true, false] {
            let (start, mut absence) = (Instant::now(), Absence::default());
            let (loss, end) = (PeerLoss::Ended, start + PATIENCE);
            absence.begin(start, loss, false, limits(start));
            assert!(!absence.handle_missed(), "it has its time");
            assert_eq!(steps(&mut absence, end), [AbsenceStep::RequestsOver, AbsenceStep::LookUp]);
            assert_eq!((steps(&mut absence, end), absence.poll_timeout()), (vec![], Some(end + LAST_LOOK)));
            let until = if is_answered { end } else { end + LAST_LOOK };
            assert!(!is_answered || absence.handle_missed());
            assert_eq!(steps(&mut absence, until), [AbsenceStep::Lost(loss)]);
        }
    }

    #[test]
    fn a_peer_that_waits_for_others_again_is_looked_up_again() {
        let (start, mut absence) = (Instant::now(), Absence::default());
        absence.begin(start, PeerLoss::Ended, false, limits(start));
        absence.set_others(true);
        let told = [AbsenceStep::RequestsOver, AbsenceStep::LookUp];
        assert_eq!(steps(&mut absence, start + GRACE), told);
        absence.set_others(false);
        assert_eq!((steps(&mut absence, start + GRACE), absence.handle_missed()), (vec![], false));
        assert_eq!(absence.poll_timeout(), Some(start + PATIENCE));
        absence.set_others(true);
        assert_eq!(steps(&mut absence, start + GRACE), [AbsenceStep::LookUp]);
    }
}
