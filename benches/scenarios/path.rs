//! The whole way of a message through the machines: a socket of one endpoint, the broker, a socket of another
//! endpoint, and the acknowledgement back.

use std::time::{Duration, Instant};

use bytes::Bytes;
use selvedge::base::{Few, Handle, LinkEvent, LinkInfo, LinkRequest, Machine, SeededEntropy};
use selvedge::broker::{Broker, BrokerConfig, PeerId};
use selvedge::endpoint::{Command, Endpoint, EndpointConfig, Event, ListenerEvent};
use selvedge::socket::{Consumed, SocketConfig, SocketEvent, State};
use selvedge::subject::Subject;
use selvedge::wire::stream::key;
use selvedge::wire::{ClientOp, Encoding, Headers, Json, Message, Messages, Payload, ServerOp, push_item};

use super::wires::{Conat, Fabric, Wire};
use super::{PAYLOAD_BYTES, Work};

/// Without a protocol between.
pub fn memory() -> Work {
    work(|| Box::new(Memory))
}

/// Over our wire.
pub fn fabric() -> Work {
    work(|| Box::new(Fabric::new()))
}

/// Over our wire, through a broker with all that a monitor asks of it.
pub fn watched() -> Work {
    let config = BrokerConfig {
        is_watched: true,
        notes_subscriptions: true,
        report_interval_ms: Some(5000),
        ..BrokerConfig::default()
    };
    work_of(Path::through(config, || Box::new(Fabric::new()), SocketConfig::default()))
}

/// Over Conat's wire.
pub fn conat() -> Work {
    work(|| Box::new(Conat::new()))
}

/// Over our wire, between two ends that do not speak the stream.
pub fn without_stream() -> Work {
    work_of(Path::with(|| Box::new(Fabric::new()), SocketConfig { stream: false, ..SocketConfig::default() }))
}

/// Data that comes back, so many messages at a time, over our wire.
pub fn echo(batch: u32) -> Work {
    let mut path = Path::new(|| Box::new(Fabric::new()));
    Box::new(move |messages| {
        for start in (0..messages).step_by(batch as usize) {
            path.echo(batch.min(messages - start));
        }
    })
}

/// Requests over a socket and their answers, so many at a time, over our wire.
pub fn ask(batch: u32) -> Work {
    asking(Path::new(|| Box::new(Fabric::new())), batch)
}

/// The same of a peer that does not speak the stream, many at a time.
pub fn requests() -> Work {
    let sockets = SocketConfig { stream: false, ..SocketConfig::default() };
    asking(Path::with(|| Box::new(Fabric::new()), sockets), IN_FLIGHT)
}

fn asking(mut path: Path, batch: u32) -> Work {
    Box::new(move |requests| {
        for start in (0..requests).step_by(batch as usize) {
            path.ask(batch.min(requests - start));
        }
    })
}

/// One more socket that stays open and does nothing, for each message.
pub fn idle() -> Work {
    let mut path = Path::new(|| Box::new(Memory));
    Box::new(move |sockets| {
        for _ in 0..sockets {
            path.open();
        }
    })
}

/// Messages until the application gets its turn: what about one tick of a program writes.
const BATCH: u32 = 100;
/// Requests that wait for their answers together.
const IN_FLIGHT: u32 = 50;
/// Of a request or an answer in a batch, at least.
const ROOM_BYTES: usize = PAYLOAD_BYTES + 16;
/// What a round trip between processes takes, and of many at a time each.
const ROUND_TRIP: Duration = Duration::from_micros(200);
const TIME_OF_ONE: Duration = Duration::from_micros(8);
/// How often it is looked at what is due: nothing is sooner that waits for nobody.
const LOOK: Duration = Duration::from_millis(10);
const SUBJECT: &str = "bench.path";
const LISTENER: Handle = 1;
/// The first of the sockets.
const SOCKET: Handle = 2;
const WRITER: usize = 0;
const READER: usize = 1;

fn work(wire: fn() -> Box<dyn Wire>) -> Work {
    work_of(Path::new(wire))
}

fn work_of(mut path: Path) -> Work {
    Box::new(move |messages| {
        for start in (0..messages).step_by(BATCH as usize) {
            path.send(BATCH.min(messages - start));
        }
    })
}

struct Path {
    now: Instant,
    broker: Broker,
    ends: [End; 2],
    ops: Vec<ServerOp>,
    /// The socket that the reader accepted.
    accepted: Option<Handle>,
    /// Sockets of the writer, and those of them that are ready.
    opened: Handle,
    ready: Handle,
    /// Messages that came since the application last had its turn.
    unhandled: u64,
    acked: u64,
    sent: u64,
    /// Where answers are wanted.
    asked: Vec<Subject>,
    /// The latest key, and the keys that are to be answered.
    key: u64,
    keys: Vec<u64>,
    answered: u32,
    /// Room for what came.
    taken: Vec<Messages>,
    /// When it was last looked at what is due.
    looked_at: Instant,
}

struct End {
    endpoint: Endpoint,
    peer: PeerId,
    wire: Box<dyn Wire>,
    up: Vec<ClientOp>,
    down: Vec<ServerOp>,
}

impl Path {
    fn new(wire: fn() -> Box<dyn Wire>) -> Self {
        Self::with(wire, SocketConfig::default())
    }

    fn with(wire: fn() -> Box<dyn Wire>, sockets: SocketConfig) -> Self {
        Self::through(BrokerConfig::default(), wire, sockets)
    }

    #[allow(clippy::disallowed_methods)]
    fn through(config: BrokerConfig, wire: fn() -> Box<dyn Wire>, sockets: SocketConfig) -> Self {
        // The only look at the clock; no work depends on it.
        let now = Instant::now();
        let config = BrokerConfig { max_subscriptions_per_client: 1_000_000, ..config };
        let mut broker = Broker::new(config, Box::new(SeededEntropy::new(1)));
        let ends = [2, 3].map(|seed| {
            let mut endpoint = Endpoint::new(EndpointConfig::default(), Box::new(SeededEntropy::new(seed)));
            endpoint.handle_command(now, Command::Connect);
            assert_eq!(endpoint.poll_link(), Some(LinkRequest::Dial));
            endpoint.handle_link(now, LinkEvent::Up(LinkInfo::default()));
            let peer = broker.attach(now, Json::from_value(&serde_json::Value::Null));
            End { endpoint, peer, wire: wire(), up: Vec::new(), down: Vec::new() }
        });
        let mut path = Self {
            now,
            broker,
            ends,
            ops: Vec::new(),
            accepted: None,
            opened: 0,
            ready: 0,
            unhandled: 0,
            acked: 0,
            sent: 0,
            asked: Vec::new(),
            key: 0,
            keys: Vec::new(),
            answered: 0,
            taken: Vec::new(),
            looked_at: now,
        };
        path.settle();
        let (subject, config) = (SUBJECT.to_owned(), sockets);
        path.command(
            READER,
            Command::Listen { listener: LISTENER, subject, id: "server".into(), exclusive: false, config },
        );
        path.settle();
        path.open();
        path
    }

    /// Opens a socket. Its id is as long as those of programs.
    fn open(&mut self) {
        let (socket, subject, config) = (SOCKET + self.opened, SUBJECT.to_owned(), SocketConfig::default());
        let id = format!("{socket:032x}");
        self.opened += 1;
        self.accepted = None;
        self.command(WRITER, Command::SocketConnect { socket, subject, id, config });
        self.settle();
        assert!(self.ready == self.opened && self.accepted.is_some(), "the socket is open");
    }

    /// Writes so many messages in one go, as a program does in one tick, lets the reader handle them, and
    /// waits until the writer knows.
    fn send(&mut self, messages: u32) {
        self.write(WRITER, SOCKET, messages);
        self.sent += u64::from(messages);
        while self.acked < self.sent {
            self.settle();
            let count = std::mem::take(&mut self.unhandled);
            assert!(count > 0 || self.acked == self.sent, "{} of {} came back", self.acked, self.sent);
            if let Some(socket) = self.accepted.filter(|_| count > 0) {
                self.command(READER, Command::Consumed { socket, counts: Consumed::data(count) });
            }
        }
    }

    /// Writes so many messages in one go, which the reader handles and sends back in one go.
    fn echo(&mut self, messages: u32) {
        for (from, to, socket) in [(WRITER, READER, Some(SOCKET)), (READER, WRITER, self.accepted)] {
            let Some(socket) = socket else { continue };
            self.write(from, socket, messages);
            self.settle();
            let count = std::mem::take(&mut self.unhandled);
            assert_eq!(count, u64::from(messages), "everything comes over");
            let socket = if to == READER { self.accepted } else { Some(SOCKET) };
            if let Some(socket) = socket {
                self.command(to, Command::Consumed { socket, counts: Consumed::data(count) });
            }
        }
    }

    fn write(&mut self, end: usize, socket: Handle, messages: u32) {
        let payload = Payload::msgpack(Bytes::from_static(&[7; PAYLOAD_BYTES]));
        let mut written = Vec::new();
        (0..messages).for_each(|_| push_item(&mut written, &payload, None));
        self.say(end, socket, written);
    }

    /// Asks so many times in one go, and has all of it answered in one go.
    fn ask(&mut self, requests: u32) {
        let payload = Payload::msgpack(Bytes::from_static(&[7; PAYLOAD_BYTES]));
        let mut written = Vec::with_capacity(requests as usize * ROOM_BYTES);
        for key in self.key + 1..=self.key + u64::from(requests) {
            write_down(&mut written, Encoding::REQUEST, &[key, 10_000]);
        }
        self.key += u64::from(requests);
        self.say(WRITER, SOCKET, written);
        self.settle();
        // A peer of Conat is answered on its own subject.
        for subject in std::mem::take(&mut self.asked) {
            let message = Message { subject, payload: payload.clone(), headers: Headers::default() };
            self.command(READER, Command::Publish(message));
        }
        if let Some(socket) = self.accepted.filter(|_| !self.keys.is_empty()) {
            let requests = self.keys.len();
            let mut written = Vec::with_capacity(requests * ROOM_BYTES);
            self.keys.drain(..).for_each(|key| write_down(&mut written, Encoding::ANSWER, &[key]));
            self.say(READER, socket, written);
            let counts = Consumed { requests: requests as u64, ..Consumed::default() };
            self.command(READER, Command::Consumed { socket, counts });
        }
        self.settle();
        let answers = u64::from(std::mem::take(&mut self.answered));
        assert_eq!(answers, u64::from(requests), "every request is answered");
        let counts = Consumed { answers, ..Consumed::default() };
        self.command(WRITER, Command::Consumed { socket: SOCKET, counts });
        self.pass(ROUND_TRIP + requests * TIME_OF_ONE);
    }

    /// So much time passes: what one end tells the other only now and then is told in its time.
    fn pass(&mut self, time: Duration) {
        self.now += time;
        if self.now < self.looked_at + LOOK {
            return;
        }
        self.looked_at = self.now;
        for End { endpoint, .. } in &mut self.ends {
            if endpoint.poll_timeout().is_some_and(|at| at <= self.now) {
                endpoint.handle_timeout(self.now);
            }
        }
    }

    fn say(&mut self, end: usize, socket: Handle, written: Vec<u8>) {
        let batches = Messages::split(written.into()).expect("messages");
        self.command(end, Command::SocketWrite { sockets: Few::One(socket), batches, volatile: false });
    }

    /// Messages of a socket, as its application takes them.
    fn take(&mut self, batch: &Messages) {
        if batch.is_data() {
            self.unhandled += u64::from(batch.count());
            return;
        }
        batch.for_each_ref(|item| match item.encoding {
            Encoding::REQUEST => self.keys.extend(key(item.payload)),
            Encoding::ANSWER => self.answered += 1,
            _ => self.unhandled += 1,
        });
    }

    fn command(&mut self, end: usize, command: Command) {
        self.ends[end].endpoint.handle_command(self.now, command);
    }

    /// Carries operations to and fro until nobody has anything to say.
    fn settle(&mut self) {
        let mut is_busy = true;
        while is_busy {
            is_busy = false;
            for end in [WRITER, READER] {
                is_busy |= self.speak(end);
            }
            while let Some(peer) = self.broker.poll_woken() {
                is_busy |= self.deliver(peer);
            }
        }
    }

    /// Returns what an endpoint says goes to the broker; what it tells is for the application.
    fn speak(&mut self, at: usize) -> bool {
        let mut taken = std::mem::take(&mut self.taken);
        let end = &mut self.ends[at];
        let mut is_busy = false;
        while let Some(op) = end.endpoint.poll_output() {
            is_busy = true;
            end.wire.up(op, &mut end.up);
            end.up.drain(..).for_each(|op| self.broker.handle_op(self.now, end.peer, op));
        }
        while let Some(event) = end.endpoint.poll_event() {
            is_busy = true;
            match event {
                Event::Listener(_, ListenerEvent::Accepted { socket, .. }) => self.accepted = Some(socket),
                Event::Socket(_, SocketEvent::State(State::Ready)) => self.ready += 1,
                Event::Socket(_, SocketEvent::Data(batch)) => taken.push(batch),
                Event::Socket(_, SocketEvent::Request(message)) => {
                    self.asked.extend(message.headers.reply.clone())
                }
                Event::Socket(_, SocketEvent::Acked { messages, .. }) => self.acked = messages,
                _ => {}
            }
        }
        taken.drain(..).for_each(|batch| self.take(&batch));
        self.taken = taken;
        is_busy
    }

    fn deliver(&mut self, peer: PeerId) -> bool {
        self.broker.take_outbox(peer, &mut self.ops);
        let Some(end) = self.ends.iter_mut().find(|end| end.peer == peer) else { return false };
        let is_busy = !self.ops.is_empty();
        for op in self.ops.drain(..) {
            end.wire.down(op, &mut end.down);
            end.down.drain(..).for_each(|op| end.endpoint.handle_input(self.now, op));
        }
        is_busy
    }
}

/// Writes a request or an answer into a batch, as JavaScript does: length, kind, numbers, and what it
/// carries.
fn write_down(out: &mut Vec<u8>, kind: Encoding, numbers: &[u64]) {
    let start = out.len();
    out.extend_from_slice(&[0, 0, kind.0]);
    for &(mut number) in numbers {
        while number >= 0x80 {
            out.push(number.to_le_bytes()[0] | 0x80);
            number >>= 7;
        }
        out.push(number.to_le_bytes()[0]);
    }
    out.push(Encoding::MSGPACK.0);
    out.extend_from_slice(&[7; PAYLOAD_BYTES]);
    // In two bytes, however short it is.
    let length = (out.len() - start - 3) << 1;
    out[start] = length.to_le_bytes()[0] | 0x80;
    out[start + 1] = (length >> 7).to_le_bytes()[0];
}

/// Operations as they are, as between a client and a broker of one process.
struct Memory;

impl Wire for Memory {
    fn up(&mut self, op: ClientOp, into: &mut Vec<ClientOp>) {
        into.push(op);
    }

    fn down(&mut self, op: ServerOp, into: &mut Vec<ServerOp>) {
        into.push(op);
    }
}
