//! Sockety's bytes (`docs/protocols/sockety.md`): the connection header, packets, and the header of a message
//! or response.
//!
//! Decoders borrow what they read and allocate nothing: a length that a peer announces is only ever a number
//! here.

mod error;
mod handshake;
mod message_header;
mod number;
mod packet;
#[cfg(test)]
mod tests;

pub use error::DecodeError;
pub use handshake::Handshake;
pub use message_header::{FileHeader, Kind, MessageHeader};
pub use number::{MAX_UINT16, MAX_UINT24, MAX_UINT48};
pub use packet::{MAX_HEAD_BYTES, Packet};

/// Channels in one direction at most.
pub const MAX_CHANNELS: u16 = 4096;
/// The highest code of a fast reply.
pub const MAX_FAST_REPLY: u16 = 4095;
