//! The proxy of a client as it comes from JavaScript, which has read the option and the environment.

use std::time::Duration;

use serde::Deserialize;

use crate::base::Failure;
use crate::link::DirectHosts;
use crate::transport::Proxy;
use crate::transport::tls::{ClientTls, ClientTlsOptions};

/// Part of `clientOpen`, and of `upstream`. No `Debug`: it may hold a password.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ProxySettings {
    /// Without brackets.
    host: String,
    port: u16,
    /// Speak TLS with it.
    tls: bool,
    /// The value of `Proxy-Authorization`.
    authorization: Option<String>,
    /// What `NO_PROXY` says; absent: it is for every server, loopback included.
    except: Option<String>,
}

/// Returns the proxy, which is verified by the same authorities as the server.
pub fn proxy(settings: &Option<ProxySettings>, tls: &ClientTlsOptions) -> Result<Option<Proxy>, Failure> {
    let Some(ProxySettings { host, port, tls: wants_tls, authorization, except }) = settings else {
        return Ok(None);
    };
    let options = ClientTlsOptions {
        identity: None,
        server_name: None,
        protocols: vec![b"http/1.1".to_vec()],
        ..tls.clone()
    };
    Ok(Some(Proxy {
        host: host.clone(),
        port: *port,
        tls: wants_tls.then(|| ClientTls::new(&options)).transpose()?,
        authorization: authorization.clone(),
        direct: except.as_deref().map(DirectHosts::parse),
        timeout: PROXY_TIMEOUT,
    }))
}

/// Less than all of it may take, with a broker or with NATS: so that the reason is that of the proxy.
const PROXY_TIMEOUT: Duration = Duration::from_secs(8);
