//! The end of a broker: at once, or in order.

use std::time::{Duration, Instant};

use super::super::drain::Drain;
use super::super::{DisconnectReason, EndReason, PeerId};
use super::Broker;

impl Broker {
    /// Shuts down: every peer gets a close reason, with its outbox left to flush; so does every later one.
    pub fn close(&mut self) {
        self.admission.close();
        let open: Vec<PeerId> =
            self.peers.all().into_iter().filter(|peer| peer.close.is_none()).map(|peer| peer.id).collect();
        for peer in open {
            self.retire(peer, EndReason::Shutdown);
            self.peers.close(peer, DisconnectReason::ShutDown);
        }
    }

    /// Accepts no more connections, and sends the present ones away, spread over this time: the oldest first,
    /// but those that others have asked after those who may be asking them.
    pub fn drain(&mut self, now: Instant, spread: Duration) {
        self.admission.close();
        self.note_drain();
        self.drain = Some(Drain::new(now, spread, self.connections()));
        self.release_due(now);
    }

    /// Returns, once a drain, that the last connection has gone.
    pub fn poll_drained(&mut self) -> bool {
        let Self { drain: Some(drain), admission, peers, .. } = self else { return false };
        admission.total() == 0 && !peers.all().iter().any(|peer| !peer.is_internal) && drain.try_report()
    }

    /// Sends those away whose time has come in a drain, with their outboxes left to flush.
    pub(super) fn release_due(&mut self, now: Instant) {
        while self.drain.as_mut().is_some_and(|drain| drain.try_release(now)) {
            let present = self.peers.all().into_iter().filter(|peer| peer.close.is_none());
            let next = present.min_by_key(|peer| peer.askers.is_some());
            match (next.map(|peer| peer.id), &mut self.drain) {
                (Some(peer), _) => {
                    self.retire(peer, EndReason::Drain);
                    self.peers.close(peer, DisconnectReason::ShutDown);
                }
                (None, Some(drain)) => drain.handle_empty(),
                (None, None) => {}
            }
        }
    }
}
