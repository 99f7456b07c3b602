//! Our own protocol over a stream: both handshakes, and the resulting link.

mod handshake;
mod link;
#[cfg(test)]
mod tests;

pub(super) use handshake::{accept, accept_in_websocket, connect, connect_in_websocket};
