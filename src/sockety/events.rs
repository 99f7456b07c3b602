//! Events in their order: what is small is packed into records until something else comes.

use std::collections::VecDeque;

use super::{Event, RecordsBuilder};

#[derive(Debug, Default)]
pub(super) struct Events {
    queue: VecDeque<Event>,
    /// Newer than all of the queue.
    records: RecordsBuilder,
}

impl Events {
    /// Returns where the next record goes.
    pub(super) fn records(&mut self) -> &mut RecordsBuilder {
        if self.records.len() >= FULL_BYTES {
            self.close_records();
        }
        &mut self.records
    }

    pub(super) fn push(&mut self, event: Event) {
        self.close_records();
        self.queue.push_back(event);
    }

    /// Takes the oldest.
    pub(super) fn poll(&mut self) -> Option<Event> {
        self.queue.pop_front().or_else(|| self.records.take().map(Event::Records))
    }

    fn close_records(&mut self) {
        self.queue.extend(self.records.take().map(Event::Records));
    }
}

/// Records that go in one event: with so many, one more or less makes no difference.
const FULL_BYTES: usize = 64 * 1024;
