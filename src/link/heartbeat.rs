//! The heartbeat of Engine.IO, which our own protocol has, too: the server pings, the client answers, and
//! each notices when the other one is gone.

use std::time::{Duration, Instant};

use super::after;

/// What the heartbeat asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Beat {
    /// Send a ping.
    Ping,
    /// The other end is gone.
    Silent,
}

/// One end's heartbeat. Frames of any kind are signs of life: behind much data a pong can be late.
#[derive(Debug)]
pub struct Heartbeat {
    end: End,
    ping_interval: Duration,
    ping_timeout: Duration,
    /// A frame has arrived since the timer was set.
    is_alive: bool,
    due: Instant,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    /// Pings next.
    ServerIdle,
    /// Has pinged.
    ServerAwaitingPong,
    /// Is pinged.
    Client,
}

impl Heartbeat {
    /// Creates a server's: it pings every `ping_interval`, and then expects a sign of life within
    /// `ping_timeout`.
    pub fn server(now: Instant, ping_interval: Duration, ping_timeout: Duration) -> Self {
        Self::new(End::ServerIdle, ping_interval, ping_timeout, after(now, ping_interval))
    }

    /// Creates a client's: it expects a ping, or other frames, within `ping_interval` and `ping_timeout`.
    pub fn client(now: Instant, ping_interval: Duration, ping_timeout: Duration) -> Self {
        let due = after(now, ping_interval.saturating_add(ping_timeout));
        Self::new(End::Client, ping_interval, ping_timeout, due)
    }

    fn new(end: End, ping_interval: Duration, ping_timeout: Duration, due: Instant) -> Self {
        Self { end, ping_interval, ping_timeout, is_alive: false, due }
    }

    /// Takes note that something arrived.
    pub fn handle_frame(&mut self) {
        self.is_alive = true;
    }

    /// Notes a ping of the server. Only a client's timing depends on it.
    pub fn handle_ping(&mut self, now: Instant) {
        if self.end == End::Client {
            self.is_alive = false;
            self.due = after(now, self.ping_interval.saturating_add(self.ping_timeout));
        }
    }

    /// Returns what is due. Call it when nothing is left to read, so that the timer never overtakes what
    /// arrived in time, and until it returns `None` or [`Beat::Silent`].
    pub fn handle_timeout(&mut self, now: Instant) -> Option<Beat> {
        while self.due <= now {
            let is_alive = std::mem::take(&mut self.is_alive);
            let (end, pause, beat) = match (self.end, is_alive) {
                (End::ServerIdle, _) => (End::ServerAwaitingPong, self.ping_timeout, Some(Beat::Ping)),
                (End::ServerAwaitingPong, true) => {
                    (End::ServerIdle, self.ping_interval.saturating_sub(self.ping_timeout), None)
                }
                (End::Client, true) => (End::Client, self.ping_timeout, None),
                (_, false) => return Some(Beat::Silent),
            };
            self.end = end;
            self.due = after(now, pause);
            if beat.is_some() {
                return beat;
            }
        }
        None
    }

    /// Returns when `handle_timeout` is due.
    pub fn poll_timeout(&self) -> Instant {
        self.due
    }
}

#[cfg(test)]
#[allow(clippy::disallowed_methods)]
mod tests {
    use super::*;
    use crate::base::{Entropy, SeededEntropy};

    const INTERVAL: Duration = Duration::from_secs(25);
    const TIMEOUT: Duration = Duration::from_secs(20);
    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn a_server_pings_at_the_interval_and_gives_a_silent_client_up_after_the_timeout() {
        let start = Instant::now();
        let mut server = Heartbeat::server(start, INTERVAL, TIMEOUT);
        assert_eq!(server.handle_timeout(start + INTERVAL - SECOND), None);
        assert_eq!(server.handle_timeout(start + INTERVAL), Some(Beat::Ping));
        assert_eq!(server.handle_timeout(start + INTERVAL), None, "once");
        server.handle_frame();
        let answered = start + INTERVAL + TIMEOUT;
        assert_eq!(server.handle_timeout(answered), None);
        assert_eq!(server.poll_timeout(), answered + (INTERVAL - TIMEOUT), "an interval after the last ping");
        assert_eq!(server.handle_timeout(start + 2 * INTERVAL), Some(Beat::Ping));
        assert_eq!(server.handle_timeout(start + 2 * INTERVAL + TIMEOUT), Some(Beat::Silent));
    }

    #[test]
    fn what_came_before_a_ping_is_no_answer_to_it() {
        let start = Instant::now();
        let mut server = Heartbeat::server(start, INTERVAL, TIMEOUT);
        server.handle_frame();
        assert_eq!(server.handle_timeout(start + INTERVAL), Some(Beat::Ping));
        assert_eq!(server.handle_timeout(start + INTERVAL + TIMEOUT), Some(Beat::Silent));
    }

    #[test]
    fn a_client_lives_on_pings_and_on_data_alone() {
        let start = Instant::now();
        let mut client = Heartbeat::client(start, INTERVAL, TIMEOUT);
        client.handle_frame();
        client.handle_ping(start + INTERVAL);
        assert_eq!(client.poll_timeout(), start + 2 * INTERVAL + TIMEOUT);
        client.handle_frame();
        let due = client.poll_timeout();
        assert_eq!(
            (client.handle_timeout(due), client.poll_timeout()),
            (None, due + TIMEOUT),
            "data, no ping"
        );
        assert_eq!(client.handle_timeout(due + TIMEOUT), Some(Beat::Silent));
    }

    #[test]
    fn a_pause_that_no_clock_can_add_is_a_long_one() {
        let start = Instant::now();
        let client = Heartbeat::client(start, Duration::MAX, Duration::MAX);
        let server = Heartbeat::server(start, Duration::MAX, Duration::MAX);
        for due in [client.poll_timeout(), server.poll_timeout()] {
            assert!(due > start + INTERVAL);
        }
    }

    /// Both ends over a link that takes a while, on virtual time.
    #[test]
    fn two_ends_keep_each_other_alive_whatever_the_delay_and_notice_a_cut_in_time() {
        for seed in 0..500 {
            let (mut dice, start) = (SeededEntropy::new(seed), Instant::now());
            let mut server = Heartbeat::server(start, INTERVAL, TIMEOUT);
            let mut client = Heartbeat::client(start, INTERVAL, TIMEOUT);
            let cut = start + Duration::from_secs(60 + dice.below(600) as u64);
            // Pings and pongs in flight: when they arrive, and whether at the client.
            let mut flights: Vec<(Instant, bool)> = Vec::new();
            let (mut server_end, mut client_end) = (None, None);
            while server_end.is_none() || client_end.is_none() {
                let timers = [
                    server_end.is_none().then(|| server.poll_timeout()),
                    client_end.is_none().then(|| client.poll_timeout()),
                ];
                let next_flight = flights.iter().map(|(at, _)| *at).min();
                let now = timers.into_iter().flatten().chain(next_flight).min().expect("something is due");
                if let Some(index) = flights.iter().position(|(at, _)| *at == now) {
                    let (_, is_to_client) = flights.remove(index);
                    let delay = Duration::from_millis(dice.below(9000) as u64);
                    if now >= cut {
                        continue;
                    }
                    if is_to_client {
                        client.handle_frame();
                        client.handle_ping(now);
                        flights.push((now + delay, false));
                    } else {
                        server.handle_frame();
                    }
                    continue;
                }
                if server_end.is_none() {
                    match server.handle_timeout(now) {
                        Some(Beat::Silent) => server_end = Some(now),
                        Some(Beat::Ping) => {
                            flights.push((now + Duration::from_millis(dice.below(9000) as u64), true));
                        }
                        None => {}
                    }
                }
                if client_end.is_none() && client.handle_timeout(now) == Some(Beat::Silent) {
                    client_end = Some(now);
                }
            }
            let longest = INTERVAL + TIMEOUT + Duration::from_secs(18);
            for end in [server_end, client_end].into_iter().flatten() {
                assert!(end >= cut, "seed {seed}: given up {:?} before the cut", cut - end);
                assert!(end - cut <= longest + TIMEOUT, "seed {seed}: noticed after {:?}", end - cut);
            }
        }
    }
}
