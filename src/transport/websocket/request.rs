//! A client's request for a WebSocket, in which it can offer our own protocol too: one response tells which
//! it is.

use tokio_tungstenite::tungstenite::handshake::client::generate_key;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

use crate::link::Protocol;
use crate::transport::LinkError;
use crate::transport::head::{UpgradeResponse, ask};
use crate::transport::stream::BoxedStream;
use crate::transport::target::Target;
use crate::wire::fabric::SUBPROTOCOL;

/// A server that speaks WebSocket from here on.
pub(in crate::transport) struct Upgraded {
    pub(in crate::transport) stream: BoxedStream,
    /// With what the server has sent behind its head.
    pub(in crate::transport) answer: UpgradeResponse,
    /// Whether it took our offer. Servers that do not know it may repeat its name all the same.
    pub(in crate::transport) is_own: bool,
}

/// Asks for a WebSocket, and in it for the protocols that `wire` stands for.
pub(in crate::transport) async fn upgrade(
    mut stream: BoxedStream,
    target: &Target,
    wire: Protocol,
) -> Result<Upgraded, LinkError> {
    let key = generate_key();
    let query = if wire == Protocol::Selvedge { "" } else { "?EIO=4&transport=websocket" };
    let offer = if wire == Protocol::Conat {
        String::new()
    } else {
        format!("Sec-WebSocket-Protocol: {SUBPROTOCOL}\r\n")
    };
    let fields =
        format!("Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n{offer}");
    let answer = ask(&mut stream, target, query, &fields).await?;
    if answer.code != 101 {
        return Err(answer.refusal());
    }
    let is_websocket = answer.field("upgrade").is_some_and(|value| value.eq_ignore_ascii_case("websocket"));
    if !is_websocket || answer.field("sec-websocket-accept") != Some(&derive_accept_key(key.as_bytes())) {
        return Err(LinkError::Refused("not a websocket server: its answer does not fit the request".into()));
    }
    let is_own = wire != Protocol::Conat
        && answer.field("sec-websocket-protocol") == Some(SUBPROTOCOL)
        && answer.field("selvedge-session").is_some();
    if !is_own && wire == Protocol::Selvedge {
        return Err(LinkError::Refused("this server does not speak selvedge".into()));
    }
    Ok(Upgraded { stream, answer, is_own })
}
