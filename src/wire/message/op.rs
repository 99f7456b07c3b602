//! The operations between a client and a broker, whatever the protocol.

use std::sync::Arc;
use std::time::Duration;

use super::{Headers, Json, Message, Payload, PresenceChange, SocketCommand, SocketReport, WatchRequest};
use crate::base::Code;
use crate::subject::{Pattern, Subject};

/// Correlates an operation with its acknowledgement on one link.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct AckId(pub u64);

/// Names a message, so that its chunks can be joined.
pub type MessageId = Arc<str>;

/// One chunk of a message, and most messages are one chunk; or a bundle of whole ones (`bundle.rs`). It is
/// moved from station to station: what few have stands elsewhere.
#[derive(Debug, Clone, PartialEq)]
pub struct Publication {
    /// Where it goes.
    pub subject: Subject,
    /// What it is.
    pub form: Form,
    /// The chunk's bytes, and the encoding of the whole.
    pub payload: Payload,
    /// On the last chunk only.
    pub headers: Headers,
}

/// What a publication is.
#[derive(Debug, Clone)]
pub enum Form {
    /// A message.
    Whole,
    /// Several, which its payload holds as a [`super::Bundle`].
    Bundle {
        /// Their number.
        count: u32,
        /// The bytes of their payloads.
        bytes: u32,
    },
    /// One of several chunks of a message; or the only one, where a protocol gives an id to that, too.
    Chunk(Arc<Chunk>),
}

/// Which chunk of which message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chunk {
    /// The same for all chunks of a message.
    pub id: MessageId,
    /// 0, 1, 2 … within the message.
    pub seq: u32,
    /// Set on the last one.
    pub done: bool,
}

impl Form {
    /// Returns the bytes of what stands elsewhere, without the id's text.
    pub fn chunk_bytes(&self) -> usize {
        // Behind the two counts of its owners.
        if let Self::Chunk(_) = self { size_of::<[usize; 2]>() + size_of::<Chunk>() } else { 0 }
    }

    fn id(&self) -> &str {
        if let Self::Chunk(chunk) = self { &chunk.id } else { ID_OF_WHOLE }
    }

    fn position(&self) -> (u32, bool) {
        if let Self::Chunk(chunk) = self { (chunk.seq, chunk.done) } else { WHOLE }
    }

    fn bundled(&self) -> Option<(u32, u32)> {
        if let Self::Bundle { count, bytes } = *self { Some((count, bytes)) } else { None }
    }
}

/// The id that is written where there is none is none.
impl PartialEq for Form {
    fn eq(&self, other: &Self) -> bool {
        (self.id(), self.position(), self.bundled()) == (other.id(), other.position(), other.bundled())
    }
}

impl Publication {
    /// Makes a message of one chunk.
    pub fn whole(message: Message) -> Self {
        let Message { subject, payload, headers } = message;
        Self { subject, form: Form::Whole, payload, headers }
    }

    /// Makes one chunk of a message; `message` is what of it travels in this chunk.
    pub fn chunk(id: MessageId, seq: u32, done: bool, message: Message) -> Self {
        Self { form: Form::Chunk(Chunk { id, seq, done }.into()), ..Self::whole(message) }
    }

    /// Returns where the socket hears that this asks to be accepted, if it does.
    pub fn connecting_end(&self) -> Option<String> {
        if self.headers.command != Some(SocketCommand::Connect) {
            return None;
        }
        let (subject, socket) = self.subject.as_str().rsplit_once('.')?;
        Some(format!("{}.client.{socket}", subject.strip_suffix(".server.~")?))
    }

    /// Returns which chunk of its message it is, if there are others.
    #[inline]
    pub fn part(&self) -> Option<&Chunk> {
        match &self.form {
            Form::Chunk(chunk) if (chunk.seq, chunk.done) != WHOLE => Some(chunk),
            _ => None,
        }
    }

    /// Returns the number of the chunk within its message, and whether it is the last one.
    pub fn position(&self) -> (u32, bool) {
        self.form.position()
    }

    /// Returns whether its message ends with it.
    pub fn is_done(&self) -> bool {
        self.position().1
    }

    /// Returns whether it is several messages.
    pub fn is_bundle(&self) -> bool {
        matches!(self.form, Form::Bundle { .. })
    }

    /// Returns the id of its message. What is whole needs none: where a protocol has a place for it, it is
    /// always the same, unless it came with one.
    pub fn id(&self) -> &str {
        self.form.id()
    }
}

/// The position of the only chunk.
const WHOLE: (u32, bool) = (0, true);
/// Nothing is joined by it.
const ID_OF_WHOLE: &str = "1";

/// A subscription that a client asks for.
#[derive(Debug, Clone, PartialEq)]
pub struct Subscription {
    /// The pattern to match. Text, because a broker must answer for an invalid one too.
    pub pattern: Arc<str>,
    /// Members of one queue share the messages. A broker refuses a subscription without one.
    pub queue: Option<Arc<str>>,
    /// What is known of its queue.
    pub class: SubscriptionClass,
    /// Whether the connection is to have the pattern to itself. Only to a broker that has an
    /// [`Info::instance`].
    pub exclusive: Option<Claim>,
}

/// What a client says of a subscription's queue, for fabrics where that makes a difference.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SubscriptionClass {
    /// Others may be in it; or nobody can tell.
    Shared,
    /// It was drawn only because there has to be one.
    Plain,
    /// The same, and what comes has this one receiver: the pattern is an inbox, or a socket's.
    Direct,
}

/// How a connection claims a pattern for itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Claim {
    /// For the first time: whoever has it loses it.
    Fresh,
    /// As whoever had it by this token: unless somebody has taken it since.
    Returning(u64),
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
    /// Publish one chunk that asks for a reply: [`Reply::Published`] comes only when it had no receiver. Over
    /// a protocol that has no word for that, it always comes.
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
        /// The reason.
        error: OpError,
    },
    /// Answered with [`Reply::Subscribed`], one status for each, in order.
    Subscribe {
        /// Wanted acknowledgement.
        ack: Option<AckId>,
        /// The subscriptions to add.
        subscriptions: Vec<Subscription>,
        /// Whether a list was sent (the answer is a list then too).
        list: bool,
    },
    /// Answered with [`Reply::Unsubscribed`].
    Unsubscribe {
        /// Wanted acknowledgement.
        ack: Option<AckId>,
        /// The patterns to remove; unknown ones are no error.
        patterns: Vec<Arc<str>>,
        /// Whether a list was sent.
        list: bool,
        /// Whether the client goes on taking until the answer, which comes behind the last delivery: also
        /// behind the last chunk of what was begun. Over a protocol that has no word for that, chunks are
        /// lost.
        drain: bool,
    },
    /// The patterns of this connection. Answered with [`Reply::Strings`].
    Subscriptions {
        /// Wanted acknowledgement.
        ack: AckId,
    },
    /// Answered with [`Reply::Interest`] once there are subscribers, or time is over.
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
    /// The traffic that the client has received so far.
    Stats {
        /// Messages delivered to it.
        messages: u64,
        /// Their bytes.
        bytes: u64,
    },
    /// The client has had [`ServerOp::Info`].
    InfoReceived,
    /// Begin to watch ends, or stop. Answered with [`ServerOp::Watched`]. Only to a broker that has an
    /// [`Info::instance`].
    Watch(Vec<WatchRequest>),
    /// What the ends of the client's sockets have to tell. Only to a broker that asks ([`Info::monitor`]).
    Sockets(Vec<SocketReport>),
    /// The last operation of a client that ends for good: what stood for an end is [`Presence::Gone`].
    Leaving,
}

impl ClientOp {
    /// Returns the chunk that it publishes, if it publishes one.
    pub fn publication(&self) -> Option<&Publication> {
        match self {
            Self::Publish { publication, .. } | Self::Request { publication, .. } => Some(publication),
            _ => None,
        }
    }

    /// Returns whether it publishes something.
    pub fn is_publish(&self) -> bool {
        matches!(self, Self::Publish { .. } | Self::Request { .. })
    }

    /// Returns whether a server takes it: false for a publish whose headers break a limit. A client drops
    /// such an operation, which costs its publisher a reply; sent, it would cost the whole client its
    /// connection.
    pub fn is_sendable(&self) -> bool {
        let sendable = self.publication().is_none_or(|publication| publication.headers.are_accepted());
        if !sendable {
            tracing::debug!("dropped a publish whose headers no server takes");
        }
        sendable
    }
}

impl Subscription {
    /// Returns whether its pattern is reserved: no client may subscribe to it, in whichever protocol.
    pub fn is_reserved(&self) -> bool {
        RESERVED_PATTERNS.contains(&&*self.pattern)
    }
}

/// Patterns that nobody may subscribe to. Conat's protocol delivers messages as events named after the
/// pattern, and client libraries keep these names for themselves: a subscriber would break on them (conat.md
/// 3).
const RESERVED_PATTERNS: [&str; 6] =
    ["connect", "connect_error", "disconnect", "disconnecting", "newListener", "removeListener"];

/// From a broker to a client.
#[derive(Debug, Clone, PartialEq)]
pub enum ServerOp {
    /// The broker's identity, and the client's user. The link acknowledges it by itself where its protocol
    /// wants that.
    Info(Box<Info>),
    /// Something was refused with 403.
    Permission {
        /// A text for people.
        message: String,
        /// The subject.
        subject: String,
        /// `"pub"` or `"sub"`.
        kind: String,
    },
    /// The broker ends this connection, and why. Nothing follows. Conat's wire has no word for it.
    Closing {
        /// A code of docs/reference/errors.md; who does not know it goes by the words.
        code: String,
        /// A text for people.
        message: String,
    },
    /// A chunk for the subscription `pattern`.
    Deliver {
        /// The pattern as subscribed.
        pattern: Pattern,
        /// The chunk.
        publication: Publication,
    },
    /// A newer connection has the pattern to itself now: nothing more comes for it.
    Superseded {
        /// The pattern.
        pattern: Pattern,
        /// The token of the newer one.
        token: u64,
    },
    /// What became of ends that are watched.
    Watched(Vec<PresenceChange>),
    /// The answer to an operation that asked for one.
    Ack {
        /// Its id.
        id: AckId,
        /// The reply.
        reply: Reply,
    },
}

// Larger ones would be moved by calls of `memcpy`: they were 8 % of a request.
const _: () = assert!(size_of::<ClientOp>() <= 128 && size_of::<ServerOp>() <= 128);

/// Sent by a broker when a client has signed in, or could not.
#[derive(Debug, Clone, PartialEq)]
pub struct Info {
    /// Largest payload of one publish in bytes; longer messages are chunked below it.
    pub max_payload: usize,
    /// The broker's id.
    pub id: String,
    /// The cluster's name, if it has one.
    pub cluster_name: Option<String>,
    /// The client's user (any JSON), or why it is refused.
    pub user: Result<Json, OpError>,
    /// Drawn by each broker when it starts; `None`: the broker cannot watch ends, or its protocol has no word
    /// for it.
    pub instance: Option<String>,
    /// Largest message in bytes, in however many chunks; `None`: the broker does not say.
    pub max_message: Option<u64>,
    /// How often the broker wants to be told of sockets, in ms; `None`: not at all.
    pub monitor: Option<u64>,
    /// How large messages travel, if not as [`Self::max_payload`] says.
    pub large: Option<LargeMessages>,
}

/// How large messages travel where a fabric cannot keep the chunks of one together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LargeMessages {
    /// Largest chunk of a message whose subject has one owner, in bytes of payload.
    pub chunk: usize,
    /// Largest message to any other subject, which travels whole.
    pub whole: usize,
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
        /// The number of patterns asked for.
        count: usize,
    },
    /// Patterns, or addresses.
    Strings(Vec<String>),
    /// Whether there is interest.
    Interest(bool),
    /// Refused as a whole.
    Error(OpError),
}

/// The outcome of one subscription.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SubscribeStatus {
    /// Messages flow.
    Added,
    /// They flowed already (whatever queue was named this time).
    AlreadyAdded,
    /// Messages flow, and to nobody else. The token is for coming back.
    Exclusive(u64),
    /// They do not: a newer connection has the pattern to itself.
    Superseded,
}

/// A refusal, as it stands in an acknowledgement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpError {
    /// A text for people.
    pub message: String,
    /// 403, 429 …
    pub code: Option<u16>,
}

/// The number of a refusal of something that is too large.
pub const TOO_LARGE: u16 = 413;

/// The number that says of a request that whoever was given it has ended, and left it unanswered, maybe.
pub const ENDED_UNANSWERED: u16 = 410;

impl OpError {
    /// Returns a refusal without a code.
    pub fn text(message: impl Into<String>) -> Self {
        Self { message: message.into(), code: None }
    }

    /// Returns the code that the application gets.
    pub fn failure_code(&self) -> Code {
        match self.code {
            Some(TOO_LARGE) => Code::TooLarge,
            code => code.map_or(Code::Refused, Code::from_number),
        }
    }
}

impl std::fmt::Display for OpError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.message)
    }
}
