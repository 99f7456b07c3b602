//! Listens for connections: on a port, or a socket in the file system.

use std::fmt;
use std::io;
use std::path::PathBuf;

use tokio::net::{TcpListener, TcpSocket, lookup_host};

use super::stream::IncomingConnection;
use crate::link::ListenAddress;

/// Connections that wait to be accepted, at most. Linux has 4096 for it by default, and takes less of what
/// is more. Where it is full, the kernel drops what comes, and whoever comes tries again after 1, 3 and 7
/// seconds: in a crowd that is the longest wait.
const BACKLOG: u32 = 4096;

/// Where to listen.
#[derive(Debug, Clone)]
pub enum ListenAt {
    /// A name or address, and a port; 0 is any free one.
    Net(String, u16),
    /// A socket file with permissions, which no other process listens on. Removed when the listener is
    /// dropped.
    Unix(PathBuf, u32),
}

impl fmt::Display for ListenAt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Net(host, port) => write!(f, "{host}:{port}"),
            Self::Unix(path, _) => write!(f, "{}", path.display()),
        }
    }
}

/// An open listener.
pub struct StreamListener {
    kind: Kind,
    /// Where it is.
    pub at: ListenAddress,
}

enum Kind {
    Net(TcpListener),
    #[cfg(unix)]
    Unix(unix::StreamListener),
}

impl StreamListener {
    /// Opens it.
    pub async fn bind(place: &ListenAt) -> io::Result<Self> {
        match place {
            ListenAt::Net(host, port) => {
                let listener = bind_tcp(host, *port).await?;
                Ok(Self { at: ListenAddress::Net(listener.local_addr()?), kind: Kind::Net(listener) })
            }
            #[cfg(unix)]
            ListenAt::Unix(path, mode) => {
                let listener = unix::StreamListener::bind(path, *mode).await?;
                Ok(Self { at: ListenAddress::Unix(path.clone()), kind: Kind::Unix(listener) })
            }
            #[cfg(not(unix))]
            ListenAt::Unix(..) => Err(io::ErrorKind::Unsupported.into()),
        }
    }

    /// Accepts the next connection.
    pub async fn accept(&self) -> io::Result<IncomingConnection> {
        match &self.kind {
            Kind::Net(listener) => Ok(listener.accept().await?.0.into()),
            #[cfg(unix)]
            Kind::Unix(listener) => listener.accept().await,
        }
    }
}

/// Like `TcpListener::bind`, which has a backlog of 1024.
async fn bind_tcp(host: &str, port: u16) -> io::Result<TcpListener> {
    let mut failure = io::Error::new(io::ErrorKind::InvalidInput, "the host has no address");
    for address in lookup_host((host, port)).await? {
        let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() };
        let bound = socket.and_then(|socket| {
            #[cfg(not(windows))]
            socket.set_reuseaddr(true)?;
            socket.bind(address)?;
            socket.listen(BACKLOG)
        });
        match bound {
            Ok(listener) => return Ok(listener),
            Err(error) => failure = error,
        }
    }
    Err(failure)
}

#[cfg(unix)]
mod unix {
    use std::fs::{self, Permissions};
    use std::io;
    use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
    use std::path::{Path, PathBuf};

    use tokio::net::{UnixListener, UnixSocket, UnixStream};

    use super::BACKLOG;
    use crate::transport::stream::IncomingConnection;

    /// A socket in the file system, removed when this is dropped.
    pub(super) struct StreamListener {
        listener: UnixListener,
        path: PathBuf,
        /// Which file is ours: another one may have been put there.
        inode: u64,
    }

    impl StreamListener {
        pub(super) async fn bind(path: &Path, mode: u32) -> io::Result<Self> {
            let socket = match bound(path) {
                Err(error) if error.kind() == io::ErrorKind::AddrInUse && is_stale(path).await => {
                    fs::remove_file(path)?;
                    bound(path)?
                }
                decided => decided?,
            };
            // Nobody can connect before `listen`, so there is no moment with other permissions.
            fs::set_permissions(path, Permissions::from_mode(mode))?;
            let inode = fs::symlink_metadata(path)?.ino();
            Ok(Self { listener: socket.listen(BACKLOG)?, path: path.to_owned(), inode })
        }

        pub(super) async fn accept(&self) -> io::Result<IncomingConnection> {
            let (stream, _) = self.listener.accept().await?;
            Ok(IncomingConnection::new(stream, None))
        }
    }

    impl Drop for StreamListener {
        fn drop(&mut self) {
            if fs::symlink_metadata(&self.path).is_ok_and(|file| file.ino() == self.inode) {
                // Gone already is just as well.
                let _ = fs::remove_file(&self.path);
            }
        }
    }

    fn bound(path: &Path) -> io::Result<UnixSocket> {
        let socket = UnixSocket::new_stream()?;
        socket.bind(path)?;
        Ok(socket)
    }

    /// Returns whether this is the socket of a process that has died.
    async fn is_stale(path: &Path) -> bool {
        let is_socket = fs::symlink_metadata(path).is_ok_and(|file| file.file_type().is_socket());
        is_socket
            && UnixStream::connect(path)
                .await
                .is_err_and(|error| error.kind() == io::ErrorKind::ConnectionRefused)
    }
}
