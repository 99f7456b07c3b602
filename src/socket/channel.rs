//! The part that both ends of a socket share: what it speaks, the requests over it, its end, and the absence
//! of the peer.

mod requests;
mod size_bound;
mod stream_mode;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

use super::absence::Absence;
use super::admission::PeerAdmission;
use super::conat::Conat;
use super::open_requests::OpenRequests;
use super::peer_status::PeerStatus;
use super::pending_close::PendingClose;
use super::stale;
use super::stream::{Accepted, Received, Stream};
use super::surroundings::Surroundings;
use super::suspicion::Suspicion;
use super::too_large::SizeBound;
use super::unsettled::Unsettled;
use super::{
    CloseReason, CommandError, Consumed, GapShare, Leaving, Output, PeerMisbehaved, SocketConfig,
    SocketEvent, SocketUsage, Tag, TagKind, WriteError, control,
};
use crate::base::{FaultInjector, earliest};
use crate::subject::Subject;
use crate::wire::{Bundle, Encoding, Headers, Item, Message, Messages, Payload, SocketCommand};

/// Both directions of one socket.
#[derive(Debug)]
pub struct Channel {
    pub(super) config: Arc<SocketConfig>,
    pub(super) outputs: VecDeque<Output>,
    mode: Mode,
    /// The requests in its line that wait for their answers.
    requests: Option<Box<OpenRequests>>,
    /// The orderly end, if it was requested.
    pub(super) pending_close: PendingClose,
    /// The absence of the peer.
    pub(super) absence: Absence,
    /// What the peer may ask.
    pub(super) admission: PeerAdmission,
    faults: FaultInjector,
    /// The number of the latest tag of any kind; a late answer has an older one.
    number: u32,
    /// The peer speaks of epochs too: what comes without one is not from it.
    pub(super) fenced: bool,
    /// Tags that were offered to servers which are not ours, and whether several may have them.
    pub(super) abandoned: Vec<(u64, bool)>,
    /// Messages that the peer had written when it closed, and that did not come.
    missing: u64,
    /// Whether the listener of this end is leaving: the close says so.
    leaving: Leaving,
    /// Whether a peer that does not answer is gone.
    suspicion: Suspicion,
    /// What the broker takes.
    pub(super) bound: SizeBound,
    /// The peer sent what is larger than this end takes: nothing more is taken from it, and the application
    /// is about to close.
    unwelcome: Option<Box<PeerMisbehaved>>,
}

/// What a socket speaks: decided by the first accept, for good.
#[derive(Debug)]
enum Mode {
    /// That is not known yet.
    Unsettled(Box<Unsettled>),
    /// As Conat's sockets do.
    Conat(Box<Conat>),
    /// Between two ends that both can.
    Stream(Box<Stream>),
}

impl Channel {
    /// Returns the channel of a socket of which it is not known yet what the other end speaks.
    pub(super) fn new(config: Arc<SocketConfig>) -> Self {
        Self {
            outputs: VecDeque::new(),
            mode: Mode::Unsettled(Box::new(Unsettled::new(&config))),
            requests: None,
            pending_close: PendingClose::default(),
            absence: Absence::default(),
            admission: PeerAdmission::default(),
            faults: FaultInjector::default(),
            number: 0,
            fenced: false,
            abandoned: Vec::new(),
            missing: 0,
            leaving: Leaving::No,
            suspicion: Suspicion::default(),
            bound: SizeBound::default(),
            unwelcome: None,
            config,
        }
    }

    /// The other end speaks as Conat's sockets do.
    pub(super) fn begin_conat(&mut self, now: Instant) {
        let conat = Mode::Conat(Box::new(Conat::new(now, self.config.clone())));
        let before = std::mem::replace(&mut self.mode, conat);
        let Mode::Unsettled(mut unsent) = before else { return };
        self.set_gap_share(std::mem::take(&mut unsent.gap_share));
        self.take_over_unsettled(now, *unsent);
    }

    /// What it speaks, and what that needs of the rest.
    fn parts(&mut self) -> (&mut Mode, Surroundings<'_>) {
        let epoch = self.fence_epoch();
        let Self { mode, outputs, faults, requests, admission, .. } = self;
        (mode, Surroundings { outputs, faults, requests, admission, epoch })
    }

    /// That half, if it is the one.
    fn conat(&mut self) -> Option<(&mut Conat, Surroundings<'_>)> {
        match self.parts() {
            (Mode::Conat(conat), around) => Some((conat, around)),
            _ => None,
        }
    }

    /// Where the peer listens, while it is attached.
    fn peer(&self) -> Option<&Subject> {
        match &self.mode {
            Mode::Unsettled(_) => None,
            Mode::Conat(conat) => conat.peer(),
            Mode::Stream(stream) => stream.peer(),
        }
    }

    pub(super) fn is_unsettled(&self) -> bool {
        matches!(self.mode, Mode::Unsettled(_))
    }

    /// Attaches to the peer at `peer`, also when it returns there: whatever was in flight may be lost.
    pub(super) fn attach(&mut self, now: Instant, peer: Subject) {
        if let Some((conat, mut around)) = self.conat() {
            conat.attach(now, peer, &mut around);
        } else if let Mode::Stream(stream) = &mut self.mode {
            stream.attach(now, peer);
        }
    }

    /// Attaches again to a peer that does not know of our absence: it is told, so that it sends again what
    /// was lost meanwhile.
    pub(super) fn resume(&mut self, now: Instant, peer: Subject) {
        if let Some((conat, _)) = self.conat() {
            conat.handle_return();
        }
        self.attach(now, peer);
        if let Mode::Stream(stream) = &mut self.mode {
            stream.handle_return();
        }
    }

    pub(super) fn detach(&mut self) {
        self.bound.is_peer_heard = false;
        match &mut self.mode {
            Mode::Unsettled(_) => {}
            Mode::Conat(conat) => conat.detach(),
            Mode::Stream(stream) => stream.detach(),
        }
    }

    /// Sets the source of injected faults.
    pub(super) fn set_faults(&mut self, faults: FaultInjector) {
        self.faults = faults;
    }

    /// Sets what it may keep beside other sockets of what comes before its turn.
    pub fn set_gap_share(&mut self, share: GapShare) {
        match &mut self.mode {
            Mode::Unsettled(unsent) => unsent.gap_share = share,
            Mode::Conat(conat) => conat.set_gap_share(share),
            Mode::Stream(stream) => stream.set_gap_share(share),
        }
    }

    /// Returns what it keeps.
    pub(super) fn usage(&self) -> SocketUsage {
        let half = match &self.mode {
            Mode::Unsettled(unsent) => SocketUsage {
                unacked: unsent.unacked(),
                unacked_bytes: unsent.unacked_bytes(),
                ..SocketUsage::default()
            },
            Mode::Conat(conat) => conat.usage(),
            Mode::Stream(stream) => stream.usage(),
        };
        let requests = self.requests.as_ref().map_or(0, |requests| requests.len());
        SocketUsage { requests, outputs: self.outputs.len(), ..half }
    }

    /// Handles the peer's `close`, whose count is its last ack.
    pub(super) fn handle_close(&mut self, now: Instant, message: &Message) {
        self.respond(message, control::text("closed"));
        if let (Some(upto), Some((conat, mut around))) = (control::handled(&message.headers), self.conat()) {
            conat.handle_last_ack(now, upto, &mut around);
        }
    }

    /// Returns the headers of `close`.
    pub(super) fn closing(&self, id: Option<&str>, reason: &CloseReason) -> Headers {
        let handled = if let Mode::Conat(conat) = &self.mode { conat.handled() } else { 0 };
        let is_leaving = self.leaving != Leaving::No && reason.is_of_listener();
        let headers = control::closing(id, self.config.epoch, handled, is_leaving);
        if let CloseReason::ListenerEnded(_) = reason {
            control::with_reason(headers, reason)
        } else {
            headers
        }
    }

    /// Notes that the listener of this end is leaving.
    pub(super) fn note_leaving(&mut self, leaving: Leaving) {
        self.leaving = self.leaving.max(leaving);
    }

    pub(super) fn is_attached(&self) -> bool {
        self.peer().is_some()
    }

    /// Queues what there is room for; of packed messages that do not fit, the first ones.
    pub(super) fn write(&mut self, now: Instant, batch: Messages, volatile: bool) -> Result<(), WriteError> {
        if batch.bytes() > self.bound.limit
            && let Messages::One(item) = batch
        {
            return self.write_too_large(now, item, volatile);
        }
        if !batch.is_data() {
            return self.write_mixed(now, batch);
        }
        self.write_plain(now, batch, volatile)
    }

    fn write_plain(&mut self, now: Instant, batch: Messages, volatile: bool) -> Result<(), WriteError> {
        match self.parts() {
            (Mode::Unsettled(unsent), _) => unsent.write(now, batch, volatile),
            (Mode::Conat(conat), mut around) => conat.write(now, batch, volatile, &mut around),
            (Mode::Stream(stream), _) => stream.write(now, batch, volatile),
        }
    }

    /// Queues data that may leave until then.
    pub(super) fn write_timed(
        &mut self,
        now: Instant,
        item: Item,
        volatile: bool,
        until: Instant,
    ) -> Result<(), WriteError> {
        match self.parts() {
            (Mode::Unsettled(unsent), _) => unsent.write_timed(now, item, volatile, until),
            (Mode::Conat(conat), mut around) => conat.write_timed(now, (item, volatile, until), &mut around),
            (Mode::Stream(stream), _) => stream.write_timed(now, item, volatile, until),
        }
    }

    /// The application was not handed that message of data, since its time was over.
    pub(super) fn note_dropped(&mut self, now: Instant, number: u64) {
        if let Mode::Stream(stream) = &mut self.mode {
            stream.note_dropped(now, number);
        }
    }

    pub(super) fn consumed(&mut self, now: Instant, counts: Consumed) {
        match self.parts() {
            (Mode::Unsettled(_), _) => {}
            (Mode::Conat(conat), mut around) => conat.handle_consumed(now, counts.data, &mut around),
            (Mode::Stream(stream), _) => stream.handle_consumed(counts),
        }
    }

    /// Ends it: fails the requests, and reports why, with what the peer is not known to have handled.
    pub(super) fn finish(&mut self, reason: &CloseReason) {
        self.fail_open_requests();
        let lost = match &mut self.mode {
            Mode::Unsettled(unsent) => unsent.take_undelivered(),
            Mode::Conat(conat) => conat.take_undelivered(),
            Mode::Stream(stream) => stream.take_undelivered(),
        };
        let undelivered = lost.len();
        self.detach();
        self.end_absence();
        lost.into_iter().for_each(|data| self.emit(SocketEvent::Undelivered(data)));
        let is_leaving = reason.is_leaving();
        let missing =
            if matches!(reason, CloseReason::Peer | CloseReason::PeerLeaving) { self.missing } else { 0 };
        let failure = reason.failure_with(missing);
        self.emit(SocketEvent::Closed { failure, undelivered, is_leaving, missing });
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
    pub(super) fn fail_requests_of_absence(&mut self, now: Instant) {
        self.fail_requests_in_line(now);
    }

    /// Reports an event to the application.
    pub(super) fn emit(&mut self, event: SocketEvent) {
        self.outputs.push_back(Output::Event(event));
    }

    /// The peer sent what is larger than this end takes: the application is to close.
    pub(super) fn handle_unwelcome(&mut self, error: PeerMisbehaved) {
        if self.unwelcome.is_none() {
            let failure = CloseReason::Misbehaved(error.clone()).failure();
            self.outputs.extend(failure.map(|failure| Output::Event(SocketEvent::Unwelcome(failure))));
            self.unwelcome = Some(Box::new(error));
        }
    }

    /// Returns why the application closes it, if not by itself.
    pub(super) fn take_close_reason(&mut self) -> CloseReason {
        self.unwelcome.take().map_or(CloseReason::Local, |error| CloseReason::Misbehaved(*error))
    }

    /// Returns how many written messages the peer is not known to have handled.
    pub(super) fn unacked(&self) -> usize {
        match &self.mode {
            Mode::Unsettled(unsent) => unsent.unacked(),
            Mode::Conat(conat) => conat.unacked(),
            Mode::Stream(stream) => stream.unacked(),
        }
    }

    /// Returns whether the peer has acknowledged nothing for too long.
    pub(super) fn is_stalled(&self, now: Instant) -> bool {
        match &self.mode {
            Mode::Unsettled(unsent) => unsent.is_stalled(now),
            Mode::Conat(conat) => conat.is_stalled(now),
            Mode::Stream(stream) => stream.is_stalled(now),
        }
    }

    /// A message of the channel.
    pub(super) fn handle_message(
        &mut self,
        now: Instant,
        message: Message,
    ) -> Result<Received, PeerMisbehaved> {
        if self.unwelcome.is_some() && message.payload.encoding != Encoding::CLOSE {
            return Ok(Received::Done);
        }
        self.bound.is_peer_heard = true;
        self.suspicion.handle_heard(now);
        if let Some((conat, mut around)) = self.conat() {
            conat.handle_message(now, message, &mut around)?;
            return Ok(Received::Done);
        }
        if self.is_unsettled() {
            self.handle_early_message(now, message);
            return Ok(Received::Done);
        }
        self.handle_stream_message(now, message)
    }

    /// Counts a message that is ignored, since no peer of this incarnation sends it.
    pub(super) fn note_foreign(&mut self, now: Instant, why: &PeerMisbehaved) {
        if let Some((conat, mut around)) = self.conat() {
            conat.handle_foreign(now, why, &mut around);
        }
    }

    /// From a server that has not accepted us yet, or whose answer has not arrived.
    fn handle_early_message(&mut self, now: Instant, message: Message) {
        match (&message.headers.command, &message.headers.reply) {
            (Some(SocketCommand::Ping), Some(_)) if self.admission.may_answer(now) => {
                self.respond(&message, Payload::NIL);
            }
            (None, Some(_)) => self.handle_request(now, message),
            _ => {}
        }
    }

    /// A bundle, if it is exactly what is next; if not, its messages have to be handed in one by one.
    pub(super) fn try_accept_bundle(&mut self, now: Instant, bundle: &Bundle) -> Accepted {
        if self.unwelcome.is_some() {
            return Accepted::All;
        }
        if let Some((conat, mut around)) = self.conat() {
            let takes = conat.try_accept_bundle(now, bundle, &mut around);
            return if takes { Accepted::All } else { Accepted::No };
        }
        self.suspicion.handle_heard(now);
        match self.parts() {
            (Mode::Stream(stream), mut around) => stream.try_accept_bundle(now, bundle, &mut around),
            _ => Accepted::No,
        }
    }

    /// Handles the reply to a request of this channel.
    pub(super) fn handle_reply(
        &mut self,
        now: Instant,
        tag: Tag,
        answer: Result<Message, CommandError>,
    ) -> Result<PeerStatus, PeerMisbehaved> {
        if let Err(error) = &answer
            && self.handle_refused_size(tag, error)
        {
            return Ok(PeerStatus::Alive);
        }
        if let Some((conat, mut around)) = self.conat() {
            return conat.handle_reply(now, tag, answer, &mut around);
        }
        let Mode::Stream(stream) = &self.mode else { return Ok(PeerStatus::Alive) };
        let gone = stream.is_current_probe(tag)
            && matches!(answer, Err(CommandError::NoSubscribers | CommandError::ReceiverEnded));
        Ok(if gone { PeerStatus::Gone } else { PeerStatus::Alive })
    }

    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        let half = match &self.mode {
            Mode::Unsettled(unsent) => unsent.poll_timeout(),
            Mode::Conat(conat) => conat.poll_timeout(),
            Mode::Stream(stream) => stream.poll_timeout(),
        };
        let requests = self.requests.as_ref().and_then(|requests| requests.poll_timeout());
        earliest([half, requests, self.suspicion.poll_timeout(), self.bound.poll_timeout()])
    }

    /// A deadline has come. Says whether the peer gives no sign of life; in the old mode the answer to a ping
    /// says so.
    pub(super) fn handle_timeout(&mut self, now: Instant) -> PeerStatus {
        self.expire_requests(now);
        self.check_unanswered(now);
        if let (Mode::Unsettled(unsent), mut around) = self.parts() {
            stale::events(unsent.take_stale(now)).for_each(|event| around.emit(event));
        }
        if let Some((conat, mut around)) = self.conat() {
            conat.handle_timeout(now, &mut around);
            return PeerStatus::Alive;
        }
        let Mode::Stream(stream) = &mut self.mode else { return PeerStatus::Alive };
        if stream.handle_timeout(now) { PeerStatus::Silent } else { PeerStatus::Alive }
    }

    /// A request of the peer that is none of the stream's.
    fn handle_request(&mut self, now: Instant, message: Message) {
        self.parts().1.take_request(now, message);
    }

    pub(super) fn next_tag(&mut self, kind: TagKind) -> Tag {
        self.number = self.number.wrapping_add(1);
        Tag { kind, number: self.number }
    }

    /// Answers `message`, if it wants an answer. A lost answer costs nothing: the request is asked
    /// again.
    pub(super) fn respond(&mut self, message: &Message, payload: Payload) {
        self.respond_with(message, payload, Headers::default());
    }

    pub(super) fn respond_with(&mut self, message: &Message, payload: Payload, headers: Headers) {
        if let Some(subject) = message.headers.reply.clone() {
            self.outputs.push_back(Output::Publish(Message { subject, payload, headers }));
        }
    }
}
