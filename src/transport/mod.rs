//! Operations over something real: asynchronous I/O, no decisions.

mod accept;
mod address;
mod conversation;
mod dial;
mod fabric;
mod gate;
mod head;
mod http;
mod keepalive;
pub mod link;
mod listen;
#[cfg_attr(not(target_os = "linux"), path = "no_lookout.rs")]
mod lookout;
pub mod pipe;
mod socketio;
mod stream;
mod target;
#[cfg(test)]
mod tests;
pub mod tls;
mod websocket;

pub use accept::{AcceptOptions, Handshake, accept, accept_with_handshake, answer_to_head};
pub use dial::{DialOptions, Remote, Wire, dial};
pub use gate::{Gate, Pass};
pub use link::{BoxedLink, Link, LinkError};
pub use listen::{ListenAt, Listener, Listening};
#[cfg(target_os = "linux")]
pub use lookout::Lookout;
pub use lookout::Watch;
pub use stream::{BoxedStream, Stream, Visitor};
