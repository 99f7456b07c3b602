//! Replies to the control messages of the peer.

use std::time::Instant;

use super::{Channel, RETURN_PAUSE};
use crate::socket::{Output, PeerMisbehaved, SocketEvent, control};
use crate::wire::{Headers, Json, Message, Payload};

impl Channel {
    pub(super) fn emit_acked(&mut self) {
        let (messages, bytes) = (self.sender.acked(), self.sender.acked_bytes());
        self.emit(SocketEvent::Acked { messages, bytes });
    }

    pub(super) fn handle_control(&mut self, now: Instant, message: &Message) -> Result<(), PeerMisbehaved> {
        match control::Control::decode(&message.payload).ok_or(PeerMisbehaved::BadControl)? {
            control::Control::Ack { upto, resumed } => {
                if self.sender.handle_ack(now, upto)? {
                    self.emit_acked();
                }
                self.respond(message, control::ack_reply(upto));
                let is_back = resumed && self.returned_at.is_none_or(|at| now >= at + RETURN_PAUSE);
                if let Some(peer) = self.peer.clone().filter(|_| is_back) {
                    // What was in flight to it may be lost, as after an attach of our own.
                    self.returned_at = Some(now);
                    self.attach(now, peer);
                }
            }
            control::Control::Missing(seqs) => match self.sender.resend(now, &seqs) {
                Some(messages) if messages.is_empty() => {}
                Some(messages) => self.respond(message, control::encode_resent(&messages)),
                None => self.respond_nodata(message),
            },
        }
        Ok(())
    }

    /// Answers `message`, if it wants an answer. A lost answer costs nothing: the request is asked
    /// again.
    pub(in crate::socket) fn respond(&mut self, message: &Message, payload: Payload) {
        self.respond_with(message, payload, Headers::default());
    }

    fn respond_nodata(&mut self, message: &Message) {
        let json = Json::from_value(&serde_json::json!({ "error": "nodata" }));
        self.respond_with(message, Payload::NIL, Headers { json: Some(json), ..Headers::default() });
    }

    pub(in crate::socket) fn respond_with(&mut self, message: &Message, payload: Payload, headers: Headers) {
        if let Some(subject) = message.headers.reply.clone() {
            self.outputs.push_back(Output::Publish(Message { subject, payload, headers }));
        }
    }
}
