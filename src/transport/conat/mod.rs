//! Conat's language over a WebSocket: both handshakes, and the link that they give.

mod accept;
mod dial;
mod frames;
mod link;

pub(super) use accept::accept;
pub(super) use dial::connect;
