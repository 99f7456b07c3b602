//! Events for the application.

use crate::base::{Failure, Handle, Weigh};
use crate::client::SessionState;
use crate::socket::State;
use crate::wire::{Bundle, Json, Message, Messages, Payload};

/// One event.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// The connection to the fabric changed.
    Session(SessionState),
    /// An attempt to connect failed; the next one follows if there is to be one.
    ConnectFailed(Failure),
    /// The broker refused something with 403.
    Permission(Json),
    /// A message for a subscription.
    Delivered {
        /// The subscription.
        subscription: Handle,
        /// The message.
        message: Message,
    },
    /// Several messages for a subscription.
    DeliveredBundle {
        /// The subscription.
        subscription: Handle,
        /// The messages.
        bundle: Bundle,
    },
    /// A confirmed publish.
    Published {
        /// The ticket of the caller.
        ticket: Handle,
        /// Payload bytes.
        bytes: usize,
        /// The number of receivers.
        count: u64,
    },
    /// An answer.
    Reply {
        /// The ticket of the caller.
        ticket: Handle,
        /// The answer.
        message: Message,
    },
    /// It is done.
    Done {
        /// The ticket of the caller.
        ticket: Handle,
        /// For a wait for interest: whether there is any.
        value: bool,
    },
    /// A list that was asked for.
    Strings {
        /// The ticket of the caller.
        ticket: Handle,
        /// The strings.
        strings: Vec<String>,
    },
    /// It failed.
    Failed {
        /// The ticket of the caller.
        ticket: Handle,
        /// The reason.
        failure: Failure,
    },
    /// A socket changed, to anything but closed.
    Socket {
        /// The socket.
        socket: Handle,
        /// The new state.
        state: State,
    },
    /// A socket is closed. Nothing comes for it any more.
    SocketClosed {
        /// The socket.
        socket: Handle,
        /// The reason; `None`: the application asked for it.
        failure: Option<Failure>,
        /// The number of messages that the peer is not known to have handled.
        undelivered: usize,
    },
    /// Messages on a socket, in order.
    Data {
        /// The socket.
        socket: Handle,
        /// The messages.
        batch: Messages,
    },
    /// The peer of a socket asks.
    Request {
        /// The socket.
        socket: Handle,
        /// The request, with the subject for the answer.
        message: Message,
    },
    /// Messages that the peer has handled since the socket was created.
    Acked {
        /// The socket.
        socket: Handle,
        /// The number of messages.
        total: u64,
        /// Their bytes.
        bytes: u64,
    },
    /// Messages sent again, and messages received again, since the socket was created.
    Counted {
        /// The socket.
        socket: Handle,
        /// Messages sent a second time, or a third.
        resent: u64,
        /// Messages that were here already.
        duplicates: u64,
    },
    /// A message that the peer is not known to have handled: before the close of its socket, oldest first, or
    /// after it, if it was written before the application could know.
    Undelivered {
        /// The socket.
        socket: Handle,
        /// Its number; 0: that after the one before.
        seq: u64,
        /// The payload.
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
        /// The subject of its connect request.
        subject: String,
    },
    /// A listener changed, to anything but closed.
    Listener {
        /// The listener.
        listener: Handle,
        /// The new state.
        state: State,
    },
    /// A listener is closed.
    ListenerClosed {
        /// The listener.
        listener: Handle,
        /// The reason; `None`: the application asked for it.
        failure: Option<Failure>,
    },
    /// Call the load balancer.
    ChooseServer(Handle),
}

impl Weigh for Event {
    fn weight(&self) -> usize {
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
