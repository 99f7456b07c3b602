//! Operations over something real: asynchronous I/O, no decisions.

mod accept;
mod address;
mod byte_link;
mod conat;
mod dial;
mod dial_bytes;
mod dial_socket;
mod fabric;
mod forwarded;
mod handshake_limiter;
mod head;
mod heartbeat_link;
mod http;
pub mod link;
mod listen;
mod liveness;
#[cfg_attr(not(feature = "nats"), path = "no_nats.rs")]
mod nats;
mod pages;
pub mod pipe;
mod proxy;
mod read_buffer;
#[cfg_attr(not(target_os = "linux"), path = "no_readiness.rs")]
mod readiness;
#[cfg(all(unix, feature = "node"))]
mod reset;
mod stream;
mod target;
#[cfg(test)]
mod tests;
pub mod timer;
pub mod tls;
mod turned_away;
mod websocket;
mod write_buffer;

pub use accept::{AcceptOptions, Handshake, accept, accept_bytes, accept_with_handshake, answer_to_head};
pub use address::Place;
pub use byte_link::ByteLink;
pub use dial::{DialOptions, Remote, dial};
pub use dial_bytes::ByteDialer;
pub use forwarded::{ForwardedField, InvalidProxy, TrustedProxies};
pub use handshake_limiter::{HandshakeLimiter, HandshakePermit};
pub use link::{BoxedLink, Link, LinkError};
pub use listen::{ListenAt, StreamListener};
pub use nats::{NatsOptions, NatsRemote, NatsUser};
pub use pages::Pages;
pub use proxy::Proxy;
#[cfg(target_os = "linux")]
pub use readiness::ReadinessPoller;
pub use readiness::Registration;
#[cfg(all(unix, feature = "node"))]
pub use reset::set_reset_on_close;
pub use stream::{BoxedStream, IncomingConnection, Stream};
pub use turned_away::{TurnedAway, TurnedAwayFor};
