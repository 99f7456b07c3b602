//! Engine.IO 4: one packet a text frame, its type in the first character.

use std::time::Duration;

use bytes::{BufMut, BytesMut};
use serde::Deserialize;

use super::DecodeError;
use super::json::{push_string, push_u64};

/// A packet, as borrowed from its frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EnginePacket<'a> {
    /// The server's first word; JSON.
    Open(&'a str),
    /// The peer closes.
    Close,
    /// Are you there? The other end repeats the text in its pong.
    Ping(&'a str),
    /// I am.
    Pong(&'a str),
    /// A Socket.IO packet.
    Message(&'a str),
    /// For another transport: never legal here.
    Upgrade,
    /// Nothing.
    Noop,
}

impl<'a> EnginePacket<'a> {
    /// Reads one text frame.
    pub fn parse(text: &'a str) -> Result<Self, DecodeError> {
        let mut chars = text.chars();
        let kind = chars.next();
        let rest = chars.as_str();
        Ok(match kind {
            Some('0') => Self::Open(rest),
            Some('1') => Self::Close,
            Some('2') => Self::Ping(rest),
            Some('3') => Self::Pong(rest),
            Some('4') => Self::Message(rest),
            Some('5') => Self::Upgrade,
            Some('6') => Self::Noop,
            _ => return Err(DecodeError::Misbehaved("unknown engine.io packet type")),
        })
    }
}

/// The first packet of a server: how this connection is kept alive and how much fits into one packet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Open {
    /// Names the session.
    pub sid: String,
    /// The server pings this often.
    pub ping_interval: Duration,
    /// And expects an answer within this time.
    pub ping_timeout: Duration,
    /// Largest packet in bytes.
    pub max_payload: usize,
}

impl Open {
    /// Reads the JSON of [`EnginePacket::Open`].
    pub fn parse(json: &str) -> Result<Self, DecodeError> {
        let raw: RawOpen = serde_json::from_str(json)
            .map_err(|_| DecodeError::Misbehaved("malformed engine.io open packet"))?;
        Ok(Self {
            sid: raw.sid,
            ping_interval: Duration::from_millis(raw.ping_interval.min(MAX_PING_MILLIS)),
            ping_timeout: Duration::from_millis(raw.ping_timeout.min(MAX_PING_MILLIS)),
            max_payload: usize::try_from(raw.max_payload).unwrap_or(usize::MAX),
        })
    }

    /// Writes the whole frame.
    pub fn write(&self, out: &mut BytesMut) {
        out.put_slice(b"0{\"sid\":");
        push_string(out, &self.sid);
        out.put_slice(b",\"upgrades\":[],\"pingInterval\":");
        push_u64(out, millis(self.ping_interval));
        out.put_slice(b",\"pingTimeout\":");
        push_u64(out, millis(self.ping_timeout));
        out.put_slice(b",\"maxPayload\":");
        push_u64(out, self.max_payload as u64);
        out.put_u8(b'}');
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawOpen {
    sid: String,
    ping_interval: u64,
    ping_timeout: u64,
    #[serde(default = "default_max_payload")]
    max_payload: u64,
}

fn default_max_payload() -> u64 {
    1_000_000
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// A day. A server that pings less often is as good as gone.
const MAX_PING_MILLIS: u64 = 86_400_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_open_packet_is_written_as_in_the_specification_and_read_back() {
        let open = Open {
            sid: "s1".into(),
            ping_interval: Duration::from_secs(25),
            ping_timeout: Duration::from_secs(20),
            max_payload: 8_000_000,
        };
        let mut out = BytesMut::new();
        open.write(&mut out);
        let text = std::str::from_utf8(&out).expect("utf-8");
        let golden =
            r#"0{"sid":"s1","upgrades":[],"pingInterval":25000,"pingTimeout":20000,"maxPayload":8000000}"#;
        assert_eq!(text, golden);
        assert_eq!(EnginePacket::parse(text), Ok(EnginePacket::Open(&golden[1..])));
        assert_eq!(Open::parse(&golden[1..]), Ok(open));
    }

    #[test]
    fn unknown_types_are_refused_whatever_their_width() {
        for bad in ["", "7", "x", "ü4", "\0"] {
            assert!(EnginePacket::parse(bad).is_err(), "{bad:?}");
        }
        assert_eq!(EnginePacket::parse("2probe"), Ok(EnginePacket::Ping("probe")));
        assert!(Open::parse("{\"sid\":1}").is_err());
    }
}
