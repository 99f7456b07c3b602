//! Options of Sockety connections and servers, as they come from JavaScript. Durations are milliseconds.

use std::path::PathBuf;
use std::time::Duration;

use serde::Deserialize;

use super::tls_options::{ClientTlsSettings, ServerTlsSettings};
use crate::base::Failure;
use crate::boundary::milliseconds;
use crate::sockety::{Budget, Config};
use crate::transport::tls::{ClientTls, ServerTls};
use crate::transport::{ListenAt, Place};

/// Options of every connection.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct SocketyOptions {
    max_received_channels: Option<u16>,
    max_writable_channels: Option<u16>,
    /// 0: none.
    timeout: Option<f64>,
    handshake_timeout: Option<f64>,
    close_timeout: Option<f64>,
    max_unread_bytes: Option<usize>,
    max_header_bytes: Option<usize>,
    max_files: Option<u32>,
    allow_files_size_mismatch: Option<bool>,
}

impl SocketyOptions {
    /// Returns the machine's settings.
    pub fn config(&self) -> Config {
        let defaults = Config::default();
        Config {
            max_received_channels: self.max_received_channels.unwrap_or(defaults.max_received_channels),
            max_writable_channels: self.max_writable_channels.unwrap_or(defaults.max_writable_channels),
            timeout: match self.timeout {
                None => defaults.timeout,
                Some(ms) => (ms > 0.0).then(|| milliseconds(ms)),
            },
            handshake_timeout: self.handshake_timeout.map_or(defaults.handshake_timeout, milliseconds),
            close_timeout: self.close_timeout.map_or(defaults.close_timeout, milliseconds),
            max_unread_bytes: self.max_unread_bytes.unwrap_or(defaults.max_unread_bytes),
            max_header_bytes: self.max_header_bytes.unwrap_or(defaults.max_header_bytes),
            max_files: self.max_files.unwrap_or(defaults.max_files),
            allow_files_size_mismatch: self.allow_files_size_mismatch.unwrap_or_default(),
        }
    }
}

/// Options of `socketyConnect`.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SocketyConnectOptions {
    #[serde(default)]
    host: Option<String>,
    #[serde(default)]
    port: u16,
    /// Instead of a port.
    #[serde(default)]
    path: Option<PathBuf>,
    #[serde(default)]
    tls: Option<ClientTlsSettings>,
    #[serde(default)]
    connect_timeout: Option<f64>,
    /// Of the connection itself.
    #[serde(default)]
    pub connection: SocketyOptions,
}

impl SocketyConnectOptions {
    /// Returns where to connect to.
    pub fn place(&self) -> Place {
        match &self.path {
            Some(path) => Place::Unix(path.clone()),
            None => Place::Net(self.host.clone().unwrap_or_else(|| LOCALHOST.to_owned()), self.port),
        }
    }

    /// Returns the client's side of TLS, if it is to be spoken.
    pub fn tls(&self) -> Result<Option<ClientTls>, Failure> {
        self.tls.as_ref().map(|settings| ClientTls::new(&settings.options())).transpose()
    }

    /// Returns how long connecting may take.
    pub fn connect_timeout(&self) -> Duration {
        self.connect_timeout.map_or(CONNECT_TIMEOUT, milliseconds)
    }
}

/// Options of `socketyListen`.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SocketyListenOptions {
    #[serde(default)]
    host: Option<String>,
    #[serde(default)]
    port: u16,
    /// Instead of a port.
    #[serde(default)]
    path: Option<PathBuf>,
    #[serde(default)]
    socket_mode: Option<u32>,
    #[serde(default)]
    max_total_unread_bytes: Option<usize>,
    #[serde(default)]
    tls: Option<ServerTlsSettings>,
    /// Of each connection.
    #[serde(default)]
    pub connection: SocketyOptions,
}

impl SocketyListenOptions {
    /// Returns where to listen.
    pub fn place(&self) -> ListenAt {
        match &self.path {
            Some(path) => ListenAt::Unix(path.clone(), self.socket_mode.unwrap_or(SOCKET_MODE)),
            None => ListenAt::Net(self.host.clone().unwrap_or_else(|| ANY_HOST.to_owned()), self.port),
        }
    }

    /// Returns what all connections share.
    pub fn budget(&self) -> Budget {
        Budget::new(self.max_total_unread_bytes.unwrap_or(MAX_TOTAL_UNREAD_BYTES))
    }

    /// Returns the server's side of TLS, if it is to be spoken.
    pub fn tls(&self) -> Result<Option<ServerTls>, Failure> {
        self.tls.as_ref().map(|settings| ServerTls::new(settings.options())).transpose()
    }
}

/// Bytes of messages that may wait to be read on all connections of a server.
const MAX_TOTAL_UNREAD_BYTES: usize = 256 * 1024 * 1024;
const LOCALHOST: &str = "localhost";
/// As Node.js: IPv6, and IPv4 with it.
const ANY_HOST: &str = "::";
/// Permissions of a socket in the file system: for its owner only.
const SOCKET_MODE: u32 = 0o600;
/// For the look-up of a name, TCP and TLS together.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(20);
