//! Certificates and keys out of PEM texts. No error repeats what it was given: it may be a key.

use std::sync::Arc;

use rustls::RootCertStore;
use rustls::SupportedProtocolVersion;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use super::failure::invalid_material;
use crate::base::Failure;

/// The oldest version that is spoken.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum TlsVersion {
    /// 1.2.
    #[default]
    V1_2,
    /// 1.3.
    V1_3,
}

impl TlsVersion {
    pub(super) fn and_newer(self) -> &'static [&'static SupportedProtocolVersion] {
        match self {
            Self::V1_2 => rustls::ALL_VERSIONS,
            Self::V1_3 => ONLY_1_3,
        }
    }
}

static ONLY_1_3: &[&SupportedProtocolVersion] = &[&rustls::version::TLS13];

/// Returns the cryptography provider, which all share.
pub(super) fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

/// Parses a chain that begins with the server's or client's own certificate.
pub(super) fn chain(pem: &str) -> Result<Vec<CertificateDer<'static>>, Failure> {
    let chain = CertificateDer::pem_slice_iter(pem.as_bytes()).collect::<Result<Vec<_>, _>>();
    match chain {
        Ok(chain) if !chain.is_empty() => Ok(chain),
        Ok(_) => Err(invalid_material("cert contains no certificate in PEM")),
        Err(_) => Err(invalid_material("cert is malformed PEM")),
    }
}

pub(super) fn key(pem: &str) -> Result<PrivateKeyDer<'static>, Failure> {
    PrivateKeyDer::from_pem_slice(pem.as_bytes())
        .map_err(|_| invalid_material("key holds no private key in PEM"))
}

/// Returns the certificates in a text that [`roots`] takes.
pub(super) fn certificates(pem: &str) -> Vec<CertificateDer<'static>> {
    CertificateDer::pem_slice_iter(pem.as_bytes()).flatten().collect()
}

/// Parses the authorities to trust.
pub(super) fn roots(pem: &str) -> Result<RootCertStore, Failure> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(pem.as_bytes()) {
        let added = certificate.ok().and_then(|certificate| roots.add(certificate).ok());
        added.ok_or_else(|| invalid_material("ca contains something that is not a certificate"))?;
    }
    if roots.is_empty() {
        return Err(invalid_material("ca contains no certificate in PEM"));
    }
    Ok(roots)
}
