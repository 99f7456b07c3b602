//! What a channel does between two ends that both speak the stream.

use std::time::Instant;

use super::Channel;
use crate::socket::stream::{Offer, Received, Stream, Tags};
use crate::socket::{Output, PeerMisbehaved};
use crate::subject::Subject;
use crate::wire::{Headers, Json, Message, Payload, SocketCommand};

impl Channel {
    /// Both ends can: from now on, and for good, everything travels in the stream. Nothing has left before.
    pub(in crate::socket) fn begin_stream(&mut self, now: Instant, own_tag: u64, peer: &Offer) {
        let tags = Tags { own: own_tag, peer: peer.tag };
        let mut stream = Stream::new(now, &self.config, tags, peer.windows);
        let (unsent, volatile) = self.sender.take_unsent();
        stream.take_over(now, unsent, volatile);
        self.stream = Some(Box::new(stream));
    }

    /// The stream, if this socket has one.
    pub(in crate::socket) fn stream(&self) -> Option<&Stream> {
        self.stream.as_deref()
    }

    /// The stream, if this socket has one.
    pub(in crate::socket) fn stream_mut(&mut self) -> Option<&mut Stream> {
        self.stream.as_deref_mut()
    }

    /// A batch of commands, or of what came, is done with: what follows from it leaves.
    pub(in crate::socket) fn flush(&mut self, now: Instant) {
        if let Some(stream) = &mut self.stream {
            stream.pump(now, &mut self.outputs, &mut self.faults);
        }
    }

    pub(super) fn handle_stream_message(
        &mut self,
        now: Instant,
        message: Message,
    ) -> Result<Received, PeerMisbehaved> {
        // The application's requests travel beside it.
        if message.headers.reply.is_some() && message.headers.command.is_none() {
            self.handle_request(now, message);
            return Ok(Received::Done);
        }
        let Some(stream) = &mut self.stream else { return Ok(Received::Foreign) };
        stream.handle_message(now, message, &mut self.outputs, &mut self.faults)
    }

    /// The status that came with a `connect`, or with its answer.
    pub(in crate::socket) fn handle_attach_status(
        &mut self,
        now: Instant,
        message: &Message,
    ) -> Result<(), PeerMisbehaved> {
        match &mut self.stream {
            Some(stream) => stream.handle_attach_status(now, message, &mut self.outputs),
            None => Ok(()),
        }
    }

    /// Says to the other end, which listens on `subject`, that this one closes, behind all that was written.
    pub(in crate::socket) fn say_stream_closed(&mut self, subject: Subject, code: &str) {
        if let Some(stream) = &mut self.stream {
            stream.pump(stream.latest(), &mut self.outputs, &mut self.faults);
            self.outputs.push_back(Output::Publish(stream.closing(subject, code)));
        }
    }

    /// The answer to a `connect` of an end that offers the stream: published, so that what follows it stays
    /// behind it.
    pub(in crate::socket) fn accept_stream(&mut self, client: &Subject, attempt: Option<u64>, resumes: bool) {
        let Some(stream) = &mut self.stream else { return };
        let Tags { own, peer } = stream.tags();
        let mut json = crate::socket::control::with_epoch(serde_json::json!({}), self.config.epoch);
        Offer::new(own, Some(peer), &self.config).write_to(&mut json);
        let status = resumes.then(|| stream.attach_status());
        let (seq, payload) = status.map_or((None, Payload::NIL), |(seq, payload)| (Some(seq), payload));
        let headers = Headers {
            command: Some(SocketCommand::Connected),
            attempt,
            seq,
            json: Some(Json::from_value(&json)),
            ..Headers::default()
        };
        self.outputs.push_back(Output::Publish(Message { subject: client.clone(), payload, headers }));
    }
}
