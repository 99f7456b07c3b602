//! One connection, as both threads see it.

use std::os::fd::RawFd;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Waker};

use mio::Token;
use mio::event::Event;

use super::MAX_READ_AHEAD_BYTES;
use super::wake_policy::WakePolicy;

#[derive(Debug)]
pub(super) struct Connection {
    /// Open while this is in the table of connections.
    pub(super) fd: RawFd,
    pub(super) token: Token,
    pub(super) client: u32,
    /// There may be something to read.
    readable: AtomicBool,
    /// The peer sends no more, or the connection has failed: each read says so.
    ended: AtomicBool,
    /// The visit of the second thread that goes on; 0: none.
    visit: AtomicU64,
    /// Read since its last visit.
    read: AtomicUsize,
    /// Whoever waits until there is something to read.
    reader: Mutex<Option<Waker>>,
    policy: Mutex<WakePolicy>,
    removed: AtomicBool,
}

impl Connection {
    pub(super) fn new(fd: RawFd, token: Token, client: u32) -> Self {
        Self {
            fd,
            token,
            client,
            readable: AtomicBool::new(false),
            ended: AtomicBool::new(false),
            visit: AtomicU64::new(0),
            read: AtomicUsize::new(0),
            reader: Mutex::default(),
            policy: Mutex::default(),
            removed: AtomicBool::new(false),
        }
    }

    /// Notes what a poll has found.
    pub(super) fn note_readable(&self, event: &Event) {
        if event.is_read_closed() || event.is_error() {
            self.ended.store(true, Ordering::Release);
        }
        self.readable.store(true, Ordering::Release);
    }

    /// Wakes whoever waits for something to read.
    pub(super) fn wake_reader(&self) {
        let reader = self.reader.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(reader) = reader {
            reader.wake();
        }
    }

    /// Returns whether there may be something to read. If not, the task is woken when there is.
    pub(super) fn poll_readable(&self, cx: &Context<'_>) -> bool {
        if self.readable.load(Ordering::Acquire) {
            return true;
        }
        self.wait(cx);
        // It may have come meanwhile.
        self.readable.load(Ordering::Acquire)
    }

    /// Has the task woken when there is something to read.
    pub(super) fn wait(&self, cx: &Context<'_>) {
        let mut reader = self.reader.lock().unwrap_or_else(PoisonError::into_inner);
        if !reader.as_ref().is_some_and(|reader| reader.will_wake(cx.waker())) {
            *reader = Some(cx.waker().clone());
        }
    }

    /// Says that a read begins, which will say whether that was all.
    pub(super) fn begin_read(&self) {
        self.readable.store(self.ended.load(Ordering::Acquire), Ordering::Release);
    }

    /// Says what the read has found, and whether there may be more.
    pub(super) fn end_read(&self, bytes: usize, is_all: bool) {
        self.read.fetch_add(bytes, Ordering::Relaxed);
        if !is_all {
            self.readable.store(true, Ordering::Release);
        }
    }

    /// Returns the visit of the second thread that goes on; 0: none.
    pub(super) fn visit(&self) -> u64 {
        self.visit.load(Ordering::Acquire)
    }

    pub(super) fn begin_visit(&self, number: u64) {
        self.visit.store(number, Ordering::Release);
    }

    /// Ends a visit of the second thread. Returns whether a worker thread is to be woken from now on, if that
    /// has changed.
    pub(super) fn end_visit(&self) -> Option<bool> {
        self.begin_visit(0);
        let is_much = self.read.swap(0, Ordering::Relaxed) >= MAX_READ_AHEAD_BYTES;
        let mut policy = self.policy();
        let before = policy.wakes_worker();
        policy.note_visit(is_much);
        let after = policy.wakes_worker();
        (before != after).then_some(after)
    }

    /// Wakes whoever waits for something to read, if there may be something.
    pub(super) fn wake_reader_if_readable(&self) {
        if self.readable.load(Ordering::Acquire) {
            self.wake_reader();
        }
    }

    pub(super) fn is_removed(&self) -> bool {
        self.removed.load(Ordering::Relaxed)
    }

    pub(super) fn set_removed(&self) {
        self.removed.store(true, Ordering::Relaxed);
    }

    pub(super) fn policy(&self) -> MutexGuard<'_, WakePolicy> {
        self.policy.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
