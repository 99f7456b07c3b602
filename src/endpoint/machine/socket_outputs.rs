//! The outputs of sockets and listeners, carried to the fabric and the application.

use std::time::{Duration, Instant};

use super::super::table::Drained;
use super::super::{Event, ListenerEvent, TicketEvent, Token};
use super::commands::NOBODY;
use super::{Endpoint, REPLY_TIMEOUT};
use crate::base::{FaultPoint, Handle};
use crate::client::{ClientError, ReplyLimits, Request, RequestKind, SubscriptionKind};
use crate::socket::{
    AnswerLimits, CommandError, ListenerAction, ListenerEntry as SocketEntry, ListenerPart, Output,
    ServerSocket, SocketConfig, SocketEnd, SocketEvent, State, Tag, TagKind, draw_tag,
};
use crate::subject::Pattern;
use crate::wire::message::TOO_LARGE;
use crate::wire::{Headers, Message, Payload};

impl Endpoint {
    /// Carries on what a socket has to say. When it is due is looked up, unless it `rests`.
    pub(super) fn drain_socket(&mut self, now: Instant, handle: Handle, rests: bool) {
        let mut outputs = self.table.take_outputs(handle);
        loop {
            while let Some(output) = outputs.pop_front() {
                self.carry_output(now, handle, output);
            }
            match self.table.finish_drain(handle, outputs, rests) {
                Drained::Again(more) => outputs = more,
                Drained::Done => return,
                Drained::Closed => return self.remove_socket(now, handle),
            }
        }
    }

    fn carry_output(&mut self, now: Instant, handle: Handle, output: Output) {
        match output {
            Output::Event(event) => self.report_socket(now, handle, event),
            Output::Publish(message) => drop(self.client.publish(message)),
            Output::PublishBundle(bundle) => drop(self.client.publish_bundle(bundle)),
            Output::WatchOthers(subject) => self.watch_others(now, handle, subject),
            Output::UnwatchOthers => self.unwatch_others(handle),
            Output::Suspect => self.suspect(now, handle),
            Output::LookUpPeer => self.look_up_peer(now, handle),
            Output::Subscribe(pattern) => {
                let kind = SubscriptionKind::Owned;
                self.client.subscribe(now, Token::SocketSubject(handle), pattern, kind);
            }
            Output::Unsubscribe(_) => self.client.unsubscribe(Token::SocketSubject(handle)),
            Output::Ask { key, message, timeout, terms } => {
                let wait_for_interest = terms.wait_for_interest;
                let kind =
                    terms.many.map_or(RequestKind::Request, |AnswerLimits { max_messages, max_wait }| {
                        RequestKind::RequestMany(ReplyLimits { max_messages, max_wait })
                    });
                self.client.request_within(
                    now,
                    Some(Token::SocketAsk(handle, key)),
                    Request { kind, message: *message, timeout, wait_for_interest, ttl: None },
                );
            }
            Output::CancelAsk(key) => {
                self.client.cancel_where(|token| token == Token::SocketAsk(handle, key));
            }
            Output::AskAnyone { tag, message, timeout } => {
                self.ask_anyone(now, Token::Socket(handle, tag), *message, timeout);
            }
            Output::NoteUnheard(subject) => self.unheard.note(now, subject),
            Output::Proven => self.table.note_proven(handle),
            Output::Ended(NOBODY) => {}
            Output::Ended(ticket) => self.events.push_back(Event::Ticket(ticket, TicketEvent::Done(true))),
            other => self.say(now, other, |tag| Token::Socket(handle, tag)),
        }
    }

    pub(super) fn drain_listener(&mut self, now: Instant, handle: Handle) {
        while let Some(entry) = self.table.listener_mut(handle) {
            let Some(output) = entry.listener.poll_output() else { return };
            match output {
                Output::Event(SocketEvent::State(State::Closed)) => {}
                Output::Event(SocketEvent::State(state)) => {
                    self.events.push_back(Event::Listener(handle, ListenerEvent::State(state)))
                }
                Output::Subscribe(pattern) => {
                    let token = self.token_of(handle, &pattern);
                    self.client.subscribe(now, token, pattern, SubscriptionKind::Shared(None));
                }
                Output::SubscribeInGroup(pattern) => {
                    let token = self.token_of(handle, &pattern);
                    let kind = SubscriptionKind::Shared(Some(QUEUE.into()));
                    self.client.subscribe(now, token, pattern, kind);
                }
                Output::SubscribeExclusively(pattern) => {
                    let token = self.token_of(handle, &pattern);
                    self.client.subscribe(now, token, pattern, SubscriptionKind::Exclusive);
                }
                Output::Unsubscribe(pattern) => self.client.unsubscribe(self.token_of(handle, &pattern)),
                Output::Drain(pattern) => self.client.drain(self.token_of(handle, &pattern)),
                other => self.say(now, other, |tag| Token::Listener(handle, tag)),
            }
        }
    }

    fn token_of(&self, listener: Handle, pattern: &Pattern) -> Token {
        match self.table.listener(listener).map(|entry| entry.listener.part_of(pattern)) {
            Some(ListenerPart::Status) => Token::ListenerStatus(listener),
            Some(ListenerPart::Questions) => Token::ListenerQuestions(listener),
            _ => Token::ListenerSockets(listener),
        }
    }

    /// Says a question to whoever listens, unless nobody heard one a moment ago.
    fn ask_anyone(&mut self, now: Instant, token: Token, message: Message, timeout: Duration) {
        if self.unheard.is_noted(now, &message.subject) {
            if let Token::Socket(socket, tag) = token {
                let nobody = Err(CommandError::NoSubscribers);
                self.table.with_socket(socket, |socket| socket.handle_reply(now, tag, nobody));
            }
            return;
        }
        if self.client.should_inject(FaultPoint::TwoAccepts) {
            self.client.publish(message.clone());
        }
        let (kind, wait_for_interest) = (RequestKind::Publish, false);
        let request = Request { kind, message, timeout, wait_for_interest, ttl: None };
        self.client.request_within(now, Some(token), request);
    }

    /// Returns what concerns the fabric only.
    fn say(&mut self, now: Instant, output: Output, token: impl Fn(Tag) -> Token) {
        match output {
            Output::Publish(message) => drop(self.client.publish(message)),
            Output::PublishBundle(bundle) => drop(self.client.publish_bundle(bundle)),
            Output::Respond(message) => {
                let kind = RequestKind::Publish;
                self.client.request_within(
                    now,
                    None,
                    Request { kind, message, timeout: REPLY_TIMEOUT, wait_for_interest: true, ttl: None },
                );
            }
            Output::Request { tag, message, timeout, wait_for_interest } => {
                // A report needs no count: its answer says enough.
                let kind = if tag.kind == TagKind::Ack { RequestKind::Command } else { RequestKind::Request };
                self.client.request_within(
                    now,
                    Some(token(tag)),
                    Request { kind, message: *message, timeout, wait_for_interest, ttl: None },
                );
            }
            Output::Probe { tag, message, timeout } => {
                let (kind, wait_for_interest) = (RequestKind::Publish, false);
                let request = Request { kind, message: *message, timeout, wait_for_interest, ttl: None };
                self.client.request(now, Some(token(tag)), request);
            }
            Output::Cancel(tag) => {
                let cancelled = token(tag);
                self.client.cancel_where(|open| open == cancelled);
            }
            Output::AwaitInterest { tag, subject, timeout } => {
                let message = Message { subject, payload: Payload::NIL, headers: Headers::default() };
                let kind = RequestKind::Interest;
                self.client.request_within(
                    now,
                    Some(token(tag)),
                    Request { kind, message, timeout, wait_for_interest: false, ttl: None },
                );
            }
            // The rest is between a socket and the application, and has been dealt with.
            _ => {}
        }
    }

    fn report_socket(&mut self, now: Instant, socket: Handle, event: SocketEvent) {
        match &event {
            SocketEvent::State(state) => tracing::debug!(socket, ?state, "socket"),
            SocketEvent::Closed { failure, undelivered, .. } => {
                let reason = failure.as_ref().map_or("closed", |failure| &failure.message);
                tracing::debug!(socket, reason, undelivered, "socket closed");
            }
            _ => {}
        }
        if event == SocketEvent::State(State::Ready) {
            self.watch_peer(now, socket);
        }
        self.events.push_back(Event::Socket(socket, event));
    }

    fn remove_socket(&mut self, now: Instant, handle: Handle) {
        self.unwatch_peer(handle);
        let listener = self.table.remove_socket(handle);
        self.intake.remove(now, handle);
        self.share_out(now);
        self.client.cancel_where(|token| matches!(token, Token::SocketAsk(socket, _) if socket == handle));
        if let Some(listener) = listener {
            self.check_listener_end(now, listener);
        }
    }

    /// Carries out what a listener decided about a message.
    pub(super) fn handle_incoming(&mut self, now: Instant, listener: Handle, incoming: ListenerAction) {
        match incoming {
            ListenerAction::Done => {}
            ListenerAction::Socket(socket, message) => {
                self.table.with_socket(socket, |socket| socket.handle_message(now, message));
            }
            ListenerAction::Supersede(socket, connect) => {
                self.table.with_server(socket, ServerSocket::supersede);
                self.drain_socket(now, socket, false);
                if let Some(again) =
                    self.table.with_listener(listener, |listener| listener.handle_message(now, connect))
                {
                    self.handle_incoming(now, listener, again);
                }
            }
            ListenerAction::Accept { id, client, connect, epoch, offer, origin, is_unproven } => {
                let Some(entry) = self.table.listener(listener) else { return };
                let config = if epoch == entry.config.epoch {
                    entry.config.clone()
                } else {
                    SocketConfig { epoch, ..(*entry.config).clone() }.into()
                };
                let socket = self.next_accepted();
                let (subject, attempt) = (connect.subject.to_string(), connect.headers.attempt());
                let offer = offer.filter(|_| config.speaks_stream());
                let mut server_socket = match &offer {
                    Some(offer) => {
                        let tag = draw_tag(self.client.entropy());
                        let mut socket = ServerSocket::with_stream(now, client, config, offer, tag);
                        if is_unproven {
                            socket.accept_unproven(now, connect, offer.tag);
                        } else {
                            socket.accept(&connect, offer.tag);
                        }
                        if self.client.should_inject(FaultPoint::LostAccept) {
                            socket.outputs().clear();
                        }
                        socket
                    }
                    None => {
                        let mut socket = ServerSocket::new(now, client, config);
                        socket.handle_message(now, connect);
                        socket
                    }
                };
                let has_stream = offer.is_some();
                let payer = origin.as_ref().map(|origin| origin.number);
                let user = origin.as_ref().and_then(|origin| origin.user.clone());
                self.table.with_listener(listener, |listener| {
                    let is_unproven = is_unproven && has_stream;
                    let entry = SocketEntry { socket, epoch, attempt, origin, has_stream, is_unproven };
                    listener.insert(id.clone(), entry);
                });
                tracing::debug!(listener, socket, id, subject, "socket accepted");
                let accepted = ListenerEvent::Accepted { socket, id, subject, user };
                self.events.push_back(Event::Listener(listener, accepted));
                server_socket.set_faults(self.client.fork_faults());
                server_socket.set_limit(self.max_message);
                self.table.add_server(socket, server_socket, (listener, payer));
                self.watch_peer(now, socket);
                self.drain_socket(now, socket, false);
            }
        }
    }

    /// Passes the reply to a socket's request, or the reason why there is none, to the socket.
    pub(super) fn handle_socket_reply(
        &mut self,
        now: Instant,
        socket: Handle,
        tag: Tag,
        answer: Result<Message, ClientError>,
    ) {
        let answer = answer.map_err(|error| match error {
            ClientError::NoSubscribers { .. } | ClientError::NobodyCame { .. } => CommandError::NoSubscribers,
            ClientError::EndedUnanswered { .. } => CommandError::ReceiverEnded,
            ClientError::TooLarge { .. } => CommandError::TooLarge(error.to_string()),
            ClientError::Refused(refused) if refused.code == Some(TOO_LARGE) => {
                CommandError::TooLarge(refused.message)
            }
            ClientError::Refused(refused) => CommandError::Refused(refused),
            _ => CommandError::Failed,
        });
        self.table.with_socket(socket, |socket| socket.handle_reply(now, tag, answer));
    }
}

/// The group of all who can be asked by a question to whoever listens.
const QUEUE: &str = "selvedge";
