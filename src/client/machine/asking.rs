//! The life of a question: said to the broker, counted, waited for, answered.

use std::fmt::Write;
use std::time::Instant;

use super::super::operations::{Key, Operation, Step};
use super::super::{ClientError, ClientEvent, QuestionKind};
use super::{Awaited, Client, Confirm};
use crate::subject::Subject;
use crate::wire::{ClientOp, Publication};

impl<T: Copy + Ord + std::hash::Hash> Client<T> {
    pub(super) fn handle_count(&mut self, key: Key, count: u64) {
        let Some(Operation { question, token, size, .. }) = self.operations.get(key) else { return };
        let (kind, subject) = (question.kind, question.message.subject.to_string());
        if count == 0 && question.wait_for_interest {
            if let Some(operation) = self.operations.get_mut(key) {
                operation.question.wait_for_interest = false;
            }
            return self.await_interest(key);
        }
        match kind {
            QuestionKind::Publish => {
                let event = token.map(|token| ClientEvent::Published { token, bytes: *size, count });
                self.events.extend(event);
                self.close_question(key);
            }
            _ if count == 0 => self.fail(key, ClientError::NoSubscribers { what: kind.name(), subject }),
            _ => self.operations.advance(key, Step::AwaitingAnswer),
        }
    }

    pub(super) fn handle_interest(&mut self, key: Key, there: bool) {
        let Some(Operation { question, token, .. }) = self.operations.get(key) else { return };
        if question.kind == QuestionKind::Interest && (there || question.timeout.is_zero()) {
            self.events.extend(token.map(|token| ClientEvent::Interest(token, there)));
            self.close_question(key);
        } else if question.kind == QuestionKind::Interest
            || (question.kind == QuestionKind::Publish && !there)
        {
            self.handle_overdue(key);
        } else if there {
            self.put(key);
        } else {
            self.handle_count(key, 0);
        }
    }

    pub(super) fn handle_answer(&mut self, now: Instant, publication: Publication) {
        let Ok(key) = publication.subject.last_token().parse::<Key>() else { return };
        let Some(message) = self.answers.handle_chunk(now, publication) else { return };
        let Some(operation) =
            self.operations.get_mut(key).filter(|operation| operation.question.kind.wants_answer())
        else {
            return;
        };
        operation.received += 1;
        let (token, received) = (operation.token, operation.received);
        let QuestionKind::RequestMany(many) = operation.question.kind else {
            self.close_question(key);
            return self.events.extend(token.map(|token| ClientEvent::Reply { token, message }));
        };
        self.events.extend(token.map(|token| ClientEvent::Reply { token, message }));
        if many.max_messages.is_some_and(|most| received >= most) {
            self.close_question(key);
            self.events.extend(token.map(ClientEvent::Ended));
        } else if let Some(max_wait) = many.max_wait {
            self.operations.postpone(key, now + max_wait);
        }
    }

    pub(super) fn handle_overdue(&mut self, key: Key) {
        let Some(operation) = self.close_question(key) else { return };
        let Operation { token, question, step, .. } = *operation;
        let Some(token) = token else { return };
        let subject = question.message.subject.to_string();
        let what = question.kind.name();
        self.events.push_back(match question.kind {
            QuestionKind::RequestMany(_) if step == Step::AwaitingAnswer => ClientEvent::Ended(token),
            kind if step == Step::AwaitingInterest && kind.wants_answer() => {
                ClientEvent::Failed(token, ClientError::NoSubscribers { what, subject })
            }
            _ => ClientEvent::Failed(token, ClientError::Timeout { what, subject }),
        });
    }

    /// Says a question to the broker.
    pub(super) fn put(&mut self, key: Key) {
        let Some(operation) = self.operations.get(key) else { return };
        let kind = operation.question.kind;
        if kind == QuestionKind::Interest {
            return self.await_interest(key);
        }
        if kind.wants_list() {
            return self.ask_list(key);
        }
        let is_confirmed = kind != QuestionKind::Command || operation.question.wait_for_interest;
        self.operations.advance(key, if is_confirmed { Step::AwaitingCount } else { Step::AwaitingAnswer });
        let ack = is_confirmed.then(|| self.await_ack(Awaited::Count(key)));
        let Some(operation) = self.operations.get_mut(key) else { return };
        operation.ack = ack;
        let mut message = operation.take_message();
        if kind.wants_answer() {
            message.headers.reply = self.answer_subject(key);
        }
        let confirm = match ack {
            None => Confirm::Never,
            // How many have it decides nothing: that nobody has it does.
            Some(ack) if kind == QuestionKind::Request => Confirm::WhenUnheard(ack),
            Some(ack) => Confirm::Always(ack),
        };
        self.send(message, confirm);
    }

    fn answer_subject(&self, key: Key) -> Option<Subject> {
        let mut text = String::with_capacity(self.inbox.len() + KEY_LENGTH);
        write!(text, "{}.{key}", self.inbox).ok()?;
        Subject::parse(&text).ok()
    }

    pub(super) fn await_interest(&mut self, key: Key) {
        let Some(operation) = self.operations.get(key) else { return };
        let (subject, timeout) =
            (operation.question.message.subject.as_str().into(), operation.question.timeout);
        self.operations.advance(key, Step::AwaitingInterest);
        let ack = self.await_ack(Awaited::Interest(key));
        self.ops.push(ClientOp::WaitForInterest { ack, subject, timeout });
    }
}

/// A dot, and the digits of the largest key.
const KEY_LENGTH: usize = 21;
