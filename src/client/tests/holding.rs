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

/// The acknowledgement of the one request among these.
fn ack_of_request(ops: &[ClientOp]) -> AckId {
    let acks: Vec<AckId> = (ops.iter())
        .filter_map(|op| match op {
            ClientOp::Request { ack, .. } | ClientOp::WaitForInterest { ack, .. } => Some(*ack),
            _ => None,
        })
        .collect();
    let [ack] = acks[..] else { panic!("{ops:?}") };
    ack
}

/// A client that has asked while its broker drained, at the next one, where nobody is yet. Returns the
/// acknowledgement of its wait.
fn held_and_unheard() -> (Stage, AckId) {
    let mut stage = Stage::ready();
    stage.ops();
    stage.say_draining();
    stage.ask(1, RequestKind::Request);
    stage.lose();
    stage.sign_in();
    let ack = ack_of_request(&stage.ops());
    stage.reply(ack, Reply::Published { count: 0 });
    assert_eq!(stage.news(), [], "whoever is asked may come a moment later");
    let ack = ack_of_request(&stage.ops());
    (stage, ack)
}

impl Stage {
    fn reply(&mut self, id: AckId, reply: Reply) {
        self.client.handle_op(self.now, ServerOp::Ack { id, reply });
    }

    fn wait(&mut self, time: Duration) {
        self.now += time;
        self.client.handle_timeout(self.now);
    }
}

#[test]
fn what_is_asked_after_a_drain_waits_a_moment_for_whoever_comes_from_there_too() {
    let (mut stage, wait) = held_and_unheard();
    stage.wait(Duration::from_millis(1900));
    stage.reply(wait, Reply::Interest(true));
    let ops = stage.ops();
    assert_eq!(subjects(&ops), ["list"], "with all that it had");
    stage.wait(Duration::from_secs(5));
    assert_eq!(stage.news(), [], "it has its own time for the answer");
    stage.wait(Duration::from_secs(10));
    assert!(matches!(stage.news()[..], [ClientEvent::Failed(1, ClientError::Timeout { .. })]));
}

#[test]
fn nobody_who_comes_after_a_drain_is_nobody_who_serves() {
    let (mut stage, _) = held_and_unheard();
    stage.wait(Duration::from_secs(2));
    assert!(matches!(stage.news()[..], [ClientEvent::Failed(1, ClientError::NoSubscribers { .. })]));
    stage.ask(2, RequestKind::Request);
    let ack = ack_of_request(&stage.ops());
    stage.reply(ack, Reply::Published { count: 0 });
    assert!(
        matches!(stage.news()[..], [ClientEvent::Failed(2, ClientError::NoSubscribers { .. })]),
        "that is over"
    );
}

#[test]
fn the_first_pause_after_a_drain_is_short_however_often_the_broker_was_missed_before() {
    let mut stage = Stage::ready();
    for _ in 0..10 {
        stage.client.drop_link();
        assert!(stage.client.poll_drop());
        stage.client.handle_link_down(stage.now, "cut".to_owned());
        stage.wait(Duration::from_secs(20));
        stage.sign_in();
    }
    stage.ops();
    stage.say_draining();
    stage.client.handle_link_down(stage.now, "closed".to_owned());
    for ceiling in [200, 1000, 2000, 2000] {
        stage.wait(Duration::from_millis(ceiling));
        assert!(stage.client.poll_dial(), "{ceiling}");
        stage.client.handle_link_down(stage.now, "refused".to_owned());
    }
}

#[test]
fn why_the_connection_ends_is_that_the_broker_drains() {
    let why =
        ClientError::CutOff { code: "ERR_DRAINING".to_owned(), message: "the broker is draining".to_owned() };
    assert_eq!(Failure::from(why).code, Code::Draining);
}
