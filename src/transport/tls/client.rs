//! A client's side of TLS: which authorities it trusts, and the certificate it shows.

use std::fmt;
use std::sync::{Arc, OnceLock};

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{Resumption, WebPkiServerVerifier, verify_server_name};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};
use tokio_rustls::TlsConnector;

use super::failure::{from_io, invalid_material, is_of_authority};
use super::material::{TlsVersion, certificates, chain, key, provider, roots};
use crate::base::{Code, Failure};
use crate::transport::LinkError;
use crate::transport::stream::BoxedStream;

/// Options of a client's TLS. Texts are PEM.
#[derive(Default, Clone)]
pub struct ClientTlsOptions {
    /// Authorities to trust, instead of those given to [`trust`].
    pub ca: Option<String>,
    /// Its own certificate and key, for servers that ask.
    pub identity: Option<(String, String)>,
    /// Take any certificate: the connection is encrypted, but the peer is not authenticated.
    pub skip_verification: bool,
    /// The name that the certificate must have, and that is asked for; else the address's host.
    pub server_name: Option<String>,
    /// The oldest version that will do.
    pub min_version: TlsVersion,
    /// Protocols to offer. None: the server is not asked to choose.
    pub protocols: Vec<Vec<u8>>,
}

/// The same, checked.
#[derive(Clone)]
pub struct ClientTls {
    config: Arc<ClientConfig>,
    server_name: Option<ServerName<'static>>,
}

impl fmt::Debug for ClientTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientTls").field("server_name", &self.server_name).finish_non_exhaustive()
    }
}

impl ClientTls {
    /// Reads certificates and keys.
    pub fn new(options: &ClientTlsOptions) -> Result<Self, Failure> {
        let unusable = |error: Error| invalid_material(format!("cert and key cannot be used: {error}"));
        let builder = ClientConfig::builder_with_provider(provider())
            .with_protocol_versions(options.min_version.and_newer())
            .map_err(unusable)?;
        let trust = if options.skip_verification { Trust::Anybody } else { authorities(options)? };
        let verifier = Arc::new(Verifier { trust, provider: provider() });
        let builder = builder.dangerous().with_custom_certificate_verifier(verifier);
        let mut config = match &options.identity {
            Some((cert, own)) => builder.with_client_auth_cert(chain(cert)?, key(own)?).map_err(unusable)?,
            None => builder.with_no_client_auth(),
        };
        config.alpn_protocols = options.protocols.clone();
        // One client, one server.
        config.resumption = Resumption::in_memory_sessions(1);
        let server_name = options.server_name.as_deref().map(name).transpose()?;
        Ok(Self { config: Arc::new(config), server_name })
    }
}

/// Speaks TLS with a server known as `host`.
pub(in crate::transport) async fn connect(
    stream: BoxedStream,
    tls: &ClientTls,
    host: &str,
) -> Result<BoxedStream, LinkError> {
    let name = match &tls.server_name {
        Some(name) => name.clone(),
        None => name(host).map_err(LinkError::Tls)?,
    };
    let connected = TlsConnector::from(tls.config.clone()).connect(name, stream).await;
    let stream = connected.map_err(|error| match from_io(&error) {
        Some(failure) => LinkError::Tls(failure),
        None if error.kind() == std::io::ErrorKind::UnexpectedEof => LinkError::Tls(Failure::new(
            Code::Tls,
            "TLS failed: the other end closed the connection; perhaps it does not speak TLS on this port",
        )),
        None => LinkError::Io(error),
    })?;
    Ok(Box::new(stream))
}

/// Sets the authorities that clients of this process trust by default. Only the first call counts.
pub fn trust(pem: &str) {
    TRUSTED.get_or_init(|| {
        use rustls::pki_types::pem::PemObject;
        let mut roots = RootCertStore::empty();
        // One odd certificate among many is not worth a failure; if it is needed, verification will fail.
        roots.add_parsable_certificates(CertificateDer::pem_slice_iter(pem.as_bytes()).flatten());
        Arc::new(roots)
    });
}

static TRUSTED: OnceLock<Arc<RootCertStore>> = OnceLock::new();

fn trusted() -> Arc<RootCertStore> {
    TRUSTED.get().cloned().unwrap_or_else(|| Arc::new(RootCertStore::empty()))
}

fn authorities(options: &ClientTlsOptions) -> Result<Trust, Failure> {
    let (roots, named) = match options.ca.as_deref() {
        Some(ca) => (Arc::new(roots(ca)?), certificates(ca)),
        None => (trusted(), Vec::new()),
    };
    let verifier = WebPkiServerVerifier::builder_with_provider(roots, provider()).build();
    let verifier = verifier.map_err(|_| invalid_material("no certificate authority is known"))?;
    Ok(Trust::Authorities { verifier, named })
}

fn name(host: &str) -> Result<ServerName<'static>, Failure> {
    ServerName::try_from(host.to_owned())
        .map_err(|_| invalid_material("no certificate can be for such a host name"))
}

/// Whose certificates are taken. Their owner must have signed the handshake in any case.
#[derive(Debug)]
enum Trust {
    Anybody,
    /// What the verifier takes; and, as Node.js does, a certificate of an authority that a server shows as
    /// its own, if it is one of those that were named. `openssl req -x509` makes such by default.
    Authorities {
        verifier: Arc<WebPkiServerVerifier>,
        named: Vec<CertificateDer<'static>>,
    },
}

#[derive(Debug)]
struct Verifier {
    trust: Trust,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let Trust::Authorities { verifier, named } = &self.trust else {
            return Ok(ServerCertVerified::assertion());
        };
        let outcome = verifier.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now);
        // Whether it is valid now is looked at before that.
        let is_named = named.iter().any(|named| named[..] == end_entity[..]);
        if is_named && outcome.as_ref().is_err_and(is_of_authority) {
            verify_server_name(&ParsedCertificate::try_from(end_entity)?, server_name)?;
            return Ok(ServerCertVerified::assertion());
        }
        outcome
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
