//! The end of a client socket.

use std::time::{Duration, Instant};

use super::super::{CloseReason, TagKind, control};
use super::{ClientSocket, Output, Phase, Subscribed};

/// When the close of an orderly end is said again: after 1 s, then after 2 s, and so on.
#[derive(Debug)]
pub(super) struct Farewell {
    at: Instant,
    pause: Duration,
    /// How often, if not as long as the end may take.
    left: Option<u8>,
}

impl Farewell {
    /// It has been said.
    pub(super) fn said(now: Instant) -> Self {
        Self { at: now + FIRST_PAUSE, pause: 2 * FIRST_PAUSE, left: None }
    }

    /// The fabric is back. Whether the server will be is open.
    pub(super) fn after_outage(now: Instant) -> Self {
        Self { at: now, pause: FIRST_PAUSE, left: Some(AFTER_OUTAGE) }
    }

    pub(super) fn due_at(&self) -> Instant {
        self.at
    }

    /// It is due at once: the server is there.
    pub(super) fn hasten(&mut self, now: Instant) {
        self.at = now;
    }

    /// Takes one. Returns whether there was one left. The clock may have leapt: they do not leave in one go.
    fn take(&mut self, now: Instant) -> bool {
        self.at = now + self.pause;
        self.pause *= 2;
        match &mut self.left {
            Some(0) => return false,
            Some(left) => *left -= 1,
            None => {}
        }
        true
    }
}

impl ClientSocket {
    /// Unsubscribes and sends `close` to the server, if there is one. A request, as the original's servers
    /// expect; only `end` waits for the reply.
    /// In the stream the close of an orderly end is sent again until its reply comes.
    pub(super) fn tell_closed(&mut self, reason: &CloseReason, waits_from: Option<Instant>) {
        if self.phase == Phase::AwaitingClosed {
            return;
        }
        let server = self.server_subject().filter(|_| self.fabric && self.attempt > 0);
        if self.channel.stream().is_some() {
            return self.say_stream_closed(server, reason, waits_from);
        }
        self.drop_subscription();
        if let Some(server) = server {
            let tag = self.offered.filter(|_| !self.binding.is_held());
            let closing = self.channel.closing(Some(self.id()), reason);
            let headers = if tag.is_some() {
                control::with_tag(control::closed_before(closing, reason, self.channel.unacked()), tag)
            } else {
                closing
            };
            self.ask(TagKind::Close, server.to_string(), headers, false, self.channel.config.command_timeout);
        }
    }

    /// Says the close of an orderly end again, if that is due.
    pub(super) fn repeat_close(&mut self, now: Instant) {
        let Some(farewell) = self.farewell.as_mut().filter(|farewell| farewell.at <= now) else { return };
        if !farewell.take(now) {
            // Nothing is missing here: it is the server that goes on waiting.
            return self.finish(CloseReason::Local);
        }
        if let Some(server) = self.server_subject().filter(|_| self.fabric) {
            self.channel.say_stream_closed(server, &CloseReason::Local);
        }
    }

    pub(super) fn drop_subscription(&mut self) {
        if self.subscribed != Subscribed::No {
            self.subscribed = Subscribed::No;
            self.channel.outputs.push_back(Output::Unsubscribe(self.mine.clone()));
        }
    }

    pub(super) fn finish(&mut self, reason: CloseReason) {
        self.drop_subscription();
        self.enter(Phase::Closed);
        self.channel.finish(&reason);
    }
}

const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// At once, after 1 s and after 3 s; 4 s later the server is given up.
const AFTER_OUTAGE: u8 = 3;

#[cfg(test)]
#[allow(clippy::disallowed_methods)]
mod tests {
    use super::*;

    #[test]
    fn closes_that_are_due_while_the_process_stood_still_leave_one_by_one() {
        let start = Instant::now();
        let mut farewell = Farewell::after_outage(start);
        let mut now = start + Duration::from_secs(60);
        let mut left = Vec::new();
        while farewell.take(now) {
            left.push((now - start).as_secs());
            now = farewell.due_at().max(now);
        }
        assert_eq!(left, [60, 61, 63]);
    }
}
