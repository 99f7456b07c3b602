//! Our own language over a stream: both handshakes, and the link that they give.

mod handshake;
mod incoming;
mod link;
mod outgoing;
#[cfg(test)]
mod tests;

pub(super) use handshake::{connect, connect_in_websocket, welcome, welcome_in_websocket};
