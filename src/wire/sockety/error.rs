//! What a decoder refuses.

use std::fmt;

use super::Kind;

/// Bytes that are no Sockety. The texts are the reference implementation's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum DecodeError {
    /// The connection does not start with Sockety's signature.
    InvalidControlByte,
    /// The connection header announces no channel.
    NoChannels,
    /// No packet has this type.
    UnknownPacket,
    /// A packet goes on behind the end of the header that it carries.
    MalformedSize(Kind),
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::InvalidControlByte => "Invalid control byte",
            Self::NoChannels => "Number of max concurrent channels must be between 1 and 4096",
            Self::UnknownPacket => "Unknown packet type bits",
            Self::MalformedSize(Kind::Message) => "The message packet size was malformed.",
            Self::MalformedSize(Kind::Response) => "The response packet size was malformed.",
        })
    }
}

impl std::error::Error for DecodeError {}
