//! What a server socket does when both ends speak the stream.

use std::time::{Duration, Instant};

use super::super::stream::{Offer, Received};
use super::super::{CloseReason, SocketEnd, State, control};
use super::ServerSocket;
use crate::base::Code;
use crate::wire::stream::Close;
use crate::wire::{Message, SocketCommand};

impl ServerSocket {
    /// Answers the `connect` that this socket was made for.
    pub fn accept(&mut self, connect: &Message) {
        let server = connect.subject.as_str().rsplit('.').nth(1);
        let epoch = self.epoch();
        if let (Some(stream), Some(server), Some(epoch)) = (self.channel.stream_mut(), server, epoch) {
            stream.set_identity(control::identity(server, epoch));
        }
        self.attempt = connect.headers.attempt;
        self.channel.accept_stream(&self.client, connect.headers.attempt, false);
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
                    let is_superseded = control::is_superseded(&message.headers);
                    self.finish(if is_superseded { CloseReason::Superseded } else { CloseReason::Peer });
                }
            }
            Some(_) => {}
            None => {
                let tag = message.headers.attempt;
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
            self.channel.accept_stream(&client, connect.headers.attempt, true);
            if let Err(error) = self.channel.handle_attach_status(now, connect) {
                self.handle_misbehaved(error);
            }
        } else if offer.tag == tags.peer {
            // The fabric brought it twice.
            self.channel.accept_stream(&client, connect.headers.attempt, false);
        } else if connect.headers.attempt.is_some_and(|attempt| Some(attempt) < self.attempt) {
            // The fabric has held it back: the client goes by the tag of a later one.
        } else if !stream.is_proven() {
            // It never heard of our answer: what it was told since was not for its ears.
            self.attempt = connect.headers.attempt;
            stream.set_peer_tag(offer.tag);
            stream.send_again(now);
            if self.handle_return() {
                self.channel.attach(now, client.clone());
            }
            self.channel.accept_stream(&client, connect.headers.attempt, false);
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

/// How often a stranger is answered.
const FOREIGN_PAUSE: Duration = Duration::from_secs(1);
