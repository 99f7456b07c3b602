//! Who a client is that comes through proxies: their word counts as far as they are named as trusted, and
//! nobody else's.

use std::fmt;
use std::net::{IpAddr, SocketAddr};

/// The proxies whose word is taken for the address of a client.
#[derive(Debug, Clone, Default)]
pub struct TrustedProxies {
    networks: Vec<Network>,
    /// Whoever comes over a Unix socket.
    trusts_unix: bool,
    field: ForwardedField,
}

/// The field of a request in which a proxy says for whom it asks. Only one is looked at: what a proxy does
/// not write itself it passes on as the client wrote it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum ForwardedField {
    /// `X-Forwarded-For`, a list of addresses.
    #[default]
    XForwardedFor,
    /// `Forwarded` (RFC 7239), a list of elements with `for=`.
    Forwarded,
}

/// Addresses that begin alike.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Network {
    address: IpAddr,
    /// Bits that count.
    prefix: u32,
}

/// It is no address, no network and no name that stands for one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InvalidProxy(pub String);

impl fmt::Display for InvalidProxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:?} is no address, no network such as 10.0.0.0/8, and not \"loopback\" or \"unix\"",
            self.0
        )
    }
}

impl std::error::Error for InvalidProxy {}

impl TrustedProxies {
    /// Trusts these: addresses, networks as `10.0.0.0/8`, `loopback`, and `unix` for whoever comes over a
    /// Unix socket.
    pub fn parse(proxies: &[String], field: ForwardedField) -> Result<Self, InvalidProxy> {
        let mut trusted = Self { field, ..Self::default() };
        for proxy in proxies {
            match proxy.as_str() {
                "unix" => trusted.trusts_unix = true,
                "loopback" => trusted.networks.extend(LOOPBACK.into_iter().filter_map(Network::parse)),
                text => {
                    trusted.networks.push(Network::parse(text).ok_or_else(|| InvalidProxy(proxy.clone()))?)
                }
            }
        }
        Ok(trusted)
    }

    /// Whether this is one of them; `None`: it comes over a Unix socket.
    pub fn trusts(&self, peer: Option<IpAddr>) -> bool {
        match peer.map(|address| address.to_canonical()) {
            Some(address) => self.networks.iter().any(|network| network.contains(address)),
            None => self.trusts_unix,
        }
    }

    /// The address of the client whose request came from `peer`, with these fields, names in lower case: of
    /// the hops that are told, the last one that is no trusted proxy. A hop that is not told as an address
    /// hides all before it.
    pub fn client(&self, peer: Option<IpAddr>, fields: &[(String, String)]) -> Option<IpAddr> {
        let mut client = peer;
        if !self.trusts(peer) {
            return client;
        }
        let lines = fields.iter().rev().filter(|(name, _)| name == self.field.name());
        let hops = lines.flat_map(|(_, line)| self.field.hops(line).into_iter().rev());
        for hop in hops {
            let Some(address) = hop else { break };
            client = Some(address);
            if !self.trusts(client) {
                break;
            }
        }
        client
    }
}

impl ForwardedField {
    /// Returns its name, in lower case.
    pub fn name(self) -> &'static str {
        match self {
            Self::XForwardedFor => "x-forwarded-for",
            Self::Forwarded => "forwarded",
        }
    }

    /// The hops in one line, the client's side first; `None` for one that is not told.
    fn hops(self, line: &str) -> Vec<Option<IpAddr>> {
        match self {
            Self::XForwardedFor => line.split(',').map(|hop| address(hop.trim())).collect(),
            Self::Forwarded => split(line, ',').into_iter().map(forwarded_for).collect(),
        }
    }
}

/// What an element of `Forwarded` says after `for=`, if that is an address.
fn forwarded_for(element: &str) -> Option<IpAddr> {
    let mut values = split(element, ';').into_iter().filter_map(|pair| {
        let (name, value) = pair.split_once('=')?;
        name.trim().eq_ignore_ascii_case("for").then(|| value.trim())
    });
    let (value, another) = (values.next()?, values.next());
    let quoted = value.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
    // No address has anything in it that has to be escaped.
    address(quoted.unwrap_or(value)).filter(|_| another.is_none())
}

/// The parts of a text between separators that stand outside of quotes.
fn split(text: &str, separator: char) -> Vec<&str> {
    let (mut is_quoted, mut is_escaped) = (false, false);
    text.split(|char| {
        let escaped = is_escaped;
        is_escaped = is_quoted && !escaped && char == '\\';
        is_quoted ^= char == '"' && !escaped;
        char == separator && !is_quoted
    })
    .collect()
}

/// An address, also in brackets, also with a port.
fn address(text: &str) -> Option<IpAddr> {
    let bare = || text.parse().ok();
    let in_brackets = || text.strip_prefix('[')?.strip_suffix(']')?.parse().ok().map(IpAddr::V6);
    let with_port = || text.parse::<SocketAddr>().ok().map(|address| address.ip());
    bare().or_else(in_brackets).or_else(with_port).map(|address: IpAddr| address.to_canonical())
}

impl Network {
    fn parse(text: &str) -> Option<Self> {
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => (address, Some(prefix)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().ok()?;
        let bits: u32 = if address.is_ipv4() { 32 } else { 128 };
        let digits = |prefix: &str| prefix.bytes().all(|byte| byte.is_ascii_digit());
        let prefix = match prefix {
            Some(prefix) => prefix.parse().ok().filter(|&length| digits(prefix) && length <= bits)?,
            None => bits,
        };
        Some(match address.to_canonical() {
            // An IPv4 address as IPv6 writes it.
            IpAddr::V4(v4) if bits == 128 => Self { address: v4.into(), prefix: prefix.checked_sub(96)? },
            address => Self { address, prefix },
        })
    }

    fn contains(&self, other: IpAddr) -> bool {
        let differ = match (self.address, other) {
            (IpAddr::V4(own), IpAddr::V4(other)) => (own.to_bits() ^ other.to_bits()).leading_zeros(),
            (IpAddr::V6(own), IpAddr::V6(other)) => (own.to_bits() ^ other.to_bits()).leading_zeros(),
            _ => return false,
        };
        differ >= self.prefix
    }
}

/// What `loopback` stands for.
const LOOPBACK: [&str; 2] = ["127.0.0.0/8", "::1"];

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn ip(text: &str) -> Option<IpAddr> {
        Some(text.parse().expect(text))
    }

    fn trusted(proxies: &[&str], field: ForwardedField) -> TrustedProxies {
        let proxies: Vec<String> = proxies.iter().map(|&proxy| proxy.to_owned()).collect();
        TrustedProxies::parse(&proxies, field).expect("valid")
    }

    fn fields(lines: &[(&str, &str)]) -> Vec<(String, String)> {
        lines.iter().map(|&(name, line)| (name.to_owned(), line.to_owned())).collect()
    }

    #[test]
    fn nobody_is_trusted_unless_named_and_a_strangers_word_for_himself_is_none() {
        let claims =
            fields(&[("x-forwarded-for", "9.9.9.9"), ("forwarded", "for=9.9.9.9"), ("x-real-ip", "9.9.9.9")]);
        for proxies in [&[][..], &["10.0.0.1"], &["10.0.0.0/8", "loopback", "unix"]] {
            for field in [ForwardedField::XForwardedFor, ForwardedField::Forwarded] {
                let client = trusted(proxies, field).client(ip("203.0.113.5"), &claims);
                assert_eq!(client, ip("203.0.113.5"), "{proxies:?}");
            }
        }
        assert_eq!(trusted(&["10.0.0.1"], ForwardedField::XForwardedFor).client(None, &claims), None);
    }

    #[test]
    fn the_last_hop_that_is_no_trusted_proxy_is_the_client_whatever_stands_before_it() {
        let proxies = trusted(&["10.0.0.0/8", "2001:db8::/32", "unix"], ForwardedField::XForwardedFor);
        let of = |peer: Option<IpAddr>, lines: &[&str]| {
            let lines: Vec<_> = lines.iter().map(|&line| ("x-forwarded-for", line)).collect();
            proxies.client(peer, &fields(&lines))
        };
        let peer = ip("10.0.0.1");
        assert_eq!(of(peer, &["203.0.113.5"]), ip("203.0.113.5"));
        assert_eq!(of(None, &["203.0.113.5"]), ip("203.0.113.5"));
        assert_eq!(of(ip("::ffff:10.0.0.1"), &["203.0.113.5"]), ip("203.0.113.5"));
        assert_eq!(
            of(peer, &["1.2.3.4, 203.0.113.5"]),
            ip("203.0.113.5"),
            "1.2.3.4 is what the client wrote"
        );
        assert_eq!(of(peer, &["10.9.9.9, 203.0.113.5, 10.0.0.7,2001:db8::7"]), ip("203.0.113.5"));
        assert_eq!(
            of(peer, &["1.2.3.4", "203.0.113.5", "10.0.0.7"]),
            ip("203.0.113.5"),
            "lines are one list"
        );
        assert_eq!(of(peer, &["10.0.0.9, 10.0.0.8"]), ip("10.0.0.9"), "all are proxies: the first of them");
        assert_eq!(of(peer, &["[2001:db9::1]:443"]), ip("2001:db9::1"));
        assert_eq!(of(peer, &["203.0.113.5:1234"]), ip("203.0.113.5"));
        assert_eq!(of(peer, &[]), peer);
    }

    #[test]
    fn a_hop_that_is_not_told_as_an_address_hides_all_before_it() {
        let proxies = trusted(&["10.0.0.0/8"], ForwardedField::XForwardedFor);
        let of = |line: &str| proxies.client(ip("10.0.0.1"), &fields(&[("x-forwarded-for", line)]));
        for hidden in
            ["", "unknown", "_x", "203.0.113.5 ", "1.2.3", "1.2.3.4.5", "a b", "\"203.0.113.5\"", "1.2.3.4/8"]
        {
            let expected = if hidden.trim() == "203.0.113.5" { ip("203.0.113.5") } else { ip("10.0.0.2") };
            assert_eq!(of(&format!("9.9.9.9, {hidden}, 10.0.0.2")), expected, "{hidden:?}");
        }
    }

    #[test]
    fn forwarded_is_read_as_rfc_7239_writes_it() {
        let proxies = trusted(&["10.0.0.0/8", "192.0.2.43"], ForwardedField::Forwarded);
        let of = |line: &str| {
            proxies.client(ip("10.0.0.1"), &fields(&[("forwarded", line), ("x-forwarded-for", "9.9.9.9")]))
        };
        for (line, client) in [
            ("for=203.0.113.5", "203.0.113.5"),
            ("For=\"[2001:db8:cafe::17]:4711\"", "2001:db8:cafe::17"),
            ("proto=http;by=203.0.113.43;for=203.0.113.60", "203.0.113.60"),
            ("for=203.0.113.5, for=192.0.2.43", "203.0.113.5"),
            ("for=1.1.1.1, for=203.0.113.5;host=\"a,b;for=8.8.8.8\"", "203.0.113.5"),
            ("for=203.0.113.5;host=\"\\\",for=8.8.8.8\"", "203.0.113.5"),
            ("for=9.9.9.9, for=unknown", "10.0.0.1"),
            ("for=9.9.9.9, for=_SEVKISEK", "10.0.0.1"),
            ("for=9.9.9.9, proto=https", "10.0.0.1"),
            ("for=9.9.9.9, for=203.0.113.5;for=8.8.8.8", "10.0.0.1"),
            ("", "10.0.0.1"),
        ] {
            assert_eq!(of(line), ip(client), "{line}");
        }
    }

    #[test]
    fn proxies_are_addresses_networks_and_two_names() {
        for wrong in
            ["", "proxy.example", "10.0.0.0/33", "10.0.0.0/", "10.0.0.0/+8", "::/129", "10.0.0/8", "Loopback"]
        {
            let parsed = TrustedProxies::parse(&[wrong.to_owned()], ForwardedField::default());
            assert_eq!(parsed.err(), Some(InvalidProxy(wrong.to_owned())), "{wrong}");
        }
        let all = trusted(
            &["loopback", "192.168.0.0/16", "::ffff:172.16.0.0/108", "fd00::/8"],
            ForwardedField::default(),
        );
        for (address, is_trusted) in [
            ("127.8.9.1", true),
            ("::1", true),
            ("::2", false),
            ("192.168.255.1", true),
            ("192.169.0.0", false),
            ("172.31.1.1", true),
            ("172.32.0.1", false),
            ("fdff::1", true),
            ("fe00::1", false),
            ("::ffff:127.0.0.1", true),
        ] {
            assert_eq!(all.trusts(ip(address)), is_trusted, "{address}");
        }
        assert!(!all.trusts(None));
        assert!(trusted(&["0.0.0.0/0"], ForwardedField::default()).trusts(ip("8.8.8.8")));
    }

    proptest! {
        #[test]
        fn whatever_is_claimed_the_answer_is_the_peer_or_one_hop_of_the_list(line in "[a-f0-9.:,;=\"\\[\\] for]{0,80}", own in any::<bool>()) {
            let field = if own { ForwardedField::Forwarded } else { ForwardedField::XForwardedFor };
            let proxies = trusted(&["10.0.0.1"], field);
            let lines = fields(&[(field.name(), &line)]);
            prop_assert_eq!(proxies.client(ip("10.0.0.2"), &lines), ip("10.0.0.2"));
            let client = proxies.client(ip("10.0.0.1"), &lines);
            let hops: Vec<_> = field.hops(&line);
            prop_assert!(client == ip("10.0.0.1") || hops.contains(&client));
        }
    }
}
