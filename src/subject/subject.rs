//! A literal subject: parsed once, valid for ever.

use std::fmt;
use std::sync::Arc;

use super::{InvalidSubject, MAX_SUBJECT_BYTES, MAX_SUBJECT_TOKENS};

/// A name that a message is published to. Cheap to clone.
///
/// - one or more tokens joined by `.`, none of them empty;
/// - no white space (Unicode's, and U+FEFF, which JavaScript counts as such);
/// - no `*` anywhere, and no `>` at the end;
/// - at most [`MAX_SUBJECT_BYTES`] long and [`MAX_SUBJECT_TOKENS`] deep.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Subject(Arc<str>);

impl Subject {
    /// Checks `text` against the rules above.
    pub fn parse(text: &str) -> Result<Self, InvalidSubject> {
        if has_valid_tokens(text) && !text.as_bytes().contains(&b'*') && !text.ends_with('>') {
            Ok(Self(text.into()))
        } else {
            Err(InvalidSubject::Publish(text.to_owned()))
        }
    }

    /// The subject as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The last token.
    pub fn last_token(&self) -> &str {
        self.0.rsplit('.').next().unwrap_or_default()
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

/// The rules that subjects and patterns share: length, tokens, white space. One pass without a branch a byte: every name on its way
/// is looked at here, and those of answers are new each time.
pub(super) fn has_valid_tokens(text: &str) -> bool {
    if text.len() > MAX_SUBJECT_BYTES || text.ends_with('.') {
        return false;
    }
    // An empty text is an empty token.
    let (mut is_bad, mut is_ascii, mut dots, mut before) = (text.is_empty(), true, 0, b'.');
    for &byte in text.as_bytes() {
        is_bad |= (byte == b'.') & (before == b'.');
        is_bad |= matches!(byte, b' ' | b'\t'..=b'\r' | 0);
        is_ascii &= byte.is_ascii();
        dots += usize::from(byte == b'.');
        before = byte;
    }
    !is_bad
        && dots < MAX_SUBJECT_TOKENS
        && (is_ascii || !text.chars().any(|c| c.is_whitespace() || c == '\u{feff}'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The rules, one after the other.
    fn obeys(text: &str) -> bool {
        text.len() <= MAX_SUBJECT_BYTES
            && text.split('.').all(|token| !token.is_empty())
            && text.split('.').count() <= MAX_SUBJECT_TOKENS
            && !text.chars().any(|c| c.is_whitespace() || c == '\u{feff}' || c == '\0')
    }

    proptest! {
        #[test]
        fn one_pass_finds_what_the_rules_say(
            text in prop_oneof![
                "([a.]|[\\u{0}-\\u{20}]|[\\u{7f}-\\u{a1}]|\\u{2003}|\\u{feff}|\\u{ff0e}){0,6}",
                "(a\\.){505,515}a",
            ],
        ) {
            prop_assert_eq!(has_valid_tokens(&text), obeys(&text), "{:?}", text);
        }
    }

    #[test]
    fn subjects_are_tokens_without_wildcards() {
        for good in ["a", "a.b.c", "ünï.cødé.🧵", "a>b", ">.a", "a.>.b", "$SYS.x", "__proto__.constructor"]
        {
            assert_eq!(Subject::parse(good).expect(good).as_str(), good);
        }
        for bad in [
            "",
            ".",
            "a.",
            ".a",
            "a..b",
            "a b",
            "a\tb",
            "a\u{a0}b",
            "a\u{feff}b",
            "a\r\nb",
            "a\0b",
            "*",
            "a.*",
            "a*b",
            ">",
            "a.>",
            "a>",
        ] {
            assert_eq!(Subject::parse(bad), Err(InvalidSubject::Publish(bad.into())), "{bad:?}");
        }
        assert!(Subject::parse(&"x".repeat(MAX_SUBJECT_BYTES)).is_ok());
        assert!(Subject::parse(&"x".repeat(MAX_SUBJECT_BYTES + 1)).is_err());
    }
}
