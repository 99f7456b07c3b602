//! What applications do with the news, and what they hold against it at once.

use std::time::Duration;

use selvedge::base::Handle;
use selvedge::client::{Request, RequestKind};
use selvedge::endpoint::{Command, Delivery, Event, ListenerEvent, TicketEvent};
use selvedge::socket::{Consumed, SocketEvent, State};
use selvedge::wire::{Headers, Item, Message, Payload};

use crate::app::{Side, Sock};
use crate::world::{Outcome, World};

impl World {
    pub(crate) fn handle_event(&mut self, node: usize, event: Event) {
        self.note(Line(node, &event));
        match event {
            Event::Session(state) => self.nodes[node].session = Some(state),
            Event::Permission(_) | Event::ConnectFailed(_) => {}
            Event::Ticket(ticket, event) => match event {
                TicketEvent::Published { count, .. } => self.settle_ticket(ticket, Outcome::Published(count)),
                TicketEvent::Reply(message) => self.settle_ticket(ticket, Outcome::Reply(message.payload)),
                TicketEvent::Done(value) => self.settle_ticket(ticket, Outcome::Done(value)),
                TicketEvent::Failed(failure) => {
                    self.settle_ticket(ticket, Outcome::Failed(failure.code.to_string()))
                }
                TicketEvent::Strings(_) => {}
            },
            Event::Subscription(subscription, Delivery::Message(message)) => {
                self.delivered.entry(subscription).or_default().push(message);
            }
            Event::Subscription(subscription, Delivery::Timed(message, _)) => {
                self.delivered.entry(subscription).or_default().push(message);
            }
            Event::Subscription(subscription, Delivery::Bundle(bundle)) => {
                let messages = bundle.messages();
                self.delivered.entry(subscription).or_default().extend(messages);
            }
            // No subscription of a story has a bound, or is behind.
            Event::Subscription(_, Delivery::LeftOut(_) | Delivery::Bounded(..)) => {
                self.blame("messages were left out")
            }
            Event::Socket(socket, event) => self.handle_socket_event((node, socket), event),
            Event::Listener(listener, event) => self.handle_listener_event(node, listener, event),
        }
    }

    fn handle_socket_event(&mut self, sock: Sock, event: SocketEvent) {
        if self.take_line_event(sock, &event) {
            return;
        }
        match event {
            SocketEvent::Timed { .. } | SocketEvent::Stale(_) | SocketEvent::Dropped(_) => {
                self.blame("nothing has a time here")
            }
            SocketEvent::Counters(_)
            | SocketEvent::Unwelcome(_)
            | SocketEvent::Unserved(_)
            | SocketEvent::Collected
            | SocketEvent::ChooseServer
            | SocketEvent::Bound(_) => {}
            SocketEvent::Undelivered(data) => {
                match self.sides.get_mut(&sock) {
                    // Written before the application had heard of the end.
                    Some(side) if side.closed.is_some() && data.seq == 0 => {
                        let seq = side.undelivered.last().map_or(side.acked, |last| *last) + 1;
                        side.closed.iter_mut().for_each(|(_, undelivered)| *undelivered += 1);
                        if let Err(what) = side.take_back(seq, &data.payload) {
                            self.blame(format_args!("{sock:?}: {what}"));
                        }
                    }
                    _ => self.with_side(sock, |side| side.take_back(data.seq, &data.payload)),
                }
            }
            SocketEvent::PeerLost(_) | SocketEvent::Unreachable => {
                self.with_side(sock, |side| {
                    side.state = State::Disconnected;
                    Ok(())
                });
            }
            SocketEvent::State(state) => {
                self.with_side(sock, |side| {
                    side.state = state;
                    if state == State::Closed { Err("closed by the wrong event".to_owned()) } else { Ok(()) }
                });
            }
            SocketEvent::Closed { failure, undelivered, .. } => {
                self.check_asks_of_closed(sock);
                self.with_side(sock, |side| {
                    side.state = State::Closed;
                    side.consumed_at_close = failure.is_none().then_some(side.consumed);
                    side.closed = Some((failure, undelivered));
                    Ok(())
                });
            }
            SocketEvent::Data(batch) => {
                batch.items().for_each(|part| match part.payload.encoding {
                    encoding if encoding.is_data() => self.take_data(sock, &part.payload),
                    _ => self.take_other(sock, part),
                });
            }
            SocketEvent::RequestFailed { key, is_unhandled, .. } => self.take_failed(sock, key, is_unhandled),
            SocketEvent::RequestDone { key } => self.take_done(sock, key),
            SocketEvent::Request(message) => {
                self.with_side(sock, |_| Ok(()));
                self.note_question(&message.payload);
                let delay = self.handler_time();
                let message = Message::clone(&message);
                self.after(delay, move |world| world.answer(sock.0, message));
            }
            SocketEvent::Acked { messages, bytes } => self.take_ack(sock, messages, bytes),
        }
    }

    fn handle_listener_event(&mut self, node: usize, listener: Handle, event: ListenerEvent) {
        match event {
            ListenerEvent::State(_) => {}
            ListenerEvent::Accepted { socket, id, subject, .. } => {
                let window = self.nodes[node].listeners.get(&listener).map_or(0, |(window, _)| *window);
                let writer = self.writer();
                let mut side = Side::new(id, false, writer, window);
                side.window_bytes = self.byte_windows.get(&listener).copied().unwrap_or(u64::MAX);
                side.streams = self.streaming.get(&listener).copied().unwrap_or(true);
                // `….server.<server>.<socket>`
                side.server = subject.rsplit('.').nth(1).map(str::to_owned);
                if self.sides.insert((node, socket), side).is_some() {
                    self.blame(format_args!("{node}: handle {socket} was given twice"));
                }
            }
            ListenerEvent::Closed(failure) => {
                if let Some((_, closed)) = self.nodes[node].listeners.get_mut(&listener) {
                    *closed = Some(failure.map(|failure| failure.code.to_string()));
                }
            }
        }
    }

    /// Looks at one side; nothing may come for one that is closed.
    pub(crate) fn with_side(&mut self, sock: Sock, act: impl FnOnce(&mut Side) -> Result<(), String>) {
        let verdict = match self.sides.get_mut(&sock) {
            None => Err("an event for a socket that was never made".to_owned()),
            Some(side) if side.closed.is_some() => Err("an event after the close".to_owned()),
            Some(side) => act(side),
        };
        if let Err(what) = verdict {
            self.blame(format_args!("{sock:?}: {what}"));
        }
    }

    fn take_data(&mut self, sock: Sock, payload: &Payload) {
        self.with_side(sock, |side| side.receive(payload));
        if let Some((writer, seq)) = crate::app::parse(payload) {
            self.hear(sock, writer, crate::app::Call::Data(seq));
        }
        let Some(side) = self.sides.get(&sock) else { return };
        let (from, received, id) = (side.from, side.received, side.id.clone());
        if received == 1 {
            let reader = |(other, side): (&Sock, &Side)| *other != sock && side.from == from && !side.dead;
            if self.sides.iter().any(reader) {
                self.blame(format_args!("{sock:?}: what writer {from:?} wrote came to two sockets"));
            }
            if !self.sides.values().any(|side| Some(side.writer) == from && side.id == id) {
                self.blame(format_args!("{sock:?}: writer {from:?} is not at the other end"));
            }
        }
        if self.sides.get(&sock).is_some_and(|side| self.stuck.contains(&side.id)) {
            *self.stuck_with.entry(sock).or_default() += 1;
            return;
        }
        let (delay, bytes) = (self.handler_time(), payload.raw.len() as u64);
        self.after(delay, move |world| {
            if let Some(side) = world.sides.get_mut(&sock) {
                side.consumed += 1;
                side.consumed_bytes += bytes;
            }
            world.command(sock.0, Command::Consumed { socket: sock.1, counts: Consumed::data(1) });
        });
    }

    /// An acknowledgement means that the handler was called.
    fn take_ack(&mut self, sock: Sock, total: u64, bytes: u64) {
        let writer = self.sides.get(&sock).map(|side| side.writer);
        let handled: u64 =
            self.sides.values().filter(|side| side.from == writer).map(|side| side.consumed).sum();
        self.with_side(sock, |side| {
            let before = std::mem::replace(&mut side.acked, total);
            side.acked_bytes = bytes;
            if bytes > side.written_bytes || (total == side.written && bytes != side.written_bytes) {
                return Err(format!("acked {bytes} of {} bytes", side.written_bytes));
            }
            if total <= before || total > side.written || total > handled {
                let written = side.written;
                return Err(format!("acked {total} after {before}: {written} written, {handled} handled"));
            }
            Ok(())
        });
    }

    fn settle_ticket(&mut self, ticket: Handle, outcome: Outcome) {
        match self.tickets.get_mut(&ticket) {
            Some(open @ None) => *open = Some(outcome),
            other => {
                let what = format!("ticket {ticket}: {outcome:?} after {other:?}");
                self.blame(what);
            }
        }
    }

    fn answer(&mut self, node: usize, request: Message) {
        let Some(subject) = request.headers.reply else { return };
        let message = Message { subject, payload: request.payload, headers: Headers::default() };
        let kind = RequestKind::Publish;
        let timeout = Duration::from_secs(30);
        let request = Request { kind, message, timeout, wait_for_interest: true, ttl: None };
        self.command(node, Command::Request { ticket: None, request });
    }

    pub(crate) fn handler_time(&mut self) -> Duration {
        if self.slowness == 0 { Duration::ZERO } else { self.dice.millis(0, self.slowness) }
    }
}

/// An event in one line, without its payload.
struct Line<'a>(usize, &'a Event);

impl std::fmt::Display for Line<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self(node, event) = self;
        match event {
            Event::Socket(socket, SocketEvent::Data(batch)) => {
                batch.items().try_for_each(|Item { payload, json }| {
                    let (size, head) = (payload.raw.len(), payload.raw.get(..12));
                    write!(f, "{node} Data {socket} {head:?} {size} {}; ", json.is_some())
                })
            }
            Event::Socket(socket, SocketEvent::Request(message)) => {
                write!(f, "{node} Request {socket} {}", message.subject)
            }
            Event::Subscription(subscription, Delivery::Message(message)) => {
                write!(f, "{node} Delivered {subscription} {}", message.subject)
            }
            Event::Ticket(ticket, TicketEvent::Reply(_)) => write!(f, "{node} Reply {ticket}"),
            other => write!(f, "{node} {other:?}"),
        }
    }
}
