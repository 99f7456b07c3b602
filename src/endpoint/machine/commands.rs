//! The commands of the application, one arm each.

use std::iter;
use std::time::{Duration, Instant};

use super::super::table::ListenerEntry;
use super::super::{Command, Event, ListenerEvent, TicketEvent, Token};
use super::{Endpoint, MAX_LINK_CLOSE, MIN_LINK_CLOSE};
use crate::base::{Code, Failure, Few, Handle};
use crate::client::{ClientError, SubscriptionKind};
use crate::socket::{
    AskTerms, ClientSocket, CloseReason, Data, Leaving, Listener, SocketConfig, SocketEnd, SocketEvent,
    TagSource,
};
use crate::subject::Subject;
use crate::wire::{Bundle, Headers, Item, Message, Messages};

impl Endpoint {
    pub(super) fn carry_out(&mut self, now: Instant, command: Command) {
        match command {
            Command::Publish(message) => self.client.publish_or_keep(message),
            Command::Request { ticket, request } => {
                self.client.request(now, ticket.map(Token::Ticket), request)
            }
            Command::Cancel(ticket) => self.cancel(ticket),
            Command::Subscribe { subscription, ticket, pattern, queue } => {
                self.confirmations.extend(ticket.map(|ticket| (subscription, ticket)));
                let kind = SubscriptionKind::Shared(queue);
                self.client.subscribe(now, Token::Subscription(subscription), pattern, kind);
            }
            Command::Unsubscribe(subscription) => {
                self.client.unsubscribe(Token::Subscription(subscription));
                self.unread.remove(subscription);
                self.fail_confirmation(subscription);
            }
            Command::BoundUnread { subscription, most } => self.unread.set(subscription, most),
            Command::Drain { subscription, ticket } => {
                self.drains.insert(subscription, ticket);
                self.client.drain(Token::Subscription(subscription));
                self.fail_confirmation(subscription);
            }
            Command::Listen { listener, subject, id, exclusive, config } => {
                self.listen(listener, &subject, (id, exclusive), config);
            }
            Command::SocketConnect { socket, subject, id, config } => {
                self.connect(now, socket, &subject, id, config)
            }
            Command::PublishMany { subject, batches } => self.publish_many(&subject, batches),
            Command::SocketWrite { sockets, batches, volatile } => match (sockets, batches) {
                (Few::One(socket), Few::One(batch)) => self.write(now, socket, iter::once(batch), volatile),
                (Few::One(socket), Few::Many(batches)) => {
                    self.write(now, socket, batches.into_iter(), volatile)
                }
                (Few::Many(sockets), batches) => sockets
                    .into_iter()
                    .for_each(|socket| self.write(now, socket, batches.iter().cloned(), volatile)),
            },
            Command::SocketWriteTimed { sockets, item, volatile, ttl } => {
                self.write_timed(now, &sockets, &item, (volatile, now + ttl));
            }
            Command::SocketDropped { socket, number } => {
                self.table.with_socket(socket, |socket| socket.note_dropped(now, number));
            }
            Command::Collect(socket) => self.events.push_back(Event::Socket(socket, SocketEvent::Collected)),
            Command::SocketAsk { socket, question, terms } => self.ask(now, socket, question, terms),
            Command::Consumed { socket, counts } => {
                self.table.with_socket(socket, |socket| socket.consumed(now, counts));
            }
            Command::SocketCancel { socket, key, reason } => {
                self.table.with_socket(socket, |socket| socket.cancel(now, key, reason));
            }
            Command::SocketDisconnect(socket) => {
                self.table.with_client(socket, |socket| socket.disconnect(now));
                self.table.with_server(socket, |socket| socket.disconnect(now));
            }
            Command::SocketReconnect(socket) => self.table.with_client(socket, |socket| socket.connect(now)),
            Command::SocketClose { socket, abort } => {
                self.table.with_socket(socket, |socket| socket.close_by_application(abort));
            }
            Command::SocketGiveUp(socket) => {
                self.table.with_socket(socket, |socket| socket.close(CloseReason::SlowConsumer));
            }
            Command::SocketEnd { ticket, socket, timeout } => {
                if self.table.with_socket(socket, |socket| socket.end(now, ticket, now + timeout)).is_none() {
                    self.events.push_back(Event::Ticket(ticket, TicketEvent::Done(true)));
                }
            }
            Command::ServerChosen { socket, id } => {
                self.table.with_client(socket, |socket| socket.handle_choice(now, id))
            }
            Command::ListenerRetire(listener) => self.retire_listener(listener),
            Command::ListenerClose(listener) => self.close_listener(now, listener, None),
            Command::ListenerEnd { ticket, listener, timeout } => {
                self.end_listener(now, ticket, listener, now + timeout)
            }
            Command::Connect => self.client.connect(),
            Command::Disconnect => self.client.disconnect(),
            Command::Close(within) => self.close(now, within),
            Command::Leave => self.client.leave(),
            Command::TellSockets(reports) => self.client.tell_sockets(reports),
            Command::DropTransport => self.client.drop_link(),
        }
    }

    /// Nothing confirms a subscription that has ended.
    fn fail_confirmation(&mut self, subscription: Handle) {
        if let Some(ticket) = self.confirmations.remove(&subscription) {
            let failure = Failure::new(Code::Closed, "closed");
            self.events.push_back(Event::Ticket(ticket, TicketEvent::Failed(failure)));
        }
    }

    fn cancel(&mut self, ticket: Handle) {
        self.client.cancel_where(|token| token == Token::Ticket(ticket));
    }

    fn listen(&mut self, handle: Handle, subject: &str, id: (String, bool), config: SocketConfig) {
        if self.client.is_closed() {
            let failure = Some(ClientError::Closed.into());
            return self.events.push_back(Event::Listener(handle, ListenerEvent::Closed(failure)));
        }
        let (id, exclusive) = id;
        let new = if exclusive { Listener::new_exclusive } else { Listener::new };
        match new(subject, id, &config) {
            Ok(mut listener) => {
                listener.set_has_origins(self.client.watches_ends());
                self.table.add_listener(handle, listener, config);
            }
            Err(error) => {
                self.events.push_back(Event::Listener(handle, ListenerEvent::Closed(Some(error.into()))))
            }
        }
    }

    fn connect(&mut self, now: Instant, handle: Handle, subject: &str, id: String, config: SocketConfig) {
        if self.client.is_closed() {
            let failure = Some(ClientError::Closed.into());
            return self.events.push_back(Event::Socket(
                handle,
                SocketEvent::Closed { failure, undelivered: 0, is_leaving: false, missing: 0 },
            ));
        }
        if *self.shared_config != config {
            self.shared_config = config.into();
        }
        match ClientSocket::new(subject, &id, self.shared_config.clone()) {
            Ok(mut socket) => {
                socket.set_faults(self.client.fork_faults());
                if self.shared_config.speaks_stream() {
                    socket.offer_streams(TagSource::new(self.client.split_entropy()));
                }
                socket.set_keeps_order(self.keeps_order);
                if self.ready {
                    socket.set_limit(self.max_message);
                    socket.handle_fabric_up(now);
                }
                self.table.add_client(handle, socket);
            }
            Err(error) => {
                let failure = Some(error.into());
                self.events.push_back(Event::Socket(
                    handle,
                    SocketEvent::Closed { failure, undelivered: 0, is_leaving: false, missing: 0 },
                ));
            }
        }
    }

    /// Writes to a socket. The application counts the window itself, so that a refusal is a bug, or the
    /// socket is at its end without its knowing. Then what was accepted there is reported as undelivered.
    fn write(
        &mut self,
        now: Instant,
        handle: Handle,
        mut batches: impl Iterator<Item = Messages>,
        volatile: bool,
    ) {
        let write = |socket: &mut dyn SocketEnd| {
            for batch in &mut batches {
                if let Err(error) = socket.write(now, batch, volatile) {
                    tracing::debug!(socket = handle, %error, "write refused");
                }
            }
        };
        if self.table.with_socket(handle, write).is_none() && !volatile {
            for batch in batches {
                let items = batch.items().filter(|item| item.payload.encoding.is_data());
                let lost = items.map(|item| SocketEvent::Undelivered(Data::new(0, item)));
                self.events.extend(lost.map(|event| Event::Socket(handle, event)));
            }
        }
    }

    fn write_timed(
        &mut self,
        now: Instant,
        sockets: &[Handle],
        item: &Item,
        (volatile, until): (bool, Instant),
    ) {
        for &handle in sockets {
            let write = |socket: &mut dyn SocketEnd| {
                if let Err(error) = socket.write_timed(now, item.clone(), volatile, until) {
                    tracing::debug!(socket = handle, %error, "write refused");
                }
            };
            if self.table.with_socket(handle, write).is_none() && !volatile {
                let lost = Data { until: Some(until), ..Data::new(0, item.clone()) };
                let lost = SocketEvent::Undelivered(lost);
                self.events.push_back(Event::Socket(handle, lost));
            }
        }
    }

    fn publish_many(&mut self, subject: &Subject, batches: Few<Messages>) {
        for batch in batches {
            let subject = subject.clone();
            match batch {
                Messages::One(Item { payload, json }) => {
                    let headers = Headers::default().with_json(json);
                    self.client.publish_or_keep(Message { subject, payload, headers });
                }
                Messages::Packed(packed) => {
                    self.client.publish_bundle_or_keep(Bundle {
                        subject,
                        first: None,
                        attempt: None,
                        packed,
                    });
                }
            }
        }
    }

    /// A socket that has ended has told of its end, and with it of its requests.
    fn ask(&mut self, now: Instant, handle: Handle, question: Item, terms: AskTerms) {
        let asked = self.table.with_socket(handle, |socket| socket.ask(now, question, terms));
        if let Some(Err(error)) = asked {
            tracing::debug!(socket = handle, %error, "request refused");
        }
    }

    fn retire_listener(&mut self, handle: Handle) {
        self.table.with_listener(handle, Listener::retire);
        self.note_leaving(handle, Leaving::Asked);
    }

    /// Lets the sockets of a listener say in their close that all of it is leaving.
    pub(super) fn note_leaving(&mut self, handle: Handle, leaving: Leaving) -> Option<Vec<Handle>> {
        let sockets = self.table.with_listener(handle, |listener| listener.sockets())?;
        for &socket in &sockets {
            self.table.with_socket(socket, |socket| socket.note_leaving(leaving));
        }
        Some(sockets)
    }

    /// Closes a listener and its sockets: for this reason, unless the application wants it.
    pub(super) fn close_listener(&mut self, now: Instant, handle: Handle, failure: Option<Failure>) {
        let leaving = if failure.is_some() { Leaving::Displaced } else { Leaving::Asked };
        let Some(sockets) = self.note_leaving(handle, leaving) else { return };
        let reason = failure.clone().map_or(CloseReason::Local, CloseReason::ListenerEnded);
        for socket in sockets {
            self.table.with_socket(socket, |socket| socket.close(reason.clone()));
            self.drain_socket(now, socket, false);
        }
        self.table.with_listener(handle, Listener::close);
        self.drain_listener(now, handle);
        let waiting = self.table.remove_listener(handle).map(|entry| entry.ending);
        self.events.extend(
            waiting.into_iter().flatten().map(|ticket| Event::Ticket(ticket, TicketEvent::Done(true))),
        );
        self.events.push_back(Event::Listener(handle, ListenerEvent::Closed(failure)));
    }

    fn end_listener(&mut self, now: Instant, ticket: Handle, handle: Handle, deadline: Instant) {
        let Some(entry) = self.table.listener_mut(handle) else {
            return self.events.push_back(Event::Ticket(ticket, TicketEvent::Done(true)));
        };
        entry.ending.push(ticket);
        entry.listener.retire();
        for socket in self.note_leaving(handle, Leaving::Asked).unwrap_or_default() {
            self.table.with_socket(socket, |socket| socket.end(now, NOBODY, deadline));
            self.drain_socket(now, socket, false);
        }
        self.check_listener_end(now, handle);
    }

    pub(super) fn check_listener_end(&mut self, now: Instant, handle: Handle) {
        let done = |entry: &ListenerEntry| !entry.ending.is_empty() && entry.listener.sockets().is_empty();
        if self.table.listener(handle).is_some_and(done) {
            self.close_listener(now, handle, None);
        }
    }

    /// Closes every socket and listener, then the fabric client: what they say in parting leaves with its
    /// last flush.
    fn close(&mut self, now: Instant, within: Duration) {
        self.table.listeners().into_iter().for_each(|listener| self.close_listener(now, listener, None));
        for socket in self.table.sockets() {
            self.table.with_socket(socket, |socket| {
                socket.close(CloseReason::Local);
                // One that waited for whoever accepts it hears nothing any more.
                socket.close(CloseReason::Local);
            });
            self.drain_socket(now, socket, false);
        }
        self.settle(now);
        self.link_close = within.clamp(MIN_LINK_CLOSE, MAX_LINK_CLOSE);
        self.client.close(now, within);
    }
}

/// The ticket for an outcome that is not reported.
pub(super) const NOBODY: Handle = 0;
