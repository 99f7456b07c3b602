//! What can be set about a socket, and the defaults.

use std::time::Duration;

/// Settings of one socket. Both ends have their own.
#[derive(Debug, Clone)]
pub struct SocketConfig {
    /// Messages that may be written and not yet acknowledged; `write` fails above it. Default 1000. Memory is held for each.
    pub max_queue: usize,
    /// Whether a client socket attaches again by itself. Default true.
    pub reconnection: bool,
    /// Pause before it does. Default 500 ms.
    pub reconnect_delay: Duration,
    /// Silence after which the peer is asked for a sign of life; `None` never asks. Default 45 s.
    pub keep_alive: Option<Duration>,
    /// How long the peer may take to give one. Default 30 s.
    pub keep_alive_timeout: Duration,
    /// How long a command (connect, close, resend request) may take. Default 10 s.
    pub command_timeout: Duration,
    /// How long a client keeps looking for the one server it is attached to before it gives the socket up. Default 30 s, twice the longest
    /// reconnect pause: a server that lost its broker with us must be able to come back later than we do.
    pub resume_timeout: Duration,
    /// Whether the application chooses the server. Default false.
    pub load_balancer: bool,
    /// How long it may take to choose. Default 10 s.
    pub load_balancer_timeout: Duration,
    /// Which connect handshake to speak. Default both.
    pub dialect: Dialect,
}

/// The two originals cannot connect to each other; a client that speaks both gets on with either.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Dialect {
    /// Whichever answer comes first.
    #[default]
    Both,
    /// A request, answered by its reply.
    Classic,
    /// A numbered attempt, answered by a `connected` message.
    Attempt,
}

impl Default for SocketConfig {
    fn default() -> Self {
        Self {
            max_queue: 1000,
            reconnection: true,
            reconnect_delay: Duration::from_millis(500),
            keep_alive: Some(Duration::from_secs(45)),
            keep_alive_timeout: Duration::from_secs(30),
            command_timeout: Duration::from_secs(10),
            resume_timeout: Duration::from_secs(30),
            load_balancer: false,
            load_balancer_timeout: Duration::from_secs(10),
            dialect: Dialect::Both,
        }
    }
}

/// A pause that grows from 500 ms by 1.3 up to `cap`: Conat's rhythm for whatever is tried again on a socket.
#[derive(Debug, Clone)]
pub(super) struct Pause {
    next: Duration,
    cap: Duration,
}

impl Pause {
    pub(super) fn new(cap: Duration) -> Self {
        Self { next: FIRST_PAUSE, cap }
    }

    /// The pause to make now; the next one is longer.
    pub(super) fn take(&mut self) -> Duration {
        let pause = self.next;
        self.next = pause.mul_f64(1.3).min(self.cap);
        pause
    }

    /// Something moved: start small again.
    pub(super) fn reset(&mut self) {
        self.next = FIRST_PAUSE;
    }
}

const FIRST_PAUSE: Duration = Duration::from_millis(500);
