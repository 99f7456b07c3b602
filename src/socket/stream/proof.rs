//! Whether the client of a socket that was accepted at once has heard of it: it says something, and is asked
//! if it does not.

use std::time::{Duration, Instant};

use crate::socket::absence::PATIENCE;
use crate::socket::pause::Pause;
use crate::wire::Json;

/// What one end does until the server's end knows that the client has heard of the accept.
#[derive(Debug)]
pub(super) struct Proof {
    /// When the other end is asked next.
    at: Instant,
    pause: Pause,
    /// It was asked.
    is_asked: bool,
    role: Role,
}

#[derive(Debug)]
enum Role {
    /// The client has something to say, sooner or later.
    Client,
    /// The server gives it up then; whoever answers no longer goes by the tag is told where to say so.
    Server { until: Instant, identity: Json },
}

impl Proof {
    /// The client's end, which was accepted now.
    pub(super) fn of_client(now: Instant) -> Self {
        Self { at: now + CLIENT_SILENCE, pause: Pause::new(MAX_PAUSE), is_asked: false, role: Role::Client }
    }

    /// The server's end, which has accepted now.
    pub(super) fn of_server(now: Instant, identity: Json) -> Self {
        let role = Role::Server { until: now + PATIENCE, identity };
        Self { at: now + SERVER_SILENCE, pause: Pause::new(MAX_PAUSE), is_asked: false, role }
    }

    /// The two are together again: it has as much time as at first.
    pub(super) fn attach(&mut self, now: Instant) {
        *self = match std::mem::replace(&mut self.role, Role::Client) {
            Role::Client => Self::of_client(now),
            Role::Server { identity, .. } => Self::of_server(now, identity),
        };
    }

    /// Returns whether it is the server's end.
    pub(super) fn is_server(&self) -> bool {
        matches!(self.role, Role::Server { .. })
    }

    /// Returns whether a status of the other end, which has so many of our messages, is proof enough for the
    /// client.
    pub(super) fn is_settled_by(&self, arrived: u64) -> bool {
        !self.is_server() && (self.is_asked || arrived > 0)
    }

    /// Returns what goes with a question of the server.
    pub(super) fn identity(&self) -> Option<&Json> {
        if let Role::Server { identity, .. } = &self.role { Some(identity) } else { None }
    }

    pub(super) fn poll_timeout(&self) -> Instant {
        self.at
    }

    /// Returns whether the other end is to be asked now, and whether it is given up.
    pub(super) fn handle_timeout(&mut self, now: Instant) -> (bool, bool) {
        if now < self.at {
            return (false, false);
        }
        self.is_asked = true;
        self.at = now + self.pause.take();
        (true, matches!(self.role, Role::Server { until, .. } if until <= now))
    }
}

/// A client that has said nothing for so long after the accept says that it is there.
const CLIENT_SILENCE: Duration = Duration::from_secs(2);
/// The server asks one of which nothing has come for so long.
const SERVER_SILENCE: Duration = Duration::from_secs(5);
/// From one question to the next, at most.
const MAX_PAUSE: Duration = Duration::from_secs(5);
