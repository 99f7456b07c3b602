//! Hosts that are connected to without the proxy of the environment: what `NO_PROXY` lists, read as Node.js
//! reads it, and loopback.

use std::net::IpAddr;

/// The list, taken apart.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DirectHosts(Vec<Entry>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Entry {
    All,
    /// A name or an address, and the port if it counts.
    Host(String, Option<u16>),
    /// `.example.com`, with the dot.
    Below(String, Option<u16>),
    /// Addresses from the first to the last.
    Range(IpAddr, IpAddr),
}

impl DirectHosts {
    /// Reads a list with commas or spaces between its entries. What is no entry is passed over.
    pub fn parse(text: &str) -> Self {
        let entries = text.split([',', ' ', '\t', '\n']).filter(|entry| !entry.is_empty());
        Self(entries.map(|entry| Entry::parse(&entry.to_ascii_lowercase())).collect())
    }

    /// Returns whether a host, without brackets, is connected to without a proxy.
    pub fn contains(&self, host: &str, port: u16) -> bool {
        let host = host.trim_end_matches('.').to_ascii_lowercase();
        let address = host.parse::<IpAddr>().ok().map(|address| address.to_canonical());
        is_loopback(&host, address) || self.0.iter().any(|entry| entry.fits(&host, address, port))
    }
}

fn is_loopback(host: &str, address: Option<IpAddr>) -> bool {
    match address {
        Some(address) => address.is_loopback(),
        None => host == "localhost" || host.ends_with(".localhost"),
    }
}

impl Entry {
    fn parse(text: &str) -> Self {
        if text == "*" {
            return Self::All;
        }
        if let Some(range) = range(text).or_else(|| network(text)) {
            return Self::Range(range.0, range.1);
        }
        let (host, port) = host_and_port(text);
        let host = host.strip_prefix('*').unwrap_or(host);
        if host.starts_with('.') {
            return Self::Below(host.to_owned(), port);
        }
        Self::Host(host.trim_end_matches('.').to_owned(), port)
    }

    fn fits(&self, host: &str, address: Option<IpAddr>, port: u16) -> bool {
        let fits_port = |wanted: &Option<u16>| wanted.is_none_or(|wanted| wanted == port);
        match self {
            Self::All => true,
            Self::Host(name, wanted) => {
                let is_same = match (name.parse::<IpAddr>(), address) {
                    (Ok(named), Some(address)) => named.to_canonical() == address,
                    _ => name == host,
                };
                is_same && fits_port(wanted)
            }
            Self::Below(suffix, wanted) => host.ends_with(suffix.as_str()) && fits_port(wanted),
            Self::Range(first, last) => address.is_some_and(|address| {
                address.is_ipv4() == first.is_ipv4() && (*first..=*last).contains(&address)
            }),
        }
    }
}

/// Reads `host`, `host:port`, `[address]`, `[address]:port`, or an IPv6 address as it stands.
fn host_and_port(text: &str) -> (&str, Option<u16>) {
    if let Some((address, port)) = text.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        return (address, port.strip_prefix(':').and_then(|port| port.parse().ok()));
    }
    match text.split_once(':') {
        Some((host, port)) if !port.contains(':') => (host, port.parse().ok()),
        _ => (text, None),
    }
}

/// Reads `10.0.0.1-10.0.0.9`.
fn range(text: &str) -> Option<(IpAddr, IpAddr)> {
    let (first, last) = text.split_once('-')?;
    Some((first.parse().ok()?, last.parse().ok()?))
}

/// Reads `10.0.0.0/8`.
fn network(text: &str) -> Option<(IpAddr, IpAddr)> {
    let (address, length) = text.split_once('/')?;
    let length: u32 = length.parse().ok()?;
    match address.parse().ok()? {
        IpAddr::V4(address) => {
            let hosts = u32::MAX.checked_shr(length).unwrap_or(0);
            let first = address.to_bits() & !hosts;
            (length <= 32).then(|| (IpAddr::V4(first.into()), IpAddr::V4((first | hosts).into())))
        }
        IpAddr::V6(address) => {
            let hosts = u128::MAX.checked_shr(length).unwrap_or(0);
            let first = address.to_bits() & !hosts;
            (length <= 128).then(|| (IpAddr::V6(first.into()), IpAddr::V6((first | hosts).into())))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_names_hosts_domains_ports_and_networks() {
        for (list, direct, through) in [
            ("", vec![], vec!["a.example:1", "10.0.0.1:1"]),
            ("*", vec!["a.example:1", "10.0.0.1:1"], vec![]),
            ("a.example", vec!["a.example:1", "A.Example.:2"], vec!["b.a.example:1", "xa.example:1"]),
            (".example", vec!["a.example:1", "b.a.example:1"], vec!["example:1", "aexample:1"]),
            ("*.example,", vec!["a.example:1"], vec!["example:1"]),
            ("a.example:8080 b.example", vec!["a.example:8080", "b.example:1"], vec!["a.example:80"]),
            (".example:8080", vec!["a.example:8080"], vec!["a.example:80"]),
            ("10.0.0.1-10.0.0.9", vec!["10.0.0.1:1", "10.0.0.9:1"], vec!["10.0.0.10:1", "a.example:1"]),
            ("10.0.0.0/8, fd00::/8", vec!["10.9.9.9:1", "fdff::1:1"], vec!["11.0.0.0:1", "fe00::1:1"]),
            ("10.0.0.0/0", vec!["1.2.3.4:1"], vec!["fd00::1:1"]),
            ("[fd00::1]:8080,fd00:0::2", vec!["fd00::1:8080", "fd00::2:1"], vec!["fd00::1:80"]),
            ("10.0.0.0/33,/,-,[,a:b:c,1.2.3.4-", vec![], vec!["10.0.0.1:1", "1.2.3.4:1"]),
        ] {
            let hosts = DirectHosts::parse(list);
            for (places, expected) in [(direct, true), (through, false)] {
                for place in places {
                    let (host, port) = place.rsplit_once(':').expect("a port");
                    let port = port.parse().expect("a number");
                    assert_eq!(hosts.contains(host, port), expected, "{list}: {place}");
                }
            }
        }
    }

    #[test]
    fn loopback_has_no_proxy() {
        for host in
            ["localhost", "LOCALHOST.", "a.localhost", "127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1"]
        {
            assert!(DirectHosts::default().contains(host, 1), "{host}");
        }
        assert!(!DirectHosts::default().contains("localhost.example", 1));
    }
}
