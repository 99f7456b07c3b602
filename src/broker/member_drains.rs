//! Members that leave their groups in order: the answer comes behind the last chunk of the last message that
//! was begun for them.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::peer_id::PeerId;
use crate::wire::AckId;

/// Names one drain. Never used again.
pub(super) type DrainId = u64;

/// The drains whose answer waits for chunks.
#[derive(Debug, Default)]
pub(super) struct MemberDrains {
    open: BTreeMap<DrainId, MemberDrain>,
    by_peer: HashMap<PeerId, BTreeSet<DrainId>>,
    begun: DrainId,
}

/// One `unsubscribe`, of any number of patterns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct MemberDrain {
    /// Who drains.
    pub(super) peer: PeerId,
    /// What is to be answered, if anything is.
    pub(super) ack: Option<AckId>,
    /// The number of patterns.
    pub(super) patterns: usize,
    /// Unfinished messages that it still gets.
    unfinished: usize,
}

impl MemberDrains {
    /// Begins a drain.
    pub(super) fn begin(&mut self, peer: PeerId, ack: Option<AckId>, patterns: usize) -> DrainId {
        self.begun += 1;
        self.open.insert(self.begun, MemberDrain { peer, ack, patterns, unfinished: 0 });
        self.by_peer.entry(peer).or_default().insert(self.begun);
        self.begun
    }

    /// Notes that so many unfinished messages belong to it.
    pub(super) fn add(&mut self, id: DrainId, unfinished: usize) {
        if let Some(drain) = self.open.get_mut(&id) {
            drain.unfinished += unfinished;
        }
    }

    /// Notes that one of them has come to its end.
    pub(super) fn finish_one(&mut self, id: DrainId) {
        if let Some(drain) = self.open.get_mut(&id) {
            drain.unfinished = drain.unfinished.saturating_sub(1);
        }
    }

    /// Takes a drain that waits for nothing more.
    pub(super) fn take_done(&mut self, id: DrainId) -> Option<MemberDrain> {
        self.open.get(&id).filter(|drain| drain.unfinished == 0)?;
        let drain = self.open.remove(&id)?;
        if let Some(ids) = self.by_peer.get_mut(&drain.peer) {
            ids.remove(&id);
            if ids.is_empty() {
                self.by_peer.remove(&drain.peer);
            }
        }
        Some(drain)
    }

    /// Forgets those of a peer that is gone.
    pub(super) fn forget(&mut self, peer: PeerId) {
        for id in self.by_peer.remove(&peer).unwrap_or_default() {
            self.open.remove(&id);
        }
    }

    /// Returns how many there are.
    pub(super) fn len(&self) -> usize {
        self.open.len()
    }
}
