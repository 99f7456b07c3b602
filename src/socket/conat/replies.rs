//! Replies to the control messages of the peer.

use std::time::Instant;

use super::{Conat, RETURN_PAUSE};
use crate::socket::surroundings::Surroundings;
use crate::socket::{PeerMisbehaved, SocketEvent, control};
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
                Some(messages) => respond(around, message, control::encode_resent(&messages)),
                None => respond_nodata(around, message),
            },
        }
        Ok(())
    }
}

/// Answers `message`, if it wants an answer. A lost answer costs nothing: the request is asked again.
pub(super) fn respond(around: &mut Surroundings<'_>, message: &Message, payload: Payload) {
    around.respond_with(message, payload, Headers::default());
}

fn respond_nodata(around: &mut Surroundings<'_>, message: &Message) {
    let json = Json::from_value(&serde_json::json!({ "error": "nodata" }));
    around.respond_with(message, Payload::NIL, Headers { json: Some(json), ..Headers::default() });
}
