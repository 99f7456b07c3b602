//! What a listener subscribes to.

use super::super::{Output, SocketConfig};
use crate::subject::{InvalidSubject, Pattern};

/// Its subscriptions.
#[derive(Debug)]
pub(super) struct Subscriptions {
    /// Questions who serves.
    status: Pattern,
    /// Questions to whoever serves, as one of a group; none: it takes no streams, or may not.
    questions: Option<Pattern>,
    /// What is for its sockets.
    sockets: Pattern,
    /// Somebody else may have the same id.
    exclusive: bool,
    /// How many are not confirmed yet.
    unconfirmed: u8,
}

/// What comes on one of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ListenerPart {
    /// Questions who serves.
    Status,
    /// Questions to whoever serves.
    Questions,
    /// What is for its sockets.
    Sockets,
}

impl Subscriptions {
    pub(super) fn new(
        (subject, id): (&str, &str),
        exclusive: bool,
        config: &SocketConfig,
    ) -> Result<Self, InvalidSubject> {
        let questions = if config.speaks_stream() {
            Some(Pattern::parse(&format!("{subject}.server.~.*"))?)
        } else {
            None
        };
        Ok(Self {
            status: Pattern::parse(&format!("{subject}.server.status"))?,
            sockets: Pattern::parse(&format!("{subject}.server.{id}.*"))?,
            exclusive,
            unconfirmed: 2 + u8::from(questions.is_some()),
            questions,
        })
    }

    /// Returns what subscribes. Who finds it has to find its sockets, too.
    pub(super) fn begin(&self) -> impl Iterator<Item = Output> {
        let questions = self.questions.clone().map(Output::SubscribeInGroup);
        [self.sockets_again(), Output::Subscribe(self.status.clone())].into_iter().chain(questions)
    }

    /// Returns what subscribes once more.
    pub(super) fn again(&self, part: ListenerPart) -> Option<Output> {
        match part {
            ListenerPart::Status => Some(Output::Subscribe(self.status.clone())),
            ListenerPart::Questions => self.questions.clone().map(Output::SubscribeInGroup),
            ListenerPart::Sockets => Some(self.sockets_again()),
        }
    }

    fn sockets_again(&self) -> Output {
        let subscribe = if self.exclusive { Output::SubscribeExclusively } else { Output::Subscribe };
        subscribe(self.sockets.clone())
    }

    /// Returns what lets nobody new find it, behind what has come.
    pub(super) fn retire(&self) -> impl Iterator<Item = Output> {
        let status = Output::Drain(self.status.clone());
        self.questions.clone().map(Output::Drain).into_iter().chain([status])
    }

    /// Returns what ends all that has not ended.
    pub(super) fn end(&self, is_retired: bool) -> impl Iterator<Item = Output> {
        let found = self.questions.clone().into_iter().chain([self.status.clone()]);
        let all = found.filter(move |_| !is_retired).chain([self.sockets.clone()]);
        all.map(Output::Unsubscribe)
    }

    /// One is confirmed.
    pub(super) fn confirm(&mut self) {
        self.unconfirmed = self.unconfirmed.saturating_sub(1);
    }

    pub(super) fn are_confirmed(&self) -> bool {
        self.unconfirmed == 0
    }

    /// It takes no questions to whoever listens.
    pub(super) fn give_up_questions(&mut self) {
        self.questions = None;
    }

    pub(super) fn part_of(&self, pattern: &Pattern) -> ListenerPart {
        if *pattern == self.status {
            ListenerPart::Status
        } else if self.questions.as_ref() == Some(pattern) {
            ListenerPart::Questions
        } else {
            ListenerPart::Sockets
        }
    }

    /// Returns whether the two get the same for their sockets.
    pub(super) fn are_beside(&self, other: &Self) -> bool {
        self.sockets == other.sockets
    }

    /// Returns whether the two get the same questions to whoever listens, as one member of the group.
    pub(super) fn are_one_member(&self, other: &Self) -> bool {
        self.questions.is_some() && self.questions == other.questions
    }
}
