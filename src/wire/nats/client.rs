//! A client's end of one connection: operations to commands, and what a server says to what became of them.

mod answers;
mod moves;

use std::collections::BTreeMap;
use std::time::Instant;

use foldhash::fast::RandomState;

use super::commands::{Sink, push_ping, push_sub, push_unsub};
use super::connects::{Connect, Connects};
use super::fences::{Fences, Subscribing, Unsettled};
use super::frame::{Frame, ServerFrame};
use super::interest::InterestWaits;
use super::publication::{Arrival, COUNT, Reader, is_packed, push_probe, push_publication};
use super::subscriptions::Subscriptions;
use super::{CHUNK_BYTES, DecodeError, Delivery, MAX_NAMES_BYTES, ServerInfo};
use crate::subject::{Pattern, Subject};
use crate::wire::message::{
    AckId, ClientOp, Info, Json, LargeMessages, OpError, Publication, Reply, ServerOp, SubscribeStatus,
    Subscription, SubscriptionClass, TOO_LARGE,
};

/// One connection, signed in. Drain [`Self::take_ready`] after every call.
#[derive(Debug)]
pub struct Client {
    info: ServerInfo,
    /// What reply subjects of its own begin with, up to the last token. Known from its first subscription.
    inbox: Option<Inbox>,
    subscriptions: Subscriptions,
    /// In queue groups, by the caller's numbers: pattern, and name of the group there.
    memberships: BTreeMap<u64, (Pattern, Box<str>)>,
    fences: Fences,
    connects: Connects,
    waits: InterestWaits,
    reader: Reader,
    /// Replies come for subjects of others as well: it publishes for them.
    is_gateway: bool,
    /// Known without the server.
    ready: Vec<ServerOp>,
    probes: u64,
    dropped: u64,
    /// How often who uses it has said that the connection may end: that nothing more is asked, and then that
    /// all is answered. A client, and no gateway, says the same once before, at the sign-in.
    words: u8,
    /// Tells messages apart by their contents.
    contents: RandomState,
}

#[derive(Debug, Clone)]
struct Inbox {
    pattern: Pattern,
    prefix: String,
}

/// The meaning of a frame, beside the operations that follow from it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Heard {
    /// Something was said.
    Op,
    /// Answer with a pong.
    Ping,
    /// Nothing but a sign of life.
    Idle,
    /// The server is about to stop: time to move to another one.
    Leave,
}

impl Client {
    /// Returns the end of a connection to this server. The first operation of the server is its `Info`.
    pub fn new(info: ServerInfo) -> Self {
        let ready = vec![ServerOp::Info(sign_in(&info, Ok(Json::trusted("null".into()))).into())];
        Self {
            info,
            inbox: None,
            subscriptions: Subscriptions::default(),
            memberships: BTreeMap::new(),
            fences: Fences::default(),
            connects: Connects::default(),
            waits: InterestWaits::default(),
            reader: Reader::default(),
            is_gateway: false,
            ready,
            probes: 0,
            dropped: 0,
            words: 0,
            contents: RandomState::default(),
        }
    }

    /// Returns the end of a connection that a gateway has.
    pub(super) fn of_gateway(info: ServerInfo) -> Self {
        Self { is_gateway: true, words: SIGN_IN_WORDS, ..Self::new(info) }
    }

    /// Returns the operation that says that a server did not let this client in.
    pub fn refusal(info: &ServerInfo, error: OpError) -> ServerOp {
        ServerOp::Info(sign_in(info, Err(error)).into())
    }

    /// Sends an operation.
    pub fn handle_op(&mut self, now: Instant, op: ClientOp, out: &mut impl Sink) {
        match op {
            ClientOp::Publish { ack, publication } => {
                self.ask_or_publish(out, Connect { ack, publication, is_request: false });
            }
            ClientOp::Request { ack, publication } => {
                self.ask_or_publish(out, Connect { ack: Some(ack), publication, is_request: true });
            }
            ClientOp::PublishRefused { ack, error } => self.answer(ack, Reply::Error(error)),
            ClientOp::Subscribe { ack, subscriptions, .. } => self.subscribe(out, ack, subscriptions),
            ClientOp::Unsubscribe { ack, patterns, .. } => {
                let ended = patterns.iter().filter_map(|text| Pattern::parse(text).ok());
                let sids: Vec<u64> = ended.filter_map(|pattern| self.subscriptions.end(&pattern)).collect();
                sids.iter().for_each(|&sid| push_unsub(out.gather(), sid));
                self.fences.add(Unsettled::Unsubscribe { ack, sids, count: patterns.len() });
            }
            ClientOp::Subscriptions { ack } => self.fences.add(Unsettled::List { ack }),
            ClientOp::WaitForInterest { ack, subject, timeout } => match Subject::parse(&subject) {
                Ok(subject) => {
                    self.waits.begin(ack, subject.clone(), now + timeout);
                    self.probe(out, ack, subject);
                }
                Err(error) => self.answer(Some(ack), Reply::Error(OpError::text(error.to_string()))),
            },
            ClientOp::Cluster { ack } => {
                let urls = self.info.connect_urls.clone().unwrap_or_default();
                self.answer(Some(ack), Reply::Strings(urls));
            }
            ClientOp::InfoReceived => self.words = self.words.saturating_add(1),
            ClientOp::Stats { .. } | ClientOp::Watch(_) | ClientOp::Sockets(_) | ClientOp::Leaving => {}
        }
    }

    /// Sends what was held, and a fence if something was sent that none stands behind.
    pub fn push_fence(&mut self, out: &mut impl Sink) {
        for Connect { ack, publication, is_request } in self.connects.take_due() {
            self.publish(out, ack, publication, is_request);
        }
        if self.fences.is_open() {
            self.push_ping(out);
        }
    }

    /// Sends a fence, whatever was sent: a server that lives answers it.
    pub fn push_ping(&mut self, out: &mut impl Sink) {
        push_ping(out.gather());
        self.fences.close();
    }

    /// Ends all subscriptions and memberships: nobody sends to this client any more once that is settled.
    pub fn leave(&mut self, out: &mut impl Sink) {
        let memberships = std::mem::take(&mut self.memberships);
        self.subscriptions
            .sids()
            .chain(memberships.into_keys())
            .for_each(|sid| push_unsub(out.gather(), sid));
        self.push_ping(out);
    }

    /// Returns whether nothing more is asked, as was said.
    pub fn is_quiet(&self) -> bool {
        self.words > SIGN_IN_WORDS
    }

    /// Returns whether all that was asked is answered, as was said.
    pub fn has_answers(&self) -> bool {
        self.words > SIGN_IN_WORDS + 1
    }

    /// Returns whether the server has settled all that was sent.
    pub fn is_settled(&self) -> bool {
        self.fences.is_settled()
    }

    /// Asks again who listens, where that is due.
    pub fn handle_timeout(&mut self, now: Instant, out: &mut impl Sink) {
        while let Some((ack, subject)) = self.waits.pop_due(now) {
            self.probe(out, ack, subject);
        }
    }

    /// Returns when `handle_timeout` is due.
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.waits.next()
    }

    /// Appends what is known without the server. Returns whether there was anything.
    pub fn take_ready(&mut self, into: &mut Vec<ServerOp>) -> bool {
        let has_any = self.has_ready();
        into.append(&mut self.ready);
        has_any
    }

    /// Returns whether [`Self::take_ready`] would append anything.
    pub fn has_ready(&self) -> bool {
        !self.ready.is_empty()
    }

    /// Returns whether something that was held is to be sent now.
    pub fn has_due(&self) -> bool {
        self.connects.has_due()
    }

    /// Returns whether so much is unsettled that nothing more should be sent.
    pub fn is_full(&self) -> bool {
        self.fences.len() + self.connects.len() >= MAX_UNSETTLED
    }

    /// Returns what the server said about itself last.
    pub fn info(&self) -> &ServerInfo {
        &self.info
    }

    /// Returns how many messages were left out because they broke a rule.
    pub fn dropped(&self) -> u64 {
        self.dropped
    }

    /// Returns the most bytes that headers and payload of a message from the server may have.
    pub fn max_message(&self) -> usize {
        self.info.max_payload.saturating_add(MESSAGE_SLACK_BYTES)
    }

    /// Reads one whole frame; appends what it means to `into`.
    pub fn handle_frame(
        &mut self,
        now: Instant,
        frame: Frame<'_>,
        into: &mut Vec<ServerOp>,
    ) -> Result<Heard, DecodeError> {
        let read = ServerFrame::read(frame.bytes())?;
        self.handle_read(now, read, frame, into)
    }

    /// The same of one that is read.
    pub(super) fn handle_read(
        &mut self,
        now: Instant,
        read: ServerFrame<'_>,
        frame: Frame<'_>,
        into: &mut Vec<ServerOp>,
    ) -> Result<Heard, DecodeError> {
        match read {
            ServerFrame::Message(delivery) => self.handle_message(now, &delivery, frame, into),
            ServerFrame::Pong => {
                let settled = self.fences.settle().ok_or(DecodeError("pong without a ping"))?;
                settled.into_iter().for_each(|unsettled| self.handle_settled(unsettled, into));
            }
            ServerFrame::Ping => return Ok(Heard::Ping),
            ServerFrame::Ok => return Ok(Heard::Idle),
            ServerFrame::Error(text) => self.handle_refusal(text, into),
            ServerFrame::Info(text) => {
                let news = ServerInfo::read(text)?;
                self.info = ServerInfo { server_id: std::mem::take(&mut self.info.server_id), ..news };
                return Ok(if self.info.ldm { Heard::Leave } else { Heard::Idle });
            }
        }
        Ok(Heard::Op)
    }

    fn ask_or_publish(&mut self, out: &mut impl Sink, connect: Connect) {
        if let Some(Connect { ack, publication, is_request }) = self.connects.hold(connect) {
            self.publish(out, ack, publication, is_request);
        }
    }

    fn publish(
        &mut self,
        out: &mut impl Sink,
        ack: Option<AckId>,
        publication: Publication,
        is_request: bool,
    ) {
        let (subject, own_reply) = (publication.subject.clone(), publication.headers.reply.clone());
        if let Some(error) = self.too_large(&publication) {
            tracing::warn!(%error, "not published");
            return self.answer(ack, Reply::Error(error));
        }
        let Some(ack) = ack else {
            return push_publication(out, publication, own_reply.as_ref().map(Subject::as_str));
        };
        let reply = own_reply.or_else(|| {
            let inbox = self.inbox.as_ref()?;
            Subject::parse(&format!("{}{COUNT}{}", inbox.prefix, ack.0)).ok()
        });
        let Some(reply) = reply else {
            return self.answer(Some(ack), Reply::Error(OpError::text("no inbox")));
        };
        push_publication(out, publication, Some(reply.as_str()));
        self.fences.add(Unsettled::Publish { subject, reply, ack, is_request });
    }

    /// Returns why the server would close the connection over a publication, if it would.
    fn too_large(&self, publication: &Publication) -> Option<OpError> {
        let Publication { subject, payload, headers, .. } = publication;
        let names =
            subject.as_str().len() + headers.reply.as_ref().map_or(MAX_COUNT_REPLY, |r| r.as_str().len());
        if names > MAX_NAMES_BYTES {
            let message = format!("subject and reply subject have more than {MAX_NAMES_BYTES} bytes");
            return Some(OpError { message, code: Some(TOO_LARGE) });
        }
        let json = headers.json.as_ref().map_or(0, |json| json.as_bytes().len());
        // What is escaped in headers is at most six times as long; packed ones are as they are.
        let is_as_it_is = json * 6 < self.info.max_payload / 2 || is_packed(publication);
        let json = if is_as_it_is { json } else { json * 6 };
        let size = payload.raw.len() + json + publication.id().len() + HEADER_SLACK_BYTES;
        (size > self.info.max_payload && payload.raw.len() + json > 0).then(|| OpError {
            message: format!("larger than the {} bytes that this server takes", self.info.max_payload),
            code: Some(TOO_LARGE),
        })
    }

    fn subscribe(&mut self, out: &mut impl Sink, ack: Option<AckId>, subscriptions: Vec<Subscription>) {
        let statuses = subscriptions.iter().map(|one| self.subscribe_one(out, one)).collect();
        let patterns: Vec<_> = subscriptions.into_iter().map(|one| one.pattern).collect();
        patterns.iter().for_each(|pattern| self.connects.expect(pattern));
        self.fences.add(Unsettled::Subscribe(Subscribing { ack, patterns, statuses }));
    }

    fn subscribe_one(
        &mut self,
        out: &mut impl Sink,
        subscription: &Subscription,
    ) -> Result<SubscribeStatus, OpError> {
        // The fabric has no word for `exclusive`.
        let Subscription { pattern, queue, class, exclusive: _ } = subscription;
        let pattern = Pattern::parse(pattern).map_err(|error| OpError::text(error.to_string()))?;
        if self.subscriptions.contains(&pattern) {
            return Ok(SubscribeStatus::AlreadyAdded);
        }
        let queue = queue.as_deref().filter(|_| *class == SubscriptionClass::Shared).map(queue_name);
        if pattern.as_str().len() + queue.as_ref().map_or(0, |queue| queue.len()) > MAX_NAMES_BYTES {
            return Err(too_long("pattern"));
        }
        if self.inbox.is_none()
            && let Some(prefix) = pattern.as_str().strip_suffix('*')
        {
            self.inbox = Some(Inbox { pattern: pattern.clone(), prefix: prefix.to_owned() });
        }
        let sid = self.subscriptions.add(pattern.clone(), queue.as_deref());
        push_sub(out.gather(), pattern.as_str(), queue.as_deref(), sid);
        Ok(SubscribeStatus::Added)
    }

    /// Makes a member of a queue group, under a number of the caller's.
    pub(super) fn join(
        &mut self,
        out: &mut impl Sink,
        (ack, sid): (AckId, u64),
        pattern: &Pattern,
        queue: &str,
    ) {
        let queue = queue_name(queue);
        let status = if pattern.as_str().len() + queue.len() > MAX_NAMES_BYTES {
            Err(too_long("pattern"))
        } else {
            push_sub(out.gather(), pattern.as_str(), Some(&queue), sid);
            self.memberships.insert(sid, (pattern.clone(), queue.into()));
            Ok(SubscribeStatus::Added)
        };
        let (ack, patterns) = (Some(ack), vec![pattern.as_str().into()]);
        self.fences.add(Unsettled::Subscribe(Subscribing { ack, patterns, statuses: vec![status] }));
    }

    /// Ends a membership.
    pub(super) fn end_membership(&mut self, out: &mut impl Sink, ack: AckId, sid: u64) {
        self.memberships.remove(&sid);
        push_unsub(out.gather(), sid);
        self.fences.add(Unsettled::Unsubscribe { ack: Some(ack), sids: vec![], count: 1 });
    }

    /// Reads a message for a membership; `None` if it is none that means anything.
    pub(super) fn read(&mut self, delivery: &Delivery<'_>, frame: Frame<'_>) -> Option<Publication> {
        match self.reader.read(delivery, frame) {
            Ok(Arrival::Publication(publication)) => Some(publication),
            Ok(Arrival::Status(_) | Arrival::Probe) => None,
            Err(error) => {
                self.dropped += 1;
                tracing::debug!(%error, "left out a message");
                None
            }
        }
    }

    fn probe(&mut self, out: &mut impl Sink, ack: AckId, subject: Subject) {
        let prefix = self.inbox.as_ref().map(|inbox| inbox.prefix.as_str());
        self.probes += 1;
        let reply =
            prefix.and_then(|prefix| Subject::parse(&format!("{prefix}{COUNT}0{}", self.probes)).ok());
        let Some((reply, prefix)) = reply.zip(prefix) else {
            self.waits.end(ack);
            return self.answer(Some(ack), Reply::Error(OpError::text("no inbox")));
        };
        // Below the inbox, where this client may publish, and where nothing is subscribed to.
        let destination = self.info.has_traces().then(|| format!("{prefix}trace.none"));
        push_probe(out.gather(), subject.as_str(), reply.as_str(), destination.as_deref());
        self.fences.add(Unsettled::Probe { subject, reply, ack });
    }

    fn answer(&mut self, ack: Option<AckId>, reply: Reply) {
        self.ready.extend(ack.map(|id| ServerOp::Ack { id, reply }));
    }
}

fn too_long(what: &str) -> OpError {
    OpError { message: format!("{what} too long"), code: Some(TOO_LARGE) }
}

/// Returns a name of a queue group that NATS can write.
fn queue_name(queue: &str) -> std::borrow::Cow<'_, str> {
    let is_plain = |byte: u8| byte.is_ascii_graphic();
    if !queue.is_empty() && queue.len() <= MAX_QUEUE_BYTES && queue.bytes().all(is_plain) {
        return queue.into();
    }
    // FNV-1a, 128 bits: the same in every process.
    let hash = queue.bytes().fold(0x6c62_272e_07bb_0142_62b8_2175_6295_c58d_u128, |hash, byte| {
        (hash ^ u128::from(byte)).wrapping_mul(0x0000_0000_0100_0000_0000_0000_0000_013b)
    });
    format!("sv.{hash:032x}").into()
}

fn sign_in(info: &ServerInfo, user: Result<Json, OpError>) -> Info {
    // Room for the header block, a long name and the body's own fields.
    let whole = info.max_payload.saturating_sub(HEADER_SLACK_BYTES.min(info.max_payload / 2));
    Info {
        max_payload: info.max_payload,
        id: info.server_id.clone(),
        cluster_name: info.cluster.clone(),
        user,
        instance: None,
        max_message: None,
        monitor: None,
        // The last chunk has the headers as well, and all have an id: a small server gets smaller ones.
        large: Some(LargeMessages { chunk: (whole / 2).min(CHUNK_BYTES), whole }),
    }
}

/// Operations that may be unsettled at once.
const MAX_UNSETTLED: usize = 16 * 1024;
/// What a client says once it knows the server.
const SIGN_IN_WORDS: u8 = 1;
/// The most that a server that was told of a smaller limit since may send beyond it.
const MESSAGE_SLACK_BYTES: usize = 64 * 1024;
/// Room in a message beside its payload and the application's headers.
const HEADER_SLACK_BYTES: usize = 1024;
/// Longest reply subject of our own for a count.
const MAX_COUNT_REPLY: usize = 200;
/// Longest name of a queue group that is written as it is.
const MAX_QUEUE_BYTES: usize = 200;
