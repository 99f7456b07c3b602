//! Our own protocol: length-prefixed binary frames over any byte stream (docs/protocols/fabric.md). Bytes to
//! values and back, no I/O.

mod body;
mod client;
mod codec;
mod control;
mod frame;
mod headers;
mod publication;
mod server;
mod slots;
#[cfg(test)]
mod tests;
mod watches;

pub use body::{BodyDecoder, push_body};
pub use client::ClientCodec;
pub use codec::{Codec, Decoded};
pub use frame::{DecodeError, FRAME_HEADER_BYTES, Frame, frame_length, push_ping, push_pong};
pub use server::ServerCodec;

/// Name and version of the protocol, as in the `Upgrade` header that asks for it.
pub const PROTOCOL: &str = "selvedge/1";

/// The same as a subprotocol of WebSocket, whose names have no slash.
pub const SUBPROTOCOL: &str = "selvedge.1";

/// Optional capabilities of this version, as a server lists them.
pub const EXTENSIONS: &str = "requests, ends";

/// A publish may request an acknowledgement only for the case that it has no receiver.
const REQUESTS: &str = "requests";

/// Ends can be watched, and a client says when it ends for good.
const ENDS: &str = "ends";

/// Bytes that a frame may hold beyond one payload: names, ids and headers.
pub const FRAME_SLACK_BYTES: usize = 2 * 1024 * 1024;

/// Longest control text, or list of watches, that a client may send in one frame, in bytes: names, never
/// payload.
pub const MAX_CONTROL_BYTES: usize = 1024 * 1024;

/// Payloads of at least this many bytes are not copied into the output, but handed on as they are.
pub const GIVEN_PAYLOAD_BYTES: usize = 16 * 1024;

/// Payloads of at least this many bytes stay in the buffer that they were read into. Smaller ones are copied,
/// so that a message that is kept for long does not keep a whole buffer with it.
const SHARED_PAYLOAD_BYTES: usize = 2 * 1024;
