//! Replies to the control messages of the peer.

use std::time::{Duration, Instant};

use super::{Conat, RETURN_PAUSE};
use crate::socket::surroundings::Surroundings;
use crate::socket::too_large::ASKED_BYTES;
use crate::socket::{Output, PeerMisbehaved, SocketEvent, Tag, TagKind, control};
use crate::wire::{Headers, Json, Message, Payload};

impl Conat {
    pub(super) fn emit_acked(&mut self, around: &mut Surroundings<'_>) {
        let (messages, bytes) = (self.sender.acked(), self.sender.acked_bytes());
        around.emit(SocketEvent::Acked { messages, bytes });
    }

    pub(super) fn handle_control(
        &mut self,
        now: Instant,
        message: &Message,
        around: &mut Surroundings<'_>,
    ) -> Result<(), PeerMisbehaved> {
        match control::Control::decode(&message.payload).ok_or(PeerMisbehaved::BadControl)? {
            control::Control::Ack { upto, resumed } => {
                let is_progress = self.sender.handle_ack(now, upto)?;
                if is_progress {
                    self.emit_acked(around);
                }
                if is_progress || around.admission.may_answer(now) {
                    respond(around, message, control::ack_reply(upto));
                }
                let is_back = resumed && self.returned_at.is_none_or(|at| now >= at + RETURN_PAUSE);
                if let Some(peer) = self.peer.clone().filter(|_| is_back) {
                    // What was in flight to it may be lost, as after an attach of our own.
                    self.returned_at = Some(now);
                    self.attach(now, peer, around);
                }
            }
            control::Control::Missing(_) if !around.admission.may_answer(now) => {}
            control::Control::Missing(seqs) => match self.sender.resend(now, &seqs) {
                Some(messages) if messages.is_empty() => {}
                Some(messages) => {
                    let payload = control::encode_resent(&messages);
                    if let Some(subject) = message.headers.reply.clone() {
                        let message = Message { subject, payload, headers: Headers::default() };
                        around.outputs.push_back(again(message, messages.len()));
                    }
                }
                None => respond_nodata(around, message),
            },
        }
        Ok(())
    }
}

/// What goes again, of one message or of several. If it is large it may be what the fabric refuses: that is
/// asked for.
pub(super) fn again(message: Message, messages: usize) -> Output {
    if message.payload.raw.len() < ASKED_BYTES {
        return Output::Publish(message);
    }
    let tag = Tag { kind: TagKind::Resent, number: u32::from(messages > 1) };
    Output::Probe { tag, message: message.into(), timeout: REFUSAL_TIMEOUT }
}

/// Answers `message`, if it wants an answer. A lost answer costs nothing: the request is asked again.
pub(super) fn respond(around: &mut Surroundings<'_>, message: &Message, payload: Payload) {
    around.respond_with(message, payload, Headers::default());
}

fn respond_nodata(around: &mut Surroundings<'_>, message: &Message) {
    let json = Json::from_value(&serde_json::json!({ "error": "nodata" }));
    around.respond_with(message, Payload::NIL, Headers::default().with_json(Some(json)));
}

/// How long the broker's word on what went again is waited for.
const REFUSAL_TIMEOUT: Duration = Duration::from_secs(30);
