//! The server's end of a socket: made by a listener, ready as long as the fabric is there.

mod presence;
mod stream_mode;

use std::sync::Arc;
use std::time::Instant;

use super::absence::{AbsenceStep, WatchedEnd};
use super::peer_status::PeerStatus;
use super::stream::Offer;
use super::{
    Channel, CloseReason, CommandError, Output, SocketConfig, SocketEnd, SocketEvent, State, Tag, TagKind,
    control,
};
use crate::subject::Subject;
use crate::wire::{Headers, Json, Message, Payload, Presence, SocketCommand};

/// The server's end.
#[derive(Debug)]
pub struct ServerSocket {
    /// Where the client listens. Its last token is the id that the client chose.
    client: Subject,
    channel: Channel,
    state: State,
    /// The latest attempt to connect that was taken: its tag is what the client goes by.
    attempt: Option<u64>,
    /// When a frame of another incarnation was answered last.
    foreign_answered_at: Option<Instant>,
    /// What it was made for, while it is not known that the client has heard of it.
    unproven: Option<Box<Message>>,
}

impl ServerSocket {
    /// Returns a socket whose client has been seen on the fabric: ready at once.
    pub fn new(now: Instant, client: Subject, config: impl Into<Arc<SocketConfig>>) -> Self {
        let mut channel = Channel::new(config.into());
        channel.begin_conat(now);
        channel.fence();
        channel.attach(now, client.clone());
        Self::ready(client, channel)
    }

    /// Returns a socket whose client offers the stream, which is taken, with a tag of our own.
    pub fn with_stream(
        now: Instant,
        client: Subject,
        config: impl Into<Arc<SocketConfig>>,
        offer: &Offer,
        own_tag: u64,
    ) -> Self {
        let mut channel = Channel::new(config.into());
        channel.begin_stream(now, own_tag, offer);
        channel.attach(now, client.clone());
        Self::ready(client, channel)
    }

    fn ready(client: Subject, channel: Channel) -> Self {
        Self {
            client,
            channel,
            state: State::Ready,
            attempt: None,
            foreign_answered_at: None,
            unproven: None,
        }
    }

    /// Returns the id that its client chose.
    pub fn id(&self) -> &str {
        self.client.last_token()
    }

    /// Closes because a newer incarnation of the socket takes its place. The older client is told; the newer
    /// one knows by the epoch that it is not meant.
    pub fn supersede(&mut self) {
        if self.channel.stream().is_some() {
            return self.close(CloseReason::Superseded);
        }
        if self.state != State::Closed {
            self.say_close(control::superseded(self.epoch()));
            self.finish(CloseReason::Superseded);
        }
    }

    fn say_close(&mut self, headers: Headers) {
        let headers = headers.with_command(Some(SocketCommand::Close));
        let message = Message { subject: self.client.clone(), payload: Payload::NIL, headers };
        self.channel.outputs.push_back(Output::Publish(message));
    }

    fn epoch(&self) -> Option<u64> {
        self.channel.config.epoch
    }

    fn finish(&mut self, reason: CloseReason) {
        self.state = State::Closed;
        self.channel.finish(&reason);
    }
}

impl SocketEnd for ServerSocket {
    fn channel(&self) -> &Channel {
        &self.channel
    }

    fn channel_mut(&mut self) -> &mut Channel {
        &mut self.channel
    }

    fn is_closed(&self) -> bool {
        self.state == State::Closed
    }

    fn accepts_data(&self) -> bool {
        true
    }

    fn handle_silence(&mut self, _now: Instant) {
        self.close(CloseReason::Timeout);
    }

    fn peer_subject(&self) -> Option<Subject> {
        Some(self.client.clone())
    }

    fn handle_presence(&mut self, now: Instant, end: WatchedEnd, presence: Presence, _crowd: u64) {
        if self.state != State::Closed && end == WatchedEnd::Peer {
            self.handle_watched(now, presence);
            self.check_end(now);
        }
    }

    fn handle_found(&mut self, now: Instant) {
        if self.state != State::Closed && self.handle_return() {
            self.channel.resume(now, self.client.clone());
        }
    }

    fn handle_absence(&mut self, now: Instant, step: AbsenceStep) {
        self.handle_step(now, step);
    }

    fn handle_fabric_up(&mut self, now: Instant) {
        if self.state == State::Disconnected {
            self.state = State::Ready;
            self.channel.emit(SocketEvent::State(State::Ready));
            self.channel.resume(now, self.client.clone());
        }
    }

    fn handle_fabric_down(&mut self, _now: Instant) {
        self.handle_fabric_lost(SocketEvent::State(State::Disconnected));
    }

    fn handle_message(&mut self, now: Instant, message: Message) {
        if self.state == State::Closed {
            return;
        }
        if self.channel.stream().is_some() {
            self.handle_stream_message(now, message);
            return self.check_end(now);
        }
        if message.headers.malformed {
            return self.channel.note_foreign(now, &super::PeerMisbehaved::BadHeader);
        }
        match message.headers.command {
            Some(SocketCommand::Connect) if !self.channel.admission.may_answer(now) => {}
            Some(SocketCommand::Connect) => {
                answer_connect(&mut self.channel, &self.client, &message);
                self.handle_return();
                self.channel.bound.is_peer_heard = true;
                // The client lost its connection, or our first answer: what was in flight may be lost, too.
                if self.state == State::Ready {
                    self.channel.attach(now, self.client.clone());
                }
            }
            Some(SocketCommand::Close) if control::is_for_another(&message.headers, self.epoch()) => {
                self.channel.respond(&message, control::text("closed"));
            }
            Some(SocketCommand::Close) => {
                self.channel.handle_close(now, &message);
                self.finish(CloseReason::Peer);
            }
            _ if self.channel.is_foreign(&message.headers) => {
                if !self.channel.refuse_foreign(now, &message) {
                    self.say_close(control::superseded(message.headers.attempt()));
                }
            }
            Some(SocketCommand::Ping) if self.state != State::Ready => {}
            _ => {
                if let Err(error) = self.channel.handle_message(now, message) {
                    self.handle_misbehaved(error);
                }
            }
        }
        self.check_end(now);
    }

    fn handle_reply(&mut self, now: Instant, tag: Tag, answer: Result<Message, CommandError>) {
        if self.state == State::Closed {
            return;
        }
        if tag.kind == TagKind::Accept {
            return self.handle_unheard(&answer);
        }
        match self.channel.handle_reply(now, tag, answer) {
            Ok(PeerStatus::Silent) => self.close(CloseReason::Timeout),
            Ok(PeerStatus::Superseded) => self.finish(CloseReason::Superseded),
            Ok(PeerStatus::Lost) => {
                self.close(CloseReason::Lost("the client no longer has the messages that are missing"))
            }
            // Where the broker tells of ends it has told, or it was a moment.
            Ok(PeerStatus::Gone) => self.channel.outputs.push_back(Output::Suspect),
            Ok(PeerStatus::Alive) => {}
            Err(error) => self.handle_misbehaved(error),
        }
        self.check_end(now);
    }

    fn handle_flushed(&mut self) {
        if self.unproven.is_some() && self.is_proven() {
            self.unproven = None;
        }
    }

    fn handle_interest(&mut self, now: Instant, tag: Tag, there: bool) {
        if tag.kind == TagKind::Arrival && self.state != State::Closed {
            self.handle_arrival(now, there);
            self.check_end(now);
        }
    }

    fn close(&mut self, reason: CloseReason) {
        if self.state != State::Closed {
            if self.channel.stream().is_some() {
                self.channel.say_stream_closed(self.client.clone(), &reason);
            } else {
                self.say_close(self.channel.closing(None, &reason));
            }
            self.finish(reason);
        }
    }

    fn check_end(&mut self, now: Instant) {
        if self.channel.pending_close.is_overdue(now)
            || (self.channel.pending_close.is_requested() && self.channel.unacked() == 0)
        {
            self.close(CloseReason::Local);
        }
    }
}

/// Answers a connect request in the dialect it came in.
pub(super) fn answer_connect(channel: &mut Channel, client: &Subject, message: &Message) {
    let epoch = channel.config.epoch;
    let json = epoch.map(|_| Json::from_value(&control::with_epoch(serde_json::json!({}), epoch)));
    if let Some(subject) = message.headers.reply.clone() {
        let payload = control::text("connected");
        let headers = Headers::default().with_json(json);
        channel.outputs.push_back(Output::Respond(Message { subject, payload, headers }));
    } else {
        let headers = Headers::numbered(None, message.headers.attempt())
            .with_command(Some(SocketCommand::Connected))
            .with_json(json);
        channel.outputs.push_back(Output::Publish(Message {
            subject: client.clone(),
            payload: Payload::NIL,
            headers,
        }));
    }
}
