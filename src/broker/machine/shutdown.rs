//! The end of a broker: at once, or in order.

use std::time::{Duration, Instant};

use super::super::drain::{Drain, LeavingStep, notice};
use super::super::peer::Peer;
use super::super::{DisconnectReason, EndReason, PeerId};
use super::Broker;
use crate::wire::Carrier;

impl Broker {
    /// Shuts down: every peer gets a close reason, with its outbox left to flush; so does every later one.
    pub fn close(&mut self) {
        self.admission.close();
        if let Some(upstream) = &mut self.upstream {
            upstream.say_last();
        }
        let open: Vec<PeerId> =
            self.peers.all().into_iter().filter(|peer| peer.close.is_none()).map(|peer| peer.id).collect();
        for peer in open {
            self.retire(peer, EndReason::Shutdown);
            self.peers.close(peer, DisconnectReason::ShutDown);
        }
    }

    /// Accepts no more connections, and sends the present ones away, spread over this time: the oldest first,
    /// but those that others have asked after those who may be asking them. Whoever is sent away asks nothing
    /// more, and goes when it is answered, and has answered.
    pub fn drain(&mut self, now: Instant, spread: Duration) {
        self.admission.close();
        self.note_drain();
        self.drain = Some(Drain::new(now, spread, self.connections()));
        self.leave(now);
        self.release_due(now);
    }

    /// A drain begins, perhaps with the clients in this process, which the others need until then: nothing
    /// waits any more for a fabric above that is out of reach.
    pub fn leave(&mut self, now: Instant) {
        self.is_leaving = true;
        self.end_out_of_reach(now);
    }

    /// Returns, once a drain, that the last connection has gone.
    pub fn poll_drained(&mut self) -> bool {
        let Self { drain: Some(drain), admission, peers, .. } = self else { return false };
        admission.total() == 0 && !peers.all().iter().any(|peer| !peer.is_internal) && drain.try_report()
    }

    /// Sends those away whose time has come in a drain.
    pub(super) fn release_due(&mut self, now: Instant) {
        while self.drain.as_mut().is_some_and(|drain| drain.try_release(now)) {
            let next = self.next_to_leave();
            let Some(drain) = &mut self.drain else { return };
            match next {
                Next::Peer(peer) => {
                    drain.begin_wait(now, peer);
                    let account = self.peers.get(peer).map(|entry| entry.account);
                    if let Some(account) = account.filter(|_| self.hears_of_ends(peer)) {
                        self.peers.send_news(peer, notice(), account);
                    }
                }
                Next::Wait => {
                    drain.postpone(now);
                    break;
                }
                Next::Nobody => drain.handle_empty(),
            }
        }
        self.close_answered(now);
    }

    /// Those who have been asked stay until those who may be asking them have their answers.
    fn next_to_leave(&self) -> Next {
        let leavers = self.drain.as_ref().map_or(&[][..], |drain| &drain.leavers);
        let is_present =
            |peer: &&Peer| peer.close.is_none() && !leavers.iter().any(|leaver| leaver.peer == peer.id);
        let next = self.peers.all().into_iter().filter(is_present).min_by_key(|peer| peer.is_asked());
        let is_asked = |peer: PeerId| self.peers.get(peer).is_some_and(Peer::is_asked);
        match next {
            None => Next::Nobody,
            Some(peer) if !peer.is_asked() || leavers.iter().all(|leaver| is_asked(leaver.peer)) => {
                Next::Peer(peer.id)
            }
            Some(_) => Next::Wait,
        }
    }

    /// Closes those that were sent away, with their outboxes left to flush: who has asked when it has its
    /// answers, and who was asked when it has answered.
    fn close_answered(&mut self, now: Instant) {
        let Some(drain) = &mut self.drain else { return };
        let leavers = std::mem::take(&mut drain.leavers);
        let mut waiting = Vec::with_capacity(leavers.len());
        for mut leaver in leavers {
            let Some(entry) = self.peers.get(leaver.peer).filter(|entry| entry.close.is_none()) else {
                continue;
            };
            let is_answered = match leaver.step {
                // Who does not know the word would go on asking.
                LeavingStep::Told(until) => {
                    entry.carrier == Carrier::Conat || entry.is_internal || now >= until
                }
                LeavingStep::Quiet => false,
                LeavingStep::Answered => true,
            };
            if is_answered && !leaver.is_leaving {
                leaver.is_leaving = true;
                self.leave_groups_beyond(leaver.peer);
            }
            if is_answered && !self.is_awaited(now, leaver.peer) {
                self.retire(leaver.peer, EndReason::Drain);
                self.peers.close(leaver.peer, DisconnectReason::ShutDown);
            } else {
                waiting.push(leaver);
            }
        }
        if let Some(drain) = &mut self.drain {
            drain.leavers = waiting;
            drain.look_again(now);
        }
    }

    /// Whether somebody waits for an answer of this connection.
    fn is_awaited(&self, now: Instant, peer: PeerId) -> bool {
        let Some(entry) = self.peers.get(peer) else { return false };
        if self.is_awaited_beyond(now, entry) {
            return true;
        }
        let (Some(asked), Some(askers)) = (entry.asked, &entry.askers) else { return false };
        let waits = |asker: PeerId| {
            let asks = self.peers.get(asker).and_then(|entry| entry.asks.as_ref());
            asks.is_some_and(|asks| asks.awaits_answer(asked))
        };
        askers.iter().any(waits)
    }
}

/// Whom a drain sends away next.
enum Next {
    Peer(PeerId),
    /// Nobody, until others have their answers.
    Wait,
    Nobody,
}
