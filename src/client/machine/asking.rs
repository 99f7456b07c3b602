//! The life of a request: sent, counted by the broker, and replied to.

use std::fmt::Write;
use std::time::Instant;

use super::super::requests::{PendingRequest, RequestId, Step};
use super::super::{ClientError, ClientEvent, RequestKind};
use super::{Awaited, Client, Confirm};
use crate::subject::Subject;
use crate::wire::{ClientOp, Publication};

impl<T: Copy + Ord + std::hash::Hash> Client<T> {
    pub(super) fn handle_count(&mut self, id: RequestId, count: u64) {
        let Some(PendingRequest { request, token, size, .. }) = self.requests.get(id) else { return };
        let (kind, subject) = (request.kind, request.message.subject.to_string());
        if count == 0 && request.wait_for_interest {
            if let Some(pending) = self.requests.get_mut(id) {
                pending.request.wait_for_interest = false;
            }
            return self.await_interest(id);
        }
        match kind {
            RequestKind::Publish => {
                let event = token.map(|token| ClientEvent::Published { token, bytes: *size, count });
                self.events.extend(event);
                self.close_request(id);
            }
            _ if count == 0 => self.fail(id, ClientError::NoSubscribers { what: kind.name(), subject }),
            _ => self.requests.advance(id, Step::AwaitingReply),
        }
    }

    pub(super) fn handle_interest(&mut self, id: RequestId, there: bool) {
        let Some(PendingRequest { request, token, .. }) = self.requests.get(id) else { return };
        if request.kind == RequestKind::Interest && (there || request.timeout.is_zero()) {
            self.events.extend(token.map(|token| ClientEvent::Interest(token, there)));
            self.close_request(id);
        } else if request.kind == RequestKind::Interest || (request.kind == RequestKind::Publish && !there) {
            self.handle_overdue(id);
        } else if there {
            self.put(id);
        } else {
            self.handle_count(id, 0);
        }
    }

    pub(super) fn handle_reply(&mut self, now: Instant, publication: Publication) {
        let Ok(id) = publication.subject.last_token().parse::<RequestId>() else { return };
        let Some(message) = self.replies.handle_chunk(now, publication) else { return };
        let Some(pending) = self.requests.get_mut(id).filter(|pending| pending.request.kind.wants_reply())
        else {
            return;
        };
        pending.received += 1;
        let (token, received) = (pending.token, pending.received);
        let RequestKind::RequestMany(many) = pending.request.kind else {
            self.close_request(id);
            return self.events.extend(token.map(|token| ClientEvent::Reply { token, message }));
        };
        self.events.extend(token.map(|token| ClientEvent::Reply { token, message }));
        if many.max_messages.is_some_and(|most| received >= most) {
            self.close_request(id);
            self.events.extend(token.map(ClientEvent::Ended));
        } else if let Some(max_wait) = many.max_wait {
            self.requests.postpone(id, now + max_wait);
        }
    }

    pub(super) fn handle_overdue(&mut self, id: RequestId) {
        let Some(pending) = self.close_request(id) else { return };
        let PendingRequest { token, request, step, .. } = *pending;
        let Some(token) = token else { return };
        let subject = request.message.subject.to_string();
        let what = request.kind.name();
        self.events.push_back(match request.kind {
            RequestKind::RequestMany(_) if step == Step::AwaitingReply => ClientEvent::Ended(token),
            kind if step == Step::AwaitingInterest && kind.wants_reply() => {
                ClientEvent::Failed(token, ClientError::NoSubscribers { what, subject })
            }
            _ => ClientEvent::Failed(token, ClientError::Timeout { what, subject }),
        });
    }

    /// Sends a request to the broker.
    pub(super) fn put(&mut self, id: RequestId) {
        let Some(pending) = self.requests.get(id) else { return };
        let kind = pending.request.kind;
        if kind == RequestKind::Interest {
            return self.await_interest(id);
        }
        if kind.wants_list() {
            return self.request_list(id);
        }
        let is_confirmed = kind != RequestKind::Command || pending.request.wait_for_interest;
        self.requests.advance(id, if is_confirmed { Step::AwaitingCount } else { Step::AwaitingReply });
        let ack = is_confirmed.then(|| self.await_ack(Awaited::Count(id)));
        let Some(pending) = self.requests.get_mut(id) else { return };
        pending.ack = ack;
        let mut message = pending.take_message();
        if kind.wants_reply() {
            message.headers.reply = self.reply_subject(id);
        }
        let confirm = match ack {
            None => Confirm::Never,
            // The number of receivers does not matter, only whether there is one.
            Some(ack) if kind == RequestKind::Request => Confirm::WhenUnheard(ack),
            Some(ack) => Confirm::Always(ack),
        };
        self.send(message, confirm);
    }

    fn reply_subject(&self, id: RequestId) -> Option<Subject> {
        let mut text = String::with_capacity(self.inbox.len() + REQUEST_ID_LENGTH);
        write!(text, "{}.{id}", self.inbox).ok()?;
        Subject::parse(&text).ok()
    }

    pub(super) fn await_interest(&mut self, id: RequestId) {
        let Some(pending) = self.requests.get(id) else { return };
        let (subject, timeout) = (pending.request.message.subject.as_str().into(), pending.request.timeout);
        self.requests.advance(id, Step::AwaitingInterest);
        let ack = self.await_ack(Awaited::Interest(id));
        self.ops.push(ClientOp::WaitForInterest { ack, subject, timeout });
    }
}

/// A dot, and the digits of the largest id.
const REQUEST_ID_LENGTH: usize = 21;
