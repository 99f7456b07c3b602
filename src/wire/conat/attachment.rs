//! Binary frames: collects those of one packet, and puts them where the packet's JSON has placeholders for
//! them.

use bytes::Bytes;
use serde::Deserialize;
use serde_json::{Value, json};

use super::DecodeError;
use super::json::may_contain;
use crate::wire::message::json::{self, RawString};

/// The limits of one packet. A breach by a client ends its connection. A breach by a server only drops the
/// packet: the fault is most likely another publisher's, which must not be able to cut off subscribers.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Bytes of the text frame.
    pub text: usize,
    /// Levels of arrays and objects.
    pub depth: usize,
    /// Bytes of all attachments.
    pub attachments: usize,
    /// Drop, do not fail, when a bound is passed.
    pub is_lenient: bool,
}

/// A packet with all its attachments.
#[derive(Debug)]
pub(super) struct WholePacket {
    pub(super) text: String,
    pub(super) attachments: Vec<Bytes>,
}

/// Waits for the attachments of one packet at a time.
#[derive(Debug)]
pub(super) struct Assembly {
    limits: Limits,
    waiting: Option<Waiting>,
    /// The allocation of the last text, for the next.
    spare: String,
}

#[derive(Debug)]
struct Waiting {
    missing: usize,
    bytes: usize,
    /// `None` once the packet is to be dropped.
    whole: Option<WholePacket>,
}

impl Assembly {
    pub(super) fn new(limits: Limits) -> Self {
        Self { limits, waiting: None, spare: String::new() }
    }

    /// Returns whether attachments are to come.
    pub(super) fn is_waiting(&self) -> bool {
        self.waiting.is_some()
    }

    /// Takes a packet's text. Returns whether to read it now: not if attachments are to come, or if it is to
    /// be dropped.
    pub(super) fn handle_text(
        &mut self,
        text: &str,
        data: &str,
        attachments: usize,
    ) -> Result<bool, DecodeError> {
        if self.waiting.is_some() {
            return Err(DecodeError::Misbehaved("text frame amid the attachments of a packet"));
        }
        let breach = if text.len() > self.limits.text {
            Some("text frame too long")
        } else if !crate::wire::message::is_depth_within(data, self.limits.depth) {
            Some("json nested too deep")
        } else {
            None
        };
        if let Some(what) = breach {
            self.give_up(what)?;
        }
        if attachments == 0 {
            return Ok(breach.is_none());
        }
        let whole = breach.is_none().then(|| {
            let mut kept = std::mem::take(&mut self.spare);
            kept.push_str(text);
            WholePacket { text: kept, attachments: Vec::with_capacity(attachments) }
        });
        self.waiting = Some(Waiting { missing: attachments, bytes: 0, whole });
        Ok(false)
    }

    /// Takes a binary frame. Returns the packet if it was the last one.
    pub(super) fn handle_binary(&mut self, bytes: Bytes) -> Result<Option<WholePacket>, DecodeError> {
        let Some(mut waiting) = self.waiting.take() else {
            return Err(DecodeError::Misbehaved("attachment without a packet"));
        };
        waiting.missing -= 1;
        waiting.bytes = waiting.bytes.saturating_add(bytes.len());
        if waiting.bytes > self.limits.attachments {
            self.give_up("attachments too long")?;
            waiting.whole = None;
        }
        if let Some(whole) = &mut waiting.whole {
            whole.attachments.push(detach(bytes));
        }
        if waiting.missing == 0 {
            return Ok(waiting.whole);
        }
        self.waiting = Some(waiting);
        Ok(None)
    }

    /// Takes back what [`Assembly::handle_binary`] gave, to use its memory again.
    pub(super) fn recycle(&mut self, whole: WholePacket) {
        if whole.text.capacity() <= MAX_SPARE_BYTES {
            self.spare = whole.text;
            self.spare.clear();
        }
    }

    fn give_up(&self, what: &'static str) -> Result<(), DecodeError> {
        if self.limits.is_lenient {
            tracing::debug!("dropped a packet: {what}");
            return Ok(());
        }
        Err(DecodeError::Misbehaved(what))
    }
}

/// Copies a small payload: as a slice it would keep the whole read buffer alive for as long as it is queued.
fn detach(bytes: Bytes) -> Bytes {
    if bytes.len() < COPY_BELOW_BYTES { Bytes::copy_from_slice(&bytes) } else { bytes }
}

/// Returns the attachment that the JSON value `raw` stands for.
pub(super) fn attachment(raw: &str, attachments: &[Bytes]) -> Result<Bytes, DecodeError> {
    // What every encoder writes for the one attachment of a publish.
    if raw == FIRST_PLACEHOLDER {
        return attachments.first().cloned().ok_or(OUT_OF_RANGE);
    }
    let is_object = raw.starts_with('{');
    match serde_json::from_str::<Placeholder>(raw) {
        Ok(Placeholder { is_placeholder: true, num }) if is_object => {
            attachments.get(num).cloned().ok_or(OUT_OF_RANGE)
        }
        _ => Err(DecodeError::Misbehaved("payload is not binary")),
    }
}

/// Replaces placeholders within a JSON value that can hold no bytes by what `JSON.stringify` makes of a
/// Node.js Buffer. `None` when there are none.
pub(super) fn resolve(raw: &str, attachments: &[Bytes]) -> Result<Option<String>, DecodeError> {
    if attachments.is_empty() || !may_contain(raw, KEY) || !has_placeholder(raw) {
        return Ok(None);
    }
    let mut value: Value = json::read(raw).ok_or(DecodeError::Misbehaved("malformed json"))?;
    let mut budget = MAX_RESOLVED_BYTES;
    resolve_value(&mut value, attachments, &mut budget)?;
    Ok(Some(value.to_string()))
}

fn resolve_value(value: &mut Value, attachments: &[Bytes], budget: &mut usize) -> Result<(), DecodeError> {
    match value {
        Value::Object(fields) if fields.get(KEY) == Some(&Value::Bool(true)) => {
            let num = fields.get("num").and_then(Value::as_u64).and_then(|num| usize::try_from(num).ok());
            let bytes = num.and_then(|num| attachments.get(num)).ok_or(OUT_OF_RANGE)?;
            *budget = budget
                .checked_sub(bytes.len())
                .ok_or(DecodeError::Misbehaved("too many bytes within headers"))?;
            *value = json!({ "type": "Buffer", "data": bytes.to_vec() });
            Ok(())
        }
        Value::Object(fields) => {
            fields.values_mut().try_for_each(|field| resolve_value(field, attachments, budget))
        }
        Value::Array(items) => items.iter_mut().try_for_each(|item| resolve_value(item, attachments, budget)),
        _ => Ok(()),
    }
}

/// Takes the mark off everything in `raw` that a receiver would mistake for a placeholder. `None` when there
/// is nothing.
///
/// Without this, headers that came in over another protocol could make a receiver read other bytes, or end
/// its connection.
pub(super) fn defuse(raw: &str) -> Option<String> {
    if !may_contain(raw, KEY) || !has_placeholder(raw) {
        return None;
    }
    let mut value: Value = json::read(raw).unwrap_or_default();
    defuse_value(&mut value);
    Some(value.to_string())
}

/// Whether there is a placeholder anywhere in a value; its depth has been checked.
fn has_placeholder(raw: &str) -> bool {
    let is_mark =
        |(key, value): (RawString<'_>, &str)| (value == "true" && key.is(KEY)) || has_placeholder(value);
    match raw.as_bytes().first() {
        Some(b'{') => json::members(raw).any(is_mark),
        Some(b'[') => json::items(raw).any(has_placeholder),
        _ => false,
    }
}

fn defuse_value(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            if fields.get(KEY) == Some(&Value::Bool(true)) {
                fields.shift_remove(KEY);
            }
            fields.values_mut().for_each(defuse_value);
        }
        Value::Array(items) => items.iter_mut().for_each(defuse_value),
        _ => {}
    }
}

#[derive(Deserialize)]
struct Placeholder {
    #[serde(rename = "_placeholder")]
    is_placeholder: bool,
    num: usize,
}

const KEY: &str = "_placeholder";
/// The placeholder of the only attachment of a packet.
pub(super) const FIRST_PLACEHOLDER: &str = r#"{"_placeholder":true,"num":0}"#;
const OUT_OF_RANGE: DecodeError = DecodeError::Misbehaved("placeholder without an attachment");
/// Payloads below this are copied. A copy of 2 KiB costs less than the allocation that it saves the read
/// buffer.
const COPY_BELOW_BYTES: usize = 2048;
/// The text buffer is kept up to here.
const MAX_SPARE_BYTES: usize = 16 * 1024;
/// Bytes that headers may hold as attachments: they grow fourfold as JSON.
const MAX_RESOLVED_BYTES: usize = 64 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    fn assembly(is_lenient: bool) -> Assembly {
        Assembly::new(Limits { text: 20, depth: 2, attachments: 10, is_lenient })
    }

    #[test]
    fn a_packet_is_whole_with_its_last_attachment() {
        let mut assembly = assembly(false);
        assert_eq!(assembly.handle_text("52-[]", "[]", 2), Ok(false));
        assert!(assembly.handle_binary(Bytes::from_static(b"a")).expect("fine").is_none());
        let whole = assembly.handle_binary(Bytes::from_static(b"b")).expect("fine").expect("whole");
        assert_eq!((whole.text.as_str(), whole.attachments.len()), ("52-[]", 2));
        assembly.recycle(whole);
        assert!(assembly.handle_binary(Bytes::new()).is_err(), "one frame too many");
        assert_eq!(assembly.handle_text("51-[1]", "[1]", 1), Ok(false));
        assert!(assembly.handle_text("2[]", "[]", 0).is_err(), "text instead of the attachment");
    }

    #[test]
    fn a_breach_fails_a_client_and_drops_the_packet_of_a_server() {
        for (text, payload) in [("[[[]]]", 1), ("[\"twenty and more bytes\"]", 1), ("[]", 11)] {
            let mut strict = assembly(false);
            let outcome = strict
                .handle_text(text, text, 1)
                .and_then(|_| strict.handle_binary(vec![0; payload].into()).map(drop));
            assert!(outcome.is_err(), "{text}");
            let mut lenient = assembly(true);
            assert_eq!(lenient.handle_text(text, text, 1), Ok(false));
            assert!(lenient.handle_binary(vec![0; payload].into()).expect("dropped").is_none());
            assert_eq!(lenient.handle_text("[]", "[]", 0), Ok(true), "the next packet is fine");
        }
    }

    #[test]
    fn placeholders_are_found_wherever_they_are() {
        let attachments = [Bytes::from_static(b"a"), Bytes::from_static(b"\x01\xff")];
        assert_eq!(attachment(FIRST_PLACEHOLDER, &attachments), Ok(attachments[0].clone()));
        assert_eq!(
            attachment(r#"{ "num":1,"_placeholder":true }"#, &attachments),
            Ok(attachments[1].clone())
        );
        for bad in [
            r#"{"_placeholder":true,"num":2}"#,
            r#"{"_placeholder":true,"num":-1}"#,
            r#"{"_placeholder":true,"num":0.5}"#,
            r#"{"_placeholder":false,"num":0}"#,
            r#"{"_placeholder":true}"#,
            "[true,0]",
            "null",
            "\"text\"",
        ] {
            assert!(attachment(bad, &attachments).is_err(), "{bad}");
        }
        let nested = r#"{"a":[{"_placeholder":true,"num":1}],"b":1}"#;
        let resolved = r#"{"a":[{"type":"Buffer","data":[1,255]}],"b":1}"#;
        assert_eq!(resolve(nested, &attachments), Ok(Some(resolved.into())));
        assert!(resolve(r#"{"a":{"\u005fplaceholder":true,"num":7}}"#, &attachments).is_err());
        assert_eq!(resolve(r#"{"a":1}"#, &attachments), Ok(None));
    }

    #[test]
    fn headers_that_look_like_placeholders_are_defused() {
        assert_eq!(defuse(r#"{"a":{"\u005fplaceholder":true,"num":7}}"#), Some(r#"{"a":{"num":7}}"#.into()));
        assert_eq!(defuse(r#"{"_placeholder":1,"text":"_placeholder"}"#), None);
        let half = r#"{"_placeholder":true,"num":7,"a":"\ud800"}"#;
        assert_eq!(defuse(half), Some("{\"num\":7,\"a\":\"\u{fffd}\"}".into()));
        assert_eq!(defuse(r#"{"\ud800":"\u0000"}"#), None, "what is none stays as it is");
    }
}
