//! Conat's language over a WebSocket: dial, accept, and the link that both give.

mod accept;
mod address;
mod dial;
mod http;
mod keepalive;
mod link;
#[cfg(test)]
mod tests;
mod websocket;

pub use accept::{AcceptOptions, Handshake, accept, accept_with_handshake};
pub use dial::{DialOptions, dial};
