//! The fabric between the two ends: loses, doubles and delays, and is cut on either side.

use std::collections::BTreeMap;
use std::time::Duration;

use selvedge::socket::{CommandError, SocketEnd, Tag, TagKind, WatchedEnd};
use selvedge::subject::Subject;
use selvedge::wire::{Bundle, Headers, Message, Presence};
use serde_json::{Value, json};

use super::lines;
use super::story::{ID, Story};

/// What is under way, and who is there.
#[derive(Default)]
pub struct Network {
    pub has_client: bool,
    pub has_server: bool,
    /// The client's own subject is subscribed; or will be.
    pub is_subscribed: bool,
    pub is_subscribing: bool,
    /// The client watches its server.
    pub is_watched: bool,
    /// Nobody tells of the server's absence.
    pub is_untold: bool,
    /// Of 1.
    pub loss: f64,
    /// How often a side was cut off: what comes back for an earlier one does not count.
    client_life: u64,
    server_life: u64,
    questions: BTreeMap<u32, Question>,
    /// Questions that differ.
    asked: u64,
    latest: Option<(Option<u64>, Duration)>,
}

/// A question of the client that is not answered.
#[derive(Debug, Clone)]
pub struct Question {
    /// Which one, if repetitions do not count.
    pub number: u64,
    /// Of a `connect`.
    pub attempt: Option<u64>,
    pub is_delivered: bool,
}

impl Question {
    fn tag(&self, number: u32) -> Tag {
        let kind = if self.attempt.is_some() { TagKind::Connect } else { TagKind::FindServer };
        Tag { kind, number }
    }
}

impl Network {
    /// Notes a question. Returns whether it is new, and not an earlier one again: that has less time.
    pub fn open(&mut self, tag: Tag, question: Question, timeout: Duration) -> bool {
        let is_new = !self.latest.is_some_and(|(attempt, given)| {
            attempt == question.attempt && (attempt.is_some() || timeout < given)
        });
        if is_new {
            self.asked += 1;
            self.latest = Some((question.attempt, timeout));
        }
        self.questions.insert(tag.number, Question { number: self.asked, ..question });
        is_new
    }

    pub fn forget(&mut self, tag: Tag) {
        self.questions.remove(&tag.number);
    }
}

impl Story {
    fn delay(&mut self) -> Duration {
        let is_late = self.network.loss > 0.0 && self.dice.chance(0.1);
        if is_late { self.network_time(0, 1500) } else { self.network_time(1, 40) }
    }

    /// When each copy of something arrives.
    fn copies(&mut self) -> Vec<Duration> {
        let loss = self.network.loss;
        if self.dice.chance(loss) {
            return Vec::new();
        }
        let count = if self.dice.chance(loss / 2.0) { 2 } else { 1 };
        (0..count).map(|_| self.delay()).collect()
    }

    // ---- from the client

    pub fn post_to_server(&mut self, message: Message) {
        let life = self.network.server_life;
        if !self.network.has_client {
            return;
        }
        for delay in self.copies() {
            let message = message.clone();
            self.after(delay, move |story| {
                if story.network.has_server && story.network.server_life == life {
                    story.server_hears(message);
                }
            });
        }
    }

    pub fn post_bundle_to_server(&mut self, bundle: &Bundle) {
        bundle.messages().for_each(|message| self.post_to_server(message));
    }

    /// Nobody may be there for it.
    pub fn report_probe(&mut self, tag: Tag) {
        if self.network.has_server || !self.network.has_client {
            return;
        }
        let (delay, life) = (self.delay(), self.network.client_life);
        self.after(delay, move |story| {
            if story.probe == Some(tag) && story.network.client_life == life {
                story.lines.give(story.now, json!(["nobody"]));
                story.client.handle_reply(story.now, tag, Err(CommandError::NoSubscribers));
                story.has_news = true;
            }
        });
    }

    pub fn put_question(&mut self, tag: Tag, message: Message, timeout: Duration) {
        let (life, reply) = (self.network.client_life, Subject::parse(&inbox(tag)).ok());
        let message = Message { headers: message.headers.clone().with_reply(reply), ..message };
        self.after(timeout, move |story| {
            let was = story.network.questions.get(&tag.number).map(|question| question.is_delivered);
            let error = if was == Some(true) { CommandError::Failed } else { CommandError::NoSubscribers };
            story.answer_question(tag, life, Err(error));
        });
        self.carry_question(tag, message);
    }

    /// Takes it to the server, or waits until there is one.
    fn carry_question(&mut self, tag: Tag, message: Message) {
        if !self.network.questions.contains_key(&tag.number) {
            return;
        }
        if !self.network.has_server {
            return self.after(Duration::from_millis(20), move |story| story.carry_question(tag, message));
        }
        if let Some(question) = self.network.questions.get_mut(&tag.number) {
            question.is_delivered = true;
        }
        self.post_to_server(message);
    }

    pub fn answer_question(&mut self, tag: Tag, life: u64, answer: Result<Message, CommandError>) {
        if life != self.network.client_life || !self.network.has_client {
            return;
        }
        let Some(question) = self.network.questions.remove(&tag.number) else { return };
        let told = match &answer {
            Ok(message) => Value::Array(vec![lines::item_of(message)]),
            Err(CommandError::NoSubscribers) => json!("nobody"),
            Err(CommandError::ReceiverEnded) => json!("ended"),
            Err(_) => json!("timeout"),
        };
        self.lines.give(self.now, json!(["reply", question.number, told]));
        self.client.handle_reply(self.now, tag, answer);
        self.has_news = true;
    }

    pub fn answer_look(&mut self, tag: Tag) {
        let (delay, life) = (self.delay(), self.network.client_life);
        self.after(delay, move |story| {
            if story.network.client_life == life && story.network.has_client {
                let there = story.network.has_server;
                story.lines.give(story.now, json!(["looked", there]));
                story.client.handle_interest(story.now, tag, there);
                story.has_news = true;
            }
        });
    }

    pub fn confirm_subscription(&mut self) {
        self.network.is_subscribing = true;
        let (delay, life) = (self.delay(), self.network.client_life);
        self.after(delay, move |story| {
            let waits = story.network.is_subscribing && story.network.client_life == life;
            if waits && story.network.has_client {
                story.network.is_subscribed = true;
                story.network.is_subscribing = false;
                story.lines.give(story.now, json!(["confirmed"]));
                story.client.handle_subscribed(story.now);
                story.has_news = true;
            }
        });
    }

    // ---- to the client

    /// From the server: to its subject, or its inbox.
    pub fn post_to_client(&mut self, message: Message) {
        for delay in self.copies() {
            let (message, life) = (message.clone(), self.network.client_life);
            self.after(delay, move |story| {
                if story.hears(life) {
                    story.lines.give_message(story.now, &message);
                    story.client.handle_message(story.now, message);
                    story.has_news = true;
                }
            });
        }
    }

    pub fn post_bundle_to_client(&mut self, bundle: &Bundle) {
        for delay in self.copies() {
            let (bundle, life) = (bundle.clone(), self.network.client_life);
            self.after(delay, move |story| {
                if !story.hears(life) {
                    return;
                }
                story.lines.give_bundle(story.now, &bundle);
                if !story.client.try_accept_bundle(story.now, &bundle) {
                    bundle.messages().for_each(|one| story.client.handle_message(story.now, one));
                }
                story.has_news = true;
            });
        }
    }

    pub fn post_reply(&mut self, message: Message) {
        let number = message.subject.last_token().parse().unwrap_or(0);
        let Some(tag) = self.network.questions.get(&number).map(|question| question.tag(number)) else {
            return;
        };
        let life = self.network.client_life;
        for delay in self.copies() {
            let message = Message { headers: Headers::default(), ..message.clone() };
            self.after(delay, move |story| story.answer_question(tag, life, Ok(message)));
        }
    }

    fn hears(&self, life: u64) -> bool {
        self.network.client_life == life && self.network.has_client && self.network.is_subscribed
    }

    /// The client watches its server as soon as it turns to it.
    pub fn watch_server(&mut self) {
        let is_new = !self.network.is_watched && self.client.peer_subject().is_some();
        if is_new && self.network.has_client {
            self.network.is_watched = true;
            if !self.network.has_server {
                self.tell_presence(Presence::Absent);
            }
        }
    }

    /// What the broker says of the server.
    fn tell_presence(&mut self, presence: Presence) {
        if self.network.is_untold {
            return;
        }
        let (delay, life) = (self.delay(), self.network.client_life);
        self.after(delay, move |story| {
            let watches = story.network.is_watched && !story.client.is_closed();
            if story.network.client_life == life && watches {
                story.lines.give(story.now, json!(["presence", presence as u8]));
                story.client.handle_presence(story.now, WatchedEnd::Peer, presence, 1);
                story.has_news = true;
            }
        });
    }

    // ---- what breaks

    pub fn bring_up_client(&mut self) {
        self.network.has_client = true;
        self.lines.give(self.now, json!(["up"]));
        self.client.handle_fabric_up(self.now);
        self.has_news = true;
        if self.network.is_subscribing {
            self.confirm_subscription();
        }
        self.tell_server(Presence::Here);
    }

    pub fn cut_client(&mut self) {
        if !self.network.has_client {
            return;
        }
        (self.network.has_client, self.network.is_watched) = (false, false);
        self.network.client_life += 1;
        self.network.questions.clear();
        self.network.latest = None;
        self.lines.give(self.now, json!(["down"]));
        self.client.handle_fabric_down(self.now);
        self.has_news = true;
        self.tell_server(Presence::Cut);
        let delay = self.network_time(5, 3000);
        self.after(delay, Story::bring_up_client);
        if !self.config.reconnection {
            let delay = delay + self.network_time(0, 3000);
            self.after(delay, Story::attach_by_hand);
        }
    }

    pub fn bring_up_server(&mut self) {
        self.network.has_server = true;
        self.listener.handle_fabric_up();
        if let Some(server) = &mut self.server {
            server.handle_fabric_up(self.now);
        }
        self.tell_presence(Presence::Here);
    }

    fn take_down_server(&mut self, presence: Presence) {
        self.network.has_server = false;
        self.network.server_life += 1;
        self.listener.handle_fabric_down();
        if let Some(server) = &mut self.server {
            server.handle_fabric_down(self.now);
        }
        self.tell_presence(presence);
        let life = self.network.client_life;
        let delivered = self.network.questions.iter().filter(|(_, question)| question.is_delivered);
        let delivered: Vec<Tag> = delivered.map(|(number, question)| question.tag(*number)).collect();
        for tag in delivered {
            let delay = self.delay();
            self.after(delay, move |story| {
                story.answer_question(tag, life, Err(CommandError::ReceiverEnded));
            });
        }
    }

    pub fn cut_server(&mut self) {
        if self.network.has_server {
            self.network.is_untold = self.dice.chance(0.3);
            self.take_down_server(Presence::Cut);
            let delay = self.network_time(5, 4000);
            self.after(delay, |story| {
                story.bring_up_server();
                story.network.is_untold = false;
            });
        }
    }

    /// It does not come back.
    pub fn server_dies(&mut self) {
        if self.network.has_server {
            let presence = self.dice.pick(&[Presence::Gone, Presence::Cut, Presence::Left, Presence::Silent]);
            self.take_down_server(presence);
        }
    }

    pub fn lose_for_a_while(&mut self) {
        self.network.loss = self.dice.pick(&[0.1, 0.3, 0.6]);
        let delay = self.network_time(100, 4000);
        self.after(delay, |story| story.network.loss = 0.0);
    }
}

fn inbox(tag: Tag) -> String {
    format!("inbox.{ID}.{}", tag.number)
}
