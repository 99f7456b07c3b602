//! A broker's side of TLS: its certificate, the certificates it asks of clients, and replacement without a
//! break.

use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};

use rustls::server::{ServerConfig, WebPkiClientVerifier};
use tokio::io::AsyncReadExt;
use tokio_rustls::TlsAcceptor;

use super::PeerCertificate;
use super::failure::invalid_material;
use super::material::{TlsVersion, chain, key, provider, roots};
use crate::base::Failure;
use crate::transport::LinkError;
use crate::transport::accept::refuse;
use crate::transport::http::ErrorResponse;
use crate::transport::stream::{IncomingConnection, Prefixed};

/// Options of a broker's TLS. Texts are PEM.
#[derive(Clone, Default)]
pub struct ServerTlsOptions {
    /// The chain, its own certificate first.
    pub cert: String,
    /// The key to the first of them.
    pub key: String,
    /// Authorities that may sign the certificate of a client.
    pub ca: Option<String>,
    /// Ask clients for a certificate.
    pub request_cert: bool,
    /// Accept clients without a certificate. Invalid certificates are refused in any case.
    pub allow_anonymous: bool,
    /// The oldest version that will do.
    pub min_version: TlsVersion,
}

/// The same, checked, and replaceable: who is in stays in, who comes next gets the new one.
pub struct ServerTls {
    options: RwLock<ServerTlsOptions>,
    config: RwLock<Arc<ServerConfig>>,
}

impl fmt::Debug for ServerTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerTls").finish_non_exhaustive()
    }
}

impl ServerTls {
    /// Reads certificates and keys.
    pub fn new(options: ServerTlsOptions) -> Result<Self, Failure> {
        let config = RwLock::new(Arc::new(build(&options)?));
        Ok(Self { options: RwLock::new(options), config })
    }

    /// Shows another certificate from the next handshake on, and believes `ca` if it is given. On failure all
    /// stays as it was.
    pub fn replace(&self, cert: String, key: String, ca: Option<String>) -> Result<(), Failure> {
        let mut options = self.options.write().unwrap_or_else(PoisonError::into_inner);
        let next = ServerTlsOptions { cert, key, ca: ca.or_else(|| options.ca.clone()), ..options.clone() };
        *self.config.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(build(&next)?);
        *options = next;
        Ok(())
    }

    fn config(&self) -> Arc<ServerConfig> {
        self.config.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

fn build(options: &ServerTlsOptions) -> Result<ServerConfig, Failure> {
    let unusable = |error: rustls::Error| invalid_material(format!("cert and key cannot be used: {error}"));
    let builder = ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(options.min_version.and_newer())
        .map_err(unusable)?;
    let builder = if options.request_cert {
        let ca = options.ca.as_deref();
        let ca = ca.ok_or_else(|| invalid_material("requestCert needs ca: whose clients to believe"))?;
        let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots(ca)?), provider());
        let verifier = if options.allow_anonymous { verifier.allow_unauthenticated() } else { verifier };
        let verifier = verifier.build().map_err(|error| invalid_material(error.to_string()))?;
        builder.with_client_cert_verifier(verifier)
    } else {
        builder.with_no_client_auth()
    };
    let mut config = builder.with_single_cert(chain(&options.cert)?, key(&options.key)?).map_err(unusable)?;
    if options.request_cert {
        // A resumed session would bring in a client by a certificate that is not believed any more.
        config.session_storage = Arc::new(rustls::server::NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
    }
    Ok(config)
}

/// Performs the TLS handshake; a client that speaks no TLS is told so.
pub(in crate::transport) async fn accept(
    mut connection: IncomingConnection,
    tls: &ServerTls,
) -> Result<IncomingConnection, LinkError> {
    let first = match connection.stream.read_u8().await {
        Ok(first) => first,
        Err(_) => return Err(LinkError::Closed),
    };
    if first != HANDSHAKE_RECORD {
        if first.is_ascii_uppercase() {
            refuse(&mut connection.stream, &ErrorResponse::NEEDS_TLS).await?;
        }
        return Err(LinkError::Refused("no TLS on the TLS port".into()));
    }
    let stream = Prefixed::new(vec![first], connection.stream);
    let stream = TlsAcceptor::from(tls.config()).accept(stream).await?;
    let certificates = stream.get_ref().1.peer_certificates();
    let certificate = certificates.and_then(|chain| PeerCertificate::from_der(chain.first()?));
    Ok(IncomingConnection {
        stream: Box::new(stream),
        address: connection.address,
        tls: certificate,
        is_to_loopback: connection.is_to_loopback,
    })
}

/// The first byte of every TLS connection, and of no HTTP request.
pub(in crate::transport) const HANDSHAKE_RECORD: u8 = 0x16;
