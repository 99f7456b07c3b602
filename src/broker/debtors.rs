//! Connections that were cut and owe answers to those who have asked over a fabric above: their clients may
//! come back here, or at another gateway, and still answer. A client is known by its inbox, which it keeps.

use std::collections::{HashMap, VecDeque};
use std::time::Instant;

use crate::subject::{Pattern, Subject};
use crate::wire::ANSWER_GRACE;

/// Where an answer goes, and when it was asked for.
type Place = (Instant, Subject);

/// Those that may come back, and those that are looked for elsewhere.
#[derive(Debug, Default)]
pub(super) struct Debtors {
    /// In the order in which their time is over.
    waiting: VecDeque<(Instant, Pattern, Vec<Place>)>,
    /// By a subject that the client alone would listen to.
    sought: HashMap<Subject, Vec<Place>>,
    /// Answers of all of them.
    places: usize,
}

impl Debtors {
    /// Keeps what a connection owed, as far as there is room for it.
    pub(super) fn keep(&mut self, now: Instant, inbox: Pattern, mut places: Vec<Place>) {
        places.truncate(MAX_PLACES - self.places);
        if !places.is_empty() {
            self.places += places.len();
            self.waiting.push_back((now + ANSWER_GRACE, inbox, places));
        }
    }

    /// Takes what the client with this inbox owes, which is back.
    pub(super) fn take(&mut self, inbox: &Pattern) -> Vec<Place> {
        let mut taken = Vec::new();
        self.waiting.retain_mut(|(_, of, places)| {
            let is_wanted = of == inbox;
            if is_wanted {
                taken.append(places);
            }
            !is_wanted
        });
        self.places -= taken.len();
        taken
    }

    /// Returns by what subject one is to be looked for whose time is over.
    pub(super) fn pop_due(&mut self, now: Instant) -> Option<Subject> {
        while self.waiting.front().is_some_and(|(at, ..)| *at <= now) {
            let (_, inbox, places) = self.waiting.pop_front()?;
            self.places -= places.len();
            if let Some(subject) = self.seek(&inbox, places) {
                return Some(subject);
            }
        }
        None
    }

    /// Keeps what the client with this inbox owes until it is known where it is, as far as there is room for
    /// it. Returns by what subject it is to be looked for.
    pub(super) fn seek(&mut self, inbox: &Pattern, mut places: Vec<Place>) -> Option<Subject> {
        let (before, _) = inbox.as_str().rsplit_once('.')?;
        let subject = Subject::parse(&format!("{before}.ended")).ok()?;
        places.truncate(MAX_PLACES - self.places);
        self.places += places.len();
        self.sought.entry(subject.clone()).or_default().extend(places);
        Some(subject)
    }

    /// Takes those of one that was looked for.
    pub(super) fn take_sought(&mut self, subject: &Subject) -> Vec<Place> {
        let places = self.sought.remove(subject).unwrap_or_default();
        self.places -= places.len();
        places
    }

    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        self.waiting.front().map(|(at, ..)| *at)
    }
}

/// Answers that are remembered. Whoever waits for one beyond is not told.
const MAX_PLACES: usize = 16_384;
