//! Patterns to values: a trie over tokens, so that finding every match costs the depth of the subject, not
//! the number of patterns.

use std::collections::HashMap;

use foldhash::fast::RandomState;

use super::routes::Routes;
use super::{Pattern, Route, Subject};

/// A map from patterns to values that can be asked for every pattern a subject matches.
#[derive(Debug)]
pub struct Interest<V> {
    root: Node,
    /// The entries that nodes refer to by number.
    entries: Vec<Option<(Pattern, V)>>,
    /// Numbers that are free.
    free: Vec<u32>,
    routes: Routes,
}

impl<V> Interest<V> {
    /// Returns an empty table.
    pub fn new() -> Self {
        Self { root: Node::new(), entries: Vec::new(), free: Vec::new(), routes: Routes::default() }
    }

    /// Returns how many patterns are in the table.
    pub fn len(&self) -> usize {
        self.entries.len() - self.free.len()
    }

    /// Returns whether the table is empty.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns the value of exactly `pattern`.
    pub fn get_mut(&mut self, pattern: &Pattern) -> Option<&mut V> {
        let mut node = &mut self.root;
        for token in pattern.as_str().split('.') {
            node = node.child_mut(token)?;
        }
        self.entries.get_mut(node.entry? as usize)?.as_mut().map(|(_, value)| value)
    }

    /// Returns the value of `pattern`, made by `make` if there is none yet.
    pub fn get_or_insert_with(&mut self, pattern: &Pattern, make: impl FnOnce() -> V) -> &mut V {
        let mut node = &mut self.root;
        for token in pattern.as_str().split('.') {
            node = node.child_or_new(token);
        }
        let number = *node.entry.get_or_insert_with(|| {
            self.routes.invalidate();
            self.free.pop().unwrap_or_else(|| {
                self.entries.push(None);
                u32::try_from(self.entries.len() - 1).unwrap_or(u32::MAX)
            })
        });
        &mut self.entries[number as usize].get_or_insert_with(|| (pattern.clone(), make())).1
    }

    /// Takes out `pattern`, and with it every branch that held only it.
    pub fn remove(&mut self, pattern: &Pattern) -> Option<V> {
        let tokens: Vec<&str> = pattern.as_str().split('.').collect();
        let number = self.root.remove(&tokens)?;
        self.routes.invalidate();
        self.free.push(number);
        let entry = self.entries[number as usize].take();
        if self.is_empty() {
            // Releases the memory of many patterns that are gone.
            (self.entries, self.free) = (Vec::new(), Vec::new());
        }
        entry.map(|(_, value)| value)
    }

    /// Returns what `subject` matches, for [`Self::on`]. What is asked often is remembered.
    pub fn route(&mut self, subject: &Subject) -> Route {
        let root = &self.root;
        self.routes.get(subject, || {
            let mut found = Vec::new();
            root.visit(Some(subject.as_str()), &mut |number| found.push(number));
            found.into()
        })
    }

    /// Returns the patterns, and their values, of a route that was found since the last change.
    pub fn on<'a>(&'a self, route: &'a Route) -> impl Iterator<Item = (&'a Pattern, &'a V)> {
        route.iter().filter_map(|&number| self.entry(number))
    }

    fn entry(&self, number: u32) -> Option<(&Pattern, &V)> {
        self.entries.get(number as usize)?.as_ref().map(|(pattern, value)| (pattern, value))
    }

    /// Calls `visit` for every pattern that `subject` matches.
    pub fn for_each_match<'a>(&'a self, subject: &str, mut visit: impl FnMut(&'a Pattern, &'a V)) {
        self.root.visit(Some(subject), &mut |number| {
            if let Some((pattern, value)) = self.entry(number) {
                visit(pattern, value);
            }
        });
    }

    /// Returns whether any pattern that `subject` matches satisfies `wanted`.
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
struct Node {
    /// By literal token. Tokens are untrusted: the hash has a key.
    children: HashMap<Box<str>, Self, RandomState>,
    /// Below `*`.
    any: Option<Box<Self>>,
    /// Below `>`.
    rest: Option<Box<Self>>,
    /// The number of the pattern that ends here.
    entry: Option<u32>,
}

impl Node {
    fn new() -> Self {
        Self { children: HashMap::default(), any: None, rest: None, entry: None }
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
        self.entry.is_none() && self.children.is_empty() && self.any.is_none() && self.rest.is_none()
    }

    /// Visits the matches of `rest`, the remaining tokens of the subject (`None` at its end), in a fixed
    /// order: literal token first, then `*`, then `>`.
    fn visit(&self, rest: Option<&str>, visit: &mut impl FnMut(u32)) {
        let Some(rest) = rest else { return self.entry.into_iter().for_each(visit) };
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
        self.rest.iter().filter_map(|node| node.entry).for_each(visit);
    }

    fn remove(&mut self, tokens: &[&str]) -> Option<u32> {
        let Some((first, rest)) = tokens.split_first() else { return self.entry.take() };
        let child = self.child_mut(first)?;
        let entry = child.remove(rest);
        if child.is_empty() {
            match *first {
                "*" => self.any = None,
                ">" => self.rest = None,
                literal => drop(self.children.remove(literal)),
            }
        }
        entry
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
        fn a_route_is_what_a_walk_finds_however_often_it_is_asked_for_and_whatever_changes_between(
            patterns in prop::collection::vec("([ab*]\\.){0,2}([ab*>])", 1..12),
            steps in prop::collection::vec((any::<prop::sample::Index>(), 0..4_u8, "([ab]\\.){0,2}[ab]"), 0..60),
        ) {
            let mut interest = Interest::new();
            for (index, what, text) in steps {
                let pattern = Pattern::parse(&patterns[index.index(patterns.len())]).expect("valid");
                match what {
                    0 => *interest.get_or_insert_with(&pattern, || 0) += 1,
                    1 => drop(interest.remove(&pattern)),
                    _ => {}
                }
                let subject = Subject::parse(&text).expect("valid");
                let mut walked = Vec::new();
                interest.for_each_match(&text, |pattern, value| walked.push((pattern.clone(), *value)));
                for _ in 0..3 {
                    let route = interest.route(&subject);
                    let routed: Vec<_> = interest.on(&route).map(|(pattern, value)| (pattern.clone(), *value)).collect();
                    prop_assert_eq!(&routed, &walked);
                }
            }
        }

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
