//! What leaves one end of a stream: items, and with the last of them a status, if there is anything to say.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::Stream;
use super::status_schedule::Standing;
use crate::base::{FaultInjector, FaultPoint};
use crate::socket::stale;
use crate::socket::surroundings::Surroundings;
use crate::socket::too_large::ASKED_BYTES;
use crate::socket::{
    CloseReason, Leaving, Output, PeerMisbehaved, SocketCounters, SocketEvent, Tag, TagKind,
};
use crate::subject::Subject;
use crate::wire::stream::{Close, Status};
use crate::wire::{Bundle, Headers, Item, Message, Messages, PackedMessages, Payload};

impl Stream {
    /// What a `connect` and its answer say when a socket goes on: what we have, and the number that we use
    /// next.
    pub(in crate::socket) fn attach_status(&self) -> (u64, Payload) {
        let (missing, _) = if self.receiver.has_gap() { self.receiver.missing() } else { (Vec::new(), 0) };
        let counts = self.counts();
        let status = Status { counts, was_away: true, asks: true, missing, ..Status::default() };
        (self.sender.next(), status.encode())
    }

    /// Our end closes. The message is the last one that leaves.
    pub(in crate::socket) fn closing(
        &self,
        subject: Subject,
        reason: &CloseReason,
        leaving: Leaving,
    ) -> Message {
        let is_asked_for = leaving != Leaving::Displaced;
        let counts = if is_asked_for { self.counts() } else { self.receiver.counts_of_handed() };
        let is_draining = leaving != Leaving::No && reason.is_of_listener();
        let written = self.sender.written();
        let (code, message) = (reason.code().into_owned(), reason.message_to_peer());
        let close = Close { counts, written, is_draining, code, message, ..Close::default() };
        self.frame(subject, self.sender.next(), close.encode())
    }

    /// How many messages of data, of so many that the other end has written, were not handed over.
    pub(in crate::socket) fn missing_of(&self, written: u64) -> u64 {
        written.saturating_sub(self.receiver.data_number())
    }

    /// Whether a status that was to be told of reached nobody.
    pub(in crate::socket) fn is_current_probe(&self, tag: Tag) -> bool {
        tag.kind == TagKind::Probe && tag.number == self.probe && self.peer.is_some()
    }

    /// Lets leave what may leave, and says what has to be said. Called when a batch of commands, or of what
    /// came, is done with: so that what one of them brings about carries what another one has to say.
    pub(in crate::socket) fn pump(
        &mut self,
        now: Instant,
        around: &mut Surroundings<'_>,
    ) -> Result<(), PeerMisbehaved> {
        self.latest = now;
        // What was held up by the windows may be handed over now.
        self.hand_over(around)?;
        self.transmit_all(now, around.outputs, around.faults);
        Ok(())
    }

    fn transmit_all(&mut self, now: Instant, outputs: &mut VecDeque<Output>, faults: &mut FaultInjector) {
        if self.has_news_of_proof() {
            self.proving = None;
            outputs.push_back(Output::Proven);
        }
        let counters = self.current_counters();
        if counters != self.counters {
            self.counters = counters;
            outputs.push_back(Output::Event(SocketEvent::Counters(counters)));
        }
        if self.receiver.take_duplicate() {
            self.schedule.handle_duplicate();
        }
        let stale = stale::events(self.sender.take_stale(now));
        outputs.extend(stale.map(Output::Event));
        if self.peer.is_none() {
            return;
        }
        // What is under way brings us here again.
        let is_forced_small = self.sender.is_under_way() && faults.should_inject(FaultPoint::TinyWindow);
        let is_short = self.sender.has_more() && faults.should_inject(FaultPoint::ShortTurn);
        self.sender.begin_turn(is_short);
        let fresh = self.sender.next();
        let mut last: Option<(u64, Messages)> = None;
        while !is_forced_small
            && self.sender.has_more()
            && let Some(next) = self.sender.poll_transmit(now)
        {
            if let Some((first, messages)) = last.replace(next) {
                let peer = self.peer.clone();
                outputs.extend(peer.map(|peer| self.transmit(peer, (first, fresh), messages)));
            }
        }
        let standing = self.standing();
        self.schedule.handle_standing(&standing);
        let is_delayed = faults.should_inject(FaultPoint::DelayedAck);
        if is_delayed {
            self.schedule.hold(now + DELAYED_STATUS);
        }
        let is_due = if last.is_some() {
            self.schedule.check_ride(now, &standing, &self.early)
                || faults.should_inject(FaultPoint::EarlyAck)
        } else {
            self.schedule.check_due(now, &standing, &self.early) || faults.should_inject(FaultPoint::EarlyAck)
        };
        let asks = self.asks;
        if self.receiver.assembly().is_raised() && faults.should_inject(FaultPoint::LostCredit) {
            self.receiver.assembly().take_raised();
        }
        let is_about_credit = self.sender.asks_for_credit() || self.receiver.assembly().is_raised();
        let is_said = asks || is_about_credit || (is_due && !is_delayed);
        if last.is_none() && !is_said {
            return;
        }
        let status = is_said.then(|| self.status(now, &standing));
        let Some(peer) = self.peer.clone() else { return };
        match (last, status) {
            (None, None) => {}
            (Some((first, messages)), None) => {
                outputs.push_back(self.transmit(peer, (first, fresh), messages));
            }
            (Some((first, messages)), Some(status)) => {
                let joined = self.join(&messages, first, &status);
                match joined {
                    Some(packed) => {
                        outputs.push_back(self.transmit(peer, (first, fresh), Messages::Packed(packed)));
                    }
                    None => {
                        outputs.push_back(self.transmit(peer.clone(), (first, fresh), messages));
                        outputs.push_back(Output::Publish(self.frame(
                            peer,
                            self.sender.next(),
                            status.encode(),
                        )));
                    }
                }
            }
            (None, Some(status)) => {
                let mut message = self.frame(peer, self.sender.next(), status.encode());
                outputs.push_back(if asks {
                    let identity = self.proving.as_ref().and_then(|proving| proving.identity());
                    message.headers.json = self.identity.as_ref().or(identity).cloned();
                    self.probe = self.probe.wrapping_add(1);
                    let tag = Tag { kind: TagKind::Probe, number: self.probe };
                    Output::Probe { tag, message: message.into(), timeout: self.keep_alive_timeout }
                } else {
                    Output::Publish(message)
                });
            }
        }
    }

    /// Whether `pump` would do nothing, and no deadline is earlier than before what came last: that has
    /// changed no more than a status says that leaves in its time.
    pub(in crate::socket) fn rests(&self) -> bool {
        self.peer.is_some()
            && !self.asks
            && !self.has_news_of_proof()
            && self.sender.rests()
            && self.receiver.rests()
            && self.counters == self.current_counters()
            && self.schedule.rests(&self.standing(), &self.early)
    }

    /// Whether the client has said something since the server accepted it at once.
    fn has_news_of_proof(&self) -> bool {
        self.is_proven && self.proving.as_ref().is_some_and(|proving| proving.is_server())
    }

    fn current_counters(&self) -> SocketCounters {
        let (resent, duplicates) = (self.sender.resent(), self.receiver.duplicates());
        SocketCounters { resent, duplicates, foreign: self.foreign }
    }

    fn standing(&self) -> Standing {
        Standing {
            counts: self.counts(),
            bytes: self.receiver.bytes(),
            is_caught_up: self.receiver.unconsumed() == 0,
            has_gap: self.receiver.has_gap(),
        }
    }

    fn status(&mut self, now: Instant, standing: &Standing) -> Status {
        let wants_missing = self.schedule.wants_missing(standing);
        let (missing, upto) = if wants_missing { self.receiver.missing() } else { (Vec::new(), 0) };
        if wants_missing {
            tracing::debug!(ranges = missing.len(), upto, "asking for what is missing");
        }
        self.schedule.handle_said(now, standing, wants_missing.then_some(upto));
        let (asks, was_away) = (std::mem::take(&mut self.asks), std::mem::take(&mut self.returns));
        let (wants, credit) = (self.sender.take_wanted(), self.receiver.assembly().take_raised());
        let counts = standing.counts;
        Status { counts, asks, was_away, missing, wants, credit, ..Status::default() }
    }

    /// The messages with a status behind them, if they are the last ones, few and small: a copy is cheaper
    /// than a frame then.
    fn join(&self, messages: &Messages, first: u64, status: &Status) -> Option<PackedMessages> {
        let is_last = first + u64::from(messages.count()) == self.sender.next();
        if is_last { messages.with_status(status, MAX_PACKED, MAX_JOINED_BYTES) } else { None }
    }

    /// Messages from number `fresh` on leave for the first time. What is large and goes again may be what the
    /// fabric refuses: that is asked for.
    fn transmit(&self, subject: Subject, (first, fresh): (u64, u64), messages: Messages) -> Output {
        match messages {
            Messages::One(item) => {
                let asks = first < fresh && item.bytes() >= ASKED_BYTES;
                let Item { payload, json } = item;
                let headers = Headers::numbered(Some(first), Some(self.tags.peer)).with_json(json);
                let message = Message { subject, payload, headers };
                if asks {
                    let tag = Tag { kind: TagKind::Resent, number: 0 };
                    return Output::Probe { tag, message: message.into(), timeout: self.keep_alive_timeout };
                }
                Output::Publish(message)
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
        let headers = Headers::numbered(Some(seq), Some(self.tags.peer));
        Message { subject, payload, headers }
    }
}

/// Most messages that a status joins, itself included.
const MAX_PACKED: u32 = crate::wire::message::packed::MAX_PACKED;
/// Most bytes that are copied to let a status ride.
const MAX_JOINED_BYTES: usize = 8 * 1024;
/// How long a status is held back at [`FaultPoint::DelayedAck`].
const DELAYED_STATUS: Duration = Duration::from_millis(200);
