//! The worker threads: one tokio runtime a process, shared by all JavaScript environments in it.

use std::future::Future;
use std::pin::pin;
use std::sync::OnceLock;
use std::task::Context;

use tokio::runtime::{Builder, EnterGuard, Runtime};

/// Runs `task` on the workers, to its end. A panic in it is reported to the log, and to nobody else: callers
/// that must know wrap it.
pub fn spawn<F>(task: F) -> tokio::task::JoinHandle<F::Output>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    runtime().spawn(task)
}

/// Ends the turn of a task that has more to do. It runs again when all others that are ready have had theirs
/// and the network was looked at: a task that only wakes itself is ready again before either.
pub(super) fn end_turn(cx: &mut Context<'_>) {
    // Polled once it hands the waker over; there is nothing else to it.
    let _ = pin!(tokio::task::yield_now()).poll(cx);
}

/// Lets this thread use timers and network of the runtime, while the guard lives.
pub(super) fn enter() -> EnterGuard<'static> {
    runtime().enter()
}

/// Runs a future on this thread, with timers and network of the runtime.
#[cfg(all(test, not(feature = "shuttle")))]
pub(super) fn block_on<F: Future>(future: F) -> F::Output {
    runtime().block_on(future)
}

/// Returns how many tasks are alive: for checks that nothing stays behind.
pub(super) fn tasks() -> usize {
    runtime().metrics().num_alive_tasks()
}

/// Returns how many there are.
pub(super) fn workers() -> usize {
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    (cores / 2).clamp(1, MAX_WORKERS)
}

fn runtime() -> &'static Runtime {
    static RUNTIME: OnceLock<Runtime> = OnceLock::new();
    RUNTIME.get_or_init(|| {
        Builder::new_multi_thread()
            .worker_threads(workers())
            .thread_name("selvedge")
            .enable_all()
            .build()
            .expect("the operating system gives threads and an event queue, or nothing would work")
    })
}

/// More would only take turns: one connection is one task, and JavaScript one thread.
const MAX_WORKERS: usize = 4;
