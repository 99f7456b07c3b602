//! Conat's protocol: Engine.IO 4 framing, Socket.IO 5 packets, and Conat's events in them. Bytes to values
//! and back, no I/O.

mod attachment;
mod client;
mod codec;
mod engine_packet;
mod error;
mod frames;
mod headers;
mod json;
mod packet;
mod publication;
mod reply;
mod rpc;
mod server;
#[cfg(test)]
mod tests;

pub use attachment::Limits;
pub use client::ClientCodec;
pub use codec::Codec;
pub use engine_packet::{EnginePacket, Open};
pub use error::DecodeError;
pub use frames::{Frame, Frames};
pub use headers::{join, split_json};
pub use packet::{Packet, PacketKind, push_connected, push_invalid_namespace};
pub use server::ServerCodec;

use crate::wire::message::{MAX_HEADERS_BYTES, MAX_HEADERS_DEPTH};

/// Most attachments of a packet. Conat's packets have one; headers may bring a few more.
pub const MAX_ATTACHMENTS: usize = 16;

/// Longest text frame that a client may send, in bytes: names and headers, never payload.
pub const MAX_TEXT_BYTES: usize = 1024 * 1024;

/// Deepest nesting of arrays and objects that a client may send. Checked before anything recurses.
pub const MAX_JSON_DEPTH: usize = 64;

// Headers that every protocol takes fit into the text of a publish, beside the longest subject and two
// arrays.
const _: () =
    assert!(MAX_HEADERS_BYTES + 128 * 1024 <= MAX_TEXT_BYTES && MAX_HEADERS_DEPTH + 2 <= MAX_JSON_DEPTH);

/// A delivery is larger than the publish that it came from, by its pattern, and a level deeper. A client
/// takes that much more than a server.
const DELIVERY_SLACK_BYTES: usize = 64 * 1024;
const DELIVERY_SLACK_LEVELS: usize = 8;

/// Bytes that attachments may hold beyond one payload.
const ATTACHMENT_SLACK_BYTES: usize = 256 * 1024;
