//! The server's end of a socket: made by a listener, ready as long as the fabric is there.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

use super::channel::PeerStatus;
use super::pending_close::PendingClose;
use super::{
    Channel, CloseReason, CommandError, Output, SocketConfig, SocketEvent, SocketUsage, State, Tag,
    WriteError, control,
};
use crate::base::FaultInjector;
use crate::subject::Subject;
use crate::wire::{Bundle, Headers, Json, Message, Messages, Payload, SocketCommand};

/// The server's end.
#[derive(Debug)]
pub struct ServerSocket {
    /// Where the client listens. Its last token is the id that the client chose.
    client: Subject,
    channel: Channel,
    state: State,
    pending_close: PendingClose,
}

impl ServerSocket {
    /// Returns a socket whose client has been seen on the fabric: ready at once.
    pub fn new(now: Instant, client: Subject, config: impl Into<Arc<SocketConfig>>) -> Self {
        let mut channel = Channel::new(now, config.into());
        channel.fence();
        channel.attach(now, client.clone());
        Self { client, channel, state: State::Ready, pending_close: PendingClose::default() }
    }

    /// Returns the id that its client chose.
    pub fn id(&self) -> &str {
        self.client.last_token()
    }

    /// Sets the source of injected faults.
    pub fn set_faults(&mut self, faults: FaultInjector) {
        self.channel.set_faults(faults);
    }

    /// Returns what it keeps in memory.
    pub fn usage(&self) -> SocketUsage {
        self.channel.usage()
    }

    /// Queues messages.
    pub fn write(&mut self, now: Instant, batch: Messages, volatile: bool) -> Result<u64, WriteError> {
        if self.state == State::Closed || self.pending_close.is_requested() {
            return Err(WriteError::Closed);
        }
        self.channel.write(now, batch, volatile)
    }

    /// Notes that the application has handled `count` more messages.
    pub fn consumed(&mut self, now: Instant, count: u64) {
        if self.state != State::Closed {
            self.channel.consumed(now, count);
        }
    }

    /// Sends a request of the application to the client.
    pub fn request(&mut self, ticket: u32, deadline: Instant) {
        match self.state {
            State::Closed => self.channel.fail_request(ticket),
            _ => self.channel.request(ticket, deadline),
        }
    }

    /// Handles the return of the fabric, with every subscription.
    pub fn handle_fabric_up(&mut self, now: Instant) {
        if self.state == State::Disconnected {
            self.state = State::Ready;
            self.channel.outputs.push_back(Output::Event(SocketEvent::State(State::Ready)));
            self.channel.resume(now, self.client.clone());
        }
    }

    /// Handles the loss of the fabric.
    pub fn handle_fabric_down(&mut self) {
        if self.state == State::Ready {
            self.state = State::Disconnected;
            self.channel.detach();
            self.channel.outputs.push_back(Output::Event(SocketEvent::State(State::Disconnected)));
        }
    }

    /// Handles a message for this socket.
    pub fn handle_message(&mut self, now: Instant, message: Message) {
        if self.state == State::Closed {
            return;
        }
        if message.headers.malformed {
            return self.close(CloseReason::Misbehaved(super::PeerMisbehaved::BadHeader));
        }
        match message.headers.command {
            Some(SocketCommand::Connect) => {
                answer_connect(&mut self.channel, &self.client, &message);
                // The client lost its connection, or our first answer: what was in flight may be lost, too.
                if self.state == State::Ready {
                    self.channel.attach(now, self.client.clone());
                }
            }
            Some(SocketCommand::Close) if control::is_for_another(&message.headers, self.epoch()) => {
                self.channel.respond(&message, control::text("closed"));
            }
            Some(SocketCommand::Close) => {
                self.channel.handle_close(now, &message);
                self.finish(CloseReason::Peer);
            }
            _ if self.channel.is_foreign(&message.headers) => {
                if !self.channel.refuse_foreign(&message) {
                    self.say_close(control::superseded(message.headers.attempt));
                }
            }
            Some(SocketCommand::Ping) if self.state != State::Ready => {}
            _ => {
                if let Err(error) = self.channel.handle_message(now, message) {
                    self.close(CloseReason::Misbehaved(error));
                }
            }
        }
        self.check_end(now);
    }

    /// Accepts a bundle for this socket if it can take all of it. Returns whether; if not, its messages have
    /// to be passed in one by one.
    pub fn try_accept_bundle(&mut self, now: Instant, bundle: &Bundle) -> bool {
        let headers = Headers { attempt: bundle.attempt, ..Headers::default() };
        let is_open = self.state != State::Closed && !self.channel.is_foreign(&headers);
        let takes = is_open
            && bundle.first.is_some_and(|first| self.channel.try_accept_packed(now, first, &bundle.packed));
        if takes {
            self.check_end(now);
        }
        takes
    }

    /// Handles the reply to a request of this socket.
    pub fn handle_reply(&mut self, now: Instant, tag: Tag, answer: Result<Message, CommandError>) {
        if self.state == State::Closed {
            return;
        }
        match self.channel.handle_reply(now, tag, answer) {
            Ok(PeerStatus::Silent) => self.close(CloseReason::Timeout),
            Ok(PeerStatus::Superseded) => self.finish(CloseReason::Superseded),
            Ok(PeerStatus::Lost) => {
                self.close(CloseReason::Lost("the client no longer has the messages that are missing"))
            }
            // The client may be on its way back; keep-alive decides.
            Ok(PeerStatus::Alive | PeerStatus::Gone) => {}
            Err(error) => self.close(CloseReason::Misbehaved(error)),
        }
        self.check_end(now);
    }

    /// Closes now, and tells the client.
    pub fn close(&mut self, reason: CloseReason) {
        if self.state != State::Closed {
            self.say_close(self.channel.closing(None));
            self.finish(reason);
        }
    }

    /// Closes because a newer incarnation of the socket takes its place. The older client is told; the newer
    /// one knows by the epoch that it is not meant.
    pub fn supersede(&mut self) {
        if self.state != State::Closed {
            self.say_close(control::superseded(self.epoch()));
            self.finish(CloseReason::Superseded);
        }
    }

    fn say_close(&mut self, headers: Headers) {
        let headers = Headers { command: Some(SocketCommand::Close), ..headers };
        let message = Message { subject: self.client.clone(), payload: Payload::NIL, headers };
        self.channel.outputs.push_back(Output::Publish(message));
    }

    fn epoch(&self) -> Option<u64> {
        self.channel.config.epoch
    }

    /// Closes when everything written has been handled, or at the deadline.
    pub fn end(&mut self, now: Instant, ticket: u32, deadline: Instant) {
        if self.state == State::Closed {
            self.channel.outputs.push_back(Output::Ended(ticket));
            return;
        }
        self.pending_close.request(ticket, deadline);
        self.check_end(now);
    }

    /// Returns when `handle_timeout` is to be called.
    pub fn poll_timeout(&self) -> Option<Instant> {
        [self.channel.poll_timeout(), self.pending_close.deadline()]
            .into_iter()
            .flatten()
            .min()
            .filter(|_| self.state != State::Closed)
    }

    /// Handles the deadlines that have passed.
    pub fn handle_timeout(&mut self, now: Instant) {
        if self.state != State::Closed {
            self.channel.handle_timeout(now);
            if self.channel.is_stalled(now) {
                self.close(CloseReason::SlowConsumer);
            }
            self.check_end(now);
        }
    }

    /// Returns the next output.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.channel.outputs.pop_front()
    }

    /// Returns the queue of outputs.
    pub fn outputs(&mut self) -> &mut VecDeque<Output> {
        &mut self.channel.outputs
    }

    /// Returns whether nothing will come of it any more.
    pub fn is_closed(&self) -> bool {
        self.state == State::Closed
    }

    fn check_end(&mut self, now: Instant) {
        if self.pending_close.is_overdue(now)
            || (self.pending_close.is_requested() && self.channel.unacked() == 0)
        {
            self.close(CloseReason::Local);
        }
    }

    fn finish(&mut self, reason: CloseReason) {
        self.state = State::Closed;
        let undelivered = self.channel.take_undelivered();
        self.channel.detach();
        self.channel.fail_requests();
        self.channel.outputs.push_back(Output::Event(SocketEvent::Closed { reason, undelivered }));
        self.channel.outputs.extend(self.pending_close.take().into_iter().map(Output::Ended));
    }
}

/// Answers a connect request in the dialect it came in.
pub(super) fn answer_connect(channel: &mut Channel, client: &Subject, message: &Message) {
    let epoch = channel.config.epoch;
    let json = epoch.map(|_| Json::from_value(&control::with_epoch(serde_json::json!({}), epoch)));
    if let Some(subject) = message.headers.reply.clone() {
        let payload = control::text("connected");
        let headers = Headers { json, ..Headers::default() };
        channel.outputs.push_back(Output::Respond(Message { subject, payload, headers }));
    } else {
        let headers = Headers {
            command: Some(SocketCommand::Connected),
            attempt: message.headers.attempt,
            json,
            ..Headers::default()
        };
        channel.outputs.push_back(Output::Publish(Message {
            subject: client.clone(),
            payload: Payload::NIL,
            headers,
        }));
    }
}
