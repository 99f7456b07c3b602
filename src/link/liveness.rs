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
    /// Pings that the peer has not answered, and how many it has.
    pings: u64,
    pongs: u64,
    /// Bytes that had come at the last frame without content.
    bytes: u64,
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
        Self { heartbeat, stall, idle_frames, pings: 0, pongs: 0, bytes: 0 }
    }

    /// Takes note that something arrived.
    pub fn handle_frame(&mut self) {
        self.heartbeat.handle_frame();
    }

    /// Takes note of a ping.
    pub fn handle_ping(&mut self, now: Instant) {
        self.heartbeat.handle_ping(now);
    }

    /// Notes that a ping was sent. Returns how many there were.
    pub fn note_ping(&mut self) -> u64 {
        self.pings += 1;
        self.pings
    }

    /// Takes note of a pong. One that answers no ping is a frame without content.
    pub fn try_count_pong(&mut self, now: Instant) -> Result<(), Flooded> {
        if self.pongs < self.pings {
            self.pongs += 1;
            return Ok(());
        }
        self.idle_frames.try_count(now, 1)
    }

    /// Returns how many pings were answered.
    pub fn pongs(&self) -> u64 {
        self.pongs
    }

    /// Counts a frame without content, such as a ping, unless there are too many of them. One behind much
    /// else does not count: `bytes` have come so far.
    pub fn try_count_idle_frame(&mut self, now: Instant, bytes: u64) -> Result<(), Flooded> {
        let news = bytes.saturating_sub(std::mem::replace(&mut self.bytes, bytes));
        if news >= CONTENT_BYTES { Ok(()) } else { self.idle_frames.try_count(now, 1) }
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
/// With so many bytes before it, a frame without content is no flood.
const CONTENT_BYTES: u64 = 1024;
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
            assert_eq!(client.try_count_idle_frame(start, 0), Ok(()));
        }
        let late = start + MESSAGE_TIMEOUT - SECOND;
        assert_eq!(client.try_count_idle_frame(late, CONTENT_BYTES), Ok(()), "behind much else");
        assert_eq!(client.try_count_idle_frame(late, CONTENT_BYTES), Err(Flooded));
        assert_eq!(client.try_count_idle_frame(start + MESSAGE_TIMEOUT, CONTENT_BYTES), Ok(()));
    }

    #[test]
    fn pongs_that_nobody_asked_for_are_idle_frames_and_others_are_not() {
        let start = Instant::now();
        let mut server = Liveness::server(start, 25 * SECOND, 20 * SECOND, 30 * SECOND);
        for ping in 1..=u64::from(MAX_IDLE_FRAMES) * 2 {
            assert_eq!(server.note_ping(), ping);
            assert_eq!(server.try_count_pong(start), Ok(()));
        }
        for _ in 0..MAX_IDLE_FRAMES {
            assert_eq!(server.try_count_pong(start), Ok(()));
        }
        assert_eq!(server.try_count_pong(start), Err(Flooded));
        assert_eq!(server.pongs(), u64::from(MAX_IDLE_FRAMES) * 2);
    }
}
