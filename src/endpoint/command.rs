//! Commands of the application. None is answered at once: the outcome of a command is an event.

use std::sync::Arc;
use std::time::Duration;

use crate::base::{Few, Handle, Urgent, Weigh};
use crate::client::Request;
use crate::socket::{AskTerms, Consumed, SocketConfig};
use crate::subject::{Pattern, Subject};
use crate::wire::stream::CancelReason;
use crate::wire::{Item, Message, Messages, SocketReport};

/// One command.
#[derive(Debug, Clone)]
pub enum Command {
    /// Publish and forget.
    Publish(Message),
    /// Publish with confirmation, request, or wait for interest. Without a ticket nobody waits for what comes
    /// of it.
    Request {
        /// The ticket of the caller.
        ticket: Option<Handle>,
        /// The request.
        request: Request,
    },
    /// Nothing waits for this ticket any more.
    Cancel(Handle),
    /// Subscribe.
    Subscribe {
        /// Gets the messages.
        subscription: Handle,
        /// Gets the confirmation.
        ticket: Option<Handle>,
        /// The pattern to match.
        pattern: Pattern,
        /// Members of one queue share the messages; `None`: all of them.
        queue: Option<Arc<str>>,
    },
    /// End a subscription.
    Unsubscribe(Handle),
    /// Drop what comes for a subscription while so much of it waits for the application, and count it.
    BoundUnread {
        /// The subscription.
        subscription: Handle,
        /// Bytes; no bound with 0.
        most: usize,
    },
    /// End a subscription behind the last message that the broker has for it.
    Drain {
        /// The subscription.
        subscription: Handle,
        /// Gets the end.
        ticket: Handle,
    },
    /// Serve a subject.
    Listen {
        /// Gets the sockets.
        listener: Handle,
        /// A subject, or a pattern that does not end in `>`.
        subject: String,
        /// The server's id.
        id: String,
        /// Whether somebody else may have chosen the same id: the newest listener takes it.
        exclusive: bool,
        /// For its sockets.
        config: SocketConfig,
    },
    /// Make a client socket.
    SocketConnect {
        /// The socket.
        socket: Handle,
        /// The server's subject.
        subject: String,
        /// The socket's id.
        id: String,
        /// Its settings.
        config: SocketConfig,
    },
    /// Publish messages in a row without confirmation.
    PublishMany {
        /// The subject.
        subject: Subject,
        /// The messages, in order.
        batches: Few<Messages>,
    },
    /// Write to one or more sockets.
    SocketWrite {
        /// The sockets.
        sockets: Few<Handle>,
        /// The messages, in order.
        batches: Few<Messages>,
        /// Loss of it is not reported.
        volatile: bool,
    },
    /// Write data to one or more sockets that is not to be handed out late.
    SocketWriteTimed {
        /// The sockets.
        sockets: Vec<Handle>,
        /// The data.
        item: Item,
        /// Loss of it is not reported.
        volatile: bool,
        /// How long it is worth reading, without the time on its way.
        ttl: Duration,
    },
    /// A message of data was not handed out, since its time was over.
    SocketDropped {
        /// The socket.
        socket: Handle,
        /// Which one of the messages of data.
        number: u64,
    },
    /// The application knows that a socket is closed: what it wrote before it knew has been reported as
    /// undelivered.
    Collect(Handle),
    /// Ask the peer of a socket, in the line of what is written, for more than one answer or with another
    /// wait than a plain request has. The others are written.
    SocketAsk {
        /// The socket.
        socket: Handle,
        /// The request.
        question: Item,
        /// What it wants beside one answer.
        terms: AskTerms,
    },
    /// The handlers of so many more messages have been called.
    Consumed {
        /// The socket.
        socket: Handle,
        /// How many of each class.
        counts: Consumed,
    },
    /// Nobody waits any more for the answer to a request that was written to a socket.
    SocketCancel {
        /// The socket.
        socket: Handle,
        /// The request's key.
        key: u64,
        /// Why.
        reason: CancelReason,
    },
    /// Detach a client socket by hand.
    SocketDisconnect(Handle),
    /// Attach it again.
    SocketReconnect(Handle),
    /// Close a socket now.
    SocketClose {
        /// The socket.
        socket: Handle,
        /// Why what was written is incomplete, if it is: the peer is told.
        abort: Option<String>,
    },
    /// Close a socket, and tell the peer that it did not keep up.
    SocketGiveUp(Handle),
    /// Close it when everything written has been handled.
    SocketEnd {
        /// Gets the end.
        ticket: Handle,
        /// The socket.
        socket: Handle,
        /// The time it may take.
        timeout: Duration,
    },
    /// The load balancer's choice; `None` when it failed.
    ServerChosen {
        /// The socket.
        socket: Handle,
        /// The server's id.
        id: Option<String>,
    },
    /// Take no new sockets from now on; those that are there stay.
    ListenerRetire(Handle),
    /// Stop serving, close all sockets.
    ListenerClose(Handle),
    /// Stop serving when all sockets have come to their end.
    ListenerEnd {
        /// Gets the end.
        ticket: Handle,
        /// The listener.
        listener: Handle,
        /// The time it may take.
        timeout: Duration,
    },
    /// Connect to the fabric, and stay connected.
    Connect,
    /// Disconnect from the fabric.
    Disconnect,
    /// Close everything, for good; what was published before there is a connection has so long to leave.
    Close(Duration),
    /// The process is about to end: nothing follows, and nobody is to wait for its return.
    Leave,
    /// Tell the broker of sockets.
    TellSockets(Vec<SocketReport>),
    /// Lose the link, as if the network had failed.
    DropTransport,
}

impl Command {
    /// Returns whether something of it may go to the fabric beside the sockets.
    pub(super) fn publishes(&self) -> bool {
        matches!(
            self,
            Self::Publish(_)
                | Self::PublishMany { .. }
                | Self::Request { .. }
                | Self::Leave
                | Self::TellSockets(_)
        )
    }
}

impl Urgent for Command {
    /// Returns whether it publishes: what is written to a socket waits in its window, where it holds up
    /// nobody.
    fn needs_link(&self) -> bool {
        self.publishes()
    }
}

impl Weigh for Command {
    fn weight(&self) -> usize {
        let payload = match self {
            Self::Publish(message) => message.bytes(),
            Self::Request { request, .. } => request.message.bytes(),
            Self::SocketWrite { batches, .. } | Self::PublishMany { batches, .. } => {
                batches.iter().map(|batch| batch.bytes() + size_of::<Messages>()).sum()
            }
            Self::SocketAsk { question, .. } => question.bytes(),
            Self::SocketWriteTimed { item, .. } => item.bytes(),
            _ => 0,
        };
        payload + size_of::<Self>()
    }
}
