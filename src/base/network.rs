//! What counts as one network address.

use std::net::{IpAddr, Ipv6Addr};

/// Returns the network that counts as one address: who owns an IPv6 address has the 2^64 around it.
pub fn network_of(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0).into()
        }
        v4 => v4,
    }
}
