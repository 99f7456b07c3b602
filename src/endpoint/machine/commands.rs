//! What the application wants, one arm a command.

use std::time::Instant;

use super::super::sockets::AnySocket;
use super::super::{Command, Event, Failure, Handle, Owner, SocketQuestion};
use super::{Endpoint, Listening, Touched};
use crate::client::ClientError;
use crate::socket::{ClientSocket, Listener, SocketConfig};
use crate::subject::Subject;
use crate::wire::{Bundle, Headers, Message, Parcel, Part};

impl Endpoint {
    /// Does what the application wants.
    pub fn handle_command(&mut self, now: Instant, command: Command) {
        self.reconnect_for_no_reason();
        match command {
            Command::Publish(message) => drop(self.client.publish(message)),
            Command::Ask { ticket, question } => self.client.ask(now, ticket.map(Owner::Ticket), question),
            Command::Cancel(ticket) => self.cancel(ticket),
            Command::Subscribe { subscription, ticket, pattern, queue } => {
                self.confirmations.extend(ticket.map(|ticket| (subscription, ticket)));
                self.client.subscribe(now, Owner::Subscription(subscription), pattern, queue);
            }
            Command::Unsubscribe(subscription) => {
                self.client.unsubscribe(Owner::Subscription(subscription));
                if let Some(ticket) = self.confirmations.remove(&subscription) {
                    self.events
                        .push_back(Event::Failed { ticket, failure: Failure::new("ERR_CLOSED", "closed") });
                }
            }
            Command::Listen { listener, subject, id, config } => self.listen(listener, &subject, id, config),
            Command::SocketConnect { socket, subject, id, config } => {
                self.connect(now, socket, &subject, id, config)
            }
            Command::PublishMany { subject, parcels } => self.publish_many(&subject, parcels),
            Command::SocketWrite { sockets, parcels, volatile } => {
                self.write(now, &sockets, &parcels, volatile)
            }
            Command::Collect(socket) => self.events.push_back(Event::Collected(socket)),
            Command::SocketAsk(question) => self.ask_over_socket(now, question),
            Command::Consumed { socket, count } => {
                self.with_socket(socket, |socket| socket.consumed(now, count));
            }
            Command::SocketDisconnect(socket) => self.with_client_socket(socket, ClientSocket::disconnect),
            Command::SocketReconnect(socket) => self.with_client_socket(socket, |socket| socket.connect(now)),
            Command::SocketClose(socket) => {
                self.with_socket(socket, AnySocket::close);
            }
            Command::SocketEnd { ticket, socket, timeout } => {
                if self.with_socket(socket, |socket| socket.end(now, ticket, now + timeout)).is_none() {
                    self.events.push_back(Event::Done { ticket, value: true });
                }
            }
            Command::ServerChosen { socket, id } => {
                self.with_client_socket(socket, |socket| socket.handle_choice(now, id))
            }
            Command::ListenerRetire(listener) => drop(self.with_listener(listener, Listener::retire)),
            Command::ListenerClose(listener) => self.close_listener(now, listener),
            Command::ListenerEnd { ticket, listener, timeout } => {
                self.end_listener(now, ticket, listener, now + timeout)
            }
            Command::Connect => self.client.connect(),
            Command::Disconnect => self.client.disconnect(),
            Command::Close => self.close(now),
            Command::DropTransport => self.client.drop_link(),
        }
        self.settle(now);
    }

    fn cancel(&mut self, ticket: Handle) {
        self.questions.remove(&ticket);
        self.client.cancel_where(|owner| match owner {
            Owner::Ticket(open) | Owner::SocketTicket(open, _) => open == ticket,
            _ => false,
        });
    }

    fn listen(&mut self, handle: Handle, subject: &str, id: String, config: SocketConfig) {
        if self.client.is_closed() {
            let failure = Some(ClientError::Closed.into());
            return self.events.push_back(Event::ListenerClosed { listener: handle, failure });
        }
        match Listener::new(subject, id) {
            Ok(listener) => {
                self.listeners
                    .insert(handle, Listening { listener, config: config.into(), ending: Vec::new() });
                self.touch(Touched::Listener(handle));
            }
            Err(error) => {
                self.events.push_back(Event::ListenerClosed { listener: handle, failure: Some(error.into()) })
            }
        }
    }

    fn connect(&mut self, now: Instant, handle: Handle, subject: &str, id: String, config: SocketConfig) {
        if self.client.is_closed() {
            let failure = Some(ClientError::Closed.into());
            return self.events.push_back(Event::SocketClosed { socket: handle, failure, undelivered: 0 });
        }
        if *self.made_with != config {
            self.made_with = config.into();
        }
        match ClientSocket::new(now, subject, &id, self.made_with.clone()) {
            Ok(mut socket) => {
                socket.set_quirks(self.client.quirks());
                if self.ready {
                    socket.handle_fabric_up(now);
                }
                self.sockets.insert(handle, AnySocket::Client(Box::new(socket)));
                self.touch(Touched::Socket(handle));
            }
            Err(error) => {
                let failure = Some(error.into());
                self.events.push_back(Event::SocketClosed { socket: handle, failure, undelivered: 0 });
            }
        }
    }

    /// The application counts the window itself, so that a refusal is a bug, or the socket is at its end without its knowing. Then what was
    /// accepted there has to be told as undelivered.
    fn write(&mut self, now: Instant, sockets: &[Handle], parcels: &[Parcel], volatile: bool) {
        for &handle in sockets {
            let write = |socket: &mut AnySocket| {
                for parcel in parcels {
                    if let Err(error) = socket.write(now, parcel.clone(), volatile) {
                        tracing::debug!(socket = handle, %error, "write refused");
                    }
                }
            };
            if self.with_socket(handle, write).is_none() && !volatile {
                let parts = parcels.iter().flat_map(Parcel::parts);
                self.events.extend(parts.map(|Part { payload, json }| Event::Undelivered {
                    socket: handle,
                    seq: 0,
                    payload,
                    json,
                }));
            }
        }
    }

    fn publish_many(&mut self, subject: &Subject, parcels: Vec<Parcel>) {
        for parcel in parcels {
            let subject = subject.clone();
            match parcel {
                Parcel::One(Part { payload, json }) => {
                    let headers = Headers { json, ..Headers::default() };
                    self.client.publish(Message { subject, payload, headers });
                }
                Parcel::Many(run) => {
                    self.client.publish_bundle(Bundle { subject, first: None, attempt: None, run });
                }
            }
        }
    }

    fn ask_over_socket(&mut self, now: Instant, question: SocketQuestion) {
        let (ticket, socket, deadline) = (question.ticket, question.socket, now + question.timeout);
        self.questions.insert(ticket, (question, deadline));
        if self.with_socket(socket, |socket| socket.request(ticket, deadline)).is_none() {
            self.questions.remove(&ticket);
            self.events.push_back(Event::Failed { ticket, failure: Failure::new("EPIPE", "closed") });
        }
    }

    fn with_client_socket(&mut self, handle: Handle, act: impl FnOnce(&mut ClientSocket)) {
        self.with_socket(handle, |socket| {
            if let AnySocket::Client(socket) = socket {
                act(socket);
            }
        });
    }

    pub(super) fn close_listener(&mut self, now: Instant, handle: Handle) {
        let Some(sockets) = self.with_listener(handle, |listener| listener.sockets()) else { return };
        for socket in sockets {
            self.with_socket(socket, AnySocket::close);
            self.drain_socket(now, socket);
        }
        self.with_listener(handle, Listener::close);
        self.drain_listener(now, handle);
        let waiting = self.listeners.remove(&handle).map(|listening| listening.ending);
        self.events.extend(waiting.into_iter().flatten().map(|ticket| Event::Done { ticket, value: true }));
        self.events.push_back(Event::ListenerClosed { listener: handle, failure: None });
    }

    fn end_listener(&mut self, now: Instant, ticket: Handle, handle: Handle, deadline: Instant) {
        let Some(listening) = self.listeners.get_mut(&handle) else {
            return self.events.push_back(Event::Done { ticket, value: true });
        };
        listening.ending.push(ticket);
        listening.listener.retire();
        for socket in listening.listener.sockets() {
            self.with_socket(socket, |socket| socket.end(now, NOBODY, deadline));
            self.drain_socket(now, socket);
        }
        self.check_listener_end(now, handle);
    }

    pub(super) fn check_listener_end(&mut self, now: Instant, handle: Handle) {
        let done =
            |listening: &Listening| !listening.ending.is_empty() && listening.listener.sockets().is_empty();
        if self.listeners.get(&handle).is_some_and(done) {
            self.close_listener(now, handle);
        }
    }

    /// Closes every socket and listener, then the fabric client: what they say in parting leaves with its last flush.
    fn close(&mut self, now: Instant) {
        let listeners: Vec<Handle> = self.listeners.keys().copied().collect();
        listeners.into_iter().for_each(|listener| self.close_listener(now, listener));
        let sockets: Vec<Handle> = self.sockets.keys().copied().collect();
        for socket in sockets {
            self.with_socket(socket, AnySocket::close);
            self.drain_socket(now, socket);
        }
        self.settle(now);
        self.client.close();
    }
}

/// A ticket that nobody waits for.
pub(super) const NOBODY: Handle = 0;
