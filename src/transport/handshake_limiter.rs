//! Limits the handshakes at once: in all, and from one address. When there is no room, an older one gives
//! way.

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::Notify;

use crate::base::{Shares, network_of};

/// Knows the connections that are in their handshake.
///
/// Most handshakes take milliseconds: the oldest of an address that has too many is most likely one that
/// never ends. Those of addresses from which nobody has signed in yet give way first.
#[derive(Debug, Clone)]
pub struct HandshakeLimiter {
    max: usize,
    max_per_address: usize,
    open: Arc<Mutex<Open>>,
}

#[derive(Debug, Default)]
struct Open {
    by_place: HashMap<Place, BTreeMap<u64, Arc<Notify>>>,
    /// Of addresses that nobody has signed in from.
    strangers: Shares<Place>,
    /// Of the others.
    known: Shares<Place>,
    begun: u64,
    signed_in: KnownAddresses,
}

/// An address, and whether somebody had signed in from there; connections without an address count together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
struct Place {
    address: Option<IpAddr>,
    is_known: bool,
}

/// From where somebody has signed in, latest last.
#[derive(Debug, Default)]
struct KnownAddresses {
    turns: HashMap<IpAddr, u64>,
    by_turn: BTreeMap<u64, IpAddr>,
    turn: u64,
}

/// The permit of one connection to be in its handshake. Released when it is dropped.
#[derive(Debug)]
pub struct HandshakePermit {
    limiter: HandshakeLimiter,
    place: Place,
    serial: u64,
    revoked: Arc<Notify>,
}

impl HandshakeLimiter {
    /// Limits to `max` at once, and to `max_per_address` from one address.
    pub fn new(max: usize, max_per_address: usize) -> Self {
        Self { max, max_per_address, open: Arc::default() }
    }

    /// Returns a permit. If there is no room, the oldest one of the same address is revoked, or, where all
    /// together are too many, the oldest of the address with most, as long as there are any of addresses from
    /// which nobody has signed in. Connections without an address, and those of a trusted proxy, only count
    /// in all.
    pub fn acquire(&self, address: Option<IpAddr>, is_proxy: bool) -> HandshakePermit {
        let address = address.map(network_of);
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let is_known = address.is_some_and(|address| open.signed_in.turns.contains_key(&address));
        let place = Place { address, is_known };
        while open.strangers.total() + open.known.total() >= self.max.max(1) {
            let Some(greediest) = open.strangers.greediest().or_else(|| open.known.greediest()) else {
                break;
            };
            open.revoke_oldest(greediest);
        }
        let has_bound = address.is_some() && !is_proxy;
        while has_bound && open.shares(place).of(&place) >= self.max_per_address.max(1) {
            open.revoke_oldest(place);
        }
        let (serial, revoked) = (open.begun, Arc::new(Notify::new()));
        open.begun += 1;
        open.shares(place).add(place, 1);
        open.by_place.entry(place).or_default().insert(serial, revoked.clone());
        HandshakePermit { limiter: self.clone(), place, serial, revoked }
    }

    /// Returns how many connections are in their handshake.
    pub fn open(&self) -> usize {
        let open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.strangers.total() + open.known.total()
    }

    /// Notes that somebody has signed in from there.
    pub fn note_signed_in(&self, address: Option<IpAddr>) {
        if let Some(address) = address {
            let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
            open.signed_in.note(network_of(address));
        }
    }
}

impl Open {
    fn shares(&mut self, place: Place) -> &mut Shares<Place> {
        if place.is_known { &mut self.known } else { &mut self.strangers }
    }

    fn revoke_oldest(&mut self, place: Place) {
        let oldest = self.by_place.get(&place).and_then(|permits| permits.keys().next().copied());
        let Some(permit) = oldest.and_then(|serial| self.remove(place, serial)) else {
            // Not reached: what is counted is there.
            return self.shares(place).subtract(place, 1);
        };
        permit.notify_one();
    }

    fn remove(&mut self, place: Place, serial: u64) -> Option<Arc<Notify>> {
        let permits = self.by_place.get_mut(&place)?;
        let permit = permits.remove(&serial)?;
        if permits.is_empty() {
            self.by_place.remove(&place);
        }
        self.shares(place).subtract(place, 1);
        Some(permit)
    }
}

impl KnownAddresses {
    fn note(&mut self, address: IpAddr) {
        self.turn += 1;
        if let Some(before) = self.turns.insert(address, self.turn) {
            self.by_turn.remove(&before);
        }
        self.by_turn.insert(self.turn, address);
        if self.turns.len() > MAX_KNOWN_ADDRESSES
            && let Some((_, oldest)) = self.by_turn.pop_first()
        {
            self.turns.remove(&oldest);
        }
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
        self.limiter.open.lock().unwrap_or_else(PoisonError::into_inner).remove(self.place, self.serial);
    }
}

/// Addresses from which somebody has signed in that are remembered: those of the latest.
const MAX_KNOWN_ADDRESSES: usize = 4096;

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
        let other = limiter.acquire(ip("10.0.0.2"), false);
        let greedy: Vec<_> = (0..2).map(|_| limiter.acquire(ip("10.0.0.1"), false)).collect();
        let third = limiter.acquire(ip("::ffff:10.0.0.1"), false);
        assert_eq!(revoked(&greedy), [true, false], "the same address in other words");
        assert!(!is_revoked(&other) && !is_revoked(&third));
        drop((greedy, third, other));
        let open = limiter.open.lock().expect("sound");
        assert!(open.by_place.is_empty() && open.strangers.total() == 0, "nobody is remembered");
    }

    #[test]
    fn when_all_are_too_many_who_has_most_gives_way() {
        let limiter = HandshakeLimiter::new(4, 3);
        let greedy: Vec<_> = (0..3).map(|_| limiter.acquire(ip("10.0.0.1"), false)).collect();
        let local = limiter.acquire(None, false);
        let modest = limiter.acquire(ip("10.0.0.2"), false);
        assert_eq!(revoked(&greedy), [true, false, false]);
        assert!(!is_revoked(&local) && !is_revoked(&modest));
    }

    #[test]
    fn neighbours_of_one_ipv6_network_count_together() {
        let limiter = HandshakeLimiter::new(9, 1);
        let first = limiter.acquire(ip("2001:db8::1"), false);
        let elsewhere = limiter.acquire(ip("2001:db8:0:1::1"), false);
        assert!(!is_revoked(&first));
        let second = limiter.acquire(ip("2001:db8::ffff:2"), false);
        assert!(is_revoked(&first) && !is_revoked(&second) && !is_revoked(&elsewhere));
    }

    #[test]
    fn those_of_addresses_that_have_signed_in_before_stay_while_strangers_give_way() {
        let limiter = HandshakeLimiter::new(6, 5);
        limiter.note_signed_in(ip("10.0.0.1"));
        let member: Vec<_> = (0..4).map(|_| limiter.acquire(ip("10.0.0.1"), false)).collect();
        let strangers: Vec<_> = (2..4).map(|n| limiter.acquire(ip(&format!("10.0.0.{n}")), false)).collect();
        let more: Vec<_> = (4..9).map(|n| limiter.acquire(ip(&format!("10.0.0.{n}")), false)).collect();
        assert_eq!(revoked(&member), [false; 4], "though they are most of one address");
        let gave_way = revoked(&strangers).into_iter().chain(revoked(&more));
        assert_eq!(gave_way.filter(|&is_revoked| is_revoked).count(), 5);
        drop((member, strangers, more));
        let open = limiter.open.lock().expect("sound");
        assert_eq!((open.by_place.len(), open.known.total(), open.strangers.total()), (0, 0, 0));
    }

    #[test]
    fn a_trusted_proxy_has_no_bound_of_its_own() {
        let limiter = HandshakeLimiter::new(5, 2);
        let visitors: Vec<_> = (0..5).map(|_| limiter.acquire(ip("10.0.0.1"), true)).collect();
        assert_eq!(revoked(&visitors), [false; 5]);
        let _another = limiter.acquire(ip("10.0.0.1"), true);
        assert_eq!(revoked(&visitors), [true, false, false, false, false]);
    }

    #[test]
    fn the_addresses_of_the_latest_sign_ins_are_remembered() {
        let mut known = KnownAddresses::default();
        let address = |n: usize| IpAddr::from(u32::try_from(n).expect("small").to_be_bytes());
        (0..MAX_KNOWN_ADDRESSES).for_each(|n| known.note(address(n)));
        known.note(address(0));
        known.note(address(MAX_KNOWN_ADDRESSES));
        assert!(known.turns.contains_key(&address(0)) && !known.turns.contains_key(&address(1)));
        assert_eq!((known.turns.len(), known.by_turn.len()), (MAX_KNOWN_ADDRESSES, MAX_KNOWN_ADDRESSES));
    }
}
