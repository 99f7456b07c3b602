//! A server with one client, which hears what it says itself.

use std::collections::BTreeMap;
use std::time::Instant;

use bytes::{Bytes, BytesMut};

use crate::subject::Pattern;
use crate::wire::message::{ClientOp, ServerOp};
use crate::wire::nats::{Client, Frame, Heard, ServerInfo, frame_length};

pub const MAX_PAYLOAD: usize = 1024 * 1024;

/// Both ends, and what is between them.
pub struct Model {
    pub client: Client,
    pub now: Instant,
    /// What the client has said and the server has not read.
    pub said: BytesMut,
    subscriptions: BTreeMap<u64, String>,
    /// Subjects and patterns that are refused.
    pub forbidden: Vec<String>,
    /// Whether somebody else listens to a subject.
    pub others: Vec<Pattern>,
    pub max_subscriptions: usize,
    /// The lines that it has read, without payloads.
    pub lines: Vec<String>,
}

impl Model {
    pub fn new(version: &str) -> Self {
        let info = ServerInfo {
            server_id: "N1".into(),
            version: version.into(),
            headers: true,
            max_payload: MAX_PAYLOAD,
            connect_urls: Some(vec!["10.0.0.1:4222".into()]),
            ..ServerInfo::default()
        };
        #[allow(clippy::disallowed_methods)]
        let now = Instant::now();
        Self {
            client: Client::new(info),
            now,
            said: BytesMut::new(),
            subscriptions: BTreeMap::new(),
            forbidden: Vec::new(),
            others: Vec::new(),
            max_subscriptions: usize::MAX,
            lines: Vec::new(),
        }
    }

    pub fn say(&mut self, op: ClientOp) {
        self.client.handle_op(self.now, op, &mut self.said);
    }

    /// Sends a fence, lets the server answer, and returns what the client makes of it.
    pub fn exchange(&mut self) -> Vec<ServerOp> {
        self.client.push_fence(&mut self.said);
        let answers = self.serve();
        self.hear(&answers)
    }

    /// Gives the client bytes of the server, each frame twice: in a buffer, and shared.
    pub fn hear(&mut self, bytes: &[u8]) -> Vec<ServerOp> {
        let (mut ops, mut rest) = (Vec::new(), bytes);
        self.client.take_ready(&mut ops);
        while let Some(length) = frame_length(rest, self.client.max_message()).expect("a frame") {
            let frame = Bytes::copy_from_slice(&rest[..length]);
            let heard = self.client.handle_frame(self.now, Frame::Shared(&frame), &mut ops);
            assert_ne!(heard.expect("readable"), Heard::Leave);
            rest = &rest[length..];
        }
        assert!(rest.is_empty(), "a frame in part");
        ops
    }

    /// Reads what the client has said, in order.
    pub fn serve(&mut self) -> Vec<u8> {
        let said = self.said.split().freeze();
        let (mut rest, mut answers) = (&said[..], Vec::new());
        while !rest.is_empty() {
            let end = rest.windows(2).position(|pair| pair == b"\r\n").expect("a whole line");
            let line = String::from_utf8(rest[..end].to_vec()).expect("a line of text");
            assert!(line.len() <= 4096, "the server closes over it");
            rest = &rest[end + 2..];
            self.lines.push(line.clone());
            let words: Vec<&str> = line.split(' ').filter(|word| !word.is_empty()).collect();
            match words[..] {
                ["PING"] => answers.extend(b"PONG\r\n"),
                ["SUB", pattern, .., sid] => self.subscribe(pattern, sid, &mut answers),
                ["UNSUB", sid] => {
                    self.subscriptions.remove(&sid.parse().expect("a number"));
                }
                ["PUB" | "HPUB", subject, ref more @ ..] => {
                    let has_headers = words[0] == "HPUB";
                    let (reply, sizes) = more.split_at(more.len() - 1 - usize::from(has_headers));
                    let number = |text: &str| text.parse::<usize>().expect("a size");
                    let total = number(sizes[sizes.len() - 1]);
                    let headers = if has_headers { number(sizes[0]) } else { 0 };
                    assert!(total <= MAX_PAYLOAD && headers <= total, "the server closes over it");
                    let (content, behind) = rest.split_at(total);
                    rest = behind.strip_prefix(b"\r\n").expect("as long as it says");
                    self.publish(subject, reply.first().copied(), content, headers, &mut answers);
                }
                _ => panic!("unknown: {line}"),
            }
        }
        answers
    }

    fn subscribe(&mut self, pattern: &str, sid: &str, answers: &mut Vec<u8>) {
        if self.forbidden.iter().any(|text| text == pattern) {
            let error = format!("-ERR 'Permissions Violation for Subscription to \"{pattern}\"'\r\n");
            return answers.extend(error.as_bytes());
        }
        if self.subscriptions.len() >= self.max_subscriptions {
            return answers.extend(b"-ERR 'maximum subscriptions exceeded'\r\n");
        }
        self.subscriptions.insert(sid.parse().expect("a number"), pattern.to_owned());
    }

    fn publish(
        &mut self,
        subject: &str,
        reply: Option<&str>,
        content: &[u8],
        headers: usize,
        answers: &mut Vec<u8>,
    ) {
        if self.forbidden.iter().any(|text| text == subject) {
            let error = format!("-ERR 'Permissions Violation for Publish to \"{subject}\"'\r\n");
            return answers.extend(error.as_bytes());
        }
        let is_traced = content[..headers].windows(15).any(|part| part == b"Nats-Trace-Only");
        let matches = |pattern: &str| Pattern::parse(pattern).expect("valid").matches(subject);
        let mine: Vec<u64> =
            self.subscriptions.iter().filter(|(_, pattern)| matches(pattern)).map(|(sid, _)| *sid).collect();
        let heard = !mine.is_empty() || self.others.iter().any(|pattern| pattern.matches(subject));
        for sid in mine.into_iter().filter(|_| !is_traced) {
            deliver(answers, subject, sid, reply, &content[..headers], &content[headers..]);
        }
        if let Some(reply) = reply.filter(|_| !heard) {
            let inbox: Vec<u64> = self
                .subscriptions
                .iter()
                .filter(|(_, pattern)| Pattern::parse(pattern).expect("valid").matches(reply))
                .map(|(sid, _)| *sid)
                .collect();
            for sid in inbox {
                deliver(answers, reply, sid, None, b"NATS/1.0 503\r\n\r\n", b"");
            }
        }
    }
}

/// Appends a message as a server says it.
pub fn deliver(
    out: &mut Vec<u8>,
    subject: &str,
    sid: u64,
    reply: Option<&str>,
    headers: &[u8],
    payload: &[u8],
) {
    let reply = reply.map_or(String::new(), |reply| format!("{reply} "));
    let total = headers.len() + payload.len();
    let line = match headers.len() {
        0 => format!("MSG {subject} {sid} {reply}{total}\r\n"),
        length => format!("HMSG {subject} {sid} {reply}{length} {total}\r\n"),
    };
    for part in [line.as_bytes(), headers, payload, b"\r\n"] {
        out.extend(part);
    }
}
