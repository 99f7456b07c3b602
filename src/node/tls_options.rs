//! Options of TLS from JavaScript. Texts are PEM; `lib` has joined lists and opened keys with their
//! passphrase.

use serde::Deserialize;

use crate::transport::tls::{ClientTlsOptions, ServerTlsOptions, TlsVersion};

/// A version by Node.js's name for it.
#[derive(Debug, Clone, Copy, Deserialize)]
pub enum VersionName {
    #[serde(rename = "TLSv1.2")]
    V1_2,
    #[serde(rename = "TLSv1.3")]
    V1_3,
}

impl From<VersionName> for TlsVersion {
    fn from(name: VersionName) -> Self {
        match name {
            VersionName::V1_2 => Self::V1_2,
            VersionName::V1_3 => Self::V1_3,
        }
    }
}

/// Part of `clientOpen`. No `Debug`, here and below: keys stay out of logs.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct ClientTlsSettings {
    ca: Option<String>,
    cert: Option<String>,
    key: Option<String>,
    reject_unauthorized: Option<bool>,
    servername: Option<String>,
    min_version: Option<VersionName>,
}

impl ClientTlsSettings {
    /// Returns the engine's settings.
    pub fn options(&self) -> ClientTlsOptions {
        ClientTlsOptions {
            ca: self.ca.clone(),
            identity: self.cert.clone().zip(self.key.clone()),
            skip_verification: self.reject_unauthorized == Some(false),
            server_name: self.servername.clone(),
            min_version: self.min_version.map(TlsVersion::from).unwrap_or_default(),
            protocols: Vec::new(),
        }
    }
}

/// Part of `brokerOpen` and `brokerSecure`.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct ServerTlsSettings {
    cert: String,
    key: String,
    ca: Option<String>,
    request_cert: bool,
    reject_unauthorized: Option<bool>,
    min_version: Option<VersionName>,
}

impl ServerTlsSettings {
    /// Returns the engine's settings.
    pub fn options(&self) -> ServerTlsOptions {
        ServerTlsOptions {
            cert: self.cert.clone(),
            key: self.key.clone(),
            ca: self.ca.clone(),
            request_cert: self.request_cert,
            allow_anonymous: self.reject_unauthorized == Some(false),
            min_version: self.min_version.map(TlsVersion::from).unwrap_or_default(),
        }
    }
}
