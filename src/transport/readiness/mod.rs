//! Connections that a second thread polls, too: one that sleeps in an event loop of its own, and can read
//! what comes without being woken by a worker thread.
//!
//! While little comes at a time and the second thread is quick, it alone is woken ([`WakePolicy`]).

mod connection;
mod registered;
mod wake_policy;
mod worker;

use std::collections::HashMap;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use mio::unix::SourceFd;
use mio::{Events, Interest, Registry, Token};
use tokio::net::{TcpStream, UnixStream};

use super::Stream;
use super::stream::BoxedStream;
use connection::Connection;
use registered::Registered;
use worker::{Worker, WorkerPoll};

/// Polls the readiness of registered connections for the second thread.
pub struct ReadinessPoller {
    poll: mio::Poll,
    events: Events,
    /// Those that the poll in progress has found.
    found: Vec<Arc<Connection>>,
    polls: u64,
    shared: Arc<Shared>,
}

/// The part that its streams share.
#[derive(Debug)]
struct Shared {
    registry: Registry,
    next_token: AtomicUsize,
    connections: Mutex<HashMap<Token, Arc<Connection>>>,
    worker: Worker,
    /// Until the first connection is there, and with it a runtime.
    worker_poll: Mutex<Option<WorkerPoll>>,
}

/// Watches the connections of one client.
#[derive(Debug, Clone)]
pub struct Registration {
    shared: Arc<Shared>,
    name: u32,
}

impl ReadinessPoller {
    /// Sees nothing yet.
    pub fn new() -> io::Result<Self> {
        let poll = mio::Poll::new()?;
        let (worker, worker_poll) = worker::new()?;
        let shared = Arc::new(Shared {
            registry: poll.registry().try_clone()?,
            next_token: AtomicUsize::new(0),
            connections: Mutex::default(),
            worker,
            worker_poll: Mutex::new(Some(worker_poll)),
        });
        Ok(Self {
            poll,
            events: Events::with_capacity(MAX_READY_EVENTS),
            found: Vec::new(),
            polls: 0,
            shared,
        })
    }

    /// Returns a descriptor that is readable when a connection is.
    pub fn fd(&self) -> RawFd {
        self.poll.as_raw_fd()
    }

    /// Returns a registration for the client of that name.
    pub fn registration(&self, name: u32) -> Registration {
        Registration { shared: self.shared.clone(), name }
    }

    /// Calls `visit` with each client whose connections have something to read. Meanwhile their streams can
    /// be read.
    pub fn poll_ready(&mut self, mut visit: impl FnMut(u32)) {
        // Interrupted at most; what is there stays to be seen.
        if self.poll.poll(&mut self.events, Some(Duration::ZERO)).is_err() {
            return;
        }
        let connections = self.shared.connections();
        self.found.extend(self.events.iter().filter_map(|event| {
            let connection = connections.get(&event.token())?;
            connection.note_readable(event);
            Some(connection.clone())
        }));
        drop(connections);
        self.polls += 1;
        for connection in self.found.drain(..) {
            connection.begin_visit(self.polls);
            visit(connection.client);
            self.shared.worker.end_visit(&connection);
        }
    }
}

impl Shared {
    fn connections(&self) -> MutexGuard<'_, HashMap<Token, Arc<Connection>>> {
        self.connections.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets both threads see a descriptor.
    fn add(self: &Arc<Self>, fd: RawFd, client: u32) -> io::Result<Arc<Connection>> {
        let token = Token(self.next_token.fetch_add(1, Ordering::Relaxed));
        let connection = Arc::new(Connection::new(fd, token, client));
        // Before it can be seen.
        self.connections().insert(token, connection.clone());
        let added = self.registry.register(&mut SourceFd(&fd), token, Interest::READABLE);
        if let Err(error) = added.and_then(|()| self.worker.watch(&connection)) {
            self.remove(&connection);
            return Err(error);
        }
        if let Some(poll) = self.worker_poll.lock().unwrap_or_else(PoisonError::into_inner).take() {
            tokio::spawn(poll.run(Arc::downgrade(self)));
        }
        Ok(connection)
    }

    fn remove(&self, connection: &Connection) {
        // It is not registered any more in any case, as it is closed now.
        let _ = self.registry.deregister(&mut SourceFd(&connection.fd));
        self.worker.remove(connection);
        self.connections().remove(&connection.token);
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        self.worker.stop();
    }
}

/// A connection of the runtime's that can be taken out of it.
pub(super) trait Source: Stream + AsRawFd + 'static {
    /// Returns its descriptor, which the runtime watches no more.
    fn into_fd(self) -> io::Result<OwnedFd>;
}

impl Source for TcpStream {
    fn into_fd(self) -> io::Result<OwnedFd> {
        self.into_std().map(OwnedFd::from)
    }
}

impl Source for UnixStream {
    fn into_fd(self) -> io::Result<OwnedFd> {
        self.into_std().map(OwnedFd::from)
    }
}

/// Lets `registration` see the stream too. Where that cannot be done it stays as it is.
pub(super) fn register(stream: impl Source, registration: Option<&Registration>) -> io::Result<BoxedStream> {
    let Some(Registration { shared, name }) = registration else { return Ok(Box::new(stream)) };
    let Ok(connection) = shared.add(stream.as_raw_fd(), *name) else { return Ok(Box::new(stream)) };
    let registered = stream.into_fd().and_then(|fd| Registered::new(fd, connection.clone(), shared.clone()));
    match registered {
        Ok(registered) => Ok(Box::new(registered)),
        Err(error) => {
            shared.remove(&connection);
            Err(error)
        }
    }
}

/// Connections that one poll finds at most; the others stay to be seen.
const MAX_READY_EVENTS: usize = 64;
/// Bytes read of a connection in one poll.
const MAX_READ_AHEAD_BYTES: usize = 16 * 1024;
