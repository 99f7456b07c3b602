//! What a server says of what was sent: messages, statuses, refusals, and that all before a fence is settled.

use std::time::Instant;

use super::Client;
use crate::base::Code;
use crate::subject::{Pattern, Subject};
use crate::wire::message::{AckId, OpError, Reply, ServerOp};
use crate::wire::nats::fences::{Subscribing, Unsettled};
use crate::wire::nats::frame::{Delivery, Frame};
use crate::wire::nats::publication::{Arrival, COUNT};
use crate::wire::nats::refusal::Refusal;

impl Client {
    /// Handles a message, or what stands for one.
    pub(super) fn handle_message(
        &mut self,
        now: Instant,
        delivery: &Delivery<'_>,
        frame: Frame<'_>,
        into: &mut Vec<ServerOp>,
    ) {
        let Some(pattern) = self.subscriptions.pattern(delivery.sid) else { return };
        let is_inbox = self.inbox.as_ref().is_some_and(|inbox| inbox.pattern == *pattern);
        match self.reader.read(delivery, frame) {
            Ok(Arrival::Publication(publication)) => {
                // A word of a stream to where only a missing listener is reported.
                if !(is_inbox && publication.subject.last_token().starts_with(COUNT)) {
                    into.push(ServerOp::Deliver { pattern: pattern.clone(), publication });
                }
            }
            Ok(Arrival::Status(NO_RESPONDERS))
                if (is_inbox || self.is_gateway) && delivery.payload.is_empty() =>
            {
                let reply =
                    std::str::from_utf8(delivery.subject).ok().and_then(|text| Subject::parse(text).ok());
                let unheard = reply.and_then(|reply| self.fences.take_unheard(&reply));
                if let Some(unheard) = unheard {
                    self.handle_unheard(now, unheard, into);
                }
            }
            Ok(Arrival::Status(_) | Arrival::Probe) => {}
            Err(error) => {
                self.dropped += 1;
                tracing::debug!(%error, %pattern, "left out a message");
            }
        }
    }

    /// Handles that nobody got something.
    fn handle_unheard(&mut self, now: Instant, unheard: Unsettled, into: &mut Vec<ServerOp>) {
        match unheard {
            Unsettled::Publish { ack, .. } => into.push(acked(ack, Reply::Published { count: 0 })),
            Unsettled::Probe { ack, .. } => {
                if self.waits.handle_nobody(now, ack) {
                    into.push(acked(ack, Reply::Interest(false)));
                }
            }
            Unsettled::Subscribe(_) | Unsettled::Unsubscribe { .. } | Unsettled::List { .. } => {}
        }
    }

    /// Handles that the server has had something, and has no objection.
    pub(super) fn handle_settled(&mut self, settled: Unsettled, into: &mut Vec<ServerOp>) {
        match settled {
            Unsettled::Publish { is_request: true, .. } => {}
            Unsettled::Publish { ack, .. } => into.push(acked(ack, Reply::Published { count: 1 })),
            Unsettled::Probe { ack, .. } => {
                if self.waits.end(ack) {
                    into.push(acked(ack, Reply::Interest(true)));
                }
            }
            Unsettled::Subscribe(Subscribing { ack, patterns, statuses }) => {
                let settled = patterns.iter().zip(&statuses);
                let in_vain: Vec<AckId> = settled
                    .flat_map(|(pattern, status)| self.connects.settle(pattern, status.is_ok()))
                    .collect();
                into.extend(ack.map(|ack| acked(ack, Reply::Subscribed(statuses))));
                into.extend(in_vain.into_iter().map(|ack| acked(ack, Reply::Published { count: 0 })));
            }
            Unsettled::List { ack } => {
                let mut list: Vec<String> = self.subscriptions.patterns().map(ToString::to_string).collect();
                list.sort_unstable();
                into.push(acked(ack, Reply::Strings(list)));
            }
            Unsettled::Unsubscribe { ack, sids, count } => {
                sids.into_iter().for_each(|sid| self.subscriptions.forget(sid));
                into.extend(ack.map(|ack| acked(ack, Reply::Unsubscribed { count })));
            }
        }
    }

    /// Handles a refusal. Those that end the connection are its last words.
    pub(super) fn handle_refusal(&mut self, text: &str, into: &mut Vec<ServerOp>) {
        match Refusal::read(text) {
            Refusal::Publish(subject) => {
                let error = OpError { message: text.to_owned(), code: Some(403) };
                match self.fences.take_publish(&subject) {
                    Some(Unsettled::Publish { ack, .. }) => into.push(acked(ack, Reply::Error(error))),
                    Some(Unsettled::Probe { ack, .. }) => {
                        if self.waits.end(ack) {
                            into.push(acked(ack, Reply::Error(error)));
                        }
                    }
                    _ => into.push(denied(text, subject, "pub")),
                }
            }
            Refusal::Subscribe(pattern) => {
                let error = OpError { message: text.to_owned(), code: Some(403) };
                if let Ok(pattern) = Pattern::parse(&pattern) {
                    self.subscriptions.remove(&pattern);
                }
                // Otherwise it is taken back: the subscription stood.
                if !self.fences.refuse_pattern(&pattern, &error) {
                    into.push(denied(text, pattern, "sub"));
                }
            }
            Refusal::SubscriptionLimit => {
                let error = OpError { message: text.to_owned(), code: Some(429) };
                if let Some(pattern) = self.fences.refuse_last(&error) {
                    self.subscriptions.remove(&pattern);
                }
            }
            Refusal::Dropped => tracing::warn!(text, "the server left something out"),
            last => {
                let code = match last {
                    Refusal::SlowConsumer => Code::SlowConsumer,
                    Refusal::Stale => Code::TimedOut,
                    Refusal::SignIn | Refusal::ConnectionLimit => Code::Refused,
                    _ => {
                        tracing::error!(text, "the server does not take what this client says");
                        Code::Connect
                    }
                };
                let code = code.as_str().into_owned();
                into.push(ServerOp::Closing { code, message: text.to_owned() });
            }
        }
    }
}

fn acked(id: AckId, reply: Reply) -> ServerOp {
    ServerOp::Ack { id, reply }
}

fn denied(text: &str, subject: String, kind: &str) -> ServerOp {
    ServerOp::Permission { message: text.to_owned(), subject, kind: kind.to_owned() }
}

/// The status that stands for nobody.
const NO_RESPONDERS: u16 = 503;
