//! Asks `link::Liveness` about the peer of a link when it is time.

use std::task::{Context, Poll};
use std::time::Duration;

use super::AcceptOptions;
use super::timer::{Timer, now};
use crate::link::{Flooded, Liveness, MESSAGE_TIMEOUT, Progress, Verdict};

/// The liveness of one link's peer, with the timer that it needs.
#[derive(Debug)]
pub(super) struct TimedLiveness {
    liveness: Liveness,
    timer: Timer,
}

impl TimedLiveness {
    /// Creates a server's.
    pub(super) fn server(options: &AcceptOptions) -> Self {
        let &AcceptOptions { ping_interval, ping_timeout, message_timeout, .. } = options;
        Self::new(Liveness::server(now(), ping_interval, ping_timeout, message_timeout))
    }

    /// Creates a client's, of a server that pings at this interval.
    pub(super) fn client(ping_interval: Duration, ping_timeout: Duration) -> Self {
        Self::new(Liveness::client(now(), ping_interval, ping_timeout))
    }

    /// Creates a client's, of a server that need not ping: this end does.
    #[cfg_attr(not(feature = "nats"), allow(dead_code, reason = "only servers of NATS leave it to clients"))]
    pub(super) fn asking_client(ping_interval: Duration, ping_timeout: Duration) -> Self {
        Self::new(Liveness::server(now(), ping_interval, ping_timeout, MESSAGE_TIMEOUT))
    }

    fn new(liveness: Liveness) -> Self {
        Self { liveness, timer: Timer::default() }
    }

    /// Notes that something has arrived.
    pub(super) fn handle_frame(&mut self) {
        self.liveness.handle_frame();
    }

    /// Notes a ping.
    pub(super) fn handle_ping(&mut self) {
        self.liveness.handle_ping(now());
    }

    /// Counts a frame without content, such as a ping, unless there are too many of them: `bytes` have come
    /// so far.
    pub(super) fn try_count_idle_frame(&mut self, bytes: u64) -> Result<(), Flooded> {
        self.liveness.try_count_idle_frame(now(), bytes)
    }

    /// Notes that a ping was sent. Returns how many there were.
    pub(super) fn note_ping(&mut self) -> u64 {
        self.liveness.note_ping()
    }

    /// Counts a pong, unless too many come unasked.
    pub(super) fn try_count_pong(&mut self) -> Result<(), Flooded> {
        self.liveness.try_count_pong(now())
    }

    /// Returns how many pings were answered.
    pub(super) fn pongs(&self) -> u64 {
        self.liveness.pongs()
    }

    /// Polls the timer. To be called when nothing is left to read, so that it never overtakes what arrived in
    /// time.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>, progress: Progress) -> Poll<Verdict> {
        loop {
            let Poll::Ready(now) = self.timer.poll(cx, Some(self.liveness.poll_timeout())) else {
                return Poll::Pending;
            };
            if let Some(verdict) = self.liveness.handle_timeout(now, progress) {
                return Poll::Ready(verdict);
            }
        }
    }
}
