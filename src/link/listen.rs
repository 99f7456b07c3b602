//! The address that a listener listens on.

use std::net::SocketAddr;
use std::path::PathBuf;

/// The address of a listener that is open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ListenAddress {
    /// A port.
    Net(SocketAddr),
    /// A socket in the file system.
    Unix(PathBuf),
}
