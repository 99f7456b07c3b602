//! Options of sockets and listeners, as they come from JavaScript. Defaults are the engine's own.

use std::time::Duration;

use serde::Deserialize;

use crate::base::{Code, Failure};
use crate::socket::{Dialect, SocketConfig};

/// Of the commands *listen* and *socket connect*.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SocketOptions {
    /// The server's or the socket's id.
    pub id: String,
    max_queue_size: Option<usize>,
    max_queue_bytes: Option<usize>,
    max_message_bytes: Option<usize>,
    slow_consumer_timeout: Option<f64>,
    /// Whether the id was chosen, so that somebody else may have it.
    #[serde(default)]
    pub exclusive: bool,
    epoch: Option<u64>,
    reconnection: Option<bool>,
    wait: Option<f64>,
    renew: Option<bool>,
    keep_alive: Option<f64>,
    keep_alive_timeout: Option<f64>,
    resume_timeout: Option<f64>,
    command_timeout: Option<f64>,
    load_balancer: Option<bool>,
    load_balancer_timeout: Option<f64>,
    dialect: Option<String>,
    max_sockets: Option<usize>,
    max_sockets_per_user: Option<usize>,
    stream: Option<bool>,
}

impl SocketOptions {
    /// Reads what `lib` wrote.
    pub fn parse(text: &str) -> Result<Self, Failure> {
        parse(text)
    }

    /// Returns the engine's settings.
    pub fn config(&self) -> SocketConfig {
        let defaults = SocketConfig::default();
        SocketConfig {
            max_queue: self.max_queue_size.unwrap_or(defaults.max_queue),
            max_queue_bytes: self.max_queue_bytes.unwrap_or(defaults.max_queue_bytes),
            max_message_bytes: self.max_message_bytes.unwrap_or(defaults.max_message_bytes),
            slow_consumer_timeout: self.slow_consumer_timeout.map(milliseconds),
            epoch: self.epoch,
            reconnection: self.reconnection.unwrap_or(defaults.reconnection),
            wait: self.wait.map(|ms| u32::try_from(milliseconds(ms).as_millis()).unwrap_or(u32::MAX)),
            keeps_requests: self.renew.unwrap_or(defaults.keeps_requests),
            // Zero and less turn it off.
            keep_alive: self
                .keep_alive
                .map_or(defaults.keep_alive, |ms| (ms > 0.0).then(|| milliseconds(ms))),
            keep_alive_timeout: self.keep_alive_timeout.map_or(defaults.keep_alive_timeout, milliseconds),
            resume_timeout: self.resume_timeout.map(milliseconds).or(defaults.resume_timeout),
            command_timeout: self.command_timeout.map_or(defaults.command_timeout, milliseconds),
            load_balancer: self.load_balancer.unwrap_or(defaults.load_balancer),
            load_balancer_timeout: self
                .load_balancer_timeout
                .map_or(defaults.load_balancer_timeout, milliseconds),
            dialect: match self.dialect.as_deref() {
                Some("classic") => Dialect::Classic,
                Some("attempt") => Dialect::Attempt,
                _ => defaults.dialect,
            },
            stream: self.stream.unwrap_or(defaults.stream),
            max_sockets: self.max_sockets.unwrap_or(defaults.max_sockets),
            max_sockets_per_user: self.max_sockets_per_user.unwrap_or(defaults.max_sockets_per_user),
            ..defaults
        }
    }
}

/// Converts a duration from JavaScript. `lib` has refused invalid ones; the others are capped.
pub fn milliseconds(ms: f64) -> Duration {
    Duration::try_from_secs_f64(ms.max(0.0) / 1000.0).unwrap_or(MAX_DURATION).min(MAX_DURATION)
}

/// Reads a JSON text that `lib` wrote.
pub fn parse<'a, T: Deserialize<'a>>(text: &'a str) -> Result<T, Failure> {
    serde_json::from_str(text)
        .map_err(|error| Failure::new(Code::InvalidArgument, format!("invalid options: {error}")))
}

/// A year: as good as for ever, and safe to add to any instant.
const MAX_DURATION: Duration = Duration::from_secs(365 * 24 * 3600);
