//! The pace at which a broker that drains sends its connections away: spread over a time, so that they do not
//! all reach the next broker at once; and those that it waits for, since they have asked and are not answered
//! yet, or have not answered.

use std::time::{Duration, Instant};

use super::peer_id::PeerId;
use crate::base::{Code, earliest};
use crate::wire::ServerOp;

/// One drain.
#[derive(Debug)]
pub(super) struct Drain {
    pause: Duration,
    /// `None`: nothing is left to send away.
    release_at: Option<Instant>,
    /// Those that were told to go, and are still waited for.
    pub(super) leavers: Vec<Leaver>,
    look_at: Option<Instant>,
    /// It has been told that the last connection has gone.
    is_reported: bool,
}

/// A connection that was told to go.
#[derive(Debug, Clone, Copy)]
pub(super) struct Leaver {
    pub(super) peer: PeerId,
    pub(super) step: LeavingStep,
    /// It has begun to leave what it is asked by.
    pub(super) is_leaving: bool,
}

/// How far it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum LeavingStep {
    /// It was told. Until then it says that it knows the word.
    Told(Instant),
    /// It asks nothing more, and waits for its answers.
    Quiet,
    /// It has them.
    Answered,
}

impl Drain {
    /// Begins to send so many connections away over `spread`, the first one at once.
    pub(super) fn new(now: Instant, spread: Duration, connections: usize) -> Self {
        let pause = spread / u32::try_from(connections.max(1)).unwrap_or(u32::MAX);
        Self { pause, release_at: Some(now), leavers: Vec::new(), look_at: None, is_reported: false }
    }

    /// Returns whether it is time to send one more away.
    pub(super) fn try_release(&mut self, now: Instant) -> bool {
        let Some(at) = self.release_at.filter(|at| *at <= now) else { return false };
        self.release_at = at.checked_add(self.pause);
        true
    }

    /// Waits for one that was told to go.
    pub(super) fn begin_wait(&mut self, now: Instant, peer: PeerId) {
        let step = LeavingStep::Told(now + QUIET_TIMEOUT);
        self.leavers.push(Leaver { peer, step, is_leaving: false });
    }

    /// Notes that a connection asks nothing more, and then that it has its answers.
    pub(super) fn handle_word(&mut self, peer: PeerId) {
        if let Some(leaver) = self.leavers.iter_mut().find(|leaver| leaver.peer == peer) {
            leaver.step = match leaver.step {
                LeavingStep::Told(_) => LeavingStep::Quiet,
                LeavingStep::Quiet | LeavingStep::Answered => LeavingStep::Answered,
            };
        }
    }

    /// Looks again in a moment, and then may send another one away.
    pub(super) fn postpone(&mut self, now: Instant) {
        self.release_at = Some(now + LOOK);
    }

    /// Looks again in a moment whether those that were told to go are answered.
    pub(super) fn look_again(&mut self, now: Instant) {
        self.look_at = (!self.leavers.is_empty()).then(|| now + LOOK);
    }

    /// Notes that there was nothing left to send away.
    pub(super) fn handle_empty(&mut self) {
        self.release_at = None;
    }

    /// Returns whether the end is to be reported: once.
    pub(super) fn try_report(&mut self) -> bool {
        !std::mem::replace(&mut self.is_reported, true)
    }

    /// Returns when there is something to do.
    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        earliest([self.release_at, self.look_at])
    }
}

/// Returns what a client of ours is told that is to go: it asks nothing more over this connection.
pub(super) fn notice() -> ServerOp {
    ServerOp::Closing { code: Code::Draining.to_string(), message: "the broker is draining".to_owned() }
}

/// A client of ours says in this time that it asks nothing more, or does not know the word.
const QUIET_TIMEOUT: Duration = Duration::from_secs(1);
/// Between two looks at those that are waited for.
const LOOK: Duration = Duration::from_millis(10);
