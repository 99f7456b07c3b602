//! Events on their way from the tasks of one JavaScript environment to its thread: bounded, and one wake a
//! batch.

use std::collections::VecDeque;
use std::task::Waker;

use super::sync::{Mutex, MutexGuard, PoisonError};
use crate::base::{Lag, Weigh};
use crate::boundary::HostEvent;

/// The queue. A task that finds it full stops reading from its broker until there is room: the bound reaches
/// the writers that way.
pub struct EventQueue {
    inner: Mutex<Inner>,
    wake: Box<dyn Fn() + Send + Sync>,
}

#[derive(Default)]
struct Inner {
    events: VecDeque<HostEvent>,
    weight: usize,
    /// The reader has been woken and has not found the queue empty since.
    awake: bool,
    closed: bool,
    /// Events put in, and taken out, so far.
    put: u64,
    taken: u64,
    waiting: Vec<Waker>,
}

impl EventQueue {
    /// Makes an empty queue. `wake` is called, from any thread, when there are events for a reader that
    /// sleeps.
    pub fn new(wake: impl Fn() + Send + Sync + 'static) -> Self {
        Self { inner: Mutex::default(), wake: Box::new(wake) }
    }

    /// Puts events in, in order. After `close` it drops them.
    pub fn put(&self, events: impl IntoIterator<Item = HostEvent>) {
        self.put_counted(events);
    }

    /// The same. Returns the position of the last one.
    pub(super) fn put_counted(&self, events: impl IntoIterator<Item = HostEvent>) -> u64 {
        let (position, wake) = {
            let mut inner = self.lock();
            if inner.closed {
                return inner.put;
            }
            for item in events {
                inner.weight += item.weight();
                inner.put += 1;
                inner.events.push_back(item);
            }
            let wake = !inner.events.is_empty() && !std::mem::replace(&mut inner.awake, true);
            (inner.put, wake)
        };
        if wake {
            (self.wake)();
        }
        position
    }

    /// Takes what fits: at least one event if there is any, then as long as neither bound is exceeded. When
    /// it finds none, the next event wakes the reader.
    pub fn take(&self, most_items: usize, most_weight: usize, mut visit: impl FnMut(HostEvent)) {
        let (batch, waiting) = {
            let mut inner = self.lock();
            let mut weight = 0;
            let mut count = 0;
            for item in inner.events.iter().take(most_items) {
                weight += item.weight();
                if count > 0 && weight > most_weight {
                    weight -= item.weight();
                    break;
                }
                count += 1;
            }
            inner.weight -= weight;
            inner.taken += count as u64;
            let batch: Vec<HostEvent> = inner.events.drain(..count).collect();
            inner.awake = !batch.is_empty();
            let waiting = if inner.has_room() { std::mem::take(&mut inner.waiting) } else { Vec::new() };
            (batch, waiting)
        };
        waiting.into_iter().for_each(Waker::wake);
        batch.into_iter().for_each(&mut visit);
    }

    /// Returns whether there is room; if not, the waker is called when there is.
    pub(super) fn poll_room(&self, waker: &Waker) -> bool {
        let mut inner = self.lock();
        let room = inner.has_room();
        if !room {
            inner.wait(waker);
        }
        room
    }

    /// Returns how far JavaScript is behind, if there is no room.
    pub(super) fn lag(&self) -> Option<Lag> {
        let inner = self.lock();
        let is_extreme = inner.weight >= EXTREME * MAX_WEIGHT || inner.events.len() >= EXTREME * MAX_ITEMS;
        (!inner.has_room()).then_some(if is_extreme { Lag::Extreme } else { Lag::Long })
    }

    /// Returns whether all up to this position have been taken; if not, the waker is called when more have.
    pub(super) fn poll_taken(&self, position: u64, waker: &Waker) -> bool {
        let mut inner = self.lock();
        let is_taken = inner.closed || inner.taken >= position;
        if !is_taken {
            inner.wait(waker);
        }
        is_taken
    }

    /// Discards events from now on, because the reader is gone.
    pub fn close(&self) {
        let before = std::mem::replace(&mut *self.lock(), Inner { closed: true, ..Inner::default() });
        before.waiting.into_iter().for_each(Waker::wake);
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // Nothing in here can panic halfway.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn has_room(&self) -> bool {
        self.weight < MAX_WEIGHT && self.events.len() < MAX_ITEMS
    }

    fn wait(&mut self, waker: &Waker) {
        if !self.waiting.iter().any(|known| known.will_wake(waker)) {
            self.waiting.push(waker.clone());
        }
    }
}

/// Bytes that wait for JavaScript before the tasks stop reading. What a task has read already still goes in.
const MAX_WEIGHT: usize = 32 * 1024 * 1024;
/// Items that wait for JavaScript before the tasks stop reading.
const MAX_ITEMS: usize = 65_536;
/// So many times as much waits at most from links that are read on: messages of sockets, as far as their
/// windows reach.
const EXTREME: usize = 4;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::boundary::BrokerEvent;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    fn queue() -> (EventQueue, Arc<AtomicUsize>) {
        let wakes = Arc::new(AtomicUsize::new(0));
        let counter = wakes.clone();
        (
            EventQueue::new(move || {
                counter.fetch_add(1, Ordering::SeqCst);
            }),
            wakes,
        )
    }

    fn taken(queue: &EventQueue, most: usize) -> usize {
        let mut count = 0;
        queue.take(most, usize::MAX, |_| count += 1);
        count
    }

    #[test]
    fn a_reader_is_woken_once_until_it_has_found_the_queue_empty() {
        let (queue, wakes) = queue();
        for _ in 0..3 {
            queue.put([HostEvent::Broker(1, BrokerEvent::Closed)]);
        }
        assert_eq!((taken(&queue, 2), wakes.load(Ordering::SeqCst)), (2, 1));
        queue.put([HostEvent::Broker(1, BrokerEvent::Closed)]);
        assert_eq!((taken(&queue, 9), taken(&queue, 9), wakes.load(Ordering::SeqCst)), (2, 0, 1));
        queue.put([HostEvent::Broker(1, BrokerEvent::Closed)]);
        assert_eq!(wakes.load(Ordering::SeqCst), 2);
    }

    #[test]
    fn a_full_queue_has_no_room_until_it_is_read_and_a_closed_one_takes_nothing() {
        let (queue, wakes) = queue();
        queue.put((0..MAX_ITEMS).map(|_| HostEvent::Broker(1, BrokerEvent::Closed)));
        assert!(!queue.poll_room(Waker::noop()));
        assert_eq!((queue.lag(), taken(&queue, 1), queue.lag()), (Some(Lag::Long), 1, None));
        assert!(queue.poll_room(Waker::noop()));
        queue.put((0..EXTREME * MAX_ITEMS).map(|_| HostEvent::Broker(1, BrokerEvent::Closed)));
        assert_eq!(queue.lag(), Some(Lag::Extreme));
        queue.close();
        queue.put([HostEvent::Broker(1, BrokerEvent::Closed)]);
        assert_eq!((taken(&queue, 9), wakes.load(Ordering::SeqCst)), (0, 1));
    }
    #[test]
    fn whoever_waits_for_what_it_has_put_in_waits_for_that_alone() {
        let (queue, _) = queue();
        let own = queue.put_counted((0..3).map(|_| HostEvent::Broker(1, BrokerEvent::Closed)));
        queue.put([HostEvent::Broker(2, BrokerEvent::Closed)]);
        assert_eq!((taken(&queue, 2), queue.poll_taken(own, Waker::noop())), (2, false));
        assert_eq!((taken(&queue, 1), queue.poll_taken(own, Waker::noop())), (1, true));
        let never = queue.put_counted([HostEvent::Broker(1, BrokerEvent::Closed)]);
        queue.close();
        assert!(queue.poll_taken(never, Waker::noop()), "there is nobody to wait for");
    }
}
