//! What a client socket does when both ends speak the stream.

use std::time::{Duration, Instant};

use super::super::stream::{Offer, Received, TagSource, joint_tag};
use super::super::{CloseReason, Output, SocketEnd, Tag, TagKind, control};
use super::close::Farewell;
use super::{ClientSocket, Phase};
use crate::subject::Subject;
use crate::wire::stream::Close;
use crate::wire::{Encoding, Headers, Json, Message, Payload, SocketCommand};

impl ClientSocket {
    /// Offers the stream, with tags from this source.
    pub fn offer_streams(&mut self, tags: TagSource) {
        self.tags = Some(tags);
    }

    /// The offer in a `connect`: a tag of its own for each attempt, until one is accepted.
    pub(super) fn offer_stream(&mut self) -> Option<Offer> {
        let (own, peer) = match (self.channel.stream(), &mut self.tags) {
            (Some(stream), _) => (stream.tags().own, Some(stream.tags().peer)),
            // A server that was attached to without the stream has it without.
            (None, Some(tags)) if !self.binding.is_held() => (tags.draw(), None),
            (None, _) => return None,
        };
        self.offered = Some(own);
        Some(Offer::new(own, peer, &self.channel.config))
    }

    /// The same offer once more, as the question is the same.
    pub(super) fn offer_again(&self) -> Option<Offer> {
        let (own, peer) = match self.channel.stream() {
            Some(stream) => (stream.tags().own, Some(stream.tags().peer)),
            None if self.tags.is_some() && !self.binding.is_held() => (self.offered?, None),
            None => return None,
        };
        Some(Offer::new(own, peer, &self.channel.config))
    }

    /// What the two ends speak is decided by the first answer; to a question that several may have taken
    /// their tags are joined. Returns whether this answer, with that offer, is for us.
    pub(super) fn settle_mode(&mut self, now: Instant, offer: Option<Offer>, joins: bool) -> bool {
        if let Some(stream) = self.channel.stream() {
            let tags = stream.tags();
            return offer.is_some_and(|offer| offer.answers == Some(tags.own) && offer.tag == tags.peer);
        }
        let Some(offer) = offer else {
            if self.has_left_a_server {
                // Nothing tells what this one writes from what the other one may write.
                self.close(CloseReason::Lost("two servers may have it, of which one was asked and has gone"));
                return false;
            }
            if self.channel.is_unsettled() {
                self.channel.begin_conat(now);
            }
            return true;
        };
        let Some(own) = self.offered.filter(|own| offer.answers == Some(*own) && !self.binding.is_held())
        else {
            return false;
        };
        let own = if joins { joint_tag(own, offer.tag) } else { own };
        self.channel.begin_stream(now, own, &offer);
        true
    }

    /// What the server has of the stream, when it goes on.
    pub(super) fn handle_attach_status(&mut self, now: Instant, answer: &Message) {
        if self.channel.stream().is_none() {
            return;
        }
        // The question is answered by a message of its own.
        for number in self.asked.take() {
            self.channel.outputs.push_back(Output::Cancel(Tag { kind: TagKind::Connect, number }));
        }
        if let Err(error) = self.channel.handle_attach_status(now, answer) {
            self.handle_misbehaved(error);
        }
    }

    /// A message to our own subject.
    pub(super) fn handle_stream_message(&mut self, now: Instant, message: Message) {
        match message.headers.command {
            Some(SocketCommand::Close) => {
                let tags = self.channel.stream().map(|stream| stream.tags());
                let tag = control::tag(&message.headers);
                let is_ours = tags.is_some_and(|tags| tag == Some(tags.own) || tag == Some(tags.peer));
                if !is_ours {
                    return;
                }
                let lost = self.phase == Phase::AwaitingAccept;
                self.finish(match (self.phase, control::refusal(&message.headers)) {
                    (Phase::AwaitingClosed, _) => CloseReason::Local,
                    _ if control::is_superseded(&message.headers) => CloseReason::Superseded,
                    (_, Some(refusal)) => refusal,
                    _ if lost => CloseReason::Lost("the server has no such socket any more"),
                    _ => CloseReason::Peer,
                });
            }
            Some(SocketCommand::Connected) => {
                let is_later = control::epoch(&message.headers) > self.epoch() && self.epoch().is_some();
                if is_later && self.phase != Phase::AwaitingClosed {
                    // A newer incarnation of this socket has been accepted, here or elsewhere.
                    self.close(CloseReason::Superseded);
                } else if control::epoch(&message.headers) < self.epoch() {
                    self.assert_incarnation(now);
                } else if message.headers.attempt().is_none_or(|attempt| attempt == self.attempt) {
                    self.attached(now, &message);
                }
            }
            Some(_) => {}
            // Nothing is given to an application that has ended.
            None if self.phase == Phase::AwaitingClosed && message.payload.encoding != Encoding::CLOSE => {}
            None => {
                let (tag, json) = (message.headers.attempt(), message.headers.json.clone());
                match self.channel.handle_message(now, message) {
                    Ok(Received::Done) => {}
                    Ok(Received::Foreign) => self.handle_foreign(now, tag, json),
                    Ok(Received::Closed(close)) => self.handle_peer_close(&close),
                    Err(error) if !self.is_closing() => self.handle_misbehaved(error),
                    Err(_) => self.finish(CloseReason::Local),
                }
            }
        }
    }

    /// A frame of another incarnation, or of its server. Of the two the newer one goes on.
    fn handle_foreign(&mut self, now: Instant, tag: Option<u64>, json: Option<Json>) {
        let headers = Headers::default().with_json(json);
        if let (None, Some(server), Some(tag)) = (control::epoch(&headers), control::server(&headers), tag) {
            // It has taken the question that ours has taken, too.
            return self.decline(now, &server, tag);
        }
        match (self.epoch(), control::epoch(&headers), control::server(&headers)) {
            (Some(own), Some(other), _) if own < other && self.phase != Phase::AwaitingClosed => {
                self.close(CloseReason::Superseded);
            }
            (Some(own), Some(other), Some(server)) if own > other => {
                let subject = format!("{}.server.{server}.{}", self.subject(), self.id());
                let Ok(subject) = Subject::parse(&subject) else { return };
                let headers = control::with_tag(control::superseded(None), tag);
                let headers = headers.with_command(Some(SocketCommand::Close));
                let message = Message { subject, payload: Payload::NIL, headers };
                self.channel.outputs.push_back(Output::Publish(message));
            }
            _ => self.assert_incarnation(now),
        }
    }

    /// Another incarnation of this socket is about, and its server may not know of ours: our server says to
    /// all who listen which one it has. The newest one goes on.
    fn assert_incarnation(&mut self, now: Instant) {
        let is_due = self.asserted_at.is_none_or(|at| now >= at + ASSERT_PAUSE);
        if self.epoch().is_none() || self.phase != Phase::Ready || !is_due {
            return;
        }
        if let Some(server) = self.server_subject() {
            self.asserted_at = Some(now);
            let offer = self.offer_stream();
            let message = self.connect_message(server, offer);
            self.channel.outputs.push_back(Output::Publish(message));
        }
    }

    fn handle_peer_close(&mut self, close: &Close) {
        self.channel.handle_stream_closed(close);
        let is_leaving = close.is_draining && self.phase != Phase::AwaitingClosed;
        if is_leaving {
            // Said by its application, behind the count of all that it was handed, or by an engine that
            // counts what is on its way to a handler, too.
            self.channel.fail_unhandled_requests();
        }
        let reason = CloseReason::of_close(&close.code, &close.message);
        self.finish(match self.phase {
            Phase::AwaitingClosed => CloseReason::Local,
            _ if is_leaving => reason.of_leaving(),
            _ => reason,
        });
    }

    /// Says to the server that this end closes. An orderly end waits for its answer, and says it again until
    /// it comes.
    pub(super) fn say_stream_closed(
        &mut self,
        server: Option<Subject>,
        reason: &CloseReason,
        waits_from: Option<Instant>,
    ) {
        if let Some(server) = server {
            self.channel.say_stream_closed(server, reason);
        }
        match waits_from {
            Some(now) => self.farewell = self.fabric.then(|| Farewell::said(now)),
            None => self.drop_subscription(),
        }
    }
}

/// How often another incarnation is told of this one.
const ASSERT_PAUSE: Duration = Duration::from_secs(1);
