//! Patterns to values: a table for each arrangement of wildcards, so that finding every match costs the
//! number of arrangements, whatever the patterns are and however many.

#[cfg(test)]
mod tests;

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
