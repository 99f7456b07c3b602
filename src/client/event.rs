//! News from the fabric client.

use super::ClientError;
use crate::wire::{Bundle, Info, Message};

/// What happened. `T` names whose it is.
#[derive(Debug, Clone, PartialEq)]
pub enum ClientEvent<T> {
    /// The connection changed.
    Session(SessionState),
    /// A message for a subscription.
    Delivered {
        /// Whose.
        token: T,
        /// The message, whole.
        message: Message,
    },
    /// Several messages for a subscription.
    Bundle {
        /// Whose.
        token: T,
        /// The messages.
        bundle: Bundle,
    },
    /// A subscription stands: messages flow.
    Subscribed(T),
    /// A confirmed publish: the broker has routed it.
    Published {
        /// Whose.
        token: T,
        /// Payload bytes.
        bytes: usize,
        /// How many (pattern, queue group) pairs got it.
        count: u64,
    },
    /// An answer to a request.
    Reply {
        /// Whose.
        token: T,
        /// The answer.
        message: Message,
    },
    /// A request for many replies has come to its end.
    Ended(T),
    /// Whether there is interest.
    Interest(T, bool),
    /// The addresses of the fabric's servers.
    Cluster(T, Vec<String>),
    /// The broker has the subscriptions that this client has.
    Synced(T),
    /// It failed.
    Failed(T, ClientError),
    /// The broker refused something with 403.
    Permission {
        /// In words.
        message: String,
        /// Which subject.
        subject: String,
        /// `"pub"` or `"sub"`.
        kind: String,
    },
}

/// What the connection is.
#[derive(Debug, Clone, PartialEq)]
pub enum SessionState {
    /// The link is up; what the broker calls it, or nothing.
    Connected(String),
    /// The broker knows who we are.
    SignedIn(Info),
    /// It does not want us; the link will close.
    SignInFailed(String),
    /// The inbox and every subscription stand.
    Ready,
    /// The link will close, and why; `Disconnected` follows.
    Ending(ClientError),
    /// The link is gone.
    Disconnected(String),
    /// Final.
    Closed,
}
