//! A connection as the protocols see it: bytes in both directions, whatever they go over.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

use super::tls::PeerCertificate;

/// Bytes in both directions.
pub trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// TCP, TLS, a Unix socket, a pipe from JavaScript, or a WebSocket.
pub type BoxedStream = Box<dyn Stream>;

/// A connection before its handshake: nothing is known of it but how it came.
pub struct IncomingConnection {
    pub(super) stream: BoxedStream,
    pub(super) address: Option<SocketAddr>,
    pub(super) tls: Option<PeerCertificate>,
    /// It came to a server of the application's that listens on loopback.
    pub(super) is_to_loopback: bool,
}

impl IncomingConnection {
    /// Returns a connection over `stream`, from `address` if there is one.
    pub fn new(stream: impl Stream + 'static, address: Option<SocketAddr>) -> Self {
        Self { stream: Box::new(stream), address, tls: None, is_to_loopback: false }
    }

    /// Returns where it comes from; absent over a Unix socket.
    pub fn address(&self) -> Option<SocketAddr> {
        self.address
    }

    /// Sets whether it came to a server that listens on loopback: then `Host` has to be one of loopback's
    /// names.
    pub fn to_loopback(self, is_to_loopback: bool) -> Self {
        Self { is_to_loopback, ..self }
    }

    /// Adds a certificate that has been verified elsewhere.
    pub fn with_certificate(self, certificate: Option<PeerCertificate>) -> Self {
        Self { tls: certificate, ..self }
    }
}

impl From<TcpStream> for IncomingConnection {
    fn from(stream: TcpStream) -> Self {
        // A connection that is gone already shows at the first read.
        let _ = set_options(&stream);
        let address = stream.peer_addr().ok();
        Self::new(stream, address)
    }
}

/// Sets the options of every TCP connection.
pub(super) fn set_options(stream: &TcpStream) -> io::Result<()> {
    // Without it answers wait for acknowledgements.
    stream.set_nodelay(true)?;
    let socket = SockRef::from(stream);
    // Whatever the system has taken and not sent is in the way of what is more urgent.
    #[cfg(any(target_os = "android", target_os = "linux"))]
    socket.set_tcp_notsent_lowat(MAX_UNSENT_BYTES)?;
    // A peer whose machine is gone says nothing.
    socket.set_keepalive(true)
}

/// Bytes that the system may have taken and not sent: enough to keep the line busy until it asks for more.
#[cfg(any(target_os = "android", target_os = "linux"))]
const MAX_UNSENT_BYTES: u32 = 256 * 1024;

/// A stream of which the first bytes were read already.
pub(super) struct Prefixed {
    first: Bytes,
    stream: BoxedStream,
}

impl Prefixed {
    pub(super) fn new(first: impl Into<Bytes>, stream: BoxedStream) -> Self {
        Self { first: first.into(), stream }
    }
}

impl AsyncRead for Prefixed {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let count = self.first.len().min(into.remaining());
        if count > 0 {
            into.put_slice(&self.first.split_to(count));
            return Poll::Ready(Ok(()));
        }
        Pin::new(&mut self.stream).poll_read(cx, into)
    }
}

impl AsyncWrite for Prefixed {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
