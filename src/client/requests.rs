//! The open requests of a client: how they are sent, and when they are given up. What is said to them:
//! `requests/answers.rs`.

mod answers;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::acks::Awaited;
use super::inbox::{Inbox, RequestId};
use super::op_queue::Source;
use super::outbound::Confirm;
use super::outputs::Outputs;
use super::{ClientError, ClientEvent, Request, RequestKind};
use crate::base::{Deadlines, earliest};
use crate::wire::{ANSWER_GRACE, AckId, ClientOp, MAX_OWN_ABSENCE, Message, Payload, with_ttl};

#[derive(Debug)]
pub(super) struct PendingRequest<T> {
    /// `None`: the outcome is not reported.
    pub(super) token: Option<T>,
    pub(super) request: Request,
    pub(super) step: Step,
    /// Part of the subject that its answer comes to: whoever has not seen the question cannot answer it.
    pub(super) secret: u64,
    pub(super) received: u32,
    /// Bytes of the payload.
    pub(super) size: usize,
    /// When it is not sent any more.
    stale_at: Option<Instant>,
    /// The acknowledgement that was asked for last.
    pub(super) ack: Option<AckId>,
    /// Its broker has ended since it left: whoever has it is waited for only for a moment. Until when it
    /// would have waited otherwise.
    orphaned: Option<Instant>,
    /// Or one who had it has: others may answer.
    is_ended: bool,
    /// It waits a moment for whoever comes from a broker that has drained.
    regathering: Option<Regathered>,
    /// A socket asks again by itself.
    is_of_application: bool,
}

/// A request after a drain.
#[derive(Debug, Clone, Copy)]
struct Regathered {
    until: Instant,
    /// Its own deadline.
    deadline: Option<Instant>,
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
    /// Returns whether it waits for the connection on behalf of the application, not of a socket.
    pub(super) fn is_waiting_request(&self) -> bool {
        self.step == Step::AwaitingConnection && self.request.kind != RequestKind::Command
    }

    /// Returns whether the application waits for what only this connection brings.
    fn is_waited_for(&self) -> bool {
        let has_left = matches!(self.step, Step::AwaitingCount | Step::AwaitingReply | Step::AwaitingList);
        has_left && self.is_of_application
    }

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

/// Who asks, and how long that waits for the connection.
#[derive(Debug, Clone, Copy)]
pub(super) enum OfflineWait {
    OfApplication(Option<Duration>),
    OfSocket(Duration),
}

/// All requests that are open.
#[derive(Debug)]
pub(super) struct Requests<T> {
    /// Boxed, because a tree moves what it holds.
    open: BTreeMap<RequestId, Box<PendingRequest<T>>>,
    deadlines: Deadlines<RequestId>,
    pub(super) inbox: Inbox,
    next: RequestId,
    waiting_bytes: usize,
    /// The broker is about to end this connection in order: what is asked from now on waits for the next one.
    holding: Holding,
    /// After a drain: whoever serves may be back a moment later than whoever asks.
    regathering: Regathering,
}

/// Whether those who serve may still be on their way from a broker that has drained.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Regathering {
    No,
    /// The connection to the next broker is not ready.
    Begins,
    Until(Instant),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Holding {
    No,
    /// Until what had left is answered.
    ForAnswers,
    /// The broker knows that it is.
    Done,
}

impl<T: Copy> Requests<T> {
    pub(super) fn new(inbox: Inbox) -> Self {
        Self {
            open: BTreeMap::new(),
            deadlines: Deadlines::new(),
            inbox,
            next: 1,
            waiting_bytes: 0,
            holding: Holding::No,
            regathering: Regathering::No,
        }
    }

    /// Opens a request. It waits for the connection until it is taken up, at most so long.
    pub(super) fn open(
        &mut self,
        now: Instant,
        token: Option<T>,
        request: Request,
        secret: u64,
        wait: OfflineWait,
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
        let stale_at = request.ttl.map(|ttl| now + ttl);
        let waits_offline = match wait {
            OfflineWait::OfApplication(timeout) => timeout,
            OfflineWait::OfSocket(timeout) => Some(timeout),
        };
        self.deadlines.set(id, earliest([waits_offline.map(|timeout| now + timeout), stale_at]));
        let pending = PendingRequest {
            token,
            request,
            step: Step::AwaitingConnection,
            secret,
            received: 0,
            size,
            stale_at,
            ack: None,
            orphaned: None,
            is_ended: false,
            regathering: None,
            is_of_application: matches!(wait, OfflineWait::OfApplication(_)),
        };
        self.open.insert(id, Box::new(pending));
        Ok(id)
    }

    /// Holds what is asked from now on until there is another connection.
    pub(super) fn hold(&mut self) {
        self.holding = Holding::ForAnswers;
        self.regathering = Regathering::Begins;
    }

    pub(super) fn is_holding(&self) -> bool {
        self.holding != Holding::No
    }

    /// Returns, once, that what had left before is answered.
    pub(super) fn poll_answered(&mut self) -> bool {
        let is_new = self.holding == Holding::ForAnswers && !self.open.values().any(|of| of.is_waited_for());
        if is_new {
            self.holding = Holding::Done;
        }
        is_new
    }

    /// Returns whether a new request is to wait for the next connection. Answers are what the broker waits
    /// for.
    pub(super) fn is_held(&self, request: &Request, wait: OfflineWait) -> bool {
        self.is_holding()
            && matches!(wait, OfflineWait::OfApplication(_))
            && match request.kind {
                RequestKind::Request | RequestKind::RequestMany(_) => true,
                RequestKind::Publish => !request.message.subject.as_str().starts_with("_INBOX"),
                _ => false,
            }
    }

    fn get(&self, id: RequestId) -> Option<&PendingRequest<T>> {
        self.open.get(&id).map(|pending| &**pending)
    }

    fn get_mut(&mut self, id: RequestId) -> Option<&mut PendingRequest<T>> {
        self.open.get_mut(&id).map(|pending| &mut **pending)
    }

    /// Moves a request to its next step.
    fn advance(&mut self, id: RequestId, step: Step) {
        if let Some(pending) = self.open.get_mut(&id) {
            self.waiting_bytes -= pending.waiting_bytes();
            pending.step = step;
        }
    }

    /// Moves the deadline: a request for many replies has got one.
    fn postpone(&mut self, id: RequestId, at: Instant) {
        self.deadlines.set(id, Some(at));
    }

    /// Returns how many are open.
    pub(super) fn len(&self) -> usize {
        self.open.len()
    }

    /// Takes a request out, as it stood. Its acknowledgement may never come: a request that was delivered has
    /// none.
    fn take(&mut self, out: &mut Outputs<T>, id: RequestId) -> Option<Box<PendingRequest<T>>> {
        let pending = self.open.remove(&id)?;
        self.waiting_bytes -= pending.waiting_bytes();
        self.deadlines.set(id, None);
        if let Some(ack) = pending.ack {
            out.acks.take(ack);
        }
        Some(pending)
    }

    /// Fails a request.
    pub(super) fn fail(&mut self, out: &mut Outputs<T>, id: RequestId, error: ClientError) {
        let token = self.take(out, id).and_then(|pending| pending.token);
        out.events.extend(token.map(|token| ClientEvent::Failed(token, error)));
    }

    /// Forgets the requests whose token is `wanted`: nothing waits for their replies any more.
    pub(super) fn cancel_where(&mut self, out: &mut Outputs<T>, wanted: impl Fn(T) -> bool) {
        for id in self.ids(|pending| pending.token.is_some_and(&wanted)) {
            self.take(out, id);
        }
    }

    /// Fails the requests that are `wanted`.
    pub(super) fn fail_where(
        &mut self,
        out: &mut Outputs<T>,
        error: &ClientError,
        wanted: impl Fn(&PendingRequest<T>) -> bool,
    ) {
        for id in self.ids(wanted) {
            self.fail(out, id, error.clone());
        }
    }

    /// Sends a request for the first time: from now on it waits for its answer.
    pub(super) fn send_first(&mut self, now: Instant, out: &mut Outputs<T>, id: RequestId) {
        if let Some(pending) = self.get(id) {
            // One that waits for interest may become stale meanwhile.
            let stale_at = pending.stale_at.filter(|_| pending.request.wait_for_interest);
            let deadline = earliest([Some(now + time_for_answer(&pending.request)), stale_at]);
            self.deadlines.set(id, deadline);
            self.await_regathering(now, id, deadline);
        }
        self.send(now, out, id);
    }

    /// After a drain a call waits for interest, but only for a moment.
    fn await_regathering(&mut self, now: Instant, id: RequestId, deadline: Option<Instant>) {
        let Regathering::Until(until) = self.regathering else { return };
        if now >= until {
            self.regathering = Regathering::No;
        } else if let Some(pending) = self.get_mut(id)
            && pending.is_of_application
            && matches!(pending.request.kind, RequestKind::Request | RequestKind::RequestMany(_))
            && !pending.request.wait_for_interest
        {
            pending.request.wait_for_interest = true;
            pending.regathering = Some(Regathered { until, deadline });
        }
    }

    /// Sends what waited for the connection. Only now do replies find the inbox.
    pub(super) fn handle_ready(&mut self, now: Instant, out: &mut Outputs<T>) {
        if self.regathering == Regathering::Begins {
            self.regathering = Regathering::Until(now + REGATHERING);
        }
        // These were counted 0 before the loss; what they wait for has not changed. First, since `send` makes
        // more of them.
        for id in self.ids(|pending| pending.step == Step::AwaitingInterest) {
            self.await_interest(out, id);
        }
        for id in self.ids(|pending| pending.step == Step::AwaitingList) {
            self.send(now, out, id);
        }
        for id in self.ids(|pending| pending.step == Step::AwaitingConnection) {
            self.send_first(now, out, id);
        }
    }

    /// Handles the loss of the link, whose acknowledgements cannot come any more.
    pub(super) fn handle_loss(&mut self, out: &mut Outputs<T>) {
        self.holding = Holding::No;
        for id in out.acks.clear() {
            // A request may have been received, and its reply finds the inbox; a confirmation cannot arrive
            // any more.
            let Some(pending) = self.get(id) else { continue };
            if pending.request.kind.wants_reply() {
                self.advance(id, Step::AwaitingReply);
            } else {
                let (what, subject) =
                    (pending.request.kind.name(), pending.request.message.subject.to_string());
                self.fail(out, id, ClientError::ConnectionLost { what, subject });
            }
        }
    }

    /// Handles that there is another broker in the place of the one that the open requests were given to: a
    /// request, or its answer, may have ended with that. Whoever has it may have returned as well, and is
    /// waited for as long as over a socket: for a moment, and as long as we were away ourselves.
    pub(super) fn handle_broker_ended(&mut self, now: Instant, own_absence: Duration) {
        let waits_until = now + ANSWER_GRACE + own_absence.min(MAX_OWN_ABSENCE);
        let is_asked = |kind| matches!(kind, RequestKind::Request | RequestKind::RequestMany(_));
        for id in self.ids(|pending| pending.step == Step::AwaitingReply && is_asked(pending.request.kind)) {
            let Some(deadline) = self.deadlines.get(id) else { continue };
            let Some(pending) = self.get_mut(id) else { continue };
            let deadline = *pending.orphaned.get_or_insert(deadline);
            self.postpone(id, waits_until.min(deadline));
        }
    }

    /// Fails the requests whose deadline has passed.
    pub(super) fn handle_timeout(&mut self, now: Instant, out: &mut Outputs<T>, is_ready: bool) {
        while let Some(id) = self.deadlines.pop_due(now) {
            self.handle_due(now, out, id, is_ready);
        }
    }

    fn handle_due(&mut self, now: Instant, out: &mut Outputs<T>, id: RequestId, is_ready: bool) {
        let Some(PendingRequest { request, step, orphaned, is_ended, .. }) = self.get(id) else { return };
        let (what, subject) = (request.kind.name(), request.message.subject.to_string());
        let is_many = matches!(request.kind, RequestKind::RequestMany(_));
        if self.is_stale(now, id) {
            self.fail(out, id, ClientError::Stale { what, subject });
        } else if orphaned.is_some_and(|deadline| now < deadline) {
            let why = match is_ended {
                true => ClientError::EndedUnanswered { what, subject },
                false => ClientError::BrokerEnded { what, subject },
            };
            self.fail(out, id, why);
        } else if is_many && *step == Step::AwaitingReply && !is_ready {
            // There may be more answers, which cannot come.
            self.fail(out, id, ClientError::ConnectionLost { what, subject });
        } else {
            self.handle_overdue(out, id);
        }
    }

    /// Whether it has not left, and is not to be sent any more.
    fn is_stale(&self, now: Instant, id: RequestId) -> bool {
        self.get(id).is_some_and(|pending| {
            matches!(pending.step, Step::AwaitingConnection | Step::AwaitingInterest)
                && pending.stale_at.is_some_and(|at| at <= now)
        })
    }

    pub(super) fn next_deadline(&self) -> Option<Instant> {
        self.deadlines.next()
    }

    fn handle_overdue(&mut self, out: &mut Outputs<T>, id: RequestId) {
        let Some(pending) = self.take(out, id) else { return };
        let PendingRequest { token, request, step, regathering, .. } = *pending;
        let Some(token) = token else { return };
        let subject = request.message.subject.to_string();
        let what = request.kind.name();
        out.emit(match request.kind {
            RequestKind::RequestMany(_) if step == Step::AwaitingReply => ClientEvent::Ended(token),
            RequestKind::Command if step == Step::AwaitingInterest => {
                ClientEvent::Failed(token, ClientError::NoSubscribers { what, subject })
            }
            _ if step == Step::AwaitingConnection => {
                ClientEvent::Failed(token, ClientError::Offline { what, subject })
            }
            _ if step == Step::AwaitingInterest && regathering.is_some() => {
                ClientEvent::Failed(token, ClientError::NoSubscribers { what, subject })
            }
            _ if step == Step::AwaitingInterest => {
                ClientEvent::Failed(token, ClientError::NobodyCame { what, subject })
            }
            _ => ClientEvent::Failed(token, ClientError::Timeout { what, subject }),
        });
    }

    /// Sends a request to the broker.
    fn send(&mut self, now: Instant, out: &mut Outputs<T>, id: RequestId) {
        let Some(pending) = self.get(id) else { return };
        let kind = pending.request.kind;
        if kind == RequestKind::Interest {
            return self.await_interest(out, id);
        }
        if kind.wants_list() {
            return self.send_list(out, id);
        }
        if self.is_stale(now, id) {
            let subject = pending.request.message.subject.to_string();
            return self.fail(out, id, ClientError::Stale { what: kind.name(), subject });
        }
        if let Some((size, limit)) = out.ops.exceeded_limit(&pending.request.message) {
            let subject = pending.request.message.subject.to_string();
            return self.fail(out, id, ClientError::TooLarge { what: kind.name(), subject, size, limit });
        }
        let is_confirmed = kind != RequestKind::Command || pending.request.wait_for_interest;
        self.advance(id, if is_confirmed { Step::AwaitingCount } else { Step::AwaitingReply });
        let ack = is_confirmed.then(|| out.acks.expect(Awaited::Count(id)));
        let Some(pending) = self.get_mut(id) else { return };
        pending.ack = ack;
        let (mut message, secret) = (pending.take_message(), pending.secret);
        let is_of_application = pending.is_of_application;
        if let Some(at) = pending.stale_at {
            let left = at.saturating_duration_since(now);
            message.headers.json = Some(with_ttl(message.headers.json.as_ref(), left));
        }
        if kind.wants_reply() {
            message.headers.reply = self.inbox.reply_subject(id, secret);
        }
        let confirm = match ack {
            None => Confirm::Never,
            // The number of receivers does not matter, only whether there is one.
            Some(ack) if kind == RequestKind::Request => Confirm::WhenUnheard(ack),
            Some(ack) => Confirm::Always(ack),
        };
        let source = if is_of_application { Source::Application } else { Source::Socket };
        out.ops.send(source, message, confirm);
    }

    fn await_interest(&mut self, out: &mut Outputs<T>, id: RequestId) {
        let Some(pending) = self.get(id) else { return };
        let (subject, timeout) = (pending.request.message.subject.as_str().into(), pending.request.timeout);
        self.advance(id, Step::AwaitingInterest);
        out.push_awaiting(Awaited::Interest(id), |ack| ClientOp::WaitForInterest { ack, subject, timeout });
    }

    fn send_list(&mut self, out: &mut Outputs<T>, id: RequestId) {
        let Some(kind) = self.get(id).map(|pending| pending.request.kind) else { return };
        self.advance(id, Step::AwaitingList);
        out.push_awaiting(Awaited::List(id), |ack| match kind {
            RequestKind::Cluster => ClientOp::Cluster { ack },
            _ => ClientOp::Subscriptions { ack },
        });
    }

    /// Returns the ids, oldest first.
    fn ids(&self, wanted: impl Fn(&PendingRequest<T>) -> bool) -> Vec<RequestId> {
        self.open.iter().filter(|(_, pending)| wanted(pending)).map(|(id, _)| *id).collect()
    }
}

/// Returns how long a request waits for its answer. A wait of no time asks for the present state, which takes
/// a moment to come.
pub(super) fn time_for_answer(request: &Request) -> Duration {
    if request.timeout.is_zero() { PRESENT_STATE_TIMEOUT } else { request.timeout }
}

/// Bytes that a waiting request costs beside its payload.
const OVERHEAD: usize = 256;
/// How long calls wait for whoever serves, after a drain.
const REGATHERING: Duration = Duration::from_secs(2);
/// The time that the broker may take to tell the present state.
const PRESENT_STATE_TIMEOUT: Duration = Duration::from_secs(30);
