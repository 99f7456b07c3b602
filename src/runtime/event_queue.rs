//! Events on their way from the tasks of one JavaScript environment to its thread: bounded, and one wake a
//! batch.

use std::collections::VecDeque;
use std::task::Waker;

use super::sync::{Mutex, MutexGuard, PoisonError};
use crate::base::Weigh;
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
        let wake = {
            let mut inner = self.lock();
            if inner.closed {
                return;
            }
            for item in events {
                inner.weight += item.weight();
                inner.events.push_back(item);
            }
            !inner.events.is_empty() && !std::mem::replace(&mut inner.awake, true)
        };
        if wake {
            (self.wake)();
        }
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
        if !room && !inner.waiting.iter().any(|known| known.will_wake(waker)) {
            inner.waiting.push(waker.clone());
        }
        room
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
}

/// Bytes that wait for JavaScript before the tasks stop reading. What a task has read already still goes in.
const MAX_WEIGHT: usize = 32 * 1024 * 1024;
/// Items that wait for JavaScript before the tasks stop reading.
const MAX_ITEMS: usize = 65_536;

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
        assert_eq!(taken(&queue, 1), 1);
        assert!(queue.poll_room(Waker::noop()));
        queue.close();
        queue.put([HostEvent::Broker(1, BrokerEvent::Closed)]);
        assert_eq!((taken(&queue, 9), wakes.load(Ordering::SeqCst)), (0, 1));
    }
}
