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
                let is_progress = self.sender.handle_ack(now, upto)?;
                if is_progress {
                    self.emit_acked();
                }
                if is_progress || self.admission.may_answer(now) {
                    self.respond(message, control::ack_reply(upto));
                }
                let is_back = resumed && self.returned_at.is_none_or(|at| now >= at + RETURN_PAUSE);
                if let Some(peer) = self.peer.clone().filter(|_| is_back) {
                    // What was in flight to it may be lost, as after an attach of our own.
                    self.returned_at = Some(now);
                    self.attach(now, peer);
                }
            }
            control::Control::Missing(_) if !self.admission.may_answer(now) => {}
            control::Control::Missing(seqs) => match self.sender.resend(now, &seqs) {
                Some(messages) if messages.is_empty() => {}
                Some(messages) => self.respond(message, control::encode_resent(&messages)),
                None => self.respond_nodata(message),
            },
        }
        Ok(())
    }

    /// Hands a request of the peer to the application, unless too many wait for it.
    pub(super) fn handle_request(&mut self, now: Instant, message: Message) {
        match self.admission.admit(message) {
            Ok(request) => self.emit(SocketEvent::Request(request)),
            Err(message) if self.admission.may_answer(now) => {
                let error = "too many requests wait for this end of the socket";
                let json = serde_json::json!({ "error": error, "code": 429 });
                let headers = Headers { json: Some(Json::from_value(&json)), ..Headers::default() };
                self.respond_with(&message, Payload::NIL, headers);
            }
            // Who asks for even more waits in vain.
            Err(_) => {}
        }
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
