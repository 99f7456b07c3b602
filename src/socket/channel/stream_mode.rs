//! What a channel does between two ends that both speak the stream.

use std::time::Instant;

use super::{Channel, Mode};
use crate::socket::control::Greeting;
use crate::socket::stream::{Claim, Offer, OfferHeader, Received, Stream, Tags};
use crate::socket::{CloseReason, Output, PeerMisbehaved};
use crate::subject::Subject;
use crate::wire::stream::Close;
use crate::wire::{Headers, Json, Message, Messages, Payload, SocketCommand};

impl Channel {
    /// Both ends can: from now on, and for good, everything travels in the stream. Nothing has left before.
    pub(in crate::socket) fn begin_stream(&mut self, now: Instant, own_tag: u64, peer: &Offer) {
        let tags = Tags { own: own_tag, peer: peer.tag_for(own_tag) };
        // One that takes no pieces gets everything whole.
        let piece = if peer.takes_pieces() { self.config.piece_bytes } else { usize::MAX };
        let takes = (peer.windows, piece, peer.takes_times);
        let stream = Mode::Stream(Box::new(Stream::new(now, &self.config, tags, takes)));
        let before = std::mem::replace(&mut self.mode, stream);
        let limit = self.bound.limit;
        if let (Mode::Unsettled(mut unsent), Mode::Stream(stream)) = (before, &mut self.mode) {
            stream.set_gap_share(std::mem::take(&mut unsent.gap_share));
            stream.take_over(now, *unsent);
            stream.set_limit(limit);
        }
    }

    /// The stream, if this socket has one.
    pub(in crate::socket) fn stream(&self) -> Option<&Stream> {
        if let Mode::Stream(stream) = &self.mode { Some(stream) } else { None }
    }

    /// The stream, if this socket has one.
    pub(in crate::socket) fn stream_mut(&mut self) -> Option<&mut Stream> {
        if let Mode::Stream(stream) = &mut self.mode { Some(stream) } else { None }
    }

    /// A batch of commands, or of what came, is done with: what follows from it leaves.
    pub(in crate::socket) fn flush(&mut self, now: Instant) -> Result<(), PeerMisbehaved> {
        if self.unwelcome.is_some() {
            return Ok(());
        }
        match self.parts() {
            (Mode::Stream(stream), mut around) => stream.pump(now, &mut around),
            _ => Ok(()),
        }
    }

    /// Whether nothing follows from the messages that came last.
    pub(in crate::socket) fn rests(&self) -> bool {
        let is_bound = self.unwelcome.is_some() || !self.bound.rests();
        // An answer of many may bring the end of the others nearer.
        let has_terms = self.requests.as_ref().is_some_and(|requests| requests.has_terms());
        !is_bound && !has_terms && self.stream().is_some_and(Stream::rests)
    }

    /// How the messages in pieces stand that come, if that has changed.
    pub(in crate::socket) fn take_claim(&mut self) -> Option<Claim> {
        self.stream_mut()?.take_claim()
    }

    /// The other end may send pieces up to this offset.
    pub(in crate::socket) fn grant(&mut self, offset: u64) {
        if let Some(stream) = self.stream_mut() {
            stream.grant(offset);
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
        match self.parts() {
            (Mode::Stream(stream), mut around) => stream.handle_message(now, message, &mut around),
            _ => Ok(Received::Foreign),
        }
    }

    /// Takes a message of the stream, if it is exactly what is next. Returns whether.
    pub(in crate::socket) fn try_accept_one(
        &mut self,
        now: Instant,
        message: &mut Message,
        given: &mut Option<Messages>,
    ) -> Result<bool, PeerMisbehaved> {
        if self.unwelcome.is_some() {
            return Ok(false);
        }
        let (Mode::Stream(stream), mut around) = self.parts() else { return Ok(false) };
        let is_taken = stream.try_accept_one(now, message, given, &mut around)?;
        self.bound.is_peer_heard |= is_taken;
        if is_taken {
            self.suspicion.handle_heard(now);
        }
        Ok(is_taken)
    }

    /// The status that came with a `connect`, or with its answer.
    pub(in crate::socket) fn handle_attach_status(
        &mut self,
        now: Instant,
        message: &Message,
    ) -> Result<(), PeerMisbehaved> {
        self.bound.is_peer_heard = true;
        match &mut self.mode {
            Mode::Stream(stream) => stream.handle_attach_status(now, message, &mut self.outputs),
            _ => Ok(()),
        }
    }

    /// Says to the other end, which listens on `subject`, that this one closes, behind all that was written.
    pub(in crate::socket) fn say_stream_closed(&mut self, subject: Subject, reason: &CloseReason) {
        let (leaving, is_unwelcome) = (self.leaving, matches!(reason, CloseReason::Misbehaved(_)));
        if let (Mode::Stream(stream), mut around) = self.parts() {
            if !is_unwelcome {
                stream.set_last_turn();
                // What comes of it does not matter any more.
                let _ = stream.pump(stream.latest(), &mut around);
            }
            around.outputs.push_back(Output::Publish(stream.closing(subject, reason, leaving)));
        }
    }

    /// The peer closes: what it had written and has not come, goes nowhere.
    pub(in crate::socket) fn handle_stream_closed(&mut self, close: &Close) {
        if let Mode::Stream(stream) = &self.mode {
            self.missing = stream.missing_of(close.written);
        }
    }

    /// The peer closed before it knew of this end: so many messages that it had written go nowhere.
    pub(in crate::socket) fn note_missing(&mut self, written: u64) {
        self.missing = written;
    }

    /// Says now and then that this end is there, until the other one knows.
    pub(in crate::socket) fn begin_proving(&mut self, now: Instant) {
        if let Some(stream) = self.stream_mut() {
            stream.prove(now);
        }
    }

    /// The answer to a `connect` of an end that offers the stream with this tag: published, so that what
    /// follows it stays behind it.
    pub(in crate::socket) fn accept_stream(
        &mut self,
        client: &Subject,
        connect: &Message,
        asked: u64,
        resumes: bool,
    ) {
        let message = self.accept_message(client, connect, asked, resumes);
        self.outputs.extend(message.map(Output::Publish));
    }

    pub(in crate::socket) fn accept_message(
        &self,
        client: &Subject,
        connect: &Message,
        asked: u64,
        resumes: bool,
    ) -> Option<Message> {
        let Mode::Stream(stream) = &self.mode else { return None };
        let (attempt, server) = (connect.headers.attempt(), connect.subject.as_str().rsplit('.').nth(1));
        let stream_offer =
            Some(OfferHeader { offer: Offer::new(stream.tags().own, Some(asked), &self.config), server });
        let greeting = Greeting { epoch: self.config.epoch, stream: stream_offer, ..Greeting::default() };
        let status = resumes.then(|| stream.attach_status());
        let (seq, payload) = status.map_or((None, Payload::NIL), |(seq, payload)| (Some(seq), payload));
        let headers = Headers::numbered(seq, attempt)
            .with_command(Some(SocketCommand::Connected))
            .with_json(Some(Json::of(&greeting)));
        Some(Message { subject: client.clone(), payload, headers })
    }
}
