//! Who goes along with a writer: clients in the broker's own process wake each other, and while one acts on the thread of a writer, those whom it
//! wakes act right behind it on that thread. No hop to another thread stands between a write and its reader.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::sync::Arc;
use std::task::{Wake, Waker};

use super::sync::thread_local;

/// Somebody who can act on any thread.
pub(super) trait Follower: Send + Sync {
    /// Acts on what it was woken for. Says whether it could: if not, its task has to.
    fn follow(&self, task: &Waker) -> bool;
}

/// Wakes a follower: on a thread that leads, in its turn there; elsewhere its task.
pub(super) struct FollowerWaker {
    follower: Box<dyn Follower>,
    task: Waker,
}

impl FollowerWaker {
    pub(super) fn new(follower: impl Follower + 'static, task: Waker) -> Self {
        Self { follower: Box::new(follower), task }
    }

    fn follow(&self) {
        if !self.follower.follow(&self.task) {
            self.task.wake_by_ref();
        }
    }
}

impl Wake for FollowerWaker {
    fn wake(self: Arc<Self>) {
        Self::wake_by_ref(&self);
    }

    fn wake_by_ref(self: &Arc<Self>) {
        // A thread that ends leads nobody: what it drops last may still wake somebody.
        let joined = FOLLOWERS.try_with(|followers| {
            let mut followers = followers.borrow_mut();
            let Some(followers) = &mut *followers else { return false };
            // It would not get its turn here.
            if followers.len() >= MOST_FOLLOWERS {
                return false;
            }
            if !followers.iter().any(|known| Arc::ptr_eq(known, self)) {
                followers.push_back(self.clone());
            }
            true
        });
        if !joined.unwrap_or(false) {
            self.task.wake_by_ref();
        }
    }
}

/// Acts, then lets those follow whom that woke, and whom they wake; not for ever: what is left then is for the tasks.
pub(super) fn lead<R>(act: impl FnOnce() -> R) -> R {
    if FOLLOWERS.with(|followers| followers.borrow().is_some()) {
        return act();
    }
    FOLLOWERS.with(|followers| followers.replace(Some(VecDeque::new())));
    let led = Led;
    let result = act();
    for _ in 0..MOST_FOLLOWERS {
        let next = FOLLOWERS.with(|followers| followers.borrow_mut().as_mut().and_then(VecDeque::pop_front));
        let Some(next) = next else { break };
        next.follow();
    }
    drop(led);
    result
}

/// Also after a panic nobody waits for ever.
struct Led;

impl Drop for Led {
    fn drop(&mut self) {
        let left = FOLLOWERS.with(RefCell::take);
        left.into_iter().flatten().for_each(|follower| follower.task.wake_by_ref());
    }
}

thread_local! {
    /// Who follows on this thread, while it leads.
    static FOLLOWERS: RefCell<Option<VecDeque<Arc<FollowerWaker>>>> = const { RefCell::new(None) };
}

/// Turns that followers get on a writer's thread.
const MOST_FOLLOWERS: usize = 32;

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

    /// Wakes another one whenever it follows.
    struct Chain {
        follows: Arc<AtomicUsize>,
        next: Option<Waker>,
        can: bool,
    }

    impl Follower for Chain {
        fn follow(&self, _: &Waker) -> bool {
            self.follows.fetch_add(1, Ordering::Relaxed);
            self.next.iter().for_each(Waker::wake_by_ref);
            self.can
        }
    }

    fn chain(next: Option<Waker>, can: bool) -> (Waker, Arc<AtomicUsize>, Arc<Task>) {
        let (follows, task) = (Arc::new(AtomicUsize::new(0)), Arc::new(Task::default()));
        let follower = Chain { follows: follows.clone(), next, can };
        (Arc::new(FollowerWaker::new(follower, task.clone().into())).into(), follows, task)
    }

    fn counts(follows: &AtomicUsize, task: &Task) -> (usize, usize) {
        (follows.load(Ordering::Relaxed), task.0.load(Ordering::Relaxed))
    }

    #[test]
    fn who_is_woken_by_a_leader_follows_once_on_its_thread_and_wakes_further_ones() {
        let (second, second_follows, second_task) = chain(None, true);
        let (first, first_follows, first_task) = chain(Some(second), true);
        first.wake_by_ref();
        assert_eq!(counts(&first_follows, &first_task), (0, 1), "nobody leads: its task is woken");
        lead(|| {
            first.wake_by_ref();
            first.wake_by_ref();
            lead(|| first.wake_by_ref());
            assert_eq!(counts(&first_follows, &first_task), (0, 1), "after the leader");
        });
        assert_eq!(counts(&first_follows, &first_task), (1, 1));
        assert_eq!(counts(&second_follows, &second_task), (1, 0));
        first.wake_by_ref();
        assert_eq!(counts(&first_follows, &first_task), (1, 2));
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
        let (waker, follows, task) = chain(None, true);
        let ends = std::thread::spawn(move || {
            LAST.with(|last| last.0.set(Some(waker.clone())));
            lead(|| waker.wake_by_ref());
        });
        ends.join().expect("its end is not a panic");
        assert_eq!(counts(&follows, &task), (1, 1));
    }

    #[test]
    fn who_cannot_follow_is_left_to_its_task() {
        let (waker, follows, task) = chain(None, false);
        lead(|| waker.wake_by_ref());
        assert_eq!(counts(&follows, &task), (1, 1));
    }

    /// Two that wake each other for ever.
    struct Again(Arc<std::sync::OnceLock<Waker>>, Arc<AtomicUsize>);

    impl Follower for Again {
        fn follow(&self, _: &Waker) -> bool {
            self.1.fetch_add(1, Ordering::Relaxed);
            self.0.get().expect("set").wake_by_ref();
            true
        }
    }

    #[test]
    fn a_writer_gets_its_thread_back_and_a_panic_loses_nobody() {
        let (itself, follows, task) =
            (Arc::default(), Arc::new(AtomicUsize::new(0)), Arc::new(Task::default()));
        let follower = Again(Arc::clone(&itself), follows.clone());
        let waker: Waker = Arc::new(FollowerWaker::new(follower, task.clone().into())).into();
        itself.set(waker.clone()).expect("once");
        lead(|| waker.wake_by_ref());
        assert_eq!(counts(&follows, &task), (MOST_FOLLOWERS, 1));
        let (waker, follows, task) = chain(None, true);
        let panics = || {
            lead(|| {
                waker.wake_by_ref();
                panic!("as it does in this test");
            })
        };
        assert!(std::panic::catch_unwind(std::panic::AssertUnwindSafe(panics)).is_err());
        assert_eq!(counts(&follows, &task), (0, 1));
    }
}
