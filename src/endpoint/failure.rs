//! Errors as the application sees them: a stable code and a text. The whole code table of the engine is here;
//! `docs/reference/errors.md` explains it.

use crate::client::ClientError;
use crate::socket::{CloseReason, RequestFailure};
use crate::subject::InvalidSubject;

/// Why something failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// Never renamed. Digits stand for a number.
    pub code: String,
    /// A text for people.
    pub message: String,
}

impl Failure {
    /// Returns a failure with this code.
    pub fn new(code: impl Into<String>, message: impl ToString) -> Self {
        Self { code: code.into(), message: message.to_string() }
    }

    /// Returns why a socket closed, unless the application wanted it.
    pub fn from_close(reason: &CloseReason) -> Option<Self> {
        let code = match reason {
            CloseReason::Local => return None,
            CloseReason::Peer => "ERR_SOCKET_CLOSED_BY_PEER",
            CloseReason::Lost(_) | CloseReason::Moved => "ERR_SOCKET_LOST",
            CloseReason::Timeout => "ERR_SOCKET_TIMEOUT",
            CloseReason::SlowConsumer => "ERR_SLOW_CONSUMER",
            CloseReason::Superseded => "ERR_SUPERSEDED",
            CloseReason::Misbehaved(_) => "ERR_SOCKET_PROTOCOL",
            CloseReason::Refused(error) => return Some(Self::new(refusal(error.code), &error.message)),
        };
        Some(Self::new(code, reason))
    }
}

impl From<ClientError> for Failure {
    fn from(error: ClientError) -> Self {
        let code = match &error {
            ClientError::NoSubscribers { .. } => "503".to_owned(),
            ClientError::Timeout { .. } | ClientError::ConnectionLost { .. } => "408".to_owned(),
            ClientError::Refused(error) => refusal(error.code),
            ClientError::Full { .. } => "ENOBUFS".to_owned(),
            ClientError::QueueGroup { .. } => "ERR_QUEUE_GROUP".to_owned(),
            ClientError::InboxRefused { error, .. } => refusal(error.code),
            ClientError::CutOff { code, .. } if code == "ERR_SLOW_CONSUMER" => code.clone(),
            // A code of a later version is nothing that a program could match on.
            ClientError::CutOff { .. } => "ERR_REFUSED".to_owned(),
            ClientError::Closed => "ERR_CLOSED".to_owned(),
        };
        Self::new(code, error)
    }
}

impl From<RequestFailure> for Failure {
    fn from(failure: RequestFailure) -> Self {
        match failure {
            RequestFailure::Closed => Self::new("EPIPE", "closed"),
            RequestFailure::Timeout => Self::new("408", "timeout - the socket did not get ready in time"),
            RequestFailure::Full => {
                Self::new("ENOBUFS", "too many requests wait for the socket to get ready")
            }
        }
    }
}

impl From<InvalidSubject> for Failure {
    fn from(error: InvalidSubject) -> Self {
        Self::new("ERR_INVALID_SUBJECT", error)
    }
}

fn refusal(code: Option<u16>) -> String {
    code.map_or_else(|| "ERR_REFUSED".to_owned(), |code| code.to_string())
}
