//! Accepts peers from the network.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;

use super::{Acceptor, BrokerHandle, EventQueue, HostEvent, threads};
use crate::endpoint::{Failure, Handle};
use crate::transport::{ListenAt, StreamListener};

/// A port that is open, or about to be, until this is dropped.
pub struct OpenPort {
    _stop: oneshot::Sender<()>,
}

/// Opens the port, or the socket in the file system, of the broker known as `handle`. Peers that come are
/// served until it is closed. An event reports the outcome: ready, failed, or, when the port is free again,
/// closed.
pub fn open_port(
    handle: Handle,
    broker: Arc<BrokerHandle>,
    place: ListenAt,
    acceptor: Arc<Acceptor>,
    events: Arc<EventQueue>,
) -> OpenPort {
    let (stop, stopped) = oneshot::channel();
    threads::spawn(hold_port(handle, broker, place, acceptor, stopped, events));
    OpenPort { _stop: stop }
}

async fn hold_port(
    handle: Handle,
    broker: Arc<BrokerHandle>,
    place: ListenAt,
    acceptor: Arc<Acceptor>,
    mut stopped: oneshot::Receiver<()>,
    events: Arc<EventQueue>,
) {
    let news = match StreamListener::bind(&place).await {
        Ok(listener) => {
            tracing::info!(at = ?listener.at, "broker listens");
            events.put([HostEvent::BrokerReady(handle, Some(listener.at.clone()))]);
            tokio::select! {
                _ = &mut stopped => {}
                () = accept(&acceptor, listener) => {}
            }
            // The listener is gone with its future: the port is free.
            HostEvent::BrokerClosed(handle)
        }
        Err(error) => {
            broker.close();
            let is_wanted = stopped.try_recv() == Err(oneshot::error::TryRecvError::Empty);
            if is_wanted {
                HostEvent::BrokerFailed(handle, failure(&place, &error))
            } else {
                HostEvent::BrokerClosed(handle)
            }
        }
    };
    events.put([news]);
}

fn failure(place: &ListenAt, error: &io::Error) -> Failure {
    let code = match error.kind() {
        io::ErrorKind::AddrInUse => "EADDRINUSE",
        io::ErrorKind::PermissionDenied => "EACCES",
        io::ErrorKind::AddrNotAvailable => "EADDRNOTAVAIL",
        io::ErrorKind::NotFound => "ENOENT",
        _ => "ERR_LISTEN",
    };
    Failure::new(code, format!("cannot listen on {place}: {error}"))
}

async fn accept(acceptor: &Arc<Acceptor>, listener: StreamListener) {
    loop {
        match listener.accept().await {
            Ok(connection) => acceptor.accept(connection),
            Err(error) => {
                // Out of file descriptors, most likely: what is open goes on, and closes make room.
                tracing::warn!(%error, "cannot accept");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
