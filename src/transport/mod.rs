//! Operations over something real: asynchronous I/O, no decisions.

mod accept;
mod address;
mod dial;
mod fabric;
mod head;
mod http;
mod keepalive;
pub mod link;
pub mod memory;
mod socketio;
mod target;
#[cfg(test)]
mod tests;

pub use accept::{AcceptOptions, Handshake, accept, accept_with_handshake, answer_to_head};
pub use dial::{DialOptions, Remote, Wire, dial};
pub use link::{BoxedLink, Link, LinkError};
