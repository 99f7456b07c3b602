//! The turn of one peer: how much of what it wants is done before others have theirs, and when it has to
//! rest.

use std::time::{Duration, Instant};

use super::super::{PeerId, pending_ops};
use super::Broker;
use crate::wire::ClientOp;

impl Broker {
    /// Returns whether a peer may be busy now: its owner has not used more than a share of the threads' time.
    /// Otherwise it is woken when it may.
    pub fn try_begin_turn(&mut self, now: Instant, peer: PeerId) -> bool {
        let Some(entry) = self.peers.get_mut(peer) else { return true };
        // Its last words are the broker's.
        entry.close.is_some() || self.time_shares.try_begin(now, peer, entry.owner, &mut entry.time)
    }

    /// A peer has kept a thread busy for so long, with reading, its operations and writing.
    pub fn end_turn(&mut self, now: Instant, peer: PeerId, took: Duration) {
        let Some(entry) = self.peers.get_mut(peer) else { return };
        let owner = entry.owner;
        self.time_shares.charge(now, owner, &mut entry.time, took);
        if let Some(called) = self.time_shares.poll_called(owner) {
            self.call(called);
        }
    }

    /// Returns whether somebody waits for the end of a round, and nobody was told so yet: when all others
    /// have had a turn, [`Broker::end_round`] is to be called.
    pub fn poll_round_due(&mut self) -> bool {
        self.time_shares.poll_due()
    }

    /// Everybody who had something to do has had a turn. Returns whether somebody waits for the next round.
    pub fn end_round(&mut self) -> bool {
        for called in self.time_shares.end_round() {
            self.call(called);
        }
        self.time_shares.is_awaited()
    }

    fn call(&mut self, peer: PeerId) {
        if let Some(entry) = self.peers.get_mut(peer) {
            entry.time.handle_called();
            self.peers.wake(peer);
        }
    }

    /// What a peer wants, in order: does what has waited and is decided, then takes operations out of
    /// `ops`, until the peer is paused or has had its turn. To be called without new ones, too, when the
    /// peer is woken while it [`Self::is_deciding`]. Returns whether it was the
    /// turn; then others should have theirs before this is called again.
    ///
    /// `buffered`: bytes that the link of the peer holds.
    pub fn handle_ops(
        &mut self,
        now: Instant,
        peer: PeerId,
        ops: &mut Vec<ClientOp>,
        buffered: usize,
    ) -> bool {
        let is_short = self.peers.get(peer).is_some_and(|entry| entry.time.is_short());
        let turn = if is_short { MAX_SHORT_TURN } else { MAX_TURN };
        let (end, dropped, told) = (self.work() + turn, self.peers.dropped(), self.told);
        let mut handled = 0;
        let mut is_over = self.rests_until(peer).is_some_and(|until| now < until);
        let mut is_paused = self.is_paused(peer);
        let (mut taken, mut rest) = (ops.drain(..), None);
        while !is_over {
            // What waited for a decision comes first: nothing overtakes what was said earlier.
            let mut may_pause = self.authorizer.is_some() || self.upstream.is_some();
            if !self.execute_decided(now, peer) {
                if is_paused {
                    break;
                }
                let Some(mut op) = rest.take().or_else(|| taken.next()) else { break };
                if let ClientOp::Watch(requests) = &mut op
                    && requests.len() > MAX_WATCHES_AT_ONCE
                {
                    rest = Some(ClientOp::Watch(requests.split_off(MAX_WATCHES_AT_ONCE)));
                }
                // Where nobody is asked, a publish pauses nobody.
                may_pause |= !op.is_publish();
                self.handle_op(now, peer, op);
            }
            handled += 1;
            is_over = self.work() >= end;
            is_paused = may_pause && self.is_paused(peer);
        }
        let mut unread = buffered;
        if rest.is_some() || taken.len() > 0 {
            let left: Vec<ClientOp> = rest.into_iter().chain(taken).collect();
            unread += left.iter().map(pending_ops::cost).sum::<usize>();
            *ops = left;
        }
        self.peers.set_unread(peer, unread);
        self.evict_slow_consumers();
        // Who floods an end mostly for nothing, or has crowds told again and again, leaves time to others.
        let is_flood = (self.peers.dropped() - dropped) * 2 > handled;
        let told = self.told - told;
        let rest = match told {
            MAX_TOLD_IN_A_TURN.. => Some(TOLD_REST * u32::try_from(told).unwrap_or(u32::MAX)),
            _ => is_flood.then_some(FLOOD_REST),
        };
        // The application's own clients are trusted with its time.
        if let Some(entry) = self.peers.get_mut(peer).filter(|entry| handled > 0 && !entry.is_local) {
            entry.rests_until = rest.map(|rest| now + rest);
        }
        is_over
    }

    /// How much a peer has in other tables: subscriptions, waits and watches. It is taken back when it ends.
    pub fn entries_of(&self, peer: PeerId) -> usize {
        let subscriptions = self.peers.get(peer).map_or(0, |entry| entry.subscriptions.len());
        subscriptions + self.waits.count_of(peer) + self.watches.count_of(peer)
    }

    /// How many watches have been told of their ends, so far.
    pub fn told(&self) -> u64 {
        self.told
    }

    /// Returns until when a peer is not to be heard, because most of what it has said was more than its share
    /// of what may wait for a receiver.
    pub fn rests_until(&self, peer: PeerId) -> Option<Instant> {
        self.peers.get(peer)?.rests_until
    }

    /// What everything so far has cost, in steps of some nanoseconds that do not depend on the machine: looks
    /// for patterns and waits, deliveries, subscriptions.
    pub fn work(&self) -> u64 {
        self.router.steps() + self.waits.steps() + self.effort
    }
}

/// Steps that one peer may take before others have their turn: about a millisecond.
const MAX_TURN: u64 = 50_000;

/// The same for one that goes before others because it does little.
const MAX_SHORT_TURN: u64 = MAX_TURN / 16;

/// Watches of one list that begin before others have their turn.
const MAX_WATCHES_AT_ONCE: usize = 512;

/// Watches that one peer may have told of their ends in a turn, without a rest.
const MAX_TOLD_IN_A_TURN: u64 = 4096;

/// The rest for each, if they are more: several times as long as telling takes.
const TOLD_REST: Duration = Duration::from_nanos(500);

/// How long one who floods is not heard after each turn.
const FLOOD_REST: Duration = Duration::from_millis(5);
