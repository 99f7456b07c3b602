//! Where the servers of NATS are: `nats://user:password@host:port,host:port`.

use super::NatsUser;

/// A host and a port.
pub(super) type Server = (String, u16);

/// An address, taken apart.
#[derive(Default)]
pub(super) struct Address {
    /// In the order of the text; at least one.
    pub(super) servers: Vec<Server>,
    /// `tls://`: nothing without TLS.
    pub(super) wants_tls: bool,
    /// Who signs in, if it says that.
    pub(super) user: NatsUser,
}

/// Returns whether an address is one of NATS.
pub(super) fn is_nats(address: &str) -> bool {
    scheme(address).is_some()
}

/// Returns whether TLS is wanted, and what follows the scheme.
fn scheme(address: &str) -> Option<(bool, &str)> {
    let (scheme, rest) = address.split_once("://")?;
    match scheme.to_ascii_lowercase().as_str() {
        "nats" => Some((false, rest)),
        "tls" => Some((true, rest)),
        _ => None,
    }
}

impl Address {
    /// Parses an address. The error tells what is wrong, without repeating the text: it may hold a password.
    pub(super) fn parse(text: &str) -> Result<Self, &'static str> {
        let mut address = Self::default();
        for part in text.split(',') {
            let part = part.trim();
            let (wants_tls, rest) = scheme(part).unwrap_or((false, part));
            address.wants_tls |= wants_tls;
            let rest = rest.split(['/', '?', '#']).next().unwrap_or_default();
            let place = match rest.rsplit_once('@') {
                Some((user, place)) => {
                    address.user = sign_in(user)?;
                    place
                }
                None => rest,
            };
            address.servers.push(server(place)?);
        }
        Ok(address)
    }
}

fn sign_in(text: &str) -> Result<NatsUser, &'static str> {
    let decoded = |text: &str| percent_decoded(text).ok_or("address with a malformed user name");
    Ok(match text.split_once(':') {
        Some((user, password)) => {
            NatsUser { user: Some(decoded(user)?), password: Some(decoded(password)?), ..NatsUser::default() }
        }
        None => NatsUser { token: Some(decoded(text)?), ..NatsUser::default() },
    })
}

/// Reads `host`, `host:port`, `[address]:port`.
pub(super) fn server(text: &str) -> Result<Server, &'static str> {
    let malformed = "address with a malformed host";
    let (host, port) = match text.strip_prefix('[') {
        Some(bracketed) => bracketed.split_once(']').ok_or(malformed)?,
        None => text.split_at(text.find(':').unwrap_or(text.len())),
    };
    let port = match port.strip_prefix(':') {
        Some(digits) if !digits.is_empty() => digits.parse().map_err(|_| "address with a malformed port")?,
        None if !port.is_empty() => return Err(malformed),
        _ => DEFAULT_PORT,
    };
    if host.is_empty() || host.contains(|c: char| c.is_whitespace() || c.is_control()) {
        return Err(malformed);
    }
    Ok((host.to_owned(), port))
}

fn percent_decoded(text: &str) -> Option<String> {
    let (mut bytes, mut rest) = (Vec::new(), text.as_bytes());
    while let [first, behind @ ..] = rest {
        rest = behind;
        if *first != b'%' {
            bytes.push(*first);
            continue;
        }
        let (digits, behind) = rest.split_at_checked(2)?;
        bytes.push(u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?);
        rest = behind;
    }
    String::from_utf8(bytes).ok()
}

const DEFAULT_PORT: u16 = 4222;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_come_apart() {
        for (text, servers, tls) in [
            ("nats://h", vec![("h", 4222)], false),
            ("NATS://h:1/", vec![("h", 1)], false),
            ("tls://h:1", vec![("h", 1)], true),
            ("nats://a:1,b,nats://[::1]:3", vec![("a", 1), ("b", 4222), ("::1", 3)], false),
            ("nats://a, tls://b", vec![("a", 4222), ("b", 4222)], true),
        ] {
            let address = Address::parse(text).expect(text);
            let found: Vec<_> = address.servers.iter().map(|(host, port)| (host.as_str(), *port)).collect();
            assert_eq!((found, address.wants_tls), (servers, tls), "{text}");
            assert!(is_nats(text), "{text}");
        }
        let user = Address::parse("nats://ann:s%40%3Ac@h:1,h:2").expect("valid").user;
        assert_eq!((user.user.as_deref(), user.password.as_deref()), (Some("ann"), Some("s@:c")));
        assert_eq!(Address::parse("nats://t0ken@h").expect("valid").user.token.as_deref(), Some("t0ken"));
        for text in [
            "nats://",
            "nats://h:x",
            "nats://h:65536",
            "nats://a,",
            "nats://[::1",
            "nats://a b",
            "nats://%zz@h",
        ] {
            assert!(Address::parse(text).is_err(), "{text}");
        }
        assert!(!is_nats("http://h") && !is_nats("h:4222"));
    }
}
