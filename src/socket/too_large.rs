//! Messages that are larger than the broker takes. Whoever writes learns the bound with the sign-in, and
//! maybe another one with the next: what was written before is looked through then. Where a fabric does not
//! say how much it takes, what is large and goes again is published so that a refusal is heard.

use std::time::Instant;

use crate::base::Code;
use crate::wire::stream::{Refusal, key};
use crate::wire::{Encoding, Item};

/// What is known of it.
#[derive(Debug)]
pub(super) struct SizeBound {
    /// Bytes of the largest message that the broker takes, as far as it has said so.
    pub(super) limit: usize,
    /// The fabric has refused a message, in these words.
    pub(super) told: Option<String>,
    /// Whether the peer was heard since it was attached: it hears why the socket closes.
    pub(super) is_peer_heard: bool,
    /// When it closes, whatever is under way.
    pub(super) gives_up_at: Option<Instant>,
}

impl Default for SizeBound {
    fn default() -> Self {
        Self { limit: usize::MAX, told: None, is_peer_heard: false, gives_up_at: None }
    }
}

impl SizeBound {
    /// Returns whether there is nothing to be done about it.
    pub(super) fn rests(&self) -> bool {
        self.told.is_none() && self.gives_up_at.is_none()
    }

    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        self.gives_up_at.filter(|_| self.is_peer_heard)
    }
}

/// Returns what says in the place of an answer that it is too large. The rest is small.
pub(super) fn refused_answer(item: &Item, limit: usize) -> Option<Item> {
    let is_answer = matches!(item.payload.encoding, Encoding::ANSWER | Encoding::ANSWER_MORE);
    let key = key(&item.payload.raw).filter(|_| is_answer)?;
    let code = Code::TooLarge.as_str().into_owned();
    let message = format!("the answer has {} bytes, and the broker takes {limit}", item.bytes());
    Some(Item { payload: Refusal { key, handled: true, code, message }.encode(), json: None })
}

/// Returns what is said of a message.
pub(super) fn text(size: usize, limit: usize) -> String {
    format!("a message of {size} bytes was written, and the broker takes {limit}")
}

/// Messages from here on are published so that a refusal is heard, when they go again: the smallest bound of
/// a broker is four times as large, and one of NATS takes fewer bytes of headers.
pub(super) const ASKED_BYTES: usize = 16 * 1024;
