//! Runs woken in-process clients on the waking thread: while a client of the broker's own process runs on the
//! thread of a writer, the clients that it wakes run right after it on that thread. No hop to another thread
//! stands between a write and its reader.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::sync::Arc;
use std::task::{Wake, Waker};

use super::sync::thread_local;

/// A task that can run on any thread.
pub(super) trait InlineTask: Send + Sync {
    /// Handles what it was woken for. Returns whether it could: if not, its worker has to.
    fn run(&self, task: &Waker) -> bool;
}

/// Wakes a task: on a thread that runs woken tasks, in its turn there; elsewhere on a worker.
pub(super) struct InlineWaker {
    inner: Box<dyn InlineTask>,
    task: Waker,
}

impl InlineWaker {
    pub(super) fn new(inner: impl InlineTask + 'static, task: Waker) -> Self {
        Self { inner: Box::new(inner), task }
    }

    fn run(&self) {
        if !self.inner.run(&self.task) {
            self.task.wake_by_ref();
        }
    }
}

impl Wake for InlineWaker {
    fn wake(self: Arc<Self>) {
        Self::wake_by_ref(&self);
    }

    fn wake_by_ref(self: &Arc<Self>) {
        // A thread that ends runs no tasks: what it drops last may still wake one.
        let joined = WOKEN.try_with(|woken| {
            let mut woken = woken.borrow_mut();
            let Some(woken) = &mut *woken else { return false };
            // It would not get its turn here.
            if woken.len() >= MAX_INLINE_RUNS {
                return false;
            }
            if !woken.iter().any(|known| Arc::ptr_eq(known, self)) {
                woken.push_back(self.clone());
            }
            true
        });
        if !joined.unwrap_or(false) {
            self.task.wake_by_ref();
        }
    }
}

/// Runs `act`, then the tasks that it woke, and those that they wake; up to a bound: the rest is left to the
/// workers.
pub(super) fn run_inline<R>(act: impl FnOnce() -> R) -> R {
    if WOKEN.with(|woken| woken.borrow().is_some()) {
        return act();
    }
    WOKEN.with(|woken| woken.replace(Some(VecDeque::new())));
    let guard = DrainGuard;
    let result = act();
    for _ in 0..MAX_INLINE_RUNS {
        let next = WOKEN.with(|woken| woken.borrow_mut().as_mut().and_then(VecDeque::pop_front));
        let Some(next) = next else { break };
        next.run();
    }
    drop(guard);
    result
}

/// Also after a panic no woken task is lost.
struct DrainGuard;

impl Drop for DrainGuard {
    fn drop(&mut self) {
        let left = WOKEN.with(RefCell::take);
        left.into_iter().flatten().for_each(|waker| waker.task.wake_by_ref());
    }
}

thread_local! {
    /// Tasks woken on this thread, while it runs them.
    static WOKEN: RefCell<Option<VecDeque<Arc<InlineWaker>>>> = const { RefCell::new(None) };
}

/// Tasks that run on one waking thread in a row.
const MAX_INLINE_RUNS: usize = 32;

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;
    use std::sync::atomic::{AtomicUsize, Ordering};

    /// Counts how often it is woken.
    #[derive(Default)]
    struct Task(AtomicUsize);

    impl Wake for Task {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Wakes another one whenever it runs.
    struct Chain {
        runs: Arc<AtomicUsize>,
        next: Option<Waker>,
        can: bool,
    }

    impl InlineTask for Chain {
        fn run(&self, _: &Waker) -> bool {
            self.runs.fetch_add(1, Ordering::Relaxed);
            self.next.iter().for_each(Waker::wake_by_ref);
            self.can
        }
    }

    fn chain(next: Option<Waker>, can: bool) -> (Waker, Arc<AtomicUsize>, Arc<Task>) {
        let (runs, task) = (Arc::new(AtomicUsize::new(0)), Arc::new(Task::default()));
        let inline = Chain { runs: runs.clone(), next, can };
        (Arc::new(InlineWaker::new(inline, task.clone().into())).into(), runs, task)
    }

    fn counts(runs: &AtomicUsize, task: &Task) -> (usize, usize) {
        (runs.load(Ordering::Relaxed), task.0.load(Ordering::Relaxed))
    }

    #[test]
    fn who_is_woken_by_a_leader_follows_once_on_its_thread_and_wakes_further_ones() {
        let (second, second_runs, second_task) = chain(None, true);
        let (first, first_runs, first_task) = chain(Some(second), true);
        first.wake_by_ref();
        assert_eq!(counts(&first_runs, &first_task), (0, 1), "nobody leads: its task is woken");
        run_inline(|| {
            first.wake_by_ref();
            first.wake_by_ref();
            run_inline(|| first.wake_by_ref());
            assert_eq!(counts(&first_runs, &first_task), (0, 1), "after the leader");
        });
        assert_eq!(counts(&first_runs, &first_task), (1, 1));
        assert_eq!(counts(&second_runs, &second_task), (1, 0));
        first.wake_by_ref();
        assert_eq!(counts(&first_runs, &first_task), (1, 2));
    }

    #[test]
    fn a_thread_that_ends_wakes_tasks() {
        /// Wakes when its thread ends, after everything that the thread used later has gone.
        struct Last(Cell<Option<Waker>>);
        impl Drop for Last {
            fn drop(&mut self) {
                self.0.take().expect("set").wake();
            }
        }
        std::thread_local!(static LAST: Last = const { Last(Cell::new(None)) });
        let (waker, runs, task) = chain(None, true);
        let ends = std::thread::spawn(move || {
            LAST.with(|last| last.0.set(Some(waker.clone())));
            run_inline(|| waker.wake_by_ref());
        });
        ends.join().expect("its end is not a panic");
        assert_eq!(counts(&runs, &task), (1, 1));
    }

    #[test]
    fn who_cannot_follow_is_left_to_its_task() {
        let (waker, runs, task) = chain(None, false);
        run_inline(|| waker.wake_by_ref());
        assert_eq!(counts(&runs, &task), (1, 1));
    }

    /// Two that wake each other for ever.
    struct Again(Arc<std::sync::OnceLock<Waker>>, Arc<AtomicUsize>);

    impl InlineTask for Again {
        fn run(&self, _: &Waker) -> bool {
            self.1.fetch_add(1, Ordering::Relaxed);
            self.0.get().expect("set").wake_by_ref();
            true
        }
    }

    #[test]
    fn a_writer_gets_its_thread_back_and_a_panic_loses_nobody() {
        let (itself, runs, task) = (Arc::default(), Arc::new(AtomicUsize::new(0)), Arc::new(Task::default()));
        let inline = Again(Arc::clone(&itself), runs.clone());
        let waker: Waker = Arc::new(InlineWaker::new(inline, task.clone().into())).into();
        itself.set(waker.clone()).expect("once");
        run_inline(|| waker.wake_by_ref());
        assert_eq!(counts(&runs, &task), (MAX_INLINE_RUNS, 1));
        let (waker, runs, task) = chain(None, true);
        let panics = || {
            run_inline(|| {
                waker.wake_by_ref();
                panic!("as it does in this test");
            })
        };
        assert!(std::panic::catch_unwind(std::panic::AssertUnwindSafe(panics)).is_err());
        assert_eq!(counts(&runs, &task), (0, 1));
    }
}
