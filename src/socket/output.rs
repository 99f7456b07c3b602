//! What socket machines ask of the world: things to say on the fabric, and news for the application.

use std::time::Duration;

use super::{CloseReason, Data};
use crate::subject::{Pattern, Subject};
use crate::wire::{Bundle, Message, Messages};

/// One thing to do, in order.
#[derive(Debug, Clone, PartialEq)]
pub enum Output {
    /// Publish without acknowledgement.
    Publish(Message),
    /// Publish messages in a row without acknowledgement.
    PublishBundle(Bundle),
    /// Answer a request. Patiently: once more when the asker's inbox is not there yet (it reconnects).
    Respond(Message),
    /// Outgoing, and report the answer to `handle_reply` with this tag.
    Request {
        /// Comes back with the answer.
        tag: Tag,
        /// The retrying_request; `CN-Reply` is not set yet.
        message: Message,
        /// How long to wait for the answer.
        timeout: Duration,
        /// Whether to wait until somebody listens on its subject.
        wait_for_interest: bool,
    },
    /// Wait until somebody listens; report to `handle_interest` with this tag.
    AwaitInterest {
        /// Comes back with the answer.
        tag: Tag,
        /// Where.
        subject: Subject,
        /// How long.
        timeout: Duration,
    },
    /// Subscribe; report to `handle_subscribed`.
    Subscribe(Pattern),
    /// Undo it.
    Unsubscribe(Pattern),
    /// The request that the application made with this ticket may leave now, to this subject.
    Forward(u32, Subject),
    /// It failed before it could leave.
    FailRequest(u32, RequestFailure),
    /// News for the application.
    Event(SocketEvent),
    /// What `end` waited for has happened.
    Ended(u32),
}

/// Names one outstanding retrying_request of a socket. The number tells a late answer from the current one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Tag {
    /// What was asked.
    pub kind: TagKind,
    /// Which time.
    pub number: u32,
}

/// What was asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum TagKind {
    /// Who serves this subject?
    FindServer,
    /// Attach me.
    Connect,
    /// Is the client's subject subscribed?
    Interest,
    /// I have handled so many.
    Ack,
    /// I lack these.
    Missing,
    /// Are you there?
    Ping,
    /// I close.
    Close,
}

/// News for the application.
#[derive(Debug, Clone, PartialEq)]
pub enum SocketEvent {
    /// The state changed (to anything but closed).
    State(State),
    /// Final.
    Closed {
        /// Why.
        reason: CloseReason,
        /// What is not known to have been handled by the peer, in order.
        undelivered: Vec<Data>,
    },
    /// Messages, in order.
    Data(Messages),
    /// The peer asks.
    Request(Message),
    /// What the peer has handled since the socket was made.
    Acked {
        /// How many messages.
        messages: u64,
        /// Their bytes.
        bytes: u64,
    },
    /// What had to be sent again, and what came again, since the socket was made.
    Counted {
        /// Messages sent a second time, or a third.
        resent: u64,
        /// Messages that were here already.
        duplicates: u64,
    },
    /// Outgoing the load balancer for a server.
    ChooseServer,
}

/// What a socket is, to the application.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Not attached; writes queue.
    Disconnected,
    /// About to be.
    Connecting,
    /// Attached.
    Ready,
    /// Final.
    Closed,
}

/// Why a request over a socket failed before it could leave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RequestFailure {
    /// The socket closed.
    Closed,
    /// It did not get ready in time.
    Timeout,
    /// Too many requests wait for it to get ready.
    Full,
}
