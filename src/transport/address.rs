//! Where a server is: the parts of `https://host:port/base`, or of `unix:/path`.

use std::path::PathBuf;

/// The parts of an address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Address {
    pub(super) place: Place,
    pub(super) tls: bool,
    /// Only what is inside a WebSocket gets through.
    pub(super) websocket: bool,
    /// As it belongs into a URL.
    pub(super) authority: String,
    /// Empty, or starts with `/` and does not end with one.
    pub(super) base: String,
}

/// The place to open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// A name or an address, without brackets, and a port.
    Net(String, u16),
    /// A file.
    Unix(PathBuf),
}

impl Address {
    /// Parses `http://…`, `https://…`, `ws://…`, `wss://…` or `unix:…`. The error tells what is wrong,
    /// without repeating the text: it may hold a password.
    pub(super) fn parse(text: &str) -> Result<Self, &'static str> {
        if let Some(path) = text.strip_prefix("unix:") {
            return Self::unix(path.strip_prefix("//").unwrap_or(path));
        }
        let (scheme, rest) = text
            .split_once("://")
            .ok_or("address without a scheme: http, https, ws, wss, nats, tls or unix")?;
        let (tls, websocket) = match scheme.to_ascii_lowercase().as_str() {
            "http" => (false, false),
            "ws" => (false, true),
            "https" => (true, false),
            "wss" => (true, true),
            _ => return Err("address with an unknown scheme: not http, https, ws, wss, nats, tls or unix"),
        };
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
            _ if tls => 443,
            _ => 80,
        };
        if host.is_empty() || host.contains(|c: char| c.is_whitespace() || c.is_control()) {
            return Err("address with a malformed host");
        }
        Ok(Self {
            place: Place::Net(host.to_owned(), port),
            tls,
            websocket,
            authority: authority.to_owned(),
            base: base.trim_end_matches('/').to_owned(),
        })
    }

    fn unix(path: &str) -> Result<Self, &'static str> {
        if !cfg!(unix) {
            return Err("address of a unix socket, which this platform does not have");
        }
        if path.is_empty() || path.contains('\0') {
            return Err("address of a unix socket without a path");
        }
        Ok(Self {
            place: Place::Unix(path.into()),
            tls: false,
            websocket: false,
            authority: "localhost".to_owned(),
            base: String::new(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_come_apart() {
        for (text, host, port, base, tls, websocket) in [
            ("http://localhost:3000", "localhost", 3000, "", false, false),
            ("ws://h:1/x/y/", "h", 1, "/x/y", false, true),
            ("HTTP://h/", "h", 80, "", false, false),
            ("http://h:", "h", 80, "", false, false),
            ("http://[::1]:8/b?q#f", "::1", 8, "/b", false, false),
            ("http://[::1]", "::1", 80, "", false, false),
            ("https://h", "h", 443, "", true, false),
            ("wss://h:9/b", "h", 9, "/b", true, true),
        ] {
            let address = Address::parse(text).expect(text);
            assert_eq!(address.place, Place::Net(host.to_owned(), port), "{text}");
            assert_eq!((&*address.base, address.tls, address.websocket), (base, tls, websocket), "{text}");
        }
        for text in [
            "",
            "h:3000",
            "ftp://h",
            "http://",
            "http://:1",
            "http://h:x",
            "http://h:65536",
            "http://u:p@h",
            "http://[::1",
            "http://[::1]x",
            "http://a b",
            "unix:",
            "unix://",
            "unix:/a\0b",
        ] {
            assert!(Address::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    #[cfg(unix)]
    fn a_unix_socket_has_a_path_and_nothing_else() {
        for (text, path) in
            [("unix:/run/a.sock", "/run/a.sock"), ("unix:///run/a.sock", "/run/a.sock"), ("unix:a?b", "a?b")]
        {
            assert_eq!(Address::parse(text).expect(text).place, Place::Unix(path.into()), "{text}");
        }
    }
}
