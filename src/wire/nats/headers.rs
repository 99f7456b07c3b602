//! The header block of a message: `NATS/1.0`, fields, a blank line.

use std::borrow::Cow;

use bytes::{BufMut, BytesMut};

use super::DecodeError;
use crate::wire::message::json::{self, RawString};
use crate::wire::message::{Json, MAX_HEADERS_BYTES};

/// Appends a whole block: the content type, and the application's headers.
pub(super) fn push_block(out: &mut BytesMut, content_type: Option<&str>, headers: Option<&Json>) {
    out.put_slice(FIRST_LINE);
    if let Some(content_type) = content_type {
        push_field(out, CONTENT_TYPE, content_type);
    }
    if let Some(headers) = headers {
        push_application(out, headers.as_str());
    }
    out.put_slice(b"\r\n");
}

/// Appends fields that any client reads, and what is no such field as JSON in [`SV_HEADERS`].
fn push_application(out: &mut BytesMut, text: &str) {
    let text = text.trim_ascii();
    if !text.starts_with('{') {
        return push_field(out, SV_HEADERS, &ascii(text));
    }
    let (mut others, mut is_empty, mut fields) = (String::new(), true, 0);
    for (key, value) in json::members(text) {
        is_empty = false;
        match plain(key, value).filter(|_| fields < MAX_FIELDS) {
            Some((name, value)) => {
                fields += 1;
                push_field(out, &name, value);
            }
            None => {
                others.push(if others.is_empty() { '{' } else { ',' });
                others.push_str(key.raw());
                others.push(':');
                others.push_str(value);
            }
        }
    }
    if !others.is_empty() {
        others.push('}');
        push_field(out, SV_HEADERS, &ascii(&others));
    } else if is_empty {
        push_field(out, SV_HEADERS, "{}");
    }
}

/// Returns a header that can stand by itself: a name that is no word of NATS' or ours, and a text.
fn plain<'a>(key: RawString<'a>, value: &'a str) -> Option<(Cow<'a, str>, &'a str)> {
    let name = key.text();
    let text = value.strip_prefix('"')?.strip_suffix('"')?;
    let is_text = !text.contains('\\')
        && !text.chars().any(char::is_control)
        && text.trim().len() == text.len()
        && !text.is_empty();
    (is_text && is_token(&name) && !is_reserved(&name)).then_some((name, text))
}

fn is_token(name: &str) -> bool {
    let is_char = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    !name.is_empty() && name.len() <= MAX_NAME_BYTES && name.bytes().all(is_char)
}

/// A header of NATS' makes the server act with this client's rights, so that none is passed on.
fn is_reserved(name: &str) -> bool {
    let begins =
        |word: &str| name.get(..word.len()).is_some_and(|beginning| beginning.eq_ignore_ascii_case(word));
    begins("Nats-") || begins("Sv") || begins(CONTENT_TYPE)
}

fn push_field(out: &mut BytesMut, name: &str, value: &str) {
    for part in [name, ": ", value, "\r\n"] {
        out.put_slice(part.as_bytes());
    }
}

/// Returns the same JSON in ASCII, on one line. What is not ASCII is within its strings; white space between
/// its parts may be anything.
fn ascii(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for char in text.chars() {
        if char < ' ' {
            out.push(' ');
        } else if char < '\u{7f}' {
            out.push(char);
        } else {
            char.encode_utf16(&mut [0; 2]).iter().for_each(|unit| out.push_str(&format!("\\u{unit:04x}")));
        }
    }
    out
}

/// A block, read.
#[derive(Debug, Default)]
pub(super) struct Block<'a> {
    /// The number in the first line: something that a server says.
    pub(super) status: Option<u16>,
    pub(super) content_type: Option<Cow<'a, str>>,
    /// The value of [`SV`]: a form of ours.
    pub(super) form: Option<Cow<'a, str>>,
    fields: Vec<(&'a str, Cow<'a, str>)>,
    more: Option<Cow<'a, str>>,
}

impl<'a> Block<'a> {
    /// Reads a block; an empty one has no fields.
    pub(super) fn read(block: &'a [u8]) -> Result<Self, DecodeError> {
        let mut read = Self::default();
        if block.is_empty() {
            return Ok(read);
        }
        let mut lines =
            block.split(|&byte| byte == b'\n').map(|line| line.strip_suffix(b"\r").unwrap_or(line));
        let first = lines.next().and_then(|line| line.strip_prefix(b"NATS/1.0")).ok_or(MALFORMED)?;
        read.status = first.get(1..4).and_then(|digits| std::str::from_utf8(digits).ok()?.parse().ok());
        for line in lines {
            if line.is_empty() {
                continue;
            }
            let colon = line.iter().position(|&byte| byte == b':').ok_or(MALFORMED)?;
            let name = std::str::from_utf8(&line[..colon]).map_err(|_| MALFORMED)?.trim_ascii();
            let value = String::from_utf8_lossy(line[colon + 1..].trim_ascii());
            match name {
                SV => read.form = Some(value),
                SV_HEADERS => read.more = Some(value),
                _ if name.eq_ignore_ascii_case(CONTENT_TYPE) => read.content_type = Some(value),
                _ if read.fields.len() == MAX_FIELDS => return Err(DecodeError("too many headers")),
                _ => read.fields.push((name, value)),
            }
        }
        Ok(read)
    }

    /// Returns the headers as an application sees them: a text for each, or a list of those of one name.
    pub(super) fn json(&self) -> Result<Option<Json>, DecodeError> {
        let more = self.more.as_deref().map(str::trim_ascii);
        if self.fields.is_empty() && more.is_none() {
            return Ok(None);
        }
        let text = match more {
            Some(more) if self.fields.is_empty() || !more.starts_with('{') => more.to_owned(),
            _ => self.joined(more),
        };
        if text.len() > MAX_HEADERS_BYTES {
            return Err(DecodeError("headers too long"));
        }
        let json = Json::parse(text.into()).map_err(|_| DecodeError("headers are not json"))?;
        if json.fits_headers() { Ok(Some(json)) } else { Err(DecodeError("headers nested too deep")) }
    }

    fn joined(&self, more: Option<&str>) -> String {
        let mut names: Vec<&str> = self.fields.iter().map(|(name, _)| *name).collect();
        // Stable: the order of the first of each name.
        let mut seen = std::collections::HashSet::new();
        names.retain(|name| seen.insert(*name));
        let mut by_name: std::collections::HashMap<&str, Vec<&str>> = std::collections::HashMap::new();
        for (name, value) in &self.fields {
            by_name.entry(name).or_default().push(value);
        }
        let mut text = String::from("{");
        for name in names {
            let values = by_name.remove(name).unwrap_or_default();
            let value = match values[..] {
                [one] => quoted(one),
                _ => format!("[{}]", values.into_iter().map(quoted).collect::<Vec<_>>().join(",")),
            };
            push_member(&mut text, &quoted(name), &value);
        }
        for (key, value) in more.into_iter().flat_map(json::members) {
            push_member(&mut text, key.raw(), value);
        }
        text.push('}');
        text
    }
}

fn push_member(text: &mut String, key: &str, value: &str) {
    if text.len() > 1 {
        text.push(',');
    }
    text.push_str(key);
    text.push(':');
    text.push_str(value);
}

fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// The first line, without a status.
pub(super) const FIRST_LINE: &[u8] = b"NATS/1.0\r\n";
/// Says that the payload has a form of ours.
const SV: &str = "Sv";
/// Headers that cannot stand by themselves.
const SV_HEADERS: &str = "Sv-Headers";
const CONTENT_TYPE: &str = "Content-Type";
/// Headers of one message that stand by themselves: an application's further ones are in [`SV_HEADERS`],
/// which is read at a tenth of the price. A stranger's megabyte of them took 70 ms.
const MAX_FIELDS: usize = 1024;
/// Longer names are no field.
const MAX_NAME_BYTES: usize = 1024;

const MALFORMED: DecodeError = DecodeError("malformed headers");

#[cfg(test)]
mod tests {
    use super::*;

    fn there_and_back(json: &str) -> Option<Json> {
        let mut out = BytesMut::new();
        push_block(&mut out, None, Some(&Json::parse(json.to_owned().into()).expect("json")));
        Block::read(&out).expect("ours").json().expect("ours")
    }

    #[test]
    fn an_application_may_have_thousands_of_headers_and_a_stranger_a_thousand() {
        let members: Vec<String> = (0..5000).map(|n| format!("\"h{n}\":\"{n}\"")).collect();
        let all = format!("{{{}}}", members.join(","));
        assert_eq!(there_and_back(&all).expect("headers").as_str(), all);
        let fields = |count| format!("NATS/1.0\r\n{}\r\n", "a: b\r\n".repeat(count));
        assert!(Block::read(fields(MAX_FIELDS).as_bytes()).is_ok());
        assert!(Block::read(fields(MAX_FIELDS + 1).as_bytes()).is_err());
    }
}
