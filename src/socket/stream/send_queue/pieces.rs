//! Messages that are larger than a piece leave one at a time, piece by piece, as far as the other end has
//! granted it.

use std::time::{Duration, Instant};

use crate::socket::pause::Pause;
use crate::socket::retrying_request::MAX_PAUSE;
use crate::socket::stream::assembly::FIRST;
use crate::wire::stream::{Beginning, Class};
use crate::wire::{Item, Messages, Payload};

/// The message that is leaving, and what may leave of it. Offsets count the bytes of pieces since the
/// beginning of the socket.
#[derive(Debug)]
pub(super) struct Pieces {
    /// Bytes of a piece at most; what is larger leaves in pieces.
    size: usize,
    /// The same, but for what the fabric does not take.
    most: usize,
    begun: Option<Begun>,
    /// What has left, and what may.
    sent: u64,
    credit: u64,
    /// Credit counts until then: who does not use it leaves it to others.
    credit_until: Option<Instant>,
    /// When the other end is told (again) that something waits.
    ask_at: Option<Instant>,
    pause: Pause,
    asks: bool,
}

#[derive(Debug)]
struct Begun {
    /// As it leaves, and as it was written.
    item: Item,
    written: Item,
    class: Class,
    sent: usize,
}

/// What leaves: the message with the last of its pieces.
pub(super) struct Piece {
    pub(super) payload: Payload,
    pub(super) whole: Option<(Item, Class)>,
}

impl Pieces {
    pub(super) fn new(size: usize) -> Self {
        Self {
            size,
            most: size,
            begun: None,
            sent: 0,
            credit: 0,
            credit_until: None,
            ask_at: None,
            pause: Pause::new(MAX_PAUSE),
            asks: false,
        }
    }

    /// Returns whether these are one message that is larger than a piece.
    pub(super) fn is_big(&self, messages: &Messages) -> bool {
        matches!(messages, Messages::One(item) if item.bytes() > self.size)
    }

    /// The fabric takes messages of so many bytes. What is larger begins, if it can, and leaves in no piece.
    pub(super) fn set_limit(&mut self, limit: usize) {
        self.size = self.most.min(limit);
    }

    /// The bytes of the message that is leaving.
    pub(super) fn whole_bytes(&self) -> usize {
        self.begun.as_ref().map_or(0, |begun| begun.item.bytes())
    }

    /// Begins with a message, which was written as `written`.
    pub(super) fn begin(&mut self, item: Item, written: Item, class: Class) {
        self.begun = Some(Begun { item, written, class, sent: 0 });
    }

    /// The class of the message that is leaving.
    pub(super) fn class(&self) -> Option<Class> {
        self.begun.as_ref().map(|begun| begun.class)
    }

    /// Takes out what has not left as a whole: the socket is at its end.
    pub(super) fn take(&mut self) -> Option<Item> {
        self.begun.take().map(|begun| begun.written)
    }

    /// Returns the next piece, if it may leave beside what is under way.
    pub(super) fn poll(&mut self, now: Instant, room: usize) -> Option<Piece> {
        let is_live = self.credit_until.is_some_and(|until| now < until);
        let left = usize::try_from(self.credit.saturating_sub(self.sent)).unwrap_or(usize::MAX);
        let granted = if is_live { left } else { 0 };
        let Begun { item, class, sent, .. } = self.begun.as_mut()?;
        let (rest, is_first) = (item.bytes() - *sent, *sent == 0);
        let length = rest.min(self.size).min(if is_first { granted.max(FIRST) } else { granted });
        if length == 0 {
            // Credit that is over has to be asked for; else it comes by itself.
            let pause = if left > 0 { Duration::ZERO } else { self.pause.current() };
            self.ask_at.get_or_insert(now + pause);
            return None;
        }
        if length > room {
            return None;
        }
        let payload = match is_first {
            true => Beginning::of(item, length),
            false => Beginning::more(item, *sent, length),
        };
        *sent += length;
        self.sent += length as u64;
        self.ask_at = None;
        let is_last = length == rest;
        let class = *class;
        let whole = if is_last { self.take().map(|item| (item, class)) } else { None };
        Some(Piece { payload, whole })
    }

    /// The other end takes pieces up to this offset.
    pub(super) fn handle_credit(&mut self, now: Instant, offset: u64) {
        self.credit = self.credit.max(offset);
        self.pause.reset();
        self.handle_progress(now);
    }

    /// Something has arrived: the other end knows that what it granted is used.
    pub(super) fn handle_progress(&mut self, now: Instant) {
        self.credit_until = Some(now + CREDIT_TIME);
        self.ask_at = None;
    }

    /// What was granted before does not count any more.
    pub(super) fn attach(&mut self, now: Instant) {
        self.credit_until = None;
        self.ask_at = self.begun.as_ref().filter(|begun| begun.sent > 0).map(|_| now);
        self.pause.reset();
    }

    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        self.ask_at
    }

    pub(super) fn handle_timeout(&mut self, now: Instant) {
        if self.ask_at.is_some_and(|at| at <= now) {
            self.ask_at = Some(now + self.pause.take());
            self.asks = true;
        }
    }

    /// The other end is to hear of what waits behind the message that has begun.
    pub(super) fn ask(&mut self) {
        self.asks = true;
    }

    /// Returns whether the other end is to be told what waits.
    pub(super) fn asks(&self) -> bool {
        self.asks
    }

    /// Returns up to which offset there is something to send, with so many bytes behind what has begun, if
    /// the other end is to be told.
    pub(super) fn take_wanted(&mut self, behind: usize) -> Option<u64> {
        let rest = self.begun.as_ref().map_or(0, |begun| begun.item.bytes() - begun.sent);
        std::mem::take(&mut self.asks).then_some(self.sent + (rest + behind) as u64)
    }
}

/// How long credit counts after it was heard of, or after something has arrived. The other end counts it for
/// twice as long.
const CREDIT_TIME: Duration = Duration::from_secs(1);
