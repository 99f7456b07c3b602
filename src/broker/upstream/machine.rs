//! The upstream as a whole: joins the connection with what is wanted of it and what was asked.

mod answers;
mod drains;
mod fellows;
mod held;
mod requests;

use self::answers::FULL;
pub(in crate::broker) use self::answers::LEAVING;
use self::drains::Leaving;
use self::fellows::is_of_gateways;
pub(in crate::broker) use self::held::cost as held_cost;

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use self::held::Held;
use super::super::PeerId;
use super::batches::{Batches, Statuses};
use super::fellows::Fellows;
use super::interest::{Change, RemoteInterest};
use super::outgoing::{Client, Outgoing};
use super::session::Session;
use super::usage::Usage;
use super::{Class, Counted, UpstreamConfig, UpstreamEvent, UpstreamState, UpstreamStats};
use crate::base::{Code, Entropy, Failure};
use crate::subject::{Pattern, Subject};
use crate::wire::{AckId, ClientOp, Info, Publication, ServerOp, UpstreamNews, UpstreamOp};

/// The fabric above. Drain [`Self::poll_event`] after every call.
pub(in crate::broker) struct Upstream {
    config: UpstreamConfig,
    session: Session,
    interest: RemoteInterest,
    fellows: Fellows,
    batches: Batches,
    /// How many confirmations the subscribe operation that is being carried out waits for.
    fresh: usize,
    /// Where NATS says that nobody has got something. Nobody else is told of it.
    inbox: Pattern,
    awaited: HashMap<AckId, (Option<Client>, Awaited)>,
    acks: u64,
    /// Oldest first.
    drains: BTreeMap<u64, Leaving>,
    drains_begun: u64,
    outgoing: Outgoing,
    held: Held,
    usage: Usage,
    /// The subjects that somebody here waits for.
    asked: HashSet<Subject>,
    /// Largest message.
    whole: usize,
    events: VecDeque<UpstreamEvent>,
    /// When the fabric above has said something last.
    heard_at: Option<Instant>,
    is_woken: bool,
    has_news: bool,
    stats: UpstreamStats,
    entropy: Box<dyn Entropy>,
}

/// What an acknowledgement is for.
#[derive(Debug)]
enum Awaited {
    /// Patterns that are subscribed to.
    Patterns(Vec<Pattern>),
    Member(u64),
    /// The end of a membership, which a drain may wait for.
    Left(Option<u64>, Option<u64>),
    Count(Counted),
    /// A look at who listens.
    Look(PeerId, AckId, Subject),
    Wait(Subject),
    /// Whether a client that is gone here is elsewhere.
    Return(Subject),
    /// Whether another gateway is connected.
    Gateway(Arc<str>),
}

impl Awaited {
    /// What it takes.
    fn cost(&self) -> usize {
        let text = match self {
            Self::Patterns(patterns) => patterns.iter().map(|pattern| pattern.as_str().len()).sum(),
            Self::Look(_, _, subject) | Self::Wait(subject) | Self::Return(subject) => subject.as_str().len(),
            Self::Gateway(name) => name.len(),
            Self::Member(_) | Self::Left(..) | Self::Count(_) => 0,
        };
        text + AWAITED_MEMORY
    }
}

impl Upstream {
    /// Returns an upstream that wants to be dialed.
    pub(in crate::broker) fn new(config: UpstreamConfig, mut entropy: Box<dyn Entropy>) -> Self {
        let inbox = Pattern::parse(&format!("_INBOX.{}.*", entropy.id()));
        Self {
            session: Session::new(),
            config,
            interest: RemoteInterest::default(),
            fellows: Fellows::new(entropy.id()),
            batches: Batches::default(),
            fresh: 0,
            inbox: inbox.unwrap_or_else(|_| Pattern::parse("_INBOX.gateway.*").expect("a literal is valid")),
            awaited: HashMap::new(),
            acks: 0,
            drains: BTreeMap::new(),
            drains_begun: 0,
            outgoing: Outgoing::default(),
            held: Held::default(),
            usage: Usage::default(),
            asked: HashSet::new(),
            whole: DEFAULT_WHOLE_BYTES,
            events: VecDeque::new(),
            heard_at: None,
            is_woken: true,
            has_news: false,
            stats: UpstreamStats::default(),
            entropy,
        }
    }

    /// Returns whether what is published there arrives.
    pub(in crate::broker) fn is_ready(&self) -> bool {
        self.session.is_ready()
    }

    /// Returns whether who is beyond is out of reach, and not only for a moment.
    pub(in crate::broker) fn is_severed(&self) -> bool {
        self.session.is_severed()
    }

    /// Returns whether it has been away for so long that clients are better off elsewhere.
    pub(in crate::broker) fn is_overdue(&self) -> bool {
        self.session.is_overdue()
    }

    pub(in crate::broker) fn allows_reserved(&self) -> bool {
        self.config.allows_reserved
    }

    /// Returns the most bytes that a message may have, with its headers.
    pub(in crate::broker) fn max_message(&self) -> usize {
        self.whole
    }

    pub(in crate::broker) fn heard_at(&self) -> Option<Instant> {
        self.heard_at
    }

    pub(in crate::broker) fn has_news(&self) -> bool {
        self.has_news
    }

    /// Returns how far it has come, once for each change.
    pub(in crate::broker) fn poll_state(&mut self) -> Option<UpstreamState> {
        std::mem::take(&mut self.has_news).then(|| {
            if self.is_ready() {
                UpstreamState::Ready
            } else {
                UpstreamState::Connecting(self.session.failure().cloned())
            }
        })
    }

    pub(in crate::broker) fn stats(&self) -> UpstreamStats {
        let (patterns, members) = self.interest.len();
        UpstreamStats {
            is_ready: self.is_ready(),
            is_overdue: self.is_overdue(),
            patterns,
            members,
            held: self.held.len(),
            ..self.stats
        }
    }

    /// Returns whether to dial now.
    pub(in crate::broker) fn poll_dial(&mut self) -> bool {
        self.session.poll_dial()
    }

    /// Returns whether its driver has something to do.
    pub(in crate::broker) fn poll_woken(&mut self) -> bool {
        std::mem::take(&mut self.is_woken)
    }

    pub(in crate::broker) fn poll_event(&mut self) -> Option<UpstreamEvent> {
        self.events.pop_front()
    }

    /// The same, unless it needs a clock: then it waits for whoever has one.
    pub(in crate::broker) fn poll_event_without_clock(&mut self) -> Option<UpstreamEvent> {
        let needs_clock = matches!(
            self.events.front()?,
            UpstreamEvent::Ready(_)
                | UpstreamEvent::Interest(..)
                | UpstreamEvent::Elsewhere(..)
                | UpstreamEvent::Unanswered(..)
                | UpstreamEvent::Severed(_)
        );
        if needs_clock { None } else { self.events.pop_front() }
    }

    /// Returns the next operation for the fabric above.
    pub(in crate::broker) fn poll_op(&mut self) -> Option<UpstreamOp> {
        let op = self.outgoing.pop(&mut self.usage)?;
        self.tell_released();
        Some(op)
    }

    /// Takes what clients have come to hold here, more or less, since the last time.
    pub(in crate::broker) fn take_usage(&mut self) -> Usage {
        std::mem::take(&mut self.usage)
    }

    pub(in crate::broker) fn handle_link_up(&mut self) {
        self.session.handle_link_up();
    }

    /// The link is gone, or could not be had.
    pub(in crate::broker) fn handle_link_down(&mut self, now: Instant, why: Failure) {
        self.has_news = true;
        self.is_woken = true;
        self.session.handle_link_down(now, why, self.entropy.as_mut());
        self.handle_loss(now);
    }

    pub(in crate::broker) fn handle_timeout(&mut self, now: Instant) {
        let away = self.session.handle_timeout(now);
        if away.overdue {
            (self.is_woken, self.has_news) = (true, true);
        }
        if away.severed {
            self.events.push_back(UpstreamEvent::Severed(true));
        }
        self.is_woken |= self.session.wants_dial();
        self.handle_fellows(now);
        while let Some((peer, op)) = self.held.pop_due(now, &mut self.usage) {
            self.refuse(peer, &op, "the upstream did not come back in time");
        }
    }

    pub(in crate::broker) fn poll_timeout(&self) -> Option<Instant> {
        let timeouts = [self.session.poll_timeout(), self.held.poll_timeout(), self.fellows.poll_timeout()];
        timeouts.into_iter().flatten().min()
    }

    /// A client has subscribed here. `waits`: it is to be answered once that is confirmed above, too.
    pub(in crate::broker) fn subscribe(
        &mut self,
        client: Client,
        pattern: &Pattern,
        queue: Arc<str>,
        class: Class,
        waits: bool,
    ) {
        let (peer, _) = client;
        let is_open = self.session.is_open();
        let batch = (waits && is_open).then(|| self.batches.next());
        let change = match class {
            Class::Local => return,
            Class::Direct | Class::Plain => self.interest.add(peer, pattern, batch),
            Class::Group => self.interest.join(peer, pattern, queue, batch),
        };
        let is_awaited = matches!(change, Change::Subscribe(_) | Change::Join(_) | Change::Awaited);
        if is_awaited && batch.is_some() {
            self.fresh += 1;
        }
        self.usage.add(peer, interest_cost(pattern));
        self.say(Some(client), change, None);
    }

    /// The subscribe operation is carried out. Returns its statuses, to be answered now, unless it waits.
    pub(in crate::broker) fn end_batch(
        &mut self,
        peer: PeerId,
        ack: Option<AckId>,
        patterns: Vec<Arc<str>>,
        statuses: Statuses,
    ) -> Option<Statuses> {
        let fresh = std::mem::take(&mut self.fresh);
        match ack.filter(|_| fresh > 0) {
            None => Some(statuses),
            Some(ack) => {
                self.batches.begin((peer, ack), patterns, statuses, fresh, &mut self.usage);
                None
            }
        }
    }

    /// Returns whether a client that has subscribed here is not given messages yet: a member of a group that
    /// is not confirmed.
    pub(in crate::broker) fn is_joining(&self, peer: PeerId, pattern: &Pattern) -> bool {
        self.interest.is_joining(peer, pattern)
    }

    /// A client has unsubscribed here.
    pub(in crate::broker) fn unsubscribe(&mut self, client: Client, pattern: &Pattern) {
        self.release(client, pattern, None);
    }

    /// Returns whether anything follows from that.
    fn release(&mut self, client: Client, pattern: &Pattern, drain: Option<u64>) -> bool {
        let (peer, _) = client;
        if self.interest.has(peer, pattern) {
            self.usage.subtract(peer, interest_cost(pattern));
        }
        let (change, batches) = self.interest.remove(peer, pattern, drain.is_some());
        for batch in batches {
            let answered = self.batches.settle(batch, pattern, None, &mut self.usage);
            self.events.extend(answered.map(|(peer, ack, reply)| UpstreamEvent::Answer(peer, ack, reply)));
        }
        let is_change = change != Change::None;
        self.say(Some(client), change, drain);
        is_change
    }

    /// A client is gone.
    pub(in crate::broker) fn forget(&mut self, client: Client) {
        let (peer, _) = client;
        for pattern in self.interest.patterns_of(peer) {
            self.unsubscribe(client, &pattern);
        }
        self.batches.forget(peer, &mut self.usage);
        self.forget_drains(peer);
        self.held.forget(peer, &mut self.usage);
        self.outgoing.forget(peer);
    }

    /// Sends a publication there. One that is larger than a message may be has one owner.
    pub(in crate::broker) fn forward(
        &mut self,
        client: Client,
        publication: Publication,
        counted: Option<Counted>,
    ) {
        self.stats.sent.add(publication.count(), publication.payload_bytes());
        let ack = counted.map(|counted| self.expect(Some(client), Awaited::Count(counted)));
        if carried_bytes(&publication) <= self.whole || publication.is_bundle() {
            self.push(Some(client), ClientOp::Publish { ack, publication });
        } else {
            self.push_in_chunks(client, ack, publication);
        }
    }

    /// Returns whether a client is not to be read from.
    pub(in crate::broker) fn is_blocked(&self, peer: PeerId) -> bool {
        self.outgoing.is_blocked(peer)
    }

    /// Keeps an operation until it is ready. Where there is no room, whoever has most of it is refused.
    pub(in crate::broker) fn hold(&mut self, now: Instant, client: Client, op: ClientOp) {
        for (peer, op) in self.held.push(now + HOLD, client, op, &mut self.usage) {
            self.refuse(peer, &op, FULL);
        }
    }

    /// Counts messages that nobody gets.
    pub(in crate::broker) fn count_lost(&mut self, messages: u32) {
        self.stats.lost = self.stats.lost.saturating_add(messages.into());
    }

    /// Looks whether anybody listens elsewhere, for a client.
    pub(in crate::broker) fn look(&mut self, client: Client, ack: AckId, subject: Subject) {
        let asked = self.expect(Some(client), Awaited::Look(client.0, ack, subject.clone()));
        self.push_wait(Some(client), asked, &subject, Duration::ZERO);
    }

    /// Waits until somebody listens elsewhere, or for some seconds. Once it is ready.
    pub(in crate::broker) fn wait(&mut self, subject: &Subject) {
        if self.is_ready() && self.asked.insert(subject.clone()) {
            let asked = self.expect(None, Awaited::Wait(subject.clone()));
            self.push_wait(None, asked, subject, WAIT_SLICE);
        }
    }

    /// Looks whether a client that is gone here is elsewhere, by a subject that it alone would listen to.
    pub(in crate::broker) fn look_for_client(&mut self, subject: &Subject) {
        if self.is_ready() {
            let asked = self.expect(None, Awaited::Return(subject.clone()));
            self.push_wait(None, asked, subject, Duration::ZERO);
        } else {
            self.events.push_back(UpstreamEvent::Elsewhere(subject.clone(), true));
        }
    }

    /// Takes what the fabric above says.
    pub(in crate::broker) fn handle_news(&mut self, now: Instant, news: UpstreamNews) {
        self.heard_at = Some(now);
        match news {
            UpstreamNews::Member { member, publication } => self.handle_member(member, publication),
            UpstreamNews::Op(ServerOp::Deliver { pattern, publication })
                if is_of_gateways(pattern.as_str()) =>
            {
                self.handle_word(now, &publication);
            }
            UpstreamNews::Op(ServerOp::Deliver { pattern, publication }) => {
                self.handle_answer(&publication);
                self.stats.received.add(publication.count(), publication.payload_bytes());
                if pattern != self.inbox {
                    self.events.push_back(UpstreamEvent::Deliver(pattern, publication));
                }
            }
            UpstreamNews::Op(ServerOp::Ack { id, reply }) => self.handle_ack(now, id, reply),
            UpstreamNews::Op(ServerOp::Info(info)) => self.handle_info(&info),
            UpstreamNews::Op(ServerOp::Permission { message, subject, kind }) => {
                tracing::warn!(message, "not permitted at the upstream");
                if kind == "sub"
                    && let Ok(pattern) = Pattern::parse(&subject)
                {
                    self.handle_refused(&pattern, message);
                }
            }
            UpstreamNews::Op(ServerOp::Closing { code, message }) => {
                let code = Code::from_name(&code).unwrap_or(Code::Connect);
                if code != Code::Draining {
                    tracing::warn!(message, "the upstream ends the connection");
                } else if self.session.handle_stop() {
                    // Behind all that was asked: more is held.
                    self.push(None, ClientOp::InfoReceived);
                }
                self.session.handle_closing(Failure::new(code, message));
            }
            UpstreamNews::Op(ServerOp::Superseded { .. } | ServerOp::Watched(_)) => {}
        }
    }

    fn handle_info(&mut self, info: &Info) {
        if info.user.is_err() {
            return;
        }
        self.whole = info.large.map_or(info.max_payload, |large| large.whole);
        if !self.session.handle_info() {
            // The link is to another server by now, which has all subscriptions.
            self.has_news |= self.session.is_ready();
            return;
        }
        let (patterns, members) = self.interest.renew();
        let mut own = vec![self.inbox.clone()];
        own.extend(self.patterns_of_gateways());
        let inbox = self.expect(None, Awaited::Patterns(own.clone()));
        self.session.await_sync(inbox);
        self.push_subscribe(None, inbox, &own);
        if !patterns.is_empty() {
            let ack = self.expect(None, Awaited::Patterns(patterns.clone()));
            patterns.iter().for_each(|pattern| self.interest.note_asked(pattern, ack));
            self.session.await_sync(ack);
            self.push_subscribe(None, ack, &patterns);
        }
        for member in members {
            if let Some(ack) = self.push_join(None, member) {
                self.session.await_sync(ack);
            }
        }
    }

    fn handle_member(&mut self, member: u64, publication: Publication) {
        self.stats.received.add(publication.count(), publication.payload_bytes());
        let Some(known) = self.interest.member(member) else { return self.count_lost(publication.count()) };
        let (peer, pattern, queue) = (known.peer, known.pattern.clone(), known.queue.clone());
        self.events.push_back(if known.is_gone {
            UpstreamEvent::DeliverToGroup { pattern, queue, publication }
        } else {
            UpstreamEvent::DeliverTo(peer, pattern, publication)
        });
    }
}

/// Returns what of the size of a message a publication takes there.
pub(in crate::broker) fn carried_bytes(publication: &Publication) -> usize {
    let json = publication.headers.json.as_ref().map_or(0, |json| json.as_bytes().len());
    publication.payload.raw.len() + json + publication.id().len()
}

/// What it takes that a client's pattern is wanted above, too.
fn interest_cost(pattern: &Pattern) -> usize {
    pattern.as_str().len() + INTEREST_MEMORY
}

/// What a pattern or a membership takes in all tables, beside its text.
const INTEREST_MEMORY: usize = 300;
/// What an answer that is expected takes, beside texts.
const AWAITED_MEMORY: usize = 200;
/// How long something waits for an upstream that is away.
const HOLD: Duration = Duration::from_secs(30);
/// How long one question waits for somebody to listen; asked again while anybody here waits.
const WAIT_SLICE: Duration = Duration::from_secs(2);
/// Largest message before the upstream has said what it takes: the default of its servers, less headers.
const DEFAULT_WHOLE_BYTES: usize = 1024 * 1024 - 1024;
