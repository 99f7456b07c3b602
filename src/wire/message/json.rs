//! JSON as JavaScript reads it, without building anything: members and items as they stand in the text.
//!
//! What `JSON.parse` takes is taken: halves of surrogate pairs, numbers that no float holds, members of one
//! name (the last one counts). serde refuses the first two when it makes values, which must not cost a
//! connection: the text is another's. The text has been checked to be JSON ([`super::Json`]); for one that is
//! not, what is found has no meaning, and nothing fails.

use std::borrow::Cow;

use serde::de::DeserializeOwned;

/// The members of the object `text`; none if it is no object.
pub(crate) fn members(text: &str) -> impl Iterator<Item = (RawString<'_>, &str)> {
    let mut rest = inside(text, '{').unwrap_or_default();
    std::iter::from_fn(move || {
        rest = rest.trim_ascii_start();
        rest = rest.strip_prefix(',').unwrap_or(rest).trim_ascii_start();
        let (key, behind) = rest.split_at(string_end(rest)?);
        let behind = behind.trim_ascii_start().strip_prefix(':')?.trim_ascii_start();
        let (value, behind) = behind.split_at(value_end(behind)?);
        rest = behind;
        Some((RawString(key), value))
    })
}

/// The items of the array `text`; none if it is no array.
pub(crate) fn items(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = inside(text, '[').unwrap_or_default();
    std::iter::from_fn(move || {
        rest = rest.trim_ascii_start();
        rest = rest.strip_prefix(',').unwrap_or(rest).trim_ascii_start();
        let (item, behind) = rest.split_at(value_end(rest)?);
        rest = behind;
        Some(item)
    })
}

/// The member of this name.
pub(crate) fn member<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    members(text).filter(|(key, _)| key.is(name)).last().map(|(_, value)| value)
}

/// Reads `text` as a `T`, as far as serde can: halves of surrogate pairs are U+FFFD in it, numbers that no
/// float holds are null.
pub(crate) fn read<T: DeserializeOwned>(text: &str) -> Option<T> {
    serde_json::from_str(text).or_else(|_| serde_json::from_str(&tame(text))).ok()
}

/// The same text without what serde refuses.
fn tame(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(first) = rest.bytes().next() {
        let end = match first {
            b'"' => string_end(rest).unwrap_or(rest.len()),
            b'-' | b'0'..=b'9' => value_end(rest).unwrap_or(rest.len()),
            _ => {
                rest.find(['"', '-', '0', '1', '2', '3', '4', '5', '6', '7', '8', '9']).unwrap_or(rest.len())
            }
        };
        let Some((token, behind)) = rest.split_at_checked(end) else { break };
        match first {
            b'"' if token.contains("\\u") => {
                out.push_str(&serde_json::Value::from(RawString(token).text()).to_string())
            }
            b'-' | b'0'..=b'9' if token.parse::<f64>().is_ok_and(f64::is_infinite) => out.push_str("null"),
            _ => out.push_str(token),
        }
        rest = behind;
    }
    out
}

/// The text of a JSON string; `None` if it is no string. Half of a surrogate pair is U+FFFD, as when
/// JavaScript writes UTF-8.
pub(crate) fn text(value: &str) -> Option<Cow<'_, str>> {
    (value.len() >= 2 && string_end(value) == Some(value.len())).then(|| RawString(value).text())
}

/// Whether JavaScript takes the value for true.
pub(crate) fn is_truthy(value: &str) -> bool {
    match value.as_bytes() {
        [b'n' | b'f', ..] | b"\"\"" => false,
        [b'-' | b'0'..=b'9', ..] => value.parse::<f64>().is_ok_and(|number| number != 0.0),
        _ => true,
    }
}

/// A JSON string as it stands in a text, with its quotes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct RawString<'a>(&'a str);

impl<'a> RawString<'a> {
    /// With quotes and escapes.
    pub(crate) fn raw(self) -> &'a str {
        self.0
    }

    /// Whether it reads `name`.
    pub(crate) fn is(self, name: &str) -> bool {
        self.text() == name
    }

    /// What it reads; half of a surrogate pair is U+FFFD.
    pub(crate) fn text(self) -> Cow<'a, str> {
        let plain = self.0.strip_prefix('"').and_then(|text| text.strip_suffix('"')).unwrap_or_default();
        if !plain.contains('\\') {
            return plain.into();
        }
        let mut out = String::with_capacity(plain.len());
        let mut rest = plain;
        while let Some((before, escape)) = rest.split_once('\\') {
            out.push_str(before);
            let mut behind = escape.chars();
            rest = match behind.next() {
                Some('u') => {
                    let (unit, behind) = hex(behind.as_str());
                    let low = behind.strip_prefix("\\u").map(hex).filter(|(low, _)| is_low(*low));
                    match low {
                        Some((low, behind)) if is_high(unit) => {
                            let code = 0x10000 + ((unit - 0xd800) << 10) + (low - 0xdc00);
                            out.push(char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER));
                            behind
                        }
                        _ => {
                            out.push(char::from_u32(unit).unwrap_or(char::REPLACEMENT_CHARACTER));
                            behind
                        }
                    }
                }
                other => {
                    out.extend(other.map(|other| match other {
                        'b' => '\u{8}',
                        'f' => '\u{c}',
                        'n' => '\n',
                        'r' => '\r',
                        't' => '\t',
                        same => same,
                    }));
                    behind.as_str()
                }
            };
        }
        out.push_str(rest);
        out.into()
    }
}

fn is_high(unit: u32) -> bool {
    (0xd800..0xdc00).contains(&unit)
}

fn is_low(unit: u32) -> bool {
    (0xdc00..0xe000).contains(&unit)
}

/// Four hexadecimal digits, and what follows them.
fn hex(text: &str) -> (u32, &str) {
    let (digits, behind) = text.split_at_checked(4).unwrap_or((text, ""));
    (u32::from_str_radix(digits, 16).unwrap_or(0xfffd), behind)
}

/// What is within the brackets of an array or object.
fn inside(text: &str, open: char) -> Option<&str> {
    text.trim_ascii_start().strip_prefix(open)
}

/// Where the string that `text` begins with ends.
fn string_end(text: &str) -> Option<usize> {
    let bytes = text.as_bytes();
    if bytes.first() != Some(&b'"') {
        return None;
    }
    let mut at = 1;
    while let Some(&byte) = bytes.get(at) {
        match byte {
            b'"' => return Some(at + 1),
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
    None
}

/// Where the value that `text` begins with ends.
fn value_end(text: &str) -> Option<usize> {
    let bytes = text.as_bytes();
    match bytes.first()? {
        b'"' => string_end(text),
        b'{' | b'[' => {
            let (mut depth, mut at) = (0_usize, 0);
            loop {
                // Nothing else opens, closes or hides a bracket.
                at += bytes
                    .get(at..)?
                    .iter()
                    .position(|byte| matches!(byte, b'"' | b'{' | b'[' | b'}' | b']'))?;
                match bytes.get(at)? {
                    b'"' => {
                        at += string_end(text.get(at..)?)?;
                        continue;
                    }
                    b'{' | b'[' => depth += 1,
                    _ => depth -= 1,
                }
                at += 1;
                if depth == 0 {
                    return Some(at);
                }
            }
        }
        _ => {
            let is_end = |byte: &u8| matches!(byte, b',' | b'}' | b']' | b':') || byte.is_ascii_whitespace();
            let end = bytes.iter().position(is_end).unwrap_or(bytes.len());
            (end > 0).then_some(end)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::{Map, Value};

    fn pairs(text: &str) -> Vec<(String, &str)> {
        members(text).map(|(key, value)| (key.text().into_owned(), value)).collect()
    }

    #[test]
    fn halves_of_surrogate_pairs_are_characters_that_nobody_knows_and_stay_in_the_text() {
        let object = r#"{"k\udc00":1,"a":"\ud83d\ude00\ud83dx\ud83d\ud83d\ude00","\ud800\u0041":{}}"#;
        assert_eq!(
            pairs(object),
            [
                ("k\u{fffd}".into(), "1"),
                ("a".into(), r#""\ud83d\ude00\ud83dx\ud83d\ud83d\ude00""#),
                ("\u{fffd}A".into(), "{}")
            ]
        );
        assert_eq!(member(object, "a").and_then(text).as_deref(), Some("😀\u{fffd}x\u{fffd}😀"));
        assert_eq!(members(object).next().map(|(key, _)| key.raw()), Some(r#""k\udc00""#));
    }

    #[test]
    fn what_javascript_takes_is_taken() {
        assert_eq!(member(r#"{"n":1e999, "n" : -1E+400 }"#, "n"), Some("-1E+400"), "the last one counts");
        assert_eq!(pairs(r#" { "__proto__" : [ 1 , "}" ] , "constructor":null } "#).len(), 2);
        assert_eq!(
            items(r#"[1,"]",{"a":[2]} , null]"#).collect::<Vec<_>>(),
            ["1", "\"]\"", r#"{"a":[2]}"#, "null"]
        );
        assert_eq!(member(r#"{"\u0068ub_id":1}"#, "hub_id"), Some("1"), "an escape hides nothing");
        for (value, is_true) in [
            ("null", false),
            ("false", false),
            ("0", false),
            ("-0.0", false),
            ("0e5", false),
            ("\"\"", false),
            ("true", true),
            ("1", true),
            ("1e999", true),
            ("\"0\"", true),
            ("{}", true),
            ("[]", true),
        ] {
            assert_eq!(is_truthy(value), is_true, "{value}");
        }
        assert_eq!(text("5"), None);
    }

    #[test]
    fn a_value_is_read_also_where_serde_refuses_the_text() {
        let text = r#"{"k\udc00":["\ud83d\ude00",1e999,-1e-999,"a\u0000\\u","-1e999"],"n":{"\ud800":true}}"#;
        let read = super::read::<Value>(text).expect("json");
        assert_eq!(
            read.to_string(),
            "{\"k\u{fffd}\":[\"😀\",null,-0.0,\"a\\u0000\\\\u\",\"-1e999\"],\"n\":{\"\u{fffd}\":true}}"
        );
        assert_eq!(super::read::<Value>("{\"a\":"), None);
    }

    fn value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<f64>().prop_map(Value::from),
            any::<String>().prop_map(Value::from),
            "[\"\\\\,:{}\\[\\] ]{0,8}".prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 40, 6, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
                prop::collection::vec((any::<String>(), inner), 0..6)
                    .prop_map(|fields| Value::Object(fields.into_iter().collect())),
            ]
        })
    }

    /// Reads a whole value with what is tested.
    fn read(raw: &str) -> Value {
        if let Some(text) = text(raw) {
            Value::from(text)
        } else if raw.starts_with('{') {
            let fields = members(raw).map(|(key, value)| (key.text().into_owned(), read(value)));
            Value::Object(fields.collect::<Map<_, _>>())
        } else if raw.starts_with('[') {
            items(raw).map(read).collect()
        } else {
            serde_json::from_str(raw).expect(raw)
        }
    }

    proptest! {
        #[test]
        fn a_text_reads_as_serde_reads_it_however_it_is_laid_out(value in value(), is_pretty in any::<bool>()) {
            let text = if is_pretty { serde_json::to_string_pretty(&value) } else { serde_json::to_string(&value) };
            let text = text.expect("json");
            prop_assert_eq!(read(&text), serde_json::from_str::<Value>(&text).expect("json"));
        }

        #[test]
        fn a_text_that_is_no_json_ends(text in "[\"\\\\,:{}\\[\\]a1u ]{0,40}|\\PC{0,20}") {
            prop_assert!(members(&text).count() + items(&text).count() <= 2 * text.len());
            let _ = (RawString(&text).text(), super::text(&text), is_truthy(&text), super::read::<Value>(&text));
        }
    }
}
