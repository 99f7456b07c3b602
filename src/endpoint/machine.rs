//! The endpoint: takes commands and operations, keeps the fabric client, the sockets and the listeners, and joins them.

mod accounting;
mod commands;
mod outputs;
mod routing;

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use super::sockets::AnySocket;
use super::spare::Spare;
use super::{EndpointConfig, Event, Handle, Owner, SocketQuestion};
use crate::client::Client;
use crate::deadlines::Deadlines;
use crate::entropy::{Entropy, Point};
use crate::socket::{Listener, SocketConfig};
use crate::wire::{ClientOp, ServerOp};

/// One endpoint. Drain the `poll_*` functions after every call, and call `handle_timeout` at `poll_timeout`.
pub struct Endpoint {
    client: Client<Owner>,
    /// In the order of their making, so that a simulated run replays.
    sockets: BTreeMap<Handle, AnySocket>,
    listeners: BTreeMap<Handle, Listening>,
    /// Sockets and listeners whose outputs have not been drained.
    touched: VecDeque<Touched>,
    spare: Spare,
    deadlines: Deadlines<Handle>,
    /// Requests over sockets that have not left yet, by ticket.
    questions: HashMap<Handle, (SocketQuestion, Instant)>,
    /// Who waits for the confirmation of a subscription.
    confirmations: HashMap<Handle, Handle>,
    config: EndpointConfig,
    /// Of the socket that was made last: the next one will be like it.
    made_with: Arc<SocketConfig>,
    events: VecDeque<Event>,
    ready: bool,
}

/// A listener and what its sockets are made with.
struct Listening {
    listener: Listener,
    config: Arc<SocketConfig>,
    /// Who waits for its end: it closes when its last socket has.
    ending: Vec<Handle>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Touched {
    Socket(Handle),
    Listener(Handle),
}

impl Endpoint {
    /// An endpoint that does not dial before the command to connect.
    pub fn new(config: EndpointConfig, entropy: Box<dyn Entropy>) -> Self {
        Self {
            client: Client::new(config.client.clone(), entropy),
            sockets: BTreeMap::new(),
            listeners: BTreeMap::new(),
            touched: VecDeque::new(),
            spare: Spare::default(),
            deadlines: Deadlines::new(),
            questions: HashMap::new(),
            confirmations: HashMap::new(),
            config,
            made_with: Arc::default(),
            events: VecDeque::new(),
            ready: false,
        }
    }

    /// Where answers come to.
    pub fn inbox(&self) -> &str {
        self.client.inbox()
    }

    /// The link that was asked for is up; what the broker calls it, or nothing.
    pub fn handle_link_up(&mut self, now: Instant, id: &str) {
        self.client.handle_link_up(now, id);
        self.settle(now);
    }

    /// The link is gone, or did not come up.
    pub fn handle_link_down(&mut self, now: Instant, reason: String) {
        self.client.handle_link_down(now, reason);
        self.settle(now);
    }

    /// The broker says something.
    pub fn handle_op(&mut self, now: Instant, op: ServerOp) {
        self.client.handle_op(now, op);
        self.settle(now);
    }

    /// When `handle_timeout` wants to be called.
    pub fn poll_timeout(&self) -> Option<Instant> {
        [self.client.poll_timeout(), self.deadlines.next()].into_iter().flatten().min()
    }

    /// A deadline has come.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.client.handle_timeout(now);
        self.reconnect_for_no_reason();
        while let Some(handle) = self.deadlines.pop_due(now) {
            self.with_socket(handle, |socket| socket.handle_timeout(now));
        }
        self.settle(now);
    }

    /// The next thing to tell the broker.
    pub fn poll_op(&mut self) -> Option<ClientOp> {
        self.client.poll_op()
    }

    /// The next news for the application.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// Whether a link is wanted now.
    pub fn poll_dial(&mut self) -> bool {
        self.client.poll_dial()
    }

    /// Whether the link is to be given up, after what was said has been flushed.
    pub fn poll_drop(&mut self) -> bool {
        self.client.poll_drop()
    }

    /// Carries news and outputs to and fro until nothing moves any more.
    fn settle(&mut self, now: Instant) {
        loop {
            if let Some(event) = self.client.poll_event() {
                self.handle_client_event(now, event);
            } else if let Some(touched) = self.touched.pop_front() {
                match touched {
                    Touched::Socket(handle) => self.drain_socket(now, handle),
                    Touched::Listener(handle) => self.drain_listener(now, handle),
                }
            } else {
                return;
            }
        }
    }

    /// Links may fall at any time.
    fn reconnect_for_no_reason(&mut self) {
        if self.client.takes(Point::SpuriousReconnect) {
            self.client.drop_link();
        }
    }

    /// Does something with a socket, if it is there, and remembers to look at what came of it.
    fn with_socket<R>(&mut self, handle: Handle, act: impl FnOnce(&mut AnySocket) -> R) -> Option<R> {
        let socket = self.sockets.get_mut(&handle)?;
        self.spare.lend(socket.outputs());
        let result = act(socket);
        self.touch(Touched::Socket(handle));
        Some(result)
    }

    fn with_listener<R>(&mut self, handle: Handle, act: impl FnOnce(&mut Listener) -> R) -> Option<R> {
        let result = act(&mut self.listeners.get_mut(&handle)?.listener);
        self.touch(Touched::Listener(handle));
        Some(result)
    }

    fn touch(&mut self, touched: Touched) {
        // A burst of messages is for one socket most of the time.
        if self.touched.back() != Some(&touched) {
            self.touched.push_back(touched);
        }
    }

    fn next_accepted(&self) -> Handle {
        self.config.handles.fetch_add(1, Ordering::Relaxed)
    }
}

/// How long the answer to a client that looks for a server waits for the client's inbox.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);
