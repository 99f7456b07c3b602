//! Events of the fabric client.

use super::ClientError;
use crate::base::LinkInfo;
use crate::wire::{Bundle, Info, Message, OpError, PresenceChange};

/// An event. `T` names the owner of what it is about.
#[derive(Debug, Clone, PartialEq)]
pub enum ClientEvent<T> {
    /// The connection changed.
    Session(SessionState),
    /// A message for a subscription.
    Delivered {
        /// The token of its owner.
        token: T,
        /// The message, whole.
        message: Message,
    },
    /// Several messages for a subscription.
    Bundle {
        /// The token of its owner.
        token: T,
        /// The messages.
        bundle: Bundle,
    },
    /// A subscription stands: messages flow.
    Subscribed(T),
    /// The broker no longer permits a subscription that stood. It is tried again until it is ended.
    Revoked(T, OpError),
    /// A newer connection has the pattern of a subscription to itself: nothing more comes.
    Superseded(T),
    /// A subscription that was drained has come to its end: nothing more comes.
    Drained(T),
    /// A confirmed publish: the broker has routed it.
    Published {
        /// The token of its owner.
        token: T,
        /// Payload bytes.
        bytes: usize,
        /// The number of (pattern, queue group) pairs that got it.
        count: u64,
    },
    /// An answer to a request.
    Reply {
        /// The token of its owner.
        token: T,
        /// The answer.
        message: Message,
    },
    /// A request for many replies has come to its end.
    Ended(T),
    /// Whether there is interest.
    Interest(T, bool),
    /// Whether there is somebody for a request that waits until there is: `false` as soon as it waits.
    Heard(T, bool),
    /// The addresses of the fabric's servers.
    Cluster(T, Vec<String>),
    /// The broker has the subscriptions that this client has.
    Synced(T),
    /// What became of a watched end.
    Watched(PresenceChange),
    /// It failed.
    Failed(T, ClientError),
    /// The broker refused something with 403.
    Permission {
        /// A text for people.
        message: String,
        /// The subject.
        subject: String,
        /// `"pub"` or `"sub"`.
        kind: String,
    },
}

/// The state of the connection.
#[derive(Debug, Clone, PartialEq)]
pub enum SessionState {
    /// The link is up; what the broker calls it, or nothing.
    Connected(LinkInfo),
    /// The broker knows who we are.
    SignedIn(Box<Info>),
    /// It does not want us; the link will close.
    SignInFailed(OpError),
    /// The inbox and every subscription stand.
    Ready,
    /// The link will close, and why; `Disconnected` follows.
    Ending(ClientError),
    /// The link is gone, and why; what fails with it comes next, then `Disconnected`.
    Lost(String),
    /// The link is gone.
    Disconnected(String),
    /// Final.
    Closed,
}
