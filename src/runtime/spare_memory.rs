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
static ENDED: AtomicUsize = AtomicUsize::new(0);
static IS_DUE: AtomicBool = AtomicBool::new(false);

/// Sets how the allocator of this process is told. The first call counts.
pub fn set_give_back(give_back: GiveBack) {
    // All environments of a process say the same.
    let _ = GIVE_BACK.set(give_back);
}

/// Notes that a connection has ended. After many it is done, on a thread that may block, when those that end
/// with it have ended, too.
pub(super) fn note_end() {
    let ended = ENDED.fetch_add(1, Ordering::Relaxed) + 1;
    let Some(give_back) = GIVE_BACK.get().filter(|_| ended >= CROWD) else { return };
    if IS_DUE.swap(true, Ordering::Relaxed) {
        return;
    }
    threads::spawn(async move {
        wait_until(now() + REST).await;
        ENDED.store(0, Ordering::Relaxed);
        // It has no result, and a panic of it concerns nobody.
        let _ = tokio::task::spawn_blocking(give_back).await;
        IS_DUE.store(false, Ordering::Relaxed);
    });
}

/// So many connections that what they held is worth it: about 25 KB each.
const CROWD: usize = 500;
/// At most so often.
const REST: Duration = Duration::from_secs(5);
