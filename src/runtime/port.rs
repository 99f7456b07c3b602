//! Accepts connections from the network, for any server.

use std::io;
use std::time::Duration;

use tokio::sync::oneshot;

use super::threads;
use crate::base::{Code, Failure};
use crate::link::ListenAddress;
use crate::transport::timer::{now, wait_until};
use crate::transport::{IncomingConnection, ListenAt, StreamListener};

/// A port that is open, or about to be, until this is dropped.
pub struct OpenPort {
    _stop: oneshot::Sender<()>,
}

/// What becomes of a port.
#[derive(Debug)]
pub enum PortEvent {
    /// It is open.
    Ready(ListenAddress),
    /// It is free again. The last.
    Closed,
    /// It could not be opened. The last.
    Failed(Failure),
}

/// Opens a port, or a socket in the file system. Connections go to `accept`, until the port is closed.
pub fn open_port(
    place: ListenAt,
    accept: impl Fn(IncomingConnection) + Send + 'static,
    report: impl Fn(PortEvent) + Send + 'static,
) -> OpenPort {
    let (stop, mut stopped) = oneshot::channel();
    threads::spawn(async move {
        match StreamListener::bind(&place).await {
            Ok(listener) => {
                tracing::info!(at = ?listener.at, "listens");
                report(PortEvent::Ready(listener.at.clone()));
                tokio::select! {
                    _ = &mut stopped => {}
                    () = accept_all(listener, accept) => {}
                }
                // The listener is gone with its future: the port is free.
                report(PortEvent::Closed);
            }
            Err(_) if stopped.try_recv() != Err(oneshot::error::TryRecvError::Empty) => {
                report(PortEvent::Closed)
            }
            Err(error) => report(PortEvent::Failed(failure(&place, &error))),
        }
    });
    OpenPort { _stop: stop }
}

fn failure(place: &ListenAt, error: &io::Error) -> Failure {
    let code = match error.kind() {
        io::ErrorKind::AddrInUse => Code::AddressInUse,
        io::ErrorKind::PermissionDenied => Code::AccessDenied,
        io::ErrorKind::AddrNotAvailable => Code::AddressNotAvailable,
        io::ErrorKind::NotFound => Code::NotFound,
        _ => Code::Listen,
    };
    Failure::new(code, format!("cannot listen on {place}: {error}"))
}

async fn accept_all(listener: StreamListener, accept: impl Fn(IncomingConnection)) {
    let mut quiet_until = now();
    loop {
        match listener.accept().await {
            Ok(connection) => accept(connection),
            Err(error) => {
                // Out of file descriptors, most likely: what is open goes on, and closes make room.
                if now() >= quiet_until {
                    tracing::warn!(%error, "cannot accept connections, which wait");
                    quiet_until = now() + WARNING_PAUSE;
                }
                wait_until(now() + ACCEPT_PAUSE).await;
            }
        }
    }
}

/// How long to wait after a connection could not be accepted.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// Between two warnings of that.
const WARNING_PAUSE: Duration = Duration::from_secs(60);
