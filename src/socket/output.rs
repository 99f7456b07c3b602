//! The outputs of socket machines: messages for the fabric, and events for the application.

use std::time::{Duration, Instant};

use super::{AskTerms, Data, PeerLoss, ReceivedRequest, SocketCounters};
use crate::base::{Failure, Weigh};
use crate::subject::{Pattern, Subject};
use crate::wire::{Bundle, Item, Message, Messages};

/// One thing to do, in order. What is rare stands in a box, since each is moved.
#[derive(Debug, Clone, PartialEq)]
pub enum Output {
    /// Publish without acknowledgement.
    Publish(Message),
    /// Publish messages in a row without acknowledgement.
    PublishBundle(Bundle),
    /// Answer a request. Patiently: once more when the asker's inbox is not there yet (it reconnects).
    Respond(Message),
    /// Send a request, and hand the reply to `handle_reply` with this tag.
    Request {
        /// Comes back with the answer.
        tag: Tag,
        /// The request; `CN-Reply` is not set yet.
        message: Box<Message>,
        /// The time to wait for the reply.
        timeout: Duration,
        /// Whether to wait until its subject has subscribers.
        wait_for_interest: bool,
    },
    /// The peer may not be there any more: where nobody tells, somebody should look.
    Suspect,
    /// The peer is about to be given up: look whether it is there, and call `handle_found` or
    /// `handle_missed`.
    LookUpPeer,
    /// Wait for subscribers; call `handle_interest` with this tag.
    AwaitInterest {
        /// Comes back with the answer.
        tag: Tag,
        /// The subject.
        subject: Subject,
        /// The time to wait.
        timeout: Duration,
    },
    /// Publish, and report to `handle_reply` with this tag when nobody gets it, or it is too large.
    Probe {
        /// Comes back then.
        tag: Tag,
        /// What is published.
        message: Box<Message>,
        /// How long the broker's word may take.
        timeout: Duration,
    },
    /// Publish to whoever listens, and report to `handle_reply` with this tag when nobody gets it; at once if
    /// that was so a moment ago.
    AskAnyone {
        /// Comes back then.
        tag: Tag,
        /// What is published.
        message: Box<Message>,
        /// How long the broker's word may take.
        timeout: Duration,
    },
    /// Nobody on this subject can be asked like that.
    NoteUnheard(String),
    /// The peer of a server's end has heard of it.
    Proven,
    /// Nobody waits for the answer to this any more.
    Cancel(Tag),
    /// Subscribe; report to `handle_subscribed`.
    Subscribe(Pattern),
    /// The same, as the only one of all connections.
    SubscribeExclusively(Pattern),
    /// The same, as one of a group.
    SubscribeInGroup(Pattern),
    /// Undo it.
    Unsubscribe(Pattern),
    /// Undo it behind the last message that comes for it.
    Drain(Pattern),
    /// Ask a peer of Conat; its answers come to `handle_answer` with this key, its failure to
    /// `handle_ask_failed`, and the end of many to `handle_answered`.
    Ask {
        /// Comes back.
        key: u64,
        /// The question; `CN-Reply` is not set yet.
        message: Box<Message>,
        /// The time to wait for the answer.
        timeout: Duration,
        /// What it wants beside one answer.
        terms: AskTerms,
    },
    /// Nobody waits for the answer any more.
    CancelAsk(u64),
    /// Events for the application.
    Event(SocketEvent),
    /// The event that `end` waited for.
    Ended(u32),
    /// Watch whether there is a server of this kind, which is about to be missed.
    WatchOthers(Subject),
    /// Undo it.
    UnwatchOthers,
}

// As the operations of the fabric (`wire/message/op.rs`).
const _: () = assert!(size_of::<Output>() <= 128);

/// Names one outstanding request of a socket. The number tells a late reply from the current one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Tag {
    /// Its kind.
    pub kind: TagKind,
    /// A number that tells it from earlier ones.
    pub number: u32,
}

/// The kind of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum TagKind {
    /// Who serves this subject?
    FindServer,
    /// Attach me.
    Connect,
    /// Attach me, whoever you are.
    ConnectAnyone,
    /// I have attached you.
    Accept,
    /// Is the client's subject subscribed by now?
    Arrival,
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
    /// Here it is again.
    Resent,
    /// Where are you?
    Probe,
}

/// Events for the application.
#[derive(Debug, Clone, PartialEq)]
pub enum SocketEvent {
    /// The state changed (to anything but closed).
    State(State),
    /// The state is disconnected, and why the peer is away.
    PeerLost(PeerLoss),
    /// It is disconnected: the broker has lost the fabric above it, where the peer is.
    Unreachable,
    /// A message that the peer is not known to have handled: before the close, oldest first; or after it, if
    /// it was written before the application could know, with 0 for its number.
    Undelivered(Data),
    /// Final, but for what was written too late.
    Closed {
        /// The reason; `None` if the application wanted it.
        failure: Option<Failure>,
        /// The number of undelivered messages.
        undelivered: usize,
        /// Whether the peer closed it because its listener is leaving.
        is_leaving: bool,
        /// How many of the messages that the peer had written did not come, if it closed it.
        missing: u64,
    },
    /// Messages, in order: data, requests, answers and what belongs to them.
    Data(Messages),
    /// Data that is not to be handed out after this time; not at all without one.
    Timed {
        /// The data.
        item: Item,
        /// Until when.
        until: Option<Instant>,
        /// Which one of the messages of data, from 1.
        number: u64,
    },
    /// Data that was written with a time, which was over.
    Stale(StaleData),
    /// The same, at the peer: it was not handed out.
    Dropped(u64),
    /// The peer asks.
    Request(ReceivedRequest),
    /// Messages that the peer has handled since the socket was created.
    Acked {
        /// The number of messages.
        messages: u64,
        /// Their bytes.
        bytes: u64,
    },
    /// What the socket has counted.
    Counters(SocketCounters),
    /// A request came to nothing.
    RequestFailed {
        /// Its key.
        key: u64,
        /// Why.
        failure: Failure,
        /// It is certain that no handler had it.
        is_unhandled: bool,
    },
    /// A request for many answers has had all that it wants, or its time is over.
    RequestDone {
        /// Its key.
        key: u64,
    },
    /// The server that a client socket belongs to from now on, by its id.
    Bound(Box<str>),
    /// Why a client socket is not attached, while it looks for a server; `None`: that is over.
    Unserved(Option<Failure>),
    /// The load balancer is asked for a server.
    ChooseServer,
    /// The peer sent a message that is larger than this end takes: the application is to close the socket, so
    /// that the close counts all that it was handed.
    Unwelcome(Failure),
    /// The application knows of the close, and nothing more comes.
    Collected,
}

/// Data that was not sent, since its time was over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StaleData {
    /// Which one of the messages of data, from 1.
    pub number: u64,
    /// Its bytes.
    pub bytes: usize,
    /// Whether it had left: then it keeps its number, and comes no second time. If not, what is behind it
    /// takes its number.
    pub had_left: bool,
}

impl Weigh for SocketEvent {
    fn weight(&self) -> usize {
        let content = match self {
            Self::Data(batch) => batch.bytes(),
            Self::Timed { item, .. } => item.bytes(),
            Self::Request(message) => message.bytes(),
            Self::Undelivered(data) => data.bytes(),
            Self::Closed { failure: Some(failure), .. }
            | Self::RequestFailed { failure, .. }
            | Self::Unserved(Some(failure))
            | Self::Unwelcome(failure) => failure.message.len(),
            _ => 0,
        };
        content + size_of::<Self>()
    }
}

/// The state of a socket, as the application sees it.
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
