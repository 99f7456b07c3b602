//! Finds the server of a client socket and attaches to it: the first time, and again.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::{Duration, Instant};

use super::super::absence::PeerLoss;
use super::super::stream::Offer;
use super::super::{CloseReason, CommandError, Dialect, SocketEnd, SocketEvent, State, TagKind, control};
use super::questions::Questions;
use super::{ClientSocket, Output, Phase, Subscribed};
use crate::base::{Entropy, SeededEntropy};
use crate::subject::Subject;
use crate::wire::{Headers, Json, Message, Payload, SocketCommand};

impl ClientSocket {
    /// Takes the server that the load balancer has named, or its failure.
    pub fn handle_choice(&mut self, now: Instant, choice: Option<String>) {
        if !matches!(self.phase, Phase::AwaitingServer { chooses_until: Some(_) }) {
            return;
        }
        match choice {
            Some(id) if self.binding.is_bound() && self.binding.server() != Some(&id) => {
                self.close(CloseReason::Moved);
            }
            Some(id) => self.found(now, id),
            None => self.retry(now),
        }
    }

    pub(super) fn retry(&mut self, now: Instant) {
        let pause = self.pause.take().mul_f64(1.0 - RETRY_SPREAD * self.jitter());
        let left = self.remaining_resume_time(now).filter(|left| !left.is_zero());
        let pause = left.map_or(pause, |left| pause.min(left));
        self.enter_disconnected(Some(now + pause));
    }

    /// Handles that the server was about to end, or full, and did not take the socket: the next one is asked
    /// at once, unless that has happened too often.
    pub(super) fn handle_turned_away(&mut self, now: Instant, answer: &Headers) {
        self.binding.forget();
        if !matches!(self.phase, Phase::AwaitingAccept | Phase::AwaitingAnyone) {
            return;
        }
        self.turned_away += 1;
        if self.turned_away > MAX_TURNED_AWAY {
            self.turned_away = 0;
            return match control::refusal(answer) {
                Some(refusal) => self.finish(refusal),
                None => self.retry(now),
            };
        }
        self.enter_disconnected(Some(now));
    }

    /// Returns the incarnation of this socket.
    pub(super) fn epoch(&self) -> Option<u64> {
        self.channel.config.epoch
    }

    /// Looks for a server and subscribes, both at once.
    pub(super) fn begin(&mut self, now: Instant) {
        if !self.fabric {
            return self.enter(Phase::AwaitingFabric);
        }
        self.searches_since.get_or_insert(now);
        self.channel.emit(SocketEvent::State(State::Connecting));
        if self.subscribed == Subscribed::No {
            self.subscribed = Subscribed::Asked;
            self.channel.outputs.push_back(Output::Subscribe(self.mine.clone()));
        }
        if self.channel.config.load_balancer {
            let chooses_until = Some(now + self.channel.config.load_balancer_timeout);
            self.enter(Phase::AwaitingServer { chooses_until });
            self.channel.emit(SocketEvent::ChooseServer);
        } else if self.binding.is_bound() {
            self.ask_when_subscribed(now);
        } else if self.may_ask_anyone() {
            self.ask_anyone(now);
        } else {
            self.enter(Phase::AwaitingServer { chooses_until: None });
            self.find_server(now);
        }
    }

    /// Asks who serves the subject. Who has died with the question in its hands costs no more than its time.
    pub(super) fn find_server(&mut self, now: Instant) {
        self.finding_since = Some(now);
        let subject = format!("{}.server.status", self.subject());
        let timeout = FIND_TIMEOUT.min(self.channel.config.command_timeout);
        self.ask_for(TagKind::FindServer, subject, Headers::default(), timeout);
        self.asked.repeat_until(now, now + timeout);
    }

    /// Asks once more who serves the subject, if that is due.
    pub(super) fn find_server_again(&mut self, now: Instant) {
        let Some(left) = self.asked.take_due(now) else { return };
        let Ok(subject) = Subject::parse(&format!("{}.server.status", self.subject())) else { return };
        let message = Message { subject, payload: Payload::NIL, headers: Headers::default() };
        self.repeat(TagKind::FindServer, message, left);
    }

    /// Asks the server once more to attach us, if that is due: the question or the answer may have been lost
    /// with a connection on its way, of the server or of what is between. To the server it is the same
    /// attempt.
    pub(super) fn ask_to_attach_again(&mut self, now: Instant) {
        let Some(left) = self.asked.take_due(now) else { return };
        let Some(server) = self.server_subject() else { return };
        let offer = self.offer_again();
        let message = self.connect_message(server, offer);
        self.repeat(TagKind::Connect, message, left);
    }

    fn repeat(&mut self, kind: TagKind, message: Message, timeout: Duration) {
        let tag = self.channel.next_tag(kind);
        self.asked.note_repeated(tag.number);
        self.channel.outputs.push_back(Output::Request {
            tag,
            message: message.into(),
            timeout,
            wait_for_interest: true,
        });
    }

    /// No answer yet from a server that does not have us: is it still there?
    pub(super) fn look_up_server(&mut self, now: Instant) {
        if self.look_up_at.is_none_or(|at| at > now) {
            return;
        }
        self.look_up_at = Some(now + LOOK_UP_AGAIN);
        if let Some(subject) = self.server_subject() {
            let tag = self.channel.next_tag(TagKind::Interest);
            self.look_up = tag.number;
            self.channel.outputs.push_back(Output::AwaitInterest { tag, subject, timeout: Duration::ZERO });
        }
    }

    /// The server that was asked to attach us, and has not answered, has gone. It may have taken the socket
    /// before that, and come back: another one is asked only if tags will tell the two apart.
    pub(super) fn handle_server_gone(&mut self, now: Instant) {
        if self.binding.is_bound() {
            return;
        }
        if self.tags.is_some() {
            self.has_left_a_server = true;
            self.binding.forget();
            self.enter_disconnected(Some(now));
        } else {
            self.binding.handle_unanswered();
            self.note_absence(now, PeerLoss::Ended, false, self.own_absence, 1);
            self.retry(now);
        }
    }

    /// Sends a request whose reply comes to `handle_reply`, and waits for a responder.
    pub(super) fn ask_for(&mut self, kind: TagKind, subject: String, headers: Headers, timeout: Duration) {
        self.ask(kind, subject, headers, true, timeout);
    }

    pub(super) fn ask(
        &mut self,
        kind: TagKind,
        subject: String,
        headers: Headers,
        wait_for_interest: bool,
        timeout: Duration,
    ) {
        let Ok(subject) = Subject::parse(&subject) else { return };
        self.ask_with(kind, Message { subject, payload: Payload::NIL, headers }, wait_for_interest, timeout);
    }

    fn ask_with(&mut self, kind: TagKind, message: Message, wait_for_interest: bool, timeout: Duration) {
        let tag = self.channel.next_tag(kind);
        self.asked = Questions::new(tag.number);
        self.channel.outputs.push_back(Output::Request {
            tag,
            message: message.into(),
            timeout,
            wait_for_interest,
        });
    }

    pub(super) fn found(&mut self, now: Instant, server: String) {
        self.binding.choose(server);
        self.ask_when_subscribed(now);
    }

    fn ask_when_subscribed(&mut self, now: Instant) {
        if self.subscribed == Subscribed::Yes {
            self.ask_to_attach(now);
        } else {
            self.enter(Phase::AwaitingSubscription);
        }
    }

    pub(super) fn ask_to_attach(&mut self, now: Instant) {
        self.enter(Phase::AwaitingAccept);
        self.missed_since = Some(now);
        self.attempt += 1;
        self.look_up_at = (!self.binding.is_bound()).then_some(now + LOOK_UP);
        match self.server_subject() {
            Some(server) => {
                // The last attempt ends when the resume time does.
                let left = self.remaining_resume_time(now).map(|left| left.max(MIN_ATTEMPT));
                let timeout = self.channel.config.command_timeout;
                let timeout = left.map_or(timeout, |left| left.min(timeout));
                let offer = self.offer_stream();
                let message = self.connect_message(server, offer);
                self.ask_with(TagKind::Connect, message, true, timeout);
                self.asked.repeat_until(now, now + timeout);
            }
            // A server (or a load balancer) gave an id that is no token.
            None => {
                self.binding.forget();
                self.retry(now);
            }
        }
    }

    /// Returns what asks `server` to attach us.
    pub(super) fn connect_message(&self, server: Subject, stream: Option<Offer>) -> Message {
        let (id, resume) = (Some(self.id()), Some(self.binding.is_held()));
        let stream = stream.map(Into::into);
        let json = Json::of(&control::Greeting { id, resume, epoch: self.epoch(), stream });
        let attempt = (self.channel.config.dialect != Dialect::Classic).then_some(self.attempt);
        let status = self.channel.stream().map(|stream| stream.attach_status());
        let (seq, payload) = status.map_or((None, Payload::NIL), |(seq, payload)| (Some(seq), payload));
        let command = Some(SocketCommand::Connect);
        let headers = Headers::numbered(seq, attempt).with_command(command).with_json(Some(json));
        Message { subject: server, payload, headers }
    }

    pub(super) fn attached(&mut self, now: Instant, answer: &Message) {
        let epoch = control::epoch(&answer.headers);
        // The answer to another incarnation of this socket.
        if epoch.is_some() && epoch != self.epoch() {
            return;
        }
        let offer = Offer::of_headers(&answer.headers);
        let anyone = self.accepted_by_anyone(&answer.headers, offer.as_ref());
        if anyone.is_none() && self.phase != Phase::AwaitingAccept {
            return;
        }
        let is_unproven = anyone.is_some();
        if let Some(accepted) = anyone {
            self.take_server(accepted);
        }
        let Some(server) = self.server_subject() else { return };
        if !self.settle_mode(now, offer, is_unproven) {
            return;
        }
        self.abandon_questions();
        self.enter(Phase::Ready);
        if let Some(server) = self.binding.server().filter(|_| !self.binding.is_held()) {
            self.channel.emit(SocketEvent::Bound(server.into()));
        }
        self.binding.handle_attached();
        self.channel.end_absence();
        self.own_absence = Duration::ZERO;
        self.turned_away = 0;
        self.note_search(true);
        self.pause.reset();
        self.channel.emit(SocketEvent::State(State::Ready));
        if epoch.is_some() {
            self.channel.fence();
        }
        self.channel.attach(now, server);
        if is_unproven {
            self.channel.begin_proving(now);
        }
        self.handle_attach_status(now, answer);
    }

    /// Handles that the socket's server is not on the fabric. It may return, so it gets some time.
    pub(super) fn handle_no_server(&mut self, now: Instant, error: CommandError) {
        let since = match error {
            CommandError::NoSubscribers if self.binding.is_bound() => self.missed_since.unwrap_or(now),
            CommandError::NoSubscribers => {
                if self.channel.config.load_balancer {
                    self.note_search(false);
                    if self.is_closing() {
                        return;
                    }
                }
                self.binding.forget();
                return self.retry(now);
            }
            CommandError::ReceiverEnded if self.binding.is_bound() => now,
            CommandError::ReceiverEnded => return self.handle_server_gone(now),
            CommandError::Failed | CommandError::Refused(_) | CommandError::TooLarge(_) => {
                self.binding.handle_unanswered();
                self.note_unanswered_search(&error);
                // It is there.
                if self.channel.absence.loss() == Some(PeerLoss::Ended) {
                    self.channel.end_absence();
                }
                return self.retry(now);
            }
        };
        self.note_absence(since, PeerLoss::Ended, false, self.own_absence, 1);
        while let Some(step) = self.channel.absence.poll_step(now) {
            self.handle_step(now, step);
            if self.is_closed() {
                return;
            }
        }
        self.retry(now);
    }

    /// Returns how much longer it looks for a missing server.
    fn remaining_resume_time(&self, now: Instant) -> Option<Duration> {
        Some(self.channel.absence.lost_at()?.saturating_duration_since(now))
    }

    /// Returns where among all sockets it is, in `0.0..1.0`: by its id, so that a run replays.
    pub(super) fn jitter(&self) -> f64 {
        let mut hasher = DefaultHasher::new();
        self.id().hash(&mut hasher);
        SeededEntropy::new(hasher.finish()).fraction()
    }

    pub(super) fn server_subject(&self) -> Option<Subject> {
        let server = self.binding.server().filter(|id| !id.contains('.'))?;
        Subject::join(&[self.subject(), ".server.", server, ".", self.id()]).ok()
    }
}

/// By how much of it a pause before another attempt may be shorter than Conat's.
const RETRY_SPREAD: f64 = 0.25;

/// A server that is there says so in this time.
const FIND_TIMEOUT: Duration = Duration::from_secs(3);
/// One that was asked to attach us, and has not answered, is looked up after so long, and again.
const LOOK_UP: Duration = Duration::from_millis(300);
const LOOK_UP_AGAIN: Duration = Duration::from_secs(1);
/// Servers that are about to end, one after the other, before a pause.
const MAX_TURNED_AWAY: u8 = 3;
/// A server that is there answers in this time.
const MIN_ATTEMPT: Duration = Duration::from_secs(1);
