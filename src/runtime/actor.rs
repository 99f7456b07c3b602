//! An actor: runs in a task of its own or, while that sleeps, on the thread that sends it something, so that
//! no switch of threads delays it.

use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::OnceLock;
use std::task::{Context, Poll, Waker};

use super::Mailbox;
use super::inline_wake::run_inline;
use super::sync::{Mutex, PoisonError};
use crate::base::{Urgent, Weigh};

/// The behaviour of an actor. Called by one thread at a time, always with the waker of its task.
pub(super) trait Behaviour: Send {
    /// What its mailbox holds.
    type Command: Weigh + Urgent;

    /// Does what there is to do. Ready when it is over; not called again then.
    fn poll(&mut self, mailbox: &Mailbox<Self::Command>, cx: &mut Context<'_>) -> Poll<()>;

    /// Does the part of it that follows from what is in the mailbox, and wakes the task if there is more to
    /// do.
    fn run_commands(&mut self, mailbox: &Mailbox<Self::Command>, cx: &mut Context<'_>);

    /// Does the part of it that follows from what has come over its link, and wakes the task if there is more
    /// to do.
    fn run_incoming(&mut self, mailbox: &Mailbox<Self::Command>, cx: &mut Context<'_>);
}

/// The actor, for its task and for those who write to it.
pub(super) struct Actor<B: Behaviour> {
    mailbox: Mailbox<B::Command>,
    state: Mutex<State<B>>,
    /// Wakes its task, once that runs.
    task: OnceLock<Waker>,
}

enum State<B> {
    Alive(B),
    /// A panic on a writer's thread; the task has to end.
    Panicked,
    /// Its task has ended.
    Gone,
}

/// It panicked on the thread of a writer.
#[derive(Debug)]
pub(super) struct Panicked;

impl<B: Behaviour> Actor<B> {
    /// Returns an actor whose task does not run yet.
    pub(super) fn new(behaviour: B) -> Self {
        Self {
            mailbox: Mailbox::default(),
            state: Mutex::new(State::Alive(behaviour)),
            task: OnceLock::new(),
        }
    }

    /// Hands over commands, in order. Little of them is acted on before this returns, if the actor has
    /// nothing else to do.
    pub(super) fn put(&self, commands: impl IntoIterator<Item = B::Command>) {
        // Without a waker the task is about to look into the mailbox by itself.
        let Some((waker, weight)) = self.mailbox.put_without_wake(commands) else { return };
        if weight > MAX_INLINE_BYTES || !run_inline(|| self.try_do(&waker, B::run_commands)) {
            waker.wake();
        }
    }

    /// Runs what follows from incoming operations on the thread of a waker. Returns whether it could.
    pub(super) fn run_incoming(&self, waker: &Waker) -> bool {
        self.try_do(waker, B::run_incoming)
    }

    /// Reads what may have come over its link, on this thread, unless another thread is at it.
    pub(super) fn read_ready(&self) {
        // Before its task has run there is no link.
        let Some(task) = self.task.get() else { return };
        if !run_inline(|| self.try_do(task, B::run_incoming)) {
            task.wake_by_ref();
        }
    }

    /// Returns the bytes that the actor has not processed yet.
    pub(super) fn weight(&self) -> usize {
        self.mailbox.weight()
    }

    /// Stops the actor where it is, because the writer is gone.
    pub(super) fn abandon(&self) {
        self.mailbox.abandon();
    }

    /// Runs the task's part until it is over. Returns what remains.
    pub(super) async fn run(&self) -> Result<Option<B>, Panicked> {
        let _gone = Gone(self);
        poll_fn(|cx| {
            self.task.get_or_init(|| cx.waker().clone());
            // A poisoned lock is a panic of this task, which does not get here again.
            let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
            match &mut *state {
                State::Alive(behaviour) => behaviour.poll(&self.mailbox, cx).map(|()| Ok(())),
                State::Panicked => Poll::Ready(Err(Panicked)),
                State::Gone => Poll::Ready(Ok(())),
            }
        })
        .await?;
        Ok(self.take())
    }

    /// Acts on this thread, unless the task is at it.
    fn try_do(&self, waker: &Waker, act: fn(&mut B, &Mailbox<B::Command>, &mut Context<'_>)) -> bool {
        let Ok(mut state) = self.state.try_lock() else { return false };
        let State::Alive(behaviour) = &mut *state else { return false };
        let mut cx = Context::from_waker(waker);
        let outcome = catch_unwind(AssertUnwindSafe(|| act(behaviour, &self.mailbox, &mut cx)));
        if outcome.is_err() {
            *state = State::Panicked;
        }
        outcome.is_ok()
    }

    fn take(&self) -> Option<B> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        match std::mem::replace(&mut *state, State::Gone) {
            State::Alive(behaviour) => Some(behaviour),
            State::Panicked | State::Gone => None,
        }
    }
}

/// Also when the task is aborted or panics, nothing of the actor stays with those who can write to it.
struct Gone<'a, B: Behaviour>(&'a Actor<B>);

impl<B: Behaviour> Drop for Gone<'_, B> {
    fn drop(&mut self) {
        drop(self.0.take());
    }
}

/// More than this is for the task, which works on it while the writer makes more.
const MAX_INLINE_BYTES: usize = 8 * 1024;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::endpoint::Command;
    use std::future::Future;
    use std::pin::pin;
    use std::sync::Arc;

    /// Fails at the second command that it acts on.
    struct Brittle {
        acted: usize,
        kept: Arc<()>,
    }

    impl Behaviour for Brittle {
        type Command = Command;

        fn poll(&mut self, mailbox: &Mailbox<Command>, cx: &mut Context<'_>) -> Poll<()> {
            mailbox.take_bounded(cx.waker(), 0, 0, &mut Vec::new());
            Poll::Pending
        }

        fn run_commands(&mut self, mailbox: &Mailbox<Command>, cx: &mut Context<'_>) {
            self.acted += 1;
            assert!(self.acted < 2, "the second one");
            mailbox.take(cx.waker(), 1, usize::MAX, &mut Vec::new());
        }

        fn run_incoming(&mut self, mailbox: &Mailbox<Command>, cx: &mut Context<'_>) {
            self.run_commands(mailbox, cx);
        }
    }

    #[test]
    fn a_panic_on_the_thread_of_the_writer_ends_the_actor_and_nothing_else() {
        let kept = Arc::new(());
        let actor = Actor::new(Brittle { acted: 0, kept: kept.clone() });
        let mut run = pin!(actor.run());
        let mut cx = Context::from_waker(Waker::noop());
        assert!(run.as_mut().poll(&mut cx).is_pending());
        actor.put([Command::Cancel(1)]);
        assert_eq!(actor.weight(), 0, "acted on at once");
        assert!(run.as_mut().poll(&mut cx).is_pending());
        actor.put([Command::Cancel(2)]);
        assert!(matches!(run.as_mut().poll(&mut cx), Poll::Ready(Err(Panicked))));
        actor.put([Command::Cancel(3)]);
        assert_eq!(Arc::strong_count(&kept), 1, "nothing of it is left");
    }

    #[test]
    fn a_big_batch_is_left_to_the_task() {
        let actor = Actor::new(Brittle { acted: 1, kept: Arc::default() });
        let mut run = pin!(actor.run());
        assert!(run.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
        actor.put(vec![Command::Connect; MAX_INLINE_BYTES]);
        assert!(!actor.mailbox.is_empty(), "nothing has looked at it here");
        let Some(brittle) = actor.take() else { panic!("it acted") };
        drop(brittle.kept);
    }
}
