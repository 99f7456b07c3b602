//! Our own language over TCP: both handshakes, and the link that they give.

mod handshake;
mod incoming;
mod link;
mod outgoing;
#[cfg(test)]
mod tests;

pub(super) use handshake::{connect, welcome};
