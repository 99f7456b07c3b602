//! What the client of one connection has reported about the ends of its sockets: for people who look, never
//! for a decision.

use std::collections::HashMap;

use crate::wire::{SocketCounts, SocketEndName, SocketReport, SocketStateName};

/// By the end and the socket's id.
#[derive(Debug, Default)]
pub(super) struct SocketReports {
    told: HashMap<(SocketEndName, Box<str>), Told>,
    bytes: usize,
}

/// The last word of one end.
#[derive(Debug)]
pub(super) struct Told {
    pub(super) subject: Box<str>,
    pub(super) state: SocketStateName,
    pub(super) counts: SocketCounts,
}

impl SocketReports {
    /// Takes news; what is beyond the bounds is not kept.
    pub(super) fn take(&mut self, reports: Vec<SocketReport>) {
        for SocketReport { end, id, subject, state, counts } in reports.into_iter().take(MAX_REPORTS_AT_ONCE)
        {
            let key = (end, id.into_boxed_str());
            if let Some(before) = self.told.remove(&key) {
                self.bytes -= cost(&key.1, &before.subject);
            }
            let fits = key.1.len() <= MAX_ID_BYTES && subject.len() <= MAX_SUBJECT_BYTES;
            if state != SocketStateName::Closed && fits && self.told.len() < MAX_REPORTS {
                self.bytes += cost(&key.1, &subject);
                self.told.insert(key, Told { subject: subject.into_boxed_str(), state, counts });
            }
        }
    }

    pub(super) fn get(&self, end: SocketEndName, id: &str) -> Option<&Told> {
        self.told.get(&(end, id.into()))
    }

    /// Returns what was reported about servers' ends, by the socket's id.
    pub(super) fn servers(&self) -> impl Iterator<Item = (&str, &Told)> {
        let all = self.told.iter().filter(|((end, _), _)| *end == SocketEndName::Server);
        all.map(|((_, id), told)| (&**id, told))
    }

    /// Returns what it takes in memory.
    pub(super) fn memory(&self) -> usize {
        self.bytes
    }
}

fn cost(id: &str, subject: &str) -> usize {
    ENTRY_BYTES + id.len() + subject.len()
}

/// Of one operation.
const MAX_REPORTS_AT_ONCE: usize = 1000;
/// Of one connection.
const MAX_REPORTS: usize = 10_000;
const MAX_ID_BYTES: usize = 64;
const MAX_SUBJECT_BYTES: usize = 8192;
/// Of one entry beside its texts, with the table's own room.
const ENTRY_BYTES: usize = 192;

#[cfg(test)]
mod tests {
    use super::*;

    fn report(id: &str, state: SocketStateName, sent: u64) -> SocketReport {
        let counts = SocketCounts { sent, ..SocketCounts::default() };
        SocketReport { end: SocketEndName::Client, id: id.into(), subject: "chat".into(), state, counts }
    }

    #[test]
    fn the_last_word_counts_and_nothing_stays_of_what_is_closed() {
        let mut reports = SocketReports::default();
        reports.take(vec![
            report("a", SocketStateName::Ready, 1),
            report("a", SocketStateName::Disconnected, 2),
        ]);
        let told = reports.get(SocketEndName::Client, "a").expect("it was told of");
        assert_eq!((told.state, told.counts.sent), (SocketStateName::Disconnected, 2));
        assert!(reports.get(SocketEndName::Server, "a").is_none());
        assert!(reports.memory() > 0);
        reports.take(vec![report("a", SocketStateName::Closed, 3), report("b", SocketStateName::Closed, 0)]);
        assert_eq!((reports.told.len(), reports.memory()), (0, 0));
    }

    #[test]
    fn a_liar_fills_no_more_than_its_share() {
        let mut reports = SocketReports::default();
        for round in 0..20 {
            let ids = (0..2000).map(|number| format!("{round}.{number}"));
            reports.take(ids.map(|id| report(&id, SocketStateName::Ready, 0)).collect());
        }
        assert_eq!(reports.told.len(), MAX_REPORTS);
        let long = "x".repeat(MAX_ID_BYTES + 1);
        let mut other = SocketReports::default();
        other.take(vec![report(&long, SocketStateName::Ready, 0)]);
        assert_eq!(other.memory(), 0);
    }
}
