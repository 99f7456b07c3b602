//! What is larger than the fabric takes: it waits for ever, so that it has to be told.

use super::SendQueue;
use crate::socket::too_large::{ASKED_BYTES, refused_answer};
use crate::wire::Messages;
use crate::wire::stream::{Class, key};

impl SendQueue {
    /// Sets the bytes of the largest message that the fabric takes. Answers that wait and are larger are
    /// replaced by what says so. Returns requests that wait and are larger, with their bytes.
    pub fn set_limit(&mut self, limit: usize) -> Vec<(u64, usize)> {
        self.limit = limit;
        self.pieces.set_limit(limit);
        let mut requests = Vec::new();
        for messages in self.waiting.iter_mut().chain(&mut self.passing) {
            let bytes = messages.bytes();
            let Messages::One(item) = messages else { continue };
            let class = item.payload.encoding.class().filter(|_| bytes > limit);
            if class == Some(Class::Request) {
                requests.extend(key(&item.payload.raw).map(|key| (key, bytes)));
            } else if class == Some(Class::Answer)
                && let Some(refusal) = refused_answer(item, limit)
            {
                let known = &mut self.waiting_sizes.bytes[Class::Answer as usize];
                *known = *known + refusal.bytes() - bytes;
                *item = refusal;
            }
        }
        requests
    }

    /// Returns the bytes of what is next to leave, if it is larger than the fabric takes.
    pub fn unsendable(&self) -> Option<usize> {
        let front = match self.pieces.whole_bytes() {
            0 => self.waiting.front().map_or(0, Messages::bytes),
            begun => begun,
        };
        (front > self.limit && self.waiting.front().is_none_or(|front| matches!(front, Messages::One(_))))
            .then_some(front)
    }

    /// Returns the key of the request that is first in flight, and so large that the fabric may have refused
    /// it.
    pub fn held_up_request(&self) -> Option<u64> {
        let Messages::One(item) = self.flight.first()? else { return None };
        let is_request = item.payload.encoding.class() == Some(Class::Request);
        key(&item.payload.raw).filter(|_| is_request && item.bytes() >= ASKED_BYTES)
    }

    /// Whether all has been handled that left before what is held up: of what is in flight the first is so
    /// large that it may be that.
    pub fn is_held_up_alone(&self) -> bool {
        self.kept.count() == 0 && self.flight.first().is_none_or(|first| first.bytes() >= ASKED_BYTES)
    }
}
