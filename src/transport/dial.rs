//! Connects to a server: which protocol, and the fallback when a server does not speak ours.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::time::timeout;

use super::address::Address;
use super::dial_bytes;
use super::readiness::Registration;
use super::stream::BoxedStream;
use super::target::{Target, refused};
use super::tls::ClientTls;
use super::websocket::{self, Upgraded};
use super::{BoxedLink, LinkError, conat, fabric};
use crate::wire::{ClientOp, ServerOp};

/// Where to connect to, and how.
#[derive(Debug, Clone)]
pub struct DialOptions {
    /// `http://host:port/base`, or `https` for TLS; `ws` and `wss` go inside a WebSocket in any case. The
    /// port is 80 or 443 if there is none. `unix:/path` is a socket in the file system.
    pub address: String,
    /// Where the fabric is below the address: `/conat`.
    pub path: String,
    /// Sent with the request: cookies and the like.
    pub headers: Vec<(String, String)>,
    /// For all of it, from the name poll_ready-up to the last word of the handshake.
    pub connect_timeout: Duration,
    /// The protocol to speak.
    pub wire: Wire,
    /// For `https` and `wss`.
    pub tls: Option<ClientTls>,
}

impl DialOptions {
    /// Returns whether the address asks for TLS.
    pub fn wants_tls(&self) -> bool {
        Address::parse(&self.address).is_ok_and(|address| address.tls)
    }

    /// Returns what is wrong with the address, if anything: dialing it would fail, now and later. Does not
    /// repeat it, as it may hold a password.
    pub fn check(&self) -> Result<(), &'static str> {
        Address::parse(&self.address)?;
        match Target::new(self) {
            Ok(_) => Ok(()),
            Err(_) => Err("malformed address, path or header"),
        }
    }
}

/// A choice of protocol.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Wire {
    /// Ours where the server speaks it, else Conat's.
    #[default]
    Best,
    /// Conat's.
    Conat,
    /// Ours; a server that does not speak it is refused.
    Selvedge,
}

/// A server as one client knows it: its protocol is found out once.
#[derive(Debug)]
pub struct Remote {
    options: DialOptions,
    /// It refused our protocol outside a WebSocket, and granted one.
    needs_websocket: AtomicBool,
    /// The poller that watches its connections, too.
    registration: Option<Registration>,
}

impl Remote {
    /// Returns a server that nothing is known about.
    pub fn new(options: DialOptions) -> Self {
        Self { options, needs_websocket: AtomicBool::new(false), registration: None }
    }

    /// Registers its connections with a poller, too.
    pub fn with_registration(self, registration: Option<Registration>) -> Self {
        Self { registration, ..self }
    }

    /// Connects.
    ///
    /// [`LinkError::Silent`] when the time is over, [`LinkError::Refused`] when it is no fabric server, or it
    /// does not want us.
    pub async fn dial(&self) -> Result<BoxedLink<ClientOp, ServerOp>, LinkError> {
        let target = Target::new(&self.options)?;
        let dialing = self.dial_target(&target);
        timeout(self.options.connect_timeout, dialing).await.unwrap_or(Err(LinkError::Silent))
    }

    async fn dial_target(&self, target: &Target) -> Result<BoxedLink<ClientOp, ServerOp>, LinkError> {
        let wire = self.options.wire;
        let known = target.websocket || self.needs_websocket.load(Ordering::Relaxed);
        if wire == Wire::Conat || known {
            return self.dial_websocket(target).await;
        }
        let first = self.stream(target).await?;
        // A server that neither takes nor refuses the request must not use up all the time there is.
        let wait = OWN_PROTOCOL_TIMEOUT.min(self.options.connect_timeout / 2);
        let own = timeout(wait, fabric::connect(first, target)).await.unwrap_or(Err(LinkError::Silent));
        let refusal = match own {
            // TLS fails the same way again.
            Err(refusal) if !matches!(refusal, LinkError::Tls(_)) => refusal,
            decided => return decided,
        };
        tracing::debug!(%refusal, "the server does not speak our protocol on a bare connection; trying a websocket");
        let link = self.dial_websocket(target).await?;
        self.needs_websocket.store(true, Ordering::Relaxed);
        Ok(link)
    }

    /// Opens a WebSocket, and in it the preferred protocol that the server knows.
    async fn dial_websocket(&self, target: &Target) -> Result<BoxedLink<ClientOp, ServerOp>, LinkError> {
        let stream = self.stream(target).await?;
        let upgraded = websocket::upgrade(stream, target, self.options.wire).await?;
        if upgraded.is_own {
            return fabric::connect_in_websocket(upgraded).await;
        }
        let Upgraded { stream, answer, .. } = upgraded;
        conat::connect(stream, answer.rest).await
    }

    async fn stream(&self, target: &Target) -> Result<BoxedStream, LinkError> {
        let tls = self.options.tls.as_ref().filter(|_| target.tls);
        if target.tls && tls.is_none() {
            return Err(refused("no settings for TLS"));
        }
        dial_bytes::connect(&target.place, tls, self.registration.as_ref()).await
    }
}

/// Connects once: [`Remote::dial`] with a server that nothing is known about.
pub async fn dial(options: &DialOptions) -> Result<BoxedLink<ClientOp, ServerOp>, LinkError> {
    Remote::new(options.clone()).dial().await
}

/// The time that a server may take to answer a request for our protocol.
const OWN_PROTOCOL_TIMEOUT: Duration = Duration::from_secs(5);
