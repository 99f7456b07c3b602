//! Sockety's connections and servers in one JavaScript environment.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use super::sockety_options::{SocketyConnectOptions, SocketyListenOptions};
use crate::base::{Chunk, Failure, Handle};
use crate::boundary::{HostEvent, SocketyServerEvent, read_operations};
use crate::runtime::{ByteAcceptor, DriverHandle, Drivers, EventQueue, OpenPort, PortEvent, open_port};
use crate::sockety::{Budget, Config, Connection, Event};
use crate::transport::timer::now;
use crate::transport::{BoxedLink, ByteDialer, HandshakeLimiter, IncomingConnection, Registration};
use bytes::Bytes;

/// All of them.
pub struct SocketySystem {
    pub(super) connections: Drivers<Connection>,
    servers: HashMap<Handle, OpenPort>,
    /// Buffers that the next batch refers to.
    attached: Vec<Bytes>,
    /// Buffers that any batch may refer to, until they are released.
    kept: HashMap<u32, Bytes>,
    last_kept: u32,
    accepted: AcceptedConnections,
    /// Handles of accepted connections.
    handles: Arc<AtomicU32>,
}

/// Connections whose event has not been drained: their machines start when JavaScript knows of them.
type AcceptedConnections = Arc<Mutex<HashMap<Handle, (BoxedLink<Bytes, Chunk>, Config, Budget)>>>;

impl SocketySystem {
    pub(super) fn new(handles: Arc<AtomicU32>) -> Self {
        Self {
            connections: Drivers::default(),
            servers: HashMap::new(),
            attached: Vec::new(),
            kept: HashMap::new(),
            last_kept: FIRST_KEPT,
            accepted: Arc::default(),
            handles,
        }
    }

    /// Copies a buffer for the next batch; returns its number.
    pub(super) fn attach(&mut self, bytes: &[u8]) -> usize {
        self.attached.push(Bytes::copy_from_slice(bytes));
        self.attached.len() - 1
    }

    /// Copies a buffer for all batches to come; returns its number.
    pub(super) fn keep(&mut self, bytes: &[u8]) -> u32 {
        loop {
            self.last_kept = self.last_kept.wrapping_add(1).max(FIRST_KEPT);
            if let Entry::Vacant(place) = self.kept.entry(self.last_kept) {
                place.insert(Bytes::copy_from_slice(bytes));
                return self.last_kept;
            }
        }
    }

    /// Forgets a buffer that was kept; returns its size.
    pub(super) fn release(&mut self, number: u32) -> usize {
        self.kept.remove(&number).map_or(0, |bytes| bytes.len())
    }

    /// Forgets the attached buffers: the batch that referred to them has been read.
    pub(super) fn detach(&mut self) {
        self.attached.clear();
    }

    /// Hands the operations in a record to a connection.
    pub(super) fn submit(&mut self, connection: Handle, record: Bytes) -> Result<(), Failure> {
        let attached = |number: u32| match number {
            FIRST_KEPT.. => self.kept.get(&number).cloned(),
            _ => self.attached.get(number as usize).cloned(),
        };
        let commands = read_operations(record, &attached)?;
        self.connections.put(connection, commands);
        Ok(())
    }

    /// Takes note of what JavaScript is about to be told.
    pub(super) fn handle_event(&mut self, event: &HostEvent, events: &Arc<EventQueue>) {
        match event {
            HostEvent::SocketyServer(_, SocketyServerEvent::Accepted(handle, _)) => {
                let accepted = self.accepted.lock().unwrap_or_else(PoisonError::into_inner).remove(handle);
                if let Some((link, config, budget)) = accepted {
                    let machine = Connection::accept_within(now(), config, budget);
                    self.connections
                        .insert(*handle, DriverHandle::accept(*handle, machine, link, events.clone()));
                }
            }
            HostEvent::Sockety(handle, Event::Finished(_)) => self.connections.forget(*handle),
            _ => {}
        }
    }

    /// Starts a connection.
    pub(super) fn connect(
        &mut self,
        handle: Handle,
        options: &SocketyConnectOptions,
        registration: Option<Registration>,
        events: &Arc<EventQueue>,
    ) -> Result<(), Failure> {
        let dialer = ByteDialer {
            place: options.place(),
            tls: options.tls()?,
            connect_timeout: options.connect_timeout(),
            registration,
        };
        let machine = Connection::connect(now(), options.connection.config());
        let driver = DriverHandle::spawn(handle, machine, dialer, events.clone(), None);
        self.connections.insert(handle, driver);
        Ok(())
    }

    /// Starts a server. An event reports that it listens, or why it does not.
    pub(super) fn listen(
        &mut self,
        server: Handle,
        options: &SocketyListenOptions,
        events: &Arc<EventQueue>,
    ) -> Result<(), Failure> {
        let (config, budget) = (options.connection.config(), options.budget());
        let limiter = HandshakeLimiter::new(MAX_HANDSHAKES, MAX_HANDSHAKES);
        let acceptor = ByteAcceptor::new(options.tls()?, config.handshake_timeout, limiter);
        let (accepted, handles) = (self.accepted.clone(), self.handles.clone());
        let accepting_events = events.clone();
        let accept = move |connection: IncomingConnection| {
            let (accepted, handles) = (accepted.clone(), handles.clone());
            let (config, budget) = (config.clone(), budget.clone());
            let (events, address) = (accepting_events.clone(), connection.address());
            acceptor.accept(connection, move |link| {
                let mut accepted = accepted.lock().unwrap_or_else(PoisonError::into_inner);
                if accepted.len() >= MAX_ACCEPTED {
                    tracing::debug!(?address, "too many connections wait for JavaScript, connection dropped");
                    return;
                }
                let handle = handles.fetch_add(1, Ordering::Relaxed);
                accepted.insert(handle, (link, config, budget));
                drop(accepted);
                let event = SocketyServerEvent::Accepted(handle, address);
                events.put([HostEvent::SocketyServer(server, event)]);
            });
        };
        let events = events.clone();
        let report = move |event| {
            let event = match event {
                PortEvent::Ready(address) => SocketyServerEvent::Listening(address),
                PortEvent::Closed => SocketyServerEvent::Closed,
                PortEvent::Failed(failure) => SocketyServerEvent::Failed(failure),
            };
            events.put([HostEvent::SocketyServer(server, event)]);
        };
        self.servers.insert(server, open_port(options.place(), accept, report));
        Ok(())
    }

    /// Stops listening. Connections go on.
    pub(super) fn close_server(&mut self, server: Handle) {
        self.servers.remove(&server);
    }
}

/// The number of the first buffer that is kept; those of one batch are below.
const FIRST_KEPT: u32 = 1 << 31;
/// Connections that may be in TLS's handshake at once.
const MAX_HANDSHAKES: usize = 1000;
/// Accepted connections that may wait until JavaScript has time for them.
const MAX_ACCEPTED: usize = 1024;
