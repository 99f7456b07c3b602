//! The target of a client, checked and taken apart: an address, a path, headers.

use tokio_tungstenite::tungstenite::http::{HeaderMap, HeaderName, HeaderValue, Uri};

use super::address::{Address, Place};
use super::{DialOptions, LinkError};

/// The place to connect to, and the request to send.
#[derive(Debug)]
pub(super) struct Target {
    pub(super) place: Place,
    /// Speak TLS.
    pub(super) tls: bool,
    /// As it belongs into a URL, and into `Host`.
    pub(super) authority: String,
    /// Starts and ends with `/`.
    pub(super) path: String,
    /// The application's own.
    pub(super) headers: HeaderMap,
}

impl Target {
    /// Reads `options`, so that nothing of them can be taken for something else once it is in a request.
    pub(super) fn new(options: &DialOptions) -> Result<Self, LinkError> {
        let Address { place, tls, authority, base, .. } =
            Address::parse(&options.address).map_err(refused)?;
        let path = options.path.trim_matches('/');
        let slash = if path.is_empty() { "" } else { "/" };
        let path = format!("{base}{slash}{path}/");
        if Uri::try_from(format!("ws://{authority}{path}")).is_err() || path.contains(['?', '#']) {
            return Err(refused("malformed address or path"));
        }
        let mut headers = HeaderMap::new();
        for (name, value) in &options.headers {
            let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::from_str(value)) else {
                return Err(refused("malformed header"));
            };
            headers.append(name, value);
        }
        Ok(Self { place, tls, authority, path, headers })
    }
}

pub(super) fn refused(what: &str) -> LinkError {
    LinkError::Refused(what.to_owned())
}

/// A delivery may have this size whatever the server announces about packets in the other direction.
pub(super) const MIN_PAYLOAD_BYTES: usize = 8_000_000;
/// And never more than this.
pub(super) const MAX_PAYLOAD_BYTES: usize = 64 * 1024 * 1024;
