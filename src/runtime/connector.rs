//! Dials a client's broker, in this process or over a network.

use std::pin::Pin;
use std::sync::{Arc, OnceLock};

use bytes::Bytes;

use super::{BrokerHandle, PeerIdentity};
use crate::base::Chunk;
use crate::broker::BrokerConfig;
use crate::transport::{BoxedLink, ByteDialer, LinkError, NatsRemote, Remote};
use crate::wire::{ClientOp, ServerOp};

/// Makes links to one place.
pub trait Connector<Out, In>: Send + 'static {
    /// Begins to make one.
    fn connect(&self) -> Connecting<Out, In>;
}

/// A link that is being made.
pub type Connecting<Out, In> = Pin<Box<dyn Future<Output = Result<BoxedLink<Out, In>, LinkError>> + Send>>;

/// Where a client's broker is.
pub enum Dialer {
    /// In this process; the identity that the broker sees.
    InProcess(Arc<BrokerHandle>, PeerIdentity),
    /// At the other end of a network.
    Remote(Arc<Remote>),
    /// A cluster of NATS.
    Nats(Arc<NatsRemote>),
}

impl Connector<ClientOp, ServerOp> for Dialer {
    fn connect(&self) -> Connecting<ClientOp, ServerOp> {
        match self {
            Self::InProcess(broker, identity) => {
                let (broker, identity) = (broker.clone(), identity.reconnected());
                Box::pin(async move { broker.link(identity) })
            }
            Self::Remote(remote) => {
                let remote = remote.clone();
                Box::pin(async move { remote.dial().await })
            }
            Self::Nats(remote) => {
                let remote = remote.clone();
                Box::pin(async move { remote.dial().await })
            }
        }
    }
}

impl Connector<Bytes, Chunk> for ByteDialer {
    fn connect(&self) -> Connecting<Bytes, Chunk> {
        let dialer = self.clone();
        Box::pin(async move { dialer.dial().await })
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
