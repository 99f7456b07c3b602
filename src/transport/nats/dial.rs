//! From a connection to a link: the server introduces itself, TLS if it is wanted, the client signs in.

use std::sync::Arc;
use std::time::Duration;

use bytes::{Buf, BytesMut};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::NatsUser;
use super::address::{Address, Server, is_nats};
use super::conversation::Conversation;
use super::gateway::GatewayLink;
use super::link::{NatsLink, Refused};
use super::moving_link::{Dialing, MovingLink};
use super::servers::Servers;
use super::tries::Tries;
use crate::base::{Code, Failure};
use crate::transport::address::Place;
use crate::transport::proxy::Proxy;
use crate::transport::readiness::Registration;
use crate::transport::timer::{now, within};
use crate::transport::tls::{self, ClientTls};
use crate::transport::{BoxedLink, BoxedStream, LinkError, dial_bytes};
use crate::wire::nats::{
    CONNECT_START, Client, DecodeError, Gateway, MAX_INFO_BYTES, Refusal, ServerFrame, ServerInfo,
    frame_length, push_connect, push_pong,
};
use crate::wire::{ClientOp, OpError, ServerOp, UpstreamNews, UpstreamOp};

/// Where to connect to, and as whom.
#[derive(Debug, Clone)]
pub struct NatsOptions {
    /// `nats://user:password@host:port,host:port`, or `tls://` for nothing without TLS. The port is 4222 if
    /// there is none.
    pub address: String,
    /// Goes before what the address says.
    pub user: NatsUser,
    /// For servers that want TLS, and for `tls://`.
    pub tls: Option<ClientTls>,
    /// The way out.
    pub proxy: Option<Proxy>,
    /// Connect to no servers but those of the address.
    pub ignores_discovered: bool,
}

impl NatsOptions {
    /// Returns whether an address is one of NATS.
    pub fn is_address(address: &str) -> bool {
        is_nats(address)
    }

    /// Returns what is wrong with the options, if anything: dialing would fail, now and later.
    pub fn check(&self) -> Result<(), &'static str> {
        let address = Address::parse(&self.address)?;
        self.user.clone().or(address.user).check()
    }
}

/// The servers of one fabric, as one client knows them.
#[derive(Debug, Clone)]
pub struct NatsRemote {
    servers: Arc<Servers>,
    wants_tls: bool,
    user: NatsUser,
    tls: Option<ClientTls>,
    proxy: Option<Proxy>,
    /// The poller that watches its connections, too.
    registration: Option<Registration>,
}

impl NatsRemote {
    /// Returns the fabric of checked options.
    pub fn new(options: NatsOptions, registration: Option<Registration>) -> Self {
        let address = Address::parse(&options.address).unwrap_or_default();
        Self {
            servers: Arc::new(Servers::new(address.servers, options.ignores_discovered)),
            wants_tls: address.wants_tls,
            user: options.user.or(address.user),
            tls: options.tls,
            proxy: options.proxy,
            registration,
        }
    }

    /// Connects to one server after the other, until one takes this client or refuses it by its user.
    pub async fn dial(&self) -> Result<BoxedLink<ClientOp, ServerOp>, LinkError> {
        let remote = self.clone();
        Ok(match self.dial_client().await? {
            Ok(link) => Box::new(MovingLink::new(link, Box::new(move || remote.clone().dial_next()))),
            Err(refused) => Box::new(refused),
        })
    }

    /// The same for a gateway, which has two connections to one server.
    pub async fn dial_gateway(&self) -> Result<BoxedLink<UpstreamOp, UpstreamNews>, LinkError> {
        let remote = self.clone();
        let link = self.dial_both().await?;
        Ok(Box::new(MovingLink::new(link, Box::new(move || remote.clone().dial_next_both()))))
    }

    /// Begins to make a link that takes the place of one.
    fn dial_next(self) -> Dialing<NatsLink<Client>> {
        let dialing = async move {
            let refused = || LinkError::Refused("another server does not believe who this is".to_owned());
            self.dial_client().await?.map_err(|_| refused())
        };
        Box::pin(within(NEXT_TIMEOUT, dialing))
    }

    /// The same for a gateway.
    fn dial_next_both(self) -> Dialing<GatewayLink> {
        Box::pin(within(NEXT_TIMEOUT, async move { self.dial_both().await }))
    }

    async fn dial_client(&self) -> Result<Result<NatsLink<Client>, Refused>, LinkError> {
        let mut tries = Tries::new(now(), self.servers.in_order());
        while let Some((server, limit)) = tries.next_server(now()) {
            self.find(&mut tries, &server, limit).await;
            while let Some((address, limit)) = tries.next_address(now()) {
                match within(limit, self.dial_server(&server, &address, true)).await {
                    Ok(Entrance::Open(peer, info)) => {
                        return Ok(Ok(self.link(peer, Client::new(info), &server)));
                    }
                    Ok(Entrance::Refused(info, error)) => {
                        return Ok(Err(Refused::new(Client::refusal(&info, error))));
                    }
                    Err(error) => tries.handle_failure(&server, error),
                }
            }
        }
        Err(tries.into_error())
    }

    async fn dial_both(&self) -> Result<GatewayLink, LinkError> {
        let mut tries = Tries::new(now(), self.servers.in_order());
        while let Some((server, limit)) = tries.next_server(now()) {
            self.find(&mut tries, &server, limit).await;
            while let Some((address, limit)) = tries.next_address(now()) {
                match within(limit, self.dial_ends(&server, &address)).await {
                    Ok(link) => return Ok(link),
                    Err(error) => tries.handle_failure(&server, error),
                }
            }
        }
        Err(tries.into_error())
    }

    /// Looks up the addresses of a server, unless that is for the proxy.
    async fn find(&self, tries: &mut Tries, server: &Server, limit: Duration) {
        let (host, port) = (server.0.as_str(), server.1);
        if self.proxy.as_ref().is_some_and(|proxy| proxy.serves(host, port)) {
            return tries.add_addresses(&[host.to_owned()]);
        }
        let looking = async { Ok(tokio::net::lookup_host((host, port)).await?) };
        match within(limit, looking).await {
            Ok(found) => tries.add_addresses(&found.map(|found| found.ip().to_string()).collect::<Vec<_>>()),
            Err(error) => tries.handle_failure(server, error),
        }
    }

    async fn dial_ends(&self, server: &Server, address: &str) -> Result<GatewayLink, LinkError> {
        let main = self.dial_end(server, address, false).await?;
        let groups = self.dial_end(server, address, true).await?;
        Ok(GatewayLink::new(main, groups))
    }

    /// Makes one of a gateway's connections. The server learns whether it `echoes`.
    async fn dial_end(
        &self,
        server: &Server,
        address: &str,
        echoes: bool,
    ) -> Result<NatsLink<Gateway>, LinkError> {
        match self.dial_server(server, address, echoes).await? {
            Entrance::Open(peer, info) => Ok(self.link(peer, Gateway::new(info), server)),
            Entrance::Refused(_, error) => Err(LinkError::Denied(Failure::new(Code::Refused, error.message))),
        }
    }

    fn link<C: Conversation>(&self, peer: Peer, conversation: C, server: &Server) -> NatsLink<C> {
        let Peer { stream, buffer } = peer;
        NatsLink::new(stream, &buffer, conversation, server.clone(), self.servers.clone())
    }

    async fn dial_server(&self, server: &Server, address: &str, echoes: bool) -> Result<Entrance, LinkError> {
        let place = Place::Net(address.to_owned(), server.1);
        let stream =
            dial_bytes::connect(&place, None, self.proxy.as_ref(), self.registration.as_ref()).await?;
        let mut peer = Peer { stream, buffer: BytesMut::new() };
        let (mut has_begun, mut is_tls) = (false, false);
        if !peer.speaks_within(SILENCE).await? {
            if self.wants_tls {
                // It waits for the other side to begin with TLS.
                peer = peer.secured(self.tls.as_ref(), &server.0).await?;
                is_tls = true;
            } else {
                // A server of HTTP waits for a request, and says at once what it thinks of this one.
                peer.stream.write_all(CONNECT_START.as_bytes()).await?;
                peer.stream.flush().await?;
                has_begun = true;
            }
        }
        let mut info = peer.introduction().await.map_err(|error| match error {
            LinkError::Closed if has_begun => LinkError::PeerMisbehaved(NO_INTRODUCTION.to_owned()),
            error => error,
        })?;
        check(&info)?;
        if !is_tls && (self.wants_tls || info.tls_required) {
            if !info.tls_required && !info.tls_available {
                return Err(LinkError::Tls(Failure::new(Code::TlsPlain, "the server does not speak TLS")));
            }
            if has_begun {
                return Err(LinkError::Silent);
            }
            peer = peer.secured(self.tls.as_ref(), &server.0).await?;
            is_tls = true;
        }
        let sign_in = self.user.sign_in(info.nonce.as_deref()).map_err(LinkError::Denied)?;
        let mut connect = BytesMut::new();
        push_connect(&mut connect, is_tls, echoes, &sign_in);
        connect.advance(if has_begun { CONNECT_START.len() } else { 0 });
        peer.stream.write_all(&connect).await?;
        peer.stream.flush().await?;
        if let Some(error) = peer.admission(&mut info).await? {
            return Ok(Entrance::Refused(info, error));
        }
        self.servers.learn(info.connect_urls.as_deref().unwrap_or_default());
        self.servers.handle_success(server);
        Ok(Entrance::Open(peer, info))
    }
}

fn check(info: &ServerInfo) -> Result<(), LinkError> {
    if info.is_supported() {
        return Ok(());
    }
    let version = info.version.chars().take(40).collect::<String>();
    let message = format!("nats-server 2.9 or newer with headers is needed, this is {version}");
    Err(LinkError::Denied(Failure::new(Code::Unsupported, message)))
}

/// How a server has answered.
enum Entrance {
    Open(Peer, ServerInfo),
    /// It does not believe who this is.
    Refused(ServerInfo, OpError),
}

/// The other end before the link.
struct Peer {
    stream: BoxedStream,
    buffer: BytesMut,
}

impl Peer {
    /// Returns whether it says something within `time`.
    async fn speaks_within(&mut self, time: Duration) -> Result<bool, LinkError> {
        match within(time, self.read()).await {
            Err(LinkError::Silent) => Ok(false),
            outcome => outcome.map(|()| true),
        }
    }

    async fn read(&mut self) -> Result<(), LinkError> {
        match self.stream.read_buf(&mut self.buffer).await? {
            0 => Err(LinkError::Closed),
            _ => Ok(()),
        }
    }

    /// Returns the next line.
    async fn line(&mut self) -> Result<BytesMut, LinkError> {
        loop {
            if !self.buffer.is_empty() && !is_word(&self.buffer) {
                return Err(LinkError::PeerMisbehaved("this is no server of nats".to_owned()));
            }
            match frame_length(&self.buffer, MAX_INFO_BYTES)? {
                Some(length) if length <= self.buffer.len() => return Ok(self.buffer.split_to(length)),
                _ => self.read().await?,
            }
        }
    }

    async fn introduction(&mut self) -> Result<ServerInfo, LinkError> {
        let line = self.line().await?;
        match ServerFrame::read(&line)? {
            ServerFrame::Info(text) => Ok(ServerInfo::read(text)?),
            ServerFrame::Error(text) => Err(refusal(text)),
            _ => Err(LinkError::PeerMisbehaved("this is no server of nats".to_owned())),
        }
    }

    /// Waits until it lets us in, or says that it does not believe us.
    async fn admission(&mut self, info: &mut ServerInfo) -> Result<Option<OpError>, LinkError> {
        loop {
            let line = self.line().await?;
            match ServerFrame::read(&line)? {
                ServerFrame::Pong => return Ok(None),
                ServerFrame::Ok => {}
                ServerFrame::Info(text) => *info = ServerInfo::read(text)?,
                ServerFrame::Ping => {
                    let mut pong = BytesMut::new();
                    push_pong(&mut pong);
                    self.stream.write_all(&pong).await?;
                    self.stream.flush().await?;
                }
                ServerFrame::Error(text) if Refusal::read(text) == Refusal::SignIn => {
                    return Ok(Some(OpError::text(text)));
                }
                ServerFrame::Error(text) => return Err(refusal(text)),
                ServerFrame::Message(_) => {
                    return Err(LinkError::PeerMisbehaved("message before the sign-in".to_owned()));
                }
            }
        }
    }

    async fn secured(self, tls: Option<&ClientTls>, host: &str) -> Result<Self, LinkError> {
        if !self.buffer.is_empty() {
            return Err(LinkError::PeerMisbehaved("data before TLS".to_owned()));
        }
        let tls = tls.ok_or_else(|| LinkError::Refused("no settings for TLS".to_owned()))?;
        Ok(Self { stream: tls::connect(self.stream, tls, host).await?, ..self })
    }
}

/// Returns whether this can be the beginning of something that a server says.
fn is_word(bytes: &[u8]) -> bool {
    let words = [&b"INFO "[..], b"PING\r\n", b"PONG\r\n", b"+OK\r\n", b"-ERR ", b"MSG ", b"HMSG "];
    words.iter().any(|word| {
        let length = word.len().min(bytes.len());
        word[..length] == bytes[..length]
    })
}

fn refusal(text: &str) -> LinkError {
    let code = match Refusal::read(text) {
        Refusal::ConnectionLimit => Code::Limit,
        _ if text.to_ascii_lowercase().contains("tls required") => Code::TlsRequired,
        _ => Code::Refused,
    };
    LinkError::Denied(Failure::new(code, text))
}

impl From<DecodeError> for LinkError {
    fn from(error: DecodeError) -> Self {
        Self::PeerMisbehaved(error.to_string())
    }
}

/// What a server does that takes the first words for a broken handshake.
const NO_INTRODUCTION: &str = "the server closed the connection without introducing itself; if it begins with TLS, its address is tls://";
/// A server that is about to stop is left within seconds, with another one or without.
const NEXT_TIMEOUT: Duration = Duration::from_millis(1500);
/// A server of NATS speaks first, and at once.
const SILENCE: Duration = Duration::from_millis(500);
