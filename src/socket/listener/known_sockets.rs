//! The sockets that a listener knows, by the ids of their clients.

use std::collections::HashMap;

use crate::subject::Subject;

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
    pub user: Option<u64>,
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
        let entry = |socket| Entry { socket, epoch: None, attempt: None, user: None };
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
