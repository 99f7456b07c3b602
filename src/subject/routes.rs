//! A cache of the trie: the matches of subjects that come again and again, until the patterns change.

use std::hash::BuildHasher;
use std::sync::Arc;

use foldhash::fast::RandomState;

use super::Subject;

/// The entries that a subject matches, in the order of the trie.
pub type Route = Arc<[u32]>;

/// A direct-mapped table. A subject gets its place when it is asked for a second time in a row there: what
/// comes once (the subject of an answer) does not drive out what comes often.
#[derive(Debug)]
pub(super) struct Routes {
    /// Made with the first subject.
    places: Vec<Place>,
    /// Those of them that were asked for last, by where the subject stands in memory: a connection that says
    /// one again has it in the same place, and then its text need not be looked at.
    latest: [Option<Known>; LATEST],
    /// Counts changes of the patterns: what was found before one is not believed after it.
    generation: u64,
    /// Subjects are untrusted: the hash has a key.
    hasher: RandomState,
}

#[derive(Debug, Clone, Default)]
struct Place {
    /// The hash of the subject that was last not found here.
    missed: u64,
    known: Option<Known>,
}

#[derive(Debug, Clone)]
struct Known {
    generation: u64,
    subject: Subject,
    route: Route,
}

impl Default for Routes {
    fn default() -> Self {
        let latest = [const { None }; LATEST];
        Self { places: Vec::new(), latest, generation: 0, hasher: RandomState::default() }
    }
}

impl Routes {
    /// Forgets every route, because the patterns have changed.
    pub(super) fn invalidate(&mut self) {
        self.generation += 1;
    }

    /// Returns the route of `subject`, from the cache or from `find`.
    pub(super) fn get(&mut self, subject: &Subject, find: impl FnOnce() -> Route) -> Route {
        if subject.as_str().len() > MAX_CACHED_SUBJECT_BYTES {
            return find();
        }
        let latest = &mut self.latest[subject.address() / ALIGNMENT % LATEST];
        if let Some(known) = latest
            && known.generation == self.generation
            && known.subject.is_same(subject)
        {
            return known.route.clone();
        }
        if self.places.is_empty() {
            self.places.resize(PLACES, Place::default());
        }
        let hash = self.hasher.hash_one(subject.as_str());
        #[expect(clippy::cast_possible_truncation, reason = "the low bits choose the place")]
        let place = &mut self.places[hash as usize % PLACES];
        if let Some(known) = &place.known
            && known.generation == self.generation
            && known.subject == *subject
        {
            // As it stands there now.
            let (generation, route) = (known.generation, known.route.clone());
            *latest = Some(Known { generation, subject: subject.clone(), route: route.clone() });
            return route;
        }
        let route = find();
        if place.missed == hash && route.len() <= MAX_CACHED_ROUTE {
            place.known =
                Some(Known { generation: self.generation, subject: subject.clone(), route: route.clone() });
        }
        place.missed = hash;
        route
    }
}

/// Subjects that are remembered: with the bounds below, less than 1 MiB.
const PLACES: usize = 1024;
/// Of those, the ones that are found by where they are.
const LATEST: usize = 64;
/// Of what stands in memory.
const ALIGNMENT: usize = 16;
/// Longer subjects are looked for each time.
const MAX_CACHED_SUBJECT_BYTES: usize = 256;
/// So are subjects that more patterns match: there the walk is the smaller part.
const MAX_CACHED_ROUTE: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    fn subject(text: &str) -> Subject {
        Subject::parse(text).expect(text)
    }

    /// Asks for `text`, and says whether it had to be found.
    fn is_found(routes: &mut Routes, text: &str) -> bool {
        let mut found = false;
        routes.get(&subject(text), || {
            found = true;
            Route::from([1])
        });
        found
    }

    #[test]
    fn what_is_asked_again_is_known_until_the_patterns_change() {
        let mut routes = Routes::default();
        let asked = |routes: &mut Routes| [0; 4].map(|_| is_found(routes, "a.b"));
        assert_eq!(asked(&mut routes), [true, true, false, false]);
        routes.invalidate();
        assert_eq!(asked(&mut routes), [true, false, false, false]);
    }

    #[test]
    fn what_stands_where_it_stood_is_known_by_that_until_the_patterns_change() {
        let (mut routes, often) = (Routes::default(), subject("a.b"));
        let asked = |routes: &mut Routes, route: u32| {
            let found = routes.get(&often, || Route::from([route]));
            (found[0], routes.latest.iter().flatten().any(|known| known.subject.is_same(&often)))
        };
        let first = [1, 2, 3, 4].map(|route| asked(&mut routes, route));
        assert_eq!(first, [(1, false), (2, false), (2, true), (2, true)]);
        // The same text elsewhere is the same.
        assert_eq!(routes.get(&subject("a.b"), || Route::from([5]))[0], 2);
        routes.invalidate();
        assert_eq!([6, 7].map(|route| asked(&mut routes, route).0), [6, 6]);
        for n in 0..10 * LATEST {
            is_found(&mut routes, &format!("once.{n}"));
        }
        assert_eq!(asked(&mut routes, 8), (6, true));
    }

    #[test]
    fn what_comes_once_drives_nothing_out_and_what_is_long_is_not_kept() {
        let mut routes = Routes::default();
        for _ in 0..3 {
            is_found(&mut routes, "often");
        }
        for n in 0..10 * PLACES {
            assert!(is_found(&mut routes, &format!("once.{n}")));
        }
        assert!(!is_found(&mut routes, "often"));
        let long = "x".repeat(MAX_CACHED_SUBJECT_BYTES + 1);
        assert!((0..4).all(|_| is_found(&mut routes, &long)));
        let mut wide = || routes.get(&subject("wide"), || vec![7; MAX_CACHED_ROUTE + 1].into());
        assert_eq!((wide().len(), wide().len()), (MAX_CACHED_ROUTE + 1, MAX_CACHED_ROUTE + 1));
    }
}
