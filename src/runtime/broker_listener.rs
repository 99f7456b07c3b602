//! Lets peers in from the network.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::{Semaphore, oneshot};

use super::{BrokerHandle, EventQueue, Guest, News, threads};
use crate::broker::Visitor;
use crate::endpoint::{Failure, Handle};
use crate::transport::{AcceptOptions, accept_with_handshake};

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

/// A port that is open, or about to be, until this is dropped.
pub struct OpenPort {
    _stop: oneshot::Sender<()>,
}

/// Opens the port for the broker known as `handle`. Peers that come are served until it is closed. What becomes of it is news: ready,
/// failed, or, when the port is free again, closed.
pub fn open_port(
    handle: Handle,
    broker: Arc<BrokerHandle>,
    options: ListenOptions,
    events: Arc<EventQueue>,
) -> OpenPort {
    let (stop, stopped) = oneshot::channel();
    threads::spawn(hold_port(handle, broker, options, stopped, events));
    OpenPort { _stop: stop }
}

async fn hold_port(
    handle: Handle,
    broker: Arc<BrokerHandle>,
    options: ListenOptions,
    mut stopped: oneshot::Receiver<()>,
    events: Arc<EventQueue>,
) {
    let place = format!("{}:{}", options.host, options.port);
    let listening = async {
        let listener = TcpListener::bind((options.host.as_str(), options.port)).await?;
        Ok((listener.local_addr()?, listener))
    };
    let news = match listening.await {
        Ok((address, listener)) => {
            tracing::info!(%address, "broker listens");
            events.put([News::BrokerReady(handle, Some(address))]);
            tokio::select! {
                _ = &mut stopped => {}
                () = let_in(broker, listener, Arc::new(options.accept)) => {}
            }
            // The listener is gone with its future: the port is free.
            News::BrokerClosed(handle)
        }
        Err(error) => {
            broker.close();
            let is_wanted = stopped.try_recv() == Err(oneshot::error::TryRecvError::Empty);
            if is_wanted {
                News::BrokerFailed(handle, failure(&place, &error))
            } else {
                News::BrokerClosed(handle)
            }
        }
    };
    events.put([news]);
}

fn failure(place: &str, error: &io::Error) -> Failure {
    let code = match error.kind() {
        io::ErrorKind::AddrInUse => "EADDRINUSE",
        io::ErrorKind::PermissionDenied => "EACCES",
        io::ErrorKind::AddrNotAvailable => "EADDRNOTAVAIL",
        _ => "ERR_LISTEN",
    };
    Failure::new(code, format!("cannot listen on {place}: {error}"))
}

async fn let_in(broker: Arc<BrokerHandle>, listener: TcpListener, options: Arc<AcceptOptions>) {
    let handshakes = Arc::new(Semaphore::new(MAX_HANDSHAKES));
    loop {
        let (stream, address) = match listener.accept().await {
            Ok(accepted) => accepted,
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
            let link = accept_with_handshake(stream, &options).await;
            drop(permit);
            match link {
                Ok((link, handshake)) => {
                    let address = address.ip().to_string();
                    let visitor = Visitor { id: handshake.sid, address, headers: handshake.headers };
                    broker.serve(link, Guest::Visitor(visitor));
                }
                Err(error) => tracing::debug!(%error, "handshake failed"),
            }
        });
    }
}

/// Connections that have not got through their handshake yet; more are dropped.
const MAX_HANDSHAKES: usize = 1000;
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
