//! Subjects to values, asked by pattern: the other way round than [`super::Interest`].

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::ops::Bound;
use std::sync::Arc;

use super::Pattern;
use super::shape::{ByHash, Shape, TokenHasher, seen_by, tokens};

/// Values by subject, which a pattern takes out together.
///
/// A pattern without a `*` finds its subjects in the order of their names. For the shapes that were asked for
/// last there is an index; any other shape takes a step for each subject that has the right number of tokens,
/// and gets one.
#[derive(Debug)]
pub struct Awaited<V> {
    hasher: TokenHasher,
    by_subject: BTreeMap<Arc<str>, u32>,
    /// By number of tokens, in no order.
    by_length: BTreeMap<usize, Vec<u32>>,
    entries: Vec<Option<Entry<V>>>,
    free: Vec<u32>,
    /// The shape that was asked for last is the last one.
    indexes: VecDeque<Index>,
    steps: u64,
}

#[derive(Debug)]
struct Entry<V> {
    subject: Arc<str>,
    /// Over its tokens.
    sums: Box<[u64]>,
    /// Its place among those of its length.
    place: usize,
    value: V,
}

/// All subjects that fit a shape, by the hash of what a pattern of that shape names of them.
#[derive(Debug)]
struct Index {
    shape: Shape,
    by_hash: ByHash<BTreeSet<u32>>,
}

impl<V> Awaited<V> {
    /// No subjects.
    pub fn new() -> Self {
        Self {
            hasher: TokenHasher::new(),
            by_subject: BTreeMap::new(),
            by_length: BTreeMap::new(),
            entries: Vec::new(),
            free: Vec::new(),
            indexes: VecDeque::new(),
            steps: 0,
        }
    }

    /// How many subjects there are.
    pub fn len(&self) -> usize {
        self.by_subject.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.by_subject.is_empty()
    }

    /// Steps that everything so far has taken: what it costs, in numbers that do not depend on the machine.
    pub fn steps(&self) -> u64 {
        self.steps
    }

    /// The value of `subject`, made by `make` when it is not there yet.
    pub fn get_or_insert_with(&mut self, subject: &Arc<str>, make: impl FnOnce() -> V) -> &mut V {
        let number = self.by_subject.get(subject).copied().unwrap_or_else(|| {
            let mut sums = Vec::new();
            self.hasher.sums(subject, &mut sums);
            let number = self.free.pop().unwrap_or_else(|| {
                self.entries.push(None);
                u32::try_from(self.entries.len() - 1).expect("they would not fit into memory")
            });
            let peers = self.by_length.entry(tokens(&sums)).or_default();
            let place = peers.len();
            peers.push(number);
            for index in self.indexes.iter_mut().filter(|index| index.shape.fits(tokens(&sums))) {
                self.steps += index.shape.steps() as u64;
                index.by_hash.entry(seen_by(&sums, &index.shape)).or_default().insert(number);
            }
            self.by_subject.insert(subject.clone(), number);
            self.entries[number as usize] =
                Some(Entry { subject: subject.clone(), sums: sums.into(), place, value: make() });
            number
        });
        self.steps += 1;
        let entry = self.entries[number as usize].as_mut().expect("a subject in the table has its entry");
        &mut entry.value
    }

    /// The value of `subject`.
    pub fn get_mut(&mut self, subject: &str) -> Option<&mut V> {
        let number = *self.by_subject.get(subject)?;
        self.entries[number as usize].as_mut().map(|entry| &mut entry.value)
    }

    /// Takes out `subject`.
    pub fn remove(&mut self, subject: &str) -> Option<V> {
        let number = self.by_subject.remove(subject)?;
        let entry = self.entries[number as usize].take()?;
        let count = tokens(&entry.sums);
        if let Some(peers) = self.by_length.get_mut(&count) {
            peers.swap_remove(entry.place);
            if let Some(&moved) = peers.get(entry.place)
                && let Some(moved) = &mut self.entries[moved as usize]
            {
                moved.place = entry.place;
            }
            if peers.is_empty() {
                self.by_length.remove(&count);
            }
        }
        for index in self.indexes.iter_mut().filter(|index| index.shape.fits(count)) {
            let hash = seen_by(&entry.sums, &index.shape);
            if let Some(same) = index.by_hash.get_mut(&hash) {
                same.remove(&number);
                if same.is_empty() {
                    index.by_hash.remove(&hash);
                }
            }
        }
        self.free.push(number);
        if self.by_subject.is_empty() {
            // A crowd that has left leaves no room behind.
            (self.entries, self.free) = (Vec::new(), Vec::new());
            self.indexes.clear();
        }
        Some(entry.value)
    }

    /// Takes out every subject that `pattern` matches, in the order of their names.
    pub fn take_matches(&mut self, pattern: &Pattern) -> Vec<(Arc<str>, V)> {
        if self.is_empty() {
            return Vec::new();
        }
        let mut found: Vec<Arc<str>> = self.find(pattern);
        self.steps += 1 + found.len() as u64;
        found.sort_unstable();
        found.into_iter().filter_map(|subject| Some((subject.clone(), self.remove(&subject)?))).collect()
    }

    fn find(&mut self, pattern: &Pattern) -> Vec<Arc<str>> {
        let shape = Shape::of(pattern);
        if shape.is_literal() {
            return self
                .by_subject
                .get_key_value(pattern.as_str())
                .map(|(subject, _)| subject.clone())
                .into_iter()
                .collect();
        }
        if !shape.has_stars() {
            let beginning = pattern.as_str().trim_end_matches('>');
            let from = self.by_subject.range::<str, _>((Bound::Included(beginning), Bound::Unbounded));
            return from
                .map(|(subject, _)| subject)
                .take_while(|subject| subject.starts_with(beginning))
                .cloned()
                .collect();
        }
        let hash = self.hasher.literals(pattern);
        self.use_index(shape);
        let same = self.indexes.back().and_then(|index| index.by_hash.get(&hash));
        let same = same.into_iter().flatten();
        let subjects = same.filter_map(|&number| self.entries.get(number as usize)?.as_ref());
        subjects
            .map(|entry| &entry.subject)
            .filter(|subject| pattern.matches_valid(subject))
            .cloned()
            .collect()
    }

    /// Makes the index of `shape` the last one.
    fn use_index(&mut self, shape: Shape) {
        let known = self.indexes.iter().position(|index| index.shape == shape);
        let index = match known.and_then(|at| self.indexes.remove(at)) {
            Some(index) => index,
            None => {
                if self.indexes.len() >= MAX_INDEXES {
                    self.indexes.pop_front();
                }
                self.make_index(shape)
            }
        };
        self.indexes.push_back(index);
    }

    fn make_index(&mut self, shape: Shape) -> Index {
        let fitting = if shape.has_rest() {
            self.by_length.range(shape.length() + 1..)
        } else {
            self.by_length.range(shape.length()..=shape.length())
        };
        let mut by_hash: ByHash<BTreeSet<u32>> = HashMap::default();
        for &number in fitting.flat_map(|(_, numbers)| numbers) {
            self.steps += shape.steps() as u64;
            if let Some(entry) = &self.entries[number as usize] {
                by_hash.entry(seen_by(&entry.sums, &shape)).or_default().insert(number);
            }
        }
        Index { shape, by_hash }
    }
}

impl<V> Default for Awaited<V> {
    fn default() -> Self {
        Self::new()
    }
}

/// Shapes that have an index. Programs that wait for each other use few; each costs a step a subject, and
/// some 40 bytes.
const MAX_INDEXES: usize = 8;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn pattern(text: &str) -> Pattern {
        Pattern::parse(text).expect(text)
    }

    #[test]
    fn a_shape_that_was_asked_for_is_not_looked_for_among_all_again() {
        let mut awaited = Awaited::new();
        for n in 0..1000 {
            awaited.get_or_insert_with(&format!("a.{n}.c").into(), || n);
        }
        let cost = |awaited: &mut Awaited<_>, text: &str| {
            let before = awaited.steps();
            assert!(awaited.take_matches(&pattern(text)).is_empty());
            awaited.steps() - before
        };
        assert!(cost(&mut awaited, "*.x.c") > 1000);
        for n in 0..10 {
            assert_eq!(cost(&mut awaited, &format!("*.x{n}.c")), 1);
        }
        assert_eq!(cost(&mut awaited, "*.*.*.*"), 1, "no subject has so many tokens");
        assert_eq!(awaited.take_matches(&pattern("*.7.c")), [("a.7.c".into(), 7)]);
    }

    proptest! {
        #[test]
        fn it_takes_what_a_walk_over_all_subjects_finds(
            steps in prop::collection::vec((0..3_u8, "([abc]\\.){0,3}[abc]", "([abc*]\\.){0,3}([abc*>])"), 0..80),
        ) {
            let (mut awaited, mut model) = (Awaited::new(), BTreeMap::new());
            for (time, (what, subject, text)) in steps.into_iter().enumerate() {
                let subject: Arc<str> = subject.into();
                match what {
                    0 => {
                        let pattern = pattern(&text);
                        let naive: Vec<_> = model.extract_if(.., |subject: &Arc<str>, _| pattern.matches(subject)).collect();
                        prop_assert_eq!(awaited.take_matches(&pattern), naive);
                    }
                    1 => prop_assert_eq!(awaited.remove(&subject), model.remove(&subject)),
                    _ => {
                        let value = *awaited.get_or_insert_with(&subject, || time);
                        prop_assert_eq!(value, *model.entry(subject).or_insert(time));
                    }
                }
                prop_assert_eq!(awaited.len(), model.len());
                let placed: usize = awaited.by_length.values().map(Vec::len).sum();
                prop_assert_eq!(placed, model.len());
            }
        }
    }
}
