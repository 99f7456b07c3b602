//! Messages on their way out: in chunks that the broker takes, and with the acknowledgement that is wanted.

use super::Client;
use crate::wire::{AckId, ClientOp, Message, MessageId, Payload, Publication, split};

/// When a publish is to be acknowledged.
#[derive(Clone, Copy)]
pub(super) enum Confirm {
    Never,
    /// With the count of those who got it.
    Always(AckId),
    /// When it had no receiver.
    WhenUnheard(AckId),
}

impl<T: Copy + Ord + std::hash::Hash> Client<T> {
    /// Sends a message: one operation a chunk, of which the last has the headers and requests the
    /// acknowledgement.
    pub(super) fn send(&mut self, message: Message, confirm: Confirm) {
        let Message { subject, payload: Payload { encoding, raw }, headers } = message;
        let chunk_size = self.chunk_size();
        if raw.len() <= chunk_size {
            let (id, payload) = (self.message_id.clone(), Payload { encoding, raw });
            let ack = match confirm {
                Confirm::WhenUnheard(ack) => {
                    let publication =
                        Publication { subject, id, seq: 0, done: true, bundled: 0, payload, headers };
                    return self.ops.push(ClientOp::Request { ack, publication });
                }
                Confirm::Always(ack) => Some(ack),
                Confirm::Never => None,
            };
            return self.ops.publish(Message { subject, payload, headers }, ack, chunk_size);
        }
        self.next_message += 1;
        let id: MessageId = format!("{}{}", self.message_id, self.next_message).into();
        for (seq, done, piece) in split(raw, chunk_size) {
            let payload = Payload { encoding, raw: piece };
            let headers = if done { headers.clone() } else { Default::default() };
            let (subject, id) = (subject.clone(), id.clone());
            let publication = Publication { subject, id, seq, done, bundled: 0, payload, headers };
            self.ops.push(match confirm {
                Confirm::WhenUnheard(ack) if done => ClientOp::Request { ack, publication },
                Confirm::Always(ack) if done => ClientOp::Publish { ack: Some(ack), publication },
                _ => ClientOp::Publish { ack: None, publication },
            });
        }
    }

    pub(super) fn chunk_size(&self) -> usize {
        self.max_payload.saturating_sub(CHUNK_MARGIN).max(MIN_CHUNK_BYTES)
    }
}

/// Bytes by which a chunk stays below the largest payload, for headers and framing (conat.md section 2).
const CHUNK_MARGIN: usize = 100_000;
/// Smallest chunk size, however small the largest payload.
const MIN_CHUNK_BYTES: usize = 1000;
