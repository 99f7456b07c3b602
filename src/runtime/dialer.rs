//! Dials a client's broker, in this process or over a network.

use std::pin::Pin;
use std::sync::{Arc, OnceLock};

use super::{BrokerHandle, PeerIdentity};
use crate::broker::BrokerConfig;
use crate::transport::{BoxedLink, LinkError, Remote};
use crate::wire::{ClientOp, ServerOp};

/// Where a client's broker is.
#[derive(Clone)]
pub enum Dialer {
    /// In this process; the identity that the broker sees.
    InProcess(Arc<BrokerHandle>, PeerIdentity),
    /// At the other end of a network.
    Remote(Arc<Remote>),
}

/// A link to come.
pub(super) type Dialing =
    Pin<Box<dyn Future<Output = Result<BoxedLink<ClientOp, ServerOp>, LinkError>> + Send>>;

impl Dialer {
    pub(super) fn dial(&self) -> Dialing {
        match self.clone() {
            Self::InProcess(broker, identity) => Box::pin(async move { broker.link(identity.reconnected()) }),
            Self::Remote(remote) => Box::pin(async move { remote.dial().await }),
        }
    }
}

/// Returns the fabric that every client without an address joins: one for the process, on whichever thread.
pub fn own_fabric() -> Arc<BrokerHandle> {
    static OWN: OnceLock<Arc<BrokerHandle>> = OnceLock::new();
    OWN.get_or_init(|| {
        let config = BrokerConfig { max_subscriptions_per_client: usize::MAX, ..BrokerConfig::default() };
        BrokerHandle::start(config, None)
    })
    .clone()
}
