//! Accepts connections for machines that decode by themselves: TLS first, if it is spoken.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::rounds::{HANDSHAKES, Rounds};
use super::threads;
use crate::base::Chunk;
use crate::transport::tls::ServerTls;
use crate::transport::{BoxedLink, HandshakeLimiter, IncomingConnection, accept_bytes};

/// Takes incoming connections through the handshake.
pub struct ByteAcceptor {
    tls: Option<ServerTls>,
    handshake_timeout: Duration,
    limiter: HandshakeLimiter,
    turns: Rounds,
}

impl ByteAcceptor {
    /// Returns an acceptor that lets `limiter` bound how many are in the handshake at once.
    pub fn new(tls: Option<ServerTls>, handshake_timeout: Duration, limiter: HandshakeLimiter) -> Arc<Self> {
        Arc::new(Self { tls, handshake_timeout, limiter, turns: Rounds::new(HANDSHAKES) })
    }

    /// Takes a connection through the handshake in a task of its own, and hands it to `then`. When too
    /// many are at that, an older one is dropped.
    pub fn accept(
        self: &Arc<Self>,
        connection: IncomingConnection,
        then: impl FnOnce(BoxedLink<Bytes, Chunk>) + Send + 'static,
    ) {
        let address = connection.address();
        let permit = self.limiter.acquire(address.map(|address| address.ip()), false);
        let acceptor = self.clone();
        threads::spawn(async move {
            let handshake = accept_bytes(connection, acceptor.tls.as_ref(), acceptor.handshake_timeout);
            let accepted = tokio::select! {
                accepted = acceptor.turns.drive(1, handshake) => accepted,
                () = permit.revoked() => {
                    return tracing::debug!(?address, "too many handshakes at once, the oldest dropped");
                }
            };
            drop(permit);
            match accepted {
                Ok((link, _)) => then(link),
                Err(error) => tracing::debug!(?address, %error, "handshake failed"),
            }
        });
    }
}
