//! Why the broker refuses an operation, or disconnects a peer.

use std::fmt;

use super::stats::RefusedFor;
use crate::base::Code;
use crate::wire::OpError;
use crate::wire::message::TOO_LARGE;

/// Why the broker disconnects a peer. The owner of the link flushes the peer's outbox and closes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum DisconnectReason {
    /// It does not read as fast as messages come for it. Its outbox was dropped, and holds only the notice of
    /// it.
    SlowConsumer,
    /// It was refused. Its outbox holds the `info` with the reason.
    SignInRefused,
    /// The application wants it gone.
    Disconnected,
    /// The broker shuts down.
    ShutDown,
}

impl fmt::Display for DisconnectReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::SlowConsumer => "slow consumer",
            Self::SignInRefused => "sign-in refused",
            Self::Disconnected => "disconnected",
            Self::ShutDown => "broker shut down",
        })
    }
}

/// Why an operation of a client, or its sign-in, was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refusal {
    /// Not a pattern, or not a literal subject where one is needed. Conat's text.
    InvalidSubject,
    /// The fabric above could only carry it in parts, of which others than one owner would each get some.
    TooBigAbove { limit: usize },
    /// A name that is for the fabric above, or for gateways.
    ReservedAbove,
    /// A pattern that is reserved in every protocol.
    ReservedPattern,
    /// A subscription without a queue.
    NoQueue,
    /// The queue's name is too long.
    QueueTooLong { limit: usize },
    /// The connection has as many subscriptions as it may. Programs match on this text.
    TooManySubscriptions { limit: usize },
    /// The connection waits for as much interest as it may, or the broker as a whole does.
    TooManyWaits { limit: usize },
    /// The subjects that the connection waits for are as long as they may be together.
    TooManyWaitBytes { limit: usize },
    /// The patterns and queues of the connection are as long as they may be together.
    TooManySubscriptionBytes { limit: usize },
    /// The patterns of the connection have as many arrangements of wildcards as they may.
    TooManyWildcards { limit: usize },
    /// The rest of a message that was given up, or has not begun.
    UnknownMessage,
    /// Payload and headers of a publish are too big.
    TooBig { size: usize, limit: usize },
    /// The message's id is too long.
    IdTooLong { limit: usize },
    /// Too many messages have begun and not ended.
    TooManyUnfinished { limit: usize },
    /// The connection holds as much of the broker's memory as it may.
    TooMuchMemory { limit: usize },
    /// The user does, with all connections.
    TooMuchMemoryOfUser { limit: usize },
    /// All together do, and nobody holds more than who asks.
    TooMuchMemoryOfAll { limit: usize },
    /// The only receiver has not read as much as may wait for it, and nobody has sent more of it.
    ReceiverFull,
    /// The broker has as many connections as it may.
    TooManyConnections { limit: usize },
    /// The user has.
    TooManyConnectionsOfUser { limit: usize },
    /// It is being found out who others are.
    TooManySigningIn { limit: usize },
    /// It was not found out in time who this is.
    SignInTimeout,
    /// A newer connection has the pattern to itself.
    Superseded,
}

impl Refusal {
    fn code(self) -> Option<u16> {
        match self {
            Self::TooManySubscriptions { .. }
            | Self::TooManyWaits { .. }
            | Self::TooManyWaitBytes { .. }
            | Self::TooManySubscriptionBytes { .. }
            | Self::TooManyWildcards { .. }
            | Self::UnknownMessage
            | Self::TooManyUnfinished { .. }
            | Self::TooMuchMemory { .. }
            | Self::TooMuchMemoryOfUser { .. }
            | Self::TooMuchMemoryOfAll { .. }
            | Self::ReceiverFull
            | Self::TooManyConnections { .. }
            | Self::TooManyConnectionsOfUser { .. }
            | Self::TooManySigningIn { .. } => Code::Limit.number(),
            Self::SignInTimeout => Code::Timeout.number(),
            Self::ReservedAbove => Code::NotPermitted.number(),
            Self::TooBigAbove { .. } | Self::TooBig { .. } => Some(TOO_LARGE),
            Self::InvalidSubject
            | Self::ReservedPattern
            | Self::NoQueue
            | Self::QueueTooLong { .. }
            | Self::IdTooLong { .. }
            | Self::Superseded => None,
        }
    }
}

impl Refusal {
    /// Returns what counts it.
    pub(super) fn kind(self) -> RefusedFor {
        match self {
            Self::ReservedAbove | Self::ReservedPattern => RefusedFor::Permission,
            Self::TooBigAbove { .. } | Self::TooBig { .. } => RefusedFor::TooLarge,
            Self::InvalidSubject
            | Self::NoQueue
            | Self::QueueTooLong { .. }
            | Self::IdTooLong { .. }
            | Self::UnknownMessage
            | Self::Superseded => RefusedFor::Invalid,
            _ => RefusedFor::Limit,
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::InvalidSubject => write!(f, "Error: invalid subject"),
            Self::TooBigAbove { limit } => {
                write!(f, "larger than the {limit} bytes that the fabric above takes in one piece")
            }
            Self::ReservedAbove => {
                write!(f, "permission denied: the fabric above keeps names that begin like this for itself")
            }
            Self::ReservedPattern => write!(f, "this name is reserved and cannot be subscribed to"),
            Self::NoQueue => write!(f, "a subscription needs a queue"),
            Self::QueueTooLong { limit } => write!(f, "the name of a queue has at most {limit} bytes"),
            Self::TooManySubscriptions { limit } => {
                write!(f, "there is a limit of at most {limit} subscriptions")
            }
            Self::TooManyWaits { limit } => {
                write!(f, "there is a limit of at most {limit} waits for interest")
            }
            Self::TooManyWaitBytes { limit } => {
                write!(f, "the subjects of waits for interest have at most {limit} bytes together")
            }
            Self::TooManySubscriptionBytes { limit } => {
                write!(f, "patterns and queues of subscriptions have at most {limit} bytes together")
            }
            Self::TooManyWildcards { limit } => {
                write!(
                    f,
                    "the arrangements of wildcards in all patterns cost at most {limit}, one each and one a star"
                )
            }
            Self::UnknownMessage => write!(f, "the beginning of this message was refused or dropped"),
            Self::TooBig { size, limit } => {
                write!(f, "payload and headers have {size} bytes, and the limit is {limit}")
            }
            Self::IdTooLong { limit } => write!(f, "the id of a message has at most {limit} bytes"),
            Self::TooManyUnfinished { limit } => {
                write!(f, "there is a limit of at most {limit} receivers of unfinished messages")
            }
            Self::TooMuchMemory { limit } => {
                write!(f, "at most {limit} bytes of memory are held for one connection")
            }
            Self::TooMuchMemoryOfUser { limit } => {
                write!(f, "at most {limit} bytes of memory are held for one user")
            }
            Self::TooMuchMemoryOfAll { limit } => {
                write!(f, "at most {limit} bytes of memory are held for all, and nobody has more of it")
            }
            Self::ReceiverFull => write!(f, "the receiver has not read what you have sent it before"),
            Self::TooManyConnections { limit } => {
                write!(f, "there is a limit of at most {limit} connections")
            }
            Self::TooManyConnectionsOfUser { limit } => {
                write!(f, "there is a limit of at most {limit} connections for each user")
            }
            Self::TooManySigningIn { limit } => {
                write!(f, "there is a limit of at most {limit} connections that are signing in")
            }
            Self::Superseded => write!(f, "a newer connection has this pattern to itself"),
            Self::SignInTimeout => write!(f, "timeout - the sign-in was not decided in time"),
        }
    }
}

impl From<Refusal> for OpError {
    fn from(refusal: Refusal) -> Self {
        Self { message: refusal.to_string(), code: refusal.code() }
    }
}
