//! The part that both ends of a socket share: a sender, a receiver, a keep-alive, and the requests between
//! them.

mod replies;
mod stream_mode;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::absence::Absence;
use super::admission::PeerAdmission;
use super::pending_close::PendingClose;
use super::queued_requests::QueuedRequests;
use super::stream::{Accepted, Received, Stream};
use super::{CloseReason, CommandError, RequestFailure, SocketCounters, WriteError, control};
use super::{
    Data, KeepAlive, Outgoing, Output, PeerMisbehaved, Receiver, Sender, SocketConfig, SocketEvent,
    SocketUsage, Tag, TagKind,
};
use crate::base::{FaultInjector, FaultPoint, earliest};
use crate::subject::Subject;
use crate::wire::stream::Class;
use crate::wire::{Bundle, Headers, Item, Message, Messages, PackedMessages, Payload, SocketCommand};

/// Both directions of one socket.
#[derive(Debug)]
pub struct Channel {
    pub(super) config: Arc<SocketConfig>,
    pub(super) outputs: VecDeque<Output>,
    peer: Option<Subject>,
    sender: Sender,
    receiver: Receiver,
    keepalive: KeepAlive,
    pending: QueuedRequests,
    /// The orderly end, if it was requested.
    pub(super) pending_close: PendingClose,
    /// The absence of the peer.
    pub(super) absence: Absence,
    /// What the peer may ask.
    pub(super) admission: PeerAdmission,
    faults: FaultInjector,
    /// Between two ends that both can: takes the place of sender, receiver and keep-alive.
    stream: Option<Box<Stream>>,
    /// The number of the latest tag of any kind; a late answer has an older one.
    number: u32,
    ack: u32,
    missing: u32,
    ping: u32,
    /// The peer speaks of epochs too: what comes without one is not from it.
    pub(super) fenced: bool,
    /// The counters that were last reported to the application.
    counters: SocketCounters,
    /// When the peer last reported that it was away, and was sent everything again.
    returned_at: Option<Instant>,
}

/// A peer that reports an absence more often is not sent everything again: the timer of the last message does
/// that.
const RETURN_PAUSE: Duration = Duration::from_millis(500);

/// The state of the peer, by its reply or the lack of one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum PeerStatus {
    Alive,
    /// It gave no sign of life.
    Silent,
    /// It is not on the fabric.
    Gone,
    /// It has forgotten what we lack.
    Lost,
    /// It belongs to a later incarnation of this socket.
    Superseded,
}

impl Channel {
    pub(super) fn new(now: Instant, config: Arc<SocketConfig>) -> Self {
        Self {
            outputs: VecDeque::new(),
            peer: None,
            sender: Sender::new(&config),
            receiver: Receiver::new(config.receive_window()),
            keepalive: KeepAlive::new(now, config.keep_alive),
            pending: QueuedRequests::default(),
            pending_close: PendingClose::default(),
            absence: Absence::default(),
            admission: PeerAdmission::default(),
            faults: FaultInjector::default(),
            stream: None,
            number: 0,
            ack: 0,
            missing: 0,
            ping: 0,
            fenced: false,
            counters: SocketCounters::default(),
            returned_at: None,
            config,
        }
    }

    /// Attaches to the peer at `peer`, also when it returns there: whatever was in flight may be lost.
    pub(super) fn attach(&mut self, now: Instant, peer: Subject) {
        self.peer = Some(peer.clone());
        if let Some(stream) = &mut self.stream {
            stream.attach(now, peer.clone());
        } else {
            self.forget_requests();
            self.sender.attach(now);
            self.receiver.attach();
            self.keepalive.attach(now);
        }
        while let Some(ticket) = self.pending.pop() {
            self.outputs.push_back(Output::Forward(ticket, peer.clone()));
        }
        self.pump(now);
    }

    /// Attaches again to a peer that does not know of our absence: it is told, so that it sends again what
    /// was lost meanwhile.
    pub(super) fn resume(&mut self, now: Instant, peer: Subject) {
        self.receiver.resume();
        self.attach(now, peer);
        if let Some(stream) = &mut self.stream {
            stream.handle_return();
        }
    }

    pub(super) fn detach(&mut self) {
        self.peer = None;
        if let Some(stream) = &mut self.stream {
            return stream.detach();
        }
        self.forget_requests();
        self.sender.detach();
        self.receiver.detach();
        self.keepalive.detach();
    }

    /// Forgets open requests: their replies would say nothing about the present peer.
    fn forget_requests(&mut self) {
        (self.ack, self.missing, self.ping) = (0, 0, 0);
    }

    /// Sets the source of injected faults.
    pub(super) fn set_faults(&mut self, faults: FaultInjector) {
        self.faults = faults;
    }

    /// Returns what it keeps.
    pub(super) fn usage(&self) -> SocketUsage {
        if let Some(stream) = &self.stream {
            let (requests, outputs) = (self.pending.len(), self.outputs.len());
            return SocketUsage { requests, outputs, ..stream.usage() };
        }
        let (out_of_order, out_of_order_bytes) = self.receiver.usage();
        SocketUsage {
            unacked: self.sender.unacked(),
            unacked_bytes: self.sender.unacked_bytes(),
            out_of_order,
            out_of_order_bytes,
            unconsumed: self.receiver.unconsumed(),
            requests: self.pending.len(),
            outputs: self.outputs.len(),
        }
    }

    /// Handles the peer's `close`, whose count is its last ack.
    pub(super) fn handle_close(&mut self, now: Instant, message: &Message) {
        self.respond(message, control::text("closed"));
        let handled = control::handled(&message.headers);
        if handled.is_some_and(|upto| self.sender.handle_ack(now, upto) == Ok(true)) {
            self.emit_acked();
        }
    }

    /// Returns the headers of `close`.
    pub(super) fn closing(&self, id: Option<&str>) -> Headers {
        control::closing(id, self.config.epoch, self.receiver.handled())
    }

    pub(super) fn is_attached(&self) -> bool {
        self.peer.is_some()
    }

    /// Queues what there is room for; of packed messages that do not fit, the first ones.
    pub(super) fn write(&mut self, now: Instant, batch: Messages, volatile: bool) -> Result<u64, WriteError> {
        if let Some(stream) = &mut self.stream {
            return stream.write(now, batch, volatile);
        }
        let outcome = match batch {
            Messages::Packed(_) if self.sender.has_room(&batch).is_err() => {
                let mut items = batch.items().map(Messages::One);
                let mut write = |batch| self.sender.write(now, batch, volatile);
                items.try_fold(0, |_, batch| write(batch))
            }
            batch => self.sender.write(now, batch, volatile),
        };
        self.pump(now);
        outcome
    }

    pub(super) fn consumed(&mut self, now: Instant, count: u64) {
        if let Some(stream) = &mut self.stream {
            return stream.handle_consumed(Class::Data, count);
        }
        self.receiver.consumed(count);
        self.pump(now);
    }

    /// Sends the application's request, now or when a peer is attached.
    pub(super) fn request(&mut self, ticket: u32, deadline: Instant) {
        match &self.peer {
            Some(peer) => self.outputs.push_back(Output::Forward(ticket, peer.clone())),
            None if self.absence.fails_requests() => {
                self.outputs.push_back(Output::FailRequest(ticket, RequestFailure::PeerAway));
            }
            None => {
                if let Err(failure) = self.pending.push(ticket, deadline) {
                    self.outputs.push_back(Output::FailRequest(ticket, failure));
                }
            }
        }
    }

    /// Ends it: fails the requests, and reports why, with what the peer is not known to have handled.
    pub(super) fn finish(&mut self, reason: &CloseReason) {
        let lost = match &mut self.stream {
            Some(stream) => stream.take_undelivered(),
            None => self.sender.take_undelivered(),
        };
        let undelivered = lost.len();
        self.detach();
        self.end_absence();
        self.pending.fail_all(&mut self.outputs, RequestFailure::Closed);
        lost.into_iter().for_each(|data| self.emit(SocketEvent::Undelivered(data)));
        self.emit(SocketEvent::Closed { failure: reason.failure(), undelivered });
        self.outputs.extend(self.pending_close.take().into_iter().map(Output::Ended));
    }

    /// Ends the absence of the peer. Returns whether the application was told of it; `None`: there was none.
    pub(super) fn end_absence(&mut self) -> Option<bool> {
        let was_told = self.absence.end()?;
        self.outputs.push_back(Output::UnwatchOthers);
        Some(was_told)
    }

    /// Fails the requests that waited for the return of the peer: those that have left may have been handled,
    /// the others were not.
    pub(super) fn fail_requests_of_absence(&mut self) {
        self.outputs.push_back(Output::PeerAway);
        self.pending.fail_all(&mut self.outputs, RequestFailure::PeerAway);
    }

    /// Reports an event to the application.
    pub(super) fn emit(&mut self, event: SocketEvent) {
        self.outputs.push_back(Output::Event(event));
    }

    /// Returns how many written messages the peer is not known to have handled.
    pub(super) fn unacked(&self) -> usize {
        self.stream.as_ref().map_or_else(|| self.sender.unacked(), |stream| stream.unacked())
    }

    /// Returns whether the peer has acknowledged nothing for too long.
    pub(super) fn is_stalled(&self, now: Instant) -> bool {
        self.stream.as_ref().map_or_else(|| self.sender.is_stalled(now), |stream| stream.is_stalled(now))
    }

    /// A message of the channel: data, a request, a ping, or a `socket` command.
    pub(super) fn handle_message(
        &mut self,
        now: Instant,
        message: Message,
    ) -> Result<Received, PeerMisbehaved> {
        if self.stream.is_some() {
            return self.handle_stream_message(now, message);
        }
        self.keepalive.handle_traffic(now);
        match (&message.headers.command, &message.headers.reply) {
            (Some(SocketCommand::Ping), Some(_)) => {
                if self.admission.may_answer(now) {
                    self.respond(&message, Payload::NIL);
                }
            }
            (Some(SocketCommand::Socket), _) => self.handle_control(now, &message)?,
            (Some(command), Some(_)) if self.admission.may_answer(now) => {
                let unknown = format!("unknown command - '{}'", command.as_str());
                self.respond(&message, control::error(&unknown));
            }
            (Some(_), _) => {}
            (None, Some(_)) => self.handle_request(now, message),
            (None, None) => {
                let Message { payload, headers, .. } = message;
                let seq = headers.seq.ok_or(PeerMisbehaved::BadHeader)?;
                self.receiver.force_small_window(self.faults.should_inject(FaultPoint::TinyWindow));
                self.receiver.handle_data(now, Data { seq, payload, json: headers.json })?;
            }
        }
        self.pump(now);
        Ok(Received::Done)
    }

    /// A bundle, if it is exactly what is next; if not, its messages have to be handed in one by one.
    pub(super) fn try_accept_bundle(&mut self, now: Instant, bundle: &Bundle) -> Accepted {
        if let Some(stream) = &mut self.stream {
            return stream.try_accept_bundle(now, bundle, &mut self.outputs, &mut self.faults);
        }
        match bundle.first {
            Some(first) if self.try_accept_packed(now, first, &bundle.packed) => Accepted::All,
            _ => Accepted::No,
        }
    }

    fn try_accept_packed(&mut self, now: Instant, first: u64, packed: &PackedMessages) -> bool {
        self.receiver.force_small_window(self.faults.should_inject(FaultPoint::TinyWindow));
        let takes = self.receiver.try_accept_packed(first, packed);
        if takes {
            self.keepalive.handle_traffic(now);
            self.emit(SocketEvent::Data(Messages::Packed(packed.clone())));
            self.pump(now);
        }
        takes
    }

    /// Handles the reply to a request of this channel.
    pub(super) fn handle_reply(
        &mut self,
        now: Instant,
        tag: Tag,
        answer: Result<Message, CommandError>,
    ) -> Result<PeerStatus, PeerMisbehaved> {
        if let Some(stream) = &self.stream {
            let gone = stream.is_current_probe(tag) && answer == Err(CommandError::NoSubscribers);
            return Ok(if gone { PeerStatus::Gone } else { PeerStatus::Alive });
        }
        let current = match tag.kind {
            TagKind::Ack => self.ack,
            TagKind::Missing => self.missing,
            TagKind::Ping => self.ping,
            _ => return Ok(PeerStatus::Alive),
        };
        if current != tag.number || !self.is_attached() {
            return Ok(PeerStatus::Alive);
        }
        if answer.is_ok() {
            self.keepalive.handle_traffic(now);
        }
        if answer.as_ref().is_ok_and(|message| control::is_superseded(&message.headers)) {
            return Ok(PeerStatus::Superseded);
        }
        let gone = answer == Err(CommandError::NoSubscribers);
        let verdict = match tag.kind {
            TagKind::Ping => {
                let alive = answer.is_ok() || self.keepalive.was_heard();
                self.keepalive.handle_pong(now);
                if alive { PeerStatus::Alive } else { PeerStatus::Silent }
            }
            TagKind::Missing => {
                let messages =
                    answer.as_ref().ok().and_then(|message| control::decode_resent(&message.payload));
                let refused = answer.is_ok() && messages.is_none() && self.receiver.is_resend_unanswered();
                self.receiver.handle_missing_reply(now, messages)?;
                if refused { PeerStatus::Lost } else { PeerStatus::Alive }
            }
            _ => {
                self.receiver.handle_ack_reply(now, answer.is_ok());
                PeerStatus::Alive
            }
        };
        self.pump(now);
        Ok(if gone && verdict == PeerStatus::Alive { PeerStatus::Gone } else { verdict })
    }

    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        if let Some(stream) = &self.stream {
            return earliest([stream.poll_timeout(), self.pending.next_deadline()]);
        }
        earliest([
            self.sender.poll_timeout(),
            self.receiver.poll_timeout(),
            self.keepalive.poll_timeout(),
            self.pending.next_deadline(),
        ])
    }

    /// A deadline has come. Says whether the peer gives no sign of life; in the old mode the answer to a ping
    /// says so.
    pub(super) fn handle_timeout(&mut self, now: Instant) -> PeerStatus {
        self.pending.expire(now, &mut self.outputs);
        if let Some(stream) = &mut self.stream {
            return if stream.handle_timeout(now) { PeerStatus::Silent } else { PeerStatus::Alive };
        }
        self.sender.handle_timeout(now);
        self.receiver.handle_timeout(now);
        if self.keepalive.handle_timeout(now) {
            let timeout = self.config.keep_alive_timeout;
            self.ping = self.ask(TagKind::Ping, SocketCommand::Ping, Payload::NIL, timeout, true);
        }
        self.pump(now);
        PeerStatus::Alive
    }

    /// Moves what the halves have to say to the outputs.
    fn pump(&mut self, now: Instant) {
        while let Some(data) = self.receiver.poll_data() {
            let batch = Messages::one(data.payload, data.json);
            self.emit(SocketEvent::Data(batch));
        }
        let counters =
            SocketCounters { resent: self.sender.resent(), duplicates: self.receiver.duplicates() };
        if counters != self.counters {
            self.counters = counters;
            self.emit(SocketEvent::Counters(counters));
        }
        let Some(peer) = self.peer.clone() else { return };
        if self.faults.should_inject(FaultPoint::EarlyAck) {
            self.receiver.force_ack();
        }
        if self.faults.should_inject(FaultPoint::DelayedAck) {
            self.receiver.delay_ack(now + DELAYED_ACK);
        }
        // The reply to what is in flight brings us here again.
        let is_window_forced_small =
            self.sender.is_waiting() && self.faults.should_inject(FaultPoint::TinyWindow);
        while !is_window_forced_small && let Some((seq, batch)) = self.sender.poll_transmit(now) {
            let subject = peer.clone();
            self.outputs.push_back(match batch {
                Messages::One(Item { payload, json }) => {
                    let headers = self.fence_headers(Headers { seq: Some(seq), json, ..Headers::default() });
                    Output::Publish(Message { subject, payload, headers })
                }
                Messages::Packed(packed) => Output::PublishBundle(Bundle {
                    subject,
                    first: Some(seq),
                    attempt: self.fence_epoch(),
                    packed,
                }),
            });
        }
        while let Some(ask) = self.receiver.poll_transmit() {
            let timeout = self.config.command_timeout;
            match ask {
                Outgoing::Ack { upto, resumed } => {
                    let payload = control::Control::Ack { upto, resumed }.encode();
                    self.ack = self.ask(TagKind::Ack, SocketCommand::Socket, payload, timeout, false);
                }
                Outgoing::Missing(seqs) => {
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

/// The time that an ack is held back at [`FaultPoint::DelayedAck`].
const DELAYED_ACK: Duration = Duration::from_millis(200);

#[cfg(test)]
#[allow(clippy::disallowed_methods)]
mod tests;
