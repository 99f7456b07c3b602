//! A broker that is about to end the connection in order: what is asked from then on goes to the next one.

use super::*;
use crate::base::{Code, Failure};

impl Stage {
    fn say_draining(&mut self) {
        let (code, message) = ("ERR_DRAINING".to_owned(), "the broker is draining".to_owned());
        self.client.handle_op(self.now, ServerOp::Closing { code, message });
    }

    fn publish_to(&mut self, subject: &str) {
        let subject = Subject::parse(subject).expect("valid");
        let message = Message { subject, payload: Payload::NIL, headers: Headers::default() };
        let timeout = Duration::from_secs(10);
        let (kind, wait_for_interest) = (RequestKind::Publish, false);
        self.client.request(
            self.now,
            Some(9),
            Request { kind, message, timeout, wait_for_interest, ttl: None },
        );
    }
}

/// The subjects of what leaves.
fn subjects(ops: &[ClientOp]) -> Vec<&str> {
    ops.iter().filter_map(|op| Some(op.publication()?.subject.as_str())).collect()
}

#[test]
fn what_is_asked_after_a_broker_has_said_that_it_drains_waits_for_the_next_one() {
    let mut stage = Stage::ready();
    stage.ops();
    stage.ask(1, RequestKind::Request);
    stage.say_draining();
    let ops = stage.ops();
    assert_eq!(ops.last(), Some(&ClientOp::InfoReceived), "behind all that was asked");
    assert_eq!(subjects(&ops), ["list"]);
    let many = RequestKind::RequestMany(ReplyLimits { max_messages: None, max_wait: None });
    stage.ask(2, RequestKind::Request);
    stage.ask(3, many);
    stage.publish_to("news.today");
    stage.publish_to("_INBOX.other.1");
    assert_eq!(subjects(&stage.ops()), ["_INBOX.other.1"], "its answers are what the broker waits for");
    assert_eq!(stage.news(), []);
    stage.lose();
    stage.sign_in();
    assert_eq!(subjects(&stage.ops()), ["list", "list", "news.today"]);
    stage.ask(4, RequestKind::Request);
    assert_eq!(subjects(&stage.ops()), ["list"], "that is over");
}

#[test]
fn the_broker_is_told_when_all_that_had_left_is_answered() {
    let mut stage = Stage::ready();
    stage.ops();
    stage.ask(1, RequestKind::Request);
    stage.say_draining();
    let words = |ops: &[ClientOp]| ops.iter().filter(|op| **op == ClientOp::InfoReceived).count();
    assert_eq!(words(&stage.ops()), 1, "the word is known");
    stage.ask(2, RequestKind::Request);
    stage.now += Duration::from_secs(10);
    stage.client.handle_timeout(stage.now);
    assert_eq!(stage.news().len(), 1, "one has had its time");
    assert_eq!(words(&stage.ops()), 1, "and the other one has not left");
    stage.client.handle_timeout(stage.now);
    assert_eq!(words(&stage.ops()), 0);
    let mut idle = Stage::ready();
    idle.ops();
    idle.say_draining();
    assert_eq!(words(&idle.ops()), 2);
}

#[test]
fn why_the_connection_ends_is_that_the_broker_drains() {
    let why =
        ClientError::CutOff { code: "ERR_DRAINING".to_owned(), message: "the broker is draining".to_owned() };
    assert_eq!(Failure::from(why).code, Code::Draining);
}
