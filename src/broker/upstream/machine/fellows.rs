//! What is said to the other gateways, and heard of them.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::super::UpstreamEvent;
use super::super::fellows::Step;
use super::{Awaited, Upstream};
use crate::subject::{Pattern, Subject};
use crate::wire::{ClientOp, GatewayWord, Headers, Message, Publication};

impl Upstream {
    /// Returns what this gateway is heard by, and what it hears the others by.
    pub(super) fn patterns_of_gateways(&self) -> impl Iterator<Item = Pattern> {
        let own = subject_of(self.fellows.name());
        [WORDS.to_owned(), own].into_iter().filter_map(|text| Pattern::parse(&text).ok())
    }

    /// A client here has asked something that nobody here was given.
    pub(in crate::broker) fn note_asked(&mut self, now: Instant, place: &Subject) {
        self.fellows.note_asked(now, place);
    }

    /// A client here was given what was asked from elsewhere.
    pub(in crate::broker) fn note_held(&mut self, now: Instant, place: &Subject, inbox: &Pattern) {
        self.fellows.note_held(now, place, inbox);
    }

    /// A publication may be an answer.
    pub(in crate::broker) fn handle_answer(&mut self, publication: &Publication) {
        if publication.is_done() {
            self.fellows.handle_answer(&publication.subject);
        }
    }

    /// Whoever owes an answer is at another gateway by now.
    pub(in crate::broker) fn handle_moved(&mut self, place: Subject) {
        self.fellows.handle_moved(place);
    }

    /// The broker ends: what its clients owe is said once more.
    pub(in crate::broker) fn say_last(&mut self) {
        for word in self.fellows.last_words() {
            self.say_word(&word);
        }
    }

    pub(super) fn handle_word(&mut self, now: Instant, publication: &Publication) {
        match GatewayWord::read(&publication.payload) {
            Some(word) => self.fellows.handle_word(now, word),
            None => tracing::debug!("no word of a gateway"),
        }
    }

    pub(super) fn handle_fellows(&mut self, now: Instant) {
        let (_, members) = self.interest.len();
        for step in self.fellows.handle_timeout(now, members > 0) {
            match step {
                Step::Say(word) => self.say_word(&word),
                Step::Look(name) => {
                    let Ok(subject) = Subject::parse(&subject_of(&name)) else { continue };
                    let asked = self.expect(None, Awaited::Gateway(name));
                    self.push_wait(None, asked, &subject, Duration::ZERO);
                }
                Step::Ended(inbox, places) => self.events.push_back(UpstreamEvent::Unanswered(inbox, places)),
            }
        }
    }

    fn say_word(&mut self, word: &GatewayWord) {
        let Ok(subject) = Subject::parse(WORDS) else { return };
        let message = Message { subject, payload: word.to_payload(), headers: Headers::default() };
        let publication = Publication::whole(message);
        self.push(None, ClientOp::Publish { ack: None, publication });
    }
}

/// Returns whether gateways talk there.
pub(in crate::broker) fn is_of_gateways(name: &str) -> bool {
    name.starts_with("_SV.")
}

/// Nobody says anything there: whoever is subscribed to it is connected.
fn subject_of(name: &Arc<str>) -> String {
    format!("_SV.gateway.{name}")
}

/// Where gateways talk.
const WORDS: &str = "_SV.gateways";
