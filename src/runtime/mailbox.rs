//! Commands on their way from JavaScript to the task of a machine.

use std::collections::VecDeque;
use std::task::Waker;

use super::sync::{Mutex, MutexGuard, PoisonError};
use crate::base::Weigh;

/// A queue with one reader. Its bound is kept by the writer, who can see `weight` and must not wait:
/// JavaScript refuses (`ENOBUFS`).
#[derive(Debug)]
pub(super) struct Mailbox<C> {
    inner: Mutex<Inner<C>>,
}

#[derive(Debug)]
struct Inner<C> {
    commands: VecDeque<C>,
    weight: usize,
    waker: Option<Waker>,
    abandoned: bool,
}

impl<C> Default for Mailbox<C> {
    fn default() -> Self {
        let inner = Inner { commands: VecDeque::new(), weight: 0, waker: None, abandoned: false };
        Self { inner: Mutex::new(inner) }
    }
}

impl<C: Weigh> Mailbox<C> {
    /// Puts commands in, in order. Gives the waker of a reader that sleeps, to be used by the caller, and the
    /// bytes that wait.
    pub(super) fn put_without_wake(&self, commands: impl IntoIterator<Item = C>) -> Option<(Waker, usize)> {
        let mut inner = self.lock();
        for command in commands {
            inner.weight += command.weight();
            inner.commands.push_back(command);
        }
        let weight = inner.weight;
        inner.waker.take().map(|waker| (waker, weight))
    }

    /// Returns the bytes that the reader has not processed yet.
    pub(super) fn weight(&self) -> usize {
        self.lock().weight
    }

    /// Stops the reader where it is, because the writer is gone.
    pub(super) fn abandon(&self) {
        let waker = {
            let mut inner = self.lock();
            inner.abandoned = true;
            inner.waker.take()
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// Returns whether there is something to take.
    pub(super) fn is_empty(&self) -> bool {
        self.lock().commands.is_empty()
    }

    pub(super) fn is_abandoned(&self) -> bool {
        self.lock().abandoned
    }

    /// Takes at most `most` commands, and asks to be woken when there are more.
    pub(super) fn take(&self, waker: &Waker, most: usize, into: &mut Vec<C>) {
        let mut inner = self.lock();
        let count = inner.commands.len().min(most);
        let taken = into.len();
        into.extend(inner.commands.drain(..count));
        inner.weight -= into[taken..].iter().map(C::weight).sum::<usize>();
        inner.register(waker);
    }

    /// Asks to be woken when something is put in, without taking it.
    pub(super) fn register(&self, waker: &Waker) {
        self.lock().register(waker);
    }

    fn lock(&self) -> MutexGuard<'_, Inner<C>> {
        // Nothing in here can panic halfway.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<C> Inner<C> {
    fn register(&mut self, waker: &Waker) {
        if !self.waker.as_ref().is_some_and(|known| known.will_wake(waker)) {
            self.waker = Some(waker.clone());
        }
    }
}
