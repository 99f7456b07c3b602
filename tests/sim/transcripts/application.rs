//! What the application of the client's end does.

use selvedge::socket::{AskTerms, Consumed, SocketEnd};
use selvedge::wire::stream::{Answer, Class, Request, key};
use selvedge::wire::{Encoding, Item, Json, Messages, Payload};
use serde_json::json;

use super::story::{HOUR, SECOND, Story};

impl Story {
    /// The application is handed an item: it handles it now or later, and answers some of the requests.
    pub fn take(&mut self, item: Item) {
        let class = item.payload.encoding.class();
        if class == Some(Class::Answer) {
            return self.client.consumed(self.now, Consumed { answers: 1, ..Consumed::default() });
        }
        let is_request = class == Some(Class::Request);
        let delay = if self.dice.chance(0.6) { self.network_time(0, 1) } else { self.network_time(0, 400) };
        self.after(delay, move |story| {
            let counts =
                Consumed { data: u64::from(!is_request), requests: u64::from(is_request), answers: 0 };
            if !story.client.is_closed() {
                story.lines.give(story.now, json!(["consumed", counts.data, counts.requests]));
                story.client.consumed(story.now, counts);
                story.has_news = true;
            }
        });
        if is_request && self.dice.chance(0.8) {
            let key = key(&item.payload.raw).expect("a key");
            let delay = self.network_time(1, 900);
            self.after(delay, move |story| story.answer(key));
        }
    }

    fn is_open(&self) -> bool {
        !self.client.is_closing() && !self.is_ending
    }

    pub fn write_some(&mut self) {
        for _ in 0..=self.dice.below(7) {
            let (n, size) = (self.written + 1, self.dice.below(60));
            let volatile = self.dice.chance(0.1);
            let (payload, json) = data(n, size);
            let is_written =
                self.is_open() && self.client.write(self.now, Messages::one(payload, json), volatile).is_ok();
            if is_written {
                self.written = n;
                self.lines.give(self.now, json!(["write", n, size, volatile]));
                self.has_news = true;
            }
        }
    }

    pub fn ask(&mut self) {
        let timeout = self.dice.pick(&[0, 700, 3000, 20_000]);
        let asked = self.asked + 1;
        // Later it fails at once, and what fails at once has no key in a page.
        if self.away_since.is_some_and(|since| self.now > since + SECOND) {
            return;
        }
        let request = Request { key: asked, timeout, payload: short(asked) }.encode(false);
        let item = Item { payload: request, json: None };
        if self.is_open() && self.client.ask(self.now, item, AskTerms::default()).is_ok() {
            self.asked = asked;
            self.lines.give(self.now, json!(["ask", asked, timeout]));
            self.has_news = true;
        }
    }

    fn answer(&mut self, key: u64) {
        let answer = Answer { key, payload: short(key) }.encode(false);
        if self.is_open() && self.client.write(self.now, Messages::one(answer, None), false).is_ok() {
            self.lines.give(self.now, json!(["answer", key]));
            self.has_news = true;
        }
    }

    pub fn detach_by_hand(&mut self) {
        if self.client.is_closing() {
            return;
        }
        self.lines.give(self.now, json!(["disconnect"]));
        self.client.disconnect(self.now);
        self.has_news = true;
        // A socket that connects by itself does so at once.
        if self.config.reconnection {
            return self.attach_by_hand();
        }
        let delay = self.network_time(0, 3000);
        self.after(delay, Self::attach_by_hand);
    }

    pub fn attach_by_hand(&mut self) {
        if !self.client.is_closing() {
            self.lines.give(self.now, json!(["connect"]));
            self.client.connect(self.now);
            self.has_news = true;
        }
    }

    pub fn end(&mut self) {
        if self.is_open() {
            self.is_ending = true;
            self.lines.give(self.now, json!(["end"]));
            self.client.end(self.now, 1, self.now + HOUR);
            self.has_news = true;
        }
    }

    pub fn close(&mut self) {
        if !self.client.is_closed() {
            self.is_ending = true;
            self.lines.give(self.now, json!(["close"]));
            self.client.close_by_application(None);
            self.has_news = true;
        }
    }
}

/// Message `n` of an application; each third has headers.
pub fn data(n: u32, size: usize) -> (Payload, Option<Json>) {
    let mut raw = n.to_be_bytes().to_vec();
    raw.resize(4 + size, 7);
    let json = n.is_multiple_of(3).then(|| Json::from_value(&json!({ "n": n })));
    (Payload { encoding: Encoding::MSGPACK, raw: raw.into() }, json)
}

/// What is asked, and what is answered.
pub fn short(key: u64) -> Payload {
    Payload::msgpack(key.to_be_bytes().to_vec())
}
