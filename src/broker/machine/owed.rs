//! At a gateway: what its clients owe to those who have asked over the fabric above, and how they leave.

use std::time::Instant;

use super::super::PeerId;
use super::super::budget::Kept;
use super::super::owed_answers::Owed;
use super::super::peer::Peer;
use super::publications::tells_origin;
use super::{Broker, NOTICE_EFFORT};
use crate::subject::{Pattern, Subject};
use crate::wire::{ClientOp, Headers, Message, Payload, Presence, Publication};

impl Broker {
    /// Returns where the answer goes that a publication wants of whoever is given it, if it wants one there.
    /// What sockets ask is asked again by them, and mostly answered elsewhere.
    pub(super) fn answer_wanted(&self, publication: &Publication) -> Option<Subject> {
        let headers = &publication.headers;
        let place = headers.reply.as_ref().filter(|_| publication.is_done() && headers.command.is_none())?;
        (!tells_origin(publication)).then(|| place.clone())
    }

    /// Notes that one client here was given a publication that wants this answer; `alone`: and nobody
    /// elsewhere.
    pub(super) fn note_owed(&mut self, now: Instant, receiver: PeerId, place: Subject, alone: bool) {
        let answer = self.names.answer(&place);
        let Some(entry) = self.peers.get_mut(receiver).filter(|entry| !entry.is_internal) else { return };
        let owed = entry.owed.get_or_insert_default();
        let more = owed.make_room(now);
        owed.note(answer, Owed { asked: now, place: Some(place).filter(|_| alone) });
        if more > 0 {
            self.peers.keep_more(receiver, Kept::Other, more);
        }
    }

    /// The same of what has come from beyond, and may want an answer.
    pub(super) fn note_owed_beyond(&mut self, receiver: PeerId, place: Option<Subject>, alone: bool) {
        let asked = self.upstream.as_ref().and_then(|upstream| upstream.heard_at());
        let (Some(asked), Some(place)) = (asked, place) else { return };
        let inbox = self.peers.get(receiver).and_then(|entry| entry.inbox.clone());
        if let (Some(upstream), Some(inbox)) = (&mut self.upstream, inbox) {
            upstream.note_held(asked, &place, &inbox);
        }
        self.note_owed(asked, receiver, place, alone);
    }

    /// Handles that a client publishes what may be an answer.
    pub(super) fn handle_answer_owed(&mut self, peer: PeerId, publication: &Publication) {
        let Some(entry) = self.peers.get_mut(peer) else { return };
        let Some(owed) = entry.owed.as_mut().filter(|owed| publication.is_done() && !owed.is_empty()) else {
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

    /// Whether something may still come for a client that leaves, or somebody beyond waits for its answer
    /// and can be given it.
    pub(super) fn is_awaited_beyond(&self, now: Instant, entry: &Peer) -> bool {
        let Some(upstream) = &self.upstream else { return false };
        let is_owed = || entry.owed.as_ref().is_some_and(|owed| owed.is_awaited(now));
        upstream.drains(entry.id) || (!upstream.is_severed() && is_owed())
    }

    /// Returns whether this broker drains while the fabric above is out of reach: what waits for that, or for
    /// an answer from there, would hold it up in vain.
    pub(super) fn is_leaving_severed(&self) -> bool {
        self.is_leaving && self.upstream.as_ref().is_some_and(|upstream| upstream.is_severed())
    }

    /// Ends what waits for the fabric above, if that is out of reach and this broker drains.
    pub(super) fn end_out_of_reach(&mut self, now: Instant) {
        if !self.is_leaving_severed() {
            return;
        }
        let places = self.upstream.as_mut().map(|upstream| upstream.give_up()).unwrap_or_default();
        self.handle_upstream_events();
        places.into_iter().for_each(|place| self.tell_ended(now, place));
    }

    /// A peer is gone: whoever waits for its answers is told, now or when its client does not come back in
    /// time. It may have come back on another connection before.
    pub(super) fn end_owed(&mut self, now: Instant, peer: PeerId) {
        let Some(entry) = self.peers.get_mut(peer) else { return };
        let (Some(mut owed), Some(inbox)) = (entry.owed.take(), entry.inbox.clone()) else { return };
        let (why, places) = (entry.ends_as(), owed.take_places());
        if places.is_empty() {
            return;
        }
        let returned = self.router.first_member(&inbox).filter(|returned| *returned != peer);
        if let Some(returned) = returned {
            places.into_iter().for_each(|(asked, place)| self.note_owed(asked, returned, place, true));
        } else if why == Presence::Gone {
            places.into_iter().for_each(|(_, place)| self.tell_ended(now, place));
        } else {
            self.debtors.keep(now, inbox, places);
        }
    }

    /// A client is back that owes answers.
    pub(super) fn take_up_owed(&mut self, peer: PeerId, inbox: &Pattern) {
        for (asked, place) in self.debtors.take(inbox) {
            self.note_owed(asked, peer, place, true);
        }
    }

    /// Looks for those that have not come back in time: they may be at another gateway.
    pub(super) fn handle_debtors(&mut self, now: Instant) {
        while let Some(subject) = self.debtors.pop_due(now) {
            match &mut self.upstream {
                Some(upstream) => upstream.look_for_client(&subject),
                None => drop(self.debtors.take_sought(&subject)),
            }
        }
    }

    /// It is known whether one of them may be elsewhere.
    pub(super) fn handle_elsewhere(&mut self, now: Instant, subject: &Subject, is_there: bool) {
        let places = self.debtors.take_sought(subject);
        for (_, place) in places {
            if !is_there {
                self.tell_ended(now, place);
            } else if let Some(upstream) = &mut self.upstream {
                upstream.handle_moved(place);
            }
        }
    }

    /// Another gateway has ended, with the client of this inbox, or with whoever else was asked: those who
    /// have asked here are told, unless that client is here or elsewhere by now.
    pub(super) fn end_unanswered(&mut self, now: Instant, inbox: Option<Pattern>, places: Vec<Subject>) {
        match inbox {
            Some(inbox) if self.router.first_member(&inbox).is_some() => {}
            Some(inbox) => {
                let places = places.into_iter().map(|place| (now, place)).collect();
                if let (Some(subject), Some(upstream)) =
                    (self.debtors.seek(&inbox, places), &mut self.upstream)
                {
                    upstream.look_for_client(&subject);
                }
            }
            None => places.into_iter().for_each(|place| self.tell_ended(now, place)),
        }
    }

    /// Tells one who waits for an answer, here or beyond, that there will be none.
    fn tell_ended(&mut self, now: Instant, place: Subject) {
        self.effort += NOTICE_EFFORT;
        let message = Message { subject: place, payload: Payload::NIL, headers: Headers::ended_unanswered() };
        let publication = Publication::whole(message);
        self.publish_beyond(now, NOBODY, (None, false), publication);
    }
}

/// Who publishes what nobody has published.
const NOBODY: PeerId = PeerId { serial: u64::MAX, slot: u32::MAX };
