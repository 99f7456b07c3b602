//! Errors as the application sees them: a stable code and a text. The whole code table of the engine is here;
//! `docs/reference/errors.md` explains it.

use crate::base::{Code, Failure};
use crate::client::ClientError;
use crate::socket::{CloseReason, RequestFailure};
use crate::subject::InvalidSubject;

/// Returns why a socket closed, unless the application wanted it.
pub fn close_failure(reason: &CloseReason) -> Option<Failure> {
    let code = match reason {
        CloseReason::Local => return None,
        CloseReason::Peer => Code::SocketClosedByPeer,
        CloseReason::Lost(_) | CloseReason::Moved => Code::SocketLost,
        CloseReason::Timeout => Code::SocketTimeout,
        CloseReason::SlowConsumer => Code::SlowConsumer,
        CloseReason::Superseded => Code::Superseded,
        CloseReason::Misbehaved(_) => Code::SocketProtocol,
        CloseReason::Refused(error) => return Some(Failure::new(refusal(error.code), &error.message)),
    };
    Some(Failure::new(code, reason))
}

impl From<ClientError> for Failure {
    fn from(error: ClientError) -> Self {
        let code = match &error {
            ClientError::NoSubscribers { .. } => Code::NoSubscribers,
            ClientError::Timeout { .. } | ClientError::ConnectionLost { .. } => Code::Timeout,
            ClientError::Refused(error) => refusal(error.code),
            ClientError::Full { .. } => Code::QueueFull,
            ClientError::QueueGroup { .. } => Code::QueueGroup,
            ClientError::InboxRefused { error, .. } => refusal(error.code),
            ClientError::CutOff { code, .. } if *code == Code::SlowConsumer.as_str() => Code::SlowConsumer,
            // A code of a later version is nothing that a program could match on.
            ClientError::CutOff { .. } => Code::Refused,
            ClientError::Closed => Code::Closed,
        };
        Self::new(code, error)
    }
}

impl From<RequestFailure> for Failure {
    fn from(failure: RequestFailure) -> Self {
        match failure {
            RequestFailure::Closed => Self::new(Code::BrokenPipe, "closed"),
            RequestFailure::Timeout => {
                Self::new(Code::Timeout, "timeout - the socket did not get ready in time")
            }
            RequestFailure::Full => {
                Self::new(Code::QueueFull, "too many requests wait for the socket to get ready")
            }
        }
    }
}

impl From<InvalidSubject> for Failure {
    fn from(error: InvalidSubject) -> Self {
        Self::new(Code::InvalidSubject, error)
    }
}

fn refusal(code: Option<u16>) -> Code {
    code.map_or(Code::Refused, Code::from_number)
}
