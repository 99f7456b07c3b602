//! Where a server is: the parts of `http://host:port/base`.

/// The parts of an address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Address {
    /// A name or an address, without brackets.
    pub(super) host: String,
    pub(super) port: u16,
    /// As it belongs into a URL.
    pub(super) authority: String,
    /// Empty, or starts with `/` and does not end with one.
    pub(super) base: String,
}

impl Address {
    /// Reads `http://…` or `ws://…`. The error says what is wrong, without repeating the text: it may hold a password.
    pub(super) fn parse(text: &str) -> Result<Self, &'static str> {
        let (scheme, rest) = text.split_once("://").ok_or("address without a scheme")?;
        match scheme.to_ascii_lowercase().as_str() {
            "http" | "ws" => {}
            "https" | "wss" => return Err("tls is not supported yet"),
            _ => return Err("address with an unknown scheme"),
        }
        let rest = rest.split(['?', '#']).next().unwrap_or_default();
        let (authority, base) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        if authority.contains('@') {
            return Err("address with a user name");
        }
        let (host, port) = match authority.strip_prefix('[') {
            Some(bracketed) => bracketed.split_once(']').ok_or("address with a malformed host")?,
            None => authority.split_at(authority.find(':').unwrap_or(authority.len())),
        };
        let port = match port.strip_prefix(':') {
            Some(digits) if !digits.is_empty() => {
                digits.parse().map_err(|_| "address with a malformed port")?
            }
            None if !port.is_empty() => return Err("address with a malformed host"),
            _ => 80,
        };
        if host.is_empty() || host.contains(|c: char| c.is_whitespace() || c.is_control()) {
            return Err("address with a malformed host");
        }
        Ok(Self {
            host: host.to_owned(),
            port,
            authority: authority.to_owned(),
            base: base.trim_end_matches('/').to_owned(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_come_apart() {
        for (text, host, port, base) in [
            ("http://localhost:3000", "localhost", 3000, ""),
            ("ws://h:1/x/y/", "h", 1, "/x/y"),
            ("HTTP://h/", "h", 80, ""),
            ("http://h:", "h", 80, ""),
            ("http://[::1]:8/b?q#f", "::1", 8, "/b"),
            ("http://[::1]", "::1", 80, ""),
        ] {
            let address = Address::parse(text).expect(text);
            assert_eq!((&*address.host, address.port, &*address.base), (host, port, base), "{text}");
        }
        for text in [
            "",
            "h:3000",
            "https://h",
            "wss://h",
            "ftp://h",
            "http://",
            "http://:1",
            "http://h:x",
            "http://h:65536",
            "http://u:p@h",
            "http://[::1",
            "http://[::1]x",
            "http://a b",
        ] {
            assert!(Address::parse(text).is_err(), "{text}");
        }
    }
}
