//! The client's end of a socket: finds a server, attaches to it, and finds it again after the fabric was
//! lost.

mod attaching;
mod closing;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

use super::channel::PeerStatus;
use super::config::Pause;
use super::pending_close::PendingClose;
use super::{
    Channel, CloseReason, CommandError, Output, PeerMisbehaved, SocketConfig, SocketEvent, SocketUsage,
};
use super::{State, Tag, TagKind, WriteError, control};
use crate::base::FaultInjector;
use crate::subject::{InvalidSubject, Pattern, Subject};
use crate::wire::{Bundle, Headers, Message, Messages, OpError, SocketCommand};

/// The client's end.
#[derive(Debug)]
pub struct ClientSocket {
    /// `<subject>.client.<id>`
    mine: Pattern,
    /// Where in it the id begins.
    id_at: usize,
    channel: Channel,
    phase: Phase,
    fabric: bool,
    subscribed: Subscribed,
    /// The server that it is, or will be, attached to.
    server: Option<String>,
    /// Whether that server has ever answered that it has this socket.
    was_ready: bool,
    /// Whether that server may have this socket without our knowing: asked, and no reply came.
    may_be_accepted: bool,
    missing_since: Option<Instant>,
    attempt: u64,
    pause: Pause,
    /// The request that is in flight.
    asked: u32,
    pending_close: PendingClose,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// Not trying; again at `retry_at`, if that is set and the fabric is there.
    Disconnected {
        retry_at: Option<Instant>,
    },
    /// Wants to connect as soon as the fabric is there.
    AwaitingFabric,
    /// A server is being looked for, or a load balancer asked until the deadline.
    AwaitingServer {
        chooses_until: Option<Instant>,
    },
    /// The server is known; our own subject is not confirmed yet.
    AwaitingSubscription,
    /// The server has been asked to attach us.
    AwaitingAccept,
    Ready,
    /// The server knows that we close, and its reply is awaited.
    AwaitingClosed,
    Closed,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Subscribed {
    No,
    Asked,
    Yes,
}

impl ClientSocket {
    /// Returns a socket that starts to connect as soon as the fabric is there.
    pub fn new(
        now: Instant,
        subject: &str,
        id: &str,
        config: impl Into<Arc<SocketConfig>>,
    ) -> Result<Self, InvalidSubject> {
        let invalid = || InvalidSubject::Publish(subject.to_owned());
        Subject::parse(&format!("{subject}.server.{id}.{id}")).map_err(|_| invalid())?;
        let mine = Pattern::parse(&format!("{subject}.client.{id}")).map_err(|_| invalid())?;
        let id_at = mine.as_str().len() - id.len();
        let config = config.into();
        let pause = Pause::new(config.command_timeout);
        Ok(Self {
            mine,
            id_at,
            channel: Channel::new(now, config),
            phase: Phase::AwaitingFabric,
            fabric: false,
            subscribed: Subscribed::No,
            server: None,
            was_ready: false,
            may_be_accepted: false,
            missing_since: None,
            attempt: 0,
            pause,
            asked: 0,
            pending_close: PendingClose::default(),
        })
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
        if self.is_closing() || self.pending_close.is_requested() {
            return Err(WriteError::Closed);
        }
        self.channel.write(now, batch, volatile)
    }

    /// Notes that the application has handled `count` more messages.
    pub fn consumed(&mut self, now: Instant, count: u64) {
        if self.phase != Phase::Closed {
            self.channel.consumed(now, count);
        }
    }

    /// Sends a request of the application to the server.
    pub fn request(&mut self, ticket: u32, deadline: Instant) {
        if self.is_closing() {
            self.channel.fail_request(ticket)
        } else {
            self.channel.request(ticket, deadline)
        }
    }

    /// Attaches to a server, after `disconnect`.
    pub fn connect(&mut self, now: Instant) {
        if matches!(self.phase, Phase::Disconnected { .. }) {
            self.begin(now);
        }
    }

    /// Detaches until `connect`. Nothing is lost: writes are queued, and the server keeps what it sends.
    pub fn disconnect(&mut self) {
        if !self.is_closing() {
            self.may_be_accepted |= self.phase == Phase::AwaitingAccept;
            self.drop_subscription();
            self.enter_disconnected(None);
        }
    }

    /// Handles the return of the fabric, with every subscription.
    pub fn handle_fabric_up(&mut self, now: Instant) {
        self.fabric = true;
        let retries = matches!(self.phase, Phase::Disconnected { retry_at: Some(_) });
        if self.phase == Phase::AwaitingFabric || retries {
            self.begin(now);
        }
    }

    /// Handles the loss of the fabric.
    pub fn handle_fabric_down(&mut self, now: Instant) {
        self.fabric = false;
        // While we are away we cannot know whether the server is.
        self.missing_since = None;
        self.may_be_accepted |= self.phase == Phase::AwaitingAccept;
        match self.phase {
            Phase::Disconnected { .. } | Phase::AwaitingFabric | Phase::Closed => {}
            Phase::AwaitingClosed => self.finish(CloseReason::Local),
            _ => self.enter_disconnected(self.channel.config.reconnection.then_some(now)),
        }
    }

    /// Notes that the socket's own subject is subscribed.
    pub fn handle_subscribed(&mut self, now: Instant) {
        self.subscribed = Subscribed::Yes;
        if self.phase == Phase::AwaitingSubscription {
            self.ask_to_attach(now);
        }
    }

    /// Handles that the broker refused the subscription, or did not confirm it in time (`None`).
    pub fn handle_subscribe_failed(&mut self, now: Instant, refused: Option<OpError>) {
        if self.is_closing() {
            return;
        }
        self.subscribed = Subscribed::No;
        match refused {
            Some(error) => self.close(CloseReason::Refused(error)),
            None => self.retry(now),
        }
    }

    /// Handles a message to the socket's own subject.
    pub fn handle_message(&mut self, now: Instant, message: Message) {
        if self.is_closing() || self.subscribed == Subscribed::No {
            return;
        }
        if message.headers.malformed {
            return self.close(CloseReason::Misbehaved(PeerMisbehaved::BadHeader));
        }
        match message.headers.command {
            Some(SocketCommand::Close) if control::is_for_another(&message.headers, self.epoch()) => {}
            Some(SocketCommand::Close) => {
                self.channel.handle_close(now, &message);
                let lost = self.phase == Phase::AwaitingAccept && self.resumes();
                self.finish(if control::is_superseded(&message.headers) {
                    CloseReason::Superseded
                } else if lost {
                    CloseReason::Lost("the server has no such socket any more")
                } else {
                    CloseReason::Peer
                });
            }
            Some(SocketCommand::Connected) => {
                if message.headers.attempt.is_none_or(|attempt| attempt == self.attempt) {
                    self.attached(now, &message.headers);
                }
            }
            _ if self.channel.is_foreign(&message.headers) => {
                // From a server that another incarnation of this socket is attached to, or was. The newest
                // incarnation refuses it; an older one learns from it that it has been superseded, which its
                // own server may not know.
                if message.headers.attempt.is_none_or(|other| self.epoch() > Some(other)) {
                    self.channel.refuse_foreign(&message);
                } else {
                    self.close(CloseReason::Superseded);
                }
            }
            // From a server that has accepted us and whose answer has not arrived. It may be gone before
            // that, and another one under its name begins anew: their messages must not be mixed. Nothing is
            // lost, since it is not acknowledged.
            None if !self.was_ready && message.headers.seq.is_some() => {}
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
        let is_open = !self.is_closing()
            && self.was_ready
            && !self.channel.is_foreign(&headers)
            && self.subscribed != Subscribed::No;
        let takes = is_open
            && bundle.first.is_some_and(|first| self.channel.try_accept_packed(now, first, &bundle.packed));
        if takes {
            self.check_end(now);
        }
        takes
    }

    /// Handles the reply to a request of this socket.
    pub fn handle_reply(&mut self, now: Instant, tag: Tag, answer: Result<Message, CommandError>) {
        let current = tag.number == self.asked;
        match (tag.kind, self.phase) {
            (TagKind::FindServer, Phase::AwaitingServer { .. }) if current => {
                match answer.ok().and_then(|message| control::decode_server_id(&message.payload)) {
                    Some(id) => self.found(now, id),
                    None => self.retry(now),
                }
            }
            (TagKind::Connect, Phase::AwaitingAccept) if current => match answer {
                Ok(message) if control::is_text(&message.payload, "connected") => {
                    self.attached(now, &message.headers)
                }
                Ok(_) => self.handle_no_server(now, CommandError::Failed),
                Err(error) => self.handle_no_server(now, error),
            },
            (TagKind::Close, Phase::AwaitingClosed) if current => self.finish(CloseReason::Local),
            (TagKind::Ack | TagKind::Missing | TagKind::Ping, Phase::Ready) => {
                match self.channel.handle_reply(now, tag, answer) {
                    Ok(PeerStatus::Alive) => {}
                    Ok(PeerStatus::Silent | PeerStatus::Gone) => {
                        let delay = self.channel.config.reconnect_delay;
                        self.enter_disconnected(self.channel.config.reconnection.then_some(now + delay));
                    }
                    Ok(PeerStatus::Superseded) => self.finish(CloseReason::Superseded),
                    Ok(PeerStatus::Lost) => {
                        self.close(CloseReason::Lost(
                            "the server no longer has the messages that are missing",
                        ));
                    }
                    Err(error) => self.close(CloseReason::Misbehaved(error)),
                }
            }
            _ => {}
        }
        self.check_end(now);
    }

    /// Closes at once: tells the server, and does not wait.
    pub fn close(&mut self, reason: CloseReason) {
        if self.phase != Phase::Closed {
            self.tell_closed();
            self.finish(reason);
        }
    }

    /// Closes when everything written has been handled and the server has answered, or at the deadline.
    pub fn end(&mut self, now: Instant, ticket: u32, deadline: Instant) {
        if self.is_closed() {
            self.channel.outputs.push_back(Output::Ended(ticket));
            return;
        }
        self.pending_close.request(ticket, deadline);
        self.check_end(now);
    }

    /// Returns when `handle_timeout` is to be called.
    pub fn poll_timeout(&self) -> Option<Instant> {
        let own = match self.phase {
            Phase::Closed => return None,
            Phase::Disconnected { retry_at } => retry_at.filter(|_| self.fabric),
            Phase::AwaitingServer { chooses_until } => chooses_until,
            _ => None,
        };
        [own, self.channel.poll_timeout(), self.pending_close.deadline()].into_iter().flatten().min()
    }

    /// Handles the deadlines that have passed.
    pub fn handle_timeout(&mut self, now: Instant) {
        match self.phase {
            Phase::Closed => return,
            Phase::Disconnected { retry_at: Some(at) } if self.fabric && at <= now => self.begin(now),
            Phase::AwaitingServer { chooses_until: Some(at) } if at <= now => self.retry(now),
            _ => {}
        }
        self.channel.handle_timeout(now);
        if self.channel.is_stalled(now) {
            self.close(CloseReason::SlowConsumer);
        }
        self.check_end(now);
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
        self.phase == Phase::Closed
    }

    fn id(&self) -> &str {
        &self.mine.as_str()[self.id_at..]
    }

    /// Returns what the server listens on.
    fn subject(&self) -> &str {
        &self.mine.as_str()[..self.id_at - ".client.".len()]
    }

    fn is_closing(&self) -> bool {
        matches!(self.phase, Phase::Closed | Phase::AwaitingClosed)
    }

    fn enter_disconnected(&mut self, retry_at: Option<Instant>) {
        let was_disconnected = matches!(self.phase, Phase::Disconnected { .. } | Phase::AwaitingFabric);
        self.phase = Phase::Disconnected { retry_at };
        self.asked = 0;
        self.channel.detach();
        if !was_disconnected {
            self.emit(SocketEvent::State(State::Disconnected));
        }
    }

    fn emit(&mut self, event: SocketEvent) {
        self.channel.outputs.push_back(Output::Event(event));
    }
}
