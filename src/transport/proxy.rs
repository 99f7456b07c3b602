//! The way out of a network that only an HTTP proxy leads out of: a tunnel by the method CONNECT (RFC 9110).

use std::fmt;
use std::time::Duration;

use super::LinkError;
use super::dial_socket::tcp;
use super::head::{UpgradeResponse, exchange};
use super::readiness::Registration;
use super::stream::{BoxedStream, Prefixed};
use super::timer::within;
use super::tls::{self, ClientTls};
use crate::base::{Code, Failure};
use crate::link::DirectHosts;

/// A proxy, and for which servers it is.
#[derive(Clone)]
pub struct Proxy {
    /// Without brackets.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// Speak TLS with the proxy itself.
    pub tls: Option<ClientTls>,
    /// The value of `Proxy-Authorization`, for a proxy that asks who this is.
    pub authorization: Option<String>,
    /// Servers that are connected to without it; absent: none.
    pub direct: Option<DirectHosts>,
    /// For the whole way to the server: the connection to the proxy, TLS with it, and its answer.
    pub timeout: Duration,
}

/// Without what signs in.
impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Proxy").field("host", &self.host).field("port", &self.port).finish_non_exhaustive()
    }
}

impl Proxy {
    /// Returns whether the way to a server leads through it.
    pub(super) fn serves(&self, host: &str, port: u16) -> bool {
        !self.direct.as_ref().is_some_and(|direct| direct.contains(host, port))
    }

    /// Connects to a server. Names are looked up by the proxy.
    pub(super) async fn connect(
        &self,
        host: &str,
        port: u16,
        registration: Option<&Registration>,
    ) -> Result<BoxedStream, LinkError> {
        let connected = within(self.timeout, self.tunnel(host, port, registration)).await;
        connected.map_err(|error| LinkError::Denied(self.failure(&error)))
    }

    async fn tunnel(
        &self,
        host: &str,
        port: u16,
        registration: Option<&Registration>,
    ) -> Result<BoxedStream, LinkError> {
        let mut stream = tcp(&self.host, self.port, registration).await?;
        if let Some(tls) = &self.tls {
            stream = tls::connect(stream, tls, &self.host).await?;
        }
        let authority =
            if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") };
        let sign_in = match &self.authorization {
            Some(value) => format!("Proxy-Authorization: {value}\r\n"),
            None => String::new(),
        };
        let request = format!("CONNECT {authority} HTTP/1.1\r\nHost: {authority}\r\n{sign_in}\r\n");
        let answer = exchange(&mut stream, request.as_bytes()).await?;
        if !(200..300).contains(&answer.code) {
            return Err(LinkError::Denied(self.refusal(&answer)));
        }
        // A server that speaks first may have spoken already.
        Ok(if answer.rest.is_empty() { stream } else { Box::new(Prefixed::new(answer.rest, stream)) })
    }

    fn refusal(&self, answer: &UpgradeResponse) -> Failure {
        let reason: String = answer.reason.chars().take(MAX_REASON_CHARS).collect();
        let (code, what) = match (answer.code, &self.authorization) {
            (407, None) => (Code::ProxyAuth, "wants a user and a password"),
            // tinyproxy says 401 to a wrong password.
            (401 | 407, Some(_)) => (Code::ProxyAuth, "does not accept the user and the password"),
            _ => (Code::ProxyTunnel, "does not connect us to the server"),
        };
        let text = format!("{} {reason}", answer.code);
        Failure::new(code, format!("the proxy {}:{} {what}: {}", self.host, self.port, text.trim_end()))
    }

    /// Returns a failure that is the proxy's as such.
    fn failure(&self, error: &LinkError) -> Failure {
        let code = match error {
            LinkError::Denied(failure) => return failure.clone(),
            LinkError::Closed | LinkError::PeerMisbehaved(_) | LinkError::Refused(_) => Code::ProxyTunnel,
            LinkError::Silent => Code::TimedOut,
            LinkError::Io(_) | LinkError::Tls(_) => error.code(),
        };
        Failure::new(code, format!("the proxy {}:{}: {error}", self.host, self.port))
    }
}

/// Characters of a proxy's reason that are shown.
const MAX_REASON_CHARS: usize = 100;
