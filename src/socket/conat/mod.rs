//! A socket towards a peer of Conat (docs/protocols/socket.md, part two): what was handled, and what is
//! missing, are questions of their own, and so is a sign of life.

mod replies;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::peer_status::PeerStatus;
use super::stale::{self, WaitingTimes};
use super::surroundings::Surroundings;
use super::{
    AskTerms, CommandError, Data, GapShare, KeepAlive, Outgoing, Output, PeerMisbehaved, Receiver, Sender,
    SocketConfig, SocketCounters, SocketEvent, SocketUsage, Tag, TagKind, WriteError, control,
};
use crate::base::{FaultPoint, earliest};
use crate::subject::Subject;
use crate::wire::{Bundle, Headers, Item, Json, Message, Messages, PackedMessages, Payload, SocketCommand};

/// Both directions of one socket.
#[derive(Debug)]
pub(super) struct Conat {
    config: Arc<SocketConfig>,
    peer: Option<Subject>,
    sender: Sender,
    receiver: Receiver,
    keepalive: KeepAlive,
    /// The number of the latest question of any kind; a late answer has an older one.
    number: u32,
    ack: u32,
    missing: u32,
    ping: u32,
    /// Messages that were ignored.
    foreign: u64,
    /// The counters that were last reported to the application.
    counters: SocketCounters,
    /// When the peer last reported that it was away, and was sent everything again.
    returned_at: Option<Instant>,
    /// The application's requests that wait for the peer.
    waiting: VecDeque<Question>,
    waiting_bytes: usize,
}

/// A request of the application, asked as a question of the fabric.
#[derive(Debug)]
pub(super) struct Question {
    pub(super) key: u64,
    pub(super) deadline: Instant,
    pub(super) payload: Payload,
    pub(super) json: Option<Json>,
    pub(super) terms: AskTerms,
}

impl Conat {
    pub(super) fn new(now: Instant, config: Arc<SocketConfig>) -> Self {
        Self {
            peer: None,
            sender: Sender::new(&config),
            receiver: Receiver::new(config.receive_window()),
            keepalive: KeepAlive::new(now, config.keep_alive),
            number: 0,
            ack: 0,
            missing: 0,
            ping: 0,
            foreign: 0,
            counters: SocketCounters::default(),
            returned_at: None,
            waiting: VecDeque::new(),
            waiting_bytes: 0,
            config,
        }
    }

    /// Takes over what was written before it was known what the other end speaks.
    pub(super) fn take_over(
        &mut self,
        now: Instant,
        batches: VecDeque<Messages>,
        volatile: VecDeque<u64>,
        times: WaitingTimes,
    ) {
        self.sender.take_over(now, batches, volatile, times);
    }

    /// Sets what it may keep beside other sockets of what comes before its turn.
    pub(super) fn set_gap_share(&mut self, share: GapShare) {
        self.receiver.set_gap_share(share);
    }

    /// Asks, now or when the peer is there.
    pub(super) fn ask_for(&mut self, now: Instant, question: Question, around: &mut Surroundings<'_>) {
        if self.peer.is_some() {
            self.pump(now, around);
            self.send_question(now, question, around);
        } else {
            self.waiting_bytes += question.payload.raw.len();
            self.waiting.push_back(question);
        }
    }

    /// The broker takes messages of so many bytes.
    pub(super) fn set_limit(&mut self, limit: usize) {
        self.sender.set_limit(limit);
    }

    /// Returns the bytes of what is next to leave and never can.
    pub(super) fn unsendable(&self) -> Option<usize> {
        self.sender.unsendable()
    }

    /// Whether all has been handled that left before what can not leave, or can not arrive.
    pub(super) fn is_held_up_alone(&self) -> bool {
        self.sender.is_held_up_alone()
    }

    /// Answers with less from now on. Returns whether that is any use.
    pub(super) fn may_resend_less(&mut self, is_of_many: bool) -> bool {
        is_of_many && self.sender.may_resend_less()
    }

    /// The bytes of the requests that have not left yet.
    pub(super) fn waiting_bytes(&self) -> usize {
        self.waiting_bytes
    }

    /// Takes out requests that have not left yet: those with a key that is `wanted`. Returns their keys.
    pub(super) fn withdraw(&mut self, wanted: impl Fn(u64) -> bool) -> Vec<u64> {
        let mut withdrawn = Vec::new();
        self.waiting.retain(|question| {
            let is_wanted = wanted(question.key);
            if is_wanted {
                withdrawn.push(question.key);
                self.waiting_bytes -= question.payload.raw.len();
            }
            !is_wanted
        });
        withdrawn
    }

    fn send_question(&self, now: Instant, question: Question, around: &mut Surroundings<'_>) {
        let Some(subject) = self.peer.clone() else { return };
        let Question { key, deadline, payload, json, terms } = question;
        // From now on the fabric watches its time.
        if let Some(requests) = around.requests {
            requests.clear_deadline(key);
        }
        let message = Message { subject, payload, headers: Headers::default().with_json(json) };
        let timeout = deadline.saturating_duration_since(now);
        around.outputs.push_back(Output::Ask { key, message: message.into(), timeout, terms });
    }

    pub(super) fn peer(&self) -> Option<&Subject> {
        self.peer.as_ref()
    }

    /// The peer is there, also when it returns: whatever was in flight may be lost.
    pub(super) fn attach(&mut self, now: Instant, peer: Subject, around: &mut Surroundings<'_>) {
        self.peer = Some(peer);
        self.forget_requests();
        self.sender.attach(now);
        self.receiver.attach();
        self.keepalive.attach(now);
        self.pump(now, around);
        self.waiting_bytes = 0;
        for question in std::mem::take(&mut self.waiting) {
            self.send_question(now, question, around);
        }
    }

    /// The peer does not know of our absence: it is told, so that it sends again what was lost meanwhile.
    pub(super) fn handle_return(&mut self) {
        self.receiver.resume();
    }

    pub(super) fn detach(&mut self) {
        self.peer = None;
        self.forget_requests();
        self.sender.detach();
        self.receiver.detach();
        self.keepalive.detach();
    }

    /// Forgets open requests: their replies would say nothing about the present peer.
    fn forget_requests(&mut self) {
        (self.ack, self.missing, self.ping) = (0, 0, 0);
    }

    pub(super) fn usage(&self) -> SocketUsage {
        let (out_of_order, out_of_order_bytes) = self.receiver.usage();
        SocketUsage {
            unacked: self.sender.unacked(),
            unacked_bytes: self.sender.unacked_bytes(),
            out_of_order,
            out_of_order_bytes,
            partial_bytes: 0,
            unconsumed: self.receiver.unconsumed(),
            requests: self.waiting.len(),
            outputs: 0,
        }
    }

    /// Returns how many messages the application has handled.
    pub(super) fn handled(&self) -> u64 {
        self.receiver.handled()
    }

    /// Queues what there is room for; of packed messages that do not fit, the first ones.
    pub(super) fn write(
        &mut self,
        now: Instant,
        batch: Messages,
        volatile: bool,
        around: &mut Surroundings<'_>,
    ) -> Result<(), WriteError> {
        let outcome = match batch {
            Messages::Packed(_) if self.sender.has_room(&batch).is_err() => {
                let mut items = batch.items().map(Messages::One);
                items.try_for_each(|batch| self.sender.write(now, batch, volatile).map(drop))
            }
            batch => self.sender.write(now, batch, volatile).map(drop),
        };
        self.pump(now, around);
        outcome
    }

    /// Queues data that may leave until then.
    pub(super) fn write_timed(
        &mut self,
        now: Instant,
        (item, volatile, until): (Item, bool, Instant),
        around: &mut Surroundings<'_>,
    ) -> Result<(), WriteError> {
        let outcome = self.sender.write_timed(now, item, volatile, until);
        self.pump(now, around);
        outcome
    }

    pub(super) fn handle_consumed(&mut self, now: Instant, count: u64, around: &mut Surroundings<'_>) {
        self.receiver.consumed(count);
        self.pump(now, around);
    }

    pub(super) fn take_undelivered(&mut self) -> Vec<Data> {
        self.sender.take_undelivered()
    }

    pub(super) fn unacked(&self) -> usize {
        self.sender.unacked()
    }

    pub(super) fn is_stalled(&self, now: Instant) -> bool {
        self.sender.is_stalled(now)
    }

    /// Handles the count in the peer's `close`: its last ack.
    pub(super) fn handle_last_ack(&mut self, now: Instant, upto: u64, around: &mut Surroundings<'_>) {
        if self.sender.handle_ack(now, upto) == Ok(true) {
            self.emit_acked(around);
        }
    }

    /// A message of the channel: data, a request, a ping, or a `socket` command. Nothing proves who it is
    /// from, so that what no peer says is passed over: it ends no innocent socket, and is no sign of life.
    pub(super) fn handle_message(
        &mut self,
        now: Instant,
        message: Message,
        around: &mut Surroundings<'_>,
    ) -> Result<(), PeerMisbehaved> {
        match self.take_message(now, message, around) {
            Ok(()) => self.keepalive.handle_traffic(now),
            Err(error @ PeerMisbehaved::TooLarge { .. }) => return Err(error),
            Err(error) => {
                self.handle_foreign(now, &error, around);
                return Ok(());
            }
        }
        self.pump(now, around);
        Ok(())
    }

    /// Passes over what the peer cannot have said.
    pub(super) fn handle_foreign(
        &mut self,
        now: Instant,
        error: &PeerMisbehaved,
        around: &mut Surroundings<'_>,
    ) {
        tracing::debug!(%error, "passed over");
        self.foreign += 1;
        self.pump(now, around);
    }

    fn take_message(
        &mut self,
        now: Instant,
        message: Message,
        around: &mut Surroundings<'_>,
    ) -> Result<(), PeerMisbehaved> {
        if message.headers.malformed {
            return Err(PeerMisbehaved::BadHeader);
        }
        match (&message.headers.command, &message.headers.reply) {
            (Some(SocketCommand::Ping), Some(_)) => {
                if around.admission.may_answer(now) {
                    replies::respond(around, &message, Payload::NIL);
                }
            }
            (Some(SocketCommand::Socket), _) => self.handle_control(now, &message, around)?,
            (Some(command), Some(_)) if around.admission.may_answer(now) => {
                let unknown = format!("unknown command - '{}'", command.as_str());
                replies::respond(around, &message, control::error(&unknown));
            }
            (Some(_), _) => {}
            (None, Some(_)) => around.take_request(now, message),
            (None, None) => {
                let Message { payload, mut headers, .. } = message;
                let seq = headers.seq().ok_or(PeerMisbehaved::BadHeader)?;
                if !payload.encoding.is_data() {
                    return Err(PeerMisbehaved::BadItem { encoding: payload.encoding.0 });
                }
                PeerMisbehaved::check_size(self.config.max_message_bytes, &payload, headers.json.as_ref())?;
                self.receiver.force_small_window(around.faults.should_inject(FaultPoint::TinyWindow));
                self.receiver
                    .handle_data(now, Data::new(seq, Item { payload, json: headers.take_json() }))?;
            }
        }
        Ok(())
    }

    /// Messages in a row, if they are exactly what is next.
    pub(super) fn try_accept_bundle(
        &mut self,
        now: Instant,
        bundle: &Bundle,
        around: &mut Surroundings<'_>,
    ) -> bool {
        let Some(first) = bundle.first.filter(|_| bundle.packed.others() == 0) else { return false };
        let packed: &PackedMessages = &bundle.packed;
        self.receiver.force_small_window(around.faults.should_inject(FaultPoint::TinyWindow));
        let takes = self.receiver.try_accept_packed(first, packed);
        if takes {
            self.keepalive.handle_traffic(now);
            around.emit(SocketEvent::Data(Messages::Packed(packed.clone())));
            self.pump(now, around);
        }
        takes
    }

    /// Handles the reply to a question of its own.
    pub(super) fn handle_reply(
        &mut self,
        now: Instant,
        tag: Tag,
        answer: Result<Message, CommandError>,
        around: &mut Surroundings<'_>,
    ) -> Result<PeerStatus, PeerMisbehaved> {
        let current = match tag.kind {
            TagKind::Ack => self.ack,
            TagKind::Missing => self.missing,
            TagKind::Ping => self.ping,
            _ => return Ok(PeerStatus::Alive),
        };
        if current != tag.number || self.peer.is_none() {
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
            TagKind::Ping if gone => {
                self.keepalive.handle_pong(now);
                PeerStatus::Alive
            }
            TagKind::Ping => {
                let alive = answer.is_ok() || self.keepalive.was_heard();
                self.keepalive.handle_pong(now);
                if alive { PeerStatus::Alive } else { PeerStatus::Silent }
            }
            TagKind::Missing => {
                let messages =
                    answer.as_ref().ok().and_then(|message| control::decode_resent(&message.payload));
                let strange = messages.iter().flatten().find(|data| !data.payload.encoding.is_data());
                if let Some(data) = strange {
                    return Err(PeerMisbehaved::BadItem { encoding: data.payload.encoding.0 });
                }
                let refused = answer.is_ok() && messages.is_none() && self.receiver.is_resend_unanswered();
                self.receiver.handle_missing_reply(now, messages)?;
                if refused { PeerStatus::Lost } else { PeerStatus::Alive }
            }
            _ => {
                self.receiver.handle_ack_reply(now, answer.is_ok());
                PeerStatus::Alive
            }
        };
        self.pump(now, around);
        Ok(if gone && verdict == PeerStatus::Alive { PeerStatus::Gone } else { verdict })
    }

    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        earliest([self.sender.poll_timeout(), self.receiver.poll_timeout(), self.keepalive.poll_timeout()])
    }

    /// A deadline has come. The answer to a ping says whether the peer gives a sign of life.
    pub(super) fn handle_timeout(&mut self, now: Instant, around: &mut Surroundings<'_>) {
        if self.sender.handle_timeout(now) {
            around.outputs.push_back(Output::Suspect);
        }
        self.receiver.handle_timeout(now);
        if self.keepalive.handle_timeout(now) {
            let timeout = self.config.keep_alive_timeout;
            self.ping = self.ask(TagKind::Ping, SocketCommand::Ping, Payload::NIL, timeout, around);
        }
        self.pump(now, around);
    }

    /// Moves what the halves have to say to the outputs.
    fn pump(&mut self, now: Instant, around: &mut Surroundings<'_>) {
        while let Some(data) = self.receiver.poll_data() {
            around.emit(SocketEvent::Data(Messages::one(data.payload, data.json)));
        }
        let (resent, duplicates) = (self.sender.resent(), self.receiver.duplicates());
        let counters = SocketCounters { resent, duplicates, foreign: self.foreign };
        if counters != self.counters {
            self.counters = counters;
            around.emit(SocketEvent::Counters(counters));
        }
        stale::events(self.sender.take_stale(now)).for_each(|event| around.emit(event));
        let Some(peer) = self.peer.clone() else { return };
        if around.faults.should_inject(FaultPoint::EarlyAck) {
            self.receiver.force_ack();
        }
        if around.faults.should_inject(FaultPoint::DelayedAck) {
            self.receiver.delay_ack(now + DELAYED_ACK);
        }
        // The reply to what is in flight brings us here again.
        let is_window_forced_small =
            self.sender.is_waiting() && around.faults.should_inject(FaultPoint::TinyWindow);
        while !is_window_forced_small && let Some((seq, batch)) = self.sender.poll_transmit(now) {
            let is_repeated = self.sender.resent() > resent;
            let (subject, attempt) = (peer.clone(), around.epoch);
            around.outputs.push_back(match batch {
                Messages::One(Item { payload, json }) => {
                    let headers = Headers::numbered(Some(seq), attempt).with_json(json);
                    let message = Message { subject, payload, headers };
                    if is_repeated { replies::again(message, 1) } else { Output::Publish(message) }
                }
                Messages::Packed(packed) => {
                    Output::PublishBundle(Bundle { subject, first: Some(seq), attempt, packed })
                }
            });
        }
        while let Some(ask) = self.receiver.poll_transmit() {
            let timeout = self.config.command_timeout;
            match ask {
                Outgoing::Ack { upto, resumed } => {
                    let payload = control::Control::Ack { upto, resumed }.encode();
                    self.ack = self.ask(TagKind::Ack, SocketCommand::Socket, payload, timeout, around);
                }
                Outgoing::Missing(seqs) => {
                    let payload = control::Control::Missing(seqs).encode();
                    self.missing =
                        self.ask(TagKind::Missing, SocketCommand::Socket, payload, timeout, around);
                }
            }
        }
    }

    /// Asks the peer. Nobody there is an answer, too.
    fn ask(
        &mut self,
        kind: TagKind,
        command: SocketCommand,
        payload: Payload,
        timeout: Duration,
        around: &mut Surroundings<'_>,
    ) -> u32 {
        let Some(subject) = self.peer.clone() else { return 0 };
        let headers = Headers::numbered(None, around.epoch).with_command(Some(command));
        self.number = self.number.wrapping_add(1);
        let tag = Tag { kind, number: self.number };
        let message = Message { subject, payload, headers };
        around.outputs.push_back(Output::Request {
            tag,
            message: message.into(),
            timeout,
            wait_for_interest: false,
        });
        tag.number
    }
}

/// A peer that reports an absence more often is not sent everything again: the timer of the last message does
/// that.
pub(super) const RETURN_PAUSE: Duration = Duration::from_millis(500);
/// The time that an ack is held back at [`FaultPoint::DelayedAck`].
const DELAYED_ACK: Duration = Duration::from_millis(200);

#[cfg(test)]
#[allow(clippy::disallowed_methods)]
mod tests;
