//! Who waits for the answer to which message.

use std::collections::HashMap;

use foldhash::fast::RandomState;
use uuid::Uuid;

/// Messages of ours that have not been answered.
#[derive(Debug, Default)]
pub(super) struct Requests {
    /// Ids are our own, never a peer's choice.
    by_id: HashMap<Uuid, u32, RandomState>,
}

impl Requests {
    /// Makes `request` wait for the answer to `id`.
    pub(super) fn insert(&mut self, id: Uuid, request: u32) {
        self.by_id.insert(id, request);
    }

    /// Takes out who waits for the answer to `id`; 0: nobody does.
    pub(super) fn take(&mut self, id: Uuid) -> u32 {
        self.by_id.remove(&id).unwrap_or(0)
    }

    /// Forgets everybody.
    pub(super) fn clear(&mut self) {
        self.by_id.clear();
    }
}
