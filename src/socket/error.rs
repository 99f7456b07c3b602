//! Errors of a socket, by who is to blame.

use std::borrow::Cow;
use std::fmt;

use crate::base::{Code, Failure};
use crate::wire::{Json, OpError, Payload};

/// The application wrote, and could not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum WriteError {
    /// The socket is closed, or pending_close.
    Closed,
    /// As many messages as the window allows are unacknowledged.
    Full {
        /// The window.
        window: usize,
    },
    /// So many bytes are unacknowledged that the message would exceed the window.
    FullBytes {
        /// The window.
        window: usize,
    },
}

impl fmt::Display for WriteError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Closed => f.write_str("closed"),
            Self::Full { window } => write!(f, "WRITE FAILED: socket buffer size {window} exceeded"),
            Self::FullBytes { window } => {
                write!(f, "WRITE FAILED: socket buffer size {window} bytes exceeded")
            }
        }
    }
}

impl std::error::Error for WriteError {}

/// The peer broke the rules of the channel: that one socket is closed.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum PeerMisbehaved {
    /// It acknowledged a message that was never written.
    AckedUnsent {
        /// The number that it claims to have.
        upto: u64,
    },
    /// Its sequence number is further ahead than any window.
    SeqTooFar {
        /// The number.
        seq: u64,
    },
    /// Data without a sequence number, or a reserved header of the wrong type.
    BadHeader,
    /// A control message that is none.
    BadControl,
    /// What it says bears the mark of another incarnation, or none.
    OfAnother,
    /// A message with more bytes than this end takes.
    TooLarge {
        /// Its bytes.
        size: usize,
        /// How many there may be.
        limit: usize,
    },
    /// A numbered message of a kind that this version does not know, or that is not what its kind says.
    BadItem {
        /// Its encoding.
        encoding: u8,
    },
}

impl fmt::Display for PeerMisbehaved {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AckedUnsent { upto } => {
                write!(f, "the peer acknowledged message {upto}, which was never sent")
            }
            Self::SeqTooFar { seq } => write!(f, "the peer's sequence number {seq} is beyond any window"),
            Self::BadHeader => {
                f.write_str("the peer sent a message with a missing or malformed CN-Socket header")
            }
            Self::BadItem { encoding } => {
                write!(f, "the peer sent a message of kind {encoding:#04x} that is malformed or not known")
            }
            Self::TooLarge { size, limit } => {
                write!(f, "the peer sent a message of {size} bytes, and this end takes {limit}")
            }
            Self::BadControl => f.write_str("the peer sent a malformed control message"),
            Self::OfAnother => f.write_str("the message is of another incarnation of the socket"),
        }
    }
}

impl std::error::Error for PeerMisbehaved {}

impl PeerMisbehaved {
    /// Refuses a message that has more bytes than that.
    pub(super) fn check_size(limit: usize, payload: &Payload, json: Option<&Json>) -> Result<(), Self> {
        let size = payload.raw.len() + json.map_or(0, |json| json.as_bytes().len());
        if size > limit { Err(Self::TooLarge { size, limit }) } else { Ok(()) }
    }
}

/// Why a socket is closed.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum CloseReason {
    /// We closed it.
    Local,
    /// We gave it up: what was written is incomplete, in these words.
    Aborted(String),
    /// The peer closed it.
    Peer,
    /// The peer closed it because its listener is leaving.
    PeerLeaving,
    /// The peer lost its state (restart, time-out) or cannot be found any more.
    Lost(&'static str),
    /// The peer gave no sign of life.
    Timeout,
    /// Half a message of the peer stood still while others waited for its place.
    StoodStill,
    /// The peer acknowledged nothing for too long.
    SlowConsumer,
    /// The same, as the peer says of us.
    GivenUp,
    /// A later incarnation of the same socket has taken its place.
    Superseded,
    /// Its listener has ended, and not since the application wanted that.
    ListenerEnded(Failure),
    /// The peer closed it for a reason of its own, as it says; its listener may be leaving.
    ToldByPeer {
        /// In the peer's code and words.
        failure: Failure,
        /// Whether its listener is leaving.
        is_leaving: bool,
    },
    /// The peer broke the rules.
    Misbehaved(PeerMisbehaved),
    /// The peer says that a message was too large, in its words.
    TooLarge(String),
    /// The peer gave it up: what it wrote is incomplete, in its words.
    AbortedByPeer(String),
    /// A message was written that the broker does not take, in these words.
    Unsendable(String),
    /// The broker refused its subscription.
    Refused(OpError),
    /// The load balancer named another server than the one that holds this socket.
    Moved,
    /// The server has as many sockets as it takes, of all or of this user.
    NoRoom,
    /// Nobody listens on this subject.
    NobodyListens(String),
    /// It came back as another user than the one that it belongs to.
    NotTheUser,
}

impl CloseReason {
    /// Returns the reason of a peer that closes with this code, in these words.
    pub(super) fn of_close(code: &str, message: &str) -> Self {
        if code.is_empty() {
            return Self::Peer;
        }
        let Some(known) = Code::from_text(code) else {
            return Self::AbortedByPeer(format!("{message} ({code})"));
        };
        match known {
            Code::SocketLost => Self::Lost("the other end has no such socket any more"),
            Code::SocketAborted => Self::AbortedByPeer(message.to_owned()),
            Code::SlowConsumer => Self::GivenUp,
            Code::TooLarge if message.is_empty() => {
                Self::TooLarge("the other side takes no message of this size".to_owned())
            }
            Code::TooLarge => Self::TooLarge(message.to_owned()),
            Code::Superseded if message.is_empty() => Self::Superseded,
            Code::Limit if message.is_empty() => Self::NoRoom,
            Code::NotPermitted if message.is_empty() => Self::NotTheUser,
            Code::SocketTimeout if message.is_empty() => Self::StoodStill,
            _ => {
                let message = if message.is_empty() { code } else { message };
                Self::ToldByPeer { failure: Failure::new(known, message), is_leaving: false }
            }
        }
    }

    /// Returns the same of a peer whose whole listener is leaving.
    pub(super) fn of_leaving(self) -> Self {
        match self.failure() {
            Some(failure) if !matches!(self, Self::Peer) => Self::ToldByPeer { failure, is_leaving: true },
            _ => Self::PeerLeaving,
        }
    }

    /// Returns whether the peer closed it because its listener is leaving.
    pub(super) fn is_leaving(&self) -> bool {
        matches!(self, Self::PeerLeaving | Self::ToldByPeer { is_leaving: true, .. })
    }

    /// Returns whether a listener that is leaving closes its sockets for this reason, and no other one does.
    pub(super) fn is_of_listener(&self) -> bool {
        matches!(self, Self::Local | Self::ListenerEnded(_))
    }

    /// Returns the code with which the peer is told, if there is one. Without one it takes the close for an
    /// end in order: that is what the application wanted, or the answer to such an end.
    pub(super) fn code(&self) -> Cow<'static, str> {
        match self {
            Self::Local | Self::Peer | Self::PeerLeaving => "".into(),
            Self::Aborted(_) => Code::SocketAborted.as_str(),
            _ => self.failure().map_or("".into(), |failure| failure.code.as_str()),
        }
    }

    /// Returns what the peer is told beside the code.
    pub(super) fn message_to_peer(&self) -> String {
        match self {
            Self::Misbehaved(PeerMisbehaved::TooLarge { size, limit }) => {
                format!("a message of {size} bytes was written, and the other side takes {limit}")
            }
            Self::Unsendable(text) => format!("the other side closed: {text}"),
            Self::Refused(error) => format!("the other side closed: {error}"),
            Self::Misbehaved(error) => format!("the other side closed: {error}"),
            Self::Timeout => "the other side closed: it heard nothing from here for too long".to_owned(),
            Self::ListenerEnded(Failure { code: Code::Superseded, .. }) => {
                "the server of the socket was superseded: another one listens with its id".to_owned()
            }
            Self::ListenerEnded(failure) => format!("the server of the socket has ended: {failure}"),
            Self::Aborted(text) => text.clone(),
            Self::StoodStill => self.to_string(),
            Self::SlowConsumer => Self::GivenUp.to_string(),
            _ => String::new(),
        }
    }

    /// The same of a peer that closed when so many of its messages had not come.
    pub(super) fn failure_with(&self, missing: u64) -> Option<Failure> {
        let failure = self.failure()?;
        if missing == 0 {
            return Some(failure);
        }
        Some(Failure::new(failure.code, format_args!("{self}: {missing} of its messages did not come")))
    }

    /// Returns the failure that the application gets; `None` if it closed the socket itself.
    pub fn failure(&self) -> Option<Failure> {
        let code = match self {
            Self::Local | Self::Aborted(_) => return None,
            Self::AbortedByPeer(_) => Code::SocketAborted,
            Self::Peer | Self::PeerLeaving => Code::SocketClosedByPeer,
            Self::Lost(_) | Self::Moved => Code::SocketLost,
            Self::Timeout | Self::StoodStill => Code::SocketTimeout,
            Self::SlowConsumer | Self::GivenUp => Code::SlowConsumer,
            Self::Superseded => Code::Superseded,
            Self::ListenerEnded(failure) | Self::ToldByPeer { failure, .. } => return Some(failure.clone()),
            Self::TooLarge(_) | Self::Unsendable(_) | Self::Misbehaved(PeerMisbehaved::TooLarge { .. }) => {
                Code::TooLarge
            }
            Self::Misbehaved(_) => Code::SocketProtocol,
            Self::Refused(error) => error.failure_code(),
            Self::NobodyListens(_) => Code::NoSubscribers,
            Self::NoRoom => Code::Limit,
            Self::NotTheUser => Code::NotPermitted,
        };
        Some(Failure::new(code, self))
    }
}

impl fmt::Display for CloseReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Local | Self::Aborted(_) => f.write_str("closed"),
            Self::AbortedByPeer(text) if text.is_empty() => {
                f.write_str("the other side gave up what it had begun to write")
            }
            Self::AbortedByPeer(text) => {
                write!(f, "the other side gave up what it had begun to write: {text}")
            }
            Self::Peer => f.write_str("closed by the peer"),
            Self::PeerLeaving => f.write_str("closed by the peer, which is leaving"),
            Self::Lost(what) => write!(f, "the socket cannot be resumed: {what}"),
            Self::Timeout => f.write_str("the peer gave no sign of life: keep-alive timeout"),
            Self::StoodStill => f.write_str("half a large message did not move for too long"),
            Self::SlowConsumer => {
                f.write_str("slow consumer: the peer acknowledged nothing while half of the window was used")
            }
            Self::GivenUp => f.write_str(
                "slow consumer: the peer gave up, since what it had written was not acknowledged here",
            ),
            Self::Superseded => f.write_str("superseded by a newer socket of the same id"),
            Self::ListenerEnded(failure) | Self::ToldByPeer { failure, .. } => write!(f, "{failure}"),
            Self::TooLarge(text) | Self::Unsendable(text) => f.write_str(text),
            Self::Misbehaved(error) => write!(f, "{error}"),
            Self::Refused(error) => write!(f, "{error}"),
            Self::NobodyListens(wanted) => write!(f, "nobody serves {wanted}"),
            Self::NoRoom => f.write_str("the server takes no more sockets (maxSockets, maxSocketsPerUser)"),
            Self::NotTheUser => f.write_str("the socket belongs to another user"),
            Self::Moved => {
                f.write_str("the socket cannot be resumed: the load balancer named another server")
            }
        }
    }
}

/// Why a command got no answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CommandError {
    /// Its subject has no subscribers.
    NoSubscribers,
    /// Whoever had it has left the fabric.
    ReceiverEnded,
    /// It is larger than the fabric takes, in these words.
    TooLarge(String),
    /// The broker refused it.
    Refused(OpError),
    /// No answer in time.
    Failed,
}

/// Why a request over a socket failed before it could leave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RequestFailure {
    /// The socket closed.
    Closed,
    /// It did not get ready in time.
    Timeout,
    /// Too many requests wait for it to get ready.
    Full,
    /// The peer is away.
    PeerAway,
    /// It had left, and then the peer was away for too long.
    AwayAfterAll,
    /// It had left, and the peer went away in order without having handled it.
    PeerLeft,
}

impl From<RequestFailure> for Failure {
    fn from(failure: RequestFailure) -> Self {
        let (code, text) = match failure {
            RequestFailure::Closed => (Code::BrokenPipe, "closed"),
            RequestFailure::Timeout => (Code::Timeout, "timeout - the socket did not get ready in time"),
            RequestFailure::PeerAway => {
                (Code::NoSubscribers, "the other side of the socket is away; nothing was sent")
            }
            RequestFailure::AwayAfterAll => (
                Code::BrokenPipe,
                "the other side of the socket went away before it replied; the request may have been handled",
            ),
            RequestFailure::PeerLeft => {
                (Code::Draining, "the other side went away before it handled this request; it was not done")
            }
            RequestFailure::Full => (Code::QueueFull, "too many requests wait for the socket to get ready"),
        };
        Self::new(code, text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_peer_is_told_with_a_code_is_no_orderly_close_there() {
        let told = [
            CloseReason::Aborted("the disk is full".to_owned()),
            CloseReason::Aborted(String::new()),
            CloseReason::Superseded,
            CloseReason::Timeout,
            CloseReason::Lost("gone"),
            CloseReason::Refused(OpError { message: "no permission".to_owned(), code: Some(403) }),
            CloseReason::Misbehaved(PeerMisbehaved::BadControl),
            CloseReason::ListenerEnded(Failure::new(Code::Superseded, "another one")),
            CloseReason::ListenerEnded(Failure::new(Code::NotPermitted, "revoked")),
            CloseReason::StoodStill,
            CloseReason::SlowConsumer,
            CloseReason::Unsendable("2 bytes, more than 1".to_owned()),
            CloseReason::Misbehaved(PeerMisbehaved::TooLarge { size: 2, limit: 1 }),
        ];
        for reason in told {
            let taken = CloseReason::of_close(&reason.code(), &reason.message_to_peer());
            let failure = taken.failure().expect("the application is told");
            assert_eq!(failure.code.to_string(), reason.code(), "{reason:?}");
            let text = reason.message_to_peer();
            assert!(failure.message.contains(&text), "{failure:?} without {text}");
            let leaving = taken.of_leaving();
            assert_eq!((leaving.failure(), leaving.is_leaving()), (Some(failure), true), "{reason:?}");
        }
    }
}
