//! Questions to the fabric that somebody waits for: confirmed publishes, requests, waits for interest.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::ClientError;
use crate::deadlines::Deadlines;
use crate::wire::{AckId, Message, Payload};

/// One question.
#[derive(Debug, Clone, PartialEq)]
pub struct Question {
    /// What is wanted.
    pub kind: QuestionKind,
    /// What is published. For a wait for interest only its subject counts, for a list nothing.
    pub message: Message,
    /// How long to wait in all.
    pub timeout: Duration,
    /// When nobody listens, wait until somebody does, and send it once more.
    pub wait_for_interest: bool,
}

/// What is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum QuestionKind {
    /// To know how many got it.
    Publish,
    /// One answer.
    Request,
    /// The answer itself; that it left is confirmation enough, so the broker is not asked for any.
    Command,
    /// Many answers.
    RequestMany(Many),
    /// To know whether somebody listens.
    Interest,
    /// The addresses of the fabric's servers.
    Cluster,
    /// That the broker has the subscriptions that this client has, no more and no fewer.
    Sync,
}

/// Limits of a request for many answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Many {
    /// It ends after so many.
    pub max_messages: Option<u32>,
    /// It ends after so long without one; `None`: at its timeout.
    pub max_wait: Option<Duration>,
}

impl QuestionKind {
    /// Its name in error texts.
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

    pub(super) fn wants_answer(self) -> bool {
        matches!(self, Self::Request | Self::Command | Self::RequestMany(_))
    }

    /// Whether the broker answers with a list. Asked again when the connection is lost: nothing is done twice by it.
    pub(super) fn wants_list(self) -> bool {
        matches!(self, Self::Cluster | Self::Sync)
    }
}

/// Names a question on this client; part of the subject that its answer comes to.
pub(super) type Key = u64;

#[derive(Debug)]
pub(super) struct Operation<T> {
    /// `None`: nobody wants to know.
    pub(super) token: Option<T>,
    pub(super) question: Question,
    pub(super) step: Step,
    pub(super) received: u32,
    /// Of the payload.
    pub(super) size: usize,
    /// The acknowledgement that was asked for last.
    pub(super) ack: Option<AckId>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(clippy::enum_variant_names, reason = "states are named for what they wait for")]
pub(super) enum Step {
    /// For the connection to be ready.
    AwaitingConnection,
    /// For the broker's count.
    AwaitingCount,
    /// For somebody to listen.
    AwaitingInterest,
    /// For the answer.
    AwaitingAnswer,
    /// For a list of the broker, and what follows from it.
    AwaitingList,
}

impl<T> Operation<T> {
    /// The message, to be sent. Only one that may have to be sent again is kept.
    pub(super) fn take_message(&mut self) -> Message {
        let message = &mut self.question.message;
        if self.question.wait_for_interest {
            return message.clone();
        }
        let subject = message.subject.clone();
        let payload = std::mem::replace(&mut message.payload, Payload::NIL);
        Message { subject, payload, headers: std::mem::take(&mut message.headers) }
    }

    /// What it adds to the bytes that wait for the connection.
    fn waiting_bytes(&self) -> usize {
        if self.step == Step::AwaitingConnection { self.size + OVERHEAD } else { 0 }
    }
}

/// All questions that are open.
#[derive(Debug)]
pub(super) struct Operations<T> {
    /// Boxed, because a tree moves what it holds.
    open: BTreeMap<Key, Box<Operation<T>>>,
    deadlines: Deadlines<Key>,
    next: Key,
    waiting_bytes: usize,
}

impl<T: Copy> Operations<T> {
    pub(super) fn new() -> Self {
        Self { open: BTreeMap::new(), deadlines: Deadlines::new(), next: 1, waiting_bytes: 0 }
    }

    /// Opens a question. It waits for the connection until it is taken up.
    pub(super) fn open(
        &mut self,
        now: Instant,
        token: Option<T>,
        question: Question,
        limit: usize,
    ) -> Result<Key, ClientError> {
        let size = question.message.payload.raw.len();
        let bytes = size + OVERHEAD;
        if self.waiting_bytes > 0 && self.waiting_bytes + bytes > limit {
            return Err(ClientError::Full { limit });
        }
        self.waiting_bytes += bytes;
        let key = self.next;
        self.next += 1;
        // A wait of no time asks for the present state, which takes a moment to come.
        let timeout = if question.timeout.is_zero() { PRESENT_STATE_TIMEOUT } else { question.timeout };
        self.deadlines.set(key, Some(now + timeout));
        let step = Step::AwaitingConnection;
        self.open.insert(key, Box::new(Operation { token, question, step, received: 0, size, ack: None }));
        Ok(key)
    }

    pub(super) fn get(&self, key: Key) -> Option<&Operation<T>> {
        self.open.get(&key).map(|operation| &**operation)
    }

    pub(super) fn get_mut(&mut self, key: Key) -> Option<&mut Operation<T>> {
        self.open.get_mut(&key).map(|operation| &mut **operation)
    }

    /// The question takes its next step.
    pub(super) fn advance(&mut self, key: Key, step: Step) {
        if let Some(operation) = self.open.get_mut(&key) {
            self.waiting_bytes -= operation.waiting_bytes();
            operation.step = step;
        }
    }

    /// Moves the deadline: a request for many answers has got one.
    pub(super) fn postpone(&mut self, key: Key, at: Instant) {
        self.deadlines.set(key, Some(at));
    }

    /// Takes it out, as it stood.
    pub(super) fn close(&mut self, key: Key) -> Option<Box<Operation<T>>> {
        let operation = self.open.remove(&key)?;
        self.waiting_bytes -= operation.waiting_bytes();
        self.deadlines.set(key, None);
        Some(operation)
    }

    /// Oldest first.
    pub(super) fn keys(&self, wanted: impl Fn(&Operation<T>) -> bool) -> Vec<Key> {
        self.open.iter().filter(|(_, operation)| wanted(operation)).map(|(key, _)| *key).collect()
    }

    pub(super) fn pop_due(&mut self, now: Instant) -> Option<Key> {
        self.deadlines.pop_due(now)
    }

    pub(super) fn next_deadline(&self) -> Option<Instant> {
        self.deadlines.next()
    }
}

/// What a waiting question costs beside its payload.
const OVERHEAD: usize = 256;
/// How long the broker may take to tell the present state.
const PRESENT_STATE_TIMEOUT: Duration = Duration::from_secs(30);
