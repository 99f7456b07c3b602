//! Time: heartbeats, a peer that is silent, and an application that does not read.

use std::time::{Duration, Instant};

use super::{Connection, State};
use crate::base::Machine;
use crate::sockety::ConnectionError;
use crate::wire::sockety::Packet;

impl Connection {
    /// Returns when something is due next.
    pub(super) fn deadline(&self) -> Option<Instant> {
        match self.state {
            State::Handshaking { since, .. } => Some(since + self.config.handshake_timeout),
            State::Open(_) | State::Closing => {
                let unnoticed = self.is_newly_full().then_some(self.received_at);
                let look_again = unnoticed.or(self.look_again_at);
                [self.close_by, look_again, self.silence_deadline()].into_iter().flatten().min()
            }
            State::Draining => Some(self.full_since? + self.drain_timeout()),
            State::Connecting | State::Finished => None,
        }
    }

    fn silence_deadline(&self) -> Option<Instant> {
        let timeout = self.config.timeout?;
        let heartbeat = self.sent_at + heartbeat_after(timeout);
        let silence = match self.full_since {
            // Nothing can come. If it is the application that reads nothing at all, that ends some day; if it
            // reads slowly, it may.
            Some(since) if self.is_untouched() => since + timeout,
            Some(_) => heartbeat,
            None => self.received_at + timeout,
        };
        Some(heartbeat.min(silence))
    }

    /// Does what is due.
    pub(super) fn handle_deadline(&mut self, now: Instant) {
        if self.close_by.is_some_and(|at| at <= now) && matches!(self.state, State::Open(_) | State::Closing)
        {
            let timeout = self.config.close_timeout;
            return self.finish(now, Some(ConnectionError::Untaken { timeout }));
        }
        if self.is_newly_full() || self.look_again_at.is_some_and(|at| at <= now) {
            self.note_room(now);
        }
        match (&self.state, self.config.timeout) {
            (State::Handshaking { .. }, _) => {
                let timeout = self.config.handshake_timeout;
                self.finish(now, Some(ConnectionError::NoHandshake { timeout }));
            }
            (State::Open(_) | State::Closing, Some(timeout)) => self.handle_silence(now, timeout),
            (State::Draining, _) => {
                self.incoming.bodies.clear();
                self.finish(now, None);
            }
            _ => {}
        }
    }

    pub(super) fn handle_silence(&mut self, now: Instant, timeout: Duration) {
        match self.full_since {
            Some(since) if since + timeout <= now && self.is_untouched() => {
                let bytes = self.incoming.bodies.untouched();
                return self.finish(now, Some(ConnectionError::Unread { bytes }));
            }
            None if self.received_at + timeout <= now => {
                return self.finish(now, Some(ConnectionError::Silent { timeout }));
            }
            _ => {}
        }
        if self.sent_at + heartbeat_after(timeout) <= now {
            self.sent_at = now;
            // If older things have not left, one more heartbeat does not either.
            if self.output.is_empty() {
                self.output.write(|out| Packet::Heartbeat.push(out));
            }
        }
    }

    /// Takes note that the application has read: whoever does has time.
    pub(super) fn note_reader(&mut self, now: Instant) {
        if let Some(since) = &mut self.full_since {
            *since = now;
        }
        self.note_room(now);
        if matches!(self.state, State::Draining) && self.incoming.bodies.is_empty() {
            self.finish(now, None);
        }
    }

    /// Takes note that there is more to read, or less.
    pub(super) fn note_room(&mut self, now: Instant) {
        self.share.set(self.incoming.held());
        self.look_again_at = None;
        if matches!(self.state, State::Draining | State::Finished) {
            return;
        }
        if !self.is_reading() {
            self.full_since.get_or_insert(now);
            // Others may make room, and do not say so.
            self.look_again_at = self.share.is_scarce().then(|| now + LOOK_AGAIN);
        } else if self.full_since.take().is_some() {
            // Until now nothing could come.
            self.received_at = now;
        }
    }

    /// Returns whether others have left no room, and nobody has taken note of it.
    fn is_newly_full(&self) -> bool {
        self.full_since.is_none() && !self.is_reading()
    }

    /// Returns whether most of what waits has never been asked for.
    pub(super) fn is_untouched(&self) -> bool {
        self.incoming.bodies.untouched() > self.max_unread_bytes() / 2
    }
}

/// How long a connection that is not read for want of room of its server's waits before it looks again.
const LOOK_AGAIN: Duration = Duration::from_millis(250);

fn heartbeat_after(timeout: Duration) -> Duration {
    timeout * 3 / 4
}
