//! Detects a silent peer: pings it, and reports when no reply came.

use std::time::{Duration, Instant};

/// Any traffic counts as life, so a busy socket never pings.
#[derive(Debug)]
pub struct KeepAlive {
    interval: Option<Duration>,
    heard: Instant,
    /// Whether that was after the ping that is in flight.
    heard_since: bool,
    check_at: Option<Instant>,
    asking: bool,
}

impl KeepAlive {
    /// Returns a keep-alive with these times; `None` never pings.
    pub fn new(now: Instant, interval: Option<Duration>) -> Self {
        Self { interval, heard: now, heard_since: false, check_at: None, asking: false }
    }

    /// Starts the timer: the peer is there.
    pub fn attach(&mut self, now: Instant) {
        self.heard = now;
        self.asking = false;
        self.check_at = self.interval.map(|interval| now + interval);
    }

    /// Stops the timer: the peer is out of reach.
    pub fn detach(&mut self) {
        self.check_at = None;
        self.asking = false;
    }

    /// Notes a message of the peer. Cheap: the timer is updated only when it fires.
    pub fn handle_traffic(&mut self, now: Instant) {
        self.heard = now;
        self.heard_since = true;
    }

    /// Returns whether anything came since the ping left: then a lost reply means nothing.
    pub fn was_heard(&self) -> bool {
        self.heard_since
    }

    /// Notes that the ping was answered, or no longer needs to be.
    pub fn handle_pong(&mut self, now: Instant) {
        self.heard = now;
        self.asking = false;
        self.check_at = self.interval.map(|interval| now + interval);
    }

    /// Returns when `handle_timeout` is to be called.
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.check_at
    }

    /// Returns whether to ping now.
    pub fn handle_timeout(&mut self, now: Instant) -> bool {
        let Some(interval) = self.interval.filter(|_| self.check_at.is_some_and(|at| at <= now)) else {
            return false;
        };
        let due = self.heard + interval;
        if due > now || self.asking {
            self.check_at = (!self.asking).then_some(due);
            return false;
        }
        self.asking = true;
        self.heard_since = false;
        self.check_at = None;
        true
    }
}

#[cfg(test)]
#[allow(clippy::disallowed_methods)]
mod tests {
    use super::*;

    #[test]
    fn silence_is_asked_about_once_and_traffic_defers_it() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut keepalive = KeepAlive::new(start, Some(Duration::from_secs(10)));
        keepalive.attach(start);
        keepalive.handle_traffic(at(6));
        assert!(!keepalive.handle_timeout(at(10)));
        assert_eq!(keepalive.poll_timeout(), Some(at(16)));
        assert!(keepalive.handle_timeout(at(16)));
        assert!(!keepalive.handle_timeout(at(17)));
        assert!(!keepalive.was_heard());
        keepalive.handle_traffic(at(17));
        assert!(keepalive.was_heard(), "a busy peer whose pong was lost is not a silent one");
        keepalive.handle_pong(at(18));
        assert_eq!(keepalive.poll_timeout(), Some(at(28)));
        keepalive.detach();
        assert!(!keepalive.handle_timeout(at(99)));
    }
}
