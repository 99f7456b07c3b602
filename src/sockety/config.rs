//! Settings of a connection.

use std::time::Duration;

use crate::wire::sockety::MAX_CHANNELS;

/// Settings of a connection; the same at both ends.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    /// Channels that the peer may use: 4096.
    pub max_received_channels: u16,
    /// Channels that we use, if the peer offers as many: 4096.
    pub max_writable_channels: u16,
    /// A peer that sends nothing for this long is gone; three quarters of it without a byte of ours bring a
    /// heartbeat: 60 s. `None`: neither.
    pub timeout: Option<Duration>,
    /// How long the peer's connection header may take: 10 s.
    pub handshake_timeout: Duration,
    /// How long a close may wait until all that was sent has left: 60 s.
    pub close_timeout: Duration,
    /// Bytes of data, files and streams that wait for the application. With so many no more is read from the
    /// peer: 16 MiB, and one read.
    pub max_unread_bytes: usize,
    /// Bytes of headers that have not come whole, all channels together: 4 MiB.
    pub max_header_bytes: usize,
    /// Files of messages that have not come whole, all channels together: 16 384.
    pub max_files: u32,
    /// Take files that are longer or shorter than announced.
    pub allow_files_size_mismatch: bool,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            max_received_channels: MAX_CHANNELS,
            max_writable_channels: MAX_CHANNELS,
            timeout: Some(Duration::from_secs(60)),
            handshake_timeout: Duration::from_secs(10),
            close_timeout: Duration::from_secs(60),
            max_unread_bytes: 16 * 1024 * 1024,
            max_header_bytes: 4 * 1024 * 1024,
            max_files: 16_384,
            allow_files_size_mismatch: false,
        }
    }
}
