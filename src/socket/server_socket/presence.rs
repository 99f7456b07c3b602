//! What a server socket does when its client goes away or comes back.

use std::time::{Duration, Instant};

use super::super::absence::{AbsenceLimits, AbsenceStep, PATIENCE, PeerLoss};
use super::super::{CloseReason, Output, SocketEvent, State};
use super::ServerSocket;
use crate::wire::Presence;

impl ServerSocket {
    pub(super) fn handle_watched(&mut self, now: Instant, presence: Presence) {
        match presence {
            Presence::Here | Presence::HereInBroker => self.handle_client_here(now),
            Presence::Gone => self.finish(CloseReason::Lost("its client has ended")),
            // By hand: a client that closes says so.
            Presence::Cut | Presence::Absent | Presence::Left => self.begin_absence(now, PeerLoss::Ended),
            Presence::Silent => self.begin_absence(now, PeerLoss::Silent),
            Presence::Unreachable => self.handle_fabric_lost(SocketEvent::Unreachable),
            Presence::Replaced | Presence::Draining | Presence::Unknown => {}
        }
    }

    /// The fabric is away, or the part of it where the client is.
    pub(super) fn handle_fabric_lost(&mut self, why: SocketEvent) {
        // While we are away we cannot know whether the client is.
        self.channel.end_absence();
        if self.state == State::Ready {
            self.state = State::Disconnected;
            self.channel.detach();
            self.channel.emit(why);
        }
    }

    /// The client is not there: nothing more is sent, and its return is awaited.
    fn begin_absence(&mut self, now: Instant, loss: PeerLoss) {
        if self.state != State::Ready {
            return;
        }
        let patience = self.channel.config.resume_timeout.or(self.shorter_keep_alive()).unwrap_or(PATIENCE);
        let lost_at = now + patience;
        let limits = AbsenceLimits { lost_if_others_at: lost_at, lost_at, own_absence: Duration::ZERO };
        self.channel.absence.begin(now, loss, true, limits);
        self.channel.detach();
    }

    /// Detaches and attaches again: there is nobody to be found. While the client is away that is told at
    /// once.
    pub fn disconnect(&mut self, now: Instant) {
        if self.state != State::Ready {
            return;
        }
        if let Some(loss) = self.channel.absence.settle() {
            return self.handle_step(now, AbsenceStep::Settled(loss));
        }
        self.channel.detach();
        self.channel.emit(SocketEvent::State(State::Disconnected));
        self.channel.emit(SocketEvent::State(State::Ready));
        self.channel.resume(now, self.client.clone());
    }

    /// The client is on the fabric again. Unless that took no time it asks to be attached.
    fn handle_client_here(&mut self, now: Instant) {
        if self.state == State::Ready && self.channel.end_absence().is_some() {
            self.channel.resume(now, self.client.clone());
        }
    }

    /// The client asks to be attached: it is back. Returns whether it was away.
    pub(super) fn handle_return(&mut self) -> bool {
        let was_told = self.channel.end_absence();
        if was_told == Some(true) {
            self.state = State::Ready;
            self.channel.emit(SocketEvent::State(State::Ready));
        }
        was_told.is_some()
    }

    pub(super) fn handle_step(&mut self, now: Instant, step: AbsenceStep) {
        match step {
            AbsenceStep::Settled(loss) => {
                self.state = State::Disconnected;
                self.channel.emit(SocketEvent::PeerLost(loss));
            }
            AbsenceStep::RequestsOver => self.channel.fail_requests_of_absence(now),
            AbsenceStep::LookUp => self.channel.outputs.push_back(Output::LookUpPeer),
            AbsenceStep::Lost(_) if self.shorter_keep_alive().is_some() => self.finish(CloseReason::Timeout),
            AbsenceStep::Lost(PeerLoss::Ended) => {
                self.finish(CloseReason::Lost("its client is not on the fabric any more"));
            }
            AbsenceStep::Lost(PeerLoss::Silent) => {
                self.finish(CloseReason::Lost("its client gave no sign of life"));
            }
        }
    }

    /// Returns the time of the keep-alive if it is shorter than that of an absence: who has set it short does
    /// not wait longer than for a peer that is silent.
    fn shorter_keep_alive(&self) -> Option<Duration> {
        let config = &self.channel.config;
        let time = config.keep_alive? + config.keep_alive_timeout;
        (config.resume_timeout.is_none() && time < PATIENCE).then_some(time)
    }
}

#[cfg(test)]
#[allow(clippy::disallowed_methods)]
mod tests {
    use super::super::super::{SocketConfig, SocketEnd, WatchedEnd};
    use super::*;
    use crate::subject::Subject;

    fn told(socket: &mut ServerSocket) -> Vec<Result<State, PeerLoss>> {
        let outputs = std::iter::from_fn(|| socket.poll_output());
        let told = outputs.filter_map(|output| match output {
            Output::Event(SocketEvent::State(state)) => Some(Ok(state)),
            Output::Event(SocketEvent::PeerLost(loss)) => Some(Err(loss)),
            _ => None,
        });
        told.collect()
    }

    #[test]
    fn one_that_is_disconnected_is_ready_again_when_its_client_is_there() {
        let now = Instant::now();
        let client = Subject::parse("s.client.sock").expect("valid");
        let mut socket = ServerSocket::new(now, client, SocketConfig::default());
        let back = [Ok(State::Disconnected), Ok(State::Ready)];
        told(&mut socket);
        socket.disconnect(now);
        assert_eq!(told(&mut socket), back);
        // Whether it is known to the application or not: what it has done is to be undone.
        socket.handle_presence(now, WatchedEnd::Peer, Presence::Cut, 1);
        assert_eq!(told(&mut socket), []);
        socket.disconnect(now);
        socket.disconnect(now);
        assert_eq!(told(&mut socket), [Err(PeerLoss::Ended)]);
        socket.handle_found(now);
        assert_eq!(told(&mut socket), back[1..]);
    }
}
