//! The fabric client: joins the session, the subscriptions and the open requests.

mod close;
mod replies;

use std::time::Instant;

use self::close::Unsent;
use super::inbox::Inbox;
use super::op_queue::Source;
use super::outbound::{Confirm, Outbound};
use super::outputs::Outputs;
use super::requests::{OfflineWait, PendingRequest, Requests, time_for_answer};
use super::session::{Phase, Session};
use super::subscriptions::{Link, SubscriptionKind, Subscriptions};
use super::{ClientConfig, ClientError, ClientEvent, ClientUsage, Request, SessionState};
use crate::base::{Code, Entropy, FaultInjector, FaultPoint, LinkInfo, earliest};
use crate::subject::Pattern;
use crate::wire::message::chunk::PARTIAL_LIFETIME;
use crate::wire::{Bundle, ClientOp, Message, Publication, ServerOp, WatchRequest};

/// One client. Drain `poll_op`, `poll_event`, `poll_dial` and `poll_drop` after every call, and call
/// `handle_timeout` at `poll_timeout`.
pub struct Client<T> {
    config: ClientConfig,
    session: Session,
    subscriptions: Subscriptions<T>,
    requests: Requests<T>,
    out: Outputs<T>,
    /// When messages that have come in part are looked at: what is too old goes, even if nothing comes any
    /// more.
    prune_at: Option<Instant>,
    unsent: Unsent,
    /// Closed by the application, and until when it may send what is unsent.
    parting: Option<Instant>,
    /// The latest broker's, if it watches ends.
    instance: Option<String>,
    /// The server that the link is to.
    server: String,
    /// When the link was lost, until it is ready again; and whether another broker has taken the place of
    /// that one since.
    lost_at: Option<Instant>,
    is_other_broker: bool,
    entropy: Box<dyn Entropy>,
}

impl<T: Copy + Ord + std::hash::Hash> Client<T> {
    /// Returns a client that does not dial before `connect`.
    pub fn new(config: ClientConfig, mut entropy: Box<dyn Entropy>) -> Self {
        let message_id = entropy.id().into();
        let inbox = Inbox::new(&config.inbox_prefix, entropy.as_mut());
        Self {
            session: Session::new(config.reconnect.clone()),
            subscriptions: Subscriptions::new(),
            requests: Requests::new(inbox),
            out: Outputs::new(Outbound::new(message_id, entropy.as_mut())),
            prune_at: None,
            unsent: Unsent::default(),
            parting: None,
            instance: None,
            server: String::new(),
            lost_at: None,
            is_other_broker: false,
            entropy,
            config,
        }
    }

    /// Returns where replies come to.
    pub fn inbox(&self) -> &str {
        self.requests.inbox.name()
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

    /// Drops the link, as if the network had failed.
    pub fn drop_link(&mut self) {
        self.session.drop_link();
    }

    /// Subscribes for `token`. `Subscribed` or `Failed` follows.
    pub fn subscribe(&mut self, now: Instant, token: T, pattern: Pattern, kind: SubscriptionKind) {
        if self.is_closed() {
            return self.out.emit(ClientEvent::Failed(token, ClientError::Closed));
        }
        let fresh = self.entropy.id().into();
        let waits_until = now + self.config.subscribe_timeout;
        let mut link = Link { out: &mut self.out, is_signed_in: self.session.is_signed_in() };
        self.subscriptions.subscribe(&mut link, token, pattern, kind, fresh, waits_until);
    }

    /// Ends the subscription of `token`, confirmed or not.
    pub fn unsubscribe(&mut self, token: T) {
        let mut link = Link { out: &mut self.out, is_signed_in: self.session.is_signed_in() };
        self.subscriptions.unsubscribe(&mut link, token);
    }

    /// Ends the subscription of `token` behind the last message that the broker has for it. `Drained` comes,
    /// unless the client closes.
    pub fn drain(&mut self, token: T) {
        let mut link = Link { out: &mut self.out, is_signed_in: self.session.is_signed_in() };
        self.subscriptions.drain(&mut link, token);
    }

    /// Returns whether the broker watches ends.
    pub fn watches_ends(&self) -> bool {
        self.instance.is_some()
    }

    /// Begins and ends watches, for as long as this connection lasts; `Watched` follows. Nothing before the
    /// sign-in, or with a broker that cannot.
    pub fn watch(&mut self, requests: Vec<WatchRequest>) {
        if self.session.is_signed_in() && self.watches_ends() && !requests.is_empty() {
            self.out.ops.watch(requests);
        }
    }

    /// Publishes what a socket sends, without confirmation. Before the sign-in the message is dropped
    /// (Conat's rule). Returns whether it left.
    pub fn publish(&mut self, message: Message) -> bool {
        self.publish_from(Source::Socket, message)
    }

    fn publish_from(&mut self, source: Source, message: Message) -> bool {
        if !self.session.is_signed_in() {
            return false;
        }
        if let Some((size, limit)) = self.out.ops.exceeded_limit(&message) {
            tracing::warn!(subject = %message.subject, size, limit, "not published: too large for this fabric");
            return false;
        }
        self.out.ops.send(source, message, Confirm::Never);
        true
    }

    /// The same with messages in a row.
    pub fn publish_bundle(&mut self, bundle: Bundle) -> bool {
        self.publish_bundle_from(Source::Socket, bundle)
    }

    fn publish_bundle_from(&mut self, source: Source, bundle: Bundle) -> bool {
        let signed_in = self.session.is_signed_in();
        if signed_in {
            self.out.ops.publish_bundle(source, bundle);
        }
        signed_in
    }

    /// Asks the fabric. `Published`, `Reply`, `Interest`, `Ended` or `Failed` follows for `token`, if there
    /// is one. Its timeout begins when it leaves.
    pub fn request(&mut self, now: Instant, token: Option<T>, request: Request) {
        let wait = OfflineWait::OfApplication(self.config.offline_timeout);
        self.open_request(now, token, request, wait);
    }

    /// Asks the fabric, as [`Self::request`]; the timeout begins now.
    pub fn request_within(&mut self, now: Instant, token: Option<T>, request: Request) {
        let timeout = time_for_answer(&request);
        self.open_request(now, token, request, OfflineWait::OfSocket(timeout));
    }

    fn open_request(&mut self, now: Instant, token: Option<T>, request: Request, wait: OfflineWait) {
        if self.is_closed() {
            return self
                .out
                .events
                .extend(token.map(|token| ClientEvent::Failed(token, ClientError::Closed)));
        }
        let secret = self.requests.inbox.next_secret(self.entropy.as_mut());
        let is_held = self.requests.is_held(&request, wait);
        match self.requests.open(now, token, request, secret, wait, self.config.max_waiting_bytes) {
            Ok(id) if self.session.is_ready() && !is_held => self.requests.send_first(now, &mut self.out, id),
            Ok(_) => {}
            Err(error) => self.out.events.extend(token.map(|token| ClientEvent::Failed(token, error))),
        }
    }

    /// Forgets these requests: nothing waits for their replies any more.
    pub fn cancel_where(&mut self, wanted: impl Fn(T) -> bool) {
        self.requests.cancel_where(&mut self.out, wanted);
        self.check_answered();
    }

    /// Fails every open request whose token is `wanted`.
    pub fn fail_where(&mut self, error: &ClientError, wanted: impl Fn(T) -> bool) {
        let wanted = |pending: &PendingRequest<T>| pending.token.is_some_and(&wanted);
        self.requests.fail_where(&mut self.out, error, wanted);
    }

    /// Takes the link that was asked for.
    pub fn handle_link_up(&mut self, now: Instant, link: LinkInfo) {
        if self.session.handle_link_up(now) {
            self.out.emit(ClientEvent::Session(SessionState::Connected(link)));
        }
    }

    /// Handles the loss of the link, or a failed attempt to get one.
    pub fn handle_link_down(&mut self, now: Instant, reason: String) {
        if self.session.handle_link_down(now, self.entropy.as_mut()) {
            self.out.ops.clear();
            self.lost_at.get_or_insert(now);
            self.handle_loss(reason);
        }
        self.check_parting(now);
    }

    /// Takes an operation from the broker. Ignored once the client is closed.
    pub fn handle_op(&mut self, now: Instant, op: ServerOp) {
        if self.is_closed() && !(self.parting.is_some() && matches!(op, ServerOp::Info(_))) {
            return;
        }
        match op {
            ServerOp::Deliver { pattern, publication } if pattern == *self.requests.inbox.pattern() => {
                publication.for_each_single(|single| {
                    self.expect_rest(now, &single);
                    self.requests.handle_reply(now, &mut self.out, single);
                });
            }
            ServerOp::Deliver { pattern, publication } if publication.is_bundle() => {
                let Some(bundle) = publication.into_bundle() else { return };
                if let Some((&last, others)) = self.subscriptions.members(&pattern).split_last() {
                    let copies =
                        others.iter().map(|&token| ClientEvent::Bundle { token, bundle: bundle.clone() });
                    self.out.events.extend(copies);
                    self.out.events.push_back(ClientEvent::Bundle { token: last, bundle });
                }
            }
            ServerOp::Deliver { pattern, publication } => {
                self.expect_rest(now, &publication);
                let events = &mut self.out.events;
                self.subscriptions.handle_chunk(now, &pattern, publication, |token, message| {
                    events.push_back(ClientEvent::Delivered { token, message });
                });
            }
            ServerOp::Ack { id, reply } => self.handle_ack(now, id, reply),
            ServerOp::Info(info) => self.handle_info(info),
            ServerOp::Permission { message, subject, kind } => {
                if kind == "sub" {
                    self.handle_revoked(now, &subject, &message);
                }
                self.out.emit(ClientEvent::Permission { message, subject, kind });
            }
            ServerOp::Superseded { pattern, token: _ } => {
                self.subscriptions.handle_superseded(&mut self.out, &pattern);
            }
            ServerOp::Watched(changes) => {
                self.out.events.extend(changes.into_iter().map(ClientEvent::Watched));
            }
            ServerOp::Closing { code, message } => {
                if code == Code::Draining.as_str() {
                    // The word is known. It stands behind all that was asked; another one follows the last
                    // answer.
                    self.requests.hold();
                    self.session.handle_drain();
                    self.out.ops.push(ClientOp::InfoReceived);
                }
                let message = message.chars().take(MAX_CLOSE_MESSAGE_CHARS).collect();
                let why = ClientError::CutOff { code, message };
                self.out.emit(ClientEvent::Session(SessionState::Ending(why)));
            }
        }
        self.check_answered();
    }

    /// Tells a broker that waits for it that what had left is answered.
    fn check_answered(&mut self) {
        if self.requests.poll_answered() {
            self.out.ops.push(ClientOp::InfoReceived);
        }
    }

    /// Returns whose a delivery is, if it is a whole message, or a bundle, for one subscription, and nothing
    /// stands before it: then it need not pass through [`Self::handle_op`] and an event.
    pub fn only_owner(&mut self, op: &ServerOp) -> Option<T> {
        let ServerOp::Deliver { pattern, publication } = op else { return None };
        if publication.part().is_some() || !self.out.events.is_empty() || self.is_closed() {
            return None;
        }
        self.subscriptions.only_member(pattern)
    }

    /// Returns when `handle_timeout` is to be called.
    pub fn poll_timeout(&self) -> Option<Instant> {
        earliest([
            self.session.poll_timeout(),
            self.parting.filter(|_| self.session.phase() != Phase::Closed),
            self.requests.next_deadline(),
            self.subscriptions.poll_timeout(),
            self.prune_at,
        ])
    }

    /// Handles the deadlines that have passed.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.session.handle_timeout(now);
        self.requests.handle_timeout(now, &mut self.out, self.session.is_ready());
        self.check_answered();
        let mut link = Link { out: &mut self.out, is_signed_in: self.session.is_signed_in() };
        self.subscriptions.handle_timeout(now, &mut link);
        if self.prune_at.is_some_and(|at| at <= now) {
            self.prune(now);
        }
        self.check_parting(now);
    }

    /// Returns whether there is an operation for the broker.
    pub fn has_op(&self) -> bool {
        self.out.ops.len() > 0
    }

    /// Returns whether the application may publish more although the link is full.
    pub fn has_room(&self) -> bool {
        self.out.ops.has_room()
    }

    /// Returns the next operation for the broker.
    pub fn poll_op(&mut self) -> Option<ClientOp> {
        self.out.ops.pop()
    }

    /// Returns whether there is an event.
    pub fn has_event(&self) -> bool {
        !self.out.events.is_empty()
    }

    /// Returns the next event.
    pub fn poll_event(&mut self) -> Option<ClientEvent<T>> {
        self.out.events.pop_front()
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

    /// Returns what it keeps.
    pub fn usage(&self) -> ClientUsage {
        ClientUsage {
            requests: self.requests.len(),
            acks: self.out.acks.len(),
            patterns: self.subscriptions.patterns().count(),
            partial_bytes: self.partial_bytes(),
            outputs: self.out.len(),
        }
    }

    /// Returns what the broker should have of it while it is ready: the inbox, and each pattern once. Nothing
    /// once it is closed.
    pub fn patterns(&self) -> impl Iterator<Item = &Pattern> {
        let all = std::iter::once(self.requests.inbox.pattern()).chain(self.subscriptions.patterns());
        all.filter(|_| !self.is_closed())
    }

    /// Returns whether to do what is allowed but rare at this point: never outside of a simulation.
    pub fn should_inject(&mut self, point: FaultPoint) -> bool {
        self.entropy.should_inject(point)
    }

    /// Returns another source of randomness like its own.
    pub fn split_entropy(&mut self) -> Box<dyn Entropy> {
        self.entropy.split()
    }

    /// Returns its own source of randomness.
    pub fn entropy(&mut self) -> &mut dyn Entropy {
        self.entropy.as_mut()
    }

    /// Returns the fault points of a machine that this client is joined with.
    pub fn fork_faults(&mut self) -> FaultInjector {
        FaultInjector::fork(self.entropy.as_mut())
    }

    /// Notes an incomplete message, whose other chunks may never arrive.
    fn expect_rest(&mut self, now: Instant, publication: &Publication) {
        if !publication.is_done() && self.prune_at.is_none() {
            self.prune_at = Some(now + PARTIAL_LIFETIME);
        }
    }

    /// Drops messages that have come in part and are too old.
    fn prune(&mut self, now: Instant) {
        self.requests.inbox.replies.drop_old(now);
        self.subscriptions.prune(now);
        self.prune_at = (self.partial_bytes() > 0).then(|| now + PARTIAL_LIFETIME);
    }

    fn partial_bytes(&self) -> usize {
        self.subscriptions.partial_bytes() + self.requests.inbox.replies.bytes()
    }
}

/// Characters of a broker's last words that are kept.
const MAX_CLOSE_MESSAGE_CHARS: usize = 1000;
