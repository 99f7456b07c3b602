//! The fabric client: joins the session, the subscriptions and the open requests.

mod accounting;
mod asking;
mod listing;
mod sending;
mod syncing;

pub use accounting::ClientUsage;

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use foldhash::fast::RandomState;

use sending::Confirm;

use super::outbound::Outbound;
use super::requests::{PendingRequest, PendingRequests, RequestId};
use super::session::{Phase, Session};
use super::subscriptions::{Added, Subscriptions};
use super::{ClientConfig, ClientError, ClientEvent, Request, SessionState};
use crate::base::Entropy;
use crate::subject::Pattern;
use crate::wire::{AckId, Bundle, ClientOp, Message, MessageId, Reassembly, Reply, ServerOp, Subscription};

/// One client. Drain `poll_op`, `poll_event`, `poll_dial` and `poll_drop` after every call, and call
/// `handle_timeout` at `poll_timeout`.
pub struct Client<T> {
    config: ClientConfig,
    session: Session,
    subscriptions: Subscriptions<T>,
    requests: PendingRequests<T>,
    /// The acknowledgements awaited on this link.
    acks: HashMap<AckId, Awaited, RandomState>,
    next_ack: u64,
    /// `<prefix>.<random>`: replies come to `<inbox>.<id>`.
    inbox: String,
    inbox_pattern: Pattern,
    /// Joins chunked replies.
    replies: Reassembly,
    max_payload: usize,
    /// Names messages of several chunks, with a number.
    message_id: MessageId,
    next_message: u64,
    /// Subscriptions that the broker refused after a reconnect.
    refused: Vec<Pattern>,
    retry_at: Option<(Instant, Duration)>,
    /// When messages that have come in part are looked at: what is too old goes, even if nothing comes any
    /// more.
    prune_at: Option<Instant>,
    ops: Outbound,
    events: VecDeque<ClientEvent<T>>,
    entropy: Box<dyn Entropy>,
}

/// The purpose of an awaited acknowledgement.
#[derive(Debug)]
enum Awaited {
    /// The count of a request.
    Count(RequestId),
    /// Whether there is interest in a request's subject.
    Interest(RequestId),
    /// A subscription made while the session was up.
    Subscription(Pattern),
    /// The inbox and everything else, after the sign-in.
    Sync(Vec<Subscription>),
    /// A list of the broker's.
    List(RequestId),
    /// The subscriptions that the broker lacked.
    Repair(RequestId, Vec<Subscription>),
}

impl<T: Copy + Ord + std::hash::Hash> Client<T> {
    /// Returns a client that does not dial before `connect`.
    pub fn new(config: ClientConfig, mut entropy: Box<dyn Entropy>) -> Self {
        let message_id: MessageId = entropy.id().into();
        let inbox = format!("{}.{}", config.inbox_prefix, entropy.id());
        let inbox_pattern = Pattern::parse(&format!("{inbox}.*"))
            .unwrap_or_else(|_| Pattern::parse("_INBOX.invalid.*").expect("a literal pattern is valid"));
        Self {
            session: Session::new(config.reconnect.clone()),
            subscriptions: Subscriptions::new(),
            requests: PendingRequests::new(),
            acks: HashMap::default(),
            next_ack: 0,
            inbox,
            inbox_pattern,
            replies: Reassembly::default(),
            max_payload: DEFAULT_MAX_PAYLOAD,
            next_message: 0,
            refused: Vec::new(),
            retry_at: None,
            prune_at: None,
            ops: Outbound::new(message_id.clone()),
            message_id,
            events: VecDeque::new(),
            entropy,
            config,
        }
    }

    /// Returns where replies come to.
    pub fn inbox(&self) -> &str {
        &self.inbox
    }

    /// Dials, and keeps dialling until `disconnect`.
    pub fn connect(&mut self) {
        self.session.connect();
    }

    /// Closes the connection, until `connect`. What was sent before still leaves with the last flush.
    pub fn disconnect(&mut self) {
        if self.session.disconnect() {
            self.handle_loss("disconnected by hand".to_owned());
        }
    }

    /// Closes the client, for good. Requests fail; what was published leaves with the last flush.
    pub fn close(&mut self) {
        if self.session.phase() != Phase::Closed {
            self.session.close();
            self.acks.clear();
            self.replies = Reassembly::default();
            self.subscriptions.forget_parts();
            self.prune_at = None;
            for id in self.requests.keys(|_| true) {
                self.fail(id, ClientError::Closed);
            }
            self.events.push_back(ClientEvent::Session(SessionState::Closed));
        }
    }

    /// Drops the link, as if the network had failed.
    pub fn drop_link(&mut self) {
        self.session.drop_link();
    }

    /// Returns whether it is closed, for good.
    pub fn is_closed(&self) -> bool {
        self.session.phase() == Phase::Closed
    }

    /// Subscribes for `token`. `Subscribed` or `Failed` follows.
    pub fn subscribe(&mut self, now: Instant, token: T, pattern: Pattern, queue: Option<Arc<str>>) {
        if self.is_closed() {
            return self.events.push_back(ClientEvent::Failed(token, ClientError::Closed));
        }
        let fresh = self.entropy.id().into();
        match self.subscriptions.add(
            token,
            pattern.clone(),
            queue,
            fresh,
            now + self.config.subscribe_timeout,
        ) {
            Ok(Added::Subscribe(subscription)) => self.send_subscribe(pattern, subscription),
            Ok(Added::Pending) => {}
            Ok(Added::Confirmed) => self.events.push_back(ClientEvent::Subscribed(token)),
            Err(error) => self.events.push_back(ClientEvent::Failed(token, error)),
        }
    }

    /// Ends the subscription of `token`, confirmed or not.
    pub fn unsubscribe(&mut self, token: T) {
        if let Some(pattern) = self.subscriptions.remove(token) {
            self.send_unsubscribe(&pattern);
        }
    }

    /// Publishes without confirmation. Before the sign-in the message is dropped (Conat's rule). Returns
    /// whether it left.
    pub fn publish(&mut self, message: Message) -> bool {
        let signed_in = self.session.is_signed_in();
        if signed_in {
            self.send(message, Confirm::Never);
        }
        signed_in
    }

    /// Publishes messages in a row, if it is signed in. Returns whether.
    pub fn publish_bundle(&mut self, bundle: Bundle) -> bool {
        let signed_in = self.session.is_signed_in();
        if signed_in && bundle.len() <= self.chunk_size() {
            self.ops.publish_bundle(bundle);
        } else if signed_in {
            bundle.messages().for_each(|message| self.send(message, Confirm::Never));
        }
        signed_in
    }

    /// Asks the fabric. `Published`, `Reply`, `Interest`, `Ended` or `Failed` follows for `token`, if there
    /// is one.
    pub fn request(&mut self, now: Instant, token: Option<T>, request: Request) {
        if self.is_closed() {
            return self.events.extend(token.map(|token| ClientEvent::Failed(token, ClientError::Closed)));
        }
        match self.requests.open(now, token, request, self.config.max_waiting_bytes) {
            Ok(id) if self.session.is_ready() => self.put(id),
            Ok(_) => {}
            Err(error) => self.events.extend(token.map(|token| ClientEvent::Failed(token, error))),
        }
    }

    /// Forgets these requests: nothing waits for their replies any more.
    pub fn cancel_where(&mut self, wanted: impl Fn(T) -> bool) {
        for id in self.requests.keys(|pending| pending.token.is_some_and(&wanted)) {
            self.close_request(id);
        }
    }

    /// Fails every open request whose token is `wanted`.
    pub fn fail_where(&mut self, error: &ClientError, wanted: impl Fn(T) -> bool) {
        for id in self.requests.keys(|pending| pending.token.is_some_and(&wanted)) {
            self.fail(id, error.clone());
        }
    }

    /// Takes the link that was asked for; `id` is the broker's name for it, if it has one.
    pub fn handle_link_up(&mut self, now: Instant, id: &str) {
        if self.session.handle_link_up(now) {
            self.events.push_back(ClientEvent::Session(SessionState::Connected(id.to_owned())));
        }
    }

    /// Handles the loss of the link, or a failed attempt to get one.
    pub fn handle_link_down(&mut self, now: Instant, reason: String) {
        if self.session.handle_link_down(now, self.entropy.as_mut()) {
            self.ops.clear();
            self.handle_loss(reason);
        }
    }

    /// Takes an operation from the broker. Ignored once the client is closed.
    pub fn handle_op(&mut self, now: Instant, op: ServerOp) {
        if self.session.phase() == Phase::Closed {
            return;
        }
        match op {
            ServerOp::Deliver { pattern, publication } if pattern == self.inbox_pattern => {
                publication.for_each_single(|single| {
                    self.expect_rest(now, &single);
                    self.handle_reply(now, single);
                });
            }
            ServerOp::Deliver { pattern, publication } if publication.bundled > 0 => {
                let Some(bundle) = publication.bundle() else { return };
                let members = self.subscriptions.members(&pattern).iter();
                self.events
                    .extend(members.map(|&token| ClientEvent::Bundle { token, bundle: bundle.clone() }));
            }
            ServerOp::Deliver { pattern, publication } => {
                self.expect_rest(now, &publication);
                let events = &mut self.events;
                self.subscriptions.handle_chunk(now, &pattern, publication, |token, message| {
                    events.push_back(ClientEvent::Delivered { token, message });
                });
            }
            ServerOp::Ack { id, reply } => self.handle_ack(now, id, reply),
            ServerOp::Info(info) => self.handle_info(info),
            ServerOp::Permission { message, subject, kind } => {
                if kind == "sub" {
                    self.handle_revoked(now, &subject);
                }
                self.events.push_back(ClientEvent::Permission { message, subject, kind });
            }
            ServerOp::Closing { code, message } => {
                let message = message.chars().take(MAX_CLOSE_MESSAGE_CHARS).collect();
                let why = ClientError::CutOff { code, message };
                self.events.push_back(ClientEvent::Session(SessionState::Ending(why)));
            }
        }
    }

    /// Returns when `handle_timeout` is to be called.
    pub fn poll_timeout(&self) -> Option<Instant> {
        let retry = self.retry_at.map(|(at, _)| at);
        let all = [
            self.session.poll_timeout(),
            self.requests.next_deadline(),
            self.subscriptions.next_deadline(),
            retry,
            self.prune_at,
        ];
        all.into_iter().flatten().min()
    }

    /// Handles the deadlines that have passed.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.session.handle_timeout(now);
        while let Some(id) = self.requests.pop_due(now) {
            self.handle_overdue(id);
        }
        while let Some((token, pattern, unwanted)) = self.subscriptions.pop_expired(now) {
            if unwanted {
                self.send_unsubscribe(&pattern);
            }
            let error = ClientError::Timeout { what: "subscribe", subject: pattern.to_string() };
            self.events.push_back(ClientEvent::Failed(token, error));
        }
        if self.retry_at.is_some_and(|(at, _)| at <= now) {
            self.retry_refused();
        }
        if self.prune_at.is_some_and(|at| at <= now) {
            self.prune(now);
        }
    }

    /// Returns the next operation for the broker.
    pub fn poll_op(&mut self) -> Option<ClientOp> {
        self.ops.pop()
    }

    /// Returns the next event.
    pub fn poll_event(&mut self) -> Option<ClientEvent<T>> {
        self.events.pop_front()
    }

    /// Returns whether a link is wanted now.
    pub fn poll_dial(&mut self) -> bool {
        self.session.poll_dial()
    }

    /// Returns whether to drop the link, after a flush.
    pub fn poll_drop(&mut self) -> bool {
        self.session.poll_drop()
    }

    /// Returns how many chunked messages were given up on the way in.
    pub fn dropped(&self) -> u64 {
        self.subscriptions.dropped()
    }

    fn handle_ack(&mut self, now: Instant, id: AckId, reply: Reply) {
        match (self.acks.remove(&id), reply) {
            (Some(Awaited::Count(id)), Reply::Published { count }) => self.handle_count(id, count),
            (Some(Awaited::Interest(id)), Reply::Interest(there)) => self.handle_interest(id, there),
            (Some(Awaited::List(id)), Reply::Strings(list)) => self.handle_list(id, list),
            (Some(Awaited::Repair(id, missing)), Reply::Subscribed(statuses)) => {
                self.handle_repair(now, id, &missing, statuses);
            }
            (
                Some(Awaited::Count(id) | Awaited::Interest(id) | Awaited::List(id) | Awaited::Repair(id, _)),
                Reply::Error(error),
            ) => {
                self.fail(id, ClientError::Refused(error));
            }
            (Some(Awaited::Subscription(pattern)), Reply::Subscribed(statuses)) => {
                let status = statuses.into_iter().next().map_or(Ok(()), |status| status.map(drop));
                self.handle_subscription(now, &pattern, status.err());
            }
            (Some(Awaited::Subscription(pattern)), Reply::Error(error)) => {
                self.handle_subscription(now, &pattern, Some(error));
            }
            (Some(Awaited::Sync(subscriptions)), reply) => self.handle_sync(now, &subscriptions, reply),
            _ => {}
        }
    }

    fn await_ack(&mut self, awaited: Awaited) -> AckId {
        let id = AckId(self.next_ack);
        self.next_ack += 1;
        self.acks.insert(id, awaited);
        id
    }

    /// Takes a request out, as it stood. Its acknowledgement may never come: a request that was delivered has
    /// none.
    fn close_request(&mut self, id: RequestId) -> Option<Box<PendingRequest<T>>> {
        let pending = self.requests.close(id)?;
        if let Some(ack) = pending.ack {
            self.acks.remove(&ack);
        }
        Some(pending)
    }

    fn fail(&mut self, id: RequestId, error: ClientError) {
        let token = self.close_request(id).and_then(|pending| pending.token);
        self.events.extend(token.map(|token| ClientEvent::Failed(token, error)));
    }
}

/// Until the broker announces another.
const DEFAULT_MAX_PAYLOAD: usize = 1_000_000;
/// Characters of a broker's last words that are kept.
const MAX_CLOSE_MESSAGE_CHARS: usize = 1000;
