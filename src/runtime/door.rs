//! A broker's door: everybody who comes goes through the same handshake, wherever they came from.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::{BrokerHandle, Guest, threads};
use crate::broker::{self, Certificate};
use crate::transport::tls::ServerTls;
use crate::transport::{AcceptOptions, Gate, Visitor, accept_with_handshake};

/// What stands between visitors and a broker.
pub struct Door {
    broker: Arc<BrokerHandle>,
    options: AcceptOptions,
    gate: Gate,
}

impl Door {
    /// A door to `broker`.
    pub fn new(broker: Arc<BrokerHandle>, options: AcceptOptions) -> Arc<Self> {
        let gate = Gate::new(options.max_handshakes, options.max_handshakes_per_address);
        Arc::new(Self { broker, options, gate })
    }

    /// Takes a visitor through the handshake, in a task of its own, and serves it; drops it when too many are at that.
    pub fn let_in(self: &Arc<Self>, visitor: Visitor) {
        let address = visitor.address();
        let Some(pass) = self.gate.enter(address.map(|address| address.ip())) else {
            tracing::debug!(?address, "too many handshakes at once, connection dropped");
            return;
        };
        let door = self.clone();
        threads::spawn(async move {
            let accepted = accept_with_handshake(visitor, &door.options).await;
            drop(pass);
            match accepted {
                Ok((link, handshake)) => {
                    let address = address.map_or_else(String::new, |address| address.ip().to_string());
                    let headers = handshake.headers;
                    let certificate = handshake.tls.map(|shown| Certificate {
                        fingerprint256: shown.fingerprint256,
                        alternative_names: shown.alternative_names,
                    });
                    let visitor = broker::Visitor { id: handshake.sid, address, headers, certificate };
                    door.broker.serve(link, Guest::Visitor(visitor));
                }
                Err(error) => tracing::debug!(?address, %error, "handshake failed"),
            }
        });
    }

    /// What is shown to visitors, if TLS is spoken.
    pub fn tls(&self) -> Option<&ServerTls> {
        self.options.tls.as_deref()
    }

    /// Tells health checks whether visitors should go elsewhere.
    pub fn set_draining(&self, is_draining: bool) {
        self.options.draining.store(is_draining, Ordering::Relaxed);
    }
}
