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
        let is_valid = match look(text.as_bytes()) {
            Look::Plain { has_star } => !has_star,
            Look::Bad => false,
            Look::Unusual => has_valid_tokens(text) && !text.contains('*'),
        };
        if is_valid && !text.ends_with('>') {
            Ok(Self(text.into()))
        } else {
            Err(InvalidSubject::Publish(text.to_owned()))
        }
    }

    /// Joins `parts`, which have their dots, and checks what comes out.
    pub fn join(parts: &[&str]) -> Result<Self, InvalidSubject> {
        Self::parse(&parts.concat())
    }

    /// Returns whether it is the same one in memory: cheaper than to compare, and `false` says nothing.
    pub fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    /// Returns where it stands in memory: the same for clones of it.
    pub(super) fn address(&self) -> usize {
        self.0.as_ptr().addr()
    }

    /// Returns the subject as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns the last token.
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

/// Returns whether `text` obeys the rules that subjects and patterns share: length, tokens, white space.
pub(super) fn has_valid_tokens(text: &str) -> bool {
    match look(text.as_bytes()) {
        Look::Plain { .. } => true,
        Look::Bad => false,
        // Rare: unusual characters.
        Look::Unusual => !text.chars().any(|c| c.is_whitespace() || c == '\u{feff}' || c == '\0'),
    }
}

/// The result of a first scan of a name. Every name is scanned, and those of replies are new each time.
enum Look {
    /// It is made of valid tokens, without white space.
    Plain {
        /// There is a `*` in it.
        has_star: bool,
    },
    /// It breaks a rule.
    Bad,
    /// Its tokens are valid, but for white space, which has to be looked for more closely.
    Unusual,
}

/// Looks at eight bytes at a time.
fn look(text: &[u8]) -> Look {
    if text.len() > MAX_SUBJECT_BYTES {
        return Look::Bad;
    }
    let (mut dots, mut is_unusual, mut has_empty, mut has_star) = (0, false, false, false);
    // As if a dot came before it: an empty token has one on both sides.
    let mut before = 1 << 7;
    let mut look = |word: u64| {
        let is_dot = zeros(word ^ every(b'.'));
        dots += is_dot.count_ones() as usize;
        has_empty |= is_dot & (is_dot << 8 | before) != 0;
        before = is_dot >> 56;
        // Not ASCII, or below what can be seen.
        is_unusual |= (word | (word.wrapping_sub(every(b'!')) & !word)) & every(1 << 7) != 0;
        has_star |= zeros(word ^ every(b'*')) != 0;
    };
    let (words, rest) = text.as_chunks::<8>();
    words.iter().for_each(|word| look(u64::from_le_bytes(*word)));
    if !rest.is_empty() {
        let mut word = [b'a'; 8];
        word[..rest.len()].copy_from_slice(rest);
        look(u64::from_le_bytes(word));
    }
    if dots >= MAX_SUBJECT_TOKENS || has_empty || text.last().is_none_or(|&last| last == b'.') {
        Look::Bad
    } else if is_unusual {
        Look::Unusual
    } else {
        Look::Plain { has_star }
    }
}

/// Eight times the same byte.
pub(super) const fn every(byte: u8) -> u64 {
    u64::from_le_bytes([byte; 8])
}

/// The highest bit of each byte of `word` that is 0, and no other.
pub(super) const fn zeros(word: u64) -> u64 {
    let low = every(0x7f);
    !(((word & low) + low) | word | low)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Checks the rules one after the other.
    fn obeys(text: &str) -> bool {
        text.len() <= MAX_SUBJECT_BYTES
            && text.split('.').all(|token| !token.is_empty())
            && text.split('.').count() <= MAX_SUBJECT_TOKENS
            && !text.chars().any(|c| c.is_whitespace() || c == '\u{feff}' || c == '\0')
    }

    proptest! {
        #[test]
        fn a_look_finds_what_the_rules_say(
            text in prop_oneof![
                "a{0,17}([a.*]|[\\u{0}-\\u{21}]|[\\u{7f}-\\u{a1}]|\\u{2003}|\\u{feff}|\\u{ff0e}){0,6}(a|a\\.){0,9}a{0,9}",
                "[a-c.]{0,20}[.*>]{0,2}",
                "(a\\.){505,515}a",
            ],
        ) {
            prop_assert_eq!(has_valid_tokens(&text), obeys(&text), "{:?}", text);
            let is_literal = obeys(&text) && !text.contains('*') && !text.ends_with('>');
            prop_assert_eq!(Subject::parse(&text).is_ok(), is_literal, "{:?}", text);
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
