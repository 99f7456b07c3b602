//! The protocols alone: what a client says is read by the broker, said by it to a subscriber, and read there.

use bytes::BytesMut;
use selvedge::subject::Pattern;
use selvedge::wire::conat::{self, EnginePacket, Frames};
use selvedge::wire::fabric::{self, frame_length};
use selvedge::wire::{ClientOp, ServerOp};

use super::Work;
use super::routing::publication;

const MAX_PAYLOAD: usize = 8_000_000;

/// One connection between a client and a broker, in memory: operations go in as bytes and come out as
/// operations.
pub trait Wire {
    /// From the client to the broker.
    fn up(&mut self, op: ClientOp, into: &mut Vec<ClientOp>);
    /// From the broker to the client.
    fn down(&mut self, op: ServerOp, into: &mut Vec<ServerOp>);
}

/// Our own.
pub fn fabric() -> Work {
    there_and_back(Fabric::new())
}

/// Conat's.
pub fn conat() -> Work {
    there_and_back(Conat::new())
}

fn there_and_back(mut wire: impl Wire + 'static) -> Work {
    let publication = publication("bench.wire.data");
    let pattern = Pattern::parse("bench.*.data").expect("valid");
    let (mut at_broker, mut at_client) = (Vec::new(), Vec::new());
    Box::new(move |messages| {
        for _ in 0..messages {
            wire.up(ClientOp::Publish { ack: None, publication: publication.clone() }, &mut at_broker);
            let Some(ClientOp::Publish { publication, .. }) = at_broker.pop() else { panic!("a publish") };
            wire.down(ServerOp::Deliver { pattern: pattern.clone(), publication }, &mut at_client);
            assert!(matches!(at_client.pop(), Some(ServerOp::Deliver { .. })));
        }
    })
}

/// Our frames.
pub struct Fabric {
    client: fabric::ClientCodec,
    server: fabric::ServerCodec,
    buffer: BytesMut,
}

impl Fabric {
    /// A fresh connection.
    pub fn new() -> Self {
        let (client, server) = (fabric::ClientCodec::new(MAX_PAYLOAD), fabric::ServerCodec::new(MAX_PAYLOAD));
        Self { client, server, buffer: BytesMut::new() }
    }
}

impl Wire for Fabric {
    fn up(&mut self, op: ClientOp, into: &mut Vec<ClientOp>) {
        framed(&mut self.buffer, &mut self.client, &mut self.server, op, into);
    }

    fn down(&mut self, op: ServerOp, into: &mut Vec<ServerOp>) {
        framed(&mut self.buffer, &mut self.server, &mut self.client, op, into);
    }
}

fn framed<S, H>(buffer: &mut BytesMut, speaker: &mut S, hearer: &mut H, op: S::Out, into: &mut Vec<H::In>)
where
    S: fabric::Codec,
    H: fabric::Codec<In = S::Out>,
{
    buffer.clear();
    if let Some(payload) = speaker.encode(op, buffer) {
        buffer.extend_from_slice(&payload);
    }
    let mut rest = &buffer[..];
    while let Some(length) = frame_length(rest, hearer.max_frame()).expect("well formed") {
        hearer.decode(fabric::Frame::Borrowed(&rest[..length]), into).expect("well formed");
        rest = &rest[length..];
    }
}

/// Conat's Socket.IO packets, without the WebSocket around them.
pub struct Conat {
    client: conat::ClientCodec,
    server: conat::ServerCodec,
}

impl Conat {
    /// A fresh connection.
    pub fn new() -> Self {
        let (client, server) = (conat::ClientCodec::new(MAX_PAYLOAD), conat::ServerCodec::new(MAX_PAYLOAD));
        Self { client, server }
    }
}

impl Wire for Conat {
    fn up(&mut self, op: ClientOp, into: &mut Vec<ClientOp>) {
        let answers = packed(&mut self.client, &mut self.server, op, into);
        heard(&mut self.client, answers, &mut Vec::new());
    }

    fn down(&mut self, op: ServerOp, into: &mut Vec<ServerOp>) {
        let answers = packed(&mut self.server, &mut self.client, op, into);
        heard(&mut self.server, answers, &mut Vec::new());
    }
}

/// Returns what the protocol itself answers is returned.
fn packed<S, H>(speaker: &mut S, hearer: &mut H, op: S::Out, into: &mut Vec<H::In>) -> Frames
where
    S: conat::Codec,
    H: conat::Codec<In = S::Out>,
{
    let mut frames = Frames::default();
    speaker.encode(op, &mut frames);
    heard(hearer, frames, into)
}

fn heard<H: conat::Codec>(hearer: &mut H, mut frames: Frames, into: &mut Vec<H::In>) -> Frames {
    let mut answers = Frames::default();
    while let Some(frame) = frames.pop() {
        match frame {
            conat::Frame::Text(text) => {
                let text = std::str::from_utf8(&text).expect("text");
                let Ok(EnginePacket::Message(packet)) = EnginePacket::parse(text) else { panic!("{text}") };
                hearer.handle_text(packet, into, &mut answers).expect("well formed");
            }
            conat::Frame::Binary(bytes) => {
                hearer.handle_binary(bytes, into, &mut answers).expect("well formed");
            }
        }
    }
    answers
}
