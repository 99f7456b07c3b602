//! A client's end: [`ClientOp`] to frames, frames to [`ServerOp`].

use bytes::{Bytes, BytesMut};

use super::control::{Ask, Tell};
use super::frame::{DecodeError, Frame, begin, finish, kind};
use super::publication::{Listener, Writer};
use super::{Codec, FRAME_SLACK_BYTES, Heard, REQUESTS};
use crate::wire::socketio::fits;
use crate::wire::{AckId, ClientOp, Reply, ServerOp};

/// Speaks for a client.
#[derive(Debug)]
pub struct ClientCodec {
    writer: Writer,
    listener: Listener,
    max_frame: usize,
    /// The server knows requests from publishes.
    knows_requests: bool,
}

impl ClientCodec {
    /// For a server whose payloads are at most `max_payload` bytes.
    pub fn new(max_payload: usize) -> Self {
        let max_frame = max_payload.saturating_add(FRAME_SLACK_BYTES);
        Self { writer: Writer::default(), listener: Listener::default(), max_frame, knows_requests: false }
    }

    /// The same, for a server with these [`EXTENSIONS`].
    pub fn with_extensions(self, extensions: &str) -> Self {
        let knows_requests = extensions.split(',').any(|one| one.trim() == REQUESTS);
        Self { knows_requests, ..self }
    }
}

impl Codec for ClientCodec {
    type Out = ClientOp;
    type In = ServerOp;

    fn encode(&mut self, op: ClientOp, out: &mut BytesMut) -> Option<Bytes> {
        match op {
            ClientOp::Publish { publication, .. } | ClientOp::Request { publication, .. }
                if !fits(&publication.headers) =>
            {
                // Lost alone, it costs its publisher an answer. Sent, it costs everybody on this client the connection.
                tracing::debug!("dropped a publish whose headers no server takes");
                None
            }
            ClientOp::Publish { ack, publication } => self.writer.publish(out, ack, publication),
            ClientOp::Request { ack, publication } if self.knows_requests => {
                self.writer.request(out, ack, publication)
            }
            ClientOp::Request { ack, publication } => self.writer.publish(out, Some(ack), publication),
            other => {
                if let Some(ask) = Ask::from_op(other) {
                    push_control(out, &ask);
                }
                None
            }
        }
    }

    fn decode(&mut self, frame: Frame<'_>, into: &mut Vec<ServerOp>) -> Result<Heard<ClientOp>, DecodeError> {
        let (kind, mut reader) = frame.open()?;
        match kind {
            kind::DELIVER => {
                into.push(self.listener.delivered(reader)?);
                if let Some(ServerOp::Deliver { publication, .. }) = into.last()
                    && !fits(&publication.headers)
                {
                    // The fault is another publisher's, who must not be able to cut off whoever listens.
                    into.pop();
                }
            }
            kind::PUBLISHED => {
                let (id, count) = (AckId(reader.varint()?), reader.varint()?);
                reader.end()?;
                into.push(ServerOp::Ack { id, reply: Reply::Published { count } });
            }
            kind::CONTROL => {
                let tell: Tell = serde_json::from_slice(reader.remainder()).map_err(|_| MALFORMED)?;
                into.extend(tell.into_op());
            }
            _ => return idle_or_unknown(kind),
        }
        Ok(Heard::Op)
    }

    fn max_frame(&self) -> usize {
        self.max_frame
    }
}

/// What both ends make of a frame that carries no operation.
pub(super) fn idle_or_unknown<Out>(kind: u8) -> Result<Heard<Out>, DecodeError> {
    match kind {
        kind::PING => Ok(Heard::Ping),
        kind::PONG => Ok(Heard::Idle),
        kind if kind & kind::SKIPPED != 0 => Ok(Heard::Idle),
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
