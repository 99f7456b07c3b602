//! Patterns to values: a table for each arrangement of wildcards, so that finding every match costs the
//! number of arrangements, whatever the patterns are and however many.

use std::cell::Cell;

use super::routes::Routes;
use super::shape::{ByHash, Shape, TokenHasher, seen_by, tokens};
use super::{Pattern, Route, Subject};

/// A map from patterns to values that can be asked for every pattern a subject matches.
///
/// One look takes a step for the patterns without wildcards, and for each [`Shape`] that fits the subject as
/// many as it costs ([`Shape::cost`]); it finds at most one pattern of each. Memory is in proportion to the
/// patterns.
#[derive(Debug)]
pub struct Interest<V> {
    index: Index<V>,
    routes: Routes,
    /// For the subject that is looked at.
    sums: Vec<u64>,
}

#[derive(Debug)]
struct Index<V> {
    hasher: TokenHasher,
    /// Patterns without wildcards.
    literals: ByHash<u32>,
    /// Patterns with `*` and no `>`: by length, then by where the wildcards are.
    exact: Vec<Vec<Table>>,
    /// Patterns that end with `>`, by length and where the wildcards are.
    rest: Vec<Table>,
    /// What the tables name by number.
    entries: Vec<Option<Entry<V>>>,
    /// Numbers that are free.
    free: Vec<u32>,
    steps: Cell<u64>,
}

/// The patterns of one shape, by the hash of their literal tokens.
#[derive(Debug)]
struct Table {
    shape: Shape,
    heads: ByHash<u32>,
}

#[derive(Debug)]
struct Entry<V> {
    pattern: Pattern,
    value: V,
    /// Another pattern of this shape with the same hash.
    next: Option<u32>,
}

impl<V> Interest<V> {
    /// Returns an empty table.
    pub fn new() -> Self {
        let index = Index {
            hasher: TokenHasher::new(),
            literals: ByHash::default(),
            exact: Vec::new(),
            rest: Vec::new(),
            entries: Vec::new(),
            free: Vec::new(),
            steps: Cell::new(0),
        };
        Self { index, routes: Routes::default(), sums: Vec::new() }
    }

    /// Returns how many patterns are in the table.
    pub fn len(&self) -> usize {
        self.index.entries.len() - self.index.free.len()
    }

    /// Returns whether the table is empty.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns the steps that all lookups have taken: their cost, in numbers that do not depend on the
    /// machine.
    pub fn steps(&self) -> u64 {
        self.index.steps.get()
    }

    /// Returns the value of `pattern` itself.
    pub fn get_mut(&mut self, pattern: &Pattern) -> Option<&mut V> {
        let index = &mut self.index;
        let hash = index.hasher.literals(pattern);
        let heads = index.heads(&Shape::of(pattern))?;
        let number = index.position(heads.get(&hash).copied(), pattern)?;
        index.entries[number as usize].as_mut().map(|entry| &mut entry.value)
    }

    /// Returns the value of `pattern`, made by `make` when it is not there yet.
    pub fn get_or_insert_with(&mut self, pattern: &Pattern, make: impl FnOnce() -> V) -> &mut V {
        let Self { index, routes, .. } = self;
        let (shape, hash) = (Shape::of(pattern), index.hasher.literals(pattern));
        let head = index.heads(&shape).and_then(|heads| heads.get(&hash)).copied();
        let number = index.position(head, pattern).unwrap_or_else(|| {
            routes.invalidate();
            let number = index.free.pop().unwrap_or_else(|| {
                index.entries.push(None);
                u32::try_from(index.entries.len() - 1).expect("so many would not fit into memory")
            });
            index.heads_or_new(shape).insert(hash, number);
            number
        });
        let entry = || Entry { pattern: pattern.clone(), value: make(), next: head };
        &mut index.entries[number as usize].get_or_insert_with(entry).value
    }

    /// Takes out `pattern`, and with it the table that held only it.
    pub fn remove(&mut self, pattern: &Pattern) -> Option<V> {
        let entry = self.index.remove(pattern)?;
        self.routes.invalidate();
        if self.is_empty() {
            // What many patterns took does not stay.
            let Index { literals, exact, rest, entries, free, .. } = &mut self.index;
            (*entries, *free) = (Vec::new(), Vec::new());
            (*literals, *exact, *rest) = (ByHash::default(), Vec::new(), Vec::new());
        }
        Some(entry.value)
    }

    /// Returns what `subject` matches, for [`Self::on`]. Subjects that are looked up often are remembered.
    pub fn route(&mut self, subject: &Subject) -> Route {
        let Self { index, routes, sums } = self;
        routes.get(subject, || {
            index.hasher.sums(subject.as_str(), sums);
            index.find(subject.as_str(), sums).iter().map(|&(number, _)| number).collect()
        })
    }

    /// Returns the patterns of a route that was looked up since the last change, and their values.
    pub fn on<'a>(&'a self, route: &'a Route) -> impl Iterator<Item = (&'a Pattern, &'a V)> {
        route.iter().filter_map(|&number| self.index.entry(number))
    }

    /// Calls `visit` for every pattern that `subject` matches: at the first token in which two differ, the
    /// literal one first, then `*`, then `>`.
    pub fn for_each_match<'a>(&'a self, subject: &str, mut visit: impl FnMut(&'a Pattern, &'a V)) {
        let mut sums = Vec::with_capacity(16);
        self.index.hasher.sums(subject, &mut sums);
        for (number, _) in self.index.find(subject, &sums) {
            if let Some((pattern, value)) = self.index.entry(number) {
                visit(pattern, value);
            }
        }
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

impl<V> Index<V> {
    fn remove(&mut self, pattern: &Pattern) -> Option<Entry<V>> {
        let (shape, hash) = (Shape::of(pattern), self.hasher.literals(pattern));
        let head = *self.heads(&shape)?.get(&hash)?;
        let number = self.position(Some(head), pattern)?;
        let before = chain(&self.entries, Some(head)).find(|&before| self.next(before) == Some(number));
        let entry = self.entries[number as usize].take()?;
        match (before, entry.next) {
            (Some(before), next) => {
                self.entries[before as usize].iter_mut().for_each(|before| before.next = next);
            }
            (None, Some(next)) => drop(self.heads_or_new(shape).insert(hash, next)),
            (None, None) => self.remove_head(&shape, hash),
        }
        self.free.push(number);
        Some(entry)
    }

    fn position(&self, head: Option<u32>, pattern: &Pattern) -> Option<u32> {
        let is_it = |number: &u32| self.entry(*number).is_some_and(|(known, _)| known == pattern);
        chain(&self.entries, head).find(is_it)
    }

    fn find(&self, subject: &str, sums: &[u64]) -> Vec<(u32, Option<&Shape>)> {
        let (count, mut steps, mut found) = (tokens(sums), 1, Vec::new());
        let mut look = |heads: &ByHash<u32>, hash: u64, shape| {
            let head = heads.get(&hash).copied();
            let number = chain(&self.entries, head).find(|&number| {
                self.entry(number).is_some_and(|(pattern, _)| pattern.matches_valid(subject))
            });
            found.extend(number.map(|number| (number, shape)));
        };
        look(&self.literals, sums[count], None);
        let exact = self.exact.get(count).into_iter().flatten();
        let rest = self.rest.iter().take_while(|table| table.shape.length() < count);
        for Table { shape, heads } in exact.chain(rest) {
            steps += shape.steps();
            look(heads, seen_by(sums, shape), Some(shape));
        }
        self.steps.set(self.steps.get() + steps as u64);
        if found.len() > 1 {
            // A pattern without wildcards was found first, and is first.
            found.sort_by(|(_, shape), (_, other)| match (shape, other) {
                (Some(shape), Some(other)) => shape.precedence(other),
                _ => shape.is_some().cmp(&other.is_some()),
            });
        }
        found
    }

    fn entry(&self, number: u32) -> Option<(&Pattern, &V)> {
        self.entries.get(number as usize)?.as_ref().map(|entry| (&entry.pattern, &entry.value))
    }

    fn next(&self, number: u32) -> Option<u32> {
        self.entries.get(number as usize)?.as_ref()?.next
    }

    fn heads(&self, shape: &Shape) -> Option<&ByHash<u32>> {
        if shape.is_literal() {
            return Some(&self.literals);
        }
        let tables = if shape.has_rest() { &self.rest } else { self.exact.get(shape.length())? };
        Some(&tables[place(tables, shape).ok()?].heads)
    }

    fn heads_or_new(&mut self, shape: Shape) -> &mut ByHash<u32> {
        if shape.is_literal() {
            return &mut self.literals;
        }
        let tables = if shape.has_rest() {
            &mut self.rest
        } else {
            if self.exact.len() <= shape.length() {
                self.exact.resize_with(shape.length() + 1, Vec::new);
            }
            &mut self.exact[shape.length()]
        };
        let at = place(tables, &shape).unwrap_or_else(|at| {
            tables.insert(at, Table { shape, heads: ByHash::default() });
            at
        });
        &mut tables[at].heads
    }

    fn remove_head(&mut self, shape: &Shape, hash: u64) {
        let heads = self.heads_or_new(shape.clone());
        heads.remove(&hash);
        if heads.is_empty() && !shape.is_literal() {
            let tables = if shape.has_rest() { &mut self.rest } else { &mut self.exact[shape.length()] };
            if let Ok(at) = place(tables, shape) {
                tables.remove(at);
            }
        }
    }
}

/// The entries with one hash, from the first on.
fn chain<V>(entries: &[Option<Entry<V>>], head: Option<u32>) -> impl Iterator<Item = u32> {
    std::iter::successors(head, |&number| entries.get(number as usize)?.as_ref()?.next)
}

/// Where the table of `shape` is, or would be.
fn place(tables: &[Table], shape: &Shape) -> Result<usize, usize> {
    tables.binary_search_by(|table| table.shape.cmp_within(shape))
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
        assert!(interest.is_empty() && interest.index.literals.is_empty() && interest.index.rest.is_empty());
    }

    /// The steps of one look.
    fn steps(interest: &Interest<usize>, subject: &str) -> u64 {
        let before = interest.steps();
        interest.for_each_match(subject, |_, _| {});
        interest.steps() - before
    }

    #[test]
    fn patterns_that_nearly_match_cost_no_more_than_their_shapes() {
        let mut interest = Interest::new();
        let near = |text: &str| format!("{text}.{}.b", vec!["a"; 500].join("."));
        let subject = near("own.a.a.a.a.a.a.a.a.a").replace(".b", ".a");
        for n in 0..512 {
            let wild = |bit: u32| if n >> bit & 1 == 1 { "*" } else { "a" };
            let beginning: Vec<_> = (0..9).map(wild).collect();
            interest.get_or_insert_with(&pattern(&near(&format!("own.{}", beginning.join(".")))), || 1);
        }
        // All arrangements of up to nine stars, of 4.5 on average; a walk over the tokens took 260 000 steps.
        let all = steps(&interest, &subject);
        assert_eq!(all, 1 + 511 + 9 * 256);
        for n in 0..2000 {
            interest.get_or_insert_with(&pattern(&near(&format!("own.*.a.a.a.a.a.a.a.x{n}"))), || 1);
        }
        assert_eq!(steps(&interest, &subject), all, "more patterns of the same shapes cost nothing");
        assert_eq!(steps(&interest, "own.a"), 1, "nor do shapes that cannot match");
    }

    proptest! {
        #[test]
        fn a_look_takes_as_many_steps_as_the_shapes_of_all_patterns_cost_at_most(
            patterns in prop::collection::vec("([ab*]\\.){0,5}([ab*>])", 0..60),
            subject in "([ab]\\.){0,6}[ab]",
        ) {
            let patterns: Vec<Pattern> = patterns.iter().filter_map(|text| Pattern::parse(text).ok()).collect();
            let mut interest = Interest::new();
            for pattern in &patterns {
                interest.get_or_insert_with(pattern, || 1);
            }
            let shapes: std::collections::HashSet<Shape> = patterns.iter().map(Shape::of).collect();
            let bound = 1 + shapes.iter().map(|shape| shape.cost() as u64).sum::<u64>();
            prop_assert!(steps(&interest, &subject) <= bound);
        }

        #[test]
        fn matches_come_in_a_fixed_order(
            patterns in prop::collection::hash_set("([ab*]\\.){0,3}([ab*>])", 0..20),
            subject in "([ab]\\.){0,3}[ab]",
        ) {
            let mut interest = Interest::new();
            for text in &patterns {
                interest.get_or_insert_with(&pattern(text), || 1);
            }
            let mut found = Vec::new();
            interest.for_each_match(&subject, |pattern, _| found.push(pattern.to_string()));
            let mut sorted = found.clone();
            // Literal, `*`, `>`: as if these two were the last letters.
            sorted.sort_by_key(|text| text.replace('*', "y").replace('>', "z"));
            prop_assert_eq!(found, sorted);
        }

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
        fn it_finds_what_a_walk_over_all_patterns_finds(
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
