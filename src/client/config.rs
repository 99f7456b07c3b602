//! The settings of a client, and their defaults.

use std::time::Duration;

use crate::link::ReconnectConfig;

/// Settings of one client.
#[derive(Debug, Clone)]
pub struct ClientConfig {
    /// First token or tokens of the subject that replies come to. Default `_INBOX`.
    pub inbox_prefix: String,
    /// The time that a subscription may take to be confirmed. Default 60 s.
    pub subscribe_timeout: Duration,
    /// The time that what is asked waits for a connection, before its own timeout begins; `None`: any.
    /// Default 60 s.
    pub offline_timeout: Option<Duration>,
    /// Bytes of publishes and requests that wait for the connection; more fail with `ENOBUFS`. Default 64
    /// MiB.
    pub max_waiting_bytes: usize,
    /// When and whether to reconnect.
    pub reconnect: ReconnectConfig,
}

impl Default for ClientConfig {
    fn default() -> Self {
        Self {
            inbox_prefix: "_INBOX".to_owned(),
            subscribe_timeout: Duration::from_secs(60),
            offline_timeout: Some(Duration::from_secs(60)),
            max_waiting_bytes: 64 * 1024 * 1024,
            reconnect: ReconnectConfig::default(),
        }
    }
}
