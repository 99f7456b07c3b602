//! Notes who was given a request alone, and tells whoever asked when that one ends without an answer.

use std::collections::VecDeque;
use std::time::Instant;

use super::super::PeerId;
use super::super::account::Account;
use super::super::budget::Kept;
use super::super::cut_off::CutUnanswered;
use super::super::given_requests::{AnswerId, AskedId, Askers};
use super::{Broker, NOTICE_EFFORT};
use crate::wire::message::ENDED_UNANSWERED;
use crate::wire::{AckId, OpError, Presence, Reply, ServerOp};

/// What is still to be told of connections that have ended, oldest first.
#[derive(Debug, Default)]
pub(super) struct Untold {
    requests: VecDeque<(Account, PeerId, VecDeque<AckId>)>,
    since: Option<Instant>,
}

impl Untold {
    /// Returns when the next of them can be told: at once, if there are any.
    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        self.since
    }

    fn pop(&mut self) -> Option<(Account, PeerId, AckId)> {
        loop {
            let (account, asker, acks) = self.requests.front_mut()?;
            if let Some(ack) = acks.pop_front() {
                return Some((*account, *asker, ack));
            }
            self.requests.pop_front();
        }
    }
}

impl Broker {
    /// Notes that one connection alone was given a request. `answer`: where one ends it.
    pub(super) fn note_given(
        &mut self,
        receiver: PeerId,
        asker: PeerId,
        ack: AckId,
        answer: Option<AnswerId>,
    ) {
        let Some(entry) = self.peers.get(receiver) else { return };
        let (Some(asked), knows_askers) = (entry.asked, entry.askers.is_some()) else { return };
        let Some(entry) = self.peers.get_mut(asker) else { return };
        let is_noted = entry.asks.as_mut().is_some_and(|asks| asks.try_note(asked, answer, ack));
        if !(is_noted && knows_askers) {
            self.note_first((receiver, asked), asker, (ack, answer), is_noted);
        }
    }

    /// The same where it takes memory, or whoever was asked does not know the asker.
    #[cold]
    fn note_first(
        &mut self,
        (receiver, asked): (PeerId, AskedId),
        asker: PeerId,
        (ack, answer): (AckId, Option<AnswerId>),
        is_noted: bool,
    ) {
        if !is_noted {
            let Some(entry) = self.peers.get_mut(asker) else { return };
            let asks = entry.asks.get_or_insert_default();
            let (more, less) = asks.make_room(asked, answer);
            self.peers.give_back(asker, Kept::Other, less);
            let kept = self.peers.keep(asker, Kept::Other, more);
            let Some(asks) = self.peers.get_mut(asker).and_then(|entry| entry.asks.as_mut()) else { return };
            if kept.is_err() {
                let memory = asks.take(asked).map_or(0, |(_, memory)| memory);
                return self.peers.give_back(asker, Kept::Other, memory - more);
            }
            asks.try_note(asked, answer, ack);
        }
        let Some(entry) = self.peers.get_mut(receiver) else { return };
        let mut askers = entry.askers.take().unwrap_or_default();
        if askers.is_look_due() {
            self.forget_answered(asked, &mut askers);
        }
        askers.add(asker);
        if let Some(entry) = self.peers.get_mut(receiver) {
            entry.askers = Some(askers);
        }
    }

    /// Forgets who has had all answers of one client.
    fn forget_answered(&mut self, asked: AskedId, askers: &mut Askers) {
        let peers = &mut self.peers;
        askers.retain(|asker| {
            let Some(asks) = peers.get_mut(*asker).and_then(|entry| entry.asks.as_mut()) else {
                return false;
            };
            if asks.has_open(asked) {
                return true;
            }
            let memory = asks.take(asked).map_or(0, |(_, memory)| memory);
            peers.give_back(*asker, Kept::Other, memory);
            false
        });
    }

    /// Settles what a peer that is gone was asked: whoever waits for its answers is told, now or when its
    /// client does not come back in time. It may have come back on another connection before.
    pub(super) fn end_given(&mut self, now: Instant, peer: PeerId) {
        let Some(entry) = self.peers.get_mut(peer) else { return };
        let (Some(inbox), Some(asked), Some(mut askers)) =
            (entry.inbox.take(), entry.asked.take(), entry.askers.take())
        else {
            return;
        };
        let (account, why) = (entry.account, entry.ends_as());
        let owner = self.cut_off.owner(entry.owner, &entry.user);
        let returned = self.router.first_member(&inbox);
        let returned = returned.and_then(|returned| self.peers.open_mut(returned));
        if let Some(entry) = returned.filter(|entry| entry.asked == Some(asked)) {
            return entry.askers.get_or_insert_default().take_over(*askers);
        }
        self.forget_answered(asked, &mut askers);
        if askers.is_empty() {
            return;
        }
        let cut = CutUnanswered { account, owner, asked, askers };
        let ended = if why == Presence::Gone { Some(cut) } else { self.cut_off.keep(now, inbox, cut) };
        if let Some(ended) = ended {
            self.tell_askers(now, ended);
        }
    }

    /// Tells of clients that have not come back in time, and goes on telling.
    pub(super) fn handle_cut_off(&mut self, now: Instant) {
        self.tell_untold(now);
        while let Some(cut) = self.cut_off.pop_due(now) {
            self.tell_askers(now, cut);
        }
    }

    /// How many askers a peer knows.
    #[cfg(test)]
    pub(in crate::broker) fn askers_of(&self, peer: PeerId) -> usize {
        let entry = self.peers.get(peer);
        entry.and_then(|entry| entry.askers.as_ref()).map_or(0, |askers| askers.len())
    }

    fn tell_askers(&mut self, now: Instant, ended: CutUnanswered) {
        for asker in ended.askers.into_sorted() {
            let Some(asks) = self.peers.get_mut(asker).and_then(|entry| entry.asks.as_mut()) else {
                continue;
            };
            let Some((unanswered, memory)) = asks.take(ended.asked) else { continue };
            self.peers.give_back(asker, Kept::Other, memory);
            self.untold.requests.push_back((ended.account, asker, unanswered.into_acks().into()));
        }
        if self.untold.since.is_none() {
            self.tell_untold(now);
        }
    }

    /// Tells some. Who has had the answer, which stands before this, passes over it.
    fn tell_untold(&mut self, now: Instant) {
        for _ in 0..TOLD_AT_ONCE {
            let Some((account, asker, id)) = self.untold.pop() else {
                self.untold.since = None;
                return;
            };
            self.effort += NOTICE_EFFORT;
            let reply = Reply::Error(OpError { message: ENDED.to_owned(), code: Some(ENDED_UNANSWERED) });
            self.peers.send_news(asker, ServerOp::Ack { id, reply }, account);
        }
        self.untold.since = Some(now);
    }
}

/// What is said to those whose answers will not come.
const ENDED: &str = "who was asked has ended";
/// Requests whose askers are told before others have their turn.
const TOLD_AT_ONCE: usize = 2048;
