//! The endpoint: takes commands and operations, keeps the fabric client, the sockets and the listeners, and
//! joins them.

mod client_events;
mod commands;
mod presence;
mod socket_outputs;
mod usage;

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use super::intake::{Decision, Intake};
use super::left_out::LeftOut;
use super::probes::Probes;
use super::table::{Dirty, Table};
use super::unheard_subjects::UnheardSubjects;
use super::unread::UnreadBounds;
use super::watches::Watches;
use super::{Command, Delivery, EndpointConfig, Event, Token};
use crate::base::{Entropy, Failure, FaultPoint, Handle, Lag, LinkEvent, LinkRequest, Machine, earliest};
use crate::client::{Client, SessionState};
use crate::socket::{CloseReason, SocketConfig};
use crate::subject::Subject;
use crate::wire::{Carrier, ClientOp, ServerOp};

/// One endpoint.
pub struct Endpoint {
    client: Client<Token>,
    table: Table,
    watches: Watches,
    unheard: UnheardSubjects,
    /// Whether the link keeps the order of what is said.
    keeps_order: bool,
    probes: Probes,
    intake: Intake,
    left_out: LeftOut,
    unread: UnreadBounds,
    /// By socket: what it misses its server with.
    others: HashMap<Handle, Subject>,
    /// The broker's, of this connection or the last one.
    instance: Option<String>,
    instance_changed: bool,
    /// Bytes of the largest message that the broker takes, as far as it has said so.
    max_message: usize,
    /// The ticket that waits for the confirmation of a subscription.
    confirmations: HashMap<Handle, Handle>,
    /// The ticket that waits for the end of a subscription.
    drains: HashMap<Handle, Handle>,
    config: EndpointConfig,
    /// Of the socket that was created last: the next one will be like it.
    shared_config: Arc<SocketConfig>,
    events: VecDeque<Event>,
    ready: bool,
    /// When something was last done.
    latest: Option<Instant>,
    /// How long its connection may take to close.
    link_close: Duration,
}

impl Endpoint {
    /// Returns an endpoint that does not dial before the command to connect.
    pub fn new(config: EndpointConfig, entropy: Box<dyn Entropy>) -> Self {
        Self {
            client: Client::new(config.client.clone(), entropy),
            table: Table::new(config.intake.gaps),
            watches: Watches::default(),
            unheard: UnheardSubjects::default(),
            keeps_order: false,
            probes: Probes::default(),
            intake: Intake::new(config.intake),
            left_out: LeftOut::default(),
            unread: UnreadBounds::default(),
            others: HashMap::new(),
            instance: None,
            instance_changed: false,
            max_message: usize::MAX,
            confirmations: HashMap::new(),
            drains: HashMap::new(),
            config,
            shared_config: Arc::default(),
            events: VecDeque::new(),
            ready: false,
            latest: None,
            link_close: MAX_LINK_CLOSE,
        }
    }

    /// Returns where answers come to.
    pub fn inbox(&self) -> &str {
        self.client.inbox()
    }

    /// Carries events and outputs to and fro until nothing moves any more. Mostly nothing does.
    #[inline]
    fn settle(&mut self, now: Instant) {
        if self.client.has_event() || self.table.undrained() > 0 {
            self.settle_all(now);
        }
    }

    fn settle_all(&mut self, now: Instant) {
        loop {
            if let Some(event) = self.client.poll_event() {
                self.handle_client_event(now, event);
            } else if let Some(dirty) = self.table.pop_dirty() {
                match dirty {
                    Dirty::Socket(handle) => self.drain_socket(now, handle, false),
                    Dirty::RestingSocket(handle) => self.drain_socket(now, handle, true),
                    Dirty::Listener(handle) => self.drain_listener(now, handle),
                }
            } else {
                return;
            }
        }
    }

    /// Lets every socket send what follows from what was done with it; `are_fresh`: without those that wait
    /// for their next turn.
    fn flush_sockets(&mut self, now: Instant, are_fresh: bool) {
        if self.table.has_unflushed() {
            if self.table.flush(now, &mut self.intake, are_fresh) {
                self.share_out(now);
            }
            self.settle(now);
        }
    }

    /// Lets sockets send until there is something for the broker. Returns whether there is.
    fn flush_until_said(&mut self) -> bool {
        let (Some(now), mut rounds) = (self.latest, 0) else { return false };
        while !self.client.has_op() && self.table.has_unflushed() {
            self.flush_sockets(now, false);
            rounds += 1;
            debug_assert!(
                rounds < MAX_SILENT_ROUNDS,
                "a socket asks for one turn after another, and says nothing"
            );
        }
        self.client.has_op()
    }

    /// Lets those send on who have messages in pieces for this endpoint.
    fn share_out(&mut self, now: Instant) {
        while let Some(decision) = self.intake.poll_decision(now) {
            match decision {
                Decision::Grant(handle, offset) => {
                    self.table.with_socket(handle, |socket| socket.grant(offset));
                }
                Decision::Close(handle) => {
                    self.table.with_socket(handle, |socket| socket.close(CloseReason::StoodStill));
                    self.intake.remove(now, handle);
                }
            }
        }
    }

    /// Links may fall at any time.
    fn maybe_inject_reconnect(&mut self) {
        if self.client.should_inject(FaultPoint::SpuriousReconnect) {
            self.client.drop_link();
        }
    }

    fn next_accepted(&self) -> Handle {
        self.config.handles.fetch_add(1, Ordering::Relaxed)
    }
}

impl Machine for Endpoint {
    type Command = Command;
    type Event = Event;
    type Input = ServerOp;
    type Output = ClientOp;

    fn handle_command(&mut self, now: Instant, command: Command) {
        self.maybe_inject_reconnect();
        self.latest = Some(now);
        if command.publishes() {
            // What was written before leaves before, unless it is more than has a turn; at the end all of it.
            let rounds = if matches!(command, Command::Leave) { MAX_SILENT_ROUNDS } else { 1 };
            for _ in 0..rounds {
                self.flush_sockets(now, rounds == 1);
            }
        }
        self.carry_out(now, command);
        self.settle(now);
    }

    fn handle_link(&mut self, now: Instant, event: LinkEvent) {
        self.latest = Some(now);
        match event {
            LinkEvent::Up(link) => {
                self.keeps_order = link.wire != Carrier::Conat.name();
                self.client.handle_link_up(now, link);
            }
            LinkEvent::Unreachable(failure) => {
                let message = format!("cannot connect: {failure}");
                self.events.push_back(Event::ConnectFailed(Failure::new(failure.code, message)));
                self.client.handle_link_down(now, failure.message);
            }
            LinkEvent::Down(failure) => self.client.handle_link_down(now, failure.message),
            LinkEvent::Closed => self.client.handle_link_down(now, "given up".to_owned()),
        }
        self.settle(now);
    }

    fn handle_input(&mut self, now: Instant, op: ServerOp) {
        self.latest = Some(now);
        match self.client.only_owner(&op) {
            Some(token) => self.handle_publication(now, token, op),
            None => self.client.handle_op(now, op),
        }
        self.settle(now);
    }

    fn handle_surplus(&mut self, now: Instant, op: ServerOp, lag: Lag) {
        self.left_out.set_lag(Some(lag));
        self.handle_input(now, op);
        self.left_out.set_lag(None);
    }

    fn handle_timeout(&mut self, now: Instant) {
        self.latest = Some(now);
        for (subscription, messages) in self.left_out.take_due(now) {
            self.events.push_back(Event::Subscription(subscription, Delivery::LeftOut(messages)));
        }
        self.client.handle_timeout(now);
        self.maybe_inject_reconnect();
        self.look_up(now);
        self.table.settle_deadlines();
        while let Some(handle) = self.table.pop_due(now) {
            self.table.with_socket(handle, |socket| socket.handle_timeout(now));
        }
        self.intake.handle_timeout(now);
        self.share_out(now);
        self.settle(now);
    }

    /// Returns the next operation for the broker. What sockets have to send leaves when the rest has:
    /// together, for a batch of commands or of input.
    fn poll_output(&mut self) -> Option<ClientOp> {
        let says = self.client.has_op() || (self.table.has_unflushed() && self.flush_until_said());
        if says { self.client.poll_op() } else { None }
    }

    fn has_room(&self) -> bool {
        self.client.has_room()
    }

    fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    fn poll_link(&mut self) -> Option<LinkRequest> {
        if self.client.poll_drop() {
            return Some(LinkRequest::Close(self.link_close));
        }
        self.client.poll_dial().then_some(LinkRequest::Dial)
    }

    fn poll_timeout(&self) -> Option<Instant> {
        earliest([
            self.client.poll_timeout(),
            self.table.poll_timeout(),
            self.probes.poll_timeout(),
            self.intake.poll_timeout(),
            self.left_out.poll_timeout(),
        ])
    }

    fn is_last(event: &Event) -> bool {
        matches!(event, Event::Session(SessionState::Closed))
    }

    fn panicked() -> Event {
        Event::Session(SessionState::Closed)
    }
}

/// The time that a broker has for taking what was sent last: as long as the close may take, within these
/// bounds.
const MIN_LINK_CLOSE: Duration = Duration::from_millis(200);
const MAX_LINK_CLOSE: Duration = Duration::from_millis(800);
/// More rounds in a row than sockets ever need to say something.
const MAX_SILENT_ROUNDS: u32 = 1000;
/// How long the answer to a client that looks for a server waits for the client's inbox.
const REPLY_TIMEOUT: Duration = Duration::from_secs(30);
