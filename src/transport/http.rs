//! Decides about an HTTP request to a broker: the upgrade, or an error response. No I/O.

#[cfg(test)]
mod tests;

use std::net::{IpAddr, Ipv6Addr};
use std::sync::atomic::{AtomicBool, Ordering};

use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

use super::AcceptOptions;
use super::turned_away::TurnedAwayFor;
use crate::wire::fabric::{PROTOCOL, SUBPROTOCOL};

/// The decision about a request.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Negotiation {
    /// Say this and speak WebSocket.
    WebSocket(String),
    /// Speak our own protocol, from the next byte on.
    Own,
    /// Speak our own protocol inside a WebSocket; the response to its key.
    OwnInWebSocket(String),
    /// The application answers.
    Page,
    /// Say this and close.
    Refused(ErrorResponse),
}

/// A whole answer.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct ErrorResponse {
    status: &'static str,
    headers: &'static str,
    body: &'static str,
    /// It answers a HEAD: the body is only told of.
    is_head: bool,
}

impl ErrorResponse {
    pub(super) const BAD_REQUEST: Self = Self::plain("400 Bad Request", "bad request");
    pub(super) const TOO_LARGE: Self =
        Self::plain("431 Request Header Fields Too Large", "request header fields too large");
    /// RFC 2817 has this for a server that wants TLS.
    pub(super) const NEEDS_TLS: Self = Self {
        headers: "Content-Type: text/plain\r\nUpgrade: TLS/1.2, HTTP/1.1\r\n",
        ..Self::plain("426 Upgrade Required", "this port speaks TLS: use https:// or wss://")
    };
    pub(super) const NO_TLS: Self =
        Self::plain("400 Bad Request", "this port does not speak TLS: use http:// or ws://");
    const HEALTHY: Self = Self::plain("200 OK", "ok");
    const DRAINING: Self = Self::plain("503 Service Unavailable", "draining");
    const NO_UPSTREAM: Self = Self::plain("503 Service Unavailable", "no upstream");
    pub(super) const BODY_TOO_LARGE: Self = Self::plain("413 Content Too Large", "at most 1 KiB");
    pub(super) const BUSY: Self = Self::plain("503 Service Unavailable", "too many at once");
    pub(super) const TOO_OFTEN: Self = Self::plain("429 Too Many Requests", "too many requests");
    const NOT_FOUND: Self = Self::plain("404 Not Found", "not found");
    const BAD_ORIGIN: Self = Self::plain("403 Forbidden", "origin not allowed");
    const BAD_HOST: Self = Self::plain("403 Forbidden", "host not allowed");
    const BAD_METHOD: Self =
        Self { headers: "Allow: GET\r\n", ..Self::plain("405 Method Not Allowed", "method not allowed") };
    const NO_UPGRADE: Self = Self {
        headers: "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n",
        ..Self::plain("426 Upgrade Required", "upgrade required")
    };
    /// Engine.IO's own way to say it: clients with default options try polling first, and shall fail clearly.
    const BAD_TRANSPORT: Self = Self::json(r#"{"code":0,"message":"Transport unknown"}"#);
    const BAD_VERSION: Self = Self::json(r#"{"code":5,"message":"Unsupported protocol version"}"#);

    const fn plain(status: &'static str, body: &'static str) -> Self {
        Self { status, headers: "Content-Type: text/plain\r\n", body, is_head: false }
    }

    const fn json(body: &'static str) -> Self {
        Self {
            status: "400 Bad Request",
            headers: "Content-Type: application/json\r\n",
            body,
            is_head: false,
        }
    }

    /// Returns it for a request of this method.
    pub(super) fn to(self, method: &str) -> Self {
        Self { is_head: method == "HEAD", ..self }
    }

    /// Returns why it turns somebody away; `None`: it is the answer to a question.
    pub(super) fn turned_away(&self) -> Option<TurnedAwayFor> {
        let is = |other: &Self| (self.status, self.body) == (other.status, other.body);
        match () {
            () if [Self::HEALTHY, Self::DRAINING, Self::NO_UPSTREAM, Self::BUSY].iter().any(is) => None,
            () if is(&Self::BAD_ORIGIN) => Some(TurnedAwayFor::Origin),
            () if is(&Self::BAD_HOST) => Some(TurnedAwayFor::Host),
            () if is(&Self::NOT_FOUND) => Some(TurnedAwayFor::Path),
            () if is(&Self::NO_TLS) || is(&Self::NEEDS_TLS) => Some(TurnedAwayFor::Tls),
            () => Some(TurnedAwayFor::Handshake),
        }
    }

    /// Returns its form on the wire.
    pub(super) fn to_text(&self) -> String {
        let Self { status, headers, body, is_head } = self;
        let (length, body) = (body.len(), if *is_head { "" } else { body });
        format!("HTTP/1.1 {status}\r\n{headers}Connection: close\r\nContent-Length: {length}\r\n\r\n{body}")
    }

    /// Returns a short description, for a log.
    pub(super) fn describe(&self) -> String {
        format!("http {}: {}", self.status, self.body)
    }
}

/// Judges a request whose head is complete.
pub(super) fn judge(
    request: &httparse::Request<'_, '_>,
    options: &AcceptOptions,
    check_host: bool,
) -> Negotiation {
    match check(request, options, check_host) {
        Ok(Language::Page) => Negotiation::Page,
        Ok(Language::Own) => Negotiation::Own,
        Ok(Language::OwnInWebSocket(key)) => Negotiation::OwnInWebSocket(derive_accept_key(key.as_bytes())),
        Ok(Language::Conat(key)) => Negotiation::WebSocket(format!(
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: {}\r\n\r\n",
            derive_accept_key(key.as_bytes())
        )),
        Err(answer) => Negotiation::Refused(answer.to(request.method.unwrap_or_default())),
    }
}

/// The protocol asked for, with the key of the WebSocket that it is to be in.
enum Language<'a> {
    Own,
    OwnInWebSocket(&'a str),
    Conat(&'a str),
    /// None: a page of the application's.
    Page,
}

fn check<'a>(
    request: &'a httparse::Request<'_, '_>,
    options: &AcceptOptions,
    check_host: bool,
) -> Result<Language<'a>, ErrorResponse> {
    let target = request.path.unwrap_or_default();
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    // Whatever is asked for: a proxy in front may go by the other length.
    header(request, "content-length")?;
    let is_get = request.method == Some("GET");
    if path == "/healthz" && (is_get || request.method == Some("HEAD")) {
        let is_set = |flag: &AtomicBool| flag.load(Ordering::Relaxed);
        return Err(match () {
            () if is_set(&options.draining) => ErrorResponse::DRAINING,
            () if is_set(&options.overdue) => ErrorResponse::NO_UPSTREAM,
            () => ErrorResponse::HEALTHY,
        });
    }
    if options.pages.as_ref().is_some_and(|pages| pages.has(path)) {
        check_page_names(request, options, check_host)?;
        return Ok(Language::Page);
    }
    if path.trim_matches('/') != options.path.trim_matches('/') {
        return Err(ErrorResponse::NOT_FOUND);
    }
    check_names(request, options, check_host)?;
    let parameter = |name: &str| {
        query
            .split('&')
            .find_map(|pair| pair.split_once('=').filter(|(key, _)| *key == name))
            .map(|(_, value)| value)
    };
    // A polling client may start with a POST: it learns about the transport, not about the method.
    if parameter("transport") == Some("polling") {
        return Err(ErrorResponse::BAD_TRANSPORT);
    }
    if !is_get {
        return Err(ErrorResponse::BAD_METHOD);
    }
    check_no_body(request)?;
    // It would be sent away at once: a load balancer has a better one.
    if options.draining.load(Ordering::Relaxed) {
        return Err(ErrorResponse::DRAINING);
    }
    if options.own_wire
        && has_token(request, "upgrade", PROTOCOL)
        && has_token(request, "connection", "upgrade")
    {
        return Ok(Language::Own);
    }
    if options.own_wire && has_token(request, "sec-websocket-protocol", SUBPROTOCOL) {
        return websocket_key(request).map(Language::OwnInWebSocket);
    }
    if parameter("transport") != Some("websocket") {
        return Err(ErrorResponse::BAD_TRANSPORT);
    }
    if parameter("EIO") != Some("4") {
        return Err(ErrorResponse::BAD_VERSION);
    }
    websocket_key(request).map(Language::Conat)
}

/// `Host` and `Origin`: what keeps web pages out that are not meant to come in.
fn check_names(
    request: &httparse::Request<'_, '_>,
    options: &AcceptOptions,
    check_host: bool,
) -> Result<(), ErrorResponse> {
    check_host_name(request, options, check_host)?;
    let origin = header(request, "origin")?;
    let is_allowed = |origin: &str| options.allowed_origins.iter().any(|allowed| allowed == origin);
    if origin.is_none_or(is_allowed) { Ok(()) } else { Err(ErrorResponse::BAD_ORIGIN) }
}

/// The same for a page of the application's, which may also ask for more of itself.
fn check_page_names(
    request: &httparse::Request<'_, '_>,
    options: &AcceptOptions,
    check_host: bool,
) -> Result<(), ErrorResponse> {
    check_host_name(request, options, check_host)?;
    let (origin, host) = (header(request, "origin")?, header(request, "host")?);
    let is_own = |origin: &str| {
        let name = origin.strip_prefix("http://").or_else(|| origin.strip_prefix("https://"));
        name.is_some_and(|name| !name.is_empty() && host.is_some_and(|host| host.eq_ignore_ascii_case(name)))
    };
    if origin.is_none_or(is_own) { Ok(()) } else { check_names(request, options, check_host) }
}

fn check_host_name(
    request: &httparse::Request<'_, '_>,
    options: &AcceptOptions,
    check_host: bool,
) -> Result<(), ErrorResponse> {
    // An empty one names nobody.
    let host = header(request, "host")?.filter(|host| !host.is_empty());
    let host = host.map(|host| host_name(host).ok_or(ErrorResponse::BAD_REQUEST)).transpose()?;
    let is_named =
        |name: &str| options.allowed_hosts.iter().any(|allowed| allowed.eq_ignore_ascii_case(name));
    let checks = check_host || !options.allowed_hosts.is_empty();
    let passes = |name: &str| is_named(name) || (check_host && is_loopback(name));
    if checks && !host.is_some_and(passes) { Err(ErrorResponse::BAD_HOST) } else { Ok(()) }
}

fn websocket_key<'a>(request: &'a httparse::Request<'_, '_>) -> Result<&'a str, ErrorResponse> {
    if !has_token(request, "upgrade", "websocket") || !has_token(request, "connection", "upgrade") {
        return Err(ErrorResponse::NO_UPGRADE);
    }
    if header(request, "sec-websocket-version")? != Some("13") {
        return Err(ErrorResponse::NO_UPGRADE);
    }
    // 16 bytes in base64.
    let key = header(request, "sec-websocket-key")?.filter(|key| key.len() == 24 && key.ends_with("=="));
    key.ok_or(ErrorResponse::BAD_REQUEST)
}

/// Returns the only header of this name. Two of them are an attempt to be understood in two ways.
fn header<'a>(request: &'a httparse::Request<'_, '_>, name: &str) -> Result<Option<&'a str>, ErrorResponse> {
    let mut found = request.headers.iter().filter(|header| header.name.eq_ignore_ascii_case(name));
    let first = found.next();
    if found.next().is_some() {
        return Err(ErrorResponse::BAD_REQUEST);
    }
    let text = first.map(|header| std::str::from_utf8(header.value)).transpose();
    text.map(|text| text.map(str::trim)).map_err(|_| ErrorResponse::BAD_REQUEST)
}

fn has_token(request: &httparse::Request<'_, '_>, name: &str, token: &str) -> bool {
    let named = request.headers.iter().filter(|header| header.name.eq_ignore_ascii_case(name));
    named
        .flat_map(|header| header.value.split(|&byte| byte == b','))
        .any(|item| item.trim_ascii().eq_ignore_ascii_case(token.as_bytes()))
}

/// Refuses an upgrade with a body, or of a client that knows no upgrades: what stands between may read on
/// differently.
fn check_no_body(request: &httparse::Request<'_, '_>) -> Result<(), ErrorResponse> {
    let is_empty = header(request, "content-length")?.is_none_or(|length| length == "0");
    let is_plain = header(request, "transfer-encoding")?.is_none();
    if is_empty && is_plain && request.version == Some(1) { Ok(()) } else { Err(ErrorResponse::BAD_REQUEST) }
}

/// A `Host` without its port, and without brackets; `None` if it is none.
fn host_name(host: &str) -> Option<&str> {
    let (name, port) = match host.strip_prefix('[') {
        Some(bracketed) => {
            let (name, behind) = bracketed.split_once(']')?;
            name.parse::<Ipv6Addr>().ok()?;
            (name, if behind.is_empty() { None } else { Some(behind.strip_prefix(':')?) })
        }
        None => {
            let (name, port) = host.split_once(':').map_or((host, None), |(name, port)| (name, Some(port)));
            let is_name = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_');
            (!name.is_empty() && name.bytes().all(is_name)).then_some(())?;
            (name, port)
        }
    };
    let is_port = |port: &str| port.bytes().all(|byte| byte.is_ascii_digit()) && port.parse::<u16>().is_ok();
    port.is_none_or(is_port).then_some(name)
}

/// Returns whether a `Host` names this machine: a page that was rebound to a loopback address still sends its
/// own name.
fn is_loopback(name: &str) -> bool {
    name.eq_ignore_ascii_case("localhost")
        || name.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}
