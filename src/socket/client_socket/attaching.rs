//! How a client socket finds its server and attaches to it: the first time, and again.

use std::time::Instant;

use super::super::{CloseReason, CommandError, Dialect, SocketEvent, State, TagKind, control};
use super::{ClientSocket, Output, Phase, Subscribed};
use crate::subject::Subject;
use crate::wire::{Headers, Json, SocketCommand};

impl ClientSocket {
    /// The load balancer named a server, or failed.
    pub fn handle_choice(&mut self, now: Instant, choice: Option<String>) {
        if !matches!(self.phase, Phase::AwaitingServer { chooses_until: Some(_) }) {
            return;
        }
        match choice {
            Some(id) if self.is_bound() && self.server.as_ref().is_some_and(|server| *server != id) => {
                self.close(CloseReason::Moved);
            }
            Some(id) => self.found(now, id),
            None => self.retry(now),
        }
    }

    /// Looks for a server and subscribes, both at once.
    pub(super) fn begin(&mut self, now: Instant) {
        if !self.fabric {
            self.phase = Phase::AwaitingFabric;
            return;
        }
        self.emit(SocketEvent::State(State::Connecting));
        if self.subscribed == Subscribed::No {
            self.subscribed = Subscribed::Asked;
            self.channel.outputs.push_back(Output::Subscribe(self.mine.clone()));
        }
        if self.channel.config.load_balancer {
            self.phase = Phase::AwaitingServer {
                chooses_until: Some(now + self.channel.config.load_balancer_timeout),
            };
            self.emit(SocketEvent::ChooseServer);
        } else if let Some(server) = self.server.clone().filter(|_| self.is_bound()) {
            self.found(now, server);
        } else {
            self.phase = Phase::AwaitingServer { chooses_until: None };
            self.ask(
                TagKind::FindServer,
                format!("{}.server.status", self.subject),
                Headers::default(),
                true,
            );
        }
    }

    pub(super) fn found(&mut self, now: Instant, server: String) {
        self.server = Some(server);
        if self.subscribed == Subscribed::Yes {
            self.ask_to_attach(now);
        } else {
            self.phase = Phase::AwaitingSubscription;
        }
    }

    pub(super) fn ask_to_attach(&mut self, now: Instant) {
        self.phase = Phase::AwaitingAccept;
        self.attempt += 1;
        let mut json = control::with_epoch(serde_json::json!({ "id": self.id }), self.epoch());
        if self.resumes() {
            json[control::RESUME] = true.into();
        }
        let attempt = (self.channel.config.dialect != Dialect::Classic).then_some(self.attempt);
        let headers = Headers {
            command: Some(SocketCommand::Connect),
            attempt,
            json: Some(Json::from_value(&json)),
            ..Headers::default()
        };
        match self.server_subject() {
            Some(server) => self.ask(TagKind::Connect, server.to_string(), headers, true),
            // A server (or a load balancer) gave an id that is no token.
            None => {
                self.server = None;
                self.retry(now);
            }
        }
    }

    pub(super) fn attached(&mut self, now: Instant, answer: &Headers) {
        let epoch = control::epoch(answer);
        // The answer to another making of this socket.
        if epoch.is_some() && epoch != self.epoch() {
            return;
        }
        if self.phase != Phase::AwaitingAccept {
            return;
        }
        let Some(server) = self.server_subject() else { return };
        self.phase = Phase::Ready;
        self.was_ready = true;
        self.missing_since = None;
        self.pause.reset();
        self.emit(SocketEvent::State(State::Ready));
        if epoch.is_some() {
            self.channel.fence();
        }
        self.channel.attach(now, server);
    }

    /// Nobody is where our server was. It may be on its way back to the fabric, so it gets some time.
    pub(super) fn handle_no_server(&mut self, now: Instant, error: CommandError) {
        if error != CommandError::NoSubscribers {
            self.may_be_accepted = true;
            self.missing_since = None;
            return self.retry(now);
        }
        if !self.is_bound() {
            self.server = None;
            return self.retry(now);
        }
        let since = *self.missing_since.get_or_insert(now);
        let waited = now.saturating_duration_since(since) + self.channel.config.command_timeout;
        if waited >= self.channel.config.resume_timeout {
            self.finish(CloseReason::Lost("its server is not on the fabric any more"));
        } else {
            self.retry(now);
        }
    }

    /// Whether its server holds this socket, or may: a second one would write to the same subject, and nothing tells them apart.
    pub(super) fn is_bound(&self) -> bool {
        self.may_be_accepted || self.resumes()
    }

    /// Whether its server has, or had, this socket: not even that one can take it up from the start.
    pub(super) fn resumes(&self) -> bool {
        self.was_ready || self.channel.has_received()
    }

    pub(super) fn server_subject(&self) -> Option<Subject> {
        let server = self.server.as_ref().filter(|id| !id.contains('.'))?;
        Subject::parse(&format!("{}.server.{server}.{}", self.subject, self.id)).ok()
    }
}
