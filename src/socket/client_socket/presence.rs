//! What a client socket does when its server goes away or comes back.

use std::time::{Duration, Instant};

use super::super::absence::{
    AbsenceLimits, AbsenceStep, CROWD, GRACE, MAX_SPREAD, PATIENCE, PeerLoss, SHORT_ABSENCE,
};
use super::super::{CloseReason, Output, SocketEvent, WatchedEnd};
use super::{ClientSocket, Phase};
use crate::subject::Subject;
use crate::wire::{MAX_OWN_ABSENCE, Presence};

impl ClientSocket {
    /// Handles what became of the server, or of the others. Only a socket that its server has can miss it.
    pub(super) fn handle_watched(&mut self, now: Instant, end: WatchedEnd, presence: Presence, crowd: u64) {
        let is_here = matches!(presence, Presence::Here | Presence::HereInBroker);
        if end == WatchedEnd::Others {
            return self.channel.absence.set_others(is_here);
        }
        match presence {
            _ if is_here && self.phase == Phase::AwaitingClosed => {
                self.farewell.iter_mut().for_each(|farewell| farewell.hasten(now));
                self.repeat_close(now);
            }
            _ if is_here => self.handle_return(now),
            Presence::Unreachable => self.handle_fabric_lost(now, SocketEvent::Unreachable),
            Presence::Gone | Presence::Left if self.phase == Phase::AwaitingClosed => {
                self.finish(CloseReason::Local);
            }
            _ if !self.binding.is_held() || self.phase == Phase::AwaitingClosed => {}
            Presence::Gone | Presence::Left => self.finish(CloseReason::Lost("its server has ended")),
            Presence::Cut => self.begin_absence(now, PeerLoss::Ended, Duration::ZERO, crowd),
            Presence::Absent => self.begin_absence(now, PeerLoss::Ended, self.own_absence, 1),
            Presence::Silent => self.begin_absence(now, PeerLoss::Silent, Duration::ZERO, crowd),
            Presence::Replaced if self.phase == Phase::Ready => {
                // The newer one says that it has no such socket.
                self.enter_disconnected(None);
                self.begin(now);
            }
            _ => {}
        }
    }

    /// The server is not there: nothing more is sent, and its return is awaited.
    fn begin_absence(&mut self, now: Instant, loss: PeerLoss, own_absence: Duration, crowd: u64) {
        self.note_absence(now, loss, true, own_absence, crowd);
        if self.phase == Phase::Ready {
            self.channel.detach();
        }
    }

    /// The server did not answer, or is known not to be there, and the application is told at once.
    pub(super) fn handle_loss(&mut self, now: Instant, loss: PeerLoss) {
        self.note_absence(now, loss, false, Duration::ZERO, 1);
        let delay = self.channel.config.reconnect_delay;
        let retry_at = self.channel.config.reconnection.then_some(now + delay);
        self.leave(loss, retry_at);
    }

    pub(super) fn note_absence(
        &mut self,
        since: Instant,
        loss: PeerLoss,
        settles: bool,
        own_absence: Duration,
        crowd: u64,
    ) {
        let is_new = self.channel.absence.loss().is_none();
        let own_absence = own_absence.min(MAX_OWN_ABSENCE);
        let place = self.jitter();
        let spread = Duration::from_secs_f64(crowd as f64 / CROWD as f64).min(MAX_SPREAD).mul_f64(place);
        let patience = self.patience();
        // After an outage of seconds others pause for less than the grace before they reconnect.
        let others_pause = if own_absence < SHORT_ABSENCE { Duration::ZERO } else { own_absence };
        let grace = self.channel.config.resume_timeout.unwrap_or(GRACE + others_pause + spread);
        let limits =
            AbsenceLimits { lost_if_others_at: since + grace, lost_at: since + patience, own_absence };
        self.channel.absence.begin(since, loss, settles, limits);
        if is_new
            && loss == PeerLoss::Ended
            && let Ok(others) = Subject::parse(&format!("{}.server.status", self.subject()))
        {
            self.channel.outputs.push_back(Output::WatchOthers(others));
        }
    }

    /// Returns how long it waits at most for what it has lost.
    fn patience(&self) -> Duration {
        let usual = || PATIENCE.mul_f64(1.0 + PATIENCE_SPREAD * self.jitter());
        self.channel.config.resume_timeout.unwrap_or_else(usual)
    }

    /// It does not reconnect by itself: it waits for `connect`, but not for ever.
    pub(super) fn await_hand(&mut self, now: Instant) {
        if !self.channel.config.reconnection {
            let until = now + self.patience();
            self.by_hand_until.get_or_insert(until);
        }
    }

    /// The server is back, or somebody under its name.
    fn handle_return(&mut self, now: Instant) {
        let Some(was_told) = self.channel.end_absence() else { return };
        self.missed_since = Some(now);
        match self.phase {
            Phase::Ready if !was_told => {
                if let Some(server) = self.server_subject() {
                    self.channel.resume(now, server);
                }
            }
            Phase::Disconnected { .. } if self.channel.config.reconnection => self.begin(now),
            Phase::Disconnected { .. } => self.await_hand(now),
            _ => {}
        }
    }

    /// While we are away ourselves we cannot know whether the server is, and nobody tells that it is back: it
    /// is asked as soon as we are.
    pub(super) fn end_absence_unseen(&mut self, now: Instant) {
        let was_away = self.channel.end_absence().is_some();
        let waits = self.phase == Phase::Disconnected { retry_at: None };
        if was_away && waits && self.channel.config.reconnection {
            self.enter_disconnected(Some(now));
        } else if was_away && waits {
            self.await_hand(now);
        }
    }

    pub(super) fn handle_step(&mut self, now: Instant, step: AbsenceStep) {
        match step {
            // Whoever asks goes on asking where nobody tells of the return.
            AbsenceStep::Settled(loss) => self.leave(loss, None),
            AbsenceStep::RequestsOver => self.channel.fail_requests_of_absence(now),
            AbsenceStep::LookUp => self.channel.outputs.push_back(Output::LookUpPeer),
            AbsenceStep::Lost(PeerLoss::Ended) => {
                self.finish(CloseReason::Lost("its server is not on the fabric any more"));
            }
            AbsenceStep::Lost(PeerLoss::Silent) => {
                self.finish(CloseReason::Lost("its server gave no sign of life"));
            }
        }
    }

    /// Leaves `ready`, or an attempt to get there, and says why.
    fn leave(&mut self, loss: PeerLoss, retry_at: Option<Instant>) {
        self.note_unanswered();
        self.detach(retry_at, SocketEvent::PeerLost(loss));
    }
}

/// By how much of it the patience of one socket may be longer than that of another, so that the programs of
/// one server's clients do not all react at once.
const PATIENCE_SPREAD: f64 = 0.5;
