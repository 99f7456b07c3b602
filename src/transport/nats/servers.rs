//! The servers of one fabric: those of the address, and those that servers tell of.

use std::sync::{Mutex, PoisonError};

use super::address::{Server, server};
use crate::base::{Entropy, OsEntropy};

/// All that are known.
#[derive(Debug)]
pub(super) struct Servers {
    configured: Vec<Server>,
    ignores_others: bool,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    learned: Vec<Server>,
    /// About to stop, as it has said.
    leaving: Option<Server>,
}

impl Servers {
    pub(super) fn new(configured: Vec<Server>, ignores_others: bool) -> Self {
        Self { configured, ignores_others, state: Mutex::default() }
    }

    /// Returns all of them: those of the address by chance, then the others by chance, and one that stops
    /// last.
    pub(super) fn in_order(&self) -> Vec<Server> {
        let state = self.lock();
        let mut order = shuffled(&self.configured);
        order.extend(shuffled(&state.learned).into_iter().filter(|server| !self.configured.contains(server)));
        order.sort_by_key(|server| Some(server) == state.leaving.as_ref());
        order
    }

    /// Takes note of where else the fabric is to be had, as a server says.
    pub(super) fn learn(&self, urls: &[String]) {
        if !self.ignores_others {
            let found = urls.iter().take(MAX_LEARNED).filter_map(|url| server(url).ok());
            self.lock().learned = found.collect();
        }
    }

    /// Takes note that a server is about to stop. Returns whether there is another one.
    pub(super) fn leave(&self, leaving: &Server) -> bool {
        let mut state = self.lock();
        state.leaving = Some(leaving.clone());
        self.configured.iter().chain(&state.learned).any(|server| server != leaving)
    }

    /// Takes note that a server has let us in, and so does not stop.
    pub(super) fn handle_success(&self, server: &Server) {
        let mut state = self.lock();
        if state.leaving.as_ref() == Some(server) {
            state.leaving = None;
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Returns all of them, in an order by chance.
pub(super) fn shuffled<T: Clone + Ord>(all: &[T]) -> Vec<T> {
    let mut keys = vec![0; all.len()];
    OsEntropy.fill(&mut keys);
    let mut order: Vec<_> = keys.into_iter().zip(all).collect();
    order.sort_unstable();
    order.into_iter().map(|(_, one)| one.clone()).collect()
}

/// A server that tells of more is not believed.
const MAX_LEARNED: usize = 1000;

#[cfg(test)]
mod tests {
    use super::*;

    fn named(name: &str) -> Server {
        (name.to_owned(), 1)
    }

    #[test]
    fn servers_come_in_any_order_and_one_that_stops_last() {
        let servers = Servers::new(vec![named("a"), named("b")], false);
        servers.learn(&["c:1".into(), "a:1".into(), "not a server".into()]);
        let firsts: std::collections::HashSet<_> =
            (0..200).map(|_| servers.in_order()[0].0.clone()).collect();
        assert_eq!(firsts.len(), 2, "those of the address first: {firsts:?}");
        assert!(servers.leave(&named("a")));
        let order = servers.in_order();
        assert_eq!((order.len(), order.last()), (3, Some(&named("a"))));
        servers.handle_success(&named("a"));
        assert!((0..200).any(|_| servers.in_order()[0] == named("a")));
        let alone = Servers::new(vec![named("a")], true);
        alone.learn(&["c:1".into()]);
        assert!(!alone.leave(&named("a")));
        assert_eq!(alone.in_order(), [named("a")]);
    }
}
