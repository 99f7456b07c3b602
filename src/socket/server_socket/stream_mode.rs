//! What a server socket does when both ends speak the stream.

use std::time::{Duration, Instant};

use super::super::stream::{Offer, Received};
use super::super::{CloseReason, CommandError, Output, SocketEnd, State, TagKind, control};
use super::ServerSocket;
use crate::base::Code;
use crate::wire::stream::Close;
use crate::wire::{Message, SocketCommand};

impl ServerSocket {
    /// Answers the `connect` that this socket was made for, and which offers this tag.
    pub fn accept(&mut self, connect: &Message, asked: u64) {
        self.note_connect(connect);
        self.channel.accept_stream(&self.client, connect, asked, false);
    }

    /// Answers it before the client's own subject was seen: the client has to say something, or is asked.
    pub fn accept_unproven(&mut self, now: Instant, connect: Message, asked: u64) {
        self.note_connect(&connect);
        if let (Some(stream), Some(server)) = (self.channel.stream_mut(), server_of(&connect)) {
            stream.await_proof(now, control::identity(server, None));
        }
        if let Some(message) = self.channel.accept_message(&self.client, &connect, asked, false) {
            let (tag, timeout) = (self.channel.next_tag(TagKind::Accept), ARRIVAL_TIMEOUT);
            self.channel.outputs.push_back(Output::Probe { tag, message: message.into(), timeout });
        }
        self.unproven = Some(connect.into());
    }

    fn note_connect(&mut self, connect: &Message) {
        let epoch = self.epoch();
        if let (Some(stream), Some(server), Some(_)) = (self.channel.stream_mut(), server_of(connect), epoch)
        {
            stream.set_identity(control::identity(server, epoch));
        }
        self.attempt = connect.headers.attempt();
    }

    /// Handles that nobody got the accept: the client's own subject is not there yet.
    pub(super) fn handle_unheard(&mut self, answer: &Result<Message, CommandError>) {
        let is_unheard = matches!(answer, Err(CommandError::NoSubscribers));
        if is_unheard && !self.is_proven() && self.unproven.is_some() {
            let (tag, timeout) = (self.channel.next_tag(TagKind::Arrival), ARRIVAL_TIMEOUT);
            let subject = self.client.clone();
            self.channel.outputs.push_back(Output::AwaitInterest { tag, subject, timeout });
        }
    }

    /// Handles that the client's own subject is there, or was not in time.
    pub(super) fn handle_arrival(&mut self, now: Instant, there: bool) {
        let Some(connect) = self.unproven.take() else { return };
        if self.is_proven() {
            return;
        }
        if !there {
            return self.close(CloseReason::Timeout);
        }
        if let Some(offer) = Offer::of_headers(&connect.headers) {
            self.channel.accept_stream(&self.client, &connect, offer.tag, false);
        }
        if let Some(stream) = self.channel.stream_mut() {
            stream.send_again(now);
        }
    }

    pub(super) fn is_proven(&self) -> bool {
        self.channel.stream().is_some_and(|stream| stream.is_proven())
    }

    pub(super) fn handle_stream_message(&mut self, now: Instant, message: Message) {
        match message.headers.command {
            Some(SocketCommand::Connect) => {
                if self.channel.admission.may_answer(now) {
                    self.handle_connect(now, &message);
                }
            }
            Some(SocketCommand::Close) => {
                let peer = self.channel.stream().map(|stream| stream.tags().peer);
                if control::tag(&message.headers).is_some_and(|tag| Some(tag) == peer) {
                    let (reason, written) = control::reason_before(&message.headers);
                    self.channel.note_missing(written);
                    self.finish(reason);
                }
            }
            Some(_) => {}
            None => {
                let tag = message.headers.attempt();
                match self.channel.handle_message(now, message) {
                    Ok(Received::Done) => {}
                    Ok(Received::Foreign) => self.answer_foreign(now, tag),
                    Ok(Received::Closed(close)) => self.handle_client_close(&close),
                    Err(error) => self.handle_misbehaved(error),
                }
            }
        }
    }

    /// The client asks again: it lost touch, or our answer.
    fn handle_connect(&mut self, now: Instant, connect: &Message) {
        let Some(offer) = Offer::of_headers(&connect.headers) else { return };
        let client = self.client.clone();
        let Some(stream) = self.channel.stream_mut() else { return };
        let tags = stream.tags();
        if control::is_resume(&connect.headers) {
            if offer.answers != Some(tags.own) || offer.tag != tags.peer {
                let code = if self.epoch().is_some() {
                    control::superseded(self.epoch())
                } else {
                    control::code(Code::SocketLost)
                };
                return self.say_close(control::with_tag(code, Some(offer.tag)));
            }
            self.handle_return();
            if self.state == State::Ready {
                self.channel.attach(now, client.clone());
            }
            self.channel.accept_stream(&client, connect, offer.tag, true);
            if let Err(error) = self.channel.handle_attach_status(now, connect) {
                self.handle_misbehaved(error);
            }
        } else if offer.tag_for(tags.own) == tags.peer {
            // The fabric brought it twice.
            self.channel.accept_stream(&client, connect, offer.tag, false);
        } else if connect.headers.attempt().is_some_and(|attempt| Some(attempt) < self.attempt) {
            // The fabric has held it back: the client goes by the tag of a later one.
        } else if !stream.is_proven() {
            // It never heard of our answer: what it was told since was not for its ears.
            self.attempt = connect.headers.attempt();
            stream.set_peer_tag(offer.tag_for(tags.own));
            if let Some(unproven) = &mut self.unproven {
                **unproven = connect.clone();
            }
            stream.send_again(now);
            if self.handle_return() {
                self.channel.attach(now, client.clone());
            }
            self.channel.accept_stream(&client, connect, offer.tag, false);
        } else {
            self.say_close(control::with_tag(control::code(Code::SocketLost), Some(offer.tag)));
        }
    }

    /// The client closes: it hears that it may.
    fn handle_client_close(&mut self, close: &Close) {
        self.channel.handle_stream_closed(close);
        self.channel.say_stream_closed(self.client.clone(), &CloseReason::Peer);
        self.finish(CloseReason::of_close(&close.code, &close.message));
    }

    /// Another incarnation of this socket, or a stranger, hears at most once a second that it is not meant.
    fn answer_foreign(&mut self, now: Instant, tag: Option<u64>) {
        let is_due = self.foreign_answered_at.is_none_or(|at| now >= at + FOREIGN_PAUSE);
        if let Some(tag) = tag.filter(|_| is_due) {
            self.foreign_answered_at = Some(now);
            let code = if self.epoch().is_some() {
                control::superseded(None)
            } else {
                control::code(Code::SocketLost)
            };
            self.say_close(control::with_tag(code, Some(tag)));
        }
    }
}

/// The server that a `connect` is for, by its id.
fn server_of(connect: &Message) -> Option<&str> {
    connect.subject.as_str().rsplit('.').nth(1)
}

/// How long the client's own subject may take to be there.
const ARRIVAL_TIMEOUT: Duration = Duration::from_secs(5);
/// How often a stranger is answered.
const FOREIGN_PAUSE: Duration = Duration::from_secs(1);
