//! Events of the fabric client, carried to their owners.

use std::time::Instant;

use super::super::unread::Room;
use super::super::{Delivery, Event, TicketEvent, Token};
use super::Endpoint;
use crate::base::{Code, Failure, FaultPoint, Handle};
use crate::client::{ClientError, ClientEvent, SessionState};
use crate::socket::{CommandError, Listener, ListenerPart, SocketEvent, TagKind};
use crate::subject::Subject;
use crate::wire::{Bundle, Json, Message, OpError, Publication, ServerOp, split_ttl};

impl Endpoint {
    pub(super) fn handle_client_event(&mut self, now: Instant, event: ClientEvent<Token>) {
        match event {
            ClientEvent::Session(state) => self.handle_session(now, state),
            ClientEvent::Delivered { token, message } => self.handle_delivery(now, token, message),
            ClientEvent::Bundle { token, bundle } => self.handle_bundle(now, token, bundle),
            ClientEvent::Subscribed(token) => self.handle_subscribed(now, token),
            ClientEvent::Drained(Token::Subscription(subscription)) => {
                if let Some(ticket) = self.drains.remove(&subscription) {
                    self.events.push_back(Event::Ticket(ticket, TicketEvent::Done(true)));
                }
            }
            ClientEvent::Drained(_) => {}
            ClientEvent::Superseded(Token::ListenerSockets(listener)) => {
                let text = "another process listens with this id; do not listen again";
                self.close_listener(now, listener, Some(Failure::new(Code::Superseded, text)));
            }
            ClientEvent::Superseded(_) => {}
            ClientEvent::Revoked(token, error) => self.handle_revoked(now, token, error),
            ClientEvent::Published { token, bytes, count } => match token {
                Token::Ticket(ticket) => {
                    self.events.push_back(Event::Ticket(ticket, TicketEvent::Published { bytes, count }));
                }
                Token::Socket(socket, tag) if count == 0 => {
                    self.table.with_socket(socket, |socket| {
                        socket.handle_reply(now, tag, Err(CommandError::NoSubscribers));
                    });
                }
                _ => {}
            },
            ClientEvent::Reply { token, message } => match token {
                Token::Ticket(ticket) => {
                    self.events.push_back(Event::Ticket(ticket, TicketEvent::Reply(message)));
                }
                Token::Socket(socket, tag) => self.handle_socket_reply(now, socket, tag, Ok(message)),
                Token::SocketAsk(socket, key) => {
                    self.table.with_socket(socket, |socket| socket.handle_answer(now, key, message));
                }
                _ => {}
            },
            ClientEvent::Ended(token) => self.done(token, true),
            ClientEvent::Interest(Token::Listener(listener, tag), there) => {
                if let Some(incoming) =
                    self.table.with_listener(listener, |listener| listener.handle_interest(tag, there))
                {
                    self.handle_incoming(now, listener, incoming);
                }
            }
            ClientEvent::Interest(Token::Socket(socket, tag), there) => {
                self.table.with_socket(socket, |socket| socket.handle_interest(now, tag, there));
            }
            ClientEvent::Interest(Token::Probe(number), there) => {
                self.handle_probed(now, number, Some(there));
            }
            ClientEvent::Interest(token, there) => self.done(token, there),
            ClientEvent::Heard(Token::Socket(socket, tag), there) => {
                self.table.with_socket(socket, |socket| socket.handle_heard(tag, there));
            }
            ClientEvent::Heard(..) => {}
            ClientEvent::Watched(change) => self.handle_watched(now, change),
            ClientEvent::Synced(token) => self.done(token, true),
            ClientEvent::Cluster(token, strings) => {
                if let Token::Ticket(ticket) = token {
                    self.events.push_back(Event::Ticket(ticket, TicketEvent::Strings(strings)));
                }
            }
            ClientEvent::Failed(token, error) => self.handle_failure(now, token, error),
            ClientEvent::Permission { message, subject, kind } => {
                let news = serde_json::json!({ "message": message, "subject": subject, "type": kind });
                self.events.push_back(Event::Permission(Json::from_value(&news)));
            }
        }
    }

    /// Tells the application that it is connected before its sockets, and that it is disconnected after them.
    fn handle_session(&mut self, now: Instant, state: SessionState) {
        let (sockets, listeners) = (self.table.sockets(), self.table.listeners());
        match &state {
            // The user in it may be a secret of the application.
            SessionState::SignedIn(info) => tracing::debug!(broker = info.id, info.max_payload, "signed in"),
            other => tracing::debug!(state = ?other, "session"),
        }
        match state {
            SessionState::SignedIn(ref info) => {
                self.note_instance(info);
                let known = info.max_message.map(|bytes| usize::try_from(bytes).unwrap_or(usize::MAX));
                self.max_message = known.unwrap_or(usize::MAX);
                let has_origins = info.instance.is_some();
                for &listener in &listeners {
                    self.table.with_listener(listener, |listener| listener.set_has_origins(has_origins));
                }
                self.events.push_back(Event::Session(state));
            }
            SessionState::Ready => {
                self.ready = true;
                self.events.push_back(Event::Session(state));
                self.renew_watches(now);
                for listener in listeners {
                    self.table.with_listener(listener, Listener::handle_fabric_up);
                }
                for socket in sockets {
                    let keeps_order = self.keeps_order;
                    self.table.with_client(socket, |socket| socket.set_keeps_order(keeps_order));
                    let limit = self.max_message;
                    self.table.with_socket(socket, |socket| {
                        socket.set_limit(limit);
                        if !socket.is_closed() {
                            socket.handle_fabric_up(now);
                        }
                    });
                }
            }
            SessionState::Disconnected(_) => {
                self.ready = false;
                self.probes.clear();
                for socket in sockets {
                    self.table.with_socket(socket, |socket| socket.handle_fabric_down(now));
                    self.drain_socket(now, socket, false);
                }
                for listener in listeners {
                    self.table.with_listener(listener, Listener::handle_fabric_down);
                    self.drain_listener(now, listener);
                }
                self.events.push_back(Event::Session(state));
            }
            state => self.events.push_back(Event::Session(state)),
        }
    }

    /// Takes what one subscription gets.
    pub(super) fn handle_publication(&mut self, now: Instant, token: Token, op: ServerOp) {
        let ServerOp::Deliver { publication, .. } = op else { return };
        if publication.is_bundle() {
            if let Some(bundle) = publication.into_bundle() {
                self.handle_bundle(now, token, bundle);
            }
            return;
        }
        let Publication { subject, payload, headers, .. } = publication;
        self.handle_delivery(now, token, Message { subject, payload, headers });
    }

    fn handle_delivery(&mut self, now: Instant, token: Token, message: Message) {
        let is_numbered = message.headers.seq().is_some();
        if self.try_leave_out(now, token, 1, is_numbered) {
            return;
        }
        // Only data has numbers, and with them a promise to hold.
        let is_data = is_numbered && matches!(token, Token::SocketSubject(_) | Token::ListenerSockets(_));
        if is_data && self.client.should_inject(FaultPoint::DuplicateDelivery) {
            self.route_delivery(now, token, message.clone());
        }
        self.route_delivery(now, token, message);
    }

    /// Returns whether messages are left out, since the application lags: those of subscriptions before those
    /// of sockets, which come again.
    fn try_leave_out(&mut self, now: Instant, token: Token, messages: u64, is_numbered: bool) -> bool {
        match token {
            Token::Subscription(subscription) => self.left_out.try_leave_out(now, subscription, messages),
            Token::SocketSubject(_) | Token::ListenerSockets(_) => {
                is_numbered && self.left_out.leaves_out_data()
            }
            _ => false,
        }
    }

    fn route_delivery(&mut self, now: Instant, token: Token, mut message: Message) {
        let headers = &message.headers;
        if headers.seq().is_some()
            && headers.command.is_none()
            && headers.reply.is_none()
            && let Some(socket) = self.socket_of(token, &message.subject)
        {
            let mut given = None;
            if self.table.try_accept_one(now, socket, &mut message, &mut given) {
                if let Some(messages) = given {
                    self.events.push_back(Event::Socket(socket, SocketEvent::Data(messages)));
                }
                return;
            }
        }
        match token {
            Token::Subscription(subscription) => self.deliver(now, subscription, 1, timed(now, message)),
            Token::SocketSubject(socket) => {
                self.table.with_socket(socket, |socket| socket.handle_message(now, message));
            }
            Token::ListenerStatus(listener) => {
                self.table.with_listener(listener, |listener| listener.handle_status(now, &message));
            }
            Token::ListenerQuestions(listener) if self.table.takes_question(listener, &message.subject) => {
                if let Some(incoming) =
                    self.table.with_listener(listener, |listener| listener.handle_question(now, message))
                {
                    self.handle_incoming(now, listener, incoming);
                }
            }
            Token::ListenerSockets(listener) if self.table.is_for_another(listener, &message) => {}
            Token::ListenerSockets(listener) => {
                if let Some(incoming) =
                    self.table.with_listener(listener, |listener| listener.handle_message(now, message))
                {
                    self.handle_incoming(now, listener, incoming);
                }
            }
            _ => {}
        }
    }

    /// Delivers to a subscription, as far as its bound allows.
    fn deliver(&mut self, now: Instant, subscription: Handle, messages: u64, delivery: Delivery) {
        let delivery = match self.unread.claim(subscription, messages, delivery.bytes()) {
            Room::Unbounded => delivery,
            Room::Claimed(claim) => Delivery::Bounded(Box::new(delivery), claim),
            Room::Full => return self.left_out.count(now, subscription, messages),
        };
        self.events.push_back(Event::Subscription(subscription, delivery));
    }

    /// Delivers a bundle: unchanged to a subscription, and to a socket if these are exactly the messages it
    /// waits for.
    fn handle_bundle(&mut self, now: Instant, token: Token, bundle: Bundle) {
        let messages = bundle.count().into();
        if self.try_leave_out(now, token, messages, bundle.first.is_some()) {
            return;
        }
        if let Token::Subscription(subscription) = token {
            return self.deliver(now, subscription, messages, Delivery::Bundle(bundle));
        }
        if self.client.should_inject(FaultPoint::DuplicateDelivery) {
            self.route_bundle(now, token, &bundle);
        }
        self.route_bundle(now, token, &bundle);
    }

    fn route_bundle(&mut self, now: Instant, token: Token, bundle: &Bundle) {
        let socket = self.socket_of(token, &bundle.subject);
        if !socket.is_some_and(|socket| self.table.try_accept_bundle(now, socket, bundle)) {
            for message in bundle.messages() {
                self.handle_delivery(now, token, message);
            }
        }
    }

    /// The socket that data on a subject is for.
    fn socket_of(&mut self, token: Token, subject: &Subject) -> Option<Handle> {
        match token {
            Token::SocketSubject(socket) => Some(socket),
            Token::ListenerSockets(listener) => {
                self.table.listener_mut(listener).and_then(|entry| entry.listener.socket_of(subject))
            }
            _ => None,
        }
    }

    fn handle_subscribed(&mut self, now: Instant, token: Token) {
        match token {
            Token::Subscription(subscription) => {
                if let Some(ticket) = self.confirmations.remove(&subscription) {
                    self.events.push_back(Event::Ticket(ticket, TicketEvent::Done(true)));
                }
            }
            Token::SocketSubject(socket) => {
                self.table.with_client(socket, |socket| socket.handle_subscribed(now))
            }
            Token::ListenerStatus(listener)
            | Token::ListenerQuestions(listener)
            | Token::ListenerSockets(listener) => {
                self.table.with_listener(listener, Listener::handle_subscribed);
            }
            _ => {}
        }
    }

    fn handle_failure(&mut self, now: Instant, token: Token, error: ClientError) {
        match token {
            Token::Ticket(ticket) => {
                self.events.push_back(Event::Ticket(ticket, TicketEvent::Failed(error.into())))
            }
            Token::Subscription(subscription) => {
                if let Some(ticket) = self.confirmations.remove(&subscription) {
                    self.events.push_back(Event::Ticket(ticket, TicketEvent::Failed(error.into())));
                }
            }
            Token::Socket(_, tag) if tag.kind == TagKind::Interest => {}
            Token::Socket(socket, tag) if tag.kind == TagKind::Arrival => {
                self.table.with_socket(socket, |socket| socket.handle_interest(now, tag, false));
            }
            Token::Socket(socket, tag) => self.handle_socket_reply(now, socket, tag, Err(error)),
            Token::Probe(number) => self.handle_probed(now, number, None),
            Token::SocketAsk(socket, key) => {
                let closed = Failure::new(Code::BrokenPipe, "closed");
                let failure = if error == ClientError::Closed { closed } else { error.into() };
                self.table.with_socket(socket, |socket| socket.handle_ask_failed(key, failure));
            }
            Token::SocketSubject(socket) => {
                let refused = if let ClientError::Refused(error) = error { Some(error) } else { None };
                self.table.with_client(socket, |socket| socket.handle_subscribe_failed(now, refused));
            }
            Token::ListenerStatus(listener)
            | Token::ListenerQuestions(listener)
            | Token::ListenerSockets(listener) => {
                let part = match token {
                    Token::ListenerStatus(_) => ListenerPart::Status,
                    Token::ListenerQuestions(_) => ListenerPart::Questions,
                    _ => ListenerPart::Sockets,
                };
                if let ClientError::Timeout { .. } = error {
                    self.table.with_listener(listener, |listener| listener.handle_unconfirmed(part));
                } else if part == ListenerPart::Questions {
                    tracing::warn!(listener, %error, "not asked by clients that ask whoever listens");
                    self.table.with_listener(listener, Listener::handle_questions_refused);
                } else {
                    self.close_listener(now, listener, Some(error.into()));
                }
            }
            Token::Listener(listener, tag) => {
                self.table.with_listener(listener, |listener| listener.handle_interest(tag, false));
            }
        }
    }

    /// Closes sockets and listeners of which nobody can reach any more; plain subscriptions are tried again.
    fn handle_revoked(&mut self, now: Instant, token: Token, error: OpError) {
        match token {
            Token::SocketSubject(socket) => {
                self.client.unsubscribe(token);
                self.table.with_client(socket, |socket| socket.handle_subscribe_failed(now, Some(error)));
            }
            Token::ListenerStatus(listener) | Token::ListenerSockets(listener) => {
                self.close_listener(now, listener, Some(ClientError::Refused(error).into()));
            }
            _ => {}
        }
    }

    fn done(&mut self, token: Token, value: bool) {
        if let Token::Ticket(ticket) = token {
            self.events.push_back(Event::Ticket(ticket, TicketEvent::Done(value)));
        } else if let Token::SocketAsk(socket, key) = token {
            self.table.with_socket(socket, |socket| socket.handle_answered(key));
        }
    }
}

/// A message that says how long it is worth reading has this time from now on. Those that want an answer
/// have a time of their own.
fn timed(now: Instant, mut message: Message) -> Delivery {
    let headers = &mut message.headers;
    match headers.json.as_ref().filter(|_| headers.reply.is_none()).and_then(split_ttl) {
        Some((left, others)) => {
            headers.json = others;
            Delivery::Timed(message, now + left)
        }
        None => Delivery::Message(message),
    }
}
