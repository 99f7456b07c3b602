//! Commands on their way from JavaScript to the task of a machine.

use std::collections::VecDeque;
use std::task::Waker;

use super::sync::{Mutex, MutexGuard, PoisonError};
use crate::base::{Urgent, Weigh};

/// A queue with one reader. Its bound is kept by the writer, who can see `weight` and must not wait:
/// JavaScript refuses (`ENOBUFS`).
#[derive(Debug)]
pub(super) struct Mailbox<C> {
    inner: Mutex<Inner<C>>,
}

#[derive(Debug)]
struct Inner<C> {
    commands: VecDeque<C>,
    /// Taken before those.
    urgent: VecDeque<C>,
    /// The bytes of all.
    total: usize,
    /// Of those that wait while the link is full.
    weight: usize,
    waker: Option<Waker>,
    abandoned: bool,
}

impl<C> Default for Mailbox<C> {
    fn default() -> Self {
        let (commands, urgent) = (VecDeque::new(), VecDeque::new());
        let inner = Inner { commands, urgent, total: 0, weight: 0, waker: None, abandoned: false };
        Self { inner: Mutex::new(inner) }
    }
}

impl<C: Weigh + Urgent> Mailbox<C> {
    /// Puts commands in, in order. Gives the waker of a reader that sleeps, to be used by the caller, and the
    /// bytes that wait.
    pub(super) fn put_without_wake(&self, commands: impl IntoIterator<Item = C>) -> Option<(Waker, usize)> {
        let mut inner = self.lock();
        for command in commands {
            inner.total += command.weight();
            inner.weight += unbounded(&command);
            match command.is_urgent() {
                true => inner.urgent.push_back(command),
                false => inner.commands.push_back(command),
            }
        }
        let weight = inner.total;
        inner.waker.take().map(|waker| (waker, weight))
    }

    /// Returns the bytes that the reader has not processed yet, without what has a bound in the machine.
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
        let inner = self.lock();
        inner.commands.is_empty() && inner.urgent.is_empty()
    }

    pub(super) fn is_abandoned(&self) -> bool {
        self.lock().abandoned
    }

    /// Takes commands, urgent ones first: at most `most` others, and none after `most_bytes`. Asks to be
    /// woken when there are more.
    pub(super) fn take(&self, waker: &Waker, most: usize, most_bytes: usize, into: &mut Vec<C>) {
        let mut inner = self.lock();
        inner.take_urgent(into);
        let (mut count, mut weight) = (0, 0);
        while count < most && weight < most_bytes {
            let Some(command) = inner.commands.pop_front() else { break };
            weight += command.weight();
            inner.weight -= unbounded(&command);
            count += 1;
            into.push(command);
        }
        inner.total -= weight;
        inner.register(waker);
    }

    /// The same while the link is full: up to the first that needs it.
    pub(super) fn take_bounded(&self, waker: &Waker, most: usize, most_bytes: usize, into: &mut Vec<C>) {
        let mut inner = self.lock();
        inner.take_urgent(into);
        let (mut count, mut weight) = (0, 0);
        while count < most && weight < most_bytes {
            if inner.commands.front().is_none_or(Urgent::needs_link) {
                break;
            }
            let Some(command) = inner.commands.pop_front() else { break };
            weight += command.weight();
            count += 1;
            into.push(command);
        }
        inner.total -= weight;
        inner.register(waker);
    }

    fn lock(&self) -> MutexGuard<'_, Inner<C>> {
        // Nothing in here can panic halfway.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<C: Weigh + Urgent> Inner<C> {
    fn take_urgent(&mut self, into: &mut Vec<C>) {
        let taken = into.len();
        into.extend(self.urgent.drain(..));
        self.total -= into[taken..].iter().map(C::weight).sum::<usize>();
        self.weight -= into[taken..].iter().map(unbounded).sum::<usize>();
    }
}

fn unbounded<C: Weigh + Urgent>(command: &C) -> usize {
    if command.needs_link() { command.weight() } else { 0 }
}

impl<C> Inner<C> {
    fn register(&mut self, waker: &Waker) {
        if !self.waker.as_ref().is_some_and(|known| known.will_wake(waker)) {
            self.waker = Some(waker.clone());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A command by its number; those from 10 on are urgent, those from 5 on need no link.
    #[derive(Debug, PartialEq)]
    struct Numbered(usize);

    impl Weigh for Numbered {
        fn weight(&self) -> usize {
            10
        }
    }

    impl Urgent for Numbered {
        fn is_urgent(&self) -> bool {
            self.0 >= 10
        }

        fn needs_link(&self) -> bool {
            self.0 < 5
        }
    }

    #[test]
    fn urgent_commands_are_taken_first_and_others_as_long_as_their_bounds_allow() {
        let mailbox = Mailbox::default();
        let numbers = |commands: &[Numbered]| commands.iter().map(|command| command.0).collect::<Vec<_>>();
        let mut taken = Vec::new();
        let _ = mailbox.put_without_wake([1, 10, 2, 11, 3, 4].map(Numbered));
        mailbox.take_bounded(Waker::noop(), 9, usize::MAX, &mut taken);
        assert_eq!((numbers(&taken), mailbox.weight()), (vec![10, 11], 40));
        let _ = mailbox.put_without_wake([Numbered(12)]);
        mailbox.take(Waker::noop(), 9, 15, &mut taken);
        assert_eq!((numbers(&taken), mailbox.weight()), (vec![10, 11, 12, 1, 2], 20));
        mailbox.take(Waker::noop(), 1, usize::MAX, &mut taken);
        assert_eq!((taken.last(), mailbox.weight()), (Some(&Numbered(3)), 10));
        assert!(!mailbox.is_empty());
    }

    #[test]
    fn while_the_link_is_full_what_has_a_bound_of_its_own_is_taken_and_what_stands_behind_another_waits() {
        let (mailbox, mut taken) = (Mailbox::default(), Vec::new());
        let _ = mailbox.put_without_wake([5, 6, 7, 1, 8].map(Numbered));
        assert_eq!(mailbox.weight(), 10);
        mailbox.take_bounded(Waker::noop(), 2, usize::MAX, &mut taken);
        mailbox.take_bounded(Waker::noop(), 9, 5, &mut taken);
        mailbox.take_bounded(Waker::noop(), 9, usize::MAX, &mut taken);
        assert_eq!(taken, [5, 6, 7].map(Numbered));
        mailbox.take(Waker::noop(), 9, usize::MAX, &mut taken);
        assert_eq!((taken.len(), mailbox.weight(), mailbox.is_empty()), (5, 0, true));
    }
}
