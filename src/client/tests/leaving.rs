//! A server of NATS that is about to stop: its link is told what it waits for.

use bytes::{Bytes, BytesMut};

use super::*;
use crate::wire::nats::{self, Frame, ServerInfo, frame_length};

/// A client and its end of a connection to a server of NATS, which the test plays by hand.
struct Joined {
    client: Client<u32>,
    end: nats::Client,
    now: Instant,
    /// What the server has been told since that was looked at last.
    said: String,
}

impl Joined {
    /// Signed in, and ready.
    fn ready() -> Self {
        let info = ServerInfo {
            version: "2.15.1".into(),
            headers: true,
            max_payload: 1_000_000,
            ..ServerInfo::default()
        };
        let client = Client::new(ClientConfig::default(), Box::new(SeededEntropy::new(7)));
        let mut joined =
            Self { client, end: nats::Client::new(info), now: Instant::now(), said: String::new() };
        joined.client.connect();
        assert!(joined.client.poll_dial());
        joined.client.handle_link_up(joined.now, crate::base::LinkInfo::default());
        joined.exchange("");
        joined
    }

    /// Passes on all that either has for the other; the server says so much, and answers every fence.
    fn exchange(&mut self, server_says: &str) {
        let mut heard = BytesMut::from(server_says);
        loop {
            let (mut ops, mut out) = (Vec::new(), BytesMut::new());
            self.end.take_ready(&mut ops);
            while let Some(length) = frame_length(&heard, usize::MAX).expect("a frame") {
                let frame: Bytes = heard.split_to(length).freeze();
                self.end.handle_frame(self.now, Frame::Shared(&frame), &mut ops).expect("readable");
            }
            ops.into_iter().for_each(|op| self.client.handle_op(self.now, op));
            while let Some(op) = self.client.poll_op() {
                self.end.handle_op(self.now, op, &mut out);
            }
            self.end.push_fence(&mut out);
            if out.is_empty() {
                return;
            }
            let text = String::from_utf8_lossy(&out).into_owned();
            for _ in text.lines().filter(|line| *line == "PING") {
                heard.extend_from_slice(b"PONG\r\n");
            }
            self.said.push_str(&text);
        }
    }

    /// Asks, and returns the place of the answer.
    fn ask(&mut self, token: u32) -> String {
        self.said.clear();
        let message = Message {
            subject: Subject::parse("list").expect("valid"),
            payload: Payload::NIL,
            headers: Headers::default(),
        };
        let (timeout, wait_for_interest) = (Duration::from_secs(10), false);
        let request = Request { kind: RequestKind::Request, message, timeout, wait_for_interest, ttl: None };
        self.client.request(self.now, Some(token), request);
        self.exchange("");
        self.said.split_whitespace().find(|word| word.starts_with("_INBOX")).unwrap_or_default().to_owned()
    }

    /// Returns what has come of what was asked.
    fn answered(&mut self) -> Vec<u32> {
        std::iter::from_fn(|| self.client.poll_event())
            .filter_map(|event| match event {
                ClientEvent::Reply { token, .. } => Some(token),
                _ => None,
            })
            .collect()
    }
}

#[test]
fn a_server_of_nats_is_left_only_when_all_that_was_asked_is_answered() {
    let mut joined = Joined::ready();
    assert!(!joined.end.is_quiet() && !joined.end.has_answers(), "nothing was said about an end");
    let places = [1, 2].map(|token| joined.ask(token));
    let (code, message) = ("ERR_DRAINING".to_owned(), "it stops".to_owned());
    joined.client.handle_op(joined.now, ServerOp::Closing { code, message });
    joined.exchange("");
    assert!(joined.end.is_quiet() && !joined.end.has_answers(), "two are open");
    assert_eq!(joined.ask(3), "", "held");
    for (token, place) in (1..).zip(&places) {
        assert!(!joined.end.has_answers());
        // The inbox is what was subscribed to first.
        joined.exchange(&format!("MSG {place} 1 1\r\n\u{1}\r\n"));
        assert_eq!(joined.answered(), [token]);
    }
    assert!(joined.end.has_answers());
}

#[test]
fn another_server_that_has_taken_the_place_of_one_is_told_once_and_nothing_is_asked_again() {
    let mut joined = Joined::ready();
    let _ = joined.answered();
    joined.said.clear();
    let info = |id: &str| {
        let (id, user) = (id.to_owned(), Ok(Json::from_value(&serde_json::json!(null))));
        let large = Some(crate::wire::LargeMessages { chunk: 1000, whole: 5000 });
        let (cluster_name, instance, max_message, monitor) = (None, None, None, None);
        let info = Info { max_payload: 6000, id, cluster_name, user, instance, max_message, large, monitor };
        ServerOp::Info(info.into())
    };
    for id in ["N2", "N2", "N3"] {
        joined.client.handle_op(joined.now, info(id));
    }
    joined.exchange("");
    let told = std::iter::from_fn(|| joined.client.poll_event()).filter_map(|event| match event {
        ClientEvent::Session(SessionState::SignedIn(info)) => Some(info.id),
        _ => None,
    });
    assert_eq!(told.collect::<Vec<_>>(), ["N2", "N3"]);
    assert_eq!(joined.said, "");
    assert_ne!(joined.ask(5), "", "requests go on");
}
