//! The lines of a transcript: a time in microseconds, a word, and what belongs to it.

use std::time::Instant;

use selvedge::base::Failure;
use selvedge::wire::stream::{Cancel, Close, Counts, Status, key};
use selvedge::wire::{Bundle, Encoding, Item, Json, Message, Messages, Payload};
use serde_json::{Value, json};

/// What one end was given, and what it said.
pub struct Lines {
    start: Instant,
    /// The tag that it offered last.
    own_tag: Option<u64>,
    pub given: Vec<Value>,
    pub said: Vec<Value>,
}

impl Lines {
    pub fn new(start: Instant) -> Self {
        Self { start, own_tag: None, given: Vec::new(), said: Vec::new() }
    }

    fn line(&self, now: Instant, rest: Value) -> Value {
        let micros = ((now - self.start).as_nanos() + 500) / 1000;
        let mut line = vec![json!(u64::try_from(micros).unwrap_or(u64::MAX))];
        if let Value::Array(rest) = rest {
            line.extend(rest);
        }
        Value::Array(line)
    }

    pub fn give(&mut self, now: Instant, rest: Value) {
        let line = self.line(now, rest);
        self.given.push(line);
    }

    pub fn say(&mut self, now: Instant, rest: Value) {
        let line = self.line(now, rest);
        self.said.push(line);
    }

    /// A message came.
    pub fn give_message(&mut self, now: Instant, message: &Message) {
        let headers = &message.headers;
        let command = headers.command.as_ref().map(|command| command.as_str());
        let items = [item_of(message)];
        let attempt = self.attempt(headers.attempt());
        if command.is_none() && attempt == json!("own") {
            let line = [
                vec![json!("data"), json!(headers.seq())],
                item_parts(&message.payload, headers.json.as_ref()),
            ];
            return self.give(now, Value::Array(line.concat()));
        }
        self.give(now, json!(["message", command, headers.seq(), attempt, items]));
    }

    /// Messages in a row came.
    pub fn give_bundle(&mut self, now: Instant, bundle: &Bundle) {
        let items: Vec<Value> =
            bundle.packed.items().map(|one| item(&one.payload, one.json.as_ref())).collect();
        let attempt = self.attempt(bundle.attempt);
        self.give(now, json!(["message", null, bundle.first, attempt, items]));
    }

    /// The tag that it goes by is not repeated in each line.
    fn attempt(&self, attempt: Option<u64>) -> Value {
        if attempt.is_some() && attempt == self.own_tag { json!("own") } else { json!(attempt) }
    }

    /// It sent what has a number, or control.
    pub fn say_frame(&mut self, now: Instant, message: &Message) {
        let (seq, tag) = (message.headers.seq(), message.headers.attempt().map(|tag| tag % 1000));
        let (payload, json) = (&message.payload, message.headers.json.as_ref());
        let line = match payload.encoding {
            Encoding::STATUS => json!(["status", seq, tag, status(payload)]),
            Encoding::CLOSE => {
                let close = Close::decode(&payload.raw).expect("a close");
                let counts = counts(&close.counts);
                json!(["close", seq, tag, counts, close.written, close.is_draining, close.code])
            }
            encoding => json!(["send", seq, tag, encoding.0, mark(payload, json)]),
        };
        self.say(now, line);
    }

    /// It asked a server to attach it.
    pub fn say_connect(&mut self, now: Instant, message: &Message) {
        let greeting = message.headers.json.as_ref().map_or(Value::Null, Json::to_value);
        let offer = &greeting["stream"];
        let status = (message.payload.encoding == Encoding::STATUS).then(|| status(&message.payload));
        let (attempt, seq) = (message.headers.attempt(), message.headers.seq());
        self.own_tag = offer["tag"].as_u64();
        let (resume, tag, peer, window) =
            (&greeting["resume"], &offer["tag"], &offer["for"], &offer["window"]);
        self.say(now, json!(["connect", attempt, resume, tag, peer, window, seq, status]));
    }

    /// It handed messages to its application.
    pub fn say_got(&mut self, now: Instant, messages: &Messages) {
        for Item { payload, json } in messages.items() {
            self.say(
                now,
                match payload.encoding {
                    Encoding::CANCEL => json!(["cancelled", Cancel::decode(&payload.raw).map(|it| it.key)]),
                    Encoding::ANSWER | Encoding::REFUSAL => json!(["settled", key(&payload.raw)]),
                    encoding => json!(["got", encoding.0, mark(&payload, json.as_ref())]),
                },
            );
        }
    }

    /// A request of its application came to nothing.
    pub fn say_failed(&mut self, now: Instant, key: u64, failure: &Failure, is_unhandled: bool) {
        self.say(now, json!(["failed", key, failure.code.to_string(), is_unhandled]));
    }
}

/// The payload of a message, and its headers.
pub fn item_of(message: &Message) -> Value {
    item(&message.payload, message.headers.json.as_ref())
}

fn item(payload: &Payload, json: Option<&Json>) -> Value {
    Value::Array(item_parts(payload, json))
}

/// Its encoding, its bytes up to their filling, how much of that there is, and its headers.
fn item_parts(payload: &Payload, json: Option<&Json>) -> Vec<Value> {
    let raw = hex(&payload.raw);
    let filled = raw.trim_end_matches("07");
    let filling = (raw.len() - filled.len()) / 2;
    let parts = [json!(payload.encoding.0), json!(filled), json!(filling)];
    parts.into_iter().chain(json.map(|json| json!(json.as_str()))).collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn counts(counts: &Counts) -> Value {
    json!([counts.arrived, counts.data, counts.requests, counts.answers])
}

/// What it has; whether it asks, and was away; what it lacks.
fn status(payload: &Payload) -> Value {
    let status = Status::decode(&payload.raw).expect("a status");
    json!([counts(&status.counts), status.asks, status.was_away, status.missing])
}

/// Stands for a payload and its headers: FNV-1a.
fn mark(payload: &Payload, json: Option<&Json>) -> String {
    let json = json.map_or(&[][..], |json| json.as_bytes());
    let bytes =
        [payload.encoding.0].into_iter().chain(payload.raw.iter().copied()).chain(json.iter().copied());
    let hash = bytes.fold(0x811c_9dc5_u32, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193));
    format!("{hash:08x}")
}
