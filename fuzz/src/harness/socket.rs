//! Either end of a socket, and a peer, a fabric and an application that do anything.

use std::time::{Duration, Instant};

use arbitrary::{Result, Unstructured};
use bytes::Bytes;
use selvedge::socket::{
    ClientSocket, CommandError, Consumed, Output, ServerSocket, SocketConfig, SocketEnd, SocketEvent, State,
    Tag,
};
use selvedge::subject::Subject;
use selvedge::wire::{Headers, Message, Messages, Payload, SocketCommand};

use super::messages;

const WINDOW: usize = 4;

enum Either {
    Client(Box<ClientSocket>),
    Server(Box<ServerSocket>),
}

impl Either {
    fn end(&mut self) -> &mut dyn SocketEnd {
        match self {
            Self::Client(socket) => &mut **socket,
            Self::Server(socket) => &mut **socket,
        }
    }
}

/// What the fabric and the application have seen of it.
struct Watch {
    tags: Vec<Tag>,
    next: u64,
    given: u64,
    closed: bool,
}

/// One control message, or the answer to a resend request, at a socket that has a gap and something
/// unacknowledged.
pub fn acks(data: &[u8]) {
    let now = Instant::now();
    let mut socket = server(now);
    let mut watch = Watch::new();
    for _ in 0..WINDOW {
        let _ = socket.write(now, Messages::one(Payload::NIL, None), false);
    }
    let control = |payload| Message {
        subject: Subject::parse("s.server.id.sock").expect("valid"),
        headers: Headers::default().with_command(Some(SocketCommand::Socket)),
        payload,
    };
    let ahead = Headers::numbered(Some(3), None);
    let number = Payload::msgpack(Bytes::from(3_u64.to_le_bytes().to_vec()));
    socket.handle_message(now, Message { headers: ahead, ..control(number) });
    let mut either = Either::Server(Box::new(socket));
    watch.drain(&mut either);
    for tag in watch.tags.clone() {
        let answer = Message {
            headers: Headers::default(),
            ..control(Payload::msgpack(Bytes::copy_from_slice(data)))
        };
        either.end().handle_reply(now, tag, Ok(answer));
    }
    // The bytes of this answer are the fuzzer's: what it says they carry is not to be held against the order.
    while either.end().poll_output().is_some() {}
    let message = control(Payload::msgpack(Bytes::copy_from_slice(data)));
    either.end().handle_message(now, message);
    while either.end().poll_output().is_some() {}
    check(&mut either);
}

/// A whole life.
pub fn life(data: &[u8]) {
    let mut u = Unstructured::new(data);
    // The end of the data is the end of the life.
    let _ = live(&mut u);
}

fn live(u: &mut Unstructured<'_>) -> Result<()> {
    let mut now = Instant::now();
    let mut socket = if u.arbitrary()? {
        let config =
            SocketConfig { max_queue: WINDOW, reconnection: u.arbitrary()?, ..SocketConfig::default() };
        Either::Client(Box::new(ClientSocket::new("s", "sock", config).expect("valid")))
    } else {
        Either::Server(Box::new(server(now)))
    };
    let mut watch = Watch::new();
    watch.drain(&mut socket);
    while !u.is_empty() {
        step(u, &mut now, &mut socket, &mut watch)?;
        watch.drain(&mut socket);
        check(&mut socket);
    }
    socket.end().close(selvedge::socket::CloseReason::Local);
    watch.drain(&mut socket);
    if let Either::Server(_) = socket {
        assert!(watch.closed);
    }
    Ok(())
}

fn step(u: &mut Unstructured<'_>, now: &mut Instant, socket: &mut Either, watch: &mut Watch) -> Result<()> {
    match u.int_in_range(0..=15)? {
        0..=3 => {
            let message = messages::message(u)?;
            socket.end().handle_message(*now, message);
        }
        4..=6 if !watch.tags.is_empty() => {
            let index = u.choose_index(watch.tags.len())?;
            let tag = watch.tags.swap_remove(index);
            let answer = match u.int_in_range(0..=5)? {
                0 => Err(CommandError::NoSubscribers),
                1 => Err(CommandError::Failed),
                2 => Err(CommandError::ReceiverEnded),
                3 => Ok(Message { payload: messages::resent(u)?, ..messages::message(u)? }),
                _ => Ok(messages::message(u)?),
            };
            socket.end().handle_reply(*now, tag, answer);
        }
        7 | 8 => {
            let volatile = u.ratio(1, 4)?;
            for batch in messages::batches(u)? {
                let _ = socket.end().write(*now, batch.clone(), volatile);
            }
        }
        9 => {
            let count = u64::from(u.arbitrary::<u8>()?);
            socket.end().consumed(*now, Consumed { data: count, requests: count / 2, answers: count / 3 });
        }
        10 => {
            let timeout = *now + messages::duration(u)?;
            if u.ratio(1, 8)? {
                socket.end().end(*now, 1, timeout);
            }
        }
        11 | 12 => {
            *now += messages::duration(u)?;
            let due = socket.end().poll_timeout();
            if due.is_some_and(|at| at <= *now) {
                socket.end().handle_timeout(*now);
            }
        }
        13 => {
            let bundle = messages::bundle(u)?;
            if !socket.end().try_accept_bundle(*now, &bundle) {
                for message in bundle.messages() {
                    socket.end().handle_message(*now, message);
                }
            }
        }
        _ => turn(u, *now, socket)?,
    }
    Ok(())
}

/// The fabric comes and goes.
fn turn(u: &mut Unstructured<'_>, now: Instant, socket: &mut Either) -> Result<()> {
    match (socket, u.int_in_range(0..=6)?) {
        (Either::Client(socket), 0 | 1) => socket.handle_fabric_up(now),
        (Either::Client(socket), 2) => socket.handle_fabric_down(now),
        (Either::Client(socket), 3) => socket.handle_subscribed(now),
        (Either::Client(socket), 4) => socket.connect(now),
        (Either::Client(socket), 5) => socket.disconnect(now),
        (Either::Client(socket), _) => socket.handle_subscribe_failed(now, None),
        (Either::Server(socket), 0..=3) => socket.handle_fabric_up(now),
        (Either::Server(socket), _) => socket.handle_fabric_down(now),
    }
    Ok(())
}

impl Watch {
    fn new() -> Self {
        Self { tags: Vec::new(), next: 1, given: 0, closed: false }
    }

    /// Fetches what it wants, and holds it against the promise.
    fn drain(&mut self, either: &mut Either) {
        for index in 0.. {
            let Some(output) = either.end().poll_output() else { break };
            assert!(index < 100_000, "it never ends");
            match output {
                Output::Request { tag, .. } | Output::AwaitInterest { tag, .. } => self.tags.push(tag),
                Output::Event(event) => {
                    assert!(!self.closed, "{event:?} after the close");
                    self.take(event);
                }
                _ => {}
            }
        }
        // A fabric answers few questions late.
        self.tags.drain(..self.tags.len().saturating_sub(64));
    }

    fn take(&mut self, event: SocketEvent) {
        match event {
            SocketEvent::Closed { undelivered, .. } => {
                assert!(undelivered <= WINDOW);
                self.closed = true;
            }
            SocketEvent::State(State::Closed) => panic!("closed by the wrong event"),
            SocketEvent::Data(batch) => batch.items().for_each(|part| self.take_data(&part.payload)),
            _ => {}
        }
    }

    fn take_data(&mut self, payload: &Payload) {
        self.given += 1;
        let raw = &payload.raw;
        if raw.len() == 8 || raw.len() == 1 {
            let mut number = [0; 8];
            number[..raw.len()].copy_from_slice(raw);
            assert_eq!(u64::from_le_bytes(number), self.next, "out of order");
        }
        self.next += 1;
    }
}

fn check(either: &mut Either) {
    let usage = either.end().usage();
    assert!(usage.unacked <= WINDOW && usage.out_of_order <= WINDOW + 1 && usage.outputs == 0, "{usage:?}");
}

fn server(now: Instant) -> ServerSocket {
    let client = Subject::parse("s.client.sock").expect("valid");
    let config = SocketConfig {
        max_queue: WINDOW,
        keep_alive: Some(Duration::from_secs(5)),
        ..SocketConfig::default()
    };
    ServerSocket::new(now, client, config)
}
