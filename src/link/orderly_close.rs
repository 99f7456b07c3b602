//! Closes one end of a connection in order: flushes what was sent last, then closes, and does not wait for
//! ever for a peer that does not read.

use std::time::{Duration, Instant};

/// What to do next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Flush, then call [`OrderlyClose::handle_flushed`].
    Flush,
    /// Wait until [`OrderlyClose::poll_timeout`].
    Wait,
    /// Close the connection, then call [`OrderlyClose::handle_closed`].
    Close,
    /// Drop it: the peer has taken everything.
    Done,
    /// Drop it: the peer did not take everything, or the connection failed.
    GiveUp,
}

/// One parting.
#[derive(Debug)]
pub struct OrderlyClose {
    step: Step,
    deadline: Instant,
    /// Between the last operation and the close.
    linger: Duration,
    linger_until: Option<Instant>,
}

impl OrderlyClose {
    /// Begins a close that may take `within`, with `linger` between the last operation and the close.
    pub fn new(now: Instant, within: Duration, linger: Duration) -> Self {
        Self { step: Step::Flush, deadline: now + within, linger, linger_until: None }
    }

    /// Begins a broker's parting from a peer. `is_slow`: it is cut off since it reads too little.
    pub fn from_peer(now: Instant, is_slow: bool) -> Self {
        let within = if is_slow { MAX_SLOW_PEER_CLOSE } else { MAX_PEER_CLOSE };
        Self::new(now, within, PEER_LINGER)
    }

    /// Returns what to do now.
    pub fn step(&self) -> Step {
        self.step
    }

    /// Takes note that everything is flushed.
    pub fn handle_flushed(&mut self, now: Instant) {
        if self.step != Step::Flush {
            return;
        }
        if self.linger.is_zero() {
            self.step = Step::Close;
        } else {
            self.step = Step::Wait;
            self.linger_until = Some(now + self.linger);
        }
    }

    /// Takes note that the connection is closed.
    pub fn handle_closed(&mut self) {
        if self.step == Step::Close {
            self.step = Step::Done;
        }
    }

    /// Takes note that the connection failed.
    pub fn handle_failure(&mut self) {
        self.step = Step::GiveUp;
    }

    /// Does what is due.
    pub fn handle_timeout(&mut self, now: Instant) {
        if matches!(self.step, Step::Done | Step::GiveUp) {
            return;
        }
        if now >= self.deadline {
            self.step = Step::GiveUp;
        } else if self.step == Step::Wait && self.linger_until.is_some_and(|at| now >= at) {
            self.step = Step::Close;
        }
    }

    /// Returns when `handle_timeout` is due.
    pub fn poll_timeout(&self) -> Option<Instant> {
        match self.step {
            Step::Flush | Step::Close => Some(self.deadline),
            Step::Wait => Some(self.linger_until.map_or(self.deadline, |at| at.min(self.deadline))),
            Step::Done | Step::GiveUp => None,
        }
    }
}

/// How long a peer may take to read a broker's last operation and to close.
const MAX_PEER_CLOSE: Duration = Duration::from_secs(1);
/// The same for a slow consumer, which is still reading what comes before the reason.
const MAX_SLOW_PEER_CLOSE: Duration = Duration::from_secs(5);
/// The original disconnects a refused client some 25 ms after it has sent the reason; clients count on
/// reading it first.
const PEER_LINGER: Duration = Duration::from_millis(25);

#[cfg(test)]
#[allow(clippy::disallowed_methods)]
mod tests {
    use super::*;

    #[test]
    fn a_broker_flushes_lingers_and_closes() {
        let start = Instant::now();
        let mut closing = OrderlyClose::from_peer(start, false);
        assert_eq!(closing.step(), Step::Flush);
        closing.handle_flushed(start);
        assert_eq!((closing.step(), closing.poll_timeout()), (Step::Wait, Some(start + PEER_LINGER)));
        closing.handle_timeout(start + PEER_LINGER - Duration::from_nanos(1));
        assert_eq!(closing.step(), Step::Wait);
        closing.handle_timeout(start + PEER_LINGER);
        assert_eq!(closing.step(), Step::Close);
        closing.handle_closed();
        assert_eq!((closing.step(), closing.poll_timeout()), (Step::Done, None));
    }

    #[test]
    fn a_peer_that_does_not_read_is_given_up_at_the_deadline_and_a_slow_one_has_longer() {
        for (is_slow, within) in [(false, MAX_PEER_CLOSE), (true, MAX_SLOW_PEER_CLOSE)] {
            let start = Instant::now();
            let mut closing = OrderlyClose::from_peer(start, is_slow);
            assert_eq!(closing.poll_timeout(), Some(start + within));
            closing.handle_timeout(start + within - Duration::from_nanos(1));
            assert_eq!(closing.step(), Step::Flush);
            closing.handle_timeout(start + within);
            assert_eq!(closing.step(), Step::GiveUp);
        }
    }

    #[test]
    fn without_a_linger_the_close_follows_the_flush_and_a_failure_ends_it_at_any_step() {
        let start = Instant::now();
        let mut closing = OrderlyClose::new(start, MAX_PEER_CLOSE, Duration::ZERO);
        closing.handle_flushed(start);
        assert_eq!(closing.step(), Step::Close);
        closing.handle_failure();
        assert_eq!(closing.step(), Step::GiveUp);
        closing.handle_flushed(start);
        closing.handle_closed();
        assert_eq!(closing.step(), Step::GiveUp, "it stays so");
    }
}
