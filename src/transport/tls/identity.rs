//! The identity of a peer, by its certificate. Only ever made of a verified one.

use std::fmt::Write;

use bytes::Bytes;
use rustls::pki_types::CertificateDer;

/// A verified certificate. Compare `fingerprint256` or a whole alternative name; the subject line is not
/// offered, because patterns on it are how impostors get in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PeerCertificate {
    /// SHA-256 of the certificate as Node.js writes it: upper-case hex pairs, joined by `:`.
    pub fingerprint256: String,
    /// The DNS names and URIs that it was issued for, as `DNS:…` and `URI:…`.
    pub alternative_names: Vec<String>,
    /// The certificate itself, in DER.
    pub raw: Bytes,
}

impl PeerCertificate {
    /// Reads a certificate that has been verified; `None` when it is none.
    pub fn from_der(der: &[u8]) -> Option<Self> {
        let certificate = CertificateDer::from(der);
        let parsed = webpki::EndEntityCert::try_from(&certificate).ok()?;
        let names = parsed.valid_dns_names().map(|name| format!("DNS:{name}"));
        let uris = parsed.valid_uri_names().map(|uri| format!("URI:{uri}"));
        Some(Self {
            fingerprint256: fingerprint(der),
            alternative_names: names.chain(uris).collect(),
            raw: Bytes::copy_from_slice(der),
        })
    }
}

fn fingerprint(der: &[u8]) -> String {
    let digest = ring::digest::digest(&ring::digest::SHA256, der);
    let mut text = String::with_capacity(digest.as_ref().len() * 3);
    for byte in digest.as_ref() {
        let colon = if text.is_empty() { "" } else { ":" };
        let _ = write!(text, "{colon}{byte:02X}");
    }
    text
}
