//! The one question that finds a server and asks it to attach the socket: to whoever listens. Where nobody
//! hears it, or nobody answers, it is asked who serves (`attachment.rs`), and both answers count.

use std::time::{Duration, Instant};

use super::super::stream::{Offer, joint_tag};
use super::super::{CloseReason, CommandError, Output, Tag, TagKind, control};
use super::{ClientSocket, Phase, Subscribed};
use crate::subject::Subject;
use crate::wire::{Headers, Message, Payload, SocketCommand};

/// What it has asked of whoever listens.
#[derive(Debug, Default)]
pub(super) struct AnyServer {
    /// The connection keeps the order of what is said: whoever hears the question finds the own subject.
    is_possible: bool,
    /// The number of the latest question.
    number: u32,
    /// When it is asked who serves, instead.
    status_at: Option<Instant>,
    /// The tags that were offered, of questions that may still be answered.
    open: Vec<u64>,
    /// What whoever accepts is told, once the application has closed.
    last_word: Headers,
}

impl AnyServer {
    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        self.status_at
    }
}

impl ClientSocket {
    /// Sets whether the connection keeps the order of what is said.
    pub fn set_keeps_order(&mut self, keeps_order: bool) {
        self.any.is_possible = keeps_order;
    }

    /// Returns whether it may ask whoever listens: it offers the stream, and belongs to nobody.
    pub(super) fn may_ask_anyone(&self) -> bool {
        self.any.is_possible
            && self.tags.is_some()
            && self.binding.server().is_none()
            && self.channel.is_unsettled()
            && !self.has_left_a_server
    }

    /// Asks whoever listens to attach us, right behind the subscription.
    pub(super) fn ask_anyone(&mut self, now: Instant) {
        let Ok(subject) = Subject::join(&[self.subject(), ".server.~.", self.id()]) else { return };
        self.enter(Phase::AwaitingAnyone);
        self.missed_since = Some(now);
        self.attempt += 1;
        self.any.status_at = Some(now + ANSWER_TIME);
        let offer = self.offer_stream().map(|offer| Offer { joins: true, ..offer });
        self.any.open.extend(offer.map(|offer| offer.tag));
        let message = self.connect_message(subject, offer);
        let tag = self.channel.next_tag(TagKind::ConnectAnyone);
        self.any.number = tag.number;
        let timeout = self.channel.config.command_timeout;
        self.channel.outputs.push_back(Output::AskAnyone { tag, message: message.into(), timeout });
    }

    /// Handles that nobody got the question, or that it could not be asked.
    pub(super) fn handle_nobody(&mut self, now: Instant, tag: Tag, error: &CommandError) {
        if self.phase != Phase::AwaitingAnyone || tag.number != self.any.number {
            return;
        }
        if matches!(error, CommandError::NoSubscribers | CommandError::Refused(_)) {
            self.any.open.pop();
            self.channel.outputs.push_back(Output::NoteUnheard(self.subject().to_owned()));
        }
        self.look_for_server(now);
    }

    /// Nobody has answered in time: it is asked who serves, if that is due.
    pub(super) fn look_for_server_if_due(&mut self, now: Instant) {
        if self.any.status_at.is_some_and(|at| at <= now) {
            self.look_for_server(now);
        }
    }

    pub(super) fn look_for_server(&mut self, now: Instant) {
        self.any.status_at = None;
        self.enter(Phase::AwaitingServer { chooses_until: None });
        self.find_server(now);
    }

    /// Returns the tag and the server if this, with that offer, accepts such a question, and counts. That of
    /// a server which was asked by its id meanwhile does not: it goes by the later tag.
    pub(super) fn accepted_by_anyone(
        &self,
        answer: &Headers,
        offer: Option<&Offer>,
    ) -> Option<(u64, String)> {
        let is_searching = matches!(
            self.phase,
            Phase::AwaitingAnyone
                | Phase::AwaitingServer { chooses_until: None }
                | Phase::AwaitingSubscription
                | Phase::AwaitingAccept
        );
        if self.any.open.is_empty() || !is_searching || self.binding.is_held() {
            return None;
        }
        let tag = offer?.answers.filter(|tag| self.any.open.contains(tag))?;
        let server = control::accepting_server(answer)?;
        let is_asked = self.phase == Phase::AwaitingAccept && self.binding.server() == Some(&server);
        (!is_asked).then_some((tag, server))
    }

    /// Takes the server that has accepted the question with this tag.
    pub(super) fn take_server(&mut self, (tag, server): (u64, String)) {
        self.any.open.retain(|open| *open != tag);
        if let Some(other) = self.offered.replace(tag).filter(|other| *other != tag) {
            self.channel.abandon_tag(other, false);
        }
        // Another one may have taken it, too.
        self.channel.abandon_tag(tag, true);
        for number in self.asked.take() {
            for kind in [TagKind::Connect, TagKind::FindServer] {
                self.channel.outputs.push_back(Output::Cancel(Tag { kind, number }));
            }
        }
        self.binding.forget();
        self.binding.choose(server);
    }

    /// Waits for no answer to such a question any more.
    pub(super) fn abandon_questions(&mut self) {
        self.any.status_at = None;
        for tag in std::mem::take(&mut self.any.open) {
            self.channel.abandon_tag(tag, true);
        }
    }

    /// Closes for the application, and keeps the own subject for a moment: whoever has taken the question
    /// would wait for a client that is not there. Returns whether that may be.
    pub(super) fn try_linger(&mut self, reason: &CloseReason) -> bool {
        // Later it is hardly answered any more.
        let is_local = matches!(reason, CloseReason::Local | CloseReason::Aborted(_));
        let is_asking = self.phase == Phase::AwaitingAnyone && self.fabric && is_local;
        let may_be_taken = !self.any.open.is_empty() && self.subscribed != Subscribed::No;
        let Some(asked_at) = self.missed_since.filter(|_| is_asking && may_be_taken) else { return false };
        self.abandon_questions();
        self.any.last_word = control::closed_before(Headers::default(), reason, self.channel.unacked());
        self.any.status_at = Some(asked_at + LINGERS);
        self.enter(Phase::Lingering);
        self.channel.finish(reason);
        true
    }

    pub(super) fn end_lingering(&mut self) {
        if self.phase == Phase::Lingering {
            self.drop_subscription();
            self.enter(Phase::Closed);
        }
    }

    pub(super) fn end_lingering_if_due(&mut self, now: Instant) {
        if self.any.status_at.is_some_and(|at| at <= now) {
            self.end_lingering();
        }
    }

    /// Handles what comes from a server that has accepted a question which was given up, or which another one
    /// has accepted before: it is told. Returns whether it was that.
    pub(super) fn try_decline(&mut self, now: Instant, headers: &Headers) -> bool {
        if !self.channel.has_abandoned() {
            return false;
        }
        if headers.command == Some(SocketCommand::Connected) {
            return self.try_decline_accept(now, headers);
        }
        let is_of_another = headers.command.is_none() && self.channel.is_of_abandoned(headers);
        if let (true, Some(tag), Some(server)) = (is_of_another, headers.attempt(), control::server(headers))
        {
            self.decline(now, &server, tag);
        }
        is_of_another
    }

    fn try_decline_accept(&mut self, now: Instant, headers: &Headers) -> bool {
        let Some(offer) = Offer::of_headers(headers) else { return false };
        let Some(asked) = offer.answers else { return false };
        let Some(joins) = self.channel.abandoned(asked) else { return false };
        let server = control::accepting_server(headers);
        if let Some(server) = server.filter(|server| self.binding.server() != Some(server)) {
            self.decline(now, &server, if joins { joint_tag(asked, offer.tag) } else { asked });
        }
        true
    }

    /// Tells a server that it does not have this socket, though it has accepted it: its frames bear this tag.
    pub(super) fn decline(&mut self, now: Instant, server: &str, tag: u64) {
        let subject = format!("{}.server.{server}.{}", self.subject(), self.id());
        if let Ok(subject) = Subject::parse(&subject)
            && self.channel.admission.may_answer_foreign(now)
        {
            let headers = control::with_tag(self.any.last_word.clone(), Some(tag));
            let headers = headers.with_command(Some(SocketCommand::Close));
            let message = Message { subject, payload: Payload::NIL, headers };
            self.channel.outputs.push_back(Output::Publish(message));
        }
    }
}

/// An answer that comes later finds nobody.
const LINGERS: Duration = Duration::from_secs(2);
/// A server that is there has answered by then.
const ANSWER_TIME: Duration = Duration::from_secs(1);

#[cfg(test)]
#[allow(clippy::disallowed_methods)]
mod tests;
