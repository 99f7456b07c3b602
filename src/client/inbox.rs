//! Where the replies to a client's requests arrive.

use std::fmt::Write;

use super::requests::RequestId;
use crate::base::Entropy;
use crate::subject::{Pattern, Subject};
use crate::wire::{Reassembly, Subscription};

/// One pattern for all replies: `<prefix>.<random>.*`, of which the last token is the request's id.
#[derive(Debug)]
pub(super) struct Inbox {
    name: String,
    pattern: Pattern,
    /// Joins chunked replies.
    pub(super) replies: Reassembly,
}

impl Inbox {
    /// Returns an inbox that no other client has.
    pub(super) fn new(prefix: &str, entropy: &mut dyn Entropy) -> Self {
        let name = format!("{prefix}.{}", entropy.id());
        let pattern = Pattern::parse(&format!("{name}.*"))
            .unwrap_or_else(|_| Pattern::parse("_INBOX.invalid.*").expect("a literal pattern is valid"));
        Self { name, pattern, replies: Reassembly::default() }
    }

    /// Returns what the subjects of all replies begin with.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Returns the pattern to subscribe to.
    pub(super) fn pattern(&self) -> &Pattern {
        &self.pattern
    }

    /// Returns the subject for the reply to a request.
    pub(super) fn reply_subject(&self, id: RequestId) -> Option<Subject> {
        let mut text = String::with_capacity(self.name.len() + REQUEST_ID_LENGTH);
        write!(text, "{}.{id}", self.name).ok()?;
        Subject::parse(&text).ok()
    }

    /// Returns its subscription, which this connection shares with no other.
    pub(super) fn subscription(&self, entropy: &mut dyn Entropy) -> Subscription {
        Subscription { pattern: self.pattern.as_str().into(), queue: Some(entropy.id().into()) }
    }
}

/// A dot, and the digits of the largest id.
const REQUEST_ID_LENGTH: usize = 21;
