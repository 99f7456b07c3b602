//! The echo, and a client that says what it is told and notes what it hears.

use std::fmt;
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::Role;

use crate::transport::head::read_head;
use crate::transport::stream::BoxedStream;
use crate::transport::websocket::open;
use crate::transport::{AcceptOptions, answer_to_head};

/// A frame that the client hears. All of them are whole, and none is masked.
#[derive(Clone, PartialEq, Eq)]
pub(super) enum Reply {
    Text(Vec<u8>),
    Binary(Vec<u8>),
    Pong(Vec<u8>),
    /// With its code, if it has one.
    Close(Option<u16>),
    Other(u8),
}

impl fmt::Debug for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let told = |bytes: &[u8]| {
            format!("{} bytes {:?}", bytes.len(), String::from_utf8_lossy(&bytes[..bytes.len().min(20)]))
        };
        match self {
            Self::Text(bytes) => write!(f, "text of {}", told(bytes)),
            Self::Binary(bytes) => write!(f, "binary of {}", told(bytes)),
            Self::Pong(bytes) => write!(f, "pong of {}", told(bytes)),
            Self::Close(code) => write!(f, "close {code:?}"),
            Self::Other(first) => write!(f, "frame {first:#x}"),
        }
    }
}

pub(super) struct Echo {
    address: String,
}

impl Echo {
    pub(super) async fn listen() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("bound");
        let address = listener.local_addr().expect("bound").to_string();
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.expect("a connection");
                tokio::spawn(echo(Box::new(stream)));
            }
        });
        Self { address }
    }

    /// Says all of `sent`, and returns what is heard until the connection ends; an error unless that is in
    /// order.
    pub(super) async fn replies(&self, sent: &[Vec<u8>]) -> Result<Vec<Reply>, String> {
        talk(&self.address, "", sent).await
    }
}

/// Opens a WebSocket at `address`, with more `fields` in the request, says all of `sent`, and returns what is
/// heard. Our end stays open until the other has ended: it is the server that closes first.
pub(super) async fn talk(address: &str, fields: &str, sent: &[Vec<u8>]) -> Result<Vec<Reply>, String> {
    let mut stream = TcpStream::connect(address).await.expect("connected");
    stream.set_nodelay(true).expect("a socket");
    let request = format!(
        "GET /conat/?EIO=4&transport=websocket HTTP/1.1\r\nHost: {address}\r\n\
        Connection: Upgrade\r\nUpgrade: websocket\r\n\
        Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n{fields}\r\n"
    );
    stream.write_all(request.as_bytes()).await.expect("open");
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.expect("a whole head"));
    }
    let head = String::from_utf8(head).expect("text").to_ascii_lowercase();
    assert!(head.starts_with("http/1.1 101"), "{head}");
    assert!(head.contains("s3pplmbitxaq9kygzzhzrbk+xoo="), "{head}");
    assert!(!head.contains("sec-websocket-extensions"), "none is granted: {head}");
    let (mut reader, mut writer) = stream.into_split();
    let heard = tokio::spawn(async move {
        let mut bytes = Vec::new();
        let ended = reader.read_to_end(&mut bytes).await;
        (bytes, ended.map_err(|error| error.to_string()))
    });
    for piece in sent {
        // The other end may have had enough.
        if writer.write_all(piece).await.is_err() {
            break;
        }
    }
    let (bytes, ended) = timeout(PATIENCE, heard).await.map_err(|_| "no end".to_owned())?.expect("no panic");
    ended?;
    parse(&bytes)
}

fn parse(mut bytes: &[u8]) -> Result<Vec<Reply>, String> {
    let mut replies = Vec::new();
    while let [first, length, rest @ ..] = bytes {
        let (length, rest) = match length {
            126 => (usize::from(u16::from_be_bytes([rest[0], rest[1]])), &rest[2..]),
            127 => {
                let length = u64::from_be_bytes(rest[..8].try_into().expect("8 bytes"));
                (usize::try_from(length).expect("fits"), &rest[8..])
            }
            masked if masked & 0x80 != 0 => return Err("a masked frame".into()),
            short => (usize::from(*short), rest),
        };
        if rest.len() < length {
            return Err(format!("a frame of {length} bytes has {}", rest.len()));
        }
        let payload = rest[..length].to_vec();
        replies.push(match first {
            0x81 => Reply::Text(payload),
            0x82 => Reply::Binary(payload),
            0x8a => Reply::Pong(payload),
            0x88 => Reply::Close(payload.get(..2).map(|code| u16::from_be_bytes([code[0], code[1]]))),
            &other => Reply::Other(other),
        });
        bytes = &rest[length..];
    }
    if bytes.is_empty() { Ok(replies) } else { Err("a cut header".into()) }
}

async fn echo(mut stream: BoxedStream) {
    let options = AcceptOptions::default();
    let mut bytes = Vec::new();
    let length = read_head(&mut stream, &mut bytes).await.expect("a head").expect("a short one");
    let switch = answer_to_head(&bytes[..length], &options).expect("a WebSocket");
    stream.write_all(switch.as_bytes()).await.expect("open");
    let rest = bytes.split_off(length);
    let mut socket = open(stream, rest, Role::Server, options.max_payload).await.expect("open");
    while let Some(Ok(message)) = socket.next().await {
        if let Message::Text(_) | Message::Binary(_) = message {
            let _ = socket.send(message).await;
        }
    }
    // As a broker does it.
    let _ = timeout(PATIENCE, socket.close()).await;
}

const PATIENCE: Duration = Duration::from_secs(60);
