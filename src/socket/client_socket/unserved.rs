//! Why a client socket that looks for a server is not attached: what whoever waits for it is told.

use std::time::{Duration, Instant};

use super::super::{CloseReason, CommandError, SocketEnd, SocketEvent};
use super::ClientSocket;
use crate::base::{Code, Failure};

/// What the application was told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unserved {
    /// Nothing: it is attached, or the search has only begun.
    No,
    /// Nobody listens.
    Nobody,
    /// Whoever listens does not answer.
    Silent,
    /// The broker does not let it ask.
    Refused,
}

impl ClientSocket {
    /// Notes whether there is somebody to attach to.
    pub(super) fn note_search(&mut self, there: bool) {
        if there {
            self.tell_unserved(Unserved::No, None);
        } else {
            if self.try_give_up_search() {
                return;
            }
            let text = format!("nobody serves {}", self.wanted());
            self.tell_unserved(Unserved::Nobody, Some(Failure::new(Code::NoSubscribers, text)));
        }
    }

    /// Notes that who was asked has not answered, or could not be asked.
    pub(super) fn note_unanswered_search(&mut self, error: &CommandError) {
        match error {
            CommandError::NoSubscribers => self.note_search(false),
            CommandError::Failed => {
                let text = format!("who serves '{}' does not answer", self.subject());
                self.tell_unserved(Unserved::Silent, Some(Failure::new(Code::PeerSilent, text)));
            }
            CommandError::Refused(refusal) => {
                let failure = Failure::new(refusal.failure_code(), refusal);
                self.tell_unserved(Unserved::Refused, Some(failure));
            }
            // Another one is asked.
            CommandError::ReceiverEnded | CommandError::TooLarge(_) => {}
        }
    }

    /// Returns when it waits for somebody no longer, if nobody was there when it looked last.
    pub(super) fn waits_until(&self) -> Option<Instant> {
        let wait = self.channel.config.wait.filter(|_| !self.binding.is_held() && !self.is_closing())?;
        let since = self.searches_since.filter(|_| self.unserved == Unserved::Nobody)?;
        Some(since + Duration::from_millis(wait.into()))
    }

    /// Closes if nobody came in the time that it waits.
    pub(super) fn give_up_search_if_due(&mut self, now: Instant) {
        if self.waits_until().is_some_and(|until| until <= now) {
            self.close(CloseReason::NobodyListens(self.wanted()));
        }
    }

    fn try_give_up_search(&mut self) -> bool {
        let waits_not = self.channel.config.wait == Some(0) && !self.binding.is_held();
        if waits_not {
            self.close(CloseReason::NobodyListens(self.wanted()));
        }
        waits_not
    }

    /// What nobody serves, in words.
    fn wanted(&self) -> String {
        let subject = self.subject();
        match self.binding.server().filter(|_| self.channel.config.load_balancer) {
            Some(id) => format!("'{subject}' with the id '{id}', which its loadBalancer has chosen"),
            None => format!("'{subject}'"),
        }
    }

    fn tell_unserved(&mut self, state: Unserved, why: Option<Failure>) {
        // Its load balancer may have named another one.
        let is_news = state == Unserved::Nobody && self.channel.config.load_balancer;
        if self.unserved != state || is_news {
            self.unserved = state;
            self.channel.emit(SocketEvent::Unserved(why));
        }
    }
}
