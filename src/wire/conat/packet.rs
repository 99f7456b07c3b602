//! Socket.IO 5: the text of one packet, without its attachments.

use bytes::{BufMut, BytesMut};

use super::json::{push_string, push_u64};
use super::{DecodeError, MAX_ATTACHMENTS};
use crate::wire::message::json;

/// The kind of a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PacketKind {
    /// Join a namespace, or the answer to that.
    Connect,
    /// Leave it.
    Disconnect,
    /// An event.
    Event,
    /// The answer to an event that asked for one.
    Ack,
    /// Joining failed.
    ConnectError,
}

/// One packet, as borrowed from its text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Packet<'a> {
    /// Its kind.
    pub kind: PacketKind,
    /// The number of binary frames that follow.
    pub attachments: usize,
    /// `/` when none is named.
    pub namespace: &'a str,
    /// Asks for an answer with this id, or is that answer.
    pub ack: Option<u64>,
    /// JSON, not yet looked at. Empty when there is none.
    pub data: &'a str,
}

impl<'a> Packet<'a> {
    /// Reads a packet: what follows Engine.IO's `4`.
    pub fn parse(text: &'a str) -> Result<Self, DecodeError> {
        let mut chars = text.chars();
        let (kind, is_binary) = match chars.next() {
            Some('0') => (PacketKind::Connect, false),
            Some('1') => (PacketKind::Disconnect, false),
            Some('2') => (PacketKind::Event, false),
            Some('3') => (PacketKind::Ack, false),
            Some('4') => (PacketKind::ConnectError, false),
            Some('5') => (PacketKind::Event, true),
            Some('6') => (PacketKind::Ack, true),
            _ => return Err(DecodeError::Misbehaved("unknown socket.io packet type")),
        };
        let (attachments, rest) = if is_binary { attachments(chars.as_str())? } else { (0, chars.as_str()) };
        let (namespace, rest) = namespace(rest);
        let (ack, data) = number(rest)?;
        Ok(Self { kind, attachments, namespace, ack, data })
    }

    /// Returns what a [`PacketKind::Connect`] from a server calls the client; empty when it does not.
    pub fn sid(&self) -> String {
        let value: serde_json::Value = json::read(self.data).unwrap_or_default();
        value.get("sid").and_then(serde_json::Value::as_str).unwrap_or_default().to_owned()
    }

    /// Returns the message of a [`PacketKind::ConnectError`].
    pub fn refusal(&self) -> String {
        let value: serde_json::Value = json::read(self.data).unwrap_or_default();
        value.get("message").and_then(serde_json::Value::as_str).unwrap_or("connection refused").to_owned()
    }
}

/// Appends the start of an event: up to and without its JSON.
pub(super) fn push_event_start(out: &mut BytesMut, attachments: u64, ack: Option<u64>) {
    if attachments == 0 {
        out.put_slice(b"42");
    } else {
        out.put_slice(b"45");
        push_u64(out, attachments);
        out.put_u8(b'-');
    }
    if let Some(id) = ack {
        push_u64(out, id);
    }
}

/// Appends the start of an answer.
pub(super) fn push_ack_start(out: &mut BytesMut, id: u64) {
    out.put_slice(b"43");
    push_u64(out, id);
}

/// Appends the answer to a client that joined the namespace `/`.
pub fn push_connected(out: &mut BytesMut, sid: &str) {
    out.put_slice(b"40{\"sid\":");
    push_string(out, sid);
    out.put_u8(b'}');
}

/// Appends the answer to a client that asked for another namespace than `/`.
pub fn push_invalid_namespace(out: &mut BytesMut, namespace: &str) {
    let name = namespace.split('?').next().unwrap_or_default();
    out.put_slice(b"44");
    // What cannot be a real name is not repeated at full length.
    out.put_slice(if name.len() <= MAX_NAMESPACE_BYTES { name.as_bytes() } else { b"/" });
    out.put_slice(b",{\"message\":\"Invalid namespace\"}");
}

fn attachments(text: &str) -> Result<(usize, &str), DecodeError> {
    let (count, rest) = text
        .split_once('-')
        .ok_or(DecodeError::Misbehaved("binary packet without a number of attachments"))?;
    // `parse` alone would take a sign.
    let is_number = (1..=4).contains(&count.len()) && count.bytes().all(|byte| byte.is_ascii_digit());
    match count.parse::<usize>() {
        Ok(count) if is_number && count <= MAX_ATTACHMENTS => Ok((count, rest)),
        Ok(_) if is_number => Err(DecodeError::Misbehaved("too many attachments")),
        _ => Err(DecodeError::Misbehaved("malformed number of attachments")),
    }
}

fn namespace(text: &str) -> (&str, &str) {
    if text.starts_with('/') { text.split_once(',').unwrap_or((text, "")) } else { ("/", text) }
}

fn number(text: &str) -> Result<(Option<u64>, &str), DecodeError> {
    let end = text.bytes().position(|byte| !byte.is_ascii_digit()).unwrap_or(text.len());
    let (digits, rest) = text.split_at(end);
    if digits.is_empty() {
        return Ok((None, rest));
    }
    match digits.parse::<u64>() {
        Ok(id) if id <= MAX_ACK_ID => Ok((Some(id), rest)),
        _ => Err(DecodeError::Misbehaved("acknowledgement id out of range")),
    }
}

/// JavaScript's largest safe integer: its programs cannot count further.
const MAX_ACK_ID: u64 = (1 << 53) - 1;
/// Longest namespace that is named in a refusal.
const MAX_NAMESPACE_BYTES: usize = 256;

#[cfg(test)]
mod tests {
    use super::*;

    fn packet(text: &str) -> Packet<'_> {
        Packet::parse(text).expect(text)
    }

    #[test]
    fn the_parts_of_a_packet_are_told_apart() {
        let event = Packet {
            kind: PacketKind::Event,
            attachments: 1,
            namespace: "/",
            ack: Some(7),
            data: r#"["publish",[]]"#,
        };
        assert_eq!(packet(r#"51-7["publish",[]]"#), event);
        assert_eq!(packet(r#"51-/,7["publish",[]]"#), event);
        assert_eq!(
            packet("30[]"),
            Packet { kind: PacketKind::Ack, attachments: 0, ack: Some(0), data: "[]", ..event }
        );
        let bare = Packet { kind: PacketKind::Connect, attachments: 0, namespace: "/", ack: None, data: "" };
        assert_eq!(packet("0"), bare);
        assert_eq!(packet("0/admin,{}"), Packet { namespace: "/admin", data: "{}", ..bare });
        assert_eq!(packet("0/admin"), Packet { namespace: "/admin", ..bare });
        assert_eq!(packet("60-1[]").attachments, 0);
    }

    #[test]
    fn counts_and_ids_are_exact_and_bounded() {
        for bad in [
            "",
            "7",
            "x",
            "5",
            "51",
            "5-[]",
            "5x-[]",
            "5+1-[]",
            "5-1-[]",
            "5 1-[]",
            "517-[]",
            "599999-[]",
            "51.0-[]",
            "51e1-[]",
            "29007199254740992[]",
            "299999999999999999999[]",
        ] {
            assert!(Packet::parse(bad).is_err(), "{bad:?}");
        }
        assert_eq!(packet("516-[]").attachments, 16);
        assert_eq!(packet("29007199254740991[]").ack, Some(MAX_ACK_ID));
    }
}
