//! The interface of every transport: operations out, operations in.

use std::fmt;
use std::io;
use std::task::{Context, Poll};

use super::tls;
use crate::base::{Code, Failure, LinkInfo};

/// One end of a connection between a client and a broker. `Out` is [`crate::wire::ClientOp`] at the client
/// and [`crate::wire::ServerOp`] at the broker; `In` the other.
///
/// Polled by one task, in both directions from one poll, so that a stalled writer never keeps it from
/// reading. Dropping it closes it.
pub trait Link: Send {
    /// Operations that this end sends.
    type Out;
    /// Operations that this end receives.
    type In;

    /// Returns what is known of the connection now that it is up.
    fn info(&self) -> LinkInfo {
        LinkInfo::default()
    }

    /// Appends at least one operation to `into`, or fails for good. Takes a bounded amount in one call.
    fn poll_recv(&mut self, cx: &mut Context<'_>, into: &mut Vec<Self::In>) -> Poll<Result<(), LinkError>>;

    /// Takes one operation to send. It leaves with the next `poll_flush`. Call it only while
    /// [`Link::is_full`] is false.
    fn feed(&mut self, op: Self::Out) -> Result<(), LinkError>;

    /// Returns whether so much waits to be flushed that the caller should flush first.
    fn is_full(&self) -> bool;

    /// Returns how many bytes it holds, on their way in or out.
    fn buffered(&self) -> usize {
        0
    }

    /// Returns how many of them are on their way out.
    fn unsent(&self) -> usize {
        0
    }

    /// Returns whether it is to be read even while the application lags: a peer that cannot get rid of what
    /// it has would hold up others.
    fn must_be_read(&self) -> bool {
        false
    }

    /// Asks the other end to say when it has read everything that was fed until now. Returns the number of
    /// this mark, or `None` where the protocol has no word for it.
    fn mark(&mut self) -> Result<Option<u64>, LinkError> {
        Ok(None)
    }

    /// Returns the latest mark that the other end has read.
    fn read_mark(&self) -> u64 {
        0
    }

    /// Flushes; ready when everything fed has been passed to the operating system (or to the broker, within
    /// its process), and there is room for more: it is not full then. What it waits for may have to be read.
    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), LinkError>>;

    /// Closes the link in an orderly way if the protocol has one, after a flush.
    fn poll_close(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), LinkError>>;
}

/// A link of either end, whatever it goes over.
pub type BoxedLink<Out, In> = Box<dyn Link<Out = Out, In = In>>;

/// Why a link ended.
#[derive(Debug)]
#[non_exhaustive]
pub enum LinkError {
    /// The other end went away in an orderly way.
    Closed,
    /// The network failed.
    Io(io::Error),
    /// The other end broke the rules of the protocol.
    PeerMisbehaved(String),
    /// Nothing was received for too long.
    Silent,
    /// This is no fabric server, or it refused us: the HTTP status, or what it said instead.
    Refused(String),
    /// The server cannot be used, or does not want us, for a reason that has a code.
    Denied(Failure),
    /// TLS failed, or was wanted on one side only.
    Tls(Failure),
}

impl LinkError {
    /// Returns the code of the failure.
    pub fn code(&self) -> Code {
        match self {
            Self::Closed => Code::Connect,
            Self::Io(error) => match error.kind() {
                io::ErrorKind::ConnectionRefused => Code::ConnectionRefused,
                io::ErrorKind::ConnectionReset => Code::ConnectionReset,
                io::ErrorKind::NotFound => Code::NotFound,
                io::ErrorKind::PermissionDenied => Code::AccessDenied,
                _ => Code::Connect,
            },
            Self::PeerMisbehaved(_) => Code::Connect,
            Self::Silent => Code::TimedOut,
            Self::Refused(_) => Code::Refused,
            Self::Denied(failure) | Self::Tls(failure) => failure.code,
        }
    }
}

impl fmt::Display for LinkError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Closed => f.write_str("closed by the other end"),
            Self::Io(error) => write!(f, "{error}"),
            Self::PeerMisbehaved(what) => write!(f, "the other end broke the protocol: {what}"),
            Self::Silent => f.write_str("nothing heard from the other end for too long"),
            Self::Refused(what) => write!(f, "refused: {what}"),
            Self::Denied(failure) | Self::Tls(failure) => write!(f, "{failure}"),
        }
    }
}

impl std::error::Error for LinkError {}

impl From<LinkError> for Failure {
    fn from(error: LinkError) -> Self {
        Self::new(error.code(), error)
    }
}

impl From<io::Error> for LinkError {
    fn from(error: io::Error) -> Self {
        if let Some(failure) = tls::from_io(&error) {
            return Self::Tls(failure);
        }
        match error.get_ref().and_then(|inner| inner.downcast_ref::<Misbehaviour>()) {
            Some(Misbehaviour(what)) => Self::PeerMisbehaved(what.clone()),
            None => Self::Io(error),
        }
    }
}

/// Returns what a stream fails with when the fault is the peer's: [`LinkError::PeerMisbehaved`] for the link
/// above it.
pub(super) fn misbehaved(what: impl Into<String>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, Misbehaviour(what.into()))
}

/// Returns whether a stream failed by [`misbehaved`].
pub(super) fn is_misbehaviour(error: &io::Error) -> bool {
    error.get_ref().is_some_and(|inner| inner.is::<Misbehaviour>())
}

#[derive(Debug)]
struct Misbehaviour(String);

impl fmt::Display for Misbehaviour {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Misbehaviour {}
