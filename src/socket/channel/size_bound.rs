//! What a channel does about messages that are larger than the broker takes.

use std::time::{Duration, Instant};

use super::{Channel, Mode};
use crate::base::{Code, Failure};
use crate::socket::too_large::{refused_answer, text};
use crate::socket::{CloseReason, CommandError, Tag, TagKind, WriteError};
use crate::wire::stream::{Class, key};
use crate::wire::{Item, Messages};

impl Channel {
    /// The broker takes messages of so many bytes. Requests that wait and are larger fail, one by one.
    /// Returns why the socket closes, if it does.
    pub(in crate::socket) fn set_limit(&mut self, limit: usize) -> Option<CloseReason> {
        self.bound.limit = limit;
        let (mode, _) = self.parts();
        let (requests, data) = match mode {
            Mode::Unsettled(unsent) => unsent.larger_than(limit),
            Mode::Stream(stream) => (stream.set_limit(limit), None),
            Mode::Conat(conat) => {
                conat.set_limit(limit);
                (Vec::new(), None)
            }
        };
        for (key, size) in requests {
            self.refuse_request(key, size);
        }
        data.map(|size| CloseReason::Unsendable(text(size, limit)))
    }

    /// Takes back a request that is too large, and fails it.
    fn refuse_request(&mut self, key: u64, size: usize) {
        self.withdraw(|other| other == key);
        let failure = Failure::new(Code::TooLarge, text(size, self.bound.limit));
        self.fail_request_with(key, failure, true);
    }

    /// Writes one message that is larger than the broker takes, which the application could not know yet.
    pub(super) fn write_too_large(
        &mut self,
        now: Instant,
        item: Item,
        volatile: bool,
    ) -> Result<(), WriteError> {
        let size = item.bytes();
        match item.payload.encoding.class() {
            Some(Class::Request) => {
                self.open_request(now, item.payload.encoding, &item.payload.raw);
                if let Some(key) = key(&item.payload.raw) {
                    self.refuse_request(key, size);
                }
                Ok(())
            }
            Some(Class::Answer) => {
                let item = refused_answer(&item, self.bound.limit).unwrap_or(item);
                self.write_mixed(now, Messages::One(item))
            }
            // It stands in the way of what is behind it, until that is told.
            _ => self.write_plain(now, Messages::One(item), volatile),
        }
    }

    /// Whether a refused answer was of several messages, and fewer may do.
    fn may_resend_less(&mut self, tag: Tag) -> bool {
        match &mut self.mode {
            Mode::Conat(conat) => conat.may_resend_less(tag.number > 0),
            _ => false,
        }
    }

    /// Notes that the fabric has refused what went again. Returns whether that was all that the answer says.
    pub(super) fn handle_refused_size(&mut self, tag: Tag, error: &CommandError) -> bool {
        let CommandError::TooLarge(text) = error else { return tag.kind == TagKind::Resent };
        if tag.kind == TagKind::Resent && !self.may_resend_less(tag) {
            self.bound.told = Some(text.clone());
        }
        true
    }

    /// Returns why the socket closes, if what can never leave is all that is left, or has been for too long.
    pub(in crate::socket) fn poll_unsendable(&mut self, now: Instant) -> Option<CloseReason> {
        let unsendable = match &self.mode {
            Mode::Unsettled(_) => return None,
            Mode::Stream(stream) => stream.unsendable(),
            Mode::Conat(conat) => conat.unsendable(),
        };
        if unsendable.is_none() && self.bound.told.is_none() {
            self.bound.gives_up_at = None;
            return None;
        }
        self.check_unsendable(now, unsendable)
    }

    /// The same, where there is something.
    #[cold]
    fn check_unsendable(&mut self, now: Instant, unsendable: Option<usize>) -> Option<CloseReason> {
        let told = self.bound.told.as_ref();
        let text = unsendable.map(|size| text(size, self.bound.limit)).or_else(|| told.cloned())?;
        let is_alone = match &self.mode {
            Mode::Unsettled(_) => return None,
            Mode::Stream(stream) => stream.is_held_up_alone(),
            Mode::Conat(conat) => conat.is_held_up_alone(),
        };
        let gives_up_at = *self.bound.gives_up_at.get_or_insert(now + MAX_WAIT);
        if !self.bound.is_peer_heard || (!is_alone && now < gives_up_at) {
            return None;
        }
        if let Mode::Stream(stream) = &self.mode
            && let Some(key) = stream.held_up_request()
        {
            self.fail_request_with(key, Failure::new(Code::TooLarge, &text), true);
        }
        Some(CloseReason::Unsendable(text))
    }
}

/// How long what left before is waited for.
const MAX_WAIT: Duration = Duration::from_secs(10);
