//! Ends of which nobody tells: where the broker watches none, or not this one, it is looked up whether
//! anybody listens there.

use std::collections::{BTreeMap, HashMap};
use std::time::{Duration, Instant};

use super::watches::EndKey;
use crate::subject::Subject;

/// The ends that are looked up, in a fixed order, so that a simulated run replays.
#[derive(Debug, Default)]
pub(super) struct Probes {
    ends: BTreeMap<EndKey, Probe>,
    in_flight: HashMap<u32, EndKey>,
    number: u32,
    /// Not more often than the fabric should be asked.
    next_at: Option<Instant>,
}

#[derive(Debug)]
struct Probe {
    subject: Subject,
    /// `None` while the answer is awaited.
    at: Option<Instant>,
    pause: Duration,
    is_absent: bool,
    /// A socket took something late for its return, and misses it again: that it is absent is news once more.
    is_missed_again: bool,
    /// Somebody wants to know since it was asked: what is answered to that does not count.
    is_outdated: bool,
}

/// What was found out.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Finding {
    /// The end is gone.
    Absent(EndKey),
    /// It is there, and was not before.
    Found(EndKey),
}

impl Probes {
    /// Looks at once whether a peer is there, unless that is being done.
    pub(super) fn suspect(&mut self, now: Instant, key: EndKey, subject: Subject) {
        let probe = self.begin(now, key, subject, false);
        probe.is_missed_again = probe.is_absent;
    }

    /// Looks at once whether an end is there by now, and says so if it is not, too.
    pub(super) fn look_up(&mut self, now: Instant, key: EndKey, subject: Subject) {
        let probe = self.begin(now, key, subject, true);
        probe.is_missed_again = true;
        match &mut probe.at {
            Some(at) => *at = now.min(*at),
            None => probe.is_outdated = true,
        }
    }

    /// Looks again and again whether an end is there that was not.
    pub(super) fn await_end(&mut self, now: Instant, key: EndKey, subject: Subject) {
        self.begin(now + FIRST_PAUSE, key, subject, true);
    }

    fn begin(&mut self, at: Instant, key: EndKey, subject: Subject, is_absent: bool) -> &mut Probe {
        let (pause, at) = (FIRST_PAUSE, Some(at));
        let new = Probe { subject, at, pause, is_absent, is_missed_again: false, is_outdated: false };
        let probe = self.ends.entry(key).or_insert(new);
        probe.is_absent |= is_absent;
        probe
    }

    /// Nobody wants to know any more.
    pub(super) fn forget(&mut self, key: &EndKey) {
        self.ends.remove(key);
    }

    /// The connection is lost: what was found out is worth nothing.
    pub(super) fn clear(&mut self) {
        self.ends.clear();
        self.in_flight.clear();
    }

    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        let at = self.ends.values().filter_map(|probe| probe.at).min()?;
        Some(self.next_at.map_or(at, |next| next.max(at)))
    }

    /// Returns whom to look up now, and the number of the question.
    pub(super) fn poll_probe(&mut self, now: Instant) -> Option<(u32, Subject)> {
        if self.next_at.is_some_and(|next| next > now) {
            return None;
        }
        let due = |probe: &Probe| probe.at.filter(|at| *at <= now);
        let (key, probe) = self
            .ends
            .iter_mut()
            .filter(|(_, probe)| due(probe).is_some())
            .min_by_key(|(_, probe)| probe.at)?;
        probe.at = None;
        self.next_at = Some(now + MIN_DISTANCE);
        self.number = self.number.wrapping_add(1);
        self.in_flight.insert(self.number, key.clone());
        Some((self.number, probe.subject.clone()))
    }

    /// Takes an answer; `None`: there is none.
    pub(super) fn handle_answer(
        &mut self,
        now: Instant,
        number: u32,
        there: Option<bool>,
    ) -> Option<Finding> {
        let key = self.in_flight.remove(&number)?;
        let probe = self.ends.get_mut(&key)?;
        if there == Some(true) {
            let is_news = probe.is_absent;
            self.ends.remove(&key);
            return is_news.then_some(Finding::Found(key));
        }
        if std::mem::take(&mut probe.is_outdated) {
            probe.at = Some(now);
            return None;
        }
        probe.at = Some(now + probe.pause);
        probe.pause = (2 * probe.pause).min(MAX_PAUSE);
        there?;
        let is_known = std::mem::replace(&mut probe.is_absent, true);
        let is_news = std::mem::take(&mut probe.is_missed_again) || !is_known;
        is_news.then_some(Finding::Absent(key))
    }
}

const FIRST_PAUSE: Duration = Duration::from_millis(250);
const MAX_PAUSE: Duration = Duration::from_secs(2);
/// Twenty a second, of all sockets of a connection.
const MIN_DISTANCE: Duration = Duration::from_millis(50);

#[cfg(test)]
#[allow(clippy::disallowed_methods)]
mod tests {
    use super::*;
    use crate::socket::WatchedEnd;

    fn end(end: WatchedEnd, text: &str) -> (EndKey, Subject) {
        ((end, text.into()), Subject::parse(text).expect("valid"))
    }

    #[test]
    fn a_suspicion_is_looked_into_once_and_an_absent_end_until_it_is_found() {
        let (start, mut probes) = (Instant::now(), Probes::default());
        let at = |ms| start + Duration::from_millis(ms);
        let (key, subject) = end(WatchedEnd::Peer, "s.server.a");
        probes.suspect(start, key.clone(), subject.clone());
        probes.suspect(start, key.clone(), subject.clone());
        let (number, asked) = probes.poll_probe(start).expect("one");
        assert_eq!((asked, probes.poll_probe(at(1000))), (subject.clone(), None));
        assert_eq!(probes.handle_answer(start, number, Some(true)), None, "nobody has missed it");
        assert_eq!(probes.poll_timeout(), None);
        probes.suspect(at(100), key.clone(), subject);
        let mut now = at(100);
        let mut looks = Vec::new();
        for there in [Some(false), None, Some(false), Some(false), Some(false), Some(true)] {
            let (number, _) = probes.poll_probe(now).expect("due");
            looks.push((now - start).as_millis());
            let finding = probes.handle_answer(now, number, there);
            let expected = match looks.len() {
                1 => Some(Finding::Absent(key.clone())),
                6 => Some(Finding::Found(key.clone())),
                _ => None,
            };
            assert_eq!(finding, expected, "look {}", looks.len());
            now = probes.poll_timeout().unwrap_or(now);
        }
        assert_eq!(looks, [100, 350, 850, 1850, 3850, 5850]);
    }

    #[test]
    fn an_absent_end_that_is_missed_again_is_told_again() {
        let (mut now, mut probes) = (Instant::now(), Probes::default());
        let (key, subject) = end(WatchedEnd::Peer, "s.client.a");
        probes.await_end(now, key.clone(), subject.clone());
        let mut look = |probes: &mut Probes| {
            now = probes.poll_timeout().expect("due");
            let (number, _) = probes.poll_probe(now).expect("due");
            probes.handle_answer(now, number, Some(false))
        };
        assert_eq!(look(&mut probes), None, "known");
        probes.suspect(Instant::now(), key.clone(), subject);
        assert_eq!([look(&mut probes), look(&mut probes)], [Some(Finding::Absent(key)), None]);
    }

    #[test]
    fn who_is_looked_up_is_asked_anew_at_once_and_what_was_asked_before_does_not_count() {
        let (start, mut probes) = (Instant::now(), Probes::default());
        let (key, subject) = end(WatchedEnd::Peer, "s.server.a");
        probes.await_end(start, key.clone(), subject.clone());
        let first = probes.poll_timeout().expect("due");
        let (number, _) = probes.poll_probe(first).expect("due");
        probes.look_up(first, key.clone(), subject.clone());
        assert_eq!(probes.handle_answer(first, number, Some(false)), None, "asked before");
        for _ in 0..2 {
            let now = probes.poll_timeout().expect("due");
            assert!(now <= first + 2 * MIN_DISTANCE);
            let (number, _) = probes.poll_probe(now).expect("due");
            assert_eq!(probes.handle_answer(now, number, Some(false)), Some(Finding::Absent(key.clone())));
            probes.look_up(now, key.clone(), subject.clone());
        }
        let now = probes.poll_timeout().expect("due");
        let (number, _) = probes.poll_probe(now).expect("due");
        assert_eq!(probes.handle_answer(now, number, Some(true)), Some(Finding::Found(key)));
        assert_eq!(probes.poll_timeout(), None);
    }

    #[test]
    fn the_fabric_is_asked_at_most_twenty_times_a_second() {
        let (start, mut probes) = (Instant::now(), Probes::default());
        for n in 0..10 {
            let (key, subject) = end(WatchedEnd::Peer, &format!("s.client.{n}"));
            probes.suspect(start, key, subject);
        }
        let mut times = Vec::new();
        while let Some(at) = probes.poll_timeout() {
            assert!(probes.poll_probe(at).is_some());
            times.push((at - start).as_millis());
        }
        assert_eq!(times, Vec::from_iter((0..10).map(|n| n * 50)));
    }

    #[test]
    fn what_is_forgotten_or_lost_with_the_connection_has_no_answer() {
        let (start, mut probes) = (Instant::now(), Probes::default());
        let (key, subject) = end(WatchedEnd::Others, "s.server.status");
        probes.await_end(start, key.clone(), subject.clone());
        assert_eq!(probes.poll_timeout(), Some(start + FIRST_PAUSE));
        let (number, _) = probes.poll_probe(start + FIRST_PAUSE).expect("due");
        probes.forget(&key);
        assert_eq!(probes.handle_answer(start, number, Some(true)), None);
        probes.await_end(start, key.clone(), subject);
        let (number, _) = probes.poll_probe(start + 2 * FIRST_PAUSE).expect("due");
        assert_eq!(probes.handle_answer(start, number, Some(true)), Some(Finding::Found(key)));
        probes.clear();
        assert_eq!((probes.handle_answer(start, number, Some(true)), probes.poll_timeout()), (None, None));
    }
}
