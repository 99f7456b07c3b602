//! The client's end of a socket: finds a server, attaches to it, and finds it again after the fabric was
//! lost.

mod any_server;
mod attachment;
mod binding;
mod close;
mod presence;
mod questions;
mod stream_mode;
mod unserved;

use std::sync::Arc;
use std::time::{Duration, Instant};

use any_server::AnyServer;
use binding::Binding;
use close::Farewell;
use questions::Questions;
use unserved::Unserved;

use super::absence::{AbsenceStep, PeerLoss, WatchedEnd};
use super::pause::Pause;
use super::peer_status::PeerStatus;
use super::stream::{Offer, TagSource};
use super::{
    Channel, CloseReason, CommandError, Output, PeerMisbehaved, SocketConfig, SocketEnd, SocketEvent,
};
use super::{State, Tag, TagKind, control};
use crate::base::earliest;
use crate::subject::{InvalidSubject, Pattern, Subject};
use crate::wire::{Message, OpError, Presence, SocketCommand};

/// The client's end.
#[derive(Debug)]
pub struct ClientSocket {
    /// `<subject>.client.<id>`
    mine: Pattern,
    /// Where in it the id begins.
    id_at: usize,
    channel: Channel,
    phase: Phase,
    fabric: bool,
    /// Since when the fabric is away, and how long it was away last.
    fabric_lost_at: Option<Instant>,
    own_absence: Duration,
    /// Since when the server is away, if it turns out that it is: it was asked then, or seen.
    missed_since: Option<Instant>,
    subscribed: Subscribed,
    binding: Binding,
    any: AnyServer,
    attempt: u64,
    /// Another server was asked to attach us, has not answered and is gone: it may have this socket.
    has_left_a_server: bool,
    /// Where it draws its tags from, if it offers the stream.
    tags: Option<TagSource>,
    /// What the latest attempt offered.
    offered: Option<u64>,
    /// When the stream's close is said again, if that is due by itself.
    farewell: Option<Farewell>,
    /// When it last made its server say that it is there, beside another incarnation.
    asserted_at: Option<Instant>,
    pause: Pause,
    /// Until when it waits to be connected by hand, if nothing else will connect it.
    by_hand_until: Option<Instant>,
    /// How many servers in a row were about to end.
    turned_away: u8,
    /// Why it is not attached, as the application was told.
    unserved: Unserved,
    /// The request that is in flight.
    asked: Questions,
    /// When it began to look for a server.
    searches_since: Option<Instant>,
    /// When it was asked who serves the subject.
    finding_since: Option<Instant>,
    /// When it is looked up whether the server that was asked to attach us is still there, and the number of
    /// that question.
    look_up_at: Option<Instant>,
    look_up: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// Not trying; again at `retry_at`, if that is set and the fabric is there.
    Disconnected {
        retry_at: Option<Instant>,
    },
    /// Wants to connect as soon as the fabric is there.
    AwaitingFabric,
    /// Whoever listens was asked to attach us.
    AwaitingAnyone,
    /// A server is being looked for, or a load balancer asked until the deadline.
    AwaitingServer {
        chooses_until: Option<Instant>,
    },
    /// The server is known; our own subject is not confirmed yet.
    AwaitingSubscription,
    /// The server has been asked to attach us.
    AwaitingAccept,
    Ready,
    /// The server knows that we close, and its reply is awaited.
    AwaitingClosed,
    /// Closed for the application; whoever has taken its question is told when he says so.
    Lingering,
    Closed,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Subscribed {
    No,
    Asked,
    Yes,
}

impl Phase {
    /// Returns whether the phase may be followed by `next`.
    fn may_become(self, next: Self) -> bool {
        use Phase::*;
        match (self, next) {
            (Closed, _) => false,
            (_, Closed) => true,
            (Lingering, _) => false,
            (AwaitingAnyone, Lingering) => true,
            (AwaitingClosed, _) => false,
            (_, AwaitingClosed | Disconnected { .. }) => true,
            (Disconnected { .. }, AwaitingFabric) => true,
            (Disconnected { .. } | AwaitingFabric, AwaitingAnyone) => true,
            (Disconnected { .. } | AwaitingFabric | AwaitingAnyone, AwaitingServer { .. }) => true,
            (Disconnected { .. } | AwaitingFabric | AwaitingServer { .. }, AwaitingSubscription) => true,
            (
                Disconnected { .. } | AwaitingFabric | AwaitingServer { .. } | AwaitingSubscription,
                AwaitingAccept,
            ) => true,
            (AwaitingAnyone | AwaitingServer { .. } | AwaitingSubscription | AwaitingAccept, Ready) => true,
            _ => false,
        }
    }
}

impl ClientSocket {
    /// Returns a socket that starts to connect as soon as the fabric is there.
    pub fn new(
        subject: &str,
        id: &str,
        config: impl Into<Arc<SocketConfig>>,
    ) -> Result<Self, InvalidSubject> {
        let invalid = || InvalidSubject::Publish(subject.to_owned());
        Subject::join(&[subject, ".server.", id, ".", id]).map_err(|_| invalid())?;
        let mine = Pattern::parse(&[subject, ".client.", id].concat()).map_err(|_| invalid())?;
        let id_at = mine.as_str().len() - id.len();
        let config = config.into();
        let pause = Pause::new(config.command_timeout);
        Ok(Self {
            mine,
            id_at,
            channel: Channel::new(config),
            phase: Phase::AwaitingFabric,
            fabric: false,
            fabric_lost_at: None,
            own_absence: Duration::ZERO,
            missed_since: None,
            subscribed: Subscribed::No,
            binding: Binding::Unbound,
            any: AnyServer::default(),
            attempt: 0,
            has_left_a_server: false,
            tags: None,
            offered: None,
            farewell: None,
            asserted_at: None,
            pause,
            by_hand_until: None,
            turned_away: 0,
            unserved: Unserved::No,
            asked: Questions::default(),
            searches_since: None,
            finding_since: None,
            look_up_at: None,
            look_up: 0,
        })
    }

    /// Attaches to a server, after `disconnect`.
    pub fn connect(&mut self, now: Instant) {
        if matches!(self.phase, Phase::Disconnected { .. }) {
            self.begin(now);
        }
    }

    /// Detaches until `connect`. Nothing is lost: writes are queued, and the server keeps what it sends.
    pub fn disconnect(&mut self, now: Instant) {
        if !self.is_closing() {
            self.note_unanswered();
            self.note_search(true);
            self.channel.end_absence();
            self.by_hand_until = None;
            self.drop_subscription();
            self.enter_disconnected(None);
            self.await_hand(now);
        }
    }

    /// Notes that the socket's own subject is subscribed.
    pub fn handle_subscribed(&mut self, now: Instant) {
        self.subscribed = Subscribed::Yes;
        if self.phase == Phase::AwaitingSubscription {
            self.ask_to_attach(now);
        }
    }

    /// Handles that the broker refused the subscription, or did not confirm it in time (`None`).
    pub fn handle_subscribe_failed(&mut self, now: Instant, refused: Option<OpError>) {
        if self.is_closing() {
            return;
        }
        self.subscribed = Subscribed::No;
        match refused {
            Some(error) => self.close(CloseReason::Refused(error)),
            None => self.retry(now),
        }
    }

    fn id(&self) -> &str {
        &self.mine.as_str()[self.id_at..]
    }

    /// Returns what the server listens on.
    fn subject(&self) -> &str {
        &self.mine.as_str()[..self.id_at - ".client.".len()]
    }

    /// Takes the one way from a phase to another.
    fn enter(&mut self, phase: Phase) {
        debug_assert!(self.phase.may_become(phase), "{:?} must not become {phase:?}", self.phase);
        tracing::trace!(id = self.id(), from = ?self.phase, to = ?phase, "socket phase");
        if !matches!(phase, Phase::Disconnected { .. }) {
            self.by_hand_until = None;
        }
        self.phase = phase;
    }

    /// The server may have accepted the socket, if it was being asked.
    fn note_unanswered(&mut self) {
        if self.phase == Phase::AwaitingAccept {
            self.binding.handle_unanswered();
        }
    }

    fn enter_disconnected(&mut self, retry_at: Option<Instant>) {
        let loss = self.channel.absence.loss();
        self.detach(retry_at, loss.map_or(SocketEvent::State(State::Disconnected), SocketEvent::PeerLost));
    }

    /// Tells the application `why`, unless it knows that it is disconnected.
    fn detach(&mut self, retry_at: Option<Instant>, why: SocketEvent) {
        let was_disconnected = matches!(self.phase, Phase::Disconnected { .. } | Phase::AwaitingFabric);
        self.enter(Phase::Disconnected { retry_at });
        self.asked.clear();
        self.abandon_questions();
        self.channel.detach();
        if !was_disconnected {
            self.channel.emit(why);
        }
    }

    /// The fabric is away, or the part of it where the server is.
    fn handle_fabric_lost(&mut self, now: Instant, why: SocketEvent) {
        self.fabric = false;
        self.fabric_lost_at.get_or_insert(now);
        self.end_absence_unseen(now);
        self.note_unanswered();
        match self.phase {
            Phase::Disconnected { .. } | Phase::AwaitingFabric | Phase::Closed => {}
            Phase::Lingering => self.end_lingering(),
            // The server may not have heard it.
            Phase::AwaitingClosed if self.channel.stream().is_some() => {
                self.farewell = None;
                self.channel.detach();
            }
            Phase::AwaitingClosed => self.finish(CloseReason::Local),
            _ => {
                self.detach(self.channel.config.reconnection.then_some(now), why);
                self.await_hand(now);
            }
        }
    }
}

impl SocketEnd for ClientSocket {
    fn channel(&self) -> &Channel {
        &self.channel
    }

    fn channel_mut(&mut self) -> &mut Channel {
        &mut self.channel
    }

    fn is_closed(&self) -> bool {
        self.phase == Phase::Closed
    }

    fn is_lingering(&self) -> bool {
        self.phase == Phase::Lingering
    }

    fn is_closing(&self) -> bool {
        matches!(self.phase, Phase::Closed | Phase::Lingering | Phase::AwaitingClosed)
    }

    fn accepts_data(&self) -> bool {
        self.binding.is_held() && self.subscribed != Subscribed::No
    }

    fn handle_silence(&mut self, now: Instant) {
        if self.phase == Phase::Ready {
            self.handle_loss(now, PeerLoss::Silent);
        }
    }

    fn peer_subject(&self) -> Option<Subject> {
        self.server_subject().filter(|_| self.binding.is_held())
    }

    fn handle_presence(&mut self, now: Instant, end: WatchedEnd, presence: Presence, crowd: u64) {
        if !self.is_closed() {
            self.handle_watched(now, end, presence, crowd);
            self.check_end(now);
        }
    }

    fn handle_absence(&mut self, now: Instant, step: AbsenceStep) {
        self.handle_step(now, step);
    }

    fn handle_fabric_up(&mut self, now: Instant) {
        self.fabric = true;
        self.own_absence =
            self.fabric_lost_at.take().map_or(Duration::ZERO, |at| now.saturating_duration_since(at));
        let retries = matches!(self.phase, Phase::Disconnected { retry_at: Some(_) });
        if self.phase == Phase::AwaitingFabric || retries {
            self.begin(now);
        } else if self.phase == Phase::AwaitingClosed {
            self.farewell = Some(Farewell::after_outage(now));
            self.repeat_close(now);
        }
    }

    fn handle_fabric_down(&mut self, now: Instant) {
        self.handle_fabric_lost(now, SocketEvent::State(State::Disconnected));
    }

    fn handle_heard(&mut self, tag: Tag, there: bool) {
        let is_search = matches!(
            (tag.kind, self.phase),
            (TagKind::FindServer, Phase::AwaitingServer { .. }) | (TagKind::Connect, Phase::AwaitingAccept)
        );
        if is_search && self.asked.handle_heard(tag.number, there) {
            self.note_search(there);
        }
    }

    fn handle_message(&mut self, now: Instant, message: Message) {
        if self.is_closed() || self.subscribed == Subscribed::No || self.try_decline(now, &message.headers) {
            return self.end_lingering();
        }
        if self.channel.stream().is_some() {
            self.handle_stream_message(now, message);
            return self.check_end(now);
        }
        if self.is_closing() {
            return;
        }
        if message.headers.malformed {
            return self.channel.note_foreign(now, &PeerMisbehaved::BadHeader);
        }
        match message.headers.command {
            Some(SocketCommand::Close) if control::is_for_another(&message.headers, self.epoch()) => {}
            // For another attempt, or for another incarnation that speaks the stream.
            Some(SocketCommand::Close)
                if !self.binding.is_held()
                    && control::tag(&message.headers).is_some_and(|tag| self.offered != Some(tag)) => {}
            Some(SocketCommand::Close)
                if !self.binding.is_held() && control::is_turned_away(&message.headers) =>
            {
                self.handle_turned_away(now, &message.headers);
            }
            Some(SocketCommand::Close) => {
                self.channel.handle_close(now, &message);
                let lost = self.phase == Phase::AwaitingAccept && self.binding.is_held();
                let leaving = control::leaving_reason(&message.headers).filter(|_| !lost);
                self.finish(if let Some(reason) = leaving {
                    reason
                } else if control::is_superseded(&message.headers) {
                    CloseReason::Superseded
                } else if let Some(refusal) = control::refusal(&message.headers) {
                    refusal
                } else if lost {
                    CloseReason::Lost("the server has no such socket any more")
                } else {
                    CloseReason::Peer
                });
            }
            Some(SocketCommand::Connected) => {
                let is_latest = message.headers.attempt().is_none_or(|attempt| attempt == self.attempt);
                let is_of_anyone =
                    |headers| self.accepted_by_anyone(headers, Offer::of_headers(headers).as_ref()).is_some();
                if is_latest || is_of_anyone(&message.headers) {
                    self.attached(now, &message);
                }
            }
            // From a server that has accepted us and whose answer has not arrived. It may be gone before
            // that, and another one under its name begins anew: their messages must not be mixed. Nothing is
            // lost, since it is not acknowledged.
            None if !self.binding.is_held() && message.headers.seq().is_some() => {}
            _ if self.channel.is_foreign(&message.headers) => {
                // From a server that another incarnation of this socket is attached to, or was. The newest
                // incarnation refuses it; an older one learns from it that it has been superseded, which its
                // own server may not know.
                if message.headers.attempt().is_none_or(|other| self.epoch() > Some(other)) {
                    self.channel.refuse_foreign(now, &message);
                } else {
                    self.close(CloseReason::Superseded);
                }
            }
            _ => {
                if let Err(error) = self.channel.handle_message(now, message) {
                    self.handle_misbehaved(error);
                }
            }
        }
        self.check_end(now);
    }

    fn handle_reply(&mut self, now: Instant, tag: Tag, answer: Result<Message, CommandError>) {
        let current = self.asked.is_current(tag.number);
        match (tag.kind, self.phase) {
            (TagKind::FindServer, Phase::AwaitingServer { .. }) if current => {
                let waited = self.finding_since.is_some_and(|since| now >= since + MIN_FIND);
                match answer.map(|message| control::decode_server_id(&message.payload)) {
                    Ok(Some(id)) => self.found(now, id),
                    Err(error) => {
                        self.note_unanswered_search(&error);
                        if self.is_closed() {
                            return;
                        }
                        // Nobody is there yet, or who was there has gone: whoever comes is found at once.
                        if waited { self.find_server(now) } else { self.retry(now) }
                    }
                    Ok(None) => self.retry(now),
                }
            }
            (TagKind::Connect, Phase::AwaitingAccept) if current => match answer {
                Ok(message) if control::is_text(&message.payload, "connected") => {
                    self.attached(now, &message)
                }
                Ok(_) => self.handle_no_server(now, CommandError::Failed),
                Err(error) => self.handle_no_server(now, error),
            },
            (TagKind::ConnectAnyone, Phase::Lingering) => self.end_lingering(),
            (TagKind::ConnectAnyone, _) => {
                if let Err(error) = answer {
                    self.handle_nobody(now, tag, &error);
                }
            }
            (TagKind::Close, Phase::AwaitingClosed) if current => self.finish(CloseReason::Local),
            (
                TagKind::Ack | TagKind::Missing | TagKind::Ping | TagKind::Resent | TagKind::Probe,
                Phase::Ready,
            ) => match self.channel.handle_reply(now, tag, answer) {
                Ok(PeerStatus::Alive) => {}
                Ok(PeerStatus::Silent) => self.handle_loss(now, PeerLoss::Silent),
                Ok(PeerStatus::Gone) => self.handle_loss(now, PeerLoss::Ended),
                Ok(PeerStatus::Superseded) => self.finish(CloseReason::Superseded),
                Ok(PeerStatus::Lost) => {
                    self.close(CloseReason::Lost("the server no longer has the messages that are missing"));
                }
                Err(error) => self.handle_misbehaved(error),
            },
            _ => {}
        }
        self.check_end(now);
    }

    fn close(&mut self, reason: CloseReason) {
        self.end_lingering();
        if self.phase != Phase::Closed && !self.try_linger(&reason) {
            self.tell_closed(&reason, None);
            self.finish(reason);
        }
    }

    fn check_end(&mut self, now: Instant) {
        if self.is_closed() || self.is_lingering() || !self.channel.pending_close.is_requested() {
            return;
        }
        let nothing_left = self.phase != Phase::AwaitingClosed && self.channel.unacked() == 0;
        // A stream's server is told when the fabric is back.
        let can_wait = self.channel.is_attached() || (self.channel.stream().is_some() && !self.fabric);
        if self.channel.pending_close.is_overdue(now) || (nothing_left && !can_wait) {
            self.close(CloseReason::Local);
        } else if nothing_left {
            self.tell_closed(&CloseReason::Local, Some(now));
            self.enter(Phase::AwaitingClosed);
        }
    }

    fn own_deadline(&self) -> Option<Instant> {
        earliest([self.waits_until(), self.phase_deadline()])
    }

    fn handle_own_deadline(&mut self, now: Instant) {
        self.give_up_search_if_due(now);
        self.handle_phase_deadline(now);
    }

    fn handle_interest(&mut self, now: Instant, tag: Tag, there: bool) {
        if !there && tag.number == self.look_up && self.phase == Phase::AwaitingAccept {
            self.handle_server_gone(now);
        }
    }
}

impl ClientSocket {
    fn phase_deadline(&self) -> Option<Instant> {
        match self.phase {
            Phase::Disconnected { retry_at } => {
                earliest([retry_at.filter(|_| self.fabric), self.by_hand_until])
            }
            Phase::AwaitingAnyone | Phase::Lingering => self.any.poll_timeout(),
            Phase::AwaitingServer { chooses_until: None } => self.asked.poll_timeout(),
            Phase::AwaitingServer { chooses_until } => chooses_until,
            Phase::AwaitingClosed => self.farewell.as_ref().map(Farewell::due_at),
            Phase::AwaitingAccept => earliest([self.look_up_at, self.asked.poll_timeout()]),
            _ => None,
        }
    }

    fn handle_phase_deadline(&mut self, now: Instant) {
        match self.phase {
            Phase::Disconnected { .. } if self.by_hand_until.is_some_and(|at| at <= now) => {
                self.close(CloseReason::Lost("it was disconnected, and has `reconnection: false`"));
            }
            Phase::Disconnected { retry_at: Some(at) } if self.fabric && at <= now => self.begin(now),
            Phase::AwaitingAnyone => self.look_for_server_if_due(now),
            Phase::Lingering => self.end_lingering_if_due(now),
            Phase::AwaitingServer { chooses_until: Some(at) } if at <= now => self.retry(now),
            Phase::AwaitingServer { chooses_until: None } => self.find_server_again(now),
            Phase::AwaitingClosed => self.repeat_close(now),
            Phase::AwaitingAccept => {
                self.look_up_server(now);
                self.ask_to_attach_again(now);
            }
            _ => {}
        }
    }
}

/// A search that failed earlier was refused.
const MIN_FIND: Duration = Duration::from_secs(1);

#[cfg(test)]
#[allow(clippy::disallowed_methods)]
mod tests;
