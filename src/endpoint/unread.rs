//! Bounds on what of a subscription waits for the application: for datagrams, of which the newest are
//! dropped, as of UDP. Without a bound a subscription is read as slowly as the application takes its events.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use crate::base::Handle;

/// The subscriptions that have a bound.
#[derive(Debug, Default)]
pub(super) struct UnreadBounds(HashMap<Handle, Bound>);

#[derive(Debug)]
struct Bound {
    most: usize,
    /// Shared with the claims, which other threads give back.
    unread: Arc<AtomicUsize>,
}

/// Whether messages may wait.
pub(super) enum Room {
    /// There is no bound.
    Unbounded,
    /// There is room, which they have now.
    Claimed(Claim),
    /// There is none: they are dropped.
    Full,
}

impl UnreadBounds {
    /// Sets the bound of a subscription in bytes; none with 0.
    pub(super) fn set(&mut self, subscription: Handle, most: usize) {
        if most == 0 {
            self.0.remove(&subscription);
        } else {
            let unread = Arc::default();
            self.0.entry(subscription).or_insert(Bound { most, unread }).most = most;
        }
    }

    /// Forgets a subscription that has ended.
    pub(super) fn remove(&mut self, subscription: Handle) {
        self.0.remove(&subscription);
    }

    /// Claims room for `bytes` in so many messages. What finds nothing before it always has room.
    pub(super) fn claim(&self, subscription: Handle, messages: u64, bytes: usize) -> Room {
        let Some(Bound { most, unread }) = self.0.get(&subscription) else { return Room::Unbounded };
        let overhead = usize::try_from(messages).unwrap_or(usize::MAX).saturating_mul(MESSAGE_OVERHEAD);
        let weight = bytes.saturating_add(overhead);
        // Only this thread adds: what others give back meanwhile makes more room.
        let before = unread.load(Relaxed);
        if before > 0 && before.saturating_add(weight) > *most {
            return Room::Full;
        }
        unread.fetch_add(weight, Relaxed);
        Room::Claimed(Claim { weight, unread: unread.clone() })
    }
}

/// Room that messages have until the application has taken them.
#[derive(Debug)]
pub struct Claim {
    weight: usize,
    unread: Arc<AtomicUsize>,
}

impl Drop for Claim {
    fn drop(&mut self) {
        self.unread.fetch_sub(self.weight, Relaxed);
    }
}

impl Clone for Claim {
    fn clone(&self) -> Self {
        self.unread.fetch_add(self.weight, Relaxed);
        Self { weight: self.weight, unread: self.unread.clone() }
    }
}

/// Room is no part of what is said.
impl PartialEq for Claim {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

/// About what a message takes beside its bytes.
const MESSAGE_OVERHEAD: usize = 256;

#[cfg(test)]
mod tests {
    use super::*;

    fn claimed(bounds: &UnreadBounds, messages: u64, bytes: usize) -> Option<Claim> {
        match bounds.claim(1, messages, bytes) {
            Room::Claimed(claim) => Some(claim),
            Room::Full | Room::Unbounded => None,
        }
    }

    #[test]
    fn what_waits_is_bounded_in_bytes_and_in_number_and_what_was_taken_makes_room() {
        let mut bounds = UnreadBounds::default();
        assert!(matches!(bounds.claim(1, 1, usize::MAX), Room::Unbounded));
        bounds.set(1, 4 * MESSAGE_OVERHEAD);
        let first = claimed(&bounds, 1, usize::MAX / 2).expect("alone it always fits");
        assert!(matches!(bounds.claim(1, 1, 0), Room::Full));
        drop(first);
        let tiny: Vec<_> = std::iter::from_fn(|| claimed(&bounds, 1, 0)).take(9).collect();
        assert_eq!(tiny.len(), 4);
        let copies = tiny.clone();
        drop(tiny);
        assert!(claimed(&bounds, 1, 0).is_none(), "copies take room, too");
        drop(copies);
        assert!(claimed(&bounds, 4, 0).is_some());
        assert!(claimed(&bounds, u64::MAX, 0).is_some(), "alone it always fits");
    }

    #[test]
    fn a_bound_changes_with_what_waits_and_ends() {
        let mut bounds = UnreadBounds::default();
        bounds.set(1, 2 * MESSAGE_OVERHEAD);
        let waiting = [claimed(&bounds, 1, 0), claimed(&bounds, 1, 0)];
        assert!(waiting.iter().all(Option::is_some) && claimed(&bounds, 1, 0).is_none());
        bounds.set(1, 3 * MESSAGE_OVERHEAD);
        let third = claimed(&bounds, 1, 0);
        assert!(third.is_some() && claimed(&bounds, 1, 0).is_none());
        bounds.set(1, 0);
        assert!(matches!(bounds.claim(1, 1, 1), Room::Unbounded));
        bounds.set(1, 1);
        bounds.remove(1);
        assert!(matches!(bounds.claim(1, 1, 1), Room::Unbounded));
    }
}
