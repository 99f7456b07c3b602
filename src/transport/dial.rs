//! A client's way in: which language, and what to do when a server does not speak ours.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::time::timeout;

use super::address::Address;
use super::target::Target;
use super::{BoxedLink, LinkError, fabric, socketio};
use crate::wire::{ClientOp, ServerOp};

/// Where to connect to, and how.
#[derive(Debug, Clone)]
pub struct DialOptions {
    /// `http://host:port/base`; `ws://` means the same. The port is 80 if there is none.
    pub address: String,
    /// Where the fabric is below the address: `/conat`.
    pub path: String,
    /// Sent with the request: cookies and the like.
    pub headers: Vec<(String, String)>,
    /// For all of it, from the name look-up to the last word of the handshake.
    pub connect_timeout: Duration,
    /// Which language to speak.
    pub wire: Wire,
}

impl DialOptions {
    /// What is wrong with the address, if anything: dialing it would fail, now and later. Does not repeat it, as it may hold a password.
    pub fn check(&self) -> Result<(), &'static str> {
        Address::parse(&self.address).map(drop)
    }
}

/// A language.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Wire {
    /// Ours where the server speaks it, else Conat's.
    #[default]
    Best,
    /// Conat's.
    Conat,
    /// Ours; a server that does not speak it is refused.
    Selvedge,
}

/// A server as one client knows it: what language it speaks is found out once.
#[derive(Debug)]
pub struct Remote {
    options: DialOptions,
    /// It refused our language and took Conat's.
    is_conat: AtomicBool,
}

impl Remote {
    /// A server that nothing is known about.
    pub fn new(options: DialOptions) -> Self {
        Self { options, is_conat: AtomicBool::new(false) }
    }

    /// Connects.
    ///
    /// [`LinkError::Silent`] when the time is over, [`LinkError::Refused`] when it is no fabric server, or it does not want us.
    pub async fn dial(&self) -> Result<BoxedLink<ClientOp, ServerOp>, LinkError> {
        let target = Target::new(&self.options)?;
        let dialing = self.dial_target(&target);
        timeout(self.options.connect_timeout, dialing).await.unwrap_or(Err(LinkError::Silent))
    }

    async fn dial_target(&self, target: &Target) -> Result<BoxedLink<ClientOp, ServerOp>, LinkError> {
        let wire = self.options.wire;
        if wire == Wire::Conat || (wire == Wire::Best && self.is_conat.load(Ordering::Relaxed)) {
            return socketio::connect(stream(target).await?, target).await;
        }
        let first = stream(target).await?;
        // A server that neither takes nor refuses the request must not use up all the time there is.
        let patience = PATIENCE.min(self.options.connect_timeout / 2);
        let own = timeout(patience, fabric::connect(first, target)).await.unwrap_or(Err(LinkError::Silent));
        let refusal = match own {
            Err(refusal) if wire == Wire::Best => refusal,
            decided => return decided,
        };
        tracing::debug!(%refusal, "the server does not speak our language; trying conat's");
        let link = socketio::connect(stream(target).await?, target).await?;
        self.is_conat.store(true, Ordering::Relaxed);
        Ok(link)
    }
}

/// Connects once: [`Remote::dial`] with a server that nothing is known about.
pub async fn dial(options: &DialOptions) -> Result<BoxedLink<ClientOp, ServerOp>, LinkError> {
    Remote::new(options.clone()).dial().await
}

async fn stream(target: &Target) -> Result<TcpStream, LinkError> {
    let stream = TcpStream::connect((target.host.as_str(), target.port)).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// How long a server may think about our language.
const PATIENCE: Duration = Duration::from_secs(5);
