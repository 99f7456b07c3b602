//! Locks of the queues between threads, and what is a thread's own: the standard library's, or shuttle's when
//! its scheduler tries the interleavings (`interleavings.rs`).

#[cfg(not(all(test, feature = "shuttle")))]
pub(super) use std::sync::atomic::{AtomicBool, Ordering};
#[cfg(not(all(test, feature = "shuttle")))]
pub(super) use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
#[cfg(not(all(test, feature = "shuttle")))]
pub(super) use std::thread_local;

#[cfg(all(test, feature = "shuttle"))]
pub(super) use shuttle::sync::atomic::{AtomicBool, Ordering};
#[cfg(all(test, feature = "shuttle"))]
pub(super) use shuttle::sync::{Condvar, Mutex, MutexGuard};
#[cfg(all(test, feature = "shuttle"))]
pub(super) use shuttle::thread_local;
#[cfg(all(test, feature = "shuttle"))]
pub(super) use std::sync::PoisonError;
