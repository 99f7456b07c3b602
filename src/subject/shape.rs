//! The arrangement of a pattern's wildcards, and hashes of subjects as a pattern of that arrangement sees
//! them.
//!
//! All patterns of one shape that could match a subject have the same literal tokens as the subject, so that
//! there is at most one of them, and a table finds it. A hash is a sum over tokens: what stands where a shape
//! has a wildcard is left out by subtraction.

use std::cmp::Ordering;
use std::hash::{BuildHasher, Hasher};

use foldhash::fast::RandomState;

use super::subject::{every, zeros};
use super::{MAX_SUBJECT_TOKENS, Pattern};

/// Where the wildcards of a pattern are.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Shape {
    /// Tokens, without a last `>`.
    length: u16,
    /// It ends with `>`.
    has_rest: bool,
    /// Positions of `*`, ascending.
    stars: Box<[u16]>,
}

impl Shape {
    /// The shape of `pattern`.
    pub fn of(pattern: &Pattern) -> Self {
        let (mut length, mut has_rest, mut stars) = (0, false, Vec::new());
        for token in pattern.as_str().split('.') {
            match token {
                ">" => has_rest = true,
                "*" => stars.push(length),
                _ => {}
            }
            if token != ">" {
                length += 1;
            }
        }
        Self { length, has_rest, stars: stars.into() }
    }

    /// What it costs, at most, to look for a pattern of this shape whenever a subject is looked at: one step,
    /// and one more for each `*`. Nothing for a pattern without wildcards, as all of them are found in one
    /// step.
    pub fn cost(&self) -> usize {
        if self.is_literal() { 0 } else { self.steps() }
    }

    /// Whether it has no wildcard.
    pub(super) fn is_literal(&self) -> bool {
        self.stars.is_empty() && !self.has_rest
    }

    /// Whether it has a `*`.
    pub(super) fn has_stars(&self) -> bool {
        !self.stars.is_empty()
    }

    /// How many tokens a subject has that it matches: exactly, or more than, if it ends with `>`.
    pub(super) fn length(&self) -> usize {
        self.length.into()
    }

    pub(super) fn has_rest(&self) -> bool {
        self.has_rest
    }

    /// Whether a subject of so many tokens can match.
    pub(super) fn fits(&self, tokens: usize) -> bool {
        if self.has_rest { tokens > self.length() } else { tokens == self.length() }
    }

    /// Steps that [`Sums::seen_by`] takes for it, and a look into a table.
    pub(super) fn steps(&self) -> usize {
        1 + self.stars.len()
    }

    /// An order among shapes that end alike, by length first.
    pub(super) fn cmp_within(&self, other: &Self) -> Ordering {
        self.length.cmp(&other.length).then_with(|| self.stars.cmp(&other.stars))
    }

    /// The order of matches: at the first token in which two patterns differ, a literal comes first, then
    /// `*`, then `>`.
    pub(super) fn precedence(&self, other: &Self) -> Ordering {
        let specials = |shape: &Self| {
            let rest = shape.has_rest.then_some((shape.length, 2));
            shape.stars.iter().map(|&at| (at, 1)).chain(rest).collect::<Vec<(u16, u8)>>()
        };
        let (ours, theirs) = (specials(self), specials(other));
        for (&(at, kind), &(other_at, other_kind)) in ours.iter().zip(&theirs) {
            // Who has its wildcard later has a literal here.
            let order = other_at.cmp(&at).then(kind.cmp(&other_kind));
            if order != Ordering::Equal {
                return order;
            }
        }
        ours.len().cmp(&theirs.len())
    }
}

/// Hashes tokens by what they are and where they stand. Tokens come from strangers: the hash has a key.
#[derive(Debug)]
pub(super) struct TokenHasher {
    hasher: RandomState,
    /// By position, odd: the same token counts differently in each place.
    factors: Box<[u64]>,
}

impl TokenHasher {
    /// One with a key of its own.
    pub(super) fn new() -> Self {
        let hasher = RandomState::default();
        let factors = (0..MAX_SUBJECT_TOKENS).map(|at| hasher.hash_one(at) | 1).collect();
        Self { hasher, factors }
    }

    fn token(&self, at: usize, token: &[u8]) -> u64 {
        let mut hasher = self.hasher.build_hasher();
        hasher.write(token);
        // A subject has no more tokens than there are factors.
        hasher.finish().wrapping_mul(self.factors[at % MAX_SUBJECT_TOKENS])
    }

    /// The sums over the tokens of `subject`.
    pub(super) fn sums(&self, subject: &str, into: &mut Vec<u64>) {
        into.clear();
        into.push(0);
        let (text, mut start, mut sum) = (subject.as_bytes(), 0, 0_u64);
        let mut end_token = |end: usize| {
            sum = sum.wrapping_add(self.token(into.len() - 1, &text[start..end]));
            start = end + 1;
            into.push(sum);
        };
        // Eight bytes at a time: names are many on a busy broker, and most tokens are short.
        let (words, rest) = text.as_chunks::<8>();
        for (at, word) in words.iter().enumerate() {
            let mut dots = zeros(u64::from_le_bytes(*word) ^ every(b'.'));
            while dots != 0 {
                end_token(at * 8 + dots.trailing_zeros() as usize / 8);
                dots &= dots - 1;
            }
        }
        for (at, _) in rest.iter().enumerate().filter(|(_, byte)| **byte == b'.') {
            end_token(words.len() * 8 + at);
        }
        end_token(text.len());
    }

    /// The hash of the literal tokens of `pattern`.
    pub(super) fn literals(&self, pattern: &Pattern) -> u64 {
        let mut sum = 0_u64;
        for (at, token) in pattern.as_str().split('.').enumerate() {
            if token != "*" && token != ">" {
                sum = sum.wrapping_add(self.token(at, token.as_bytes()));
            }
        }
        sum
    }
}

/// How many tokens the subject of these sums has.
pub(super) fn tokens(sums: &[u64]) -> usize {
    sums.len() - 1
}

/// The hash of those tokens of a subject that a pattern of `shape`, which [`Shape::fits`], would name.
pub(super) fn seen_by(sums: &[u64], shape: &Shape) -> u64 {
    let stars = shape.stars.iter().map(|&at| sums[usize::from(at) + 1].wrapping_sub(sums[usize::from(at)]));
    stars.fold(sums[shape.length()], u64::wrapping_sub)
}

/// Hashes are taken as they are.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct AsItIs(u64);

impl std::hash::Hasher for AsItIs {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, _: &[u8]) {
        unreachable!("its keys are numbers");
    }

    fn write_u64(&mut self, number: u64) {
        self.0 = number;
    }
}

/// A table by hash.
pub(super) type ByHash<V> = std::collections::HashMap<u64, V, std::hash::BuildHasherDefault<AsItIs>>;

#[cfg(test)]
mod tests {
    use super::*;

    fn shape(text: &str) -> Shape {
        Shape::of(&Pattern::parse(text).expect(text))
    }

    #[test]
    fn a_shape_is_where_the_wildcards_are_and_costs_a_step_and_one_for_each_star() {
        assert_eq!(shape("a.*.b.>"), shape("c.*.d.>"));
        assert_ne!(shape("a.*.b"), shape("a.*.b.>"));
        for (text, cost) in [("a.b", 0), ("a.>", 1), ("a.*", 2), ("*.*.>", 3), (">", 1)] {
            assert_eq!(shape(text).cost(), cost, "{text}");
        }
    }

    #[test]
    fn literals_come_before_stars_and_these_before_the_rest() {
        let ordered = ["a.b.c", "a.b.*", "a.b.>", "a.*.c", "a.*.*", "a.*.>", "a.>", "*.b.c", "*.>", ">"];
        for (at, text) in ordered.iter().enumerate() {
            for (other_at, other) in ordered.iter().enumerate() {
                assert_eq!(shape(text).precedence(&shape(other)), at.cmp(&other_at), "{text} {other}");
            }
        }
    }

    #[test]
    fn a_subject_and_a_pattern_that_matches_it_have_one_hash() {
        let (hasher, mut sums) = (TokenHasher::new(), Vec::new());
        hasher.sums("a.b.c.b", &mut sums);
        for (text, is_equal) in [
            ("a.b.c.b", true),
            ("a.*.c.*", true),
            ("*.*.*.*", true),
            ("a.>", true),
            (">", true),
            ("*.b.>", true),
            ("a.c.b.b", false),
            ("*.c.*.*", false),
            ("b.>", false),
        ] {
            let pattern = Pattern::parse(text).expect(text);
            let shape = Shape::of(&pattern);
            assert!(shape.fits(tokens(&sums)), "{text}");
            assert_eq!(seen_by(&sums, &shape) == hasher.literals(&pattern), is_equal, "{text}");
        }
    }
}
