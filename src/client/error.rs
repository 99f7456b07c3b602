//! Why something asked of the fabric failed. The texts are Conat's where it has one; programs match on them.

use std::fmt;

use crate::base::{Code, Failure};
use crate::wire::OpError;

/// Why a publish, a request, a subscription or a wait failed.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ClientError {
    /// There are no subscribers.
    NoSubscribers {
        /// `request`, `requestMany` or `publish`.
        what: &'static str,
        /// The subject.
        subject: String,
    },
    /// No answer in time.
    Timeout {
        /// The operation.
        what: &'static str,
        /// The subject.
        subject: String,
    },
    /// No connection for so long that it was not sent.
    Offline {
        /// The operation.
        what: &'static str,
        /// The subject.
        subject: String,
    },
    /// It waited for subscribers, and none came in time.
    NobodyCame {
        /// The operation.
        what: &'static str,
        /// The subject.
        subject: String,
    },
    /// The broker refused.
    Refused(OpError),
    /// The connection was lost before the broker confirmed, or before the last answer: it may or may not have
    /// happened.
    ConnectionLost {
        /// `publish` or `requestMany`.
        what: &'static str,
        /// The subject.
        subject: String,
    },
    /// Too much waits for the connection.
    Full {
        /// The bound in bytes.
        limit: usize,
    },
    /// Larger than the broker takes, or this fabric to a subject that several may share.
    TooLarge {
        /// The operation.
        what: &'static str,
        /// The subject.
        subject: String,
        /// Its bytes.
        size: usize,
        /// How many there may be.
        limit: usize,
    },
    /// Another queue group holds this pattern.
    QueueGroup {
        /// The pattern.
        pattern: String,
    },
    /// The broker ends the connection.
    CutOff {
        /// As the broker calls it.
        code: String,
        /// In the broker's words.
        message: String,
    },
    /// The broker does not let replies come: without an inbox a connection is of no use.
    InboxRefused {
        /// Where they would come.
        inbox: String,
        /// Why not.
        error: OpError,
    },
    /// Whoever was asked ended before it answered. It may have been handled.
    EndedUnanswered {
        /// The operation.
        what: &'static str,
        /// The subject.
        subject: String,
    },
    /// The broker that it was given to ended before there was an answer, and whoever had it did not answer
    /// over the next one. It may have been handled.
    BrokerEnded {
        /// The operation.
        what: &'static str,
        /// The subject.
        subject: String,
    },
    /// It was not sent within its ttl.
    Stale {
        /// The operation.
        what: &'static str,
        /// The subject.
        subject: String,
    },
    /// The client closed, and what was published before it was connected has not left.
    Unsent {
        /// The number of messages.
        count: usize,
    },
    /// The client is closed.
    Closed,
}

impl fmt::Display for ClientError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoSubscribers { what: what @ "requestMany", subject } => {
                write!(f, "{what} -- no subscribers matching {subject}")
            }
            Self::NoSubscribers { what, subject } => {
                write!(f, "{what} -- no subscribers matching '{subject}'")
            }
            Self::Timeout { what, subject } => {
                write!(f, "timeout - Error: operation has timed out ({what} '{subject}')")
            }
            Self::Offline { what, subject } => {
                write!(
                    f,
                    "timeout - Error: operation has timed out ({what} '{subject}': no connection to a broker)"
                )
            }
            Self::Stale { what, subject } => {
                write!(
                    f,
                    "timeout - Error: operation has timed out ({what} '{subject}': its ttl was over before it could be sent)"
                )
            }
            Self::NobodyCame { what, subject } => {
                write!(f, "timeout - Error: operation has timed out ({what} '{subject}': nobody subscribed)")
            }
            Self::Refused(error) => write!(f, "{error}"),
            Self::ConnectionLost { what, subject } => {
                write!(
                    f,
                    "timeout - Error: operation has timed out ({what} '{subject}': the connection was lost before {})",
                    if *what == "publish" { "it was confirmed" } else { "the last answer" }
                )
            }
            Self::Full { limit } => write!(f, "more than {limit} bytes wait for the connection"),
            Self::TooLarge { what, subject, size, limit } => {
                write!(
                    f,
                    "{what} '{subject}': {size} bytes, larger than the {limit} bytes that this fabric takes"
                )
            }
            Self::QueueGroup { pattern } => {
                write!(
                    f,
                    "there can be at most one queue group per client on a subject (subject='{pattern}')"
                )
            }
            Self::CutOff { message, .. } => write!(f, "the server ended the connection: {message}"),
            Self::InboxRefused { inbox, error } => {
                write!(f, "the server does not let this client subscribe to its inbox '{inbox}': {error}")
            }
            Self::EndedUnanswered { what, subject } => {
                write!(
                    f,
                    "{what} '{subject}': the responder ended before it answered; the request may have been \
                     handled"
                )
            }
            Self::BrokerEnded { what, subject } => {
                write!(
                    f,
                    "{what} '{subject}': the broker ended before there was an answer; the request may have been \
                     handled"
                )
            }
            Self::Unsent { count } => {
                write!(f, "closed before there was a connection: {count} published messages were not sent")
            }
            Self::Closed => f.write_str("closed"),
        }
    }
}

impl std::error::Error for ClientError {}

impl From<ClientError> for Failure {
    fn from(error: ClientError) -> Self {
        let code = match &error {
            ClientError::NoSubscribers { .. } => Code::NoSubscribers,
            ClientError::Timeout { .. }
            | ClientError::ConnectionLost { .. }
            | ClientError::Offline { .. }
            | ClientError::NobodyCame { .. }
            | ClientError::Stale { .. } => Code::Timeout,
            ClientError::Refused(error) | ClientError::InboxRefused { error, .. } => error.failure_code(),
            ClientError::Full { .. } => Code::QueueFull,
            ClientError::TooLarge { .. } => Code::TooLarge,
            ClientError::QueueGroup { .. } => Code::QueueGroup,
            ClientError::CutOff { code, .. } if *code == Code::SlowConsumer.as_str() => Code::SlowConsumer,
            ClientError::CutOff { code, .. } if *code == Code::Draining.as_str() => Code::Draining,
            // A code of a later version is nothing that a program could match on.
            ClientError::CutOff { .. } => Code::Refused,
            ClientError::EndedUnanswered { .. } | ClientError::BrokerEnded { .. } => Code::BrokenPipe,
            ClientError::Unsent { .. } => Code::Undelivered,
            ClientError::Closed => Code::Closed,
        };
        Self::new(code, error)
    }
}
