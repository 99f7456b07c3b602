//! Tells those who watch an end what became of it.

use std::sync::Arc;

use super::super::account::Account;
use super::super::budget::Kept;
use super::super::outbox::MAX_CHANGES;
use super::super::pending_ops::Verdict;
use super::super::watches::{self, Notices, is_owner};
use super::super::{EndReason, PeerId};
use super::upstream_events::BEYOND;
use super::{Broker, NOTICE_EFFORT, SUBSCRIPTION_EFFORT, is_denied};
use crate::subject::{Pattern, Subject};
use crate::wire::{Carrier, Presence, PresenceChange, ServerOp, WatchRequest};

impl Broker {
    /// Notes that a peer lives in the broker's own process: it ends with it, for good.
    pub fn note_local(&mut self, peer: PeerId) {
        if let Some(entry) = self.peers.get_mut(peer) {
            entry.is_local = true;
        }
    }

    /// Notes how a peer that is about to be detached has come to its end, unless that is known.
    pub fn note_end(&mut self, peer: PeerId, why: Presence) {
        if let Some(entry) = self.peers.get_mut(peer) {
            entry.end.get_or_insert(why);
        }
    }

    /// Notes why the link of a peer that is about to be detached is gone.
    pub fn note_lost(&mut self, peer: PeerId, why: EndReason) {
        if let Some(entry) = self.peers.get_mut(peer) {
            // The system ends the bytes of a killed process as those of one that closes. The client says that
            // it closes; in a WebSocket the connection itself does.
            let says_so = entry.carrier != Carrier::Own || entry.end == Some(Presence::Gone);
            entry.lost = Some(if why == EndReason::Client && !says_so { EndReason::Network } else { why });
        }
    }

    /// Begins and ends watches. `verdicts` are on the subjects; none: all are allowed.
    pub(super) fn watch(&mut self, peer: PeerId, requests: Vec<WatchRequest>, verdicts: &[Verdict]) {
        let mut answers = Vec::new();
        self.effort += requests.len() as u64 * SUBSCRIPTION_EFFORT;
        for (index, WatchRequest { id, subject }) in requests.into_iter().enumerate() {
            let Some(subject) = subject else {
                self.watches.end(peer, id);
                continue;
            };
            let allowed = !is_denied(verdicts.get(index..=index).unwrap_or_default());
            let presence = if allowed { self.begin_watch(peer, id, &subject) } else { Presence::Unknown };
            answers.push(PresenceChange { id, presence, crowd: 1 });
        }
        for part in answers.chunks(MAX_CHANGES) {
            self.peers.send(peer, ServerOp::Watched(part.to_vec()));
        }
    }

    fn begin_watch(&mut self, peer: PeerId, id: u64, subject: &Arc<str>) -> Presence {
        if Subject::parse(subject).is_err() {
            return Presence::Unknown;
        }
        let beyond = self.presence_beyond();
        let Self { watches, router, peers, .. } = self;
        let find = || router.members_where(subject, |pattern| is_owner(pattern, subject));
        if !watches.has_room(peer, id, subject)
            || peers.keep(peer, Kept::Waits, watches::memory_of(subject)).is_err()
        {
            return Presence::Unknown;
        }
        let Some(owners) = watches.begin(peer, id, subject, find) else { return Presence::Unknown };
        let is_local = |owner: &PeerId| peers.get(*owner).is_some_and(|owner| owner.is_local);
        match owners {
            [] => beyond.unwrap_or(Presence::Absent),
            owners if owners.iter().all(is_local) => Presence::HereInBroker,
            _ => Presence::Here,
        }
    }

    /// The fabric above, where those may be whom nobody here owns, is out of reach, or is not any more.
    pub(super) fn handle_severed(&mut self, is_severed: bool) {
        let presence = if is_severed { Presence::Unreachable } else { Presence::Unknown };
        let mut notices = Notices::default();
        self.watches.tell_of_absent(presence, &mut notices);
        self.tell_on(BEYOND, notices);
    }

    /// What is said of an end that nobody here owns, if others than clients of this broker may own it.
    fn presence_beyond(&self) -> Option<Presence> {
        let upstream = self.upstream.as_ref()?;
        Some(if upstream.is_severed() { Presence::Unreachable } else { Presence::Unknown })
    }

    /// Handles a subscription: it may own an end.
    pub(super) fn handle_owner(&mut self, peer: PeerId, pattern: &Pattern) {
        let is_local = self.peers.get(peer).is_some_and(|entry| entry.is_local);
        let here = if is_local { Presence::HereInBroker } else { Presence::Here };
        let mut notices = Notices::default();
        self.watches.handle_owner(pattern, peer, here, &mut notices);
        self.tell(peer, notices);
    }

    /// Tells the watchers of what `owner` has done.
    pub(super) fn tell(&mut self, owner: PeerId, notices: Notices) {
        let account = self.peers.get(owner).map_or(Account::Connection(owner), |entry| entry.account);
        self.tell_on(account, notices);
    }

    /// The same at the expense of an account.
    fn tell_on(&mut self, account: Account, notices: Notices) {
        self.effort += notices.len() * NOTICE_EFFORT;
        self.told += notices.len();
        let beyond = self.presence_beyond();
        for (watcher, mut changes) in notices.into_changes() {
            if let Some(beyond) = beyond {
                // Whoever has left may be a client of another gateway by now.
                let moved = |presence| matches!(presence, Presence::Cut | Presence::Silent | Presence::Left);
                let ids: Vec<u64> =
                    changes.iter().filter(|change| moved(change.presence)).map(|change| change.id).collect();
                let untold = |id| PresenceChange { id, presence: beyond, crowd: 1 };
                changes.extend(ids.into_iter().map(untold));
            }
            for part in changes.chunks(MAX_CHANGES) {
                self.peers.send_news(watcher, ServerOp::Watched(part.to_vec()), account);
            }
        }
    }
}
