//! Accepts connections for a broker: all go through the same handshake, wherever they come from.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use bytes::Bytes;

use super::rounds::{HANDSHAKES, Rounds};
use super::{BrokerHandle, PeerIdentity, spare_memory, threads};
use crate::broker::{self, Certificate};
use crate::transport::tls::ServerTls;
use crate::transport::{
    AcceptOptions, HandshakeLimiter, IncomingConnection, TurnedAway, TurnedAwayFor, accept_with_handshake,
};

/// Takes incoming connections through the handshake.
pub struct Acceptor {
    broker: Arc<BrokerHandle>,
    options: AcceptOptions,
    limiter: HandshakeLimiter,
    turns: Rounds,
}

impl Acceptor {
    /// Returns an acceptor for `broker`.
    pub fn new(broker: Arc<BrokerHandle>, options: AcceptOptions) -> Arc<Self> {
        let limiter = HandshakeLimiter::new(options.max_handshakes, options.max_handshakes_per_address);
        Arc::new(Self { broker, options, limiter, turns: Rounds::new(HANDSHAKES) })
    }

    /// Takes a connection through the handshake, in a task of its own, and serves it. When too many are at
    /// that, an older one is dropped.
    pub fn accept(self: &Arc<Self>, connection: IncomingConnection) {
        let address = connection.address().map(|address| address.ip());
        let is_proxy = self.options.trusted_proxies.trusts(address);
        let permit = self.limiter.acquire(address, is_proxy);
        let acceptor = self.clone();
        let counted = spare_memory::Counted::new();
        threads::spawn(async move {
            let _counted = counted;
            let handshake = accept_with_handshake(connection, &acceptor.options);
            let accepted = tokio::select! {
                accepted = acceptor.turns.drive(1, handshake) => accepted,
                () = permit.revoked() => {
                    acceptor.options.turned_away.count(TurnedAwayFor::Rate);
                    return tracing::debug!(?address, "too many handshakes at once, the oldest dropped");
                }
            };
            drop(permit);
            match accepted {
                Ok((link, handshake)) => {
                    let client = handshake.address;
                    let address = client.map_or_else(String::new, |address| address.to_string());
                    let headers = handshake.headers;
                    let certificate = handshake.tls.map(|shown| Certificate {
                        fingerprint256: shown.fingerprint256,
                        alternative_names: shown.alternative_names,
                    });
                    let (id, carrier) = (handshake.sid, handshake.carrier);
                    let info = broker::ConnectionInfo { id, address, headers, certificate, carrier };
                    let limiter = acceptor.limiter.clone();
                    let signed_in = move || limiter.note_signed_in(client);
                    acceptor.broker.serve(link, PeerIdentity::Connection(info), signed_in);
                }
                Err(error) => tracing::debug!(?address, %error, "handshake failed"),
            }
        });
    }

    /// Takes the application's answer to a request for one of its pages.
    pub fn handle_page_answer(&self, number: u64, response: Bytes) {
        if let Some(pages) = &self.options.pages {
            pages.handle_answer(number, response);
        }
    }

    /// Returns how many connections are in their handshake.
    pub fn handshakes(&self) -> usize {
        self.limiter.open()
    }

    /// Returns how many were not let in, by reason.
    pub fn turned_away(&self) -> &TurnedAway {
        &self.options.turned_away
    }

    /// Returns the broker's side of TLS, if it speaks TLS.
    pub fn tls(&self) -> Option<&ServerTls> {
        self.options.tls.as_deref()
    }

    /// Sets whether health checks report that clients should go elsewhere.
    pub fn set_draining(&self, is_draining: bool) {
        self.options.draining.store(is_draining, Ordering::Relaxed);
    }

    /// Sets whether health checks report that the fabric above has been away for too long.
    pub fn set_overdue(&self, is_overdue: bool) {
        self.options.overdue.store(is_overdue, Ordering::Relaxed);
    }
}
