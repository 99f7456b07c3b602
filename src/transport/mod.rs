//! Operations over something real: asynchronous I/O, no decisions.

mod accept;
mod address;
mod conat;
mod dial;
mod fabric;
mod handshake_limiter;
mod head;
mod heartbeat;
mod heartbeat_link;
mod http;
pub mod link;
mod listen;
pub mod pipe;
#[cfg_attr(not(target_os = "linux"), path = "no_readiness.rs")]
mod readiness;
mod stream;
mod target;
#[cfg(test)]
mod tests;
pub mod tls;
mod websocket;

pub use accept::{AcceptOptions, Handshake, accept, accept_with_handshake, answer_to_head};
pub use dial::{DialOptions, Remote, Wire, dial};
pub use handshake_limiter::{HandshakeLimiter, HandshakePermit};
pub use link::{BoxedLink, Link, LinkError};
pub use listen::{ListenAddress, ListenAt, StreamListener};
#[cfg(target_os = "linux")]
pub use readiness::ReadinessPoller;
pub use readiness::Registration;
pub use stream::{BoxedStream, IncomingConnection, Stream};
