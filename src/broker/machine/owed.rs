//! At a gateway: what its clients owe to those who have asked over the fabric above, and how they leave.

use std::time::Instant;

use super::super::PeerId;
use super::super::given_requests::AnswerId;
use super::super::peer::Peer;
use super::Broker;
use crate::wire::{ClientOp, Publication};

impl Broker {
    /// Returns the answer that a publication wants of whoever is given it, if it wants one.
    pub(super) fn answer_wanted(&self, publication: &Publication) -> Option<AnswerId> {
        let place = publication.headers.reply.as_ref().filter(|_| publication.done);
        place.map(|place| self.names.answer(place))
    }

    /// Notes that one client alone was given a publication that wants this answer.
    pub(super) fn note_owed(&mut self, now: Instant, receiver: PeerId, answer: AnswerId) {
        let Some(entry) = self.peers.get_mut(receiver).filter(|entry| !entry.is_internal) else { return };
        let owed = entry.owed.get_or_insert_default();
        let more = owed.make_room(now);
        owed.note(now, answer);
        if more > 0 {
            self.peers.keep_more(receiver, more);
        }
    }

    /// The same of what has come from beyond, and may want an answer.
    pub(super) fn note_owed_beyond(&mut self, receiver: PeerId, answer: Option<AnswerId>) {
        let asked = self.upstream.as_ref().and_then(|upstream| upstream.heard_at());
        if let (Some(asked), Some(answer)) = (asked, answer) {
            self.note_owed(asked, receiver, answer);
        }
    }

    /// Handles that a client publishes what may be an answer.
    pub(super) fn handle_answer_owed(&mut self, peer: PeerId, publication: &Publication) {
        let Some(entry) = self.peers.get_mut(peer) else { return };
        let Some(owed) = entry.owed.as_mut().filter(|owed| publication.done && !owed.is_empty()) else {
            return;
        };
        owed.handle_answer(self.names.answer(&publication.subject));
    }

    /// A client leaves its groups in order: what the fabric above has given it until then still comes.
    pub(super) fn leave_groups_beyond(&mut self, peer: PeerId) {
        let Some(upstream) = &self.upstream else { return };
        let patterns = upstream.groups_of(peer);
        if patterns.is_empty() {
            return;
        }
        let op = ClientOp::Unsubscribe { ack: None, patterns, list: false, drain: true };
        if let Some(op) = self.begin_drain_beyond(peer, op) {
            self.drain_patterns(peer, op);
        }
    }

    /// Whether something may still come for a client that leaves, or somebody beyond waits for its answer.
    pub(super) fn is_awaited_beyond(&self, now: Instant, entry: &Peer) -> bool {
        self.upstream.as_ref().is_some_and(|upstream| upstream.drains(entry.id))
            || entry.owed.as_ref().is_some_and(|owed| owed.is_awaited(now))
    }
}
