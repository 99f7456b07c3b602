//! A socket between two ends that both speak the stream (docs/protocols/socket.md): everything that belongs
//! to it travels in one numbering, and what each end has of it is said by a status, which rides on whatever
//! goes the other way.

mod ledger;
mod offer;
mod receive_queue;
mod send_queue;
mod status_schedule;
mod windows;

pub use offer::{Offer, TagSource, draw_tag};
pub use receive_queue::ReceiveQueue;
pub use send_queue::SendQueue;
pub(super) use send_queue::withdraw_from;
pub use windows::Windows;

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::sender::MAX_IN_FLIGHT_BYTES;
use super::surroundings::Surroundings;
use super::unsettled::Unsettled;
use super::{
    Consumed, Data, KeepAlive, Output, PeerMisbehaved, SocketConfig, SocketCounters, SocketEvent,
    SocketUsage, Tag, TagKind, WriteError,
};
use crate::base::{FaultInjector, FaultPoint};
use crate::subject::Subject;
use crate::wire::stream::{Cancel, CancelReason, Class, Close, Status};
use crate::wire::{Bundle, Encoding, Headers, Item, Json, Message, Messages, PackedMessages, Payload};
use status_schedule::{Early, Standing, StatusSchedule};

/// Both directions of one socket.
#[derive(Debug)]
pub struct Stream {
    /// Where the other end listens, while it is attached.
    peer: Option<Subject>,
    /// What proves that a frame is for us, chosen by us; and what the other end has chosen.
    tags: Tags,
    sender: SendQueue,
    receiver: ReceiveQueue,
    schedule: StatusSchedule,
    early: Early,
    keepalive: KeepAlive,
    keep_alive_timeout: Duration,
    /// Bytes of the largest message that is taken.
    max_message: usize,
    /// The other end was asked for a sign of life, and is silent if none has come by then.
    silent_at: Option<Instant>,
    /// The next status asks for one; and says that we were away.
    asks: bool,
    returns: bool,
    /// The number of the latest status that was to be told of when nobody gets it.
    probe: u32,
    /// What goes with a status that asks: which incarnation this is, and where.
    identity: Option<Json>,
    /// Frames that bore another tag.
    foreign: u64,
    is_proven: bool,
    /// What the application was last told of what went wrong below.
    counters: SocketCounters,
    returned_at: Option<Instant>,
    /// When something was last done.
    latest: Instant,
}

/// What the two ends call each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tags {
    /// In what comes to us.
    pub own: u64,
    /// In what we send.
    pub peer: u64,
}

/// What became of a frame.
#[derive(Debug, PartialEq)]
pub(super) enum Received {
    /// It was for us, and is dealt with.
    Done,
    /// It was not from the other end.
    Foreign,
    /// The other end closes.
    Closed(Close),
}

/// Whether messages in a row were what was next.
#[derive(Debug, PartialEq)]
pub enum Accepted {
    /// They have to be handed in one by one.
    No,
    /// All of them.
    All,
    /// All of them, but for the control behind them.
    AllBut(Item),
    /// One of them should never have come.
    Misbehaved(PeerMisbehaved),
}

impl Stream {
    pub(super) fn new(now: Instant, config: &SocketConfig, tags: Tags, peer_windows: Windows) -> Self {
        let part = |of: usize| (of.min(MAX_IN_FLIGHT_BYTES) / EARLY_PART).max(1) as u64;
        let windows = Windows::of_config(config);
        let half = |class| (windows.of(class).messages / 2).max(1) as u64;
        Self {
            peer: None,
            tags,
            sender: SendQueue::new(config, peer_windows),
            receiver: ReceiveQueue::new(windows, config.receive_window()),
            schedule: StatusSchedule::new(),
            early: Early {
                data: config.max_queue.div_ceil(EARLY_PART) as u64,
                data_bytes: part(config.max_queue_bytes),
                arrived_bytes: part(MAX_IN_FLIGHT_BYTES),
                requests: half(Class::Request),
                answers: half(Class::Answer),
            },
            keepalive: KeepAlive::new(now, config.keep_alive),
            keep_alive_timeout: config.keep_alive_timeout,
            max_message: config.max_message_bytes,
            silent_at: None,
            asks: false,
            returns: false,
            probe: 0,
            identity: None,
            foreign: 0,
            is_proven: false,
            counters: SocketCounters::default(),
            returned_at: None,
            latest: now,
        }
    }

    /// Takes over what was written before it was known what the other end speaks.
    pub(super) fn take_over(&mut self, now: Instant, unsent: Unsettled) {
        let (batches, volatile) = unsent.into_parts();
        self.sender.take_over(now, batches, volatile);
    }

    pub(super) fn tags(&self) -> Tags {
        self.tags
    }

    /// The client has drawn another tag: it never heard of the first one.
    pub(super) fn set_peer_tag(&mut self, tag: u64) {
        self.tags.peer = tag;
    }

    /// Whether anything came that bore our tag: the other end has heard of us.
    pub(super) fn is_proven(&self) -> bool {
        self.is_proven
    }

    /// Sets what goes with a status that asks: other incarnations of this socket may hear it.
    pub(super) fn set_identity(&mut self, identity: Json) {
        self.identity = Some(identity);
    }

    /// Returns when something was last done.
    pub(super) fn latest(&self) -> Instant {
        self.latest
    }

    pub(super) fn peer(&self) -> Option<&Subject> {
        self.peer.as_ref()
    }

    /// The other end listens on `peer`.
    pub(super) fn attach(&mut self, now: Instant, peer: Subject) {
        self.peer = Some(peer);
        self.sender.attach(now);
        self.schedule.attach();
        self.keepalive.attach(now);
        self.silent_at = None;
    }

    /// Nothing that was said before the other end has confirmed anything is known to have come: it goes
    /// again.
    pub(super) fn send_again(&mut self, now: Instant) {
        self.sender.handle_return(now, 0, &[]);
    }

    /// We are back, and the other end may not know that we were away: it is told, and tells where it is.
    pub(super) fn handle_return(&mut self) {
        self.returns = true;
        self.asks = true;
    }

    pub(super) fn detach(&mut self) {
        self.peer = None;
        self.sender.detach();
        self.keepalive.detach();
        self.silent_at = None;
    }

    pub(super) fn usage(&self) -> SocketUsage {
        let (out_of_order, out_of_order_bytes) = self.receiver.usage();
        SocketUsage {
            unacked: self.sender.unacked(),
            unacked_bytes: self.sender.unacked_bytes(),
            out_of_order,
            out_of_order_bytes,
            unconsumed: self.receiver.unconsumed(),
            requests: 0,
            outputs: 0,
        }
    }

    /// Queues what there is room for; of messages in a row that are too many the first ones. It leaves with
    /// the next `pump`.
    pub(super) fn write(&mut self, now: Instant, batch: Messages, volatile: bool) -> Result<(), WriteError> {
        self.latest = now;
        let has_room =
            |batch: &Messages| batch.sizes().is_none_or(|sizes| self.sender.has_room(&sizes).is_ok());
        if let Messages::Packed(packed) = &batch
            && !has_room(&batch)
        {
            for item in packed.items() {
                self.sender.write(now, Messages::One(item), volatile)?;
            }
        } else {
            self.sender.write(now, batch, volatile)?;
        }
        Ok(())
    }

    /// The application has handled so many more of each class.
    pub(super) fn handle_consumed(&mut self, counts: Consumed) {
        for (class, count) in counts.of_classes() {
            self.receiver.handle_consumed(class, count);
        }
    }

    /// Takes out requests that have not left yet: those with a key that is `wanted`. Returns their keys.
    pub(super) fn withdraw(&mut self, wanted: impl Fn(u64) -> bool) -> Vec<u64> {
        self.sender.withdraw(wanted)
    }

    /// Nobody waits any more for the answer to a request that has left.
    pub(super) fn cancel(&mut self, now: Instant, key: u64, reason: CancelReason) {
        let cancel = Messages::one(Cancel { key, reason }.encode(), None);
        // There is no bound for what belongs to answers.
        let _ = self.sender.write(now, cancel, false);
    }

    /// The bytes of a class that have not left yet.
    pub(super) fn waiting_bytes(&self, class: Class) -> usize {
        self.sender.waiting_bytes(class)
    }

    pub(super) fn unacked(&self) -> usize {
        self.sender.unacked()
    }

    pub(super) fn take_undelivered(&mut self) -> Vec<Data> {
        self.sender.take_undelivered()
    }

    pub(super) fn is_stalled(&self, now: Instant) -> bool {
        self.sender.is_stalled(now)
    }

    /// A frame that came to us.
    pub(super) fn handle_message(
        &mut self,
        now: Instant,
        message: Message,
        around: &mut Surroundings<'_>,
    ) -> Result<Received, PeerMisbehaved> {
        let Message { payload, headers, .. } = message;
        if headers.attempt != Some(self.tags.own) {
            self.foreign += 1;
            return Ok(Received::Foreign);
        }
        self.handle_sign_of_life(now);
        let seq = headers.seq.ok_or(PeerMisbehaved::BadHeader)?;
        match payload.encoding {
            Encoding::STATUS => {
                self.receiver.handle_next(seq)?;
                let status = Status::decode(&payload.raw).ok_or(PeerMisbehaved::BadControl)?;
                self.handle_status(now, &status, around.outputs)?;
            }
            Encoding::CLOSE => {
                let close = Close::decode(&payload.raw).ok_or(PeerMisbehaved::BadControl)?;
                if self.sender.handle_counts(now, &close.counts)? {
                    self.emit_acked(around.outputs);
                }
                return Ok(Received::Closed(close));
            }
            later if later.is_control() => self.receiver.handle_next(seq)?,
            _ => {
                PeerMisbehaved::check_size(self.max_message, &payload, headers.json.as_ref())?;
                self.receiver.set_forced_small(around.faults.should_inject(FaultPoint::TinyWindow));
                self.receiver.handle_item(seq, Item { payload, json: headers.json })?;
                self.hand_over(around)?;
            }
        }
        Ok(Received::Done)
    }

    /// Messages in a row that came to us, the first with this number.
    pub(super) fn try_accept_bundle(
        &mut self,
        now: Instant,
        bundle: &Bundle,
        around: &mut Surroundings<'_>,
    ) -> Accepted {
        let Some(first) = bundle.first.filter(|_| bundle.attempt == Some(self.tags.own)) else {
            return Accepted::No;
        };
        self.receiver.set_forced_small(around.faults.should_inject(FaultPoint::TinyWindow));
        let mut packed = bundle.packed.clone();
        let control = packed.split_control();
        if !self.receiver.try_accept(first, &packed) {
            return Accepted::No;
        }
        self.handle_sign_of_life(now);
        if packed.others() == 0 {
            around.emit(SocketEvent::Data(simplest(packed)));
        } else if let Err(error) = self.give(&packed, around) {
            return Accepted::Misbehaved(error);
        }
        control.map_or(Accepted::All, Accepted::AllBut)
    }

    /// Hands over messages in a row that are not all data, but for those that nobody wants.
    fn give(&mut self, packed: &PackedMessages, around: &mut Surroundings<'_>) -> Result<(), PeerMisbehaved> {
        let mut wanted = Vec::with_capacity(packed.count() as usize);
        for item in packed.items() {
            wanted.push(around.try_settle(&item)?);
        }
        if wanted.iter().all(|is_wanted| *is_wanted) {
            around.emit(SocketEvent::Data(simplest(packed.clone())));
            return Ok(());
        }
        for (item, is_wanted) in packed.items().zip(wanted) {
            match item.payload.encoding.class() {
                _ if is_wanted => around.emit(SocketEvent::Data(Messages::One(item))),
                Some(class) => self.receiver.handle_consumed(class, 1),
                None => {}
            }
        }
        Ok(())
    }

    fn handle_sign_of_life(&mut self, now: Instant) {
        self.latest = now;
        self.is_proven = true;
        self.keepalive.handle_traffic(now);
        if self.silent_at.take().is_some() {
            self.keepalive.handle_pong(now);
        }
    }

    /// The other end says where it is.
    pub(super) fn handle_status(
        &mut self,
        now: Instant,
        status: &Status,
        outputs: &mut VecDeque<Output>,
    ) -> Result<(), PeerMisbehaved> {
        if self.sender.handle_counts(now, &status.counts)? {
            self.emit_acked(outputs);
        }
        if status.asks {
            self.schedule.handle_question();
        }
        // One that says more often that it was away is answered, and not sent everything again.
        if status.was_away && self.returned_at.is_none_or(|at| now >= at + RETURN_PAUSE) {
            self.returned_at = Some(now);
            self.sender.handle_return(now, status.counts.arrived, &status.missing);
        } else {
            self.sender.handle_missing(now, status.counts.arrived, &status.missing);
        }
        Ok(())
    }

    /// What a `connect` and its answer say when a socket goes on: what we have, and the number that we use
    /// next.
    pub(super) fn attach_status(&self) -> (u64, Payload) {
        let (missing, _) = if self.receiver.has_gap() { self.receiver.missing() } else { (Vec::new(), 0) };
        let counts = self.receiver.counts();
        let status = Status { counts, was_away: true, asks: true, missing, ..Status::default() };
        (self.sender.next(), status.encode())
    }

    /// The status in a `connect` or its answer.
    pub(super) fn handle_attach_status(
        &mut self,
        now: Instant,
        message: &Message,
        outputs: &mut VecDeque<Output>,
    ) -> Result<(), PeerMisbehaved> {
        let Some(seq) = message.headers.seq.filter(|_| message.payload.encoding == Encoding::STATUS) else {
            return Ok(());
        };
        let status = Status::decode(&message.payload.raw).ok_or(PeerMisbehaved::BadControl)?;
        self.receiver.handle_next(seq)?;
        self.returned_at = None;
        // It is answered by what it came with, or answers that.
        self.handle_status(now, &Status { asks: false, ..status }, outputs)
    }

    /// Our end closes. The message is the last one that leaves.
    pub(super) fn closing(&self, subject: Subject, code: &str) -> Message {
        let counts = self.receiver.counts();
        let close =
            Close { counts, written: self.sender.written(), code: code.to_owned(), ..Close::default() };
        self.frame(subject, self.sender.next(), close.encode())
    }

    fn emit_acked(&self, outputs: &mut VecDeque<Output>) {
        let (messages, bytes) = (self.sender.acked(), self.sender.acked_bytes());
        outputs.push_back(Output::Event(SocketEvent::Acked { messages, bytes }));
    }

    fn hand_over(&mut self, around: &mut Surroundings<'_>) -> Result<(), PeerMisbehaved> {
        while let Some(item) = self.receiver.poll_item() {
            match item.payload.encoding.class() {
                Some(class) if !around.try_settle(&item)? => self.receiver.handle_consumed(class, 1),
                _ => around.emit(SocketEvent::Data(Messages::One(item))),
            }
        }
        Ok(())
    }

    /// Whether a status that was to be told of reached nobody.
    pub(super) fn is_current_probe(&self, tag: Tag) -> bool {
        tag.kind == TagKind::Probe && tag.number == self.probe && self.peer.is_some()
    }

    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        let attached = self.peer.is_some();
        let own = [self.schedule.poll_timeout().filter(|_| attached), self.silent_at];
        let parts = [self.sender.poll_timeout(), self.keepalive.poll_timeout()];
        own.into_iter().chain(parts).flatten().min()
    }

    /// A deadline has come. Returns whether the other end is silent.
    pub(super) fn handle_timeout(&mut self, now: Instant) -> bool {
        self.schedule.handle_timeout(now);
        self.asks |= self.sender.handle_timeout(now);
        if self.keepalive.handle_timeout(now) {
            self.asks = true;
            self.silent_at = Some(now + self.keep_alive_timeout);
        }
        self.silent_at.is_some_and(|at| at <= now)
    }

    /// Lets leave what may leave, and says what has to be said. Called when a batch of commands, or of what
    /// came, is done with: so that what one of them brings about carries what another one has to say.
    pub(super) fn pump(&mut self, now: Instant, around: &mut Surroundings<'_>) -> Result<(), PeerMisbehaved> {
        self.latest = now;
        // What was held up by the windows may be handed over now.
        self.hand_over(around)?;
        self.transmit_all(now, around.outputs, around.faults);
        Ok(())
    }

    fn transmit_all(&mut self, now: Instant, outputs: &mut VecDeque<Output>, faults: &mut FaultInjector) {
        let counters =
            SocketCounters { resent: self.sender.resent(), duplicates: self.receiver.duplicates() };
        if counters != self.counters {
            self.counters = counters;
            outputs.push_back(Output::Event(SocketEvent::Counters(counters)));
        }
        if self.receiver.take_duplicate() {
            self.schedule.handle_duplicate();
        }
        let Some(peer) = self.peer.clone() else { return };
        // What is under way brings us here again.
        let is_forced_small = self.sender.is_under_way() && faults.should_inject(FaultPoint::TinyWindow);
        let mut last: Option<(u64, Messages)> = None;
        while !is_forced_small && let Some(next) = self.sender.poll_transmit(now) {
            if let Some((first, messages)) = last.replace(next) {
                outputs.push_back(self.transmit(peer.clone(), first, messages));
            }
        }
        let standing = self.standing();
        self.schedule.handle_standing(&standing);
        let is_delayed = faults.should_inject(FaultPoint::DelayedAck);
        if is_delayed {
            self.schedule.hold(now + DELAYED_STATUS);
        }
        let is_due = if last.is_some() {
            self.schedule.has_news(&standing)
        } else {
            self.schedule.check_due(now, &standing, &self.early) || faults.should_inject(FaultPoint::EarlyAck)
        };
        let asks = self.asks;
        let status = (asks || (is_due && !is_delayed)).then(|| self.status(now, &standing));
        match (last, status) {
            (None, None) => {}
            (Some((first, messages)), None) => outputs.push_back(self.transmit(peer, first, messages)),
            (Some((first, messages)), Some(status)) => {
                let joined = self.join(&messages, first, &status);
                match joined {
                    Some(packed) => outputs.push_back(self.transmit(peer, first, Messages::Packed(packed))),
                    None => {
                        outputs.push_back(self.transmit(peer.clone(), first, messages));
                        outputs.push_back(Output::Publish(self.frame(peer, self.sender.next(), status)));
                    }
                }
            }
            (None, Some(status)) => {
                let mut message = self.frame(peer, self.sender.next(), status);
                outputs.push_back(if asks {
                    message.headers.json = self.identity.clone();
                    self.probe = self.probe.wrapping_add(1);
                    let tag = Tag { kind: TagKind::Probe, number: self.probe };
                    Output::Probe { tag, message, timeout: self.keep_alive_timeout }
                } else {
                    Output::Publish(message)
                });
            }
        }
    }

    fn standing(&self) -> Standing {
        Standing {
            counts: self.receiver.counts(),
            bytes: self.receiver.bytes(),
            is_caught_up: self.receiver.unconsumed() == 0,
            has_gap: self.receiver.has_gap(),
        }
    }

    fn status(&mut self, now: Instant, standing: &Standing) -> Payload {
        let wants_missing = self.schedule.wants_missing(standing);
        let (missing, upto) = if wants_missing { self.receiver.missing() } else { (Vec::new(), 0) };
        if wants_missing {
            tracing::debug!(ranges = missing.len(), upto, "asking for what is missing");
        }
        self.schedule.handle_said(now, standing, wants_missing.then_some(upto));
        let (asks, was_away) = (std::mem::take(&mut self.asks), std::mem::take(&mut self.returns));
        Status { counts: standing.counts, asks, was_away, missing, ..Status::default() }.encode()
    }

    /// The messages with a status behind them, if they are the last ones, few and small: a copy is cheaper
    /// than a frame then.
    fn join(&self, messages: &Messages, first: u64, status: &Payload) -> Option<PackedMessages> {
        let Messages::Packed(packed) = messages else { return None };
        let is_last = first + u64::from(packed.count()) == self.sender.next();
        let fits = packed.count() < MAX_PACKED && packed.raw().len() <= MAX_JOINED_BYTES;
        (is_last && fits).then(|| packed.with_last(status))
    }

    fn transmit(&self, subject: Subject, first: u64, messages: Messages) -> Output {
        match messages {
            Messages::One(Item { payload, json }) => {
                let headers =
                    Headers { seq: Some(first), attempt: Some(self.tags.peer), json, ..Headers::default() };
                Output::Publish(Message { subject, payload, headers })
            }
            Messages::Packed(packed) => Output::PublishBundle(Bundle {
                subject,
                first: Some(first),
                attempt: Some(self.tags.peer),
                packed,
            }),
        }
    }

    fn frame(&self, subject: Subject, seq: u64, payload: Payload) -> Message {
        let headers = Headers { seq: Some(seq), attempt: Some(self.tags.peer), ..Headers::default() };
        Message { subject, payload, headers }
    }
}

/// One message as one.
fn simplest(packed: PackedMessages) -> Messages {
    if packed.count() > 1 {
        return Messages::Packed(packed);
    }
    let one = packed.items().next();
    one.map_or(Messages::Packed(packed), Messages::One)
}

/// A window of which this part has been handled since the latest status: the writer should know, or it runs
/// out of room.
const EARLY_PART: usize = 8;
/// An end that says more often that it was away is not sent everything again.
const RETURN_PAUSE: Duration = Duration::from_millis(500);
/// Most messages that a status joins, itself included.
const MAX_PACKED: u32 = crate::wire::message::packed::MAX_PACKED;
/// Most bytes that are copied to let a status ride.
const MAX_JOINED_BYTES: usize = 8 * 1024;
/// How long a status is held back at [`FaultPoint::DelayedAck`].
const DELAYED_STATUS: Duration = Duration::from_millis(200);

#[cfg(test)]
#[allow(clippy::disallowed_methods)]
mod tests;
