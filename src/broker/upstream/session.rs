//! The connection to the fabric above: when to dial, and how far it has come.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use crate::base::{Entropy, Failure, earliest};
use crate::link::{Backoff, ReconnectConfig};
use crate::wire::AckId;

/// How far it has come.
///
/// ```text
/// Dialing ─link up─► AwaitingInfo ─info─► Syncing ─all confirmed─► Ready ─server stops─► Leaving
///    ▲                    └──────────────────┴──────link down───────┴─────────────────────┘
///    └──pause over── Pausing ◄───────────────────────┘
/// ```
#[derive(Debug, PartialEq, Eq)]
enum Phase {
    Pausing {
        until: Instant,
    },
    Dialing,
    AwaitingInfo,
    Syncing {
        missing: BTreeSet<AckId>,
    },
    Ready,
    /// What is under way is finished, and everything else waits for the next server.
    Leaving,
}

/// What has come of its absence just now.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Away {
    pub(super) severed: bool,
    pub(super) overdue: bool,
}

#[derive(Debug)]
pub(super) struct Session {
    phase: Phase,
    backoff: Backoff,
    wants_dial: bool,
    /// Why it is not ready.
    failure: Option<Failure>,
    /// What the other side said before it ended the connection.
    last_words: Option<Failure>,
    away_since: Option<Instant>,
    /// It has been away for so long that who is beyond is told to be out of reach.
    is_severed: bool,
    /// It has been away for so long that clients are better off elsewhere.
    is_overdue: bool,
}

impl Session {
    pub(super) fn new() -> Self {
        let config = ReconnectConfig { delay: DELAY, delay_max: DELAY_MAX, ..ReconnectConfig::default() };
        Self {
            phase: Phase::Dialing,
            backoff: Backoff::new(config),
            wants_dial: true,
            failure: None,
            last_words: None,
            away_since: None,
            is_severed: false,
            is_overdue: false,
        }
    }

    pub(super) fn is_ready(&self) -> bool {
        self.phase == Phase::Ready
    }

    /// Whether what is wanted is to be said at once.
    pub(super) fn is_open(&self) -> bool {
        matches!(self.phase, Phase::Syncing { .. } | Phase::Ready)
    }

    pub(super) fn failure(&self) -> Option<&Failure> {
        self.failure.as_ref()
    }

    pub(super) fn is_severed(&self) -> bool {
        self.is_severed
    }

    pub(super) fn is_overdue(&self) -> bool {
        self.is_overdue
    }

    pub(super) fn wants_dial(&self) -> bool {
        self.wants_dial
    }

    pub(super) fn poll_dial(&mut self) -> bool {
        std::mem::take(&mut self.wants_dial)
    }

    pub(super) fn handle_link_up(&mut self) {
        self.last_words = None;
        if self.phase == Phase::Dialing {
            self.phase = Phase::AwaitingInfo;
        }
    }

    /// Returns whether this is the first of the link.
    pub(super) fn handle_info(&mut self) -> bool {
        let is_first = self.phase == Phase::AwaitingInfo;
        if is_first {
            self.phase = Phase::Syncing { missing: BTreeSet::new() };
        }
        is_first
    }

    /// Notes what has to be confirmed.
    pub(super) fn await_sync(&mut self, ack: AckId) {
        if let Phase::Syncing { missing } = &mut self.phase {
            missing.insert(ack);
        }
    }

    /// Notes that something is confirmed. Returns whether that was all.
    pub(super) fn handle_synced(&mut self, now: Instant, ack: AckId) -> bool {
        let Phase::Syncing { missing } = &mut self.phase else { return false };
        if !missing.remove(&ack) || !missing.is_empty() {
            return false;
        }
        self.phase = Phase::Ready;
        self.backoff.handle_ready(now);
        (self.failure, self.away_since) = (None, None);
        (self.is_severed, self.is_overdue) = (false, false);
        true
    }

    /// The other side says why it will end the connection.
    pub(super) fn handle_closing(&mut self, why: Failure) {
        self.last_words.get_or_insert(why);
    }

    /// The server is about to stop, and the link ends in order. Returns whether that is new.
    pub(super) fn handle_stop(&mut self) -> bool {
        let is_new = self.is_open();
        if is_new {
            self.phase = Phase::Leaving;
            self.backoff.start_over();
        }
        is_new
    }

    /// The link is gone, or could not be had.
    pub(super) fn handle_link_down(&mut self, now: Instant, why: Failure, entropy: &mut dyn Entropy) {
        self.phase = Phase::Pausing { until: now + self.backoff.next_pause(now, entropy) };
        self.failure = Some(self.last_words.take().unwrap_or(why));
        self.away_since.get_or_insert(now);
    }

    /// Returns what is news about how long it has been away.
    pub(super) fn handle_timeout(&mut self, now: Instant) -> Away {
        if let Phase::Pausing { until } = self.phase
            && until <= now
        {
            (self.phase, self.wants_dial) = (Phase::Dialing, true);
        }
        let is_due = |at: Option<Instant>| at.is_some_and(|at| at <= now);
        let away = Away { severed: is_due(self.severed_at()), overdue: is_due(self.overdue_at()) };
        self.is_severed |= away.severed;
        self.is_overdue |= away.overdue;
        away
    }

    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        let pause = if let Phase::Pausing { until } = self.phase { Some(until) } else { None };
        earliest([pause, self.severed_at(), self.overdue_at()])
    }

    fn severed_at(&self) -> Option<Instant> {
        self.away_since.filter(|_| !self.is_severed).map(|since| since + SEVERED)
    }

    fn overdue_at(&self) -> Option<Instant> {
        self.away_since.filter(|_| !self.is_overdue).map(|since| since + OVERDUE)
    }
}

/// The unit of the pauses. All servers are tried at once before there is one.
const DELAY: Duration = Duration::from_millis(200);
/// The longest pause: sockets between two gateways go on when both are back, and who waits for one that is
/// not does so for seconds.
const DELAY_MAX: Duration = Duration::from_secs(1);
/// A server of the fabric above that is replaced by another one is not missed for so long.
const SEVERED: Duration = Duration::from_millis(500);
/// After this long without an upstream clients are better off at another broker.
const OVERDUE: Duration = Duration::from_secs(30);
