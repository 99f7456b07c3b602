//! Why a client socket that looks for a server is not attached: what whoever waits for it is told.

use super::super::{CommandError, SocketEvent};
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
            let text = format!("nobody serves '{}'", self.subject());
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

    fn tell_unserved(&mut self, state: Unserved, why: Option<Failure>) {
        if self.unserved != state {
            self.unserved = state;
            self.channel.emit(SocketEvent::Unserved(why));
        }
    }
}
