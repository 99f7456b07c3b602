//! The interface of both ends of the protocol.

use bytes::{Bytes, BytesMut};

use super::{DecodeError, Frame};

/// Operations to frames and back, at one end of one connection. Pure.
pub trait Codec: Send {
    /// Operations that this end sends.
    type Out;
    /// Operations that this end receives.
    type In;

    /// Appends the frame of one operation. A payload of [`super::GIVEN_PAYLOAD_BYTES`] and more is given back
    /// instead of copied: it must follow right behind.
    fn encode(&mut self, op: Self::Out, out: &mut BytesMut) -> Option<Bytes>;

    /// Reads one whole frame; appends what it means to `into`.
    fn decode(
        &mut self,
        frame: Frame<'_>,
        into: &mut Vec<Self::In>,
    ) -> Result<Decoded<Self::Out>, DecodeError>;

    /// Returns the longest frame that is accepted, in bytes after the length.
    fn max_frame(&self) -> usize;
}

/// The meaning of a frame.
#[derive(Debug, PartialEq)]
pub enum Decoded<Out> {
    /// An operation, or one that was not worth the connection and is left out.
    Op,
    /// A request that the protocol answers by itself.
    Reply(Out),
    /// Answer with a pong.
    Ping,
    /// The answer to a ping.
    Pong,
    /// Nothing but a sign of life.
    Idle,
}
