//! Why a connection ends.

use std::fmt;
use std::time::Duration;

use crate::base::{Code, Failure};
use crate::wire::sockety::DecodeError;

/// Why a connection ended, if not because it was closed.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ConnectionError {
    /// The peer broke the rules of the protocol.
    Peer(PeerMisbehaved),
    /// The peer wants more than it may have.
    HeadersTooLarge {
        /// For unfinished headers, in bytes.
        limit: usize,
    },
    /// The same.
    TooManyFiles {
        /// For files of unfinished messages.
        limit: u32,
    },
    /// The peer's connection header did not come.
    NoHandshake {
        /// In time.
        timeout: Duration,
    },
    /// Nothing came from the peer.
    Silent {
        /// For so long.
        timeout: Duration,
    },
    /// The application reads nothing of what has come, and nothing more can come before it does.
    Unread {
        /// What waits.
        bytes: usize,
    },
    /// The peer leaves no channel free for what is to be sent.
    NoChannel {
        /// What waits for one.
        bytes: usize,
    },
    /// It was to be closed, and the peer did not take what had been sent.
    Untaken {
        /// In time.
        timeout: Duration,
    },
    /// The connection below failed.
    Link(Failure),
}

/// What a peer did against the rules. The texts are the reference implementation's, as far as it has one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum PeerMisbehaved {
    /// It sent what is no packet, or no header.
    Decode(DecodeError),
    /// It used a channel that it was not offered.
    ChannelOutOfRange,
    /// It started a message on a channel before the one in progress was finished.
    ChannelBusy,
    /// It continued a header that is finished, or none.
    NoHeader,
    /// It sent data of which nothing was announced, or nothing more.
    NoData,
    /// It sent more data than announced.
    DataTooLong,
    /// It sent bytes or the end of a stream that does not exist, or has ended.
    NoStream,
    /// It sent a file without a message.
    NoMessage,
    /// It sent a file that the message does not have.
    FileOutOfRange,
    /// It sent a file before the file's header.
    FileNotAnnounced(u32),
    /// It went on with a file behind its end.
    FileEnded,
    /// It sent more of a file than announced.
    FileTooLong,
    /// It ended a file before all of it had been sent.
    FileTooShort,
}

impl From<ConnectionError> for Failure {
    fn from(error: ConnectionError) -> Self {
        let code = match &error {
            ConnectionError::Peer(_) => Code::SocketyProtocol,
            ConnectionError::HeadersTooLarge { .. } | ConnectionError::TooManyFiles { .. } => {
                Code::SocketyLimit
            }
            ConnectionError::NoHandshake { .. } | ConnectionError::Silent { .. } => Code::TimedOut,
            ConnectionError::Unread { .. } => Code::SocketyUnread,
            ConnectionError::NoChannel { .. } | ConnectionError::Untaken { .. } => Code::SlowConsumer,
            ConnectionError::Link(failure) => return failure.clone(),
        };
        Self::new(code, error)
    }
}

impl fmt::Display for ConnectionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Peer(misbehaved) => write!(f, "{misbehaved}"),
            Self::HeadersTooLarge { limit } => write!(f, "unfinished headers of more than {limit} bytes"),
            Self::TooManyFiles { limit } => write!(f, "more than {limit} files in unfinished messages"),
            Self::NoHandshake { timeout } => write!(f, "no connection header within {timeout:?}"),
            Self::Silent { timeout } => write!(f, "nothing came from the other end for {timeout:?}"),
            Self::Unread { bytes } => {
                write!(f, "{bytes} bytes of messages wait unread: read them, or call discard()")
            }
            Self::NoChannel { bytes } => {
                write!(f, "{bytes} bytes of messages wait for a channel: the other end offers too few")
            }
            Self::Untaken { timeout } => {
                write!(f, "the other end has not read within {timeout:?} what was sent before the close")
            }
            Self::Link(failure) => write!(f, "{failure}"),
        }
    }
}

impl fmt::Display for PeerMisbehaved {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Decode(error) => return write!(f, "{error}"),
            Self::ChannelOutOfRange => "Used over maximum channels",
            Self::ChannelBusy => "There is already packet in process.",
            Self::NoHeader => "There is no response in process.",
            Self::NoData => "There is no data expected.",
            Self::DataTooLong => "Data sent over expected size.",
            Self::NoStream => "There is no stream in process.",
            Self::NoMessage => "There is no message processed.",
            Self::FileOutOfRange => "Received File with index higher than in message.",
            Self::FileNotAnnounced(index) => return write!(f, "There is no file {index} available yet."),
            Self::FileEnded => "File has been already finished.",
            Self::FileTooLong => "File sent over expected size.",
            Self::FileTooShort => "File has been finished before its expected size.",
        })
    }
}

impl std::error::Error for ConnectionError {}

impl From<PeerMisbehaved> for ConnectionError {
    fn from(misbehaved: PeerMisbehaved) -> Self {
        Self::Peer(misbehaved)
    }
}

impl From<DecodeError> for ConnectionError {
    fn from(error: DecodeError) -> Self {
        Self::Peer(PeerMisbehaved::Decode(error))
    }
}
