//! What either half of a channel needs of it.

use std::collections::VecDeque;
use std::time::Instant;

use super::admission::PeerAdmission;
use super::open_requests::{OpenRequests, Settled};
use super::{Output, PeerMisbehaved, SocketEvent};
use crate::base::FaultInjector;
use crate::wire::stream::key;
use crate::wire::{Encoding, Headers, Json, Message, Payload};

/// The parts of a channel beside its half.
pub(super) struct Surroundings<'a> {
    pub(super) outputs: &'a mut VecDeque<Output>,
    pub(super) faults: &'a mut FaultInjector,
    pub(super) requests: &'a mut Option<Box<OpenRequests>>,
    pub(super) admission: &'a mut PeerAdmission,
    /// The incarnation that goes with each message to a peer of Conat, if it speaks of those.
    pub(super) epoch: Option<u64>,
}

impl Surroundings<'_> {
    pub(super) fn emit(&mut self, event: SocketEvent) {
        self.outputs.push_back(Output::Event(event));
    }

    /// Answers `message`, if it wants an answer. A lost answer costs nothing: the request is asked again.
    pub(super) fn respond_with(&mut self, message: &Message, payload: Payload, headers: Headers) {
        if let Some(subject) = message.headers.reply.clone() {
            self.outputs.push_back(Output::Publish(Message { subject, payload, headers }));
        }
    }

    /// Hands a request that is none of the stream's to the application, unless too many wait for it.
    pub(super) fn take_request(&mut self, now: Instant, message: Message) {
        match self.admission.admit(message) {
            Ok(request) => self.emit(SocketEvent::Request(request)),
            Err(message) if self.admission.may_answer(now) => {
                let error = "too many requests wait for this end of the socket";
                let json = serde_json::json!({ "error": error, "code": 429 });
                let headers = Headers::default().with_json(Some(Json::from_value(&json)));
                self.respond_with(&message, Payload::NIL, headers);
            }
            // Who asks for even more waits in vain.
            Err(_) => {}
        }
    }

    /// Whether the application is to get a message that is no data. An answer settles its request.
    pub(super) fn try_settle(
        &mut self,
        now: Instant,
        encoding: Encoding,
        payload: &[u8],
    ) -> Result<bool, PeerMisbehaved> {
        // Those of requests and answers were checked to have one.
        let key = || key(payload).unwrap_or_default();
        let requests = self.requests.as_mut();
        let settled = match encoding {
            Encoding::ANSWER | Encoding::REFUSAL => requests.map(|open| open.settle(key())),
            Encoding::ANSWER_MORE => requests.map(|open| open.take_one_of_many(now, key())),
            Encoding::ANSWER_END => requests.map(|open| open.take_end(key())),
            Encoding::REQUEST | Encoding::REQUEST_MANY | Encoding::CANCEL => return Ok(true),
            other => return Ok(other.is_data()),
        };
        match settled.unwrap_or(Settled::Unknown) {
            Settled::Open => Ok(true),
            Settled::Late => Ok(false),
            Settled::Unknown => Err(PeerMisbehaved::BadItem { encoding: encoding.0 }),
        }
    }

    /// Tells of the requests that have had as many answers as they want, and returns them.
    pub(super) fn report_satisfied(&mut self) -> Vec<u64> {
        let Some(open) = self.requests.as_mut().filter(|open| open.has_satisfied()) else {
            return Vec::new();
        };
        let satisfied = open.take_satisfied();
        for &key in &satisfied {
            self.emit(SocketEvent::RequestDone { key });
        }
        satisfied
    }
}
