//! Locks of the queues between threads: the standard library's, or shuttle's when its scheduler tries the interleavings
//! (`interleavings.rs`).

#[cfg(not(all(test, feature = "shuttle")))]
pub(super) use std::sync::{Mutex, MutexGuard, PoisonError};

#[cfg(all(test, feature = "shuttle"))]
pub(super) use shuttle::sync::{Mutex, MutexGuard};
#[cfg(all(test, feature = "shuttle"))]
pub(super) use std::sync::PoisonError;
