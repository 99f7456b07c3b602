//! Clients' subscribe operations that wait until the fabric above has confirmed what they ask for.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::super::PeerId;
use super::usage::Usage;
use crate::subject::Pattern;
use crate::wire::{AckId, OpError, Reply, SubscribeStatus};

/// Names one operation.
pub(super) type BatchId = u64;

/// Statuses as they are known so far.
pub(super) type Statuses = Vec<Result<SubscribeStatus, OpError>>;

/// The open operations.
#[derive(Debug, Default)]
pub(super) struct Batches {
    open: BTreeMap<BatchId, Batch>,
    begun: BatchId,
}

#[derive(Debug)]
struct Batch {
    peer: PeerId,
    ack: AckId,
    patterns: Vec<Arc<str>>,
    statuses: Statuses,
    missing: usize,
}

impl Batch {
    /// What it takes. Refusals that come later are no more than their patterns.
    fn cost(&self) -> usize {
        let patterns = self.patterns.iter().map(|pattern| size_of_val(pattern) + pattern.len());
        size_of::<Self>() + patterns.sum::<usize>() + self.patterns.len() * STATUS_MEMORY
    }
}

/// What a status takes.
const STATUS_MEMORY: usize = 64;

/// An operation that is answered now.
pub(super) type Answered = (PeerId, AckId, Reply);

impl Batches {
    /// Returns the name of the next one.
    pub(super) fn next(&self) -> BatchId {
        self.begun
    }

    /// Begins it; `missing` confirmations are awaited under its name.
    pub(super) fn begin(
        &mut self,
        (peer, ack): (PeerId, AckId),
        patterns: Vec<Arc<str>>,
        statuses: Statuses,
        missing: usize,
        usage: &mut Usage,
    ) {
        let batch = Batch { peer, ack, patterns, statuses, missing };
        usage.add(peer, batch.cost());
        self.open.insert(self.begun, batch);
        self.begun += 1;
    }

    /// Takes the outcome for one of its patterns.
    pub(super) fn settle(
        &mut self,
        id: BatchId,
        pattern: &Pattern,
        refusal: Option<&OpError>,
        usage: &mut Usage,
    ) -> Option<Answered> {
        let batch = self.open.get_mut(&id)?;
        batch.missing = batch.missing.saturating_sub(1);
        if let Some(error) = refusal {
            let all = batch.patterns.iter().zip(&mut batch.statuses);
            let same = all.filter(|(text, status)| &***text == pattern.as_str() && status.is_ok());
            same.for_each(|(_, status)| *status = Err(error.clone()));
        }
        if batch.missing > 0 {
            return None;
        }
        let batch = self.open.remove(&id)?;
        usage.subtract(batch.peer, batch.cost());
        Some((batch.peer, batch.ack, Reply::Subscribed(batch.statuses)))
    }

    /// Ends all: what they ask for works here, and is asked for again above.
    pub(super) fn take_all(&mut self, usage: &mut Usage) -> Vec<Answered> {
        let open = std::mem::take(&mut self.open);
        open.values().for_each(|batch| usage.subtract(batch.peer, batch.cost()));
        open.into_values().map(|batch| (batch.peer, batch.ack, Reply::Subscribed(batch.statuses))).collect()
    }

    /// Forgets those of a client that is gone.
    pub(super) fn forget(&mut self, peer: PeerId, usage: &mut Usage) {
        self.open.retain(|_, batch| {
            let is_own = batch.peer == peer;
            if is_own {
                usage.subtract(peer, batch.cost());
            }
            !is_own
        });
    }
}
