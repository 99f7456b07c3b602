//! Limits the handshakes at once: in all, and from one address. Pure.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, PoisonError};

/// Counts the connections that are in their handshake.
#[derive(Debug, Clone)]
pub struct HandshakeLimiter {
    max: usize,
    max_per_address: usize,
    counts: Arc<Mutex<Counts>>,
}

#[derive(Debug, Default)]
struct Counts {
    all: usize,
    by_address: HashMap<IpAddr, usize>,
}

/// The permit of one connection to be in its handshake. Released when it is dropped.
#[derive(Debug)]
pub struct HandshakePermit {
    limiter: HandshakeLimiter,
    address: Option<IpAddr>,
}

impl HandshakeLimiter {
    /// Returns a limiter for at most `max` at once.
    pub fn new(max: usize, max_per_address: usize) -> Self {
        Self { max, max_per_address, counts: Arc::default() }
    }

    /// Returns a permit if there is room. Connections without an address only count in all.
    pub fn try_acquire(&self, address: Option<IpAddr>) -> Option<HandshakePermit> {
        let address = address.map(rate_limit_key);
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        let here = address.map_or(0, |address| counts.by_address.get(&address).copied().unwrap_or(0));
        if counts.all >= self.max || here >= self.max_per_address {
            return None;
        }
        counts.all += 1;
        if let Some(address) = address {
            counts.by_address.insert(address, here + 1);
        }
        Some(HandshakePermit { limiter: self.clone(), address })
    }
}

impl Drop for HandshakePermit {
    fn drop(&mut self) {
        let mut counts = self.limiter.counts.lock().unwrap_or_else(PoisonError::into_inner);
        counts.all -= 1;
        if let Some(address) = self.address
            && let Some(count) = counts.by_address.get_mut(&address)
        {
            *count -= 1;
            if *count == 0 {
                counts.by_address.remove(&address);
            }
        }
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

    fn ip(text: &str) -> Option<IpAddr> {
        Some(text.parse().expect(text))
    }

    #[test]
    fn one_address_cannot_take_the_places_of_all() {
        let limiter = HandshakeLimiter::new(4, 2);
        let greedy: Vec<_> = (0..3).map(|_| limiter.try_acquire(ip("10.0.0.1"))).collect();
        assert_eq!(greedy.iter().flatten().count(), 2);
        assert!(limiter.try_acquire(ip("::ffff:10.0.0.1")).is_none(), "the same in other words");
        let others = [limiter.try_acquire(ip("10.0.0.2")), limiter.try_acquire(None)];
        assert!(others.iter().all(Option::is_some));
        assert!(limiter.try_acquire(ip("10.0.0.3")).is_none(), "four in all");
        drop(greedy);
        assert!(limiter.try_acquire(ip("10.0.0.1")).is_some());
        drop(others);
        assert!(limiter.counts.lock().expect("sound").by_address.is_empty(), "nobody is remembered");
    }

    #[test]
    fn neighbours_of_one_ipv6_network_count_together() {
        let limiter = HandshakeLimiter::new(9, 1);
        let first = limiter.try_acquire(ip("2001:db8::1"));
        assert!(first.is_some() && limiter.try_acquire(ip("2001:db8::ffff:2")).is_none());
        assert!(limiter.try_acquire(ip("2001:db8:0:1::1")).is_some());
    }
}
