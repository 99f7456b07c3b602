//! Everything that is neither a message nor its count: one JSON object an operation, named by its member
//! `op`.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::subject::Pattern;
use crate::wire::message::json;
use crate::wire::message::{
    AckId, Claim, ClientOp, Info, Json, OpError, Reply, ServerOp, SocketReport, SubscribeStatus,
    Subscription, SubscriptionClass,
};

/// A control message of a client.
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "op", rename_all = "kebab-case", rename_all_fields = "camelCase")]
pub(super) enum ClientControl {
    Subscribe {
        ack: Option<u64>,
        subscriptions: Vec<Entry>,
        list: bool,
    },
    Unsubscribe {
        ack: Option<u64>,
        patterns: Vec<String>,
        list: bool,
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        drain: bool,
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
    Sockets {
        rows: Vec<SocketReport>,
    },
    Leaving,
    /// From a later version: see [`Unknown`].
    #[serde(other, skip_serializing)]
    Unknown,
}

/// One subscription that is asked for.
#[derive(Debug, Serialize, Deserialize)]
#[serde(untagged)]
pub(super) enum Entry {
    /// `[pattern, queue]`
    Plain(String, Option<String>),
    /// With what is said of few. Extension `ends`.
    Special(String, Option<String>, EntryOptions),
}

#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct EntryOptions {
    /// `null`, or the token of whoever comes back.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "present")]
    exclusive: Option<Option<u64>>,
    /// `"plain"` or `"direct"`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    class: Option<String>,
}

/// Tells `null` from a member that is not there.
fn present<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<Option<u64>>, D::Error> {
    Option::deserialize(deserializer).map(Some)
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
        #[serde(default, skip_serializing_if = "Option::is_none")]
        max_message: Option<u64>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        monitor: Option<u64>,
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
    Superseded {
        pattern: String,
        token: u64,
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
    Exclusive(u64),
    Superseded,
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
                let subscriptions = subscriptions.into_iter().map(Entry::from).collect();
                Self::Subscribe { ack: number(ack), subscriptions, list }
            }
            ClientOp::Unsubscribe { ack, patterns, list, drain } => {
                let patterns = patterns.iter().map(|pattern| pattern.as_ref().to_owned()).collect();
                Self::Unsubscribe { ack: number(ack), patterns, list, drain }
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
            ClientOp::Sockets(rows) => Self::Sockets { rows },
            ClientOp::Leaving => Self::Leaving,
        })
    }

    /// Converts to an operation; `None` if it is unknown.
    pub(super) fn into_op(self) -> Option<ClientOp> {
        Some(match self {
            Self::Subscribe { ack, subscriptions, list } => {
                let subscriptions = subscriptions.into_iter().map(Subscription::from).collect();
                ClientOp::Subscribe { ack: ack.map(AckId), subscriptions, list }
            }
            Self::Unsubscribe { ack, patterns, list, drain } => {
                let patterns = patterns.into_iter().map(Into::into).collect();
                ClientOp::Unsubscribe { ack: ack.map(AckId), patterns, list, drain }
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
            Self::Sockets { rows } => ClientOp::Sockets(rows),
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
            ServerOp::Info(info) => {
                let Info { max_payload, id, cluster_name, user, instance, large: _, max_message, monitor } =
                    *info;
                let (user, refused) = match user {
                    Ok(user) => (Some(user.to_raw()), None),
                    Err(error) => (None, Some(error.into())),
                };
                let max_payload = max_payload as u64;
                Self::Info { max_payload, id, cluster_name, instance, max_message, monitor, user, refused }
            }
            ServerOp::Permission { message, subject, kind } => Self::Permission { message, subject, kind },
            ServerOp::Closing { code, message } => Self::Closing { code, message },
            ServerOp::Superseded { pattern, token } => {
                Self::Superseded { pattern: pattern.as_str().to_owned(), token }
            }
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
            Self::Info {
                max_payload,
                id,
                cluster_name,
                instance,
                max_message,
                monitor,
                user: _,
                refused,
            } => {
                let max_payload = usize::try_from(max_payload).unwrap_or(usize::MAX);
                let user = json::member(text, "user").unwrap_or("null").to_owned();
                let user = refused.map_or_else(|| Ok(Json::trusted(user.into())), |error| Err(error.into()));
                Some(ServerOp::Info(Box::new(Info {
                    max_payload,
                    id,
                    cluster_name,
                    user,
                    instance,
                    large: None,
                    max_message,
                    monitor,
                })))
            }
            Self::Permission { message, subject, kind } => {
                Some(ServerOp::Permission { message, subject, kind })
            }
            Self::Closing { code, message } => Some(ServerOp::Closing { code, message }),
            Self::Superseded { pattern, token } => {
                let pattern = Pattern::parse(&pattern).ok()?;
                Some(ServerOp::Superseded { pattern, token })
            }
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

impl From<Subscription> for Entry {
    fn from(subscription: Subscription) -> Self {
        let Subscription { pattern, queue, class, exclusive } = subscription;
        let (pattern, queue) = (pattern.as_ref().to_owned(), queue.map(|queue| queue.as_ref().to_owned()));
        let token = |claim| match claim {
            Claim::Fresh => None,
            Claim::Returning(token) => Some(token),
        };
        let class = match class {
            SubscriptionClass::Shared => None,
            SubscriptionClass::Plain => Some(PLAIN.to_owned()),
            SubscriptionClass::Direct => Some(DIRECT.to_owned()),
        };
        match (exclusive.map(token), class) {
            (None, None) => Self::Plain(pattern, queue),
            (exclusive, class) => Self::Special(pattern, queue, EntryOptions { exclusive, class }),
        }
    }
}

impl From<Entry> for Subscription {
    fn from(entry: Entry) -> Self {
        let (pattern, queue, options) = match entry {
            Entry::Plain(pattern, queue) => (pattern, queue, EntryOptions::default()),
            Entry::Special(pattern, queue, options) => (pattern, queue, options),
        };
        let claim = |token: Option<u64>| token.map_or(Claim::Fresh, Claim::Returning);
        let exclusive = options.exclusive.map(claim);
        let class = match options.class.as_deref() {
            Some(PLAIN) => SubscriptionClass::Plain,
            Some(DIRECT) => SubscriptionClass::Direct,
            _ => SubscriptionClass::Shared,
        };
        Self { pattern: pattern.into(), queue: queue.map(Into::into), class, exclusive }
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
            Ok(SubscribeStatus::Exclusive(token)) => Self::Exclusive(token),
            Ok(SubscribeStatus::Superseded) => Self::Superseded,
            Err(error) => Self::Refused(error.into()),
        }
    }
}

impl From<Status> for Result<SubscribeStatus, OpError> {
    fn from(status: Status) -> Self {
        match status {
            Status::Added => Ok(SubscribeStatus::Added),
            Status::AlreadyAdded => Ok(SubscribeStatus::AlreadyAdded),
            Status::Exclusive(token) => Ok(SubscribeStatus::Exclusive(token)),
            Status::Superseded => Ok(SubscribeStatus::Superseded),
            Status::Refused(refusal) => Err(refusal.into()),
        }
    }
}

/// The classes of subscriptions whose queue nobody named.
const PLAIN: &str = "plain";
const DIRECT: &str = "direct";
/// An hour is beyond what any broker waits.
const MAX_WAIT_MS: u64 = 3_600_000;
