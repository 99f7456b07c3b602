//! Limits the handshakes at once: in all, and from one address. When there is no room, an older one gives
//! way.

use std::collections::{BTreeMap, HashMap};
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::Notify;

use crate::base::Shares;

/// Knows the connections that are in their handshake.
///
/// Most handshakes take milliseconds: the oldest of an address that has too many is most likely one that
/// never ends.
#[derive(Debug, Clone)]
pub struct HandshakeLimiter {
    max: usize,
    max_per_address: usize,
    open: Arc<Mutex<Open>>,
}

#[derive(Debug, Default)]
struct Open {
    by_address: HashMap<Key, BTreeMap<u64, Arc<Notify>>>,
    shares: Shares<Key>,
    begun: u64,
}

/// An address; connections without one count together.
type Key = Option<IpAddr>;

/// The permit of one connection to be in its handshake. Released when it is dropped.
#[derive(Debug)]
pub struct HandshakePermit {
    limiter: HandshakeLimiter,
    key: Key,
    serial: u64,
    revoked: Arc<Notify>,
}

impl HandshakeLimiter {
    /// Limits to `max` at once, and to `max_per_address` from one address.
    pub fn new(max: usize, max_per_address: usize) -> Self {
        Self { max, max_per_address, open: Arc::default() }
    }

    /// Returns a permit. If there is no room, the oldest one of the same address is revoked, or, where all
    /// together are too many, the oldest of the address with most. Connections without an address only count
    /// in all.
    pub fn acquire(&self, address: Option<IpAddr>) -> HandshakePermit {
        let key = address.map(rate_limit_key);
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        while open.shares.total() >= self.max.max(1) {
            let Some(greediest) = open.shares.greediest() else { break };
            open.revoke_oldest(greediest);
        }
        while key.is_some() && open.shares.of(&key) >= self.max_per_address.max(1) {
            open.revoke_oldest(key);
        }
        let (serial, revoked) = (open.begun, Arc::new(Notify::new()));
        open.begun += 1;
        open.shares.add(key, 1);
        open.by_address.entry(key).or_default().insert(serial, revoked.clone());
        HandshakePermit { limiter: self.clone(), key, serial, revoked }
    }
}

impl Open {
    fn revoke_oldest(&mut self, key: Key) {
        let oldest = self.by_address.get(&key).and_then(|permits| permits.keys().next().copied());
        let Some(permit) = oldest.and_then(|serial| self.remove(key, serial)) else {
            // Not reached: what is counted is there.
            return self.shares.subtract(key, 1);
        };
        permit.notify_one();
    }

    fn remove(&mut self, key: Key, serial: u64) -> Option<Arc<Notify>> {
        let permits = self.by_address.get_mut(&key)?;
        let permit = permits.remove(&serial)?;
        if permits.is_empty() {
            self.by_address.remove(&key);
        }
        self.shares.subtract(key, 1);
        Some(permit)
    }
}

impl HandshakePermit {
    /// Resolves when this handshake has to give way to another.
    pub async fn revoked(&self) {
        self.revoked.notified().await;
    }
}

impl Drop for HandshakePermit {
    fn drop(&mut self) {
        self.limiter.open.lock().unwrap_or_else(PoisonError::into_inner).remove(self.key, self.serial);
    }
}

/// Returns what counts as one address: the owner of an IPv6 address has the 2^64 around it.
fn rate_limit_key(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0).into()
        }
        v4 => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::Future;
    use std::pin::pin;
    use std::task::{Context, Poll, Waker};

    fn ip(text: &str) -> Option<IpAddr> {
        Some(text.parse().expect(text))
    }

    fn is_revoked(permit: &HandshakePermit) -> bool {
        pin!(permit.revoked()).poll(&mut Context::from_waker(Waker::noop())) == Poll::Ready(())
    }

    fn revoked(permits: &[HandshakePermit]) -> Vec<bool> {
        permits.iter().map(is_revoked).collect()
    }

    #[test]
    fn an_address_with_too_many_loses_its_oldest_and_nobody_else_loses_any() {
        let limiter = HandshakeLimiter::new(4, 2);
        let other = limiter.acquire(ip("10.0.0.2"));
        let greedy: Vec<_> = (0..2).map(|_| limiter.acquire(ip("10.0.0.1"))).collect();
        let third = limiter.acquire(ip("::ffff:10.0.0.1"));
        assert_eq!(revoked(&greedy), [true, false], "the same address in other words");
        assert!(!is_revoked(&other) && !is_revoked(&third));
        drop((greedy, third, other));
        let open = limiter.open.lock().expect("sound");
        assert!(open.by_address.is_empty() && open.shares.total() == 0, "nobody is remembered");
    }

    #[test]
    fn when_all_are_too_many_who_has_most_gives_way() {
        let limiter = HandshakeLimiter::new(4, 3);
        let greedy: Vec<_> = (0..3).map(|_| limiter.acquire(ip("10.0.0.1"))).collect();
        let local = limiter.acquire(None);
        let modest = limiter.acquire(ip("10.0.0.2"));
        assert_eq!(revoked(&greedy), [true, false, false]);
        assert!(!is_revoked(&local) && !is_revoked(&modest));
    }

    #[test]
    fn neighbours_of_one_ipv6_network_count_together() {
        let limiter = HandshakeLimiter::new(9, 1);
        let first = limiter.acquire(ip("2001:db8::1"));
        let elsewhere = limiter.acquire(ip("2001:db8:0:1::1"));
        assert!(!is_revoked(&first));
        let second = limiter.acquire(ip("2001:db8::ffff:2"));
        assert!(is_revoked(&first) && !is_revoked(&second) && !is_revoked(&elsewhere));
    }
}
