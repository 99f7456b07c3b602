//! Patterns to values: a trie over tokens, so that finding every match costs the depth of the subject, not the number of patterns.

use std::collections::HashMap;

use foldhash::fast::RandomState;

use super::Pattern;

/// A map from patterns to values that can be asked for every pattern a subject matches.
#[derive(Debug)]
pub struct Interest<V> {
    root: Node<V>,
    len: usize,
}

impl<V> Interest<V> {
    /// An empty table.
    pub fn new() -> Self {
        Self { root: Node::new(), len: 0 }
    }

    /// How many patterns are in the table.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether the table is empty.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The value of `pattern` itself.
    pub fn get_mut(&mut self, pattern: &Pattern) -> Option<&mut V> {
        let mut node = &mut self.root;
        for token in pattern.as_str().split('.') {
            node = node.child_mut(token)?;
        }
        node.value.as_mut().map(|(_, value)| value)
    }

    /// The value of `pattern`, made by `make` when it is not there yet.
    pub fn get_or_insert_with(&mut self, pattern: &Pattern, make: impl FnOnce() -> V) -> &mut V {
        let mut node = &mut self.root;
        for token in pattern.as_str().split('.') {
            node = node.child_or_new(token);
        }
        if node.value.is_none() {
            self.len += 1;
        }
        &mut node.value.get_or_insert_with(|| (pattern.clone(), make())).1
    }

    /// Takes out `pattern`, and with it every branch that held only it.
    pub fn remove(&mut self, pattern: &Pattern) -> Option<V> {
        let tokens: Vec<&str> = pattern.as_str().split('.').collect();
        let value = self.root.remove(&tokens)?;
        self.len -= 1;
        Some(value)
    }

    /// Calls `visit` for every pattern that `subject` matches.
    pub fn for_each_match<'a>(&'a self, subject: &str, mut visit: impl FnMut(&'a Pattern, &'a V)) {
        self.root.visit(Some(subject), &mut visit);
    }

    /// Whether any pattern that `subject` matches satisfies `wanted`.
    pub fn any_match(&self, subject: &str, mut wanted: impl FnMut(&Pattern, &V) -> bool) -> bool {
        let mut found = false;
        self.for_each_match(subject, |pattern, value| found = found || wanted(pattern, value));
        found
    }
}

impl<V> Default for Interest<V> {
    fn default() -> Self {
        Self::new()
    }
}

#[derive(Debug)]
struct Node<V> {
    /// By literal token. Tokens come from strangers: the hash has a key.
    children: HashMap<Box<str>, Self, RandomState>,
    /// Below `*`.
    any: Option<Box<Self>>,
    /// Below `>`.
    rest: Option<Box<Self>>,
    value: Option<(Pattern, V)>,
}

impl<V> Node<V> {
    fn new() -> Self {
        Self { children: HashMap::default(), any: None, rest: None, value: None }
    }

    fn child_mut(&mut self, token: &str) -> Option<&mut Self> {
        match token {
            "*" => self.any.as_deref_mut(),
            ">" => self.rest.as_deref_mut(),
            _ => self.children.get_mut(token),
        }
    }

    fn child_or_new(&mut self, token: &str) -> &mut Self {
        let new = || Box::new(Self::new());
        match token {
            "*" => self.any.get_or_insert_with(new),
            ">" => self.rest.get_or_insert_with(new),
            _ => self.children.entry(token.into()).or_insert_with(Self::new),
        }
    }

    fn is_empty(&self) -> bool {
        self.value.is_none() && self.children.is_empty() && self.any.is_none() && self.rest.is_none()
    }

    /// `rest` is what is left of the subject; `None` at its end. Literal first, then `*`, then `>`: a fixed order.
    fn visit<'a>(&'a self, rest: Option<&str>, visit: &mut impl FnMut(&'a Pattern, &'a V)) {
        let Some(rest) = rest else {
            if let Some((pattern, value)) = &self.value {
                visit(pattern, value);
            }
            return;
        };
        let (token, tail) = match rest.split_once('.') {
            Some((token, tail)) => (token, Some(tail)),
            None => (rest, None),
        };
        // A published `>` in the middle of a subject is an ordinary token, which no pattern has as a literal.
        if !self.children.is_empty()
            && let Some(child) = self.children.get(token)
        {
            child.visit(tail, visit);
        }
        if let Some(child) = &self.any {
            child.visit(tail, visit);
        }
        if let Some((pattern, value)) = self.rest.as_ref().and_then(|node| node.value.as_ref()) {
            visit(pattern, value);
        }
    }

    fn remove(&mut self, tokens: &[&str]) -> Option<V> {
        let Some((first, rest)) = tokens.split_first() else {
            return self.value.take().map(|(_, value)| value);
        };
        let child = self.child_mut(first)?;
        let value = child.remove(rest);
        if child.is_empty() {
            match *first {
                "*" => self.any = None,
                ">" => self.rest = None,
                literal => drop(self.children.remove(literal)),
            }
        }
        value
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn pattern(text: &str) -> Pattern {
        Pattern::parse(text).expect(text)
    }

    fn matches(interest: &Interest<usize>, subject: &str) -> Vec<String> {
        let mut found = Vec::new();
        interest.for_each_match(subject, |pattern, _| found.push(pattern.to_string()));
        found.sort();
        found
    }

    #[test]
    fn removing_one_pattern_leaves_its_longer_neighbour() {
        // conat.md 10.14: after set("a.b"), set("a.b.c"), delete("a.b"), the original still matched a.b.
        let mut interest = Interest::new();
        for text in ["a.b", "a.b.c", "__proto__.x"] {
            interest.get_or_insert_with(&pattern(text), || 1);
        }
        assert_eq!(interest.remove(&pattern("a.b")), Some(1));
        assert_eq!(interest.remove(&pattern("a.b")), None);
        assert!(matches(&interest, "a.b").is_empty());
        assert_eq!(matches(&interest, "a.b.c"), ["a.b.c"]);
        assert_eq!(interest.len(), 2);
    }

    #[test]
    fn removing_everything_leaves_nothing_behind() {
        let mut interest = Interest::new();
        let patterns = ["a.b.c", "a.*.c", "a.>", ">", "*"];
        for text in patterns {
            interest.get_or_insert_with(&pattern(text), || 1);
        }
        for text in patterns {
            interest.remove(&pattern(text));
        }
        assert!(interest.is_empty() && interest.root.is_empty());
    }

    proptest! {
        #[test]
        fn the_trie_finds_what_a_walk_over_all_patterns_finds(
            patterns in prop::collection::hash_set("([ab*]\\.){0,3}([ab*>])", 0..20),
            removed in prop::collection::vec(any::<prop::sample::Index>(), 0..5),
            subject in "([ab>]\\.){0,4}[ab]",
        ) {
            let mut all: Vec<Pattern> = patterns.iter().filter_map(|text| Pattern::parse(text).ok()).collect();
            let mut interest = Interest::new();
            for pattern in &all {
                interest.get_or_insert_with(pattern, || 0);
            }
            for index in removed {
                if !all.is_empty() {
                    let gone = all.swap_remove(index.index(all.len()));
                    prop_assert!(interest.remove(&gone).is_some());
                }
            }
            let mut naive: Vec<String> = all.iter().filter(|p| p.matches(&subject)).map(Pattern::to_string).collect();
            naive.sort();
            prop_assert_eq!(matches(&interest, &subject), naive);
        }
    }
}
