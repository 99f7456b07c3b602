//! Dials a connection of plain bytes: over TCP, TLS, or a Unix socket.

use std::time::Duration;

use super::address::Place;
use super::dial_socket::{tcp, unix};
use super::proxy::Proxy;
use super::readiness::Registration;
use super::timer::within;
use super::tls::{self, ClientTls};
use super::{BoxedLink, BoxedStream, ByteLink, LinkError};
use crate::base::Chunk;
use bytes::Bytes;

/// Dials one place, for a machine that decodes by itself.
#[derive(Debug, Clone)]
pub struct ByteDialer {
    /// Where to connect to.
    pub place: Place,
    /// Speak TLS.
    pub tls: Option<ClientTls>,
    /// For all of it, from the name look-up to the end of TLS's handshake.
    pub connect_timeout: Duration,
    /// Another thread that watches the connections.
    pub registration: Option<Registration>,
}

impl ByteDialer {
    /// Connects. [`LinkError::Silent`] when the time is over.
    pub async fn dial(&self) -> Result<BoxedLink<Bytes, Chunk>, LinkError> {
        let connecting = connect(&self.place, self.tls.as_ref(), None, self.registration.as_ref());
        let stream = within(self.connect_timeout, connecting).await?;
        Ok(ByteLink::boxed(stream, &[]))
    }
}

/// Connects to a place, through a proxy if it serves that place, and speaks TLS there if that is wanted.
pub(super) async fn connect(
    place: &Place,
    tls: Option<&ClientTls>,
    proxy: Option<&Proxy>,
    registration: Option<&Registration>,
) -> Result<BoxedStream, LinkError> {
    let (stream, host) = match place {
        Place::Net(host, port) => {
            let stream = match proxy.filter(|proxy| proxy.serves(host, *port)) {
                Some(proxy) => proxy.connect(host, *port, registration).await?,
                None => tcp(host, *port, registration).await?,
            };
            (stream, host.as_str())
        }
        Place::Unix(path) => (unix(path, registration).await?, "localhost"),
    };
    match tls {
        Some(tls) => tls::connect(stream, tls, host).await,
        None => Ok(stream),
    }
}
