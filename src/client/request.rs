//! A request to the fabric, as its user describes it.

use std::time::Duration;

use crate::wire::Message;

/// One request.
#[derive(Debug, Clone, PartialEq)]
pub struct Request {
    /// Its kind.
    pub kind: RequestKind,
    /// The message to publish. For a wait for interest only its subject counts, for a list nothing.
    pub message: Message,
    /// The time to wait in all.
    pub timeout: Duration,
    /// When there are no subscribers, wait until there are, and send it once more.
    pub wait_for_interest: bool,
    /// Of a publish: it is not sent any more after that time.
    pub ttl: Option<Duration>,
}

/// The kind of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RequestKind {
    /// To know how many got it.
    Publish,
    /// One answer.
    Request,
    /// The answer itself; that it left is confirmation enough, so the broker is not asked for any.
    Command,
    /// Several replies, within these limits.
    RequestMany(ReplyLimits),
    /// Whether there are subscribers.
    Interest,
    /// The addresses of the fabric's servers.
    Cluster,
    /// That the broker has the subscriptions that this client has, no more and no fewer.
    Sync,
}

/// Limits of a request for many replies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReplyLimits {
    /// It ends after so many.
    pub max_messages: Option<u32>,
    /// It ends after so long without another one after the first, whatever its timeout; `None`: at that.
    pub max_wait: Option<Duration>,
}

impl RequestKind {
    /// Returns its name in error texts.
    pub fn name(self) -> &'static str {
        match self {
            Self::Publish => "publish",
            Self::Request | Self::Command => "request",
            Self::RequestMany(_) => "requestMany",
            Self::Interest => "waitForInterest",
            Self::Cluster => "cluster",
            Self::Sync => "syncSubscriptions",
        }
    }

    pub(super) fn wants_reply(self) -> bool {
        matches!(self, Self::Request | Self::Command | Self::RequestMany(_))
    }

    /// Returns whether the broker replies with a list. Asked again when the connection is lost: nothing is
    /// done twice by it.
    pub(super) fn wants_list(self) -> bool {
        matches!(self, Self::Cluster | Self::Sync)
    }
}
