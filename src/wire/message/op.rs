//! What a client and a broker say to each other, whatever the language.

use std::sync::Arc;
use std::time::Duration;

use super::{Headers, Json, Payload};
use crate::subject::{Pattern, Subject};

/// Correlates an operation with its acknowledgement on one link.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct AckId(pub u64);

/// Names a message, so that its chunks can be joined.
pub type MessageId = Arc<str>;

/// One chunk of a message, and most messages are one chunk; or a bundle of whole ones (`bundle.rs`).
#[derive(Debug, Clone, PartialEq)]
pub struct Publication {
    /// Where it goes.
    pub subject: Subject,
    /// The same for all chunks of a message.
    pub id: MessageId,
    /// 0, 1, 2 … within the message.
    pub seq: u32,
    /// Set on the last chunk.
    pub done: bool,
    /// How many messages `payload` holds as a [`super::Bundle`]; 0: it is one, or a chunk of one.
    pub bundled: u32,
    /// The chunk's bytes, and the encoding of the whole.
    pub payload: Payload,
    /// On the last chunk only.
    pub headers: Headers,
}

/// What a client wants subscribed.
#[derive(Debug, Clone, PartialEq)]
pub struct Subscription {
    /// What to match. Text, because a broker must answer for an invalid one too.
    pub pattern: Arc<str>,
    /// Members of one queue share the messages. A broker refuses a subscription without one.
    pub queue: Option<Arc<str>>,
}

/// From a client to a broker.
#[derive(Debug, Clone, PartialEq)]
pub enum ClientOp {
    /// Publish one chunk; `ack` asks for [`Reply::Published`].
    Publish {
        /// Wanted acknowledgement.
        ack: Option<AckId>,
        /// The chunk.
        publication: Publication,
    },
    /// Publish one chunk for somebody to answer: [`Reply::Published`] comes only when nobody got it. Over a language that has no
    /// word for that, it always comes.
    Request {
        /// Wanted acknowledgement.
        ack: AckId,
        /// The chunk.
        publication: Publication,
    },
    /// A publish that the broker must answer, not route: its subject is invalid.
    PublishRefused {
        /// Wanted acknowledgement.
        ack: Option<AckId>,
        /// Why.
        error: OpError,
    },
    /// Answered with [`Reply::Subscribed`], one status for each, in order.
    Subscribe {
        /// Wanted acknowledgement.
        ack: Option<AckId>,
        /// What to add.
        subscriptions: Vec<Subscription>,
        /// Whether a list was sent (the answer is a list then too).
        list: bool,
    },
    /// Answered with [`Reply::Unsubscribed`].
    Unsubscribe {
        /// Wanted acknowledgement.
        ack: Option<AckId>,
        /// What to remove; unknown ones are no error.
        patterns: Vec<Arc<str>>,
        /// Whether a list was sent.
        list: bool,
    },
    /// Which patterns does this connection have? Answered with [`Reply::Strings`].
    Subscriptions {
        /// Wanted acknowledgement.
        ack: AckId,
    },
    /// Answered with [`Reply::Interest`] once somebody listens, or time is over.
    WaitForInterest {
        /// Wanted acknowledgement.
        ack: AckId,
        /// A literal subject.
        subject: Arc<str>,
        /// Zero asks for the present state. The broker caps it.
        timeout: Duration,
    },
    /// The addresses of the servers of this fabric. Answered with [`Reply::Strings`].
    Cluster {
        /// Wanted acknowledgement.
        ack: AckId,
    },
    /// What the client has received so far.
    Stats {
        /// Messages delivered to it.
        messages: u64,
        /// Their bytes.
        bytes: u64,
    },
    /// The client has had [`ServerOp::Info`].
    InfoReceived,
}

/// From a broker to a client.
#[derive(Debug, Clone, PartialEq)]
pub enum ServerOp {
    /// Who the broker is, and who it takes the client for. The link acknowledges it by itself where its language wants that.
    Info(Info),
    /// Something was refused with 403.
    Permission {
        /// In words.
        message: String,
        /// Which subject.
        subject: String,
        /// `"pub"` or `"sub"`.
        kind: String,
    },
    /// The broker ends this connection, and why. Nothing follows. Conat's wire has no word for it.
    Closing {
        /// A code of docs/reference/errors.md; who does not know it goes by the words.
        code: String,
        /// In words.
        message: String,
    },
    /// A chunk for the subscription `pattern`.
    Deliver {
        /// The pattern as subscribed.
        pattern: Pattern,
        /// The chunk.
        publication: Publication,
    },
    /// The answer to an operation that asked for one.
    Ack {
        /// Which one.
        id: AckId,
        /// What became of it.
        reply: Reply,
    },
}

/// Sent by a broker when a client has signed in, or could not.
#[derive(Debug, Clone, PartialEq)]
pub struct Info {
    /// Largest payload of one publish in bytes; longer messages are chunked below it.
    pub max_payload: usize,
    /// The broker's id.
    pub id: String,
    /// The cluster's name, if it has one.
    pub cluster_name: Option<String>,
    /// Who the client is (any JSON), or why it is refused.
    pub user: Result<Json, OpError>,
}

/// An answer to a [`ClientOp`].
#[derive(Debug, Clone, PartialEq)]
pub enum Reply {
    /// To how many (pattern, queue group) pairs the chunk went, taps not counted.
    Published {
        /// The count.
        count: u64,
    },
    /// One status for each subscription asked for.
    Subscribed(Vec<Result<SubscribeStatus, OpError>>),
    /// Done; it never fails.
    Unsubscribed {
        /// How many patterns were asked for.
        count: usize,
    },
    /// Patterns, or addresses.
    Strings(Vec<String>),
    /// Whether there is interest.
    Interest(bool),
    /// Refused as a whole.
    Error(OpError),
}

/// What became of one subscription.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SubscribeStatus {
    /// Messages flow.
    Added,
    /// They flowed already (whatever queue was named this time).
    AlreadyAdded,
}

/// A refusal, as it stands in an acknowledgement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpError {
    /// In words.
    pub message: String,
    /// 403, 429 …
    pub code: Option<u16>,
}

impl OpError {
    /// A refusal without a code.
    pub fn text(message: impl Into<String>) -> Self {
        Self { message: message.into(), code: None }
    }
}

impl std::fmt::Display for OpError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.message)
    }
}
