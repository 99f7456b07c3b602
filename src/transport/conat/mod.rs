//! Conat's protocol over a WebSocket: both handshakes, and the resulting link.

mod accept;
mod dial;
mod frames;
mod link;

pub(super) use accept::accept;
pub(super) use dial::connect;
