//! A failure of TLS, by a code that is never renamed.

use std::fmt;
use std::io;

use rustls::{AlertDescription, CertificateError, Error};

/// A failure, in words and as a code of docs/reference/errors.md.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsFailure {
    /// Never renamed.
    pub code: &'static str,
    /// A text for people.
    pub message: String,
}

impl TlsFailure {
    pub(super) fn new(code: &'static str, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }

    /// Certificates or keys that cannot be used.
    pub(super) fn material(message: impl Into<String>) -> Self {
        Self::new("ERR_INVALID_ARG_VALUE", message)
    }

    /// Returns the failure for a server that answered a plain request by requiring TLS.
    pub(in crate::transport) fn required() -> Self {
        Self::new("ERR_TLS_REQUIRED", "this server wants TLS: use https:// or wss://")
    }

    /// Converts `error` into the failure that tells what to change.
    pub(super) fn of(error: &Error) -> Self {
        match error {
            Error::InvalidCertificate(problem) => Self::of_certificate(problem),
            Error::InvalidMessage(_) => Self::new(
                "ERR_TLS_PLAIN",
                "the other end does not speak TLS on this port: use http:// or ws://",
            ),
            Error::AlertReceived(AlertDescription::CertificateRequired) => Self::new(
                "ERR_TLS_CLIENT_CERTIFICATE",
                "the server wants a certificate from its clients: the options cert and key",
            ),
            Error::NoCertificatesPresented => {
                Self::new("ERR_TLS_CLIENT_CERTIFICATE", "the client showed no certificate")
            }
            Error::AlertReceived(
                AlertDescription::UnknownCA
                | AlertDescription::BadCertificate
                | AlertDescription::CertificateUnknown
                | AlertDescription::CertificateExpired
                | AlertDescription::CertificateRevoked
                | AlertDescription::UnsupportedCertificate,
            ) => Self::new(
                "ERR_TLS_CLIENT_CERTIFICATE",
                format!("the other end does not take our certificate: {error}"),
            ),
            other => Self::new("ERR_TLS", format!("TLS failed: {other}")),
        }
    }

    fn of_certificate(problem: &CertificateError) -> Self {
        use CertificateError as E;
        match problem {
            E::Expired | E::ExpiredContext { .. } | E::NotValidYet | E::NotValidYetContext { .. } => {
                Self::new(
                    "ERR_TLS_EXPIRED",
                    "the certificate of the other end is not valid now: it has expired, or a clock is wrong",
                )
            }
            E::NotValidForName | E::NotValidForNameContext { .. } => Self::new(
                "ERR_TLS_NAME",
                format!("the certificate of the other end is for another name: {problem}"),
            ),
            other => Self::new(
                "ERR_TLS_UNTRUSTED",
                format!(
                    "the certificate of the other end cannot be trusted: {}",
                    match other {
                        E::UnknownIssuer =>
                            "nobody whom we know has signed it (the option ca says whom we know)".to_owned(),
                        other => other.to_string(),
                    }
                ),
            ),
        }
    }
}

impl fmt::Display for TlsFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for TlsFailure {}

/// Returns the TLS failure in an error of a stream, if it is one.
pub(in crate::transport) fn from_io(error: &io::Error) -> Option<TlsFailure> {
    error.get_ref()?.downcast_ref::<Error>().map(TlsFailure::of)
}
