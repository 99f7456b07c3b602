//! What the application is told.

use super::{Failure, Handle};
use crate::client::SessionState;
use crate::socket::State;
use crate::wire::{Bundle, Json, Message, Messages, Payload};

/// One piece of news.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// The connection to the fabric changed.
    Session(SessionState),
    /// The broker refused something with 403.
    Permission(Json),
    /// A message for a subscription.
    Delivered {
        /// Which one.
        subscription: Handle,
        /// The message.
        message: Message,
    },
    /// Several messages for a subscription.
    DeliveredBundle {
        /// Which one.
        subscription: Handle,
        /// The messages.
        bundle: Bundle,
    },
    /// A confirmed publish.
    Published {
        /// Whose.
        ticket: Handle,
        /// Payload bytes.
        bytes: usize,
        /// How many got it.
        count: u64,
    },
    /// An answer.
    Reply {
        /// Whose.
        ticket: Handle,
        /// The answer.
        message: Message,
    },
    /// It is done.
    Done {
        /// Whose.
        ticket: Handle,
        /// For a wait for interest: whether there is any.
        value: bool,
    },
    /// A list that was asked for.
    Strings {
        /// Whose.
        ticket: Handle,
        /// What is in it.
        strings: Vec<String>,
    },
    /// It failed.
    Failed {
        /// Whose.
        ticket: Handle,
        /// Why.
        failure: Failure,
    },
    /// A socket changed, to anything but closed.
    Socket {
        /// Which one.
        socket: Handle,
        /// What it is now.
        state: State,
    },
    /// A socket is closed. Nothing comes for it any more.
    SocketClosed {
        /// Which one.
        socket: Handle,
        /// Why; `None`: because the application wanted it.
        failure: Option<Failure>,
        /// How many messages are not known to have been handled by the peer.
        undelivered: usize,
    },
    /// Messages on a socket, in order.
    Data {
        /// Which one.
        socket: Handle,
        /// They.
        batch: Messages,
    },
    /// The peer of a socket asks.
    Request {
        /// Which one.
        socket: Handle,
        /// The request, with the subject for the answer.
        message: Message,
    },
    /// What the peer has handled since the socket was made.
    Acked {
        /// Which one.
        socket: Handle,
        /// How many messages.
        total: u64,
        /// Their bytes.
        bytes: u64,
    },
    /// What had to be sent again, and what came again, since the socket was made.
    Counted {
        /// Which one.
        socket: Handle,
        /// Messages sent a second time, or a third.
        resent: u64,
        /// Messages that were here already.
        duplicates: u64,
    },
    /// A message that the peer is not known to have handled: before the close of its socket, oldest first, or after it, if it was written
    /// before the application could know.
    Undelivered {
        /// Which one.
        socket: Handle,
        /// Its number; 0: that after the one before.
        seq: u64,
        /// What it carries.
        payload: Payload,
        /// The application's headers.
        json: Option<Json>,
    },
    /// The answer to `Collect`: nothing more comes for this socket.
    Collected(Handle),
    /// A client has connected.
    Accepted {
        /// To which listener.
        listener: Handle,
        /// The socket's new handle.
        socket: Handle,
        /// The id that the client chose.
        id: String,
        /// What its connect request came on.
        subject: String,
    },
    /// A listener changed, to anything but closed.
    Listener {
        /// Which one.
        listener: Handle,
        /// What it is now.
        state: State,
    },
    /// A listener is closed.
    ListenerClosed {
        /// Which one.
        listener: Handle,
        /// Why; `None`: because the application wanted it.
        failure: Option<Failure>,
    },
    /// Call the load balancer.
    ChooseServer(Handle),
}

impl Event {
    /// About how many bytes it holds: what the bound of a queue of events counts.
    pub fn weight(&self) -> usize {
        let payload = match self {
            Self::Delivered { message, .. } | Self::Reply { message, .. } | Self::Request { message, .. } => {
                message.payload.raw.len()
            }
            Self::DeliveredBundle { bundle, .. } => bundle.len(),
            Self::Data { batch, .. } => batch.bytes(),
            Self::Undelivered { payload, .. } => payload.raw.len(),
            Self::Strings { strings, .. } => {
                strings.iter().map(|text| text.len() + size_of::<String>()).sum()
            }
            _ => 0,
        };
        payload + size_of::<Self>()
    }
}
