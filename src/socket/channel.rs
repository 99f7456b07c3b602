//! What both ends of a socket have: a sender, a receiver, a keep-alive, and the questions between them.

mod answering;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::pending::Pending;
use super::{
    Ask, Data, Held, KeepAlive, Output, PeerMisbehaved, Receiver, Sender, SocketConfig, SocketEvent, Tag,
    TagKind,
};
use super::{CommandError, RequestFailure, WriteError, control};
use crate::entropy::{Point, Quirks};
use crate::subject::Subject;
use crate::wire::{Bundle, Headers, Message, Parcel, Part, Payload, Run, SocketCommand};

/// Both directions of one socket.
#[derive(Debug)]
pub struct Channel {
    pub(super) config: Arc<SocketConfig>,
    pub(super) outputs: VecDeque<Output>,
    peer: Option<Subject>,
    sender: Sender,
    receiver: Receiver,
    keepalive: KeepAlive,
    pending: Pending,
    quirks: Quirks,
    /// The number of the latest tag of any kind; a late answer has an older one.
    number: u32,
    report: u32,
    missing: u32,
    ping: u32,
    /// The peer speaks of epochs too: what comes without one is not from it.
    pub(super) fenced: bool,
    /// What the application was last told of what went wrong below.
    counted: (u64, u64),
    /// When the peer last said that it was away, and was believed.
    returned_at: Option<Instant>,
}

/// A peer that says more often that it was away is not answered with everything again: the timer of the last message does that.
const RETURN_PAUSE: Duration = Duration::from_millis(500);

/// What an answer, or its absence, says about the peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    Alive,
    /// It gave no sign of life.
    Silent,
    /// It is not on the fabric.
    Gone,
    /// It has forgotten what we lack.
    Lost,
    /// It belongs to a later making of this socket.
    Superseded,
}

impl Channel {
    pub(super) fn new(now: Instant, config: Arc<SocketConfig>) -> Self {
        Self {
            outputs: VecDeque::new(),
            peer: None,
            sender: Sender::new(&config),
            receiver: Receiver::new(config.window()),
            keepalive: KeepAlive::new(now, config.keep_alive),
            pending: Pending::default(),
            quirks: Quirks::default(),
            number: 0,
            report: 0,
            missing: 0,
            ping: 0,
            fenced: false,
            counted: (0, 0),
            returned_at: None,
            config,
        }
    }

    /// The peer listens on `peer`. Also when it came back there: whatever was under way may be lost.
    pub(super) fn attach(&mut self, now: Instant, peer: Subject) {
        self.peer = Some(peer.clone());
        self.forget_questions();
        self.sender.attach(now);
        self.receiver.attach();
        self.keepalive.attach(now);
        while let Some(ticket) = self.pending.pop() {
            self.outputs.push_back(Output::Forward(ticket, peer.clone()));
        }
        self.pump(now);
    }

    /// We are back at a peer that does not know that we were away: it is told, so that it sends again what was lost meanwhile.
    pub(super) fn resume(&mut self, now: Instant, peer: Subject) {
        self.receiver.resume();
        self.attach(now, peer);
    }

    pub(super) fn detach(&mut self) {
        self.peer = None;
        self.forget_questions();
        self.sender.detach();
        self.receiver.detach();
        self.keepalive.detach();
    }

    /// What was asked before says nothing about the peer of now.
    fn forget_questions(&mut self) {
        (self.report, self.missing, self.ping) = (0, 0, 0);
    }

    /// What is rare happens as `quirks` say.
    pub(super) fn set_quirks(&mut self, quirks: Quirks) {
        self.quirks = quirks;
    }

    /// What it keeps.
    pub(super) fn held(&self) -> Held {
        let (ahead, ahead_bytes) = self.receiver.held();
        Held {
            unacked: self.sender.unacked(),
            unacked_bytes: self.sender.unacked_bytes(),
            ahead,
            ahead_bytes,
            unconsumed: self.receiver.unconsumed(),
            requests: self.pending.len(),
            outputs: self.outputs.len(),
        }
    }

    /// Whether the peer has ever sent anything: it believes in this socket.
    pub(super) fn has_received(&self) -> bool {
        self.receiver.has_received()
    }

    /// The peer closes: what it says to have handled is its last report.
    pub(super) fn handle_close(&mut self, now: Instant, message: &Message) {
        self.respond(message, control::text("closed"));
        let handled = control::handled(&message.headers);
        if handled.is_some_and(|upto| self.sender.handle_emitted(now, upto) == Ok(true)) {
            self.report_acked();
        }
    }

    /// What `close` says in parting.
    pub(super) fn closing(&self, id: Option<&str>) -> Headers {
        control::closing(id, self.config.epoch, self.receiver.handled())
    }

    pub(super) fn is_attached(&self) -> bool {
        self.peer.is_some()
    }

    /// Queues what there is room for; of a run that is too long the first messages.
    pub(super) fn write(&mut self, now: Instant, parcel: Parcel, volatile: bool) -> Result<u64, WriteError> {
        let outcome = match parcel {
            Parcel::Many(_) if self.sender.has_room(&parcel).is_err() => {
                let mut parts = parcel.parts().map(Parcel::One);
                let mut write = |parcel| self.sender.write(now, parcel, volatile);
                parts.try_fold(0, |_, parcel| write(parcel))
            }
            parcel => self.sender.write(now, parcel, volatile),
        };
        self.pump(now);
        outcome
    }

    pub(super) fn consumed(&mut self, now: Instant, count: u64) {
        self.receiver.consumed(count);
        self.pump(now);
    }

    /// The application's request leaves now, or when a peer is attached.
    pub(super) fn request(&mut self, ticket: u32, deadline: Instant) {
        match &self.peer {
            Some(peer) => self.outputs.push_back(Output::Forward(ticket, peer.clone())),
            None => {
                if let Err(failure) = self.pending.push(ticket, deadline) {
                    self.outputs.push_back(Output::FailRequest(ticket, failure));
                }
            }
        }
    }

    pub(super) fn fail_requests(&mut self) {
        self.pending.fail_all(&mut self.outputs);
    }

    /// How many written messages the peer is not known to have handled.
    pub(super) fn unacked(&self) -> usize {
        self.sender.unacked()
    }

    /// Takes out what the peer is not known to have handled: the socket is at its end.
    pub(super) fn take_undelivered(&mut self) -> Vec<Data> {
        self.sender.take_undelivered()
    }

    /// Whether the peer has acknowledged nothing for too long.
    pub(super) fn is_stalled(&self, now: Instant) -> bool {
        self.sender.is_stalled(now)
    }

    /// A message of the channel: data, a request, a ping, or a `socket` command.
    pub(super) fn handle_message(&mut self, now: Instant, message: Message) -> Result<(), PeerMisbehaved> {
        self.keepalive.handle_traffic(now);
        match (&message.headers.command, &message.headers.reply) {
            (Some(SocketCommand::Ping), Some(_)) => self.respond(&message, Payload::NIL),
            (Some(SocketCommand::Socket), _) => self.handle_control(now, &message)?,
            (Some(command), Some(_)) => {
                let unknown = format!("unknown command - '{}'", command.as_str());
                self.respond(&message, control::error(&unknown));
            }
            (Some(_), None) => {}
            (None, Some(_)) => self.outputs.push_back(Output::Event(SocketEvent::Request(message))),
            (None, None) => {
                let Message { payload, headers, .. } = message;
                let seq = headers.seq.ok_or(PeerMisbehaved::BadHeader)?;
                self.receiver.set_tight(self.quirks.takes(Point::TinyWindow));
                self.receiver.handle_data(Data { seq, payload, json: headers.json })?;
            }
        }
        self.pump(now);
        Ok(())
    }

    /// Messages in a row, the first of them with this number. Says whether they were exactly what was next; if not, they have to be handed in
    /// one by one.
    pub(super) fn takes_run(&mut self, now: Instant, first: u64, run: &Run) -> bool {
        self.receiver.set_tight(self.quirks.takes(Point::TinyWindow));
        let takes = self.receiver.takes_run(first, run);
        if takes {
            self.keepalive.handle_traffic(now);
            self.outputs.push_back(Output::Event(SocketEvent::Data(Parcel::Many(run.clone()))));
            self.pump(now);
        }
        takes
    }

    /// The answer to a question of this channel.
    pub(super) fn handle_reply(
        &mut self,
        now: Instant,
        tag: Tag,
        answer: Result<Message, CommandError>,
    ) -> Result<Verdict, PeerMisbehaved> {
        let current = match tag.kind {
            TagKind::Report => self.report,
            TagKind::Missing => self.missing,
            TagKind::Ping => self.ping,
            _ => return Ok(Verdict::Alive),
        };
        if current != tag.number || !self.is_attached() {
            return Ok(Verdict::Alive);
        }
        if answer.is_ok() {
            self.keepalive.handle_traffic(now);
        }
        if answer.as_ref().is_ok_and(|message| control::is_superseded(&message.headers)) {
            return Ok(Verdict::Superseded);
        }
        let gone = answer == Err(CommandError::NoSubscribers);
        let verdict = match tag.kind {
            TagKind::Ping => {
                let alive = answer.is_ok() || self.keepalive.was_heard();
                self.keepalive.handle_pong(now);
                if alive { Verdict::Alive } else { Verdict::Silent }
            }
            TagKind::Missing => {
                let messages =
                    answer.as_ref().ok().and_then(|message| control::decode_resent(&message.payload));
                let refused = answer.is_ok() && messages.is_none() && self.receiver.lacks_what_it_asked_for();
                self.receiver.handle_missing_answered(now, messages)?;
                if refused { Verdict::Lost } else { Verdict::Alive }
            }
            _ => {
                self.receiver.handle_reported(now, answer.is_ok());
                Verdict::Alive
            }
        };
        self.pump(now);
        Ok(if gone && verdict == Verdict::Alive { Verdict::Gone } else { verdict })
    }

    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        let own = [self.sender.poll_timeout(), self.receiver.poll_timeout(), self.keepalive.poll_timeout()];
        own.into_iter().chain([self.pending.next_deadline()]).flatten().min()
    }

    pub(super) fn handle_timeout(&mut self, now: Instant) {
        self.pending.expire(now, &mut self.outputs);
        self.sender.handle_timeout(now);
        self.receiver.handle_timeout(now);
        if self.keepalive.handle_timeout(now) {
            let timeout = self.config.keep_alive_timeout;
            self.ping = self.ask(TagKind::Ping, SocketCommand::Ping, Payload::NIL, timeout, true);
        }
        self.pump(now);
    }

    /// Moves what the halves have to say to the outputs.
    fn pump(&mut self, now: Instant) {
        while let Some(data) = self.receiver.poll_data() {
            let parcel = Parcel::one(data.payload, data.json);
            self.outputs.push_back(Output::Event(SocketEvent::Data(parcel)));
        }
        let counted = (self.sender.resent(), self.receiver.duplicates());
        if counted != self.counted {
            self.counted = counted;
            let (resent, duplicates) = counted;
            self.outputs.push_back(Output::Event(SocketEvent::Counted { resent, duplicates }));
        }
        let Some(peer) = self.peer.clone() else { return };
        if self.quirks.takes(Point::EarlyAck) {
            self.receiver.hurry_report();
        }
        if self.quirks.takes(Point::DelayedAck) {
            self.receiver.hold_report(now + DELAYED_ACK);
        }
        // What is under way brings us here again.
        let is_tight = self.sender.is_waiting() && self.quirks.takes(Point::TinyWindow);
        while !is_tight && let Some((seq, parcel)) = self.sender.poll_transmit(now) {
            let subject = peer.clone();
            self.outputs.push_back(match parcel {
                Parcel::One(Part { payload, json }) => {
                    let headers = self.fence_headers(Headers { seq: Some(seq), json, ..Headers::default() });
                    Output::Publish(Message { subject, payload, headers })
                }
                Parcel::Many(run) => Output::PublishBundle(Bundle {
                    subject,
                    first: Some(seq),
                    attempt: self.fence_epoch(),
                    run,
                }),
            });
        }
        while let Some(ask) = self.receiver.poll_transmit() {
            let timeout = self.config.command_timeout;
            match ask {
                Ask::Report { upto, resumed } => {
                    let payload = control::Control::Emitted { upto, resumed }.encode();
                    self.report = self.ask(TagKind::Report, SocketCommand::Socket, payload, timeout, false);
                }
                Ask::Missing(seqs) => {
                    let payload = control::Control::Missing(seqs).encode();
                    self.missing = self.ask(TagKind::Missing, SocketCommand::Socket, payload, timeout, false);
                }
            }
        }
    }

    fn ask(
        &mut self,
        kind: TagKind,
        command: SocketCommand,
        payload: Payload,
        timeout: Duration,
        wait_for_interest: bool,
    ) -> u32 {
        let Some(subject) = self.peer.clone() else { return 0 };
        let headers = self.fence_headers(Headers { command: Some(command), ..Headers::default() });
        let tag = self.next_tag(kind);
        let message = Message { subject, payload, headers };
        self.outputs.push_back(Output::Request { tag, message, timeout, wait_for_interest });
        tag.number
    }

    pub(super) fn next_tag(&mut self, kind: TagKind) -> Tag {
        self.number = self.number.wrapping_add(1);
        Tag { kind, number: self.number }
    }

    pub(super) fn fail_request(&mut self, ticket: u32) {
        self.outputs.push_back(Output::FailRequest(ticket, RequestFailure::Closed));
    }
}

/// How long a report is held back at [`Point::DelayedAck`].
const DELAYED_ACK: Duration = Duration::from_millis(200);

#[cfg(test)]
#[allow(clippy::disallowed_methods)]
mod tests;
