//! What waits behind a gap, in all sockets of an endpoint: nobody is made to keep more of it than that,
//! however many sockets a peer has. It has not arrived, so that its sender keeps it: what finds no room is
//! dropped, and asked for when its turn has come.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::base::{Handle, Shares};

/// Whose a share is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Payer {
    /// A user, or a connection without one, as the broker tells them apart.
    Client(u64),
    /// A socket of which the broker does not tell whose it is.
    Socket(Handle),
}

/// The room of all sockets.
#[derive(Debug, Clone)]
pub struct GapPool {
    bytes: usize,
    used: Arc<Mutex<Shares<Payer>>>,
}

/// What one socket uses of it. Whatever that is, it is free when the socket is gone.
#[derive(Debug, Default)]
pub struct GapShare {
    /// Without a pool there is no bound.
    pool: Option<(GapPool, Payer)>,
    used: usize,
}

impl GapPool {
    /// Returns room for so many bytes.
    pub fn new(bytes: usize) -> Self {
        Self { bytes, used: Arc::default() }
    }

    /// Returns a share of this payer, of which nothing is used.
    pub fn share(&self, payer: Payer) -> GapShare {
        GapShare { pool: Some((self.clone(), payer)), used: 0 }
    }

    /// Returns how many bytes are used.
    pub fn used(&self) -> usize {
        self.lock().total()
    }

    /// Whether a payer may use so many bytes more: it never has more than are free then.
    fn has_room(&self, used: &Shares<Payer>, payer: Payer, bytes: usize) -> bool {
        let free = self.bytes.saturating_sub(used.total()).saturating_sub(bytes);
        used.of(&payer).saturating_add(bytes) <= free
    }

    fn lock(&self) -> MutexGuard<'_, Shares<Payer>> {
        self.used.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl GapShare {
    /// Takes room for an item with so many bytes that is kept. Returns whether there is any.
    pub fn try_take(&mut self, bytes: usize) -> bool {
        let Some((pool, payer)) = &self.pool else { return true };
        let weight = bytes.saturating_add(ITEM_OVERHEAD);
        let mut used = pool.lock();
        let has_room = pool.has_room(&used, *payer, weight);
        if has_room {
            used.add(*payer, weight);
            self.used += weight;
        }
        has_room
    }

    /// Gives back the room of an item with so many bytes.
    pub fn give_back(&mut self, bytes: usize) {
        self.give_back_all_of(bytes.saturating_add(ITEM_OVERHEAD));
    }

    fn give_back_all_of(&mut self, weight: usize) {
        if let Some((pool, payer)) = &self.pool {
            self.used = self.used.saturating_sub(weight);
            pool.lock().subtract(*payer, weight);
        }
    }
}

impl Drop for GapShare {
    fn drop(&mut self) {
        if self.used > 0 {
            self.give_back_all_of(self.used);
        }
    }
}

/// What an item takes beside its bytes.
const ITEM_OVERHEAD: usize = 256;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_payer_has_half_of_the_room_with_all_its_sockets_and_others_find_some() {
        let pool = GapPool::new(64_000);
        let takes = |share: &mut GapShare| (0..1000).take_while(|_| share.try_take(744)).count();
        let mut crowd: Vec<GapShare> = (0..10).map(|_| pool.share(Payer::Client(1))).collect();
        assert_eq!(crowd.iter_mut().map(takes).sum::<usize>(), 32);
        let mut other = pool.share(Payer::Client(2));
        assert_eq!((takes(&mut other), takes(&mut crowd[9])), (16, 0));
        let mut unknown = pool.share(Payer::Socket(2));
        assert_eq!((takes(&mut unknown), pool.used()), (8, 56_000));
        crowd[0].give_back(744);
        assert_eq!(pool.used(), 55_000);
        drop(crowd);
        assert_eq!((pool.used(), takes(&mut other)), (24_000, 12), "28 of 64, and 8 of somebody else's");
        drop((other, unknown));
        assert_eq!(pool.used(), 0);
    }

    #[test]
    fn items_without_bytes_count_too() {
        let mut share = GapPool::new(100 * ITEM_OVERHEAD).share(Payer::Socket(1));
        assert_eq!((0..1000).take_while(|_| share.try_take(0)).count(), 50);
        assert!(GapShare::default().try_take(usize::MAX), "without a pool there is no bound");
    }
}
