//! Options as they come from JavaScript, and what the engine makes of them. Defaults are the engine's own.

use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;

use crate::base::{Code, Failure};
use crate::boundary::{milliseconds, parse};
use crate::broker::{AuthorizerConfig, BrokerConfig, ConnectionInfo, UpstreamConfig};
use crate::client::ClientConfig;
use crate::link::{Protocol, ReconnectConfig};
use crate::runtime::PeerIdentity;
use crate::socket::SocketConfig;
use crate::subject::Subject;
use crate::transport::tls::{ClientTls, ClientTlsOptions, ServerTls};
use crate::transport::{
    AcceptOptions, DialOptions, ForwardedField, ListenAt, NatsOptions, NatsUser, Proxy, TrustedProxies,
};

use super::proxy_options::{ProxySettings, proxy};
use super::tls_options::{ClientTlsSettings, ServerTlsSettings};

/// Options of `clientOpen`. Durations are milliseconds, here and below.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct ClientOptions {
    /// `http://host:port/base`; absent: a broker of this process.
    pub address: Option<String>,
    /// The handle of an embedded broker; absent: the process's own fabric.
    pub broker: Option<u32>,
    id: Option<String>,
    path: Option<String>,
    inbox_prefix: Option<String>,
    extra_headers: Option<serde_json::Map<String, serde_json::Value>>,
    auto_connect: Option<bool>,
    reconnection: Option<bool>,
    offline_timeout: Option<f64>,
    reconnection_delay: Option<f64>,
    reconnection_delay_max: Option<f64>,
    randomization_factor: Option<f64>,
    wire: Option<WireName>,
    /// It is the broker's own (`broker` names it).
    own: bool,
    tls: Option<ClientTlsSettings>,
    proxy: Option<ProxySettings>,
    nats: NatsSettings,
}

/// Options that only NATS has. No `Debug`: secrets stay out of logs.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
struct NatsSettings {
    token: Option<String>,
    user: Option<String>,
    password: Option<String>,
    nkey: Option<String>,
    credentials: Option<String>,
    ignore_discovered: bool,
}

impl NatsSettings {
    fn options(&self, address: String, tls: ClientTls, proxy: Option<Proxy>) -> Result<NatsOptions, Failure> {
        let Self { token, user, password, nkey, credentials, ignore_discovered } = self;
        let user = NatsUser {
            token: token.clone(),
            user: user.clone(),
            password: password.clone(),
            nkey: nkey.clone(),
            credentials: credentials.clone(),
        };
        let options =
            NatsOptions { address, user, tls: Some(tls), proxy, ignores_discovered: *ignore_discovered };
        options.check().map_err(|what| Failure::new(Code::InvalidArgument, what))?;
        Ok(options)
    }
}

/// How to reach a fabric beyond this process.
pub enum Dial {
    /// A server that speaks Conat's protocol or ours.
    Server(DialOptions),
    /// A cluster of NATS.
    Nats(NatsOptions),
}

/// A protocol by the name that `lib` has for it.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
enum WireName {
    Conat,
    Selvedge,
}

impl ClientOptions {
    /// Reads what `lib` wrote.
    pub fn parse(text: &str) -> Result<Self, Failure> {
        parse(text)
    }

    /// Returns the engine's settings.
    pub fn config(&self) -> Result<ClientConfig, Failure> {
        let defaults = ClientConfig::default();
        let inbox_prefix = self.inbox_prefix.clone().unwrap_or(defaults.inbox_prefix);
        if !inbox_prefix.starts_with("_INBOX") || Subject::parse(&inbox_prefix).is_err() {
            return Err(Failure::new(
                Code::InvalidArgument,
                "inboxPrefix must be a subject that starts with _INBOX",
            ));
        }
        let reconnect = ReconnectConfig {
            enabled: self.reconnection.unwrap_or(defaults.reconnect.enabled),
            delay: self.reconnection_delay.map_or(defaults.reconnect.delay, milliseconds),
            delay_max: self.reconnection_delay_max.map_or(defaults.reconnect.delay_max, milliseconds),
            jitter: self.randomization_factor.unwrap_or(defaults.reconnect.jitter),
        };
        let offline_timeout = match self.offline_timeout {
            Some(given) if given <= 0.0 => None,
            Some(given) => Some(milliseconds(given)),
            None => defaults.offline_timeout,
        };
        Ok(ClientConfig { inbox_prefix, offline_timeout, reconnect, ..defaults })
    }

    /// Returns whether to dial at once.
    pub fn auto_connect(&self) -> bool {
        self.auto_connect.unwrap_or(true)
    }

    /// Returns what a broker of this process learns about it.
    pub fn identity(&self) -> PeerIdentity {
        if self.own {
            return PeerIdentity::Internal;
        }
        let headers = self.headers().map(|(name, value)| (name.to_ascii_lowercase(), value)).collect();
        PeerIdentity::Connection(ConnectionInfo { headers, ..ConnectionInfo::default() })
    }

    fn headers(&self) -> impl Iterator<Item = (String, String)> {
        let headers = self.extra_headers.iter().flatten();
        headers.filter_map(|(name, value)| Some((name.clone(), value.as_str()?.to_owned())))
    }

    /// Returns how to reach `address`, if there is one.
    pub fn dial(&self) -> Result<Option<Dial>, Failure> {
        let Some(address) = self.address.clone() else { return Ok(None) };
        if NatsOptions::is_address(&address) {
            return self.dial_nats(address).map(|nats| Some(Dial::Nats(nats)));
        }
        self.dial_server(address).map(|server| Some(Dial::Server(server)))
    }

    fn dial_nats(&self, address: String) -> Result<NatsOptions, Failure> {
        // A server may want TLS whatever the address says.
        let tls = self.tls_options();
        self.nats.options(address, ClientTls::new(&tls)?, proxy(&self.proxy, &tls)?)
    }

    fn tls_options(&self) -> ClientTlsOptions {
        self.tls.as_ref().map_or_else(ClientTlsOptions::default, |tls| tls.options())
    }

    fn dial_server(&self, address: String) -> Result<DialOptions, Failure> {
        let mut options = DialOptions {
            address,
            path: self.path.clone().unwrap_or_else(|| DEFAULT_PATH.to_owned()),
            headers: self.headers().collect(),
            connect_timeout: CONNECT_TIMEOUT,
            wire: match self.wire {
                None => Protocol::Best,
                Some(WireName::Conat) => Protocol::Conat,
                Some(WireName::Selvedge) => Protocol::Selvedge,
            },
            tls: None,
            proxy: proxy(&self.proxy, &self.tls_options())?,
        };
        // Refused here: it can never work, and would be retried for ever.
        options.check().map_err(|what| Failure::new(Code::InvalidArgument, what))?;
        if options.wants_tls() {
            // A proxy that could choose would choose HTTP/2, which has no upgrade.
            let settings = ClientTlsOptions { protocols: vec![b"http/1.1".to_vec()], ..self.tls_options() };
            options.tls = Some(ClientTls::new(&settings)?);
        }
        Ok(options)
    }
}

/// Options of `brokerOpen`.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct BrokerOptions {
    id: Option<String>,
    host: Option<String>,
    /// Absent: no port at all.
    port: Option<u16>,
    path: Option<String>,
    cluster_name: Option<String>,
    max_subscriptions_per_client: Option<usize>,
    max_subscriptions_per_hub: Option<usize>,
    max_message_bytes: Option<usize>,
    max_connections: Option<usize>,
    max_connections_per_user: Option<usize>,
    max_memory_bytes: Option<usize>,
    max_memory_bytes_per_user: Option<usize>,
    max_memory_bytes_per_connection: Option<usize>,
    allowed_origins: Option<Vec<String>>,
    allowed_hosts: Option<Vec<String>>,
    handshake_timeout: Option<f64>,
    message_timeout: Option<f64>,
    max_handshakes: Option<usize>,
    max_handshakes_per_address: Option<usize>,
    trusted_proxies: Option<Vec<String>>,
    forwarded_field: Option<String>,
    /// Instead of a port.
    socket_path: Option<String>,
    socket_mode: Option<u32>,
    tls: Option<ServerTlsSettings>,
    authority: Option<AuthorizerOptions>,
    upstream: Option<UpstreamSettings>,
    /// Paths that `lib` answers.
    pages: Vec<String>,
    /// Somebody takes what has happened.
    watched: bool,
    /// Of subscriptions, too.
    subscriptions_watched: bool,
    /// How often clients are to tell of their sockets.
    report_interval: Option<u64>,
}

/// The fabric above a broker that is a gateway. No `Debug`: secrets stay out of logs.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
struct UpstreamSettings {
    /// One text, with commas.
    address: String,
    reserved: bool,
    tls: Option<ClientTlsSettings>,
    proxy: Option<ProxySettings>,
    nats: NatsSettings,
}

/// Requests that the broker makes to the application.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
struct AuthorizerOptions {
    asks_user: bool,
    asks_permission: bool,
    guards_system: bool,
    sign_in_timeout: Option<f64>,
    permission_timeout: Option<f64>,
    permission_cache: Option<f64>,
}

impl AuthorizerOptions {
    fn config(&self) -> AuthorizerConfig {
        let defaults = AuthorizerConfig::default();
        let &Self { asks_user, asks_permission, guards_system, .. } = self;
        AuthorizerConfig {
            asks_user,
            asks_permission,
            guards_system,
            sign_in_timeout: self.sign_in_timeout.map_or(defaults.sign_in_timeout, milliseconds),
            permission_timeout: self.permission_timeout.map_or(defaults.permission_timeout, milliseconds),
            permission_cache: self.permission_cache.map_or(defaults.permission_cache, milliseconds),
        }
    }
}

impl BrokerOptions {
    /// Reads what `lib` wrote.
    pub fn parse(text: &str) -> Result<Self, Failure> {
        parse(text)
    }

    /// Returns the engine's settings.
    pub fn config(&self) -> BrokerConfig {
        let defaults = BrokerConfig::default();
        BrokerConfig {
            id: self.id.clone().unwrap_or(defaults.id),
            cluster_name: self.cluster_name.clone().or(defaults.cluster_name),
            max_subscriptions_per_client: self
                .max_subscriptions_per_client
                .unwrap_or(defaults.max_subscriptions_per_client),
            max_subscriptions_per_hub: self
                .max_subscriptions_per_hub
                .unwrap_or(defaults.max_subscriptions_per_hub),
            max_message_bytes: self.max_message_bytes.unwrap_or(defaults.max_message_bytes),
            max_connections: self.max_connections.unwrap_or(defaults.max_connections),
            max_connections_per_user: self
                .max_connections_per_user
                .unwrap_or(defaults.max_connections_per_user),
            max_memory_bytes: self.max_memory_bytes.unwrap_or(defaults.max_memory_bytes),
            max_memory_bytes_per_user: self
                .max_memory_bytes_per_user
                .unwrap_or(defaults.max_memory_bytes_per_user),
            max_memory_bytes_per_connection: self
                .max_memory_bytes_per_connection
                .unwrap_or(defaults.max_memory_bytes_per_connection),
            is_watched: self.watched,
            notes_subscriptions: self.subscriptions_watched,
            report_interval_ms: self.report_interval,
            authorizer: self.authority.as_ref().map(AuthorizerOptions::config),
            upstream: self
                .upstream
                .as_ref()
                .map(|upstream| UpstreamConfig { allows_reserved: upstream.reserved }),
            ..defaults
        }
    }

    /// Returns which connections to accept, and how to reach the fabric above. Fails if an option cannot be.
    pub fn prepare(&self) -> Result<(AcceptOptions, Option<NatsOptions>), Failure> {
        Ok((self.accept()?, self.upstream()?))
    }

    /// Returns how to reach the fabric above, if there is one.
    fn upstream(&self) -> Result<Option<NatsOptions>, Failure> {
        let Some(UpstreamSettings { address, tls, proxy: through, nats, .. }) = &self.upstream else {
            return Ok(None);
        };
        let tls = tls.as_ref().map_or_else(ClientTlsOptions::default, |tls| tls.options());
        nats.options(address.clone(), ClientTls::new(&tls)?, proxy(through, &tls)?).map(Some)
    }

    /// Returns the paths at its port that the application answers.
    pub fn pages(&self) -> Vec<String> {
        self.pages.clone()
    }

    /// Returns where to listen, if it is to.
    pub fn listen(&self) -> Option<ListenAt> {
        if let Some(path) = &self.socket_path {
            return Some(ListenAt::Unix(path.into(), self.socket_mode.unwrap_or(SOCKET_MODE)));
        }
        Some(ListenAt::Net(self.host(), self.port?))
    }

    /// Returns which connections to accept, and how.
    fn accept(&self) -> Result<AcceptOptions, Failure> {
        let defaults = AcceptOptions::default();
        let host = self.host();
        let is_loopback = host == LOOPBACK || host == "localhost" || host == "::1";
        let max_handshakes = self.max_handshakes.unwrap_or(defaults.max_handshakes);
        let per_address = self.max_handshakes_per_address;
        let tls = self.tls.as_ref().map(|tls| ServerTls::new(tls.options())).transpose()?;
        let field = match self.forwarded_field.as_deref() {
            Some("forwarded") => ForwardedField::Forwarded,
            _ => ForwardedField::XForwardedFor,
        };
        let proxies = self.trusted_proxies.as_deref().unwrap_or_default();
        let trusted_proxies = TrustedProxies::parse(proxies, field)
            .map_err(|error| Failure::new(Code::InvalidArgument, format!("init: trustedProxies: {error}")))?;
        Ok(AcceptOptions {
            path: self.path.clone().unwrap_or_else(|| DEFAULT_PATH.to_owned()),
            max_payload: self.config().max_payload,
            allowed_origins: self.allowed_origins.clone().unwrap_or_default(),
            // A web page can be made to ask a loopback port by any name; on other interfaces the name is the
            // operator's business, and no page reaches a file or, unasked, a server of the application's.
            check_host: is_loopback && self.port.is_some(),
            allowed_hosts: self.allowed_hosts.clone().unwrap_or_default(),
            handshake_timeout: self.handshake_timeout.map_or(defaults.handshake_timeout, milliseconds),
            message_timeout: self.message_timeout.map_or(defaults.message_timeout, milliseconds),
            max_handshakes,
            max_handshakes_per_address: per_address.unwrap_or_else(|| max_handshakes.div_ceil(2)),
            trusted_proxies,
            tls: tls.map(Arc::new),
            ..defaults
        })
    }

    fn host(&self) -> String {
        self.host.clone().unwrap_or_else(|| LOOPBACK.to_owned())
    }
}

/// Returns the engine's defaults by struct and option, as JSON text. A test compares them with those that
/// `lib` declares.
pub fn defaults() -> String {
    let client = ClientConfig::default();
    let broker = BrokerConfig::default();
    let accept = AcceptOptions::default();
    let authorizer = AuthorizerConfig::default();
    let socket = SocketConfig::default();
    serde_json::json!({
        "ClientOptions": {
            "path": DEFAULT_PATH,
            "inboxPrefix": client.inbox_prefix,
            "autoConnect": ClientOptions::default().auto_connect(),
            "reconnection": client.reconnect.enabled,
            "offlineTimeout": client.offline_timeout.map(millis),
            "reconnectionDelay": millis(client.reconnect.delay),
            "reconnectionDelayMax": millis(client.reconnect.delay_max),
            "randomizationFactor": client.reconnect.jitter,
        },
        "BrokerOptions": {
            "id": broker.id,
            "host": LOOPBACK,
            "path": DEFAULT_PATH,
            "maxSubscriptionsPerClient": broker.max_subscriptions_per_client,
            "maxSubscriptionsPerHub": broker.max_subscriptions_per_hub,
            "maxMessageBytes": broker.max_message_bytes,
            "maxConnections": broker.max_connections,
            "maxConnectionsPerUser": broker.max_connections_per_user,
            "maxMemoryBytes": broker.max_memory_bytes,
            "maxMemoryBytesPerUser": broker.max_memory_bytes_per_user,
            "maxMemoryBytesPerConnection": broker.max_memory_bytes_per_connection,
            "socketMode": SOCKET_MODE,
            "handshakeTimeout": millis(accept.handshake_timeout),
            "messageTimeout": millis(accept.message_timeout),
            "maxHandshakes": accept.max_handshakes,
            "forwardedField": ForwardedField::default().name(),
        },
        "AuthorizerOptions": {
            "signInTimeout": millis(authorizer.sign_in_timeout),
            "permissionTimeout": millis(authorizer.permission_timeout),
            "permissionCache": millis(authorizer.permission_cache),
        },
        "SocketOptions": {
            "maxQueueSize": socket.max_queue,
            "maxQueueBytes": socket.max_queue_bytes,
            "maxMessageBytes": socket.max_message_bytes,
            "reconnection": socket.reconnection,
            "keepAlive": socket.keep_alive.map_or(0, millis),
            "keepAliveTimeout": millis(socket.keep_alive_timeout),
            "stream": socket.stream,
            "maxSockets": socket.max_sockets,
            "maxSocketsPerUser": socket.max_sockets_per_user,
            "commandTimeout": millis(socket.command_timeout),
            "loadBalancerTimeout": millis(socket.load_balancer_timeout),
        },
    })
    .to_string()
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

const DEFAULT_PATH: &str = "/conat";
const LOOPBACK: &str = "127.0.0.1";
/// Permissions of a socket in the file system: for its owner only.
const SOCKET_MODE: u32 = 0o600;
/// The time that connecting and the handshake may take together.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(20);
