//! Accepts connections for a broker: all go through the same handshake, wherever they come from.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::{BrokerHandle, PeerIdentity, threads};
use crate::broker::{self, Certificate};
use crate::transport::tls::ServerTls;
use crate::transport::{AcceptOptions, HandshakeLimiter, IncomingConnection, accept_with_handshake};

/// Takes incoming connections through the handshake.
pub struct Acceptor {
    broker: Arc<BrokerHandle>,
    options: AcceptOptions,
    limiter: HandshakeLimiter,
}

impl Acceptor {
    /// Returns an acceptor for `broker`.
    pub fn new(broker: Arc<BrokerHandle>, options: AcceptOptions) -> Arc<Self> {
        let limiter = HandshakeLimiter::new(options.max_handshakes, options.max_handshakes_per_address);
        Arc::new(Self { broker, options, limiter })
    }

    /// Takes a connection through the handshake, in a task of its own, and serves it. When too many are at
    /// that, an older one is dropped.
    pub fn accept(self: &Arc<Self>, connection: IncomingConnection) {
        let address = connection.address();
        let permit = self.limiter.acquire(address.map(|address| address.ip()));
        let acceptor = self.clone();
        threads::spawn(async move {
            let accepted = tokio::select! {
                accepted = accept_with_handshake(connection, &acceptor.options) => accepted,
                () = permit.revoked() => {
                    return tracing::debug!(?address, "too many handshakes at once, the oldest dropped");
                }
            };
            drop(permit);
            match accepted {
                Ok((link, handshake)) => {
                    let address = address.map_or_else(String::new, |address| address.ip().to_string());
                    let headers = handshake.headers;
                    let certificate = handshake.tls.map(|shown| Certificate {
                        fingerprint256: shown.fingerprint256,
                        alternative_names: shown.alternative_names,
                    });
                    let info = broker::ConnectionInfo { id: handshake.sid, address, headers, certificate };
                    acceptor.broker.serve(link, PeerIdentity::Connection(info));
                }
                Err(error) => tracing::debug!(?address, %error, "handshake failed"),
            }
        });
    }

    /// Returns the broker's side of TLS, if it speaks TLS.
    pub fn tls(&self) -> Option<&ServerTls> {
        self.options.tls.as_deref()
    }

    /// Sets whether health checks report that clients should go elsewhere.
    pub fn set_draining(&self, is_draining: bool) {
        self.options.draining.store(is_draining, Ordering::Relaxed);
    }
}
