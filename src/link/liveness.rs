//! Decides whether the peer of a link is alive and well-behaved: joins heartbeat, stalled messages and
//! floods.

use std::time::{Duration, Instant};

use super::{Beat, FloodMeter, Flooded, Heartbeat, Progress, StallMeter};

/// What is to be done about the peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Send it a ping.
    Ping,
    /// It is gone.
    Silent,
    /// It has begun a message and does not finish it.
    Stalled,
}

/// The three meters of one link.
#[derive(Debug)]
pub struct Liveness {
    heartbeat: Heartbeat,
    stall: StallMeter,
    idle_frames: FloodMeter,
}

impl Liveness {
    /// Creates a server's. A message that has begun must go on within `message_timeout`.
    pub fn server(
        now: Instant,
        ping_interval: Duration,
        ping_timeout: Duration,
        message_timeout: Duration,
    ) -> Self {
        Self::new(now, Heartbeat::server(now, ping_interval, ping_timeout), message_timeout)
    }

    /// Creates a client's.
    pub fn client(now: Instant, ping_interval: Duration, ping_timeout: Duration) -> Self {
        Self::new(now, Heartbeat::client(now, ping_interval, ping_timeout), MESSAGE_TIMEOUT)
    }

    fn new(now: Instant, heartbeat: Heartbeat, message_timeout: Duration) -> Self {
        let stall = StallMeter::new(now, message_timeout);
        let idle_frames = FloodMeter::new(now, MAX_IDLE_FRAMES, message_timeout);
        Self { heartbeat, stall, idle_frames }
    }

    /// Takes note that something arrived.
    pub fn handle_frame(&mut self) {
        self.heartbeat.handle_frame();
    }

    /// Takes note of a ping.
    pub fn handle_ping(&mut self, now: Instant) {
        self.heartbeat.handle_ping(now);
    }

    /// Counts a frame without content, a ping or a pong, unless there are too many of them.
    pub fn try_count_idle_frame(&mut self, now: Instant) -> Result<(), Flooded> {
        self.idle_frames.try_count(now, 1)
    }

    /// Returns what is due, until there is nothing or the link is to end. Call it when nothing is left to
    /// read.
    pub fn handle_timeout(&mut self, now: Instant, progress: Progress) -> Option<Verdict> {
        if self.stall.handle_timeout(now, progress) {
            return Some(Verdict::Stalled);
        }
        self.heartbeat.handle_timeout(now).map(|beat| match beat {
            Beat::Ping => Verdict::Ping,
            Beat::Silent => Verdict::Silent,
        })
    }

    /// Returns when `handle_timeout` is due.
    pub fn poll_timeout(&self) -> Instant {
        self.heartbeat.poll_timeout().min(self.stall.poll_timeout())
    }
}

/// How long a message may make no progress: 30 s.
pub const MESSAGE_TIMEOUT: Duration = Duration::from_secs(30);
/// How many frames without content there may be in the time of a message. An honest peer sends one or two.
const MAX_IDLE_FRAMES: u32 = 1000;

#[cfg(test)]
#[allow(clippy::disallowed_methods)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn a_peer_that_shows_life_and_never_finishes_its_message_is_cut_off_within_two_periods() {
        let start = Instant::now();
        let mut server = Liveness::server(start, 25 * SECOND, 20 * SECOND, 30 * SECOND);
        let begun = Progress { whole: 0, bytes: 10, is_mid_message: true };
        let mut now = start;
        let verdict = loop {
            now = server.poll_timeout().min(now + SECOND);
            server.handle_frame();
            match server.handle_timeout(now, begun) {
                Some(Verdict::Ping) | None => {}
                Some(verdict) => break verdict,
            }
        };
        assert_eq!((verdict, now - start), (Verdict::Stalled, 60 * SECOND));
    }

    #[test]
    fn idle_frames_are_counted_by_the_message_timeout() {
        let start = Instant::now();
        let mut client = Liveness::client(start, 25 * SECOND, 20 * SECOND);
        for _ in 0..MAX_IDLE_FRAMES {
            assert_eq!(client.try_count_idle_frame(start), Ok(()));
        }
        assert_eq!(client.try_count_idle_frame(start + MESSAGE_TIMEOUT - SECOND), Err(Flooded));
        assert_eq!(client.try_count_idle_frame(start + MESSAGE_TIMEOUT), Ok(()));
    }
}
