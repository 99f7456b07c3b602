//! The connection to the broker as the client sees it: when to dial, and how far it has come.

use std::time::{Duration, Instant};

use crate::base::Entropy;
use crate::link::{Backoff, ReconnectConfig};

/// How far the connection has come.
///
/// ```text
/// Idle ─connect─► Dialing ─link up─► AwaitingInfo ─info─► Syncing ─all subscribed─► Ready
///   ▲                ▲                     └──────────────────┴─────link down─────────┘
///   └─disconnect     └──pause over── Pausing ◄──────────────────────────┘
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    Idle,
    Pausing { until: Instant },
    Dialing,
    AwaitingInfo { until: Instant },
    Syncing,
    Ready,
    Closed,
}

#[derive(Debug)]
pub(super) struct Session {
    phase: Phase,
    backoff: Backoff,
    reconnect: bool,
    wants_dial: bool,
    wants_drop: bool,
}

impl Session {
    pub(super) fn new(config: ReconnectConfig) -> Self {
        let reconnect = config.enabled;
        Self {
            phase: Phase::Idle,
            backoff: Backoff::new(config),
            reconnect,
            wants_dial: false,
            wants_drop: false,
        }
    }

    pub(super) fn phase(&self) -> Phase {
        self.phase
    }

    /// Returns whether the broker knows us: fire-and-forget may go.
    pub(super) fn is_signed_in(&self) -> bool {
        matches!(self.phase, Phase::Syncing | Phase::Ready)
    }

    /// Returns whether a connection is being made, so that the broker may know us soon.
    pub(super) fn is_connecting(&self) -> bool {
        matches!(self.phase, Phase::Pausing { .. } | Phase::Dialing | Phase::AwaitingInfo { .. })
    }

    /// Returns whether replies find us: requests may go. Not on a link that is being given up.
    pub(super) fn is_ready(&self) -> bool {
        self.phase == Phase::Ready && !self.wants_drop
    }

    pub(super) fn connect(&mut self) {
        if matches!(self.phase, Phase::Idle | Phase::Pausing { .. }) {
            self.dial();
        }
    }

    /// Returns whether a link was up, or about to be.
    pub(super) fn disconnect(&mut self) -> bool {
        let was_up =
            matches!(self.phase, Phase::Dialing | Phase::AwaitingInfo { .. } | Phase::Syncing | Phase::Ready);
        if self.phase != Phase::Closed {
            self.phase = Phase::Idle;
        }
        self.wants_dial = false;
        self.wants_drop |= was_up;
        was_up
    }

    pub(super) fn close(&mut self) {
        self.disconnect();
        self.phase = Phase::Closed;
    }

    /// Drops the link; the loss comes back as `handle_link_down`.
    pub(super) fn drop_link(&mut self) {
        self.wants_drop = true;
    }

    pub(super) fn handle_link_up(&mut self, now: Instant) -> bool {
        let expected = self.phase == Phase::Dialing;
        if expected {
            self.phase = Phase::AwaitingInfo { until: now + INFO_TIMEOUT };
        }
        expected
    }

    pub(super) fn handle_info(&mut self) -> bool {
        let expected = matches!(self.phase, Phase::AwaitingInfo { .. });
        if expected {
            self.phase = Phase::Syncing;
        }
        expected
    }

    pub(super) fn handle_synced(&mut self, now: Instant) -> bool {
        let expected = self.phase == Phase::Syncing;
        if expected {
            self.phase = Phase::Ready;
            self.backoff.handle_ready(now);
        }
        expected
    }

    /// The broker is about to end the connection in order.
    pub(super) fn handle_drain(&mut self) {
        self.backoff.start_over();
    }

    /// Handles the loss of the link, or a failed attempt to get one. Returns whether it was not known yet.
    pub(super) fn handle_link_down(&mut self, now: Instant, entropy: &mut dyn Entropy) -> bool {
        // A link that has not been dialled yet cannot be the one that is gone: that was the one before.
        let expected = !self.wants_dial
            && matches!(
                self.phase,
                Phase::Dialing | Phase::AwaitingInfo { .. } | Phase::Syncing | Phase::Ready
            );
        if expected {
            self.phase = if self.reconnect {
                Phase::Pausing { until: now + self.backoff.next_pause(now, entropy) }
            } else {
                Phase::Idle
            };
        }
        expected
    }

    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        match self.phase {
            Phase::Pausing { until } | Phase::AwaitingInfo { until } => Some(until),
            _ => None,
        }
    }

    pub(super) fn handle_timeout(&mut self, now: Instant) {
        match self.phase {
            Phase::Pausing { until } if until <= now => self.dial(),
            Phase::AwaitingInfo { until } if until <= now => self.wants_drop = true,
            _ => {}
        }
    }

    pub(super) fn poll_dial(&mut self) -> bool {
        std::mem::take(&mut self.wants_dial)
    }

    pub(super) fn poll_drop(&mut self) -> bool {
        std::mem::take(&mut self.wants_drop)
    }

    fn dial(&mut self) {
        self.phase = Phase::Dialing;
        self.wants_dial = true;
    }
}

/// The time that a broker may take to send `info` (an original repeats it every 7.5 s).
const INFO_TIMEOUT: Duration = Duration::from_secs(30);

#[cfg(test)]
#[allow(clippy::disallowed_methods)]
mod tests {
    use super::*;
    use crate::base::SeededEntropy;

    #[test]
    fn the_end_of_the_old_link_does_not_fail_the_dial_for_the_new_one() {
        let (mut session, now) = (Session::new(ReconnectConfig::default()), Instant::now());
        let mut entropy = SeededEntropy::new(1);
        session.connect();
        assert!(session.poll_dial() && session.handle_link_up(now));
        assert!(session.disconnect());
        session.connect();
        assert!(session.poll_drop());
        assert!(!session.handle_link_down(now, &mut entropy), "that was the link given up");
        assert!(session.poll_dial() && session.handle_link_up(now));
        assert!(session.handle_link_down(now, &mut entropy));
    }
}
