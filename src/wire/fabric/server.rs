//! A broker's end of one connection: [`ServerOp`] to frames, frames to [`ClientOp`].

use bytes::{Bytes, BytesMut};

use super::client::{MALFORMED, idle_or_unknown, push_control};
use super::control::{ClientControl, ServerControl, Unknown};
use super::frame::{DecodeError, Frame, begin, finish, kind, push_varint};
use super::publication::{PublicationDecoder, PublicationEncoder};
use super::{Codec, Decoded, FRAME_SLACK_BYTES, MAX_CONTROL_BYTES, watches};
use crate::wire::message::json;
use crate::wire::message::{AckId, ClientOp, OpError, Reply, ServerOp};

/// Speaks for a broker.
#[derive(Debug)]
pub struct ServerCodec {
    encoder: PublicationEncoder,
    decoder: PublicationDecoder,
    max_frame: usize,
}

impl ServerCodec {
    /// Returns a codec for clients whose payloads have at most `max_payload` bytes.
    pub fn new(max_payload: usize) -> Self {
        let max_frame = max_payload.saturating_add(FRAME_SLACK_BYTES);
        Self { encoder: PublicationEncoder::default(), decoder: PublicationDecoder::default(), max_frame }
    }
}

impl Codec for ServerCodec {
    type Out = ServerOp;
    type In = ClientOp;

    fn encode(&mut self, op: ServerOp, out: &mut BytesMut) -> Option<Bytes> {
        match op {
            ServerOp::Deliver { ref pattern, ref publication } => {
                self.encoder.deliver(out, pattern, publication)
            }
            ServerOp::Ack { id: AckId(id), reply: Reply::Published { count } } => {
                let start = begin(out, kind::PUBLISHED);
                push_varint(out, id);
                push_varint(out, count);
                finish(out, start, 0);
                None
            }
            ServerOp::Watched(changes) => {
                watches::push_changes(out, &changes);
                None
            }
            other => {
                if let Some(control) = ServerControl::from_op(other) {
                    push_control(out, &control);
                }
                None
            }
        }
    }

    fn decode(
        &mut self,
        frame: Frame<'_>,
        into: &mut Vec<ClientOp>,
    ) -> Result<Decoded<ServerOp>, DecodeError> {
        let (kind, reader) = frame.open()?;
        match kind {
            kind::PUBLISH => self.decoder.published(reader, into)?,
            kind::WATCH => into.push(ClientOp::Watch(watches::read_requests(reader)?)),
            kind::CONTROL => {
                let text = std::str::from_utf8(reader.remainder()).map_err(|_| MALFORMED)?;
                if text.len() > MAX_CONTROL_BYTES {
                    return Err(DecodeError("control frame too long"));
                }
                let control: ClientControl = json::read(text).ok_or(MALFORMED)?;
                let Some(op) = control.into_op() else { return refuse(text) };
                into.push(op);
            }
            _ => return idle_or_unknown(kind),
        }
        Ok(Decoded::Op)
    }

    fn max_frame(&self) -> usize {
        self.max_frame
    }
}

/// The rule for an operation that is not known: whoever waits for an answer is told so, and nobody loses a
/// connection by it.
fn refuse(text: &str) -> Result<Decoded<ServerOp>, DecodeError> {
    let unknown: Unknown = json::read(text).ok_or(MALFORMED)?;
    Ok(unknown.ack.map_or(Decoded::Idle, |ack| {
        Decoded::Reply(ServerOp::Ack {
            id: AckId(ack),
            reply: Reply::Error(OpError::text("unknown operation")),
        })
    }))
}
