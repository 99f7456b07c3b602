//! The sockets that a listener knows, by the ids of their clients.

use std::collections::HashMap;

use super::super::admission::SocketOwner;
use super::super::control;
use super::super::stream::Offer;
use crate::subject::Subject;
use crate::wire::{Headers, Origin};

/// A socket that it knows, and its incarnation.
#[derive(Debug)]
pub struct Entry {
    /// Its handle.
    pub socket: u32,
    /// Its incarnation.
    pub epoch: Option<u64>,
    /// The attempt of the latest connect request.
    pub attempt: Option<u64>,
    /// Whose it is, if the broker tells.
    pub origin: Option<Origin>,
    /// Whether it speaks the stream: then it lets nobody resume who does not know its tag.
    pub has_stream: bool,
    /// Whether it is not known yet that its client has heard of it.
    pub is_unproven: bool,
}

/// Who sends a `connect` of a socket that exists.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Claim {
    /// Its user, for all that is known.
    Owner,
    /// Another one, or somebody who cannot prove to be the same.
    Stranger,
    /// Nobody knows, and it does not ask to resume: its client may not have heard of the socket yet.
    Unknown,
}

impl Entry {
    /// Returns who sends this `connect`, by the word of the broker if that can be believed.
    pub(super) fn claim(&self, connect: &Headers, has_origins: bool) -> Claim {
        let owner = self.origin.as_ref().and_then(|origin| origin.user.as_ref());
        let Some(owner) = owner.filter(|owner| owner.as_str() != "null") else { return Claim::Owner };
        let user = connect.origin().filter(|_| has_origins).and_then(|origin| origin.user);
        let Some(user) = user else {
            // It came over another gateway, maybe.
            let offer = Offer::of_headers(connect).filter(|_| self.has_stream);
            return match offer {
                Some(offer) if control::is_resume(connect) && offer.answers.is_some() => Claim::Owner,
                Some(_) if !control::is_resume(connect) => Claim::Unknown,
                _ => Claim::Stranger,
            };
        };
        if user == *owner || user.to_value() == owner.to_value() { Claim::Owner } else { Claim::Stranger }
    }

    /// Returns whose it is.
    pub(super) fn owner(&self) -> SocketOwner {
        SocketOwner::of(self.origin.as_ref())
    }
}

/// All of them.
#[derive(Debug, Default)]
pub(super) struct KnownSockets {
    by_id: HashMap<String, Entry>,
    /// The one that was looked for last, and by what.
    latest: Option<(Subject, u32)>,
}

impl KnownSockets {
    pub(super) fn get(&self, id: &str) -> Option<&Entry> {
        self.by_id.get(id)
    }

    pub(super) fn get_mut(&mut self, id: &str) -> Option<&mut Entry> {
        self.by_id.get_mut(id)
    }

    /// Finds the one whose id is the last token of `subject`.
    pub(super) fn find(&mut self, subject: &Subject) -> Option<u32> {
        // Messages in a row are of one socket mostly, and their subject is the same one in memory.
        if let Some((latest, socket)) = &self.latest
            && latest.is_same(subject)
        {
            return Some(*socket);
        }
        let socket = self.by_id.get(subject.last_token())?.socket;
        self.latest = Some((subject.clone(), socket));
        Some(socket)
    }

    /// Adds one. Returns the one whose place it takes.
    pub(super) fn insert(&mut self, id: String, entry: Entry) -> Option<Entry> {
        self.latest = None;
        self.by_id.insert(id, entry)
    }

    /// Returns whether its client has not been known to have heard of the one with this id, and is now.
    pub(super) fn prove(&mut self, id: &str) -> bool {
        self.by_id.get_mut(id).is_some_and(|entry| std::mem::take(&mut entry.is_unproven))
    }

    /// Removes one.
    pub(super) fn remove(&mut self, id: &str) -> Option<(String, Entry)> {
        self.latest = None;
        self.by_id.remove_entry(id)
    }

    /// Returns their handles, in the order of their creation.
    pub(super) fn handles(&self) -> Vec<u32> {
        let mut handles: Vec<u32> = self.by_id.values().map(|entry| entry.socket).collect();
        handles.sort_unstable();
        handles
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_that_is_gone_or_was_replaced_is_not_found_by_its_subject_again() {
        let entry = |socket| Entry {
            socket,
            epoch: None,
            attempt: None,
            origin: None,
            has_stream: true,
            is_unproven: false,
        };
        let subject = Subject::parse("s.server.1.a").expect("valid");
        let mut known = KnownSockets::default();
        assert_eq!(known.find(&subject), None);
        assert!(known.insert("a".into(), entry(1)).is_none());
        assert_eq!((known.find(&subject), known.find(&subject)), (Some(1), Some(1)));
        assert!(known.insert("a".into(), entry(2)).is_some());
        assert_eq!(known.find(&subject), Some(2));
        assert!(known.remove("a").is_some());
        assert_eq!(known.find(&subject), None);
    }
}
