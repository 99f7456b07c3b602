//! Reserved headers: joined with the application's into one JSON object on the way out, split from it on the
//! way in.

use bytes::{BufMut, Bytes, BytesMut};
use serde_json::value::RawValue;

use super::DecodeError;
use super::attachment::{defuse, resolve};
use super::json::{Text, may_contain, push_string, push_u64};
use crate::subject::Subject;
use crate::wire::message::headers::{ATTEMPT, COMMAND, ORIGIN, PREFIX, REPLY, SEQ};
use crate::wire::message::json::{self, RawString};
use crate::wire::message::{Headers, Json, SocketCommand};

/// Appends `headers` as one JSON value. The caller has checked that there are any.
///
/// Reserved ones win over the application's of the same name, and over application headers that are no
/// object.
pub(super) fn push_headers(out: &mut BytesMut, headers: &Headers) {
    let text = headers.json.as_ref().map(Json::as_str).map(|text| text.trim_ascii());
    let defused = text.and_then(defuse);
    let text = defused.as_deref().or(text);
    if !headers.has_reserved() {
        out.put_slice(text.unwrap_or("{}").as_bytes());
        return;
    }
    out.put_u8(b'{');
    let start = out.len();
    // The order is the original's: command, the application's, the rest.
    if let Some(command) = &headers.command {
        push_key(out, start, COMMAND);
        push_string(out, command.as_str());
    }
    if let Some(fields) = text.and_then(|text| text.strip_prefix('{')?.strip_suffix('}')) {
        if may_contain(fields, PREFIX) {
            push_others(out, start, text.unwrap_or_default(), headers);
        } else if !fields.trim_ascii().is_empty() {
            push_comma(out, start);
            out.put_slice(fields.as_bytes());
        }
    }
    if let Some(seq) = headers.seq() {
        push_key(out, start, SEQ);
        push_u64(out, seq);
    }
    if let Some(attempt) = headers.attempt() {
        push_key(out, start, ATTEMPT);
        push_u64(out, attempt);
    }
    if let Some(reply) = &headers.reply {
        push_key(out, start, REPLY);
        push_string(out, reply.as_str());
    }
    out.put_u8(b'}');
}

/// Returns all headers as one JSON object, as an application sees them.
pub fn join(headers: &Headers) -> Option<Json> {
    if !headers.has_reserved() {
        return headers.json.clone();
    }
    let mut out = BytesMut::new();
    push_headers(&mut out, headers);
    Json::parse(out.freeze()).ok()
}

/// Headers that an application gave, with the reserved ones where they belong.
pub fn split_json(json: Json) -> Headers {
    let split = serde_json::from_str(json.as_str()).ok().and_then(|raw| split(raw).ok());
    split.unwrap_or_else(|| Headers::default().with_json(Some(json)))
}

/// Reads the headers of a packet with these attachments.
pub(super) fn split_headers(raw: &RawValue, attachments: &[Bytes]) -> Result<Headers, DecodeError> {
    let Some(resolved) = resolve(raw.get(), attachments)? else {
        return split(raw);
    };
    let resolved = RawValue::from_string(resolved).map_err(|_| MALFORMED)?;
    split(&resolved)
}

fn split(raw: &RawValue) -> Result<Headers, DecodeError> {
    if !raw.get().starts_with('{') || !may_contain(raw.get(), PREFIX) {
        return Ok(Headers::default().with_json(Some(Json::from_raw(raw))));
    }
    let mut parts = Split::default();
    json::members(raw.get()).for_each(|(key, value)| parts.handle_field(key, value));
    let Split { headers, rest, found } = parts;
    let json = match rest {
        Some(mut rest) => {
            rest.push('}');
            Some(Json::parse(rest.into()).map_err(|_| MALFORMED)?)
        }
        // Nothing reserved: the object is empty, or was not worth a second look.
        None if !found => Some(Json::from_raw(raw)),
        None => None,
    };
    Ok(headers.with_json(json))
}

#[derive(Default)]
struct Split {
    headers: Headers,
    /// The object of all that is not reserved, still open.
    rest: Option<String>,
    found: bool,
}

impl Split {
    fn handle_field(&mut self, raw_key: RawString<'_>, value: &str) {
        let text = || serde_json::from_str::<Text>(value).ok();
        let number = || value.parse::<u64>().ok().filter(|number| (1..=MAX_SAFE_INTEGER).contains(number));
        let headers = &mut self.headers;
        let key = raw_key.text();
        let is_taken = match &*key {
            REPLY => {
                text().and_then(|text| Subject::parse(&text.0).ok()).map(|reply| headers.reply = Some(reply))
            }
            COMMAND => text().map(|text| headers.command = Some(SocketCommand::from_name(&text.0))),
            SEQ => number().map(|number| headers.set_seq(Some(number))),
            ATTEMPT => number().map(|number| headers.set_attempt(Some(number))),
            _ => None,
        }
        .is_some();
        self.found |= is_taken;
        if is_taken {
            return;
        }
        if matches!(&*key, REPLY | COMMAND | SEQ | ATTEMPT) {
            headers.malformed = true;
        }
        let rest = self.rest.get_or_insert_default();
        rest.push(if rest.is_empty() { '{' } else { ',' });
        rest.push_str(raw_key.raw());
        rest.push(':');
        rest.push_str(value);
    }
}

fn push_others(out: &mut BytesMut, start: usize, object: &str, headers: &Headers) {
    for (key, value) in json::members(object) {
        let is_overridden = match &*key.text() {
            REPLY => headers.reply.is_some(),
            COMMAND => headers.command.is_some(),
            SEQ => headers.seq().is_some(),
            ATTEMPT => headers.attempt().is_some(),
            // A broker's word to listeners on our own wire; originals have no such header.
            ORIGIN => true,
            _ => false,
        };
        if !is_overridden {
            push_comma(out, start);
            out.put_slice(key.raw().as_bytes());
            out.put_u8(b':');
            out.put_slice(value.as_bytes());
        }
    }
}

fn push_key(out: &mut BytesMut, start: usize, key: &str) {
    push_comma(out, start);
    push_string(out, key);
    out.put_u8(b':');
}

fn push_comma(out: &mut BytesMut, start: usize) {
    if out.len() > start {
        out.put_u8(b',');
    }
}

/// Beyond this JavaScript's numbers have gaps.
const MAX_SAFE_INTEGER: u64 = (1 << 53) - 1;
const MALFORMED: DecodeError = DecodeError::Misbehaved("malformed headers");

#[cfg(test)]
mod tests {
    use super::*;

    fn joined(headers: &Headers) -> String {
        let mut out = BytesMut::new();
        push_headers(&mut out, headers);
        String::from_utf8(out.to_vec()).expect("utf-8")
    }

    fn parsed(text: &str) -> Headers {
        split_headers(serde_json::from_str(text).expect(text), &[]).expect(text)
    }

    #[test]
    fn the_recorded_headers_survive_byte_for_byte() {
        for text in [
            r#"{"my":"header"}"#,
            r#"{"my":"header","CN-SocketSeq":1}"#,
            r#"{"CN-Reply":"_INBOX.N9HgiP82IQ.QGgL3n42m0"}"#,
            r#"{"CN-SocketCmd":"connect","id":"So06srZN18","CN-Reply":"_INBOX.N9HgiP82IQ.VHcWVqVS9g"}"#,
            r#"{"CN-SocketCmd":"close"}"#,
            r#"{"CN-SocketCmd":"fly","CN-SocketConnectAttempt":3}"#,
            "{}",
            "null",
            "[1,{\"CN-Reply\":\"a\"}]",
            "\"CN-Reply\"",
            r#"{"z":1,"a":{"CN-Reply":"nested"}}"#,
        ] {
            assert_eq!(joined(&parsed(text)), text);
        }
        let only_reserved = parsed(r#"{"CN-SocketSeq":1}"#);
        assert_eq!((only_reserved.seq(), &only_reserved.json), (Some(1), &None));
        assert_eq!(parsed(r#"{"CN\u002dSocketSeq":1}"#), only_reserved, "an escape hides nothing");
    }

    #[test]
    fn reserved_headers_of_a_wrong_type_stay_where_they_are() {
        for text in [
            r#"{"CN-Reply":5}"#,
            r#"{"CN-Reply":"a.*"}"#,
            r#"{"CN-Reply":"\ud800"}"#,
            r#"{"CN-SocketCmd":null}"#,
            r#"{"CN-SocketSeq":0}"#,
            r#"{"CN-SocketSeq":-1}"#,
            r#"{"CN-SocketSeq":1.5}"#,
            r#"{"CN-SocketSeq":"1"}"#,
            r#"{"CN-SocketSeq":9007199254740992}"#,
            r#"{"CN-SocketConnectAttempt":[]}"#,
        ] {
            let headers = parsed(text);
            assert!(headers.malformed && !headers.has_reserved(), "{text}");
            assert_eq!(joined(&headers), text);
        }
    }

    #[test]
    fn reserved_headers_win_over_the_applications() {
        let json = |text: &str| Some(Json::parse(text.to_owned().into()).expect(text));
        let mut headers = Headers::numbered(Some(7), None).with_json(json(r#"{"CN-SocketSeq":1,"a":2}"#));
        assert_eq!(joined(&headers), r#"{"a":2,"CN-SocketSeq":7}"#);
        headers.json = json(" [1] ");
        assert_eq!(joined(&headers), r#"{"CN-SocketSeq":7}"#);
        headers.json = json(" { } ");
        assert_eq!(joined(&headers), r#"{"CN-SocketSeq":7}"#);
        headers.json = json(r#"{"a":{"_placeholder":true,"num":0}}"#);
        assert_eq!(joined(&headers), r#"{"a":{"num":0},"CN-SocketSeq":7}"#);
    }
}
