//! A failure of TLS, by a code that is never renamed.

use std::io;

use rustls::{AlertDescription, CertificateError, Error, OtherError};

use crate::base::{Code, Failure};

/// Returns the failure for certificates or keys that cannot be used.
pub(super) fn invalid_material(message: impl ToString) -> Failure {
    Failure::new(Code::InvalidArgument, message)
}

/// Returns the failure for a server that answered a plain request by requiring TLS.
pub(in crate::transport) fn required() -> Failure {
    Failure::new(Code::TlsRequired, "this server wants TLS: use https:// or wss://")
}

/// Returns the TLS failure in an error of a stream, if it is one.
pub(in crate::transport) fn from_io(error: &io::Error) -> Option<Failure> {
    error.get_ref()?.downcast_ref::<Error>().map(of)
}

/// Converts `error` into the failure that tells what to change.
fn of(error: &Error) -> Failure {
    match error {
        Error::InvalidCertificate(problem) => of_certificate(problem),
        Error::InvalidMessage(_) => Failure::new(
            Code::TlsPlain,
            "the other end does not speak TLS on this port: use http:// or ws://",
        ),
        Error::AlertReceived(AlertDescription::CertificateRequired) => Failure::new(
            Code::TlsClientCertificate,
            "the server wants a certificate from its clients: the options cert and key",
        ),
        Error::NoCertificatesPresented => {
            Failure::new(Code::TlsClientCertificate, "the client showed no certificate")
        }
        Error::AlertReceived(
            AlertDescription::UnknownCA
            | AlertDescription::BadCertificate
            | AlertDescription::CertificateUnknown
            | AlertDescription::CertificateExpired
            | AlertDescription::CertificateRevoked
            | AlertDescription::UnsupportedCertificate,
        ) => Failure::new(
            Code::TlsClientCertificate,
            format!("the other end does not take our certificate: {error}"),
        ),
        other => Failure::new(Code::Tls, format!("TLS failed: {other}")),
    }
}

/// Returns whether a certificate was refused for nothing but that it is an authority's.
pub(super) fn is_of_authority(error: &Error) -> bool {
    matches!(error, Error::InvalidCertificate(CertificateError::Other(other)) if is_authority(other))
}

fn is_authority(error: &OtherError) -> bool {
    error.0.downcast_ref::<webpki::Error>() == Some(&webpki::Error::CaUsedAsEndEntity)
}

fn of_certificate(problem: &CertificateError) -> Failure {
    use CertificateError as E;
    match problem {
        E::Expired | E::ExpiredContext { .. } | E::NotValidYet | E::NotValidYetContext { .. } => {
            Failure::new(
                Code::TlsExpired,
                "the certificate of the other end is not valid now: it has expired, or a clock is wrong",
            )
        }
        E::NotValidForNameContext { presented, .. } if presented.is_empty() => Failure::new(
            Code::TlsName,
            "the certificate of the other end names no host: it has no subjectAltName, and its CN does not count \
             (openssl req -x509 takes -addext subjectAltName=DNS:localhost)",
        ),
        E::NotValidForName | E::NotValidForNameContext { .. } => Failure::new(
            Code::TlsName,
            format!("the certificate of the other end is for another name: {problem}"),
        ),
        other => Failure::new(
            Code::TlsUntrusted,
            format!(
                "the certificate of the other end cannot be trusted: {}",
                match other {
                    E::UnknownIssuer =>
                        "it is not signed by a trusted authority (the option ca names them)".to_owned(),
                    E::Other(other) if is_authority(other) => "it is the certificate of an authority, as `openssl \
                         req -x509` makes it by default: a server may show it only to those who have the very \
                         same one in the option ca"
                        .to_owned(),
                    E::BadSignature => "it is signed by a different authority than the trusted one of that name (the \
                         option ca names it)"
                        .to_owned(),
                    other => other.to_string(),
                }
            ),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wrong_with_a_certificate_is_told_in_words() {
        let expected = rustls::pki_types::ServerName::try_from("a.example").expect("a name");
        let named = |presented: Vec<String>| CertificateError::NotValidForNameContext {
            expected: expected.clone(),
            presented,
        };
        let rows = [
            (named(vec![]), Code::TlsName, "has no subjectAltName"),
            (named(vec!["DnsName(\"b.example\")".into()]), Code::TlsName, "b.example"),
            (CertificateError::BadSignature, Code::TlsUntrusted, "a different authority"),
        ];
        for (problem, code, text) in rows {
            let failure = of_certificate(&problem);
            assert_eq!(failure.code, code);
            assert!(failure.message.contains(text), "{}", failure.message);
        }
    }
}
