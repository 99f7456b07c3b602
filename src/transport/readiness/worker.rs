//! The worker threads' watch over connections that the second thread sees, too.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use mio::unix::SourceFd;
use mio::{Events, Interest, Poll, Registry};
use tokio::io::unix::AsyncFd;
use tokio::select;
use tokio::sync::Notify;

use super::connection::Connection;
use super::{MAX_READY_EVENTS, Shared};
use crate::transport::timer::{now, wait_until};

/// Says which connections wake a worker thread.
#[derive(Debug)]
pub(super) struct Worker {
    registry: Registry,
    /// Those that the second thread is alone with.
    left: Mutex<Vec<Arc<Connection>>>,
    changed: Arc<Notify>,
}

/// Wakes those who wait for a connection that wakes a worker thread.
#[derive(Debug)]
pub(super) struct WorkerPoll {
    poll: Poll,
    changed: Arc<Notify>,
}

pub(super) fn new() -> io::Result<(Worker, WorkerPoll)> {
    let poll = Poll::new()?;
    let (registry, changed) = (poll.registry().try_clone()?, Arc::new(Notify::new()));
    Ok((Worker { registry, left: Mutex::default(), changed: changed.clone() }, WorkerPoll { poll, changed }))
}

impl Worker {
    /// Has a connection wake a worker thread, also for what is there already.
    pub(super) fn watch(&self, connection: &Connection) -> io::Result<()> {
        let _left = self.left();
        self.register(connection)
    }

    /// Ends a visit of the second thread. What it has left there is for a worker thread.
    pub(super) fn end_visit(&self, connection: &Arc<Connection>) {
        match connection.end_visit() {
            // Where it cannot be watched the second thread sees it all the same.
            Some(true) => drop(self.watch(connection)),
            Some(false) => self.leave(connection),
            None => {}
        }
        connection.wake_reader_if_readable();
    }

    /// Leaves a connection to the second thread, for as long as that is quick.
    fn leave(&self, connection: &Arc<Connection>) {
        let mut left = self.left();
        if connection.is_removed() {
            return;
        }
        // It is registered.
        let _ = self.registry.deregister(&mut SourceFd(&connection.fd));
        if !left.iter().any(|other| Arc::ptr_eq(other, connection)) {
            left.push(connection.clone());
        }
        if left.len() == 1 {
            self.changed.notify_one();
        }
    }

    /// Forgets a connection, which is closed next.
    pub(super) fn remove(&self, connection: &Connection) {
        let mut left = self.left();
        connection.set_removed();
        // Not registered while it is left to the second thread.
        let _ = self.registry.deregister(&mut SourceFd(&connection.fd));
        left.retain(|other| other.token != connection.token);
    }

    pub(super) fn stop(&self) {
        self.changed.notify_one();
    }

    /// Takes those back that the second thread did not visit for a while. Returns whether it is still alone
    /// with any.
    fn check(&self) -> bool {
        let mut left = self.left();
        left.retain(|connection| {
            let mut policy = connection.policy();
            if policy.wakes_worker() {
                return false;
            }
            policy.note_while();
            if policy.wakes_worker() {
                // Where it cannot be watched the second thread sees it as soon as it can.
                let _ = self.register(connection);
            }
            !policy.wakes_worker()
        });
        !left.is_empty()
    }

    fn register(&self, connection: &Connection) -> io::Result<()> {
        if connection.is_removed() {
            return Ok(());
        }
        self.registry.register(&mut SourceFd(&connection.fd), connection.token, Interest::READABLE)
    }

    /// While it is held no descriptor is closed.
    fn left(&self) -> MutexGuard<'_, Vec<Arc<Connection>>> {
        self.left.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl WorkerPoll {
    /// Runs until `shared` is gone.
    pub(super) async fn run(self, shared: Weak<Shared>) {
        let Self { poll, changed } = self;
        #[expect(deprecated, reason = "the new form is unsafe; a poll keeps its descriptor, as that wants")]
        let watched = AsyncFd::with_interest(poll, tokio::io::Interest::READABLE);
        let mut poll = match watched {
            Ok(poll) => poll,
            Err(error) => return tracing::error!(%error, "connections wake no worker thread"),
        };
        let mut events = Events::with_capacity(MAX_READY_EVENTS);
        let mut check_at = None;
        loop {
            select! {
                ready = poll.readable_mut() => {
                    let Ok(mut ready) = ready else { return };
                    let found = ready.get_inner_mut().poll(&mut events, Some(Duration::ZERO));
                    // Whatever comes from here on makes it ready again.
                    if found.is_ok() && events.iter().count() < MAX_READY_EVENTS {
                        ready.clear_ready();
                    }
                    if found.is_ok() {
                        wake_readers(&shared, &events);
                    }
                }
                () = changed.notified() => check_at = check_at.or_else(|| Some(now() + WHILE)),
                () = wait_for(check_at) => {
                    let is_any_left = shared.upgrade().is_some_and(|shared| shared.worker.check());
                    check_at = is_any_left.then(|| now() + WHILE);
                }
            }
            if shared.strong_count() == 0 {
                return;
            }
        }
    }
}

fn wake_readers(shared: &Weak<Shared>, events: &Events) {
    let Some(shared) = shared.upgrade() else { return };
    let connections = shared.connections();
    for event in events {
        if let Some(connection) = connections.get(&event.token()) {
            connection.note_readable(event);
            connection.wake_reader();
        }
    }
}

/// Waits until then; for ever if there is no such time.
async fn wait_for(time: Option<Instant>) {
    match time {
        Some(time) => wait_until(time).await,
        None => std::future::pending().await,
    }
}

/// A second thread that was not there for so long is busy.
const WHILE: Duration = Duration::from_millis(5);
