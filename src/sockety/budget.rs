//! What the connections of a server may hold together of messages that nobody has read yet.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// One budget for many connections.
#[derive(Debug, Clone)]
pub struct Budget(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    limit: usize,
    held: AtomicUsize,
}

impl Budget {
    /// Creates one of so many bytes.
    pub fn new(limit: usize) -> Self {
        Self(Arc::new(Inner { limit, held: AtomicUsize::new(0) }))
    }

    /// Returns the bytes that all connections hold.
    pub fn held(&self) -> usize {
        self.0.held.load(Ordering::Relaxed)
    }
}

/// What one connection holds of it; given back when the connection is gone.
#[derive(Debug, Default)]
pub(super) struct Share {
    budget: Option<Budget>,
    held: usize,
}

impl Share {
    pub(super) fn new(budget: Budget) -> Self {
        Self { budget: Some(budget), held: 0 }
    }

    /// Takes note of what the connection holds now.
    pub(super) fn set(&mut self, bytes: usize) {
        let Some(Budget(inner)) = &self.budget else { return };
        if bytes > self.held {
            inner.held.fetch_add(bytes - self.held, Ordering::Relaxed);
        } else if bytes < self.held {
            inner.held.fetch_sub(self.held - bytes, Ordering::Relaxed);
        }
        self.held = bytes;
    }

    /// Returns whether all connections together hold too much: then each may hold little.
    pub(super) fn is_scarce(&self) -> bool {
        self.budget.as_ref().is_some_and(|budget| budget.held() >= budget.0.limit)
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.set(0);
    }
}

/// Bytes that wait to be read of which a connection has room in any case.
pub(super) const SCARCE_UNREAD_BYTES: usize = 256 * 1024;
/// Bytes of unfinished headers of which it has room in any case.
pub(super) const SCARCE_HEADER_BYTES: usize = 64 * 1024;
