//! Operations over something real: asynchronous I/O, no decisions.

pub mod link;
pub mod memory;
pub mod socketio;

pub use link::{BoxedLink, Link, LinkError};
pub use socketio::{AcceptOptions, DialOptions, Handshake, accept, accept_with_handshake, dial};
