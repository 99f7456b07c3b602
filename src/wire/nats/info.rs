//! `INFO`: what a server says about itself.

use serde::Deserialize;

use super::DecodeError;
use crate::wire::message::json;

/// The members that matter here.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct ServerInfo {
    /// The server's id.
    pub server_id: String,
    /// `2.15.1`.
    pub version: String,
    /// Whether messages may have headers.
    pub headers: bool,
    /// Largest headers and payload of a message together, in bytes.
    pub max_payload: usize,
    /// A client must speak TLS.
    pub tls_required: bool,
    /// A client may speak TLS.
    pub tls_available: bool,
    /// To be signed.
    pub nonce: Option<String>,
    /// The server's number for this connection.
    pub client_id: u64,
    /// The name of its cluster.
    pub cluster: Option<String>,
    /// Where else the same fabric is to be had.
    pub connect_urls: Option<Vec<String>>,
    /// The server is about to stop.
    pub ldm: bool,
}

impl ServerInfo {
    /// Reads the text of an `INFO`.
    pub fn read(text: &str) -> Result<Self, DecodeError> {
        let info: Self = json::read(text).ok_or(DecodeError("malformed info"))?;
        if info.max_payload == 0 { Err(DecodeError("info without max_payload")) } else { Ok(info) }
    }

    /// Returns whether the server has what is needed: headers, and 503 for what nobody listens to.
    pub fn is_supported(&self) -> bool {
        self.headers && self.is_at_least(2, 9)
    }

    /// Returns whether a message can be traced instead of delivered, so that a look at who listens has no
    /// side effects.
    pub fn has_traces(&self) -> bool {
        self.is_at_least(2, 11)
    }

    fn is_at_least(&self, major: u32, minor: u32) -> bool {
        let mut parts = self.version.split('.').map(|part| part.parse::<u32>().unwrap_or(0));
        (parts.next().unwrap_or(0), parts.next().unwrap_or(0)) >= (major, minor)
    }
}
