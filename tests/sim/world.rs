//! A world of endpoints, one broker and the applications above, in one thread, on a clock that jumps to
//! whatever comes next.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::{Duration, Instant};

use selvedge::base::{Code, Failure, Few, Handle, Lag, LinkEvent, LinkInfo, LinkRequest, Machine};
use selvedge::broker::BrokerConfig;
use selvedge::client::{ClientConfig, SessionState};
use selvedge::endpoint::{Command, Endpoint, EndpointConfig, IntakeLimits};
use selvedge::socket::SocketConfig;
use selvedge::wire::{Message, Messages, Payload, push_item};

use crate::app::{Side, Sock, payload};
use crate::dice::Dice;
use crate::narrow::{Narrow, Valve};
use crate::net::{Net, Notice};
use crate::process::Pending;
use crate::trace::{Keep, Trace};

pub struct World {
    pub now: Instant,
    pub start: Instant,
    pub net: Net,
    pub dice: Dice,
    pub nodes: Vec<Node>,
    pub sides: BTreeMap<Sock, Side>,
    /// What came of each ticket.
    pub tickets: BTreeMap<Handle, Option<Outcome>>,
    /// What application subscriptions got.
    pub delivered: BTreeMap<Handle, Vec<Message>>,
    /// Milliseconds that a handler takes, at most.
    pub slowness: u64,
    /// What endpoints take of messages in pieces.
    pub intake: IntakeLimits,
    /// Links that are full now and then; `None`: they take everything at once.
    pub narrow: Option<Narrow>,
    pub trace: Trace,
    /// What must not have happened.
    pub wrong: Vec<String>,
    /// The sockets (by id) whose handlers never return, until the faults stop.
    pub stuck: BTreeSet<String>,
    /// What they have been given meanwhile.
    pub stuck_with: BTreeMap<Sock, u64>,
    /// The sockets (by id) whose handlers take requests and answer none.
    pub deaf: BTreeSet<String>,
    /// What a socket says where data may have a time.
    pub line: Option<crate::ttl::Timeline>,
    /// Moments that the clock jumped to.
    pub steps: u64,
    /// What came of each request in the line of a socket.
    pub asks: BTreeMap<(Sock, u64), crate::asks::Ask>,
    /// When each process was started last.
    pub(crate) booted_at: BTreeMap<usize, Instant>,
    /// When somebody began to listen with an id last, and in which process.
    pub(crate) listened_at: BTreeMap<String, (usize, Instant)>,
    asked_by: BTreeMap<Handle, usize>,
    agenda: BTreeMap<(Instant, u64), Todo>,
    todos: u64,
    next_handle: Handle,
    pub(crate) writers: u32,
    /// In bytes, by listener.
    pub(crate) byte_windows: BTreeMap<Handle, u64>,
    /// Which listeners can speak the stream.
    pub(crate) streaming: BTreeMap<Handle, bool>,
}

/// One process with one endpoint.
#[derive(Default)]
pub struct Node {
    pub endpoint: Option<Endpoint>,
    pub session: Option<SessionState>,
    /// Its listeners, and whether they are closed; with the window of their sockets.
    pub listeners: BTreeMap<Handle, (usize, Option<Option<String>>)>,
    /// How far its clock is ahead.
    pub skew: Duration,
    /// Until then it does nothing, as after SIGSTOP.
    pub frozen_until: Option<Instant>,
    /// Until then its application is so far behind that data is left out.
    pub lags_until: Option<Instant>,
    /// When it last went on.
    pub thawed_at: Option<Instant>,
    /// What it will find then.
    pub backlog: VecDeque<Pending>,
    /// How much its link takes, if links are narrow.
    pub valve: Valve,
}

/// What came of a ticket.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    Done(bool),
    Published(u64),
    Reply(Payload),
    Failed(String),
}

pub type Todo = Box<dyn FnOnce(&mut World)>;

impl World {
    pub fn new(seed: u64) -> Self {
        Self::with_broker(seed, BrokerConfig::default())
    }

    #[allow(clippy::disallowed_methods)]
    pub fn with_broker(seed: u64, broker: BrokerConfig) -> Self {
        // An instant cannot be made from nothing. No other one is ever looked at, so runs do not depend on
        // it.
        let now = Instant::now();
        Self {
            now,
            start: now,
            net: Net::new(now, seed ^ 0x6e65_7477_6f72_6b21, broker),
            dice: Dice::new(seed),
            nodes: Vec::new(),
            sides: BTreeMap::new(),
            tickets: BTreeMap::new(),
            delivered: BTreeMap::new(),
            slowness: 0,
            intake: IntakeLimits::default(),
            narrow: None,
            trace: Trace::new(Keep::when(std::env::var_os("SELVEDGE_SIM_SEED").is_some())),
            wrong: Vec::new(),
            stuck: BTreeSet::new(),
            deaf: BTreeSet::new(),
            stuck_with: BTreeMap::new(),
            line: None,
            steps: 0,
            asks: BTreeMap::new(),
            booted_at: BTreeMap::new(),
            listened_at: BTreeMap::new(),
            asked_by: BTreeMap::new(),
            agenda: BTreeMap::new(),
            todos: 0,
            next_handle: 1,
            writers: 0,
            byte_windows: BTreeMap::new(),
            streaming: BTreeMap::new(),
        }
    }

    /// A process whose endpoint connects.
    pub fn node(&mut self) -> usize {
        let node = self.net.add_endpoint();
        self.nodes.push(Node::default());
        self.boot(node, ClientConfig::default());
        node
    }

    /// The process starts (again), and knows nothing.
    pub fn boot(&mut self, node: usize, client: ClientConfig) {
        self.kill(node);
        self.booted_at.insert(node, self.now);
        let config = EndpointConfig { client, intake: self.intake, ..EndpointConfig::default() };
        // Accepted sockets of an earlier life keep their names.
        let used = self.sides.keys().filter(|(of, handle)| *of == node && *handle >= 1 << 31).count();
        config.handles.fetch_add(u32::try_from(used).unwrap_or(0), std::sync::atomic::Ordering::Relaxed);
        self.nodes[node].endpoint = Some(Endpoint::new(config, self.dice.split(&self.net.rare)));
        self.command(node, Command::Connect);
    }

    /// The process dies.
    pub fn kill(&mut self, node: usize) {
        if self.nodes[node].endpoint.is_some() {
            self.expect_news_of(node);
            self.nodes[node].endpoint = None;
            self.note(format_args!("{node} dies"));
            self.net.kill(node);
            self.nodes[node] = Node::default();
            self.net.count("process death");
            let own = self.sides.iter_mut().filter(|((of, _), _)| *of == node);
            own.for_each(|(_, side)| side.dead = true);
            // Nobody is left to wait for these.
            self.tickets
                .retain(|ticket, outcome| outcome.is_some() || self.asked_by.get(ticket) != Some(&node));
        }
    }

    pub fn handle(&mut self) -> Handle {
        self.next_handle += 1;
        self.next_handle
    }

    pub fn ticket(&mut self, node: usize) -> Handle {
        let ticket = self.handle();
        self.tickets.insert(ticket, None);
        self.asked_by.insert(ticket, node);
        ticket
    }

    pub fn listen(&mut self, node: usize, subject: &str, id: &str, config: SocketConfig) -> Handle {
        let listener = self.handle();
        self.nodes[node].listeners.insert(listener, (config.max_queue, None));
        self.byte_windows.insert(listener, config.max_queue_bytes as u64);
        self.streaming.insert(listener, config.stream);
        let (subject, id) = (subject.to_owned(), id.to_owned());
        self.listened_at.insert(id.clone(), (node, self.now));
        self.command(node, Command::Listen { listener, subject, id, exclusive: true, config });
        listener
    }

    pub fn connect(&mut self, node: usize, subject: &str, config: SocketConfig) -> Sock {
        let id = format!("socket{}", self.next_handle + 1);
        self.connect_as(node, subject, &id, config)
    }

    /// A socket by an id that others may have too.
    pub fn connect_as(&mut self, node: usize, subject: &str, id: &str, config: SocketConfig) -> Sock {
        let (socket, id) = (self.handle(), id.to_owned());
        let mut side = Side::new(id.clone(), true, self.writer(), config.max_queue);
        side.window_bytes = config.max_queue_bytes as u64;
        side.knows_epochs = config.epoch.is_some();
        side.streams = config.stream;
        self.sides.insert((node, socket), side);
        self.command(node, Command::SocketConnect { socket, subject: subject.to_owned(), id, config });
        (node, socket)
    }

    pub(crate) fn writer(&mut self) -> u32 {
        self.writers += 1;
        self.writers
    }

    /// Writes so many messages, or as many as there is room for; says how many that were. In one go, so that
    /// they travel in runs, or one by one.
    pub fn write(&mut self, sock: Sock, count: u64, size: usize) -> u64 {
        // The application is as frozen as the rest of its process.
        let count = if self.nodes[sock.0].frozen_until.is_some() { 0 } else { count };
        let (mut written, mut messages) = (0, Vec::new());
        while written < count {
            let Some(side) = self.sides.get_mut(&sock) else { break };
            let (seq, payload) = (side.written + 1, payload(side.writer, side.written + 1, size));
            let json =
                seq.is_multiple_of(3).then(|| serde_json::json!({ "n": seq, "deep": [1.5, null, "x"] }));
            let json = json.as_ref().map(selvedge::wire::Json::from_value);
            let bytes = (payload.raw.len() + json.as_ref().map_or(0, |json| json.as_bytes().len())) as u64;
            if !side.fits(bytes) {
                break;
            }
            side.written += 1;
            side.calls.push(crate::app::Call::Data(side.written));
            side.written_bytes += bytes;
            push_item(&mut messages, &payload, json.as_ref());
            written += 1;
        }
        let batches = Messages::split(messages.into()).expect("messages");
        let singles =
            || batches.iter().flat_map(Messages::items).map(|part| Few::One(Messages::One(part))).collect();
        for batches in if self.dice.chance(0.5) { vec![batches.clone()] } else { singles() } {
            self.command(
                sock.0,
                Command::SocketWrite { sockets: Few::One(sock.1), batches, volatile: false },
            );
        }
        written
    }

    /// Writes one message that may be lost, if there is room for it.
    pub fn write_volatile(&mut self, sock: Sock, size: usize) {
        let is_frozen = self.nodes[sock.0].frozen_until.is_some();
        let Some(side) = self.sides.get_mut(&sock).filter(|_| !is_frozen) else { return };
        let payload = payload(side.writer, side.written + 1, size);
        let bytes = payload.raw.len() as u64;
        if !side.fits(bytes) {
            return;
        }
        side.written += 1;
        side.calls.push(crate::app::Call::Data(side.written));
        side.written_bytes += bytes;
        side.volatile.insert(side.written);
        let sockets = Few::One(sock.1);
        self.command(
            sock.0,
            Command::SocketWrite { sockets, batches: Few::One(Messages::one(payload, None)), volatile: true },
        );
    }

    /// A newer incarnation of a socket takes the place of an older one, somewhere else.
    pub fn supersede(&mut self, node: usize, subject: &str, older: Sock, config: SocketConfig) -> Sock {
        let id = self.sides[&older].id.clone();
        self.connect_as(node, subject, &id, config)
    }

    pub fn close(&mut self, sock: Sock) {
        if let Some(side) = self.sides.get_mut(&sock).filter(|_| self.narrow.is_some()) {
            // It may be some time before its link lets it.
            side.ending = true;
        }
        self.command(sock.0, Command::SocketClose { socket: sock.1, abort: None });
    }

    pub fn end(&mut self, sock: Sock, timeout: Duration) -> Handle {
        let ticket = self.ticket(sock.0);
        if let Some(side) = self.sides.get_mut(&sock) {
            side.ending = true;
        }
        self.command(sock.0, Command::SocketEnd { ticket, socket: sock.1, timeout });
        ticket
    }

    /// By hand: off, or on again.
    pub fn attach(&mut self, sock: Sock, attached: bool) {
        if let Some(side) = self.sides.get_mut(&sock) {
            side.detached = !attached;
        }
        let command = if attached { Command::SocketReconnect } else { Command::SocketDisconnect };
        self.command(sock.0, command(sock.1));
    }

    pub fn command(&mut self, node: usize, command: Command) {
        let now = self.clock(node);
        if self.nodes[node].frozen_until.is_some() {
            return self.nodes[node].backlog.push_back(Pending::Command(command));
        }
        let Node { endpoint, valve, .. } = &mut self.nodes[node];
        let has_room = endpoint.as_ref().is_some_and(Machine::has_room);
        let Some(command) = valve.keep(command, has_room) else { return };
        if let Some(endpoint) = &mut self.nodes[node].endpoint {
            endpoint.handle_command(now, command);
        }
        self.pump(node);
    }

    /// Something to do later.
    pub fn after(&mut self, delay: Duration, todo: impl FnOnce(&mut World) + 'static) {
        self.todos += 1;
        self.agenda.insert((self.now + delay, self.todos), Box::new(todo));
    }

    pub fn note(&mut self, line: impl std::fmt::Display) {
        self.trace.note(self.now - self.start, line);
    }

    pub fn blame(&mut self, what: impl std::fmt::Display) {
        let line = format!("WRONG: {what}");
        self.note(&line);
        self.wrong.push(line);
    }

    pub fn run_for(&mut self, time: Duration) {
        let until = self.now + time;
        while self.step(until) {}
    }

    /// Runs until `done`, or for `time` at most; says whether it was done.
    pub fn run_until(&mut self, time: Duration, mut done: impl FnMut(&World) -> bool) -> bool {
        let until = self.now + time;
        while !done(self) {
            if !self.step(until) {
                return done(self);
            }
        }
        true
    }

    /// Goes to what comes next, and does it. False when that is after `until`.
    fn step(&mut self, until: Instant) -> bool {
        let endpoints = (0..self.nodes.len()).filter_map(|node| self.next_of(node));
        let agenda = self.agenda.first_key_value().map(|((at, _), _)| *at);
        let next = endpoints.chain(agenda).chain(self.net.next_at()).min();
        let next = if self.net.has_notices() { Some(self.now) } else { next };
        let Some(next) = next.filter(|next| *next <= until) else {
            self.now = until;
            return false;
        };
        self.now = next.max(self.now);
        let mut told = 0;
        while let Some(notice) = self.net.poll_notice(self.now) {
            told += 1;
            if told > MAX_AT_ONCE {
                self.blame("so much at one time is a storm");
                self.net.hush();
                break;
            }
            self.tell(notice);
        }
        while let Some(entry) = self.agenda.first_entry().filter(|entry| entry.key().0 <= self.now) {
            entry.remove()(self);
        }
        for node in 0..self.nodes.len() {
            self.wake(node);
        }
        self.steps += 1;
        if self.steps == MAX_STEPS {
            self.blame("this goes on and on");
        }
        if self.steps >= MAX_STEPS || told > MAX_AT_ONCE {
            // Whoever runs it until some time must get there.
            self.now = until;
            return false;
        }
        self.check_bounds();
        true
    }

    pub(crate) fn tell(&mut self, notice: Notice) {
        let node = notice.endpoint();
        if self.nodes[node].frozen_until.is_some() {
            return self.nodes[node].backlog.push_back(Pending::Notice(notice));
        }
        let now = self.clock(node);
        if let Notice::Up(_) | Notice::Down(..) = notice {
            self.note(format_args!("{notice:?}"));
        }
        self.nodes[node].valve.handle_notice(&notice);
        let lags = self.nodes[node].lags_until.is_some_and(|until| self.now < until);
        if let Some(endpoint) = &mut self.nodes[node].endpoint {
            match notice {
                Notice::Up(_) => endpoint.handle_link(now, LinkEvent::Up(LinkInfo::default())),
                Notice::Down(_, why) => {
                    endpoint.handle_link(now, LinkEvent::Down(Failure::new(Code::Connect, why)))
                }
                Notice::Op(_, op) if lags => endpoint.handle_surplus(now, op, Lag::Extreme),
                Notice::Op(_, op) => endpoint.handle_input(now, op),
            }
        }
        self.pump(node);
    }

    /// Carries out what an endpoint wants, as far as its link has room.
    pub(crate) fn pump(&mut self, node: usize) {
        let now = self.clock(node);
        for _ in 0..MAX_WANTED {
            let Node { endpoint: Some(endpoint), valve, .. } = &mut self.nodes[node] else { return };
            let takes = self.narrow.is_none() || valve.takes();
            if takes && let Some(op) = endpoint.poll_output() {
                self.net.send(self.now, node, op);
                self.note_sent(node);
            } else if let Some(request) = endpoint.poll_link() {
                self.carry_out(node, now, request);
            } else if let Some(event) = endpoint.poll_event() {
                self.handle_event(node, event);
            } else if let Some(command) = valve.poll_command(endpoint.has_room()) {
                endpoint.handle_command(now, command);
            } else {
                return;
            }
        }
        self.blame(format_args!("{node} wants one thing after another, and no time passes"));
        self.nodes[node].endpoint = None;
    }

    fn carry_out(&mut self, node: usize, now: Instant, request: LinkRequest) {
        match request {
            LinkRequest::Dial => self.net.dial(self.now, node),
            LinkRequest::Close(_) | LinkRequest::CloseBy(_) => {
                self.send_rest(node);
                // Told at once, as the runtime does: what is dialled next is another link.
                self.net.hang_up(self.now, node);
                self.note(format_args!("{node} hangs up"));
                self.nodes[node].backlog.retain(|pending| matches!(pending, Pending::Command(_)));
                if let Some(endpoint) = &mut self.nodes[node].endpoint {
                    endpoint.handle_link(now, LinkEvent::Closed);
                }
            }
        }
    }
}

/// More than any life takes by far (some 10 000): something goes round in circles.
const MAX_STEPS: u64 = 1_000_000;

/// What reaches all processes together at one moment; thousands are normal when a link comes back.
const MAX_AT_ONCE: u64 = 20_000;

/// More than an endpoint ever wants at one time.
const MAX_WANTED: u64 = 1_000_000;
