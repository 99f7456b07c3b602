//! Opens a connection to a place, without TLS and without a proxy.

use std::path::Path;

use tokio::net::TcpStream;

use super::readiness::{Registration, register};
use super::stream::set_options;
use super::{BoxedStream, LinkError};

/// Over TCP.
pub(super) async fn tcp(
    host: &str,
    port: u16,
    registration: Option<&Registration>,
) -> Result<BoxedStream, LinkError> {
    let stream = TcpStream::connect((host, port)).await?;
    set_options(&stream)?;
    Ok(register(stream, registration)?)
}

/// Over a Unix socket.
#[cfg(unix)]
pub(super) async fn unix(path: &Path, registration: Option<&Registration>) -> Result<BoxedStream, LinkError> {
    Ok(register(tokio::net::UnixStream::connect(path).await?, registration)?)
}

#[cfg(not(unix))]
pub(super) async fn unix(_: &Path, _: Option<&Registration>) -> Result<BoxedStream, LinkError> {
    Err(LinkError::Refused("no unix sockets on this platform".to_owned()))
}
