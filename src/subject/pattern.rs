//! A pattern: a subject with wildcards.

use std::fmt;
use std::sync::Arc;

use super::{InvalidSubject, subject::has_valid_tokens};

/// The pattern of a subscription. Cheap to clone.
///
/// `*` as a whole token matches exactly one token; `>` as the whole last token matches one or more. Inside a
/// longer token both are ordinary characters.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Pattern(Arc<str>);

impl Pattern {
    /// Checks `text` against the rules above and those of a [`super::Subject`]'s tokens.
    pub fn parse(text: &str) -> Result<Self, InvalidSubject> {
        let body =
            text.strip_suffix('>').filter(|rest| rest.is_empty() || rest.ends_with('.')).unwrap_or(text);
        if has_valid_tokens(text) && body.split('.').all(|token| token != ">") {
            Ok(Self(text.into()))
        } else {
            Err(InvalidSubject::Subscribe(text.to_owned()))
        }
    }

    /// Returns the pattern as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns whether it is the same one in memory: cheaper than to compare, and `false` says nothing.
    pub fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    /// Returns whether this is `>`, whose subscribers get every message but never count as interest.
    pub fn is_silent(&self) -> bool {
        &*self.0 == ">"
    }

    /// Returns whether `subject` is one of the names that this pattern stands for.
    pub fn matches(&self, subject: &str) -> bool {
        let mut tokens = subject.split('.');
        for expected in self.0.split('.') {
            match (expected, tokens.next()) {
                (_, None) => return false,
                (">", Some(_)) => return true,
                ("*", Some(_)) => {}
                (literal, Some(token)) if literal == token => {}
                _ => return false,
            }
        }
        tokens.next().is_none()
    }

    /// As [`Self::matches`], for a subject that is valid: then what is between two wildcards can be
    /// compared as a whole.
    pub(super) fn matches_valid(&self, subject: &str) -> bool {
        let text = self.0.as_bytes();
        let has_rest = matches!(text, [b'>'] | [.., b'.', b'>']);
        let (mut pattern, mut subject) = (&text[..text.len() - usize::from(has_rest)], subject.as_bytes());
        // From one `*` to the next: what is between them is compared as a whole.
        loop {
            let same = common_prefix(pattern, subject);
            // Where they differ, or one ends, only a whole token of the pattern can be a wildcard.
            let is_at_token = same == 0 || pattern[same - 1] == b'.';
            match (&pattern[same..], &subject[same..]) {
                ([], rest) => return rest.is_empty() != has_rest,
                ([b'*', behind @ ..], rest @ [_, ..]) if is_at_token && matches!(behind, [] | [b'.', ..]) => {
                    let end = rest.iter().position(|&byte| byte == b'.').unwrap_or(rest.len());
                    (pattern, subject) = (behind, &rest[end..]);
                }
                _ => return false,
            }
        }
    }
}

/// Returns how many bytes two texts begin with in common.
fn common_prefix(one: &[u8], other: &[u8]) -> usize {
    // Eight at a time: most names are compared with a pattern that they match.
    let (words, _) = one.as_chunks::<8>();
    let (other_words, _) = other.as_chunks::<8>();
    let whole = words.iter().zip(other_words).take_while(|(word, other)| word == other).count() * 8;
    let rest = one[whole..].iter().zip(&other[whole..]);
    whole + rest.take_while(|(byte, other)| byte == other).count()
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn pattern(text: &str) -> Pattern {
        Pattern::parse(text).expect(text)
    }

    #[test]
    fn wildcards_are_whole_tokens() {
        for good in ["a", "*", ">", "*.*", "a.>", "*.>", "a*b.>x", "x>", "a.b>"] {
            assert_eq!(pattern(good).as_str(), good);
        }
        for bad in ["", ".", "a.", "a..>", ">.a", "a.>.b", ">.>", "a b", "a.\u{2003}"] {
            assert_eq!(Pattern::parse(bad), Err(InvalidSubject::Subscribe(bad.into())), "{bad:?}");
        }
    }

    #[test]
    fn matching_follows_the_tokens() {
        for (text, subject, expected) in [
            ("a.>", "a.b", true),
            ("a.>", "a.b.c", true),
            ("a.>", "a", false),
            ("*", "a", true),
            ("*", "a.b", false),
            (">", "a.b.c", true),
            ("a.*.c", "a.b.c", true),
            ("a.*.c", "a.b.d", false),
            ("a.b", "a.b", true),
            ("a.b", "a.b.c", false),
            ("a*", "ab", false),
            ("a>", "a>", true),
        ] {
            assert_eq!(pattern(text).matches(subject), expected, "{text} {subject}");
        }
    }

    proptest! {
        #[test]
        fn a_valid_subject_matches_as_the_rules_say(
            text in "((\\*|>|[ab]|a\\*|\\*a|b>)\\.){0,4}(\\*|>|[ab]|a\\*|b>)",
            subject in "(([ab]|>|a>|>a|aa)\\.){0,4}([ab]|aa|>a)",
        ) {
            if let Ok(pattern) = Pattern::parse(&text) {
                prop_assert_eq!(pattern.matches_valid(&subject), pattern.matches(&subject), "{} {}", text, subject);
            }
        }
    }
}
