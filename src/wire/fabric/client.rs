//! A client's end: [`ClientOp`] to frames, frames to [`ServerOp`].

use bytes::{Bytes, BytesMut};

use super::control::{ClientControl, ServerControl};
use super::frame::{DecodeError, Frame, begin, finish, kind};
use super::publication::{PublicationDecoder, PublicationEncoder};
use super::{Codec, Decoded, ENDS, FRAME_SLACK_BYTES, REQUESTS, watches};
use crate::wire::message::json;
use crate::wire::message::{AckId, ClientOp, Reply, ServerOp};

/// Speaks for a client.
#[derive(Debug)]
pub struct ClientCodec {
    encoder: PublicationEncoder,
    decoder: PublicationDecoder,
    max_frame: usize,
    /// The server knows requests from publishes.
    knows_requests: bool,
    /// The server watches ends.
    knows_ends: bool,
}

impl ClientCodec {
    /// Returns a codec for a server whose payloads have at most `max_payload` bytes.
    pub fn new(max_payload: usize) -> Self {
        let max_frame = max_payload.saturating_add(FRAME_SLACK_BYTES);
        Self {
            encoder: PublicationEncoder::default(),
            decoder: PublicationDecoder::default(),
            max_frame,
            knows_requests: false,
            knows_ends: false,
        }
    }

    /// Returns a codec for a server with these [`EXTENSIONS`].
    pub fn with_extensions(self, extensions: &str) -> Self {
        let knows = |name| extensions.split(',').any(|one| one.trim() == name);
        Self { knows_requests: knows(REQUESTS), knows_ends: knows(ENDS), ..self }
    }
}

impl Codec for ClientCodec {
    type Out = ClientOp;
    type In = ServerOp;

    fn encode(&mut self, op: ClientOp, out: &mut BytesMut) -> Option<Bytes> {
        if !op.is_sendable() {
            return None;
        }
        match op {
            ClientOp::Publish { ack, ref publication } => self.encoder.publish(out, ack, publication),
            ClientOp::Request { ack, ref publication } if self.knows_requests => {
                self.encoder.request(out, ack, publication)
            }
            ClientOp::Request { ack, ref publication } => self.encoder.publish(out, Some(ack), publication),
            ClientOp::Watch(_) | ClientOp::Leaving if !self.knows_ends => None,
            ClientOp::Subscribe { ack, mut subscriptions, list } if !self.knows_ends => {
                // It would end the connection at what it does not know.
                subscriptions.iter_mut().for_each(|one| one.exclusive = None);
                let op = ClientOp::Subscribe { ack, subscriptions, list };
                ClientControl::from_op(op).iter().for_each(|control| push_control(out, control));
                None
            }
            ClientOp::Watch(requests) => {
                watches::push_requests(out, &requests);
                None
            }
            other => {
                if let Some(control) = ClientControl::from_op(other) {
                    push_control(out, &control);
                }
                None
            }
        }
    }

    fn decode(
        &mut self,
        frame: Frame<'_>,
        into: &mut Vec<ServerOp>,
    ) -> Result<Decoded<ClientOp>, DecodeError> {
        let (kind, mut reader) = frame.open()?;
        match kind {
            kind::DELIVER => {
                self.decoder.delivered(reader, into)?;
                if let Some(ServerOp::Deliver { publication, .. }) = into.last()
                    && !publication.headers.are_accepted()
                {
                    // Another publisher's mistake, which must not disconnect its subscribers.
                    into.pop();
                }
            }
            kind::PUBLISHED => {
                let (id, count) = (AckId(reader.varint()?), reader.varint()?);
                reader.end()?;
                into.push(ServerOp::Ack { id, reply: Reply::Published { count } });
            }
            kind::WATCHED => into.push(ServerOp::Watched(watches::read_changes(reader)?)),
            kind::CONTROL => {
                let text = std::str::from_utf8(reader.remainder()).map_err(|_| MALFORMED)?;
                let control: ServerControl = json::read(text).ok_or(MALFORMED)?;
                into.extend(control.into_op(text));
            }
            _ => return idle_or_unknown(kind),
        }
        Ok(Decoded::Op)
    }

    fn max_frame(&self) -> usize {
        self.max_frame
    }
}

/// Returns what both ends make of a frame that carries no operation.
pub(super) fn idle_or_unknown<Out>(kind: u8) -> Result<Decoded<Out>, DecodeError> {
    match kind {
        kind::PING => Ok(Decoded::Ping),
        kind::PONG => Ok(Decoded::Pong),
        kind if kind & kind::SKIPPED != 0 => Ok(Decoded::Idle),
        _ => Err(DecodeError("unknown frame")),
    }
}

/// Appends a control frame.
pub(super) fn push_control(out: &mut BytesMut, control: &impl serde::Serialize) {
    let start = begin(out, kind::CONTROL);
    match serde_json::to_vec(control) {
        Ok(text) => {
            out.extend_from_slice(&text);
            finish(out, start, 0);
        }
        Err(error) => {
            // Strings, numbers and lists have no value that cannot be written.
            tracing::error!(%error, "control frame not written");
            out.truncate(start);
        }
    }
}

pub(super) const MALFORMED: DecodeError = DecodeError("malformed control frame");
