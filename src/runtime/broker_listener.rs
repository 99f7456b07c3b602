//! Lets peers in from the network.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::Semaphore;

use super::{BrokerHandle, threads};
use crate::transport::{AcceptOptions, accept};

/// Where and how to listen.
#[derive(Debug, Clone)]
pub struct ListenOptions {
    /// Name or address to listen on.
    pub host: String,
    /// 0: any free one.
    pub port: u16,
    /// What a peer must present.
    pub accept: AcceptOptions,
}

/// A port that is open until this is dropped.
pub struct Listening {
    address: SocketAddr,
    task: tokio::task::JoinHandle<()>,
}

impl Listening {
    /// The address that is really listened on.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Opens the port. Peers that come are served until the broker is closed.
pub async fn listen(broker: Arc<BrokerHandle>, options: ListenOptions) -> io::Result<Listening> {
    let listener = TcpListener::bind((options.host.as_str(), options.port)).await?;
    let address = listener.local_addr()?;
    tracing::info!(%address, "broker listens");
    let task = threads::spawn(let_in(broker, listener, Arc::new(options.accept)));
    Ok(Listening { address, task })
}

async fn let_in(broker: Arc<BrokerHandle>, listener: TcpListener, options: Arc<AcceptOptions>) {
    let handshakes = Arc::new(Semaphore::new(MAX_HANDSHAKES));
    loop {
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(error) => {
                // Out of file descriptors, most likely: what is open goes on, and closes make room.
                tracing::warn!(%error, "cannot accept");
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        let Ok(permit) = handshakes.clone().try_acquire_owned() else {
            tracing::debug!("too many handshakes at once, connection dropped");
            continue;
        };
        let (broker, options) = (broker.clone(), options.clone());
        threads::spawn(async move {
            let link = accept(stream, &options).await;
            drop(permit);
            match link {
                Ok(link) => broker.serve(link),
                Err(error) => tracing::debug!(%error, "handshake failed"),
            }
        });
    }
}

/// Connections that have not got through their handshake yet; more are dropped.
const MAX_HANDSHAKES: usize = 1000;
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
