//! TLS 1.2 and 1.3: what a server shows, what a client trusts, and who a peer is. Verification is rustls's.

mod client;
mod failure;
mod identity;
mod material;
mod server;

pub use client::{ClientTls, ClientTlsOptions, trust};
pub use identity::PeerCertificate;
pub use material::TlsVersion;
pub use server::{ServerTls, ServerTlsOptions};

pub(super) use client::connect;
pub(super) use failure::{from_io, required};
pub(super) use server::{HANDSHAKE_RECORD, accept};
