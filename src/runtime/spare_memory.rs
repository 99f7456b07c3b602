//! Gives memory back to the system after a crowd: what its connections held is free, but an allocator may
//! keep it for ever.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use super::threads;
use crate::transport::timer::{now, wait_until};

/// Gives back what nobody uses.
pub type GiveBack = fn();

static GIVE_BACK: OnceLock<GiveBack> = OnceLock::new();
static HERE: AtomicUsize = AtomicUsize::new(0);
/// The most that were here at once since it was done last.
static MOST: AtomicUsize = AtomicUsize::new(0);
static IS_DUE: AtomicBool = AtomicBool::new(false);

/// Sets how the allocator of this process is told. The first call counts.
pub fn set_give_back(give_back: GiveBack) {
    // All environments of a process say the same.
    let _ = GIVE_BACK.set(give_back);
}

/// A connection of this process, until it is dropped.
pub(super) struct Counted(());

impl Counted {
    pub(super) fn new() -> Self {
        let here = HERE.fetch_add(1, Ordering::Relaxed) + 1;
        MOST.fetch_max(here, Ordering::Relaxed);
        Self(())
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        let here = HERE.fetch_sub(1, Ordering::Relaxed) - 1;
        let Some(give_back) = GIVE_BACK.get() else { return };
        let is_crowd_gone = MOST.load(Ordering::Relaxed).saturating_sub(here) >= CROWD;
        if is_crowd_gone && !IS_DUE.swap(true, Ordering::Relaxed) {
            // When those that end with it have ended, too.
            threads::spawn(async move {
                wait_until(now() + REST).await;
                MOST.store(HERE.load(Ordering::Relaxed), Ordering::Relaxed);
                // On a thread that may block. It has no result, and a panic of it concerns nobody.
                let _ = tokio::task::spawn_blocking(give_back).await;
                IS_DUE.store(false, Ordering::Relaxed);
            });
        }
    }
}

/// Returns how many tasks are alive, less the one of this: for checks that nothing stays behind.
pub fn tasks() -> usize {
    threads::tasks().saturating_sub(usize::from(IS_DUE.load(Ordering::Relaxed)))
}

/// So many connections less than there were that what they held is worth it: about 25 KB each.
const CROWD: usize = 500;
/// At most so often.
const REST: Duration = Duration::from_secs(5);
