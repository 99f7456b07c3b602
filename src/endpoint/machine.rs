//! The endpoint: takes commands and operations, keeps the fabric client, the sockets and the listeners, and
//! joins them.

mod accounting;
mod commands;
mod outputs;
mod routing;

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use super::queue_pool::QueuePool;
use super::sockets::AnySocket;
use super::{EndpointConfig, Event, Handle, SocketRequest, Token};
use crate::base::{Deadlines, Entropy, FaultPoint};
use crate::client::Client;
use crate::socket::{Listener, SocketConfig};
use crate::wire::{ClientOp, ServerOp};

/// One endpoint. Drain the `poll_*` functions after every call, and call `handle_timeout` at `poll_timeout`.
pub struct Endpoint {
    client: Client<Token>,
    /// In the order of their creation, so that a simulated run replays.
    sockets: BTreeMap<Handle, AnySocket>,
    listeners: BTreeMap<Handle, ListenerEntry>,
    /// Sockets and listeners whose outputs have not been drained.
    dirty: VecDeque<Dirty>,
    queue_pool: QueuePool,
    deadlines: Deadlines<Handle>,
    /// Requests over sockets that have not left yet, by ticket.
    requests: HashMap<Handle, (SocketRequest, Instant)>,
    /// The ticket that waits for the confirmation of a subscription.
    confirmations: HashMap<Handle, Handle>,
    config: EndpointConfig,
    /// Of the socket that was created last: the next one will be like it.
    shared_config: Arc<SocketConfig>,
    events: VecDeque<Event>,
    ready: bool,
}

/// A listener and what its sockets are made with.
struct ListenerEntry {
    listener: Listener,
    config: Arc<SocketConfig>,
    /// The tickets that wait for its end: it closes when its last socket has.
    ending: Vec<Handle>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Dirty {
    Socket(Handle),
    Listener(Handle),
}

impl Endpoint {
    /// Returns an endpoint that does not dial before the command to connect.
    pub fn new(config: EndpointConfig, entropy: Box<dyn Entropy>) -> Self {
        Self {
            client: Client::new(config.client.clone(), entropy),
            sockets: BTreeMap::new(),
            listeners: BTreeMap::new(),
            dirty: VecDeque::new(),
            queue_pool: QueuePool::default(),
            deadlines: Deadlines::new(),
            requests: HashMap::new(),
            confirmations: HashMap::new(),
            config,
            shared_config: Arc::default(),
            events: VecDeque::new(),
            ready: false,
        }
    }

    /// Returns where answers come to.
    pub fn inbox(&self) -> &str {
        self.client.inbox()
    }

    /// Takes the link that was asked for; `id` is the broker's name for it, if it has one.
    pub fn handle_link_up(&mut self, now: Instant, id: &str) {
        self.client.handle_link_up(now, id);
        self.settle(now);
    }

    /// Handles the loss of the link, or a failed attempt to get one.
    pub fn handle_link_down(&mut self, now: Instant, reason: String) {
        self.client.handle_link_down(now, reason);
        self.settle(now);
    }

    /// Takes an operation from the broker.
    pub fn handle_op(&mut self, now: Instant, op: ServerOp) {
        self.client.handle_op(now, op);
        self.settle(now);
    }

    /// Returns when `handle_timeout` is to be called.
    pub fn poll_timeout(&self) -> Option<Instant> {
        [self.client.poll_timeout(), self.deadlines.next()].into_iter().flatten().min()
    }

    /// Handles the deadlines that have passed.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.client.handle_timeout(now);
        self.maybe_inject_reconnect();
        while let Some(handle) = self.deadlines.pop_due(now) {
            self.with_socket(handle, |socket| socket.handle_timeout(now));
        }
        self.settle(now);
    }

    /// Returns the next operation for the broker.
    pub fn poll_op(&mut self) -> Option<ClientOp> {
        self.client.poll_op()
    }

    /// Returns the next event for the application.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// Returns whether a link is wanted now.
    pub fn poll_dial(&mut self) -> bool {
        self.client.poll_dial()
    }

    /// Returns whether to drop the link, after a flush.
    pub fn poll_drop(&mut self) -> bool {
        self.client.poll_drop()
    }

    /// Carries events and outputs to and fro until nothing moves any more.
    fn settle(&mut self, now: Instant) {
        loop {
            if let Some(event) = self.client.poll_event() {
                self.handle_client_event(now, event);
            } else if let Some(dirty) = self.dirty.pop_front() {
                match dirty {
                    Dirty::Socket(handle) => self.drain_socket(now, handle),
                    Dirty::Listener(handle) => self.drain_listener(now, handle),
                }
            } else {
                return;
            }
        }
    }

    /// Links may fall at any time.
    fn maybe_inject_reconnect(&mut self) {
        if self.client.should_inject(FaultPoint::SpuriousReconnect) {
            self.client.drop_link();
        }
    }

    /// Does something with a socket, if it is there, and remembers to look at what came of it.
    fn with_socket<R>(&mut self, handle: Handle, act: impl FnOnce(&mut AnySocket) -> R) -> Option<R> {
        let socket = self.sockets.get_mut(&handle)?;
        self.queue_pool.fill(socket.outputs());
        let result = act(socket);
        self.mark_dirty(Dirty::Socket(handle));
        Some(result)
    }

    fn with_listener<R>(&mut self, handle: Handle, act: impl FnOnce(&mut Listener) -> R) -> Option<R> {
        let result = act(&mut self.listeners.get_mut(&handle)?.listener);
        self.mark_dirty(Dirty::Listener(handle));
        Some(result)
    }

    fn mark_dirty(&mut self, dirty: Dirty) {
        // A burst of messages is for one socket most of the time.
        if self.dirty.back() != Some(&dirty) {
            self.dirty.push_back(dirty);
        }
    }

    fn next_accepted(&self) -> Handle {
        self.config.handles.fetch_add(1, Ordering::Relaxed)
    }
}

/// The time that the reply to a client that looks for a server waits for the client's inbox.
const REPLY_TIMEOUT: Duration = Duration::from_secs(30);
