//! What a broker asks of the application: who a user is, and what they may do.

use std::sync::Arc;
use std::time::Duration;

use super::PeerId;
use crate::wire::Carrier;

/// Which requests are made, how long a reply may take, and for how long it is valid.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuthorizerConfig {
    /// Ask who each new connection is. Otherwise every user is `null`.
    pub asks_user: bool,
    /// Ask before each publish, subscription and wait for interest. Else everything is allowed.
    pub asks_permission: bool,
    /// Keep `sys.conat.…` for the broker's own service: only system users publish there, only the broker
    /// listens.
    pub guards_system: bool,
    /// The time that authentication may take before the sign-in fails. Default 10 s, as for the handshake.
    /// Too low: users of a slow directory are refused. Too high: unauthenticated clients hold places that
    /// others need.
    pub sign_in_timeout: Duration,
    /// The time that a decision may take before it counts as denied. Default 10 s. Too high: a callback that
    /// hangs holds up its connection for that long.
    pub permission_timeout: Duration,
    /// For how long a decision is believed for the same connection, action and subject. Default 1 s. Zero:
    /// asked every time. Too high: who loses a permission keeps it for that long, unless it is asked again by
    /// hand.
    pub permission_cache: Duration,
}

impl Default for AuthorizerConfig {
    fn default() -> Self {
        Self {
            asks_user: false,
            asks_permission: false,
            guards_system: false,
            sign_in_timeout: Duration::from_secs(10),
            permission_timeout: Duration::from_secs(10),
            permission_cache: Duration::from_secs(1),
        }
    }
}

/// What is known of a connection before it is authenticated.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ConnectionInfo {
    /// The connection's id, by which the application names it. Never used again.
    pub id: String,
    /// The network address; empty within the process.
    pub address: String,
    /// HTTP headers, names in lower case.
    pub headers: Vec<(String, String)>,
    /// The certificate that it has shown, if it was verified.
    pub certificate: Option<Certificate>,
    /// What carries it.
    pub carrier: Carrier,
}

/// The identity in a verified certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Certificate {
    /// SHA-256 of all of it, as Node.js writes it.
    pub fingerprint256: String,
    /// The names it was issued for, as `DNS:…` and `URI:…`.
    pub alternative_names: Vec<String>,
}

/// An action on a subject that needs permission.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Action {
    /// To publish to it, or to ask whether it has subscribers.
    Publish,
    /// To subscribe to it.
    Subscribe,
}

impl Action {
    /// Returns Conat's name for it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Publish => "pub",
            Self::Subscribe => "sub",
        }
    }
}

/// Names a request. Each is answered once, even if nothing waits for the answer any more.
pub type AuthRequestId = u64;

/// From the broker to the application.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AuthRequest {
    /// Who is this? Answered with `Broker::handle_user`.
    Authenticate {
        /// Comes back with the reply.
        request: AuthRequestId,
        /// The connection.
        peer: PeerId,
        /// What it sent in its handshake.
        connection: ConnectionInfo,
    },
    /// May it do this? Answered with `Broker::handle_decision`.
    Authorize {
        /// Comes back with the reply.
        request: AuthRequestId,
        /// The connection.
        peer: PeerId,
        /// The action it asks for.
        action: Action,
        /// On which valid subject, or pattern.
        subject: Arc<str>,
    },
    /// A connection that was asked about is gone.
    Disconnected(PeerId),
}

/// The application's decision.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// Yes.
    Allowed,
    /// No.
    Denied,
    /// It could not be decided: no, and the next one asks again.
    Failed,
}
