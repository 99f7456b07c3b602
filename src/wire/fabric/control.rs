//! Everything that is neither a message nor its count: one JSON object an operation, named by its member
//! `op`.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::wire::message::json;
use crate::wire::message::{
    AckId, ClientOp, Info, Json, OpError, Reply, ServerOp, SubscribeStatus, Subscription,
};

/// A control message of a client.
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "op", rename_all = "kebab-case", rename_all_fields = "camelCase")]
pub(super) enum ClientControl {
    /// `[pattern, queue]` each.
    Subscribe {
        ack: Option<u64>,
        subscriptions: Vec<(String, Option<String>)>,
        list: bool,
    },
    Unsubscribe {
        ack: Option<u64>,
        patterns: Vec<String>,
        list: bool,
    },
    Subscriptions {
        ack: u64,
    },
    /// `timeout` in ms.
    WaitForInterest {
        ack: u64,
        subject: String,
        timeout: u64,
    },
    Cluster {
        ack: u64,
    },
    Stats {
        messages: u64,
        bytes: u64,
    },
    InfoReceived,
    Leaving,
    /// From a later version: see [`Unknown`].
    #[serde(other, skip_serializing)]
    Unknown,
}

/// The part read of an unknown operation: whether it wants a reply.
#[derive(Debug, Deserialize)]
pub(super) struct Unknown {
    #[serde(default)]
    pub(super) ack: Option<u64>,
}

/// A control message of a broker.
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "op", rename_all = "kebab-case", rename_all_fields = "camelCase")]
pub(super) enum ServerControl {
    Info {
        max_payload: u64,
        id: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        cluster_name: Option<String>,
        /// Of a broker that can watch ends.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        instance: Option<String>,
        /// Who the client is; absent when it is refused. Only written: it is read as the text that it is,
        /// since not all that JavaScript has in a user is a value here.
        #[serde(skip_deserializing)]
        user: Option<Box<RawValue>>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        refused: Option<ErrorBody>,
    },
    Permission {
        message: String,
        subject: String,
        kind: String,
    },
    Closing {
        code: String,
        message: String,
    },
    Subscribed {
        ack: u64,
        statuses: Vec<Status>,
    },
    Unsubscribed {
        ack: u64,
        count: u64,
    },
    Strings {
        ack: u64,
        strings: Vec<String>,
    },
    Interest {
        ack: u64,
        interest: bool,
    },
    Refused {
        ack: u64,
        error: ErrorBody,
    },
    /// From a later version: passed over.
    #[serde(other, skip_serializing)]
    Unknown,
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct ErrorBody {
    message: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    code: Option<u16>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Status {
    Added,
    AlreadyAdded,
    Refused(ErrorBody),
}

impl ClientControl {
    /// Converts an operation; `None` if it has another frame, or none at all.
    pub(super) fn from_op(op: ClientOp) -> Option<Self> {
        let number = |ack: Option<AckId>| ack.map(|AckId(id)| id);
        Some(match op {
            ClientOp::Publish { .. } | ClientOp::Request { .. } | ClientOp::Watch(_) => return None,
            // Made only by a server's decoder: no client sends it.
            ClientOp::PublishRefused { .. } => return None,
            ClientOp::Subscribe { ack, subscriptions, list } => {
                let pair = |item: Subscription| {
                    (item.pattern.as_ref().to_owned(), item.queue.map(|queue| queue.as_ref().to_owned()))
                };
                let subscriptions = subscriptions.into_iter().map(pair).collect();
                Self::Subscribe { ack: number(ack), subscriptions, list }
            }
            ClientOp::Unsubscribe { ack, patterns, list } => {
                let patterns = patterns.iter().map(|pattern| pattern.as_ref().to_owned()).collect();
                Self::Unsubscribe { ack: number(ack), patterns, list }
            }
            ClientOp::Subscriptions { ack } => Self::Subscriptions { ack: ack.0 },
            ClientOp::WaitForInterest { ack, subject, timeout } => Self::WaitForInterest {
                ack: ack.0,
                subject: subject.as_ref().to_owned(),
                timeout: u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX),
            },
            ClientOp::Cluster { ack } => Self::Cluster { ack: ack.0 },
            ClientOp::Stats { messages, bytes } => Self::Stats { messages, bytes },
            ClientOp::InfoReceived => Self::InfoReceived,
            ClientOp::Leaving => Self::Leaving,
        })
    }

    /// Converts to an operation; `None` if it is unknown.
    pub(super) fn into_op(self) -> Option<ClientOp> {
        Some(match self {
            Self::Subscribe { ack, subscriptions, list } => {
                let item = |(pattern, queue): (String, Option<String>)| Subscription {
                    pattern: pattern.into(),
                    queue: queue.map(Into::into),
                    is_shared: true,
                };
                let subscriptions = subscriptions.into_iter().map(item).collect();
                ClientOp::Subscribe { ack: ack.map(AckId), subscriptions, list }
            }
            Self::Unsubscribe { ack, patterns, list } => {
                let patterns = patterns.into_iter().map(Into::into).collect();
                ClientOp::Unsubscribe { ack: ack.map(AckId), patterns, list }
            }
            Self::Subscriptions { ack } => ClientOp::Subscriptions { ack: AckId(ack) },
            Self::WaitForInterest { ack, subject, timeout } => ClientOp::WaitForInterest {
                ack: AckId(ack),
                subject: subject.into(),
                timeout: Duration::from_millis(timeout.min(MAX_WAIT_MS)),
            },
            Self::Cluster { ack } => ClientOp::Cluster { ack: AckId(ack) },
            Self::Stats { messages, bytes } => ClientOp::Stats { messages, bytes },
            Self::InfoReceived => ClientOp::InfoReceived,
            Self::Leaving => ClientOp::Leaving,
            Self::Unknown => return None,
        })
    }
}

impl ServerControl {
    /// Converts an operation; `None` if it has another frame.
    pub(super) fn from_op(op: ServerOp) -> Option<Self> {
        Some(match op {
            ServerOp::Deliver { .. } | ServerOp::Watched(_) => return None,
            ServerOp::Info(Info { max_payload, id, cluster_name, user, instance, large: _ }) => {
                let (user, refused) = match user {
                    Ok(user) => (Some(user.to_raw()), None),
                    Err(error) => (None, Some(error.into())),
                };
                Self::Info { max_payload: max_payload as u64, id, cluster_name, instance, user, refused }
            }
            ServerOp::Permission { message, subject, kind } => Self::Permission { message, subject, kind },
            ServerOp::Closing { code, message } => Self::Closing { code, message },
            ServerOp::Ack { id: AckId(ack), reply } => match reply {
                Reply::Published { .. } => return None,
                Reply::Subscribed(statuses) => {
                    Self::Subscribed { ack, statuses: statuses.into_iter().map(Into::into).collect() }
                }
                Reply::Unsubscribed { count } => Self::Unsubscribed { ack, count: count as u64 },
                Reply::Strings(strings) => Self::Strings { ack, strings },
                Reply::Interest(interest) => Self::Interest { ack, interest },
                Reply::Error(error) => Self::Refused { ack, error: error.into() },
            },
        })
    }

    /// `None` for an operation that is not known. `text` is what this was read from.
    pub(super) fn into_op(self, text: &str) -> Option<ServerOp> {
        let answer = |ack: u64, reply: Reply| Some(ServerOp::Ack { id: AckId(ack), reply });
        match self {
            Self::Info { max_payload, id, cluster_name, instance, user: _, refused } => {
                let max_payload = usize::try_from(max_payload).unwrap_or(usize::MAX);
                let user = json::member(text, "user").unwrap_or("null").to_owned();
                let user = refused.map_or_else(|| Ok(Json::trusted(user.into())), |error| Err(error.into()));
                Some(ServerOp::Info(Info { max_payload, id, cluster_name, user, instance, large: None }))
            }
            Self::Permission { message, subject, kind } => {
                Some(ServerOp::Permission { message, subject, kind })
            }
            Self::Closing { code, message } => Some(ServerOp::Closing { code, message }),
            Self::Subscribed { ack, statuses } => {
                answer(ack, Reply::Subscribed(statuses.into_iter().map(Into::into).collect()))
            }
            Self::Unsubscribed { ack, count } => {
                answer(ack, Reply::Unsubscribed { count: usize::try_from(count).unwrap_or(usize::MAX) })
            }
            Self::Strings { ack, strings } => answer(ack, Reply::Strings(strings)),
            Self::Interest { ack, interest } => answer(ack, Reply::Interest(interest)),
            Self::Refused { ack, error } => answer(ack, Reply::Error(error.into())),
            Self::Unknown => None,
        }
    }
}

impl From<OpError> for ErrorBody {
    fn from(error: OpError) -> Self {
        Self { message: error.message, code: error.code }
    }
}

impl From<ErrorBody> for OpError {
    fn from(refusal: ErrorBody) -> Self {
        Self { message: refusal.message, code: refusal.code }
    }
}

impl From<Result<SubscribeStatus, OpError>> for Status {
    fn from(status: Result<SubscribeStatus, OpError>) -> Self {
        match status {
            Ok(SubscribeStatus::Added) => Self::Added,
            Ok(SubscribeStatus::AlreadyAdded) => Self::AlreadyAdded,
            Err(error) => Self::Refused(error.into()),
        }
    }
}

impl From<Status> for Result<SubscribeStatus, OpError> {
    fn from(status: Status) -> Self {
        match status {
            Status::Added => Ok(SubscribeStatus::Added),
            Status::AlreadyAdded => Ok(SubscribeStatus::AlreadyAdded),
            Status::Refused(refusal) => Err(refusal.into()),
        }
    }
}

/// An hour is beyond what any broker waits.
const MAX_WAIT_MS: u64 = 3_600_000;
