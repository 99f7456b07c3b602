//! In place of `nats` where that feature is off: the same names, and the answer that it is not there.

use std::fmt;

use super::proxy::Proxy;
use super::readiness::Registration;
use super::tls::ClientTls;
use super::{BoxedLink, LinkError};
use crate::base::{Code, Failure};
use crate::wire::{ClientOp, ServerOp, UpstreamNews, UpstreamOp};

/// Where to connect to, and as whom.
#[derive(Debug, Clone)]
pub struct NatsOptions {
    /// The servers.
    pub address: String,
    /// Who signs in.
    pub user: NatsUser,
    /// For servers that want TLS.
    pub tls: Option<ClientTls>,
    /// The way out.
    pub proxy: Option<Proxy>,
    /// Connect to no servers but those of the address.
    pub ignores_discovered: bool,
}

impl NatsOptions {
    /// Returns whether an address is one of NATS.
    pub fn is_address(address: &str) -> bool {
        ["nats://", "tls://"].iter().any(|scheme| address.starts_with(scheme))
    }

    /// Returns that there is none.
    pub fn check(&self) -> Result<(), &'static str> {
        Err(MISSING)
    }
}

/// What a client may show to be let in.
#[derive(Clone, Default)]
pub struct NatsUser {
    /// A token.
    pub token: Option<String>,
    /// A name.
    pub user: Option<String>,
    /// The password to it.
    pub password: Option<String>,
    /// The seed of a user's key.
    pub nkey: Option<String>,
    /// A user with a JWT.
    pub credentials: Option<String>,
}

impl fmt::Debug for NatsUser {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NatsUser").finish_non_exhaustive()
    }
}

/// A fabric that cannot be reached.
#[derive(Debug)]
pub struct NatsRemote;

impl NatsRemote {
    /// Returns it, whatever the options are: their check has failed.
    pub fn new(_: NatsOptions, _: Option<Registration>) -> Self {
        Self
    }

    /// Fails.
    pub async fn dial(&self) -> Result<BoxedLink<ClientOp, ServerOp>, LinkError> {
        Err(missing())
    }

    /// Fails.
    pub async fn dial_gateway(&self) -> Result<BoxedLink<UpstreamOp, UpstreamNews>, LinkError> {
        Err(missing())
    }
}

fn missing() -> LinkError {
    LinkError::Denied(Failure::new(Code::Unsupported, MISSING))
}

const MISSING: &str = "this build has no NATS: build the engine with its feature `nats`";
