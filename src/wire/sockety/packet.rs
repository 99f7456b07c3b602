//! Packets: what the first bytes of one say. Its content, if it has any, comes behind.

use bytes::BufMut;
use uuid::Uuid;

use super::DecodeError;
use super::number::{Cursor, FILE_INDEX, PACKET_SIZE};

/// A packet without its content, of which it has the size in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Packet {
    /// What follows is for this channel.
    Channel(u16),
    /// A message begins: (the start of) its header.
    Message {
        /// It has a stream.
        stream: bool,
        /// The sender waits for an answer.
        expects_response: bool,
        /// Of the content.
        size: u32,
    },
    /// The whole answer to a message.
    FastReply {
        /// At most [`super::MAX_FAST_REPLY`].
        code: u16,
        /// The message.
        id: Uuid,
    },
    /// A response begins.
    Response {
        /// It has a stream.
        stream: bool,
        /// The sender waits for an answer to it.
        expects_response: bool,
        /// Of the content.
        size: u32,
    },
    /// More of an unfinished header.
    Continue {
        /// Of the content.
        size: u32,
    },
    /// Bytes of the stream.
    Stream {
        /// Of the content.
        size: u32,
    },
    /// The end of the stream.
    StreamEnd,
    /// The message in progress on the channel is given up.
    Abort,
    /// The connection is still used.
    Heartbeat,
    /// The connection will be closed soon.
    GoAway,
    /// Bytes of a file.
    File {
        /// Counted from 0, in the order of the header.
        index: u32,
        /// Of the content.
        size: u32,
    },
    /// The end of a file.
    FileEnd {
        /// Counted from 0.
        index: u32,
    },
    /// Bytes of the data.
    Data {
        /// Of the content.
        size: u32,
    },
}

impl Packet {
    /// Reads one from the front of `bytes`, and where its content begins; `None`: more is needed. Bits that
    /// mean nothing are ignored.
    pub fn decode(bytes: &[u8]) -> Result<Option<(Self, usize)>, DecodeError> {
        let mut cursor = Cursor::new(bytes);
        let Some(first) = cursor.byte() else { return Ok(None) };
        if first >> 4 == 0xf {
            return Err(DecodeError::UnknownPacket);
        }
        Ok(Self::behind(first, &mut cursor).map(|packet| (packet, cursor.position())))
    }

    fn behind(first: u8, cursor: &mut Cursor<'_>) -> Option<Self> {
        let low = u16::from(first & 0xf);
        let (stream, expects_response) = (first & 2 != 0, first & 1 != 0);
        let sized = |cursor: &mut Cursor<'_>| cursor.small(PACKET_SIZE.width(first >> 2));
        Some(match first >> 4 {
            0x0 => Self::Channel(low),
            0x1 => Self::Channel(low << 8 | u16::from(cursor.byte()?)),
            0x2 => Self::Message { stream, expects_response, size: sized(cursor)? },
            0x3 => Self::FastReply { code: low, id: cursor.id()? },
            0x4 => Self::FastReply { code: low << 8 | u16::from(cursor.byte()?), id: cursor.id()? },
            0x5 => Self::Response { stream, expects_response, size: sized(cursor)? },
            0x6 => Self::Continue { size: sized(cursor)? },
            0x7 => Self::Stream { size: sized(cursor)? },
            0x8 => Self::StreamEnd,
            0x9 => Self::Abort,
            0xa => Self::Heartbeat,
            0xb => Self::GoAway,
            0xc => {
                // The index is no part of the content.
                let size = sized(cursor)?;
                Self::File { size, index: cursor.small(FILE_INDEX.width(first))? }
            }
            0xd => Self::FileEnd { index: cursor.small(FILE_INDEX.width(first))? },
            _ => Self::Data { size: sized(cursor)? },
        })
    }

    /// Writes it, in as few bytes as it takes.
    pub fn push(self, out: &mut impl BufMut) {
        match self {
            Self::Channel(channel @ 0..=15) => out.put_u8(channel.to_le_bytes()[0]),
            Self::Channel(channel) => out.put_u16(0x1000 | channel),
            Self::Message { stream, expects_response, size } => {
                push_sized(out, 0x20 | u8::from(stream) << 1 | u8::from(expects_response), size);
            }
            Self::FastReply { code, id } => {
                match code {
                    0..=15 => out.put_u8(0x30 | code.to_le_bytes()[0]),
                    _ => out.put_u16(0x4000 | code),
                }
                out.put_slice(id.as_bytes());
            }
            Self::Response { stream, expects_response, size } => {
                push_sized(out, 0x50 | u8::from(stream) << 1 | u8::from(expects_response), size);
            }
            Self::Continue { size } => push_sized(out, 0x60, size),
            Self::Stream { size } => push_sized(out, 0x70, size),
            Self::StreamEnd => out.put_u8(0x80),
            Self::Abort => out.put_u8(0x90),
            Self::Heartbeat => out.put_u8(0xa0),
            Self::GoAway => out.put_u8(0xb0),
            Self::File { index, size } => {
                push_sized(out, 0xc0 | FILE_INDEX.code(index.into()), size);
                FILE_INDEX.push(out, index.into());
            }
            Self::FileEnd { index } => {
                out.put_u8(0xd0 | FILE_INDEX.code(index.into()));
                FILE_INDEX.push(out, index.into());
            }
            Self::Data { size } => push_sized(out, 0xe0, size),
        }
    }

    /// Returns the bytes of content behind it.
    pub fn size(self) -> u32 {
        match self {
            Self::Message { size, .. }
            | Self::Response { size, .. }
            | Self::Continue { size }
            | Self::Stream { size }
            | Self::File { size, .. }
            | Self::Data { size } => size,
            _ => 0,
        }
    }
}

fn push_sized(out: &mut impl BufMut, first: u8, size: u32) {
    out.put_u8(first | PACKET_SIZE.code(size.into()) << 2);
    PACKET_SIZE.push(out, size.into());
}

/// Bytes of a packet before its content, at most: a fast reply with a wide code.
pub const MAX_HEAD_BYTES: usize = 18;
