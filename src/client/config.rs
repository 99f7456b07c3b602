//! The settings of a client, and their defaults.

use std::time::Duration;

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

/// Pauses between attempts to connect.
#[derive(Debug, Clone)]
pub struct ReconnectConfig {
    /// Whether to connect again after a loss. Default true.
    pub enabled: bool,
    /// The unit of the ceilings: two fifths of it, twice, four times, and four times again while the outage
    /// is younger than 10 s; then on to `delay_max`. Default 500 ms.
    pub delay: Duration,
    /// Ceiling of all pauses. Default 15 s.
    pub delay_max: Duration,
    /// The random part of a pause: 1 (default) is full jitter, so that a thousand clients do not come back in
    /// step; 0 is none.
    pub jitter: f64,
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

impl Default for ReconnectConfig {
    fn default() -> Self {
        Self {
            enabled: true,
            delay: Duration::from_millis(500),
            delay_max: Duration::from_secs(15),
            jitter: 1.0,
        }
    }
}
