//! The settings of an endpoint.

use super::IntakeLimits;
use crate::client::ClientConfig;

/// Settings of one endpoint.
#[derive(Debug, Clone)]
pub struct EndpointConfig {
    /// Settings of its fabric client.
    pub client: ClientConfig,
    /// What it takes of messages in pieces.
    pub intake: IntakeLimits,
    /// The next handle for an accepted socket. Endpoints whose events go to one place share one sequence.
    pub handles: std::sync::Arc<std::sync::atomic::AtomicU32>,
}

impl Default for EndpointConfig {
    fn default() -> Self {
        let handles = std::sync::atomic::AtomicU32::new(FIRST_ACCEPTED);
        Self { client: ClientConfig::default(), intake: IntakeLimits::default(), handles: handles.into() }
    }
}

/// Handles below it are chosen by the application.
pub const FIRST_ACCEPTED: u32 = 1 << 31;
