//! What is said to open requests: how many got them, who has come, what was replied, and that nothing will
//! be.

use std::time::Instant;

use super::super::acks::Awaited;
use super::super::inbox::{RequestId, parse_reply_token};
use super::super::outputs::Outputs;
use super::super::{ClientError, ClientEvent, ReplyLimits, RequestKind};
use super::{PendingRequest, Regathered, Requests, Step};
use crate::wire::message::ENDED_UNANSWERED;
use crate::wire::{ANSWER_GRACE, OpError, Publication};

impl<T: Copy> Requests<T> {
    pub(in crate::client) fn handle_count(
        &mut self,
        now: Instant,
        out: &mut Outputs<T>,
        id: RequestId,
        count: u64,
    ) {
        let Some(PendingRequest { request, token, size, .. }) = self.get(id) else { return };
        let (kind, subject) = (request.kind, request.message.subject.to_string());
        if count == 0 && request.wait_for_interest {
            out.events.extend(token.map(|token| ClientEvent::Heard(token, false)));
            let Some(pending) = self.get_mut(id) else { return };
            pending.request.wait_for_interest = false;
            if let Some(Regathered { until, deadline }) = pending.regathering {
                let until = until.max(now);
                self.postpone(id, deadline.map_or(until, |deadline| deadline.min(until)));
            }
            return self.await_interest(out, id);
        }
        match kind {
            RequestKind::Publish => {
                let event = token.map(|token| ClientEvent::Published { token, bytes: *size, count });
                out.events.extend(event);
                self.take(out, id);
            }
            _ if count == 0 => self.fail(out, id, ClientError::NoSubscribers { what: kind.name(), subject }),
            kind => {
                // Its broker may have to say later that whoever alone was given it has ended.
                if let (RequestKind::RequestMany(_), Some(ack)) = (kind, self.get(id).and_then(|of| of.ack)) {
                    out.acks.expect_again(ack, Awaited::Count(id));
                }
                self.advance(id, Step::AwaitingReply);
            }
        }
    }

    /// Handles that the broker refuses a request, or that whoever it was given to has ended.
    pub(in crate::client) fn handle_refused(&mut self, out: &mut Outputs<T>, id: RequestId, error: OpError) {
        let Some(PendingRequest { request, step, received, .. }) = self.get(id) else { return };
        let (what, subject) = (request.kind.name(), request.message.subject.to_string());
        if let RequestKind::RequestMany(ReplyLimits { max_wait: Some(_), .. }) = request.kind
            && *step == Step::AwaitingReply
            && *received > 0
        {
            // It has answered, and who asked says how long a silence is the end.
            return;
        }
        let is_ended = error.code == Some(ENDED_UNANSWERED) && request.kind.wants_reply();
        let why = if is_ended {
            ClientError::EndedUnanswered { what, subject }
        } else {
            ClientError::Refused(error)
        };
        self.fail(out, id, why);
    }

    pub(in crate::client) fn handle_interest(
        &mut self,
        now: Instant,
        out: &mut Outputs<T>,
        id: RequestId,
        there: bool,
    ) {
        let Some(PendingRequest { request, token, .. }) = self.get(id) else { return };
        if request.kind == RequestKind::Interest && (there || request.timeout.is_zero()) {
            out.events.extend(token.map(|token| ClientEvent::Interest(token, there)));
            self.take(out, id);
        } else if there && self.is_holding() {
            // The next broker is asked.
        } else if there && request.kind != RequestKind::Interest {
            out.events.extend(token.map(|token| ClientEvent::Heard(token, true)));
            if let Some(Regathered { deadline, .. }) = self.get_mut(id).and_then(|of| of.regathering.take()) {
                self.deadlines.set(id, deadline);
            }
            self.send(now, out, id);
        } else {
            self.handle_overdue(out, id);
        }
    }

    pub(in crate::client) fn handle_reply(
        &mut self,
        now: Instant,
        out: &mut Outputs<T>,
        publication: Publication,
    ) {
        let Some((id, secret)) = parse_reply_token(publication.subject.last_token()) else { return };
        let is_awaited =
            |pending: &PendingRequest<T>| pending.secret == secret && pending.request.kind.wants_reply();
        if !self.get(id).is_some_and(is_awaited) {
            return;
        }
        let Some(message) = self.inbox.replies.handle_chunk(now, publication) else { return };
        if message.payload.raw.len() <= 1 && message.headers.is_ended_unanswered() {
            return self.handle_ended(now, out, id);
        }
        let Some(pending) = self.get_mut(id) else { return };
        pending.received += 1;
        let (token, received) = (pending.token, pending.received);
        let RequestKind::RequestMany(many) = pending.request.kind else {
            self.take(out, id);
            return out.events.extend(token.map(|token| ClientEvent::Reply { token, message }));
        };
        if many.max_wait.is_some() {
            // Who asked says how long a silence is the end, whatever has ended before this answer.
            (pending.orphaned, pending.is_ended) = (None, false);
        }
        let orphaned = pending.orphaned;
        out.events.extend(token.map(|token| ClientEvent::Reply { token, message }));
        if many.max_messages.is_some_and(|most| received >= most) {
            self.take(out, id);
            out.events.extend(token.map(ClientEvent::Ended));
        } else if let Some(wait) = many.max_wait {
            self.postpone(id, now + wait);
        } else if let Some(deadline) = orphaned {
            self.postpone(id, deadline.min(now + ANSWER_GRACE));
        }
    }

    /// Handles that a gateway says in the place of an answer that there will be none. Of a request for many
    /// it cannot know whether others answer: they are waited for for a moment, and after each answer again.
    fn handle_ended(&mut self, now: Instant, out: &mut Outputs<T>, id: RequestId) {
        let Some(PendingRequest { request, received, .. }) = self.get(id) else { return };
        match request.kind {
            // Who asked says how long a silence is the end.
            RequestKind::RequestMany(many) if many.max_wait.is_some() && *received > 0 => {}
            RequestKind::RequestMany(_) => {
                let Some(deadline) = self.deadlines.get(id) else { return };
                let Some(pending) = self.get_mut(id) else { return };
                pending.is_ended = true;
                let deadline = *pending.orphaned.get_or_insert(deadline);
                self.postpone(id, deadline.min(now + ANSWER_GRACE));
            }
            _ => {
                let (what, subject) = (request.kind.name(), request.message.subject.to_string());
                self.fail(out, id, ClientError::EndedUnanswered { what, subject });
            }
        }
    }

    /// Takes a list of the broker. Returns it if it is the list of subscriptions, which is to be repaired;
    /// the request stays open until [`Self::finish_sync`].
    pub(in crate::client) fn handle_list(
        &mut self,
        out: &mut Outputs<T>,
        id: RequestId,
        list: Vec<String>,
    ) -> Option<Vec<String>> {
        let pending = self.get(id)?;
        if pending.request.kind == RequestKind::Sync {
            return Some(list);
        }
        out.events.extend(pending.token.map(|token| ClientEvent::Cluster(token, list)));
        self.take(out, id);
        None
    }

    /// Ends a request to repair the list of subscriptions.
    pub(in crate::client) fn finish_sync(&mut self, out: &mut Outputs<T>, id: RequestId) {
        let token = self.take(out, id).and_then(|pending| pending.token);
        out.events.extend(token.map(ClientEvent::Synced));
    }
}
