//! The little JSON that is written and checked by hand, because serde's general way costs more than the
//! message.

use std::borrow::Cow;
use std::fmt;

use bytes::{BufMut, BytesMut};
use serde::de::{Deserialize, Deserializer, Error, Visitor};

/// Appends `text` as a JSON string.
pub(super) fn push_string(out: &mut BytesMut, text: &str) {
    if text.bytes().all(|byte| byte >= 0x20 && byte != b'"' && byte != b'\\') {
        out.put_u8(b'"');
        out.put_slice(text.as_bytes());
        out.put_u8(b'"');
    } else {
        push_value(out, &serde_json::Value::from(text));
    }
}

/// Appends `value` as JSON.
pub(super) fn push_value(out: &mut BytesMut, value: &serde_json::Value) {
    out.put_slice(value.to_string().as_bytes());
}

/// Appends a number.
pub(super) fn push_u64(out: &mut BytesMut, number: u64) {
    let mut digits = [0_u8; 20];
    let mut start = digits.len();
    let mut rest = number;
    loop {
        start -= 1;
        let digit = (rest % 10) as u8;
        digits[start] = b'0' + digit;
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    out.put_slice(&digits[start..]);
}

/// Returns whether a key made of ASCII letters like `name` may stand in `text`: as it is, or hidden behind
/// `\u00…` escapes.
pub(super) fn may_contain(text: &str, name: &str) -> bool {
    text.contains(name) || text.contains("\\u00")
}

/// A JSON string, borrowed when it has no escapes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Text<'a>(pub(super) Cow<'a, str>);

impl<'de: 'a, 'a> Deserialize<'de> for Text<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(TextVisitor).map(Text)
    }
}

struct TextVisitor;

impl<'de> Visitor<'de> for TextVisitor {
    type Value = Cow<'de, str>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string")
    }

    fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<Self::Value, E> {
        Ok(Cow::Borrowed(text))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Cow::Owned(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::message::is_depth_within;
    use proptest::prelude::*;

    #[test]
    fn depth_counts_brackets_outside_of_strings() {
        assert!(is_depth_within(r#"["[[[[\"[[[["]"#, 1));
        assert!(is_depth_within("[[],[],[]]", 2));
        assert!(!is_depth_within("[[[]]]", 2));
        assert!(!is_depth_within(r#"["\\",[[]]]"#, 2));
        assert!(!is_depth_within(&"[".repeat(1_000_000), 64));
    }

    proptest! {
        #[test]
        fn strings_and_numbers_are_written_as_serde_writes_them(text in any::<String>(), number in any::<u64>()) {
            let mut out = BytesMut::new();
            push_string(&mut out, &text);
            let expected = serde_json::to_string(&text).expect("json");
            prop_assert_eq!(&out[..], expected.as_bytes());
            out.clear();
            push_u64(&mut out, number);
            let expected = number.to_string();
            prop_assert_eq!(&out[..], expected.as_bytes());
        }
    }
}
