//! The settings of a socket, and their defaults.

use std::time::Duration;

use super::Window;
use super::sender::MAX_IN_FLIGHT_BYTES;

/// Settings of a socket, shared by those that were made alike. Both ends have their own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SocketConfig {
    /// Messages that may be written and not yet acknowledged; `write` fails above it. Default 1000. Memory is
    /// usage for each.
    pub max_queue: usize,
    /// Bytes of them, payloads and headers. Default 256 MiB: programs of the original write some large
    /// messages without a look at what `write` returns, which is `false` from `PUSH_BACK_BYTES` on. One
    /// larger message is taken when nothing else is unacknowledged. Too low: one round trip a message; too
    /// high: that much memory for each slow reader, in the writer.
    pub max_queue_bytes: usize,
    /// Bytes of one message, payload and headers, that the peer may send. Default 256 MiB: what a client
    /// joins from chunks.
    pub max_message_bytes: usize,
    /// Bytes of one item of a stream at most; a larger message leaves in pieces. Default 256 KiB: a small
    /// message of somebody else waits for one of them. At least as much as is packed with others.
    pub piece_bytes: usize,
    /// The time that the peer may acknowledge nothing while half of the window is used, before the socket is
    /// closed. Default `None`: for ever.
    pub slow_consumer_timeout: Option<Duration>,
    /// The incarnation of a client socket among all that have its id; `None` for an id that no other socket
    /// can have.
    pub epoch: Option<u64>,
    /// Whether a client socket attaches again by itself. Default true.
    pub reconnection: bool,
    /// Milliseconds that a client socket waits for a server while nobody listens, the first time. Default
    /// `None`: for ever.
    pub wait: Option<u32>,
    /// Whether requests that have not left wait as long as the peer is away: another socket takes them over.
    /// Default false: they fail soon.
    pub keeps_requests: bool,
    /// Pause before it does. Default 500 ms.
    pub reconnect_delay: Duration,
    /// Silence after which the peer is asked for a sign of life; `None` never asks. Default 45 s.
    pub keep_alive: Option<Duration>,
    /// The time that the peer may take to give one. Default 30 s.
    pub keep_alive_timeout: Duration,
    /// The time that a command (connect, close, resend request) may take. Default 10 s.
    pub command_timeout: Duration,
    /// The time that a peer may be away. Default `None`: it depends on what is known. A client waits 2 s for
    /// a server that ended while there is another one, otherwise 30 s and up to half as long again, by its
    /// id: a server that lost its broker with us must be able to come back later than we do. A server waits
    /// 30 s.
    pub resume_timeout: Option<Duration>,
    /// Whether the application chooses the server. Default false.
    pub load_balancer: bool,
    /// The time that it may take to choose. Default 10 s.
    pub load_balancer_timeout: Duration,
    /// Which connect handshake to speak. Default both.
    pub dialect: Dialect,
    /// Sockets that a listener has at most, those included that connect. Default 65 536.
    pub max_sockets: usize,
    /// The same for one user. Default 4096.
    pub max_sockets_per_user: usize,
    /// Whether everything may travel in one stream, where the other end can, too. Default true; not with one
    /// dialect only.
    pub stream: bool,
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
            max_queue_bytes: 256 * 1024 * 1024,
            max_message_bytes: 256 * 1024 * 1024,
            piece_bytes: 256 * 1024,
            slow_consumer_timeout: None,
            epoch: None,
            reconnection: true,
            wait: None,
            keeps_requests: false,
            reconnect_delay: Duration::from_millis(500),
            keep_alive: Some(Duration::from_secs(45)),
            keep_alive_timeout: Duration::from_secs(30),
            command_timeout: Duration::from_secs(10),
            resume_timeout: None,
            load_balancer: false,
            load_balancer_timeout: Duration::from_secs(10),
            dialect: Dialect::Both,
            max_sockets: 65_536,
            max_sockets_per_user: 4096,
            stream: true,
        }
    }
}

impl SocketConfig {
    /// Whether the stream is offered, or taken.
    pub fn speaks_stream(&self) -> bool {
        self.stream && self.dialect == Dialect::Both
    }

    /// Returns the bounds of what may be unacknowledged.
    pub fn window(&self) -> Window {
        Window { messages: self.max_queue, bytes: self.max_queue_bytes }
    }

    /// Returns the bounds of what has arrived and is not handled: a sender has no more in flight.
    pub fn receive_window(&self) -> Window {
        Window { messages: self.max_queue, bytes: self.max_queue_bytes.min(MAX_IN_FLIGHT_BYTES) }
    }
}
