//! Connects to a server: which protocol, and the fallback when a server does not speak ours.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::address::Address;
use super::dial_bytes;
use super::proxy::Proxy;
use super::readiness::Registration;
use super::stream::BoxedStream;
use super::target::{Target, refused};
use super::timer::within;
use super::tls::ClientTls;
use super::websocket::{self, Upgraded};
use super::{BoxedLink, LinkError, conat, fabric};
use crate::link::{Attempt, DialPolicy, Protocol};
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
    pub wire: Protocol,
    /// For `https` and `wss`.
    pub tls: Option<ClientTls>,
    /// The way out.
    pub proxy: Option<Proxy>,
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

/// A server as one client knows it: its protocol is found out once.
#[derive(Debug)]
pub struct Remote {
    options: DialOptions,
    /// What it was found to speak.
    policy: Mutex<DialPolicy>,
    /// The poller that watches its connections, too.
    registration: Option<Registration>,
}

impl Remote {
    /// Returns a server that nothing is known about.
    pub fn new(options: DialOptions) -> Self {
        // An address that cannot be read is refused when it is dialed.
        let needs_websocket = Address::parse(&options.address).is_ok_and(|address| address.websocket);
        let policy = DialPolicy::new(options.wire, needs_websocket, options.connect_timeout);
        Self { options, policy: Mutex::new(policy), registration: None }
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
        within(self.options.connect_timeout, self.dial_target(&target)).await
    }

    async fn dial_target(&self, target: &Target) -> Result<BoxedLink<ClientOp, ServerOp>, LinkError> {
        let mut attempt = self.policy().begin();
        loop {
            let stream = self.stream(target).await?;
            let outcome = match attempt {
                Attempt::Bare(limit) => within(limit, fabric::connect(stream, target)).await,
                Attempt::WebSocket => self.connect_in_websocket(stream, target).await,
            };
            let error = match outcome {
                Ok(link) => {
                    self.policy().handle_success();
                    return Ok(link);
                }
                Err(error) => error,
            };
            // TLS fails the same way again.
            let is_final = matches!(error, LinkError::Tls(_));
            match self.policy().handle_failure(attempt, is_final) {
                Some(next) => {
                    tracing::debug!(%error, ?next, "the server does not speak our protocol on a bare connection");
                    attempt = next;
                }
                None => return Err(error),
            }
        }
    }

    fn policy(&self) -> MutexGuard<'_, DialPolicy> {
        self.policy.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Opens a WebSocket, and in it the preferred protocol that the server knows.
    async fn connect_in_websocket(
        &self,
        stream: BoxedStream,
        target: &Target,
    ) -> Result<BoxedLink<ClientOp, ServerOp>, LinkError> {
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
        dial_bytes::connect(&target.place, tls, self.options.proxy.as_ref(), self.registration.as_ref()).await
    }
}

/// Connects once: [`Remote::dial`] with a server that nothing is known about.
pub async fn dial(options: &DialOptions) -> Result<BoxedLink<ClientOp, ServerOp>, LinkError> {
    Remote::new(options.clone()).dial().await
}
