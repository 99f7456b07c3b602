//! What an application has handled.

use crate::wire::stream::Class;

/// Messages of each class since the last time.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Consumed {
    /// Data whose handler was called.
    pub data: u64,
    /// Requests whose handler was called, or that were refused.
    pub requests: u64,
    /// Answers, and what belongs to requests, that were taken.
    pub answers: u64,
}

impl Consumed {
    /// So much data, and nothing else.
    pub fn data(data: u64) -> Self {
        Self { data, ..Self::default() }
    }

    pub(super) fn of_classes(self) -> impl Iterator<Item = (Class, u64)> {
        let counts = [self.data, self.requests, self.answers];
        Class::ALL.into_iter().zip(counts).filter(|(_, count)| *count > 0)
    }
}
