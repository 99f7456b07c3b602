//! Acknowledgements: [`Reply`] to JSON at the broker, and back at the client, which remembers what it asked.

use std::collections::BTreeMap;

use bytes::{BufMut, BytesMut};
use serde_json::Value;

use super::json::{push_string, push_u64};
use crate::wire::message::{AckId, ClientOp, OpError, Reply, SubscribeStatus};

/// The kind of an outstanding acknowledgement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Asked {
    Publish,
    Subscribe { count: usize, list: bool },
    Unsubscribe { count: usize },
    Strings,
    Interest,
}

/// The acknowledgements that a client waits for. Forgets the oldest beyond [`MAX_OUTSTANDING`]: some brokers
/// never answer some events, and the caller has given up by then.
#[derive(Debug, Default)]
pub(super) struct Outstanding(BTreeMap<u64, Asked>);

impl Outstanding {
    /// Remembers what `op` asks for.
    pub(super) fn insert(&mut self, op: &ClientOp) {
        let (ack, asked) = match op {
            ClientOp::Publish { ack, .. } => (*ack, Asked::Publish),
            ClientOp::Subscribe { ack, subscriptions, list } => {
                (*ack, Asked::Subscribe { count: subscriptions.len(), list: *list })
            }
            ClientOp::Unsubscribe { ack, patterns, .. } => {
                (*ack, Asked::Unsubscribe { count: patterns.len() })
            }
            ClientOp::Subscriptions { ack } | ClientOp::Cluster { ack } => (Some(*ack), Asked::Strings),
            ClientOp::WaitForInterest { ack, .. } => (Some(*ack), Asked::Interest),
            // Said as a publish.
            ClientOp::Request { .. } => return,
            ClientOp::PublishRefused { .. }
            | ClientOp::Stats { .. }
            | ClientOp::InfoReceived
            | ClientOp::Watch(_)
            | ClientOp::Sockets(_)
            | ClientOp::Leaving => return,
        };
        let Some(AckId(id)) = ack else { return };
        self.0.insert(id, asked);
        if self.0.len() > MAX_OUTSTANDING {
            self.0.pop_first();
        }
    }

    /// Returns what the answer with this id is about, once.
    pub(super) fn take(&mut self, id: u64) -> Option<Asked> {
        self.0.remove(&id)
    }
}

/// Reads the arguments of an acknowledgement.
pub(super) fn parse_reply(asked: Asked, data: &str) -> Reply {
    if let Some(count) = published_count(data).filter(|_| asked == Asked::Publish) {
        return Reply::Published { count };
    }
    let first = match serde_json::from_str(data) {
        Ok(Value::Array(mut arguments)) if !arguments.is_empty() => arguments.swap_remove(0),
        _ => Value::Null,
    };
    let error = parse_error(&first);
    match (asked, error) {
        // The original's way to say that no subscriber appeared in time.
        (Asked::Interest, Some(error)) if is_timeout(&error) => Reply::Interest(false),
        (Asked::Subscribe { count, list: true }, None) => {
            let Value::Array(items) = &first else { return unexpected() };
            if items.len() != count {
                return unexpected();
            }
            Reply::Subscribed(items.iter().map(parse_status).collect())
        }
        (Asked::Subscribe { list: false, .. }, error) => {
            Reply::Subscribed(vec![error.map_or_else(|| parse_status(&first), Err)])
        }
        (_, Some(error)) => Reply::Error(error),
        (Asked::Publish, None) => match first.get("count").and_then(Value::as_u64) {
            Some(count) => Reply::Published { count },
            None => unexpected(),
        },
        (Asked::Unsubscribe { count }, None) => Reply::Unsubscribed { count },
        (Asked::Strings, None) => match first {
            Value::Array(items) => Reply::Strings(
                items.into_iter().filter_map(|item| item.as_str().map(str::to_owned)).collect(),
            ),
            _ => unexpected(),
        },
        (Asked::Interest, None) => match first {
            Value::Bool(interest) => Reply::Interest(interest),
            _ => unexpected(),
        },
    }
}

/// Appends the arguments of an acknowledgement. `list`: a list was asked for.
pub(super) fn push_reply(out: &mut BytesMut, reply: &Reply, list: bool) {
    out.put_u8(b'[');
    match reply {
        Reply::Published { count } => {
            out.put_slice(b"{\"count\":");
            push_u64(out, *count);
            out.put_u8(b'}');
        }
        Reply::Subscribed(statuses) if list => push_list(out, statuses, push_status),
        Reply::Subscribed(statuses) => statuses.iter().take(1).for_each(|status| push_status(out, status)),
        Reply::Unsubscribed { count } if list => {
            push_list(out, &vec![(); *count], |out, ()| out.put_slice(b"null"));
        }
        Reply::Unsubscribed { .. } => out.put_slice(b"null"),
        Reply::Strings(strings) => push_list(out, strings, |out, text| push_string(out, text)),
        Reply::Interest(interest) => out.put_slice(if *interest { b"true" } else { b"false" }),
        Reply::Error(error) => push_error(out, error),
    }
    out.put_u8(b']');
}

/// Appends `{error, code?}`.
pub(super) fn push_error(out: &mut BytesMut, error: &OpError) {
    out.put_slice(b"{\"error\":");
    push_string(out, &error.message);
    if let Some(code) = error.code {
        out.put_slice(b",\"code\":");
        push_u64(out, code.into());
    }
    out.put_u8(b'}');
}

/// Parses the refusal in an object with a member `error`.
pub(super) fn parse_error(value: &Value) -> Option<OpError> {
    let error = value.as_object()?.get("error")?;
    let message = match error {
        Value::Null | Value::Bool(false) => return None,
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    let code = value.get("code").and_then(Value::as_u64).and_then(|code| u16::try_from(code).ok());
    Some(OpError { message, code })
}

/// Parses the most frequent acknowledgement, which is exactly `[{"count":N}]`.
fn published_count(data: &str) -> Option<u64> {
    data.strip_prefix("[{\"count\":")?.strip_suffix("}]")?.parse().ok()
}

fn parse_status(value: &Value) -> Result<SubscribeStatus, OpError> {
    match value.get("status").and_then(Value::as_str) {
        Some("added") => Ok(SubscribeStatus::Added),
        Some("already-added") => Ok(SubscribeStatus::AlreadyAdded),
        _ => Err(parse_error(value).unwrap_or_else(|| OpError::text(UNEXPECTED))),
    }
}

fn push_status(out: &mut BytesMut, status: &Result<SubscribeStatus, OpError>) {
    match status {
        Ok(SubscribeStatus::Added | SubscribeStatus::Exclusive(_)) => {
            out.put_slice(b"{\"status\":\"added\"}")
        }
        Ok(SubscribeStatus::AlreadyAdded) => out.put_slice(b"{\"status\":\"already-added\"}"),
        // Nobody who speaks this protocol asks for that.
        Ok(SubscribeStatus::Superseded) => out.put_slice(b"{\"error\":\"superseded\"}"),
        Err(error) => push_error(out, error),
    }
}

fn push_list<T>(out: &mut BytesMut, items: &[T], mut push: impl FnMut(&mut BytesMut, &T)) {
    out.put_u8(b'[');
    for (index, item) in items.iter().enumerate() {
        if index > 0 {
            out.put_u8(b',');
        }
        push(out, item);
    }
    out.put_u8(b']');
}

fn is_timeout(error: &OpError) -> bool {
    error.code.is_none_or(|code| code == 408) && error.message.contains("timeout")
}

fn unexpected() -> Reply {
    Reply::Error(OpError::text(UNEXPECTED))
}

const UNEXPECTED: &str = "unexpected answer from the server";

/// Far more than a client has in flight: its window of publishes is a thousand.
const MAX_OUTSTANDING: usize = 65_536;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_read_by_what_was_asked() {
        let error = |text: &str, code| OpError { message: text.into(), code };
        for (asked, data, expected) in [
            (Asked::Publish, r#"[{"count":12}]"#, Reply::Published { count: 12 }),
            (Asked::Publish, r#"[ {"bytes":1, "count":0} ]"#, Reply::Published { count: 0 }),
            (Asked::Publish, r#"[{"error":"no","code":403}]"#, Reply::Error(error("no", Some(403)))),
            (Asked::Publish, "[]", unexpected()),
            (Asked::Unsubscribe { count: 1 }, "[null]", Reply::Unsubscribed { count: 1 }),
            (Asked::Unsubscribe { count: 1 }, "[]", Reply::Unsubscribed { count: 1 }),
            (Asked::Unsubscribe { count: 2 }, "[[null,null]]", Reply::Unsubscribed { count: 2 }),
            (Asked::Strings, r#"[["a","b.>"]]"#, Reply::Strings(vec!["a".into(), "b.>".into()])),
            (Asked::Interest, "[true]", Reply::Interest(true)),
            (Asked::Interest, r#"[{"error":"Error: timeout"}]"#, Reply::Interest(false)),
            (Asked::Interest, r#"[{"error":"no","code":403}]"#, Reply::Error(error("no", Some(403)))),
            (Asked::Interest, "not json", unexpected()),
        ] {
            assert_eq!(parse_reply(asked, data), expected, "{asked:?} {data}");
        }
    }

    #[test]
    fn subscriptions_are_answered_one_by_one() {
        let single = Asked::Subscribe { count: 1, list: false };
        let list = Asked::Subscribe { count: 2, list: true };
        assert_eq!(
            parse_reply(single, r#"[{"status":"already-added"}]"#),
            Reply::Subscribed(vec![Ok(SubscribeStatus::AlreadyAdded)])
        );
        assert_eq!(
            parse_reply(single, r#"[{"error":"full","code":429}]"#),
            Reply::Subscribed(vec![Err(OpError { message: "full".into(), code: Some(429) })])
        );
        assert_eq!(
            parse_reply(list, r#"[[{"status":"added"},{"error":"no"}]]"#),
            Reply::Subscribed(vec![Ok(SubscribeStatus::Added), Err(OpError::text("no"))])
        );
        assert_eq!(parse_reply(list, r#"[[{"status":"added"}]]"#), unexpected(), "one is missing");
    }

    #[test]
    fn what_is_never_answered_is_forgotten_in_the_end() {
        let mut outstanding = Outstanding::default();
        for id in 0..MAX_OUTSTANDING as u64 + 10 {
            outstanding.insert(&ClientOp::Cluster { ack: AckId(id) });
        }
        assert_eq!((outstanding.take(9), outstanding.take(10)), (None, Some(Asked::Strings)));
        assert_eq!(outstanding.take(10), None, "an answer counts once");
    }
}
