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
            Ok(connection) => {
                accept(connection);
                // Those that have said what they want come first: of a crowd the handshakes would only
                // become more, until the oldest of them give way.
                tokio::task::yield_now().await;
            }
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

#[cfg(all(test, not(feature = "shuttle")))]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    #[test]
    fn of_a_crowd_no_more_are_accepted_before_those_that_are_have_had_their_turn() {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
        let runtime = runtime.expect("a thread");
        runtime.block_on(async {
            let listener = StreamListener::bind(&ListenAt::Net("127.0.0.1".into(), 0)).await.expect("free");
            let ListenAddress::Net(address) = listener.at else { panic!("a port") };
            let mut crowd = Vec::new();
            for _ in 0..CROWD {
                crowd.push(tokio::net::TcpStream::connect(address).await.expect("there is room to wait"));
            }
            let (open, most, done) = (AtomicUsize::new(0), AtomicUsize::new(0), AtomicUsize::new(0));
            let counts = Arc::new((open, most, done));
            let (end, ended) = oneshot::channel();
            let end = Arc::new(std::sync::Mutex::new(Some(end)));
            let seen = counts.clone();
            let accept = move |_| {
                let (counts, end) = (seen.clone(), end.clone());
                let open = counts.0.fetch_add(1, Ordering::Relaxed) + 1;
                counts.1.fetch_max(open, Ordering::Relaxed);
                tokio::spawn(async move {
                    counts.0.fetch_sub(1, Ordering::Relaxed);
                    if counts.2.fetch_add(1, Ordering::Relaxed) + 1 == CROWD {
                        end.lock().expect("sound").take().map(|end| end.send(()));
                    }
                });
            };
            let accepting = tokio::spawn(accept_all(listener, accept));
            ended.await.expect("all are accepted");
            accepting.abort();
            assert!(counts.1.load(Ordering::Relaxed) < 10, "{counts:?}");
        });
    }

    const CROWD: usize = 200;
}
