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
                let timeout = self.config.timeout?;
                let heartbeat = self.sent_at + heartbeat_after(timeout);
                let silence = match self.full_since {
                    // Nothing can come. If it is the application that reads nothing at all, that ends some
                    // day; if it reads slowly, it may.
                    Some(since) if self.is_untouched() => since + timeout,
                    Some(_) => heartbeat,
                    None => self.received_at + timeout,
                };
                Some(heartbeat.min(silence))
            }
            State::Draining => Some(self.full_since? + self.drain_timeout()),
            State::Connecting | State::Finished => None,
        }
    }

    /// Does what is due.
    pub(super) fn handle_deadline(&mut self, now: Instant) {
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
        if matches!(self.state, State::Draining | State::Finished) {
            return;
        }
        if !self.is_reading() {
            self.full_since.get_or_insert(now);
        } else if self.full_since.take().is_some() {
            // Until now nothing could come.
            self.received_at = now;
        }
    }

    /// Returns whether most of what waits has never been asked for.
    pub(super) fn is_untouched(&self) -> bool {
        self.incoming.bodies.untouched() > self.config.max_unread_bytes / 2
    }
}

fn heartbeat_after(timeout: Duration) -> Duration {
    timeout * 3 / 4
}
