//! Requests to the fabric: confirmed publishes, requests for replies, waits for interest.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::ClientError;
use crate::base::Deadlines;
use crate::wire::{AckId, Message, Payload};

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
    /// It ends after so long without one; `None`: at its timeout.
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

/// Names a request on this client; part of the subject that its answer comes to.
pub(super) type RequestId = u64;

#[derive(Debug)]
pub(super) struct PendingRequest<T> {
    /// `None`: the outcome is not reported.
    pub(super) token: Option<T>,
    pub(super) request: Request,
    pub(super) step: Step,
    pub(super) received: u32,
    /// Bytes of the payload.
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
    /// For subscribers.
    AwaitingInterest,
    /// For the answer.
    AwaitingReply,
    /// For a list of the broker, and what follows from it.
    AwaitingList,
}

impl<T> PendingRequest<T> {
    /// Returns the message to send, and keeps a copy only if it may have to be sent again.
    pub(super) fn take_message(&mut self) -> Message {
        let message = &mut self.request.message;
        if self.request.wait_for_interest {
            return message.clone();
        }
        let subject = message.subject.clone();
        let payload = std::mem::replace(&mut message.payload, Payload::NIL);
        Message { subject, payload, headers: std::mem::take(&mut message.headers) }
    }

    /// Returns what it adds to the bytes that wait for the connection.
    fn waiting_bytes(&self) -> usize {
        if self.step == Step::AwaitingConnection { self.size + OVERHEAD } else { 0 }
    }
}

/// All requests that are open.
#[derive(Debug)]
pub(super) struct PendingRequests<T> {
    /// Boxed, because a tree moves what it holds.
    open: BTreeMap<RequestId, Box<PendingRequest<T>>>,
    deadlines: Deadlines<RequestId>,
    next: RequestId,
    waiting_bytes: usize,
}

impl<T: Copy> PendingRequests<T> {
    pub(super) fn new() -> Self {
        Self { open: BTreeMap::new(), deadlines: Deadlines::new(), next: 1, waiting_bytes: 0 }
    }

    /// Opens a request. It waits for the connection until it is taken up.
    pub(super) fn open(
        &mut self,
        now: Instant,
        token: Option<T>,
        request: Request,
        limit: usize,
    ) -> Result<RequestId, ClientError> {
        let size = request.message.payload.raw.len();
        let bytes = size + OVERHEAD;
        if self.waiting_bytes > 0 && self.waiting_bytes + bytes > limit {
            return Err(ClientError::Full { limit });
        }
        self.waiting_bytes += bytes;
        let id = self.next;
        self.next += 1;
        // A wait of no time asks for the present state, which takes a moment to come.
        let timeout = if request.timeout.is_zero() { PRESENT_STATE_TIMEOUT } else { request.timeout };
        self.deadlines.set(id, Some(now + timeout));
        let step = Step::AwaitingConnection;
        self.open.insert(id, Box::new(PendingRequest { token, request, step, received: 0, size, ack: None }));
        Ok(id)
    }

    pub(super) fn get(&self, id: RequestId) -> Option<&PendingRequest<T>> {
        self.open.get(&id).map(|pending| &**pending)
    }

    pub(super) fn get_mut(&mut self, id: RequestId) -> Option<&mut PendingRequest<T>> {
        self.open.get_mut(&id).map(|pending| &mut **pending)
    }

    /// Moves a request to its next step.
    pub(super) fn advance(&mut self, id: RequestId, step: Step) {
        if let Some(pending) = self.open.get_mut(&id) {
            self.waiting_bytes -= pending.waiting_bytes();
            pending.step = step;
        }
    }

    /// Moves the deadline: a request for many replies has got one.
    pub(super) fn postpone(&mut self, id: RequestId, at: Instant) {
        self.deadlines.set(id, Some(at));
    }

    /// Takes it out, as it stood.
    pub(super) fn close(&mut self, id: RequestId) -> Option<Box<PendingRequest<T>>> {
        let pending = self.open.remove(&id)?;
        self.waiting_bytes -= pending.waiting_bytes();
        self.deadlines.set(id, None);
        Some(pending)
    }

    /// Returns the ids, oldest first.
    pub(super) fn keys(&self, wanted: impl Fn(&PendingRequest<T>) -> bool) -> Vec<RequestId> {
        self.open.iter().filter(|(_, pending)| wanted(pending)).map(|(id, _)| *id).collect()
    }

    pub(super) fn pop_due(&mut self, now: Instant) -> Option<RequestId> {
        self.deadlines.pop_due(now)
    }

    pub(super) fn next_deadline(&self) -> Option<Instant> {
        self.deadlines.next()
    }
}

/// Bytes that a waiting request costs beside its payload.
const OVERHEAD: usize = 256;
/// The time that the broker may take to tell the present state.
const PRESENT_STATE_TIMEOUT: Duration = Duration::from_secs(30);
