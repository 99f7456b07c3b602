//! What comes to one end of a stream: items are handed over, a status says how far the other end is.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::{Accepted, Received, Stream};
use crate::base::FaultPoint;
use crate::socket::surroundings::Surroundings;
use crate::socket::{Output, PeerMisbehaved, SocketEvent};
use crate::wire::message::packed::MAX_PACKED;
use crate::wire::stream::{CancelReason, Class, Close, Dropped, Status, Timed};
use crate::wire::{Bundle, Encoding, Item, Message, Messages, PackedMessages, Payload};

impl Stream {
    /// A frame that came to us.
    pub(in crate::socket) fn handle_message(
        &mut self,
        now: Instant,
        message: Message,
        around: &mut Surroundings<'_>,
    ) -> Result<Received, PeerMisbehaved> {
        let Message { payload, mut headers, .. } = message;
        if headers.attempt() != Some(self.tags.own) {
            self.foreign += 1;
            return Ok(Received::Foreign);
        }
        self.handle_sign_of_life(now);
        let seq = headers.seq().ok_or(PeerMisbehaved::BadHeader)?;
        match payload.encoding {
            Encoding::STATUS => {
                self.handle_status_message(now, seq, &payload.raw, around.outputs)?;
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
                let is_timed = payload.encoding.is_timed();
                self.receiver.handle_item(seq, Item { payload, json: headers.take_json() })?;
                if is_timed {
                    self.receiver.note_arrival(now, seq);
                }
                self.hand_over(around)?;
            }
        }
        Ok(Received::Done)
    }

    /// Takes one message that came to us, if it is just what is next. Returns whether: if not, it is as it
    /// was. Most messages come like that, and nothing waits before them: what the application gets of them is
    /// put into `given`, and comes before all outputs.
    pub(in crate::socket) fn try_accept_one(
        &mut self,
        now: Instant,
        message: &mut Message,
        given: &mut Option<Messages>,
        around: &mut Surroundings<'_>,
    ) -> Result<bool, PeerMisbehaved> {
        let Message { payload, headers, .. } = &*message;
        let Some(seq) = headers.seq().filter(|_| headers.attempt() == Some(self.tags.own)) else {
            return Ok(false);
        };
        self.receiver.set_forced_small(around.faults.should_inject(FaultPoint::TinyWindow));
        let bytes = payload.raw.len() + headers.json.as_ref().map_or(0, |json| json.as_bytes().len());
        let fits = bytes <= self.max_message;
        let Some(class) = fits.then(|| self.receiver.try_accept_one(seq, payload, bytes)).flatten() else {
            return Ok(false);
        };
        self.handle_sign_of_life(now);
        let payload = std::mem::replace(&mut message.payload, Payload::NIL);
        let item = Item { payload, json: message.headers.take_json() };
        let is_wanted = class == Class::Data
            || around.try_settle(self.latest, item.payload.encoding, &item.payload.raw)?;
        if !is_wanted {
            self.give_other(class, item, around);
        } else if around.outputs.is_empty() {
            *given = Some(Messages::One(item));
        } else {
            around.emit(SocketEvent::Data(Messages::One(item)));
        }
        self.cancel_satisfied(around);
        Ok(true)
    }

    /// Messages in a row that came to us, the first with this number.
    pub(in crate::socket) fn try_accept_bundle(
        &mut self,
        now: Instant,
        bundle: &Bundle,
        around: &mut Surroundings<'_>,
    ) -> Accepted {
        let Some(first) = bundle.first.filter(|_| bundle.attempt == Some(self.tags.own)) else {
            return Accepted::No;
        };
        self.receiver.set_forced_small(around.faults.should_inject(FaultPoint::TinyWindow));
        let (packed, control) = match bundle.packed.split_control() {
            Some((others, control)) => (others, Some(control)),
            None => (bundle.packed.clone(), None),
        };
        if !self.receiver.try_accept(first, &packed) {
            return Accepted::No;
        }
        self.handle_sign_of_life(now);
        let next = first + u64::from(packed.count());
        if packed.is_data() {
            around.emit(SocketEvent::Data(simplest(packed)));
        } else if let Err(error) = self.give(packed, around) {
            return Accepted::Misbehaved(error);
        }
        match control {
            None => Accepted::All,
            Some(control) if control.encoding == Encoding::STATUS => {
                match self.handle_status_message(now, next, control.payload, around.outputs) {
                    Ok(()) => Accepted::All,
                    Err(error) => Accepted::Misbehaved(error),
                }
            }
            Some(control) => Accepted::AllBut(bundle.packed.item(control)),
        }
    }

    fn handle_status_message(
        &mut self,
        now: Instant,
        seq: u64,
        payload: &[u8],
        outputs: &mut VecDeque<Output>,
    ) -> Result<(), PeerMisbehaved> {
        self.receiver.handle_next(seq)?;
        let status = Status::decode(payload).ok_or(PeerMisbehaved::BadControl)?;
        self.handle_status(now, &status, outputs)
    }

    /// Hands over messages in a row that are not all data, but for those that nobody wants.
    fn give(&mut self, packed: PackedMessages, around: &mut Surroundings<'_>) -> Result<(), PeerMisbehaved> {
        let mut unwanted = Unwanted::default();
        for (at, item) in packed.refs().enumerate() {
            if !around.try_settle(self.latest, item.encoding, item.payload)? {
                unwanted.add(at);
            }
        }
        if unwanted.is_empty() {
            around.emit(SocketEvent::Data(simplest(packed)));
        } else {
            for (at, item) in packed.items().enumerate() {
                match item.payload.encoding.class() {
                    _ if !unwanted.has(at) => around.emit(SocketEvent::Data(Messages::One(item))),
                    Some(class) => self.give_other(class, item, around),
                    None => {}
                }
            }
        }
        self.cancel_satisfied(around);
        Ok(())
    }

    /// What is neither data as it was written nor wanted by the application as it is.
    fn give_other(&mut self, class: Class, item: Item, around: &mut Surroundings<'_>) {
        let Item { payload, json } = item;
        if payload.encoding.is_timed() {
            let arrived_at = self.receiver.arrived_at().unwrap_or(self.latest);
            let timed = Timed::decode(&payload.raw).filter(|_| payload.encoding == Encoding::TIMED);
            let until = timed.as_ref().map(|timed| arrived_at + timed.left);
            let item = Item { payload: timed.map_or(Payload::NIL, |timed| timed.payload), json };
            return around.emit(SocketEvent::Timed { item, until, number: self.receiver.data_number() });
        }
        if payload.encoding == Encoding::DROPPED
            && let Some(Dropped { number }) = Dropped::decode(&payload.raw)
            && number > self.sender.acked()
            && number <= self.sender.written()
        {
            around.emit(SocketEvent::Dropped(number));
        }
        self.receiver.handle_consumed(class, 1);
    }

    /// Requests that have had as many answers as they want: no others are to come.
    fn cancel_satisfied(&mut self, around: &mut Surroundings<'_>) {
        for key in around.report_satisfied() {
            self.cancel(self.latest, key, CancelReason::Dropped);
        }
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
    pub(in crate::socket) fn handle_status(
        &mut self,
        now: Instant,
        status: &Status,
        outputs: &mut VecDeque<Output>,
    ) -> Result<(), PeerMisbehaved> {
        if self.sender.handle_counts(now, &status.counts)? {
            self.emit_acked(outputs);
        }
        if self.proving.as_ref().is_some_and(|proving| proving.is_settled_by(status.counts.arrived)) {
            self.proving = None;
        }
        if status.asks {
            self.schedule.handle_question();
        }
        if let Some(offset) = status.credit {
            self.sender.handle_credit(now, offset);
        }
        if let Some(offset) = status.wants {
            self.receiver.assembly().handle_wanted(offset);
        }
        // One that says more often that it was away is answered, and not sent everything again.
        if status.was_away && self.returned_at.is_none_or(|at| now >= at + RETURN_PAUSE) {
            self.returned_at = Some(now);
            self.sender.handle_return(now, status.counts.arrived, &status.missing);
        } else if !status.missing.is_empty() {
            self.sender.handle_missing(now, status.counts.arrived, &status.missing);
        }
        Ok(())
    }

    /// The status in a `connect` or its answer.
    pub(in crate::socket) fn handle_attach_status(
        &mut self,
        now: Instant,
        message: &Message,
        outputs: &mut VecDeque<Output>,
    ) -> Result<(), PeerMisbehaved> {
        let Some(seq) = message.headers.seq().filter(|_| message.payload.encoding == Encoding::STATUS) else {
            return Ok(());
        };
        let status = Status::decode(&message.payload.raw).ok_or(PeerMisbehaved::BadControl)?;
        self.receiver.handle_next(seq)?;
        self.returned_at = None;
        // It is answered by what it came with, or answers that.
        self.handle_status(now, &Status { asks: false, ..status }, outputs)
    }

    fn emit_acked(&self, outputs: &mut VecDeque<Output>) {
        let (messages, bytes) = (self.sender.acked(), self.sender.acked_bytes());
        outputs.push_back(Output::Event(SocketEvent::Acked { messages, bytes }));
    }

    pub(super) fn hand_over(&mut self, around: &mut Surroundings<'_>) -> Result<(), PeerMisbehaved> {
        while let Some(item) = self.receiver.poll_item()? {
            match item.payload.encoding.class() {
                Some(class)
                    if !around.try_settle(self.latest, item.payload.encoding, &item.payload.raw)? =>
                {
                    self.give_other(class, item, around);
                }
                _ => around.emit(SocketEvent::Data(Messages::One(item))),
            }
        }
        self.cancel_satisfied(around);
        Ok(())
    }
}

/// Which of packed messages nobody wants.
#[derive(Default)]
struct Unwanted([u64; MAX_PACKED.div_ceil(u64::BITS) as usize]);

impl Unwanted {
    fn add(&mut self, at: usize) {
        self.0[at / BITS] |= 1 << (at % BITS);
    }

    fn has(&self, at: usize) -> bool {
        self.0[at / BITS] & 1 << (at % BITS) != 0
    }

    fn is_empty(&self) -> bool {
        self.0 == Self::default().0
    }
}

const BITS: usize = u64::BITS as usize;

/// One message as one.
pub(super) fn simplest(packed: PackedMessages) -> Messages {
    if packed.count() > 1 {
        return Messages::Packed(packed);
    }
    packed.into_one().map_or_else(Messages::Packed, Messages::One)
}

/// An end that says more often that it was away is not sent everything again.
const RETURN_PAUSE: Duration = Duration::from_millis(500);
