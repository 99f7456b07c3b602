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
        if has_valid_tokens(text) && !text.contains('*') && !text.ends_with('>') {
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

/// The rules that subjects and patterns share: length, tokens, white space.
pub(super) fn has_valid_tokens(text: &str) -> bool {
    !text.is_empty()
        && text.len() <= MAX_SUBJECT_BYTES
        && text.split('.').all(|token| !token.is_empty())
        && text.split('.').count() <= MAX_SUBJECT_TOKENS
        && !text.chars().any(|c| c.is_whitespace() || c == '\u{feff}' || c == '\0')
}

#[cfg(test)]
mod tests {
    use super::*;

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
