//! A socket between two ends that both speak the stream (docs/protocols/socket.md): everything that belongs
//! to it travels in one numbering, and what each end has of it is said by a status, which rides on whatever
//! goes the other way.

mod assembly;
mod incoming;
mod ledger;
mod offer;
mod outgoing;
mod proof;
mod receive_queue;
mod send_queue;
mod status_schedule;
mod windows;

pub use assembly::Claim;
pub use offer::{Offer, OfferHeader, TagSource, draw_tag, joint_tag};
pub use receive_queue::ReceiveQueue;
pub use send_queue::SendQueue;
pub use windows::Windows;

use std::time::{Duration, Instant};

use super::sender::MAX_IN_FLIGHT_BYTES;
use super::unsettled::Unsettled;
use super::{
    Consumed, Data, GapShare, KeepAlive, PeerMisbehaved, SocketConfig, SocketCounters, SocketUsage,
    WriteError,
};
use crate::base::earliest;
use crate::subject::Subject;
use crate::wire::stream::{Cancel, CancelReason, Class, Close, Counts};
use crate::wire::{Item, Json, Messages};
use proof::Proof;
use status_schedule::{Early, StatusSchedule};

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
    /// What makes sure of that, where the client's subject was not looked for.
    proving: Option<Box<Proof>>,
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
    /// A stream to an end that takes so much; what is larger than `piece` leaves in pieces, and data with a
    /// time says so if the end takes that.
    pub(super) fn new(
        now: Instant,
        config: &SocketConfig,
        tags: Tags,
        (peer_windows, piece, takes_times): (Windows, usize, bool),
    ) -> Self {
        let part = |of: usize| (of.min(MAX_IN_FLIGHT_BYTES) / EARLY_PART).max(1) as u64;
        let windows = Windows::of_config(config);
        let half = |class| (windows.of(class).messages / 2).max(1) as u64;
        Self {
            peer: None,
            tags,
            sender: SendQueue::new(config, peer_windows, piece, takes_times),
            receiver: ReceiveQueue::new(windows, config.receive_window(), config.max_message_bytes),
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
            proving: None,
            counters: SocketCounters::default(),
            returned_at: None,
            latest: now,
        }
    }

    /// Takes over what was written before it was known what the other end speaks.
    pub(super) fn take_over(&mut self, now: Instant, unsent: Unsettled) {
        let (batches, volatile, times) = unsent.into_parts();
        self.sender.take_over(now, batches, volatile, times);
    }

    /// Sets what it may keep beside other sockets of what comes before its turn.
    pub(super) fn set_gap_share(&mut self, share: GapShare) {
        self.receiver.set_gap_share(share);
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
        if let Some(proving) = &mut self.proving {
            proving.attach(now);
        }
    }

    /// The client's end was accepted at once: the server waits for a word of it.
    pub(super) fn prove(&mut self, now: Instant) {
        self.proving = Some(Proof::of_client(now).into());
    }

    /// The server's end has accepted at once, and waits for a word of the client.
    pub(super) fn await_proof(&mut self, now: Instant, identity: Json) {
        self.proving = Some(Proof::of_server(now, identity).into());
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
            partial_bytes: self.receiver.partial_bytes(),
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

    /// Queues data that may leave until then.
    pub(super) fn write_timed(
        &mut self,
        now: Instant,
        item: Item,
        volatile: bool,
        until: Instant,
    ) -> Result<(), WriteError> {
        self.latest = now;
        self.sender.write_timed(now, item, volatile, until)
    }

    /// The application was not handed that message of data: the other end is told.
    pub(super) fn note_dropped(&mut self, now: Instant, number: u64) {
        if number > self.receiver.counts().data && number <= self.receiver.data_number() {
            self.sender.note_dropped(now, number);
        }
    }

    /// What has been handled of what came. What was dropped counts when the other end has heard of it.
    fn counts(&self) -> Counts {
        let counts = self.receiver.counts();
        let most = self.sender.most_handled().unwrap_or(counts.data);
        Counts { data: counts.data.min(most), ..counts }
    }

    /// The application has handled so many more of each class.
    pub(super) fn handle_consumed(&mut self, counts: Consumed) {
        for (class, count) in counts.of_classes() {
            self.receiver.handle_consumed(class, count);
        }
    }

    /// How the messages in pieces stand that come, if that has changed.
    pub(super) fn take_claim(&mut self) -> Option<Claim> {
        self.receiver.assembly().take_claim()
    }

    /// The other end may send pieces up to this offset, and is told so.
    pub(super) fn grant(&mut self, offset: u64) {
        self.receiver.assembly().grant(offset);
    }

    /// Has all leave when it is next pumped that may leave whole.
    pub(super) fn set_last_turn(&mut self) {
        self.sender.set_last_turn();
    }

    /// Whether more could leave, and waits until others have had their turn.
    pub(super) fn waits_for_turn(&self) -> bool {
        self.peer.is_some() && self.sender.waits_for_turn()
    }

    /// Takes out requests that have not left yet: those with a key that is `wanted`. Returns their keys.
    pub(super) fn withdraw(&mut self, wanted: impl Fn(u64) -> bool) -> Vec<u64> {
        self.sender.withdraw(wanted)
    }

    /// The requests that have left and are not known to have been handled.
    pub(super) fn unhandled_requests(&self) -> Vec<u64> {
        self.sender.unhandled_requests().collect()
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

    /// The fabric takes messages of so many bytes. Returns the requests that have not left and are larger, by
    /// key, with their bytes; answers of that kind say so instead.
    pub(super) fn set_limit(&mut self, limit: usize) -> Vec<(u64, usize)> {
        self.sender.set_limit(limit)
    }

    /// Returns the bytes of what is next to leave and never can.
    pub(super) fn unsendable(&self) -> Option<usize> {
        self.sender.unsendable()
    }

    /// Whether all has been handled that left before what can not leave, or can not arrive.
    pub(super) fn is_held_up_alone(&self) -> bool {
        self.sender.is_held_up_alone()
    }

    /// The key of the request that is held up, if it is one.
    pub(super) fn held_up_request(&self) -> Option<u64> {
        self.sender.held_up_request()
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

    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        let status = match (&self.peer, &self.proving) {
            (None, _) => None,
            (_, None) => self.schedule.poll_timeout(),
            (_, Some(proving)) => earliest([self.schedule.poll_timeout(), Some(proving.poll_timeout())]),
        };
        earliest([status, self.silent_at, self.sender.poll_timeout(), self.keepalive.poll_timeout()])
    }

    /// A deadline has come. Returns whether the other end is silent, once: a socket that closes waits for
    /// another one.
    pub(super) fn handle_timeout(&mut self, now: Instant) -> bool {
        self.schedule.handle_timeout(now);
        self.asks |= self.sender.handle_timeout(now);
        if self.keepalive.handle_timeout(now) {
            self.asks = true;
            self.silent_at = Some(now + self.keep_alive_timeout);
        }
        let mut is_silent = self.silent_at.take_if(|at| *at <= now).is_some();
        if let Some(proving) = self.proving.as_mut().filter(|_| self.peer.is_some()) {
            let (asks, is_over) = proving.handle_timeout(now);
            self.asks |= asks;
            is_silent |= is_over;
        }
        is_silent
    }
}

/// A window of which this part has been handled since the latest status: the writer should know, or it runs
/// out of room.
const EARLY_PART: usize = 8;

#[cfg(test)]
#[allow(clippy::disallowed_methods)]
mod tests;
