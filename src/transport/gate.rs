//! How many may be in their handshake at once: in all, and from one address. Pure.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, PoisonError};

/// Counts visitors who are not through their handshake yet.
#[derive(Debug, Clone)]
pub struct Gate {
    most: usize,
    most_per_address: usize,
    counts: Arc<Mutex<Counts>>,
}

#[derive(Debug, Default)]
struct Counts {
    all: usize,
    by_address: HashMap<IpAddr, usize>,
}

/// One visitor's leave to be in a handshake. Ends when it is dropped.
#[derive(Debug)]
pub struct Pass {
    gate: Gate,
    address: Option<IpAddr>,
}

impl Gate {
    /// For at most so many at once.
    pub fn new(most: usize, most_per_address: usize) -> Self {
        Self { most, most_per_address, counts: Arc::default() }
    }

    /// Lets one more in, if there is room. Visitors without an address only count in all.
    pub fn enter(&self, address: Option<IpAddr>) -> Option<Pass> {
        let address = address.map(neighbourhood);
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        let here = address.map_or(0, |address| counts.by_address.get(&address).copied().unwrap_or(0));
        if counts.all >= self.most || here >= self.most_per_address {
            return None;
        }
        counts.all += 1;
        if let Some(address) = address {
            counts.by_address.insert(address, here + 1);
        }
        Some(Pass { gate: self.clone(), address })
    }
}

impl Drop for Pass {
    fn drop(&mut self) {
        let mut counts = self.gate.counts.lock().unwrap_or_else(PoisonError::into_inner);
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

/// Whoever has one IPv6 address has the 2^64 around it.
fn neighbourhood(address: IpAddr) -> IpAddr {
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
        let gate = Gate::new(4, 2);
        let greedy: Vec<_> = (0..3).map(|_| gate.enter(ip("10.0.0.1"))).collect();
        assert_eq!(greedy.iter().flatten().count(), 2);
        assert!(gate.enter(ip("::ffff:10.0.0.1")).is_none(), "the same in other words");
        let others = [gate.enter(ip("10.0.0.2")), gate.enter(None)];
        assert!(others.iter().all(Option::is_some));
        assert!(gate.enter(ip("10.0.0.3")).is_none(), "four in all");
        drop(greedy);
        assert!(gate.enter(ip("10.0.0.1")).is_some());
        drop(others);
        assert!(gate.counts.lock().expect("sound").by_address.is_empty(), "nobody is remembered");
    }

    #[test]
    fn neighbours_of_one_ipv6_network_count_together() {
        let gate = Gate::new(9, 1);
        let first = gate.enter(ip("2001:db8::1"));
        assert!(first.is_some() && gate.enter(ip("2001:db8::ffff:2")).is_none());
        assert!(gate.enter(ip("2001:db8:0:1::1")).is_some());
    }
}
