//! Every way in which a connection ends.

use std::time::{Duration, Instant};

use super::{Connection, State};
use crate::base::{Failure, LinkRequest};
use crate::sockety::{ConnectionError, Event};
use crate::wire::sockety::Packet;

impl Connection {
    /// Ends the connection since the peer sends nothing more. It may still read what was on its way.
    pub(super) fn handle_end(&mut self, now: Instant) {
        let output = std::mem::take(&mut self.output);
        self.finish(now, None);
        self.output = output;
        self.request = Some(LinkRequest::Close(END_TIMEOUT));
    }

    /// Takes note that it will be closed: from now on it has the time for that, and no more.
    pub(super) fn leave(&mut self, now: Instant) {
        self.close_by.get_or_insert(now + self.config.close_timeout);
    }

    /// Closes in order: what was sent leaves, and then the connection below goes.
    pub(super) fn close(&mut self, now: Instant) {
        self.leave(now);
        match self.state {
            State::Open(_) => {
                self.output.write(|out| Packet::GoAway.push(out));
                self.state = State::Closing;
            }
            State::Closing => {}
            _ => self.destroy(now),
        }
    }

    /// Closes at once, and drops what was not read.
    pub(super) fn destroy(&mut self, now: Instant) {
        self.incoming.bodies.abort_all(&mut self.events);
        self.incoming.bodies.clear();
        self.finish(now, None);
    }

    /// Ends the connection: nothing comes or goes any more. The first reason counts.
    pub(super) fn finish(&mut self, now: Instant, why: Option<ConnectionError>) {
        let is_wanted = self.close_by.is_some();
        if !matches!(self.state, State::Draining | State::Finished) {
            self.report_marks();
            self.output.clear();
            self.requests.clear();
            self.incoming.end_all();
            self.incoming.bodies.abort_all(&mut self.events);
            if is_wanted {
                self.incoming.bodies.clear();
            }
            // Whoever closes wants to know only of what did not leave for that.
            let why = why.filter(|why| !is_wanted || matches!(why, ConnectionError::Untaken { .. }));
            self.events.push(Event::Closed(why.map(Failure::from)));
            self.request = Some(LinkRequest::Close(Duration::ZERO));
            self.full_since = Some(now);
        }
        self.share.set(self.incoming.held());
        if !self.incoming.bodies.is_empty() {
            self.state = State::Draining;
        } else if !matches!(self.state, State::Finished) {
            self.state = State::Finished;
            self.events.push(Event::Finished(None));
        }
    }

    /// Returns how long the application may take to go on reading what is left of a connection that has
    /// ended.
    pub(super) fn drain_timeout(&self) -> Duration {
        self.config.timeout.unwrap_or(DRAIN_TIMEOUT)
    }
}

/// How long a peer that sends nothing more may take for what was on its way to it.
const END_TIMEOUT: Duration = Duration::from_secs(5);
/// Without a timeout of its own.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(60);
