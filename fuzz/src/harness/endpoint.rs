//! An endpoint with sockets and listeners, an application that wants anything, and a broker that says
//! anything.

use std::collections::HashSet;
use std::time::Instant;

use arbitrary::{Result, Unstructured};
use selvedge::base::{Code, Failure, LinkEvent, LinkInfo, Machine, SeededEntropy};
use selvedge::client::{Request as FabricRequest, RequestKind};
use selvedge::endpoint::{Command, Endpoint, EndpointConfig, Event, ListenerEvent, TicketEvent};
use selvedge::socket::{AnswerLimits, AskTerms, Consumed, SocketConfig, SocketEvent};
use selvedge::wire::stream::Request;
use selvedge::wire::{AckId, ClientOp, Item, Payload, ServerOp};

use super::messages;

/// A whole life: nothing comes of a socket after its close, tickets are settled once, and nothing is kept
/// after the end.
pub fn life(data: &[u8]) {
    let mut endpoint = Endpoint::new(EndpointConfig::default(), Box::new(SeededEntropy::new(1)));
    let (mut now, mut watch) = (Instant::now(), Watch::default());
    let _ = live(&mut Unstructured::new(data), &mut now, &mut endpoint, &mut watch);
    endpoint.handle_command(now, Command::Close(std::time::Duration::MAX));
    watch.drain(&mut endpoint);
    let usage = endpoint.usage();
    let left = [
        usage.sockets,
        usage.listeners,
        usage.arriving,
        usage.timers,
        usage.operations,
        usage.acks,
        usage.partial_bytes,
        usage.outputs,
    ];
    assert_eq!(left, [0; 8], "{usage:?}");
}

#[derive(Default)]
struct Watch {
    acks: Vec<AckId>,
    closed: HashSet<u32>,
    settled: HashSet<u32>,
    next: u32,
}

fn live(
    u: &mut Unstructured<'_>,
    now: &mut Instant,
    endpoint: &mut Endpoint,
    watch: &mut Watch,
) -> Result<()> {
    endpoint.handle_command(*now, Command::Connect);
    endpoint.handle_link(*now, LinkEvent::Up(LinkInfo::default()));
    while !u.is_empty() {
        match u.int_in_range(0..=11)? {
            0 => endpoint.handle_link(*now, LinkEvent::Up(LinkInfo::default())),
            1 if u.ratio(1, 3)? => {
                endpoint.handle_link(*now, LinkEvent::Down(Failure::new(Code::Connect, "down")))
            }
            2 => endpoint.handle_input(*now, ServerOp::Info(messages::info(u)?.into())),
            3..=5 if !watch.acks.is_empty() => {
                let id = watch.acks.swap_remove(u.choose_index(watch.acks.len())?);
                endpoint.handle_input(*now, ServerOp::Ack { id, reply: messages::reply(u)? });
            }
            6 | 7 => {
                let op = ServerOp::Deliver {
                    pattern: messages::pattern(u)?,
                    publication: messages::publication(u)?,
                };
                endpoint.handle_input(*now, op);
            }
            8 => {
                *now += messages::duration(u)?;
                if endpoint.poll_timeout().is_some_and(|at| at <= *now) {
                    endpoint.handle_timeout(*now);
                }
            }
            _ => {
                let command = command(u, watch)?;
                endpoint.handle_command(*now, command);
            }
        }
        watch.drain(endpoint);
    }
    Ok(())
}

fn command(u: &mut Unstructured<'_>, watch: &mut Watch) -> Result<Command> {
    let config = SocketConfig { max_queue: 4, ..SocketConfig::default() };
    let old = u.int_in_range(0..=watch.next)?;
    let mut fresh = || {
        watch.next += 1;
        watch.next
    };
    Ok(match u.int_in_range(0..=16)? {
        0 => Command::Listen {
            listener: fresh(),
            subject: "s".to_owned(),
            id: "id".to_owned(),
            exclusive: u.arbitrary()?,
            config,
        },
        1 => {
            Command::SocketConnect { socket: fresh(), subject: "s".to_owned(), id: "sock".to_owned(), config }
        }
        2 | 3 => Command::SocketWrite {
            sockets: vec![old, old + 1].into(),
            batches: messages::batches(u)?,
            volatile: u.arbitrary()?,
        },
        4 => ask(u, old, u64::from(fresh()))?,
        5 => Command::Consumed { socket: old, counts: Consumed::data(u64::from(u.arbitrary::<u8>()?)) },
        6 => Command::SocketDisconnect(old),
        7 => Command::SocketReconnect(old),
        8 if u.arbitrary()? => Command::SocketGiveUp(old),
        8 => Command::SocketClose { socket: old, abort: None },
        9 => Command::SocketEnd { ticket: fresh(), socket: old, timeout: messages::duration(u)? },
        10 => Command::ListenerClose(old),
        11 => Command::ListenerEnd { ticket: fresh(), listener: old, timeout: messages::duration(u)? },
        12 => Command::Subscribe {
            subscription: fresh(),
            ticket: Some(fresh()),
            pattern: messages::pattern(u)?,
            queue: None,
        },
        13 => Command::Unsubscribe(old),
        14 => Command::Request {
            ticket: Some(fresh()),
            request: FabricRequest {
                kind: RequestKind::Request,
                message: messages::message(u)?,
                timeout: messages::duration(u)?,
                wait_for_interest: u.arbitrary()?,
                ttl: None,
            },
        },
        15 => Command::Connect,
        _ => u.choose(&[Command::Disconnect, Command::DropTransport, Command::Connect])?.clone(),
    })
}

/// Over a socket: for one answer or many.
fn ask(u: &mut Unstructured<'_>, socket: u32, key: u64) -> Result<Command> {
    let limits = AnswerLimits { max_messages: u.arbitrary()?, max_wait: Some(messages::duration(u)?) };
    let many = u.arbitrary::<bool>()?.then_some(limits);
    let request = Request { key, timeout: u64::from(u.arbitrary::<u16>()?), payload: Payload::NIL };
    let question = Item { payload: request.encode(many.is_some()), json: None };
    let terms = AskTerms { many, wait_for_interest: u.arbitrary()? };
    Ok(Command::SocketAsk { socket, question, terms })
}

impl Watch {
    fn drain(&mut self, endpoint: &mut Endpoint) {
        while endpoint.poll_link().is_some() {}
        for index in 0.. {
            let Some(op) = endpoint.poll_output() else { break };
            assert!(index < 100_000, "it never ends");
            match op {
                ClientOp::Publish { ack: Some(id), .. }
                | ClientOp::Request { ack: id, .. }
                | ClientOp::Subscribe { ack: Some(id), .. }
                | ClientOp::WaitForInterest { ack: id, .. } => self.acks.push(id),
                _ => {}
            }
        }
        self.acks.drain(..self.acks.len().saturating_sub(64));
        for index in 0.. {
            let Some(event) = endpoint.poll_event() else { break };
            assert!(index < 100_000, "it never ends");
            self.take(&event);
        }
        assert_eq!(endpoint.usage().outputs, 0);
    }

    fn take(&mut self, event: &Event) {
        match event {
            Event::Socket(socket, SocketEvent::Closed { .. }) => {
                assert!(self.closed.insert(*socket), "closed twice");
            }
            Event::Listener(listener, ListenerEvent::Closed(_)) => {
                assert!(self.closed.insert(*listener), "closed twice");
            }
            Event::Socket(
                socket,
                SocketEvent::State(_)
                | SocketEvent::PeerLost(_)
                | SocketEvent::Data(_)
                | SocketEvent::Request(_)
                | SocketEvent::Acked { .. },
            ) => {
                assert!(!self.closed.contains(socket), "{event:?} after the close")
            }
            Event::Ticket(ticket, TicketEvent::Done(_) | TicketEvent::Failed(_) | TicketEvent::Reply(_)) => {
                assert!(self.settled.insert(*ticket), "settled twice: {event:?}");
            }
            _ => {}
        }
    }
}
