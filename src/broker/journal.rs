//! What has happened at a broker that somebody watches: connections that came, went and were refused, and
//! what was refused to them. Bounded: what nobody has read in time is lost, and the numbers tell so.

use std::collections::VecDeque;

use super::stats::counted;
use crate::wire::Carrier;

/// Something that happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JournalEntry {
    /// The first has 1.
    pub number: u64,
    /// What it was.
    pub kind: JournalKind,
    /// The id of the connection.
    pub id: String,
    /// Its network address; none inside the process.
    pub address: String,
    /// What carries it.
    pub carrier: Carrier,
    /// A reason of a closed set, the code of an error, or a queue.
    pub code: String,
    /// A user, a subject, a pattern, or the text of an error; cut.
    pub text: String,
}

counted! {
    /// What is noted.
    JournalKind {
        /// A connection has signed in.
        Connect = "connect",
        /// One that had is gone.
        Disconnect = "disconnect",
        /// One was cut off because it did not read.
        SlowConsumer = "slow_consumer",
        /// One got no place.
        Refused = "refused",
        /// One was not let in.
        SignInFailed = "sign_in_failed",
        /// There is a new subscription. Noted only where
        /// [`BrokerConfig::notes_subscriptions`](super::BrokerConfig).
        Subscribed = "subscribed",
        /// A subscription was refused.
        SubscribeRefused = "subscribe_refused",
        /// A publish or a wait was refused.
        PublishRefused = "publish_refused",
        /// The broker lets nobody in any more.
        Drain = "drain",
        /// Whoever sees the monitor has changed something.
        Action = "action",
    }
}

/// The connection of an entry.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Noted<'a> {
    pub(super) id: &'a str,
    pub(super) address: &'a str,
    pub(super) carrier: Carrier,
}

/// Keeps the latest entries until they are taken; nothing unless somebody watches.
#[derive(Debug, Default)]
pub(super) struct Journal {
    is_on: bool,
    noted: u64,
    entries: VecDeque<JournalEntry>,
}

impl Journal {
    pub(super) fn new(is_on: bool) -> Self {
        Self { is_on, ..Self::default() }
    }

    /// Whether anything is noted at all: nobody has to make texts otherwise.
    pub(super) fn is_on(&self) -> bool {
        self.is_on
    }

    /// Notes what happened to a connection.
    pub(super) fn note(&mut self, kind: JournalKind, who: Noted<'_>, code: &str, text: &str) {
        if !self.is_on {
            return;
        }
        self.noted += 1;
        if self.entries.len() == MAX_ENTRIES {
            self.entries.pop_front();
        }
        let Noted { id, address, carrier } = who;
        self.entries.push_back(JournalEntry {
            number: self.noted,
            kind,
            id: cut(id),
            address: address.to_owned(),
            carrier,
            code: cut(code),
            text: cut(text),
        });
    }

    /// Takes what was noted since the last time.
    pub(super) fn take(&mut self) -> Vec<JournalEntry> {
        self.entries.drain(..).collect()
    }
}

fn cut(text: &str) -> String {
    let end = text.char_indices().nth(MAX_TEXT_CHARS).map_or(text.len(), |(at, _)| at);
    text[..end].to_owned()
}

/// Entries between two looks: as many as a list of them shows.
const MAX_ENTRIES: usize = 1000;
/// Of a name, a subject or a user that a stranger has chosen. A user is to be read whole by who hides its
/// secrets.
const MAX_TEXT_CHARS: usize = 4096;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_nobody_reads_in_time_is_lost_and_the_numbers_tell() {
        let mut journal = Journal::new(true);
        for n in 0..1500 {
            journal.note(
                JournalKind::Connect,
                Noted { id: &n.to_string(), ..Noted::default() },
                "",
                &"ü".repeat(5000),
            );
        }
        let entries = journal.take();
        assert_eq!((entries.len(), entries[0].number, entries[999].number), (1000, 501, 1500));
        assert_eq!(entries[0].text.chars().count(), MAX_TEXT_CHARS);
        assert!(journal.take().is_empty());
    }

    #[test]
    fn nothing_is_noted_that_nobody_watches() {
        let mut journal = Journal::new(false);
        journal.note(JournalKind::Connect, Noted::default(), "", "");
        assert!(journal.take().is_empty());
    }
}
