//! The interface of both ends of the protocol.

use std::fmt;

use bytes::Bytes;
use serde::de::{DeserializeOwned, Deserializer, IgnoredAny, SeqAccess, Visitor};
use serde_json::value::RawValue;

use super::attachment::Assembly;
use super::json::Text;
use super::{DecodeError, Frames, Limits, Packet};
use crate::wire::message::json;

/// Operations to frames and back, at one end of one connection. Pure.
pub trait Codec: Send {
    /// Operations that this end sends.
    type Out;
    /// Operations that this end receives.
    type In;

    /// Writes one operation down.
    fn encode(&mut self, op: Self::Out, frames: &mut Frames);

    /// Reads the Socket.IO packet of one text frame (without Engine.IO's `4`). Appends what it means to
    /// `into`, and to `frames` what the protocol itself wants answered.
    fn handle_text(
        &mut self,
        text: &str,
        into: &mut Vec<Self::In>,
        frames: &mut Frames,
    ) -> Result<(), DecodeError>;

    /// Reads one binary frame.
    fn handle_binary(
        &mut self,
        bytes: Bytes,
        into: &mut Vec<Self::In>,
        frames: &mut Frames,
    ) -> Result<(), DecodeError>;

    /// Returns whether a packet has come and not all of its attachments.
    fn awaits_attachments(&self) -> bool;
}

/// What one end makes of whole packets.
pub trait End: Send {
    /// Operations that this end sends.
    type Out;
    /// Operations that this end receives.
    type In;

    /// Writes one operation down.
    fn encode(&mut self, op: Self::Out, frames: &mut Frames);

    /// Reads a packet that has come whole, as [`Codec::handle_text`] does.
    fn handle_packet(
        &mut self,
        packet: Packet<'_>,
        attachments: &[Bytes],
        into: &mut Vec<Self::In>,
        frames: &mut Frames,
    ) -> Result<(), DecodeError>;
}

/// The codec of an end: joins packets with their attachments.
#[derive(Debug)]
pub struct PacketCodec<E> {
    assembly: Assembly,
    end: E,
}

impl<E> PacketCodec<E> {
    pub(super) fn with_limits(limits: Limits, end: E) -> Self {
        Self { assembly: Assembly::new(limits), end }
    }
}

impl<E: End> Codec for PacketCodec<E> {
    type Out = E::Out;
    type In = E::In;

    fn encode(&mut self, op: E::Out, frames: &mut Frames) {
        self.end.encode(op, frames);
    }

    fn handle_text(
        &mut self,
        text: &str,
        into: &mut Vec<E::In>,
        frames: &mut Frames,
    ) -> Result<(), DecodeError> {
        let packet = Packet::parse(text)?;
        if self.assembly.handle_text(text, packet.data, packet.attachments)? {
            self.end.handle_packet(packet, &[], into, frames)?;
        }
        Ok(())
    }

    fn handle_binary(
        &mut self,
        bytes: Bytes,
        into: &mut Vec<E::In>,
        frames: &mut Frames,
    ) -> Result<(), DecodeError> {
        if let Some(whole) = self.assembly.handle_binary(bytes)? {
            self.end.handle_packet(Packet::parse(&whole.text)?, &whole.attachments, into, frames)?;
            self.assembly.recycle(whole);
        }
        Ok(())
    }

    fn awaits_attachments(&self) -> bool {
        self.assembly.is_waiting()
    }
}

/// An event's name and its first argument.
#[derive(Debug)]
pub(super) struct RawEvent<'a> {
    pub(super) name: Text<'a>,
    pub(super) argument: Option<&'a RawValue>,
}

impl<'a> RawEvent<'a> {
    pub(super) fn parse(data: &'a str) -> Result<Self, DecodeError> {
        let mut deserializer = serde_json::Deserializer::from_str(data);
        let event = deserializer.deserialize_seq(EventVisitor).map_err(|_| MALFORMED)?;
        deserializer.end().map_err(|_| MALFORMED)?;
        Ok(event)
    }

    /// Reads the argument as a `T`.
    pub(super) fn read<T: DeserializeOwned>(&self) -> Option<T> {
        json::read(self.argument?.get())
    }
}

struct EventVisitor;

impl<'de> Visitor<'de> for EventVisitor {
    type Value = RawEvent<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an event")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Self::Value, A::Error> {
        let name = items.next_element()?.ok_or_else(|| serde::de::Error::custom("event without a name"))?;
        let argument = items.next_element()?;
        while items.next_element::<IgnoredAny>()?.is_some() {}
        Ok(RawEvent { name, argument })
    }
}

const MALFORMED: DecodeError = DecodeError::Misbehaved("malformed event");
