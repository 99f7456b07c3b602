//! What a neighbour waits for while a stranger floods the same receiver, in messages: counted, not timed.
//! The broker, the window of what is under way, and a receiver that reads slowly, without a clock.
#![allow(clippy::disallowed_methods, clippy::large_enum_variant, missing_docs)]

use std::collections::VecDeque;
use std::time::Instant;

use selvedge::base::SeededEntropy;
use selvedge::broker::{Broker, BrokerConfig, PeerId};
use selvedge::link::ReadWindow;
use selvedge::subject::Subject;
use selvedge::wire::{
    ClientOp, Headers, Json, Message, Payload, Publication, ServerOp, Subscription, SubscriptionClass,
};

/// What the network carries to the receiver.
enum Item {
    Op(ServerOp),
    Mark(u64),
}

struct Stage {
    broker: Broker,
    now: Instant,
    receiver: PeerId,
    window: ReadWindow,
    marks: u64,
    /// As much as it is given: operating systems hold megabytes.
    network: VecDeque<Item>,
}

impl Stage {
    fn new(pattern: &str) -> Self {
        let now = Instant::now();
        let mut broker = Broker::new(BrokerConfig::default(), Box::new(SeededEntropy::new(1)));
        let receiver = broker.attach(now, nobody());
        let subscription = Subscription {
            pattern: pattern.into(),
            queue: Some("q".into()),
            class: SubscriptionClass::Shared,
            exclusive: None,
        };
        let subscriptions = vec![subscription];
        broker.handle_op(now, receiver, ClientOp::Subscribe { ack: None, subscriptions, list: false });
        let (window, network) = (ReadWindow::default(), VecDeque::new());
        Self { broker, now, receiver, window, marks: 0, network }
    }

    fn join(&mut self) -> PeerId {
        self.broker.attach(self.now, nobody())
    }

    fn publish(&mut self, peer: PeerId, subject: &str, times: usize) {
        let mut ops: Vec<ClientOp> = (0..times).map(|_| publication(subject)).collect();
        while !ops.is_empty() {
            self.broker.handle_ops(self.now, peer, &mut ops, 0);
            self.send();
            // One who floods has to rest.
            self.now = self.broker.rests_until(peer).unwrap_or(self.now);
        }
    }

    /// As the task of a connection does, whose network takes whatever it is given.
    fn send(&mut self) {
        while self.window.has_room(self.broker.is_contended(self.receiver)) {
            let mut taken = Vec::new();
            self.broker.take_outbox(self.receiver, &mut taken);
            if taken.is_empty() {
                return;
            }
            for op in taken {
                let wants_mark = self.window.note_sent(1);
                self.network.push_back(Item::Op(op));
                if wants_mark {
                    self.marks += 1;
                    self.window.note_mark(Some(self.marks));
                    self.network.push_back(Item::Mark(self.marks));
                }
            }
        }
    }

    /// Reads so many messages. Returns their subjects.
    fn read(&mut self, most: usize) -> Vec<String> {
        let mut subjects = Vec::new();
        while subjects.len() < most
            && let Some(item) = self.network.pop_front()
        {
            match item {
                Item::Mark(mark) => self.window.handle_read(mark),
                Item::Op(ServerOp::Deliver { publication, .. }) => {
                    subjects.push(publication.subject.as_str().to_owned());
                }
                Item::Op(_) => {}
            }
            self.send();
        }
        subjects
    }
}

fn nobody() -> Json {
    Json::from_value(&serde_json::Value::Null)
}

fn publication(subject: &str) -> ClientOp {
    let publication = Publication::chunk(
        "1".into(),
        0,
        true,
        Message {
            subject: Subject::parse(subject).expect("valid"),
            payload: Payload::msgpack("x"),
            headers: Headers::default(),
        },
    );
    ClientOp::Publish { ack: None, publication }
}

/// Returns how many of the stranger's messages the receiver reads while each of the neighbour's is under way.
fn between(pattern: &str, [strangers, neighbours]: [&str; 2], rounds: usize) -> Vec<usize> {
    let mut stage = Stage::new(pattern);
    let (stranger, neighbour) = (stage.join(), stage.join());
    // The network is full before anybody else comes.
    stage.publish(stranger, strangers, 50_000);
    (0..rounds)
        .map(|_| {
            stage.publish(neighbour, neighbours, 1);
            let mut count = 0;
            loop {
                // Four times what is read.
                stage.publish(stranger, strangers, 400);
                let read = stage.read(100);
                assert!(!read.is_empty(), "nothing comes any more");
                if let Some(at) = read.iter().position(|subject| subject == neighbours) {
                    return count + at;
                }
                count += read.len();
            }
        })
        .collect()
}

#[test]
fn a_neighbour_waits_behind_no_more_of_a_strangers_flood_than_is_documented() {
    for (pattern, subjects) in [
        ("svc.server.s.*", ["svc.server.s.stranger", "svc.server.s.neighbour"]),
        ("plain.*", ["plain.stranger", "plain.neighbour"]),
    ] {
        let counts = between(pattern, subjects, 20);
        assert!(counts[0] <= MAX_AT_FIRST, "{pattern}: {counts:?}");
        assert!(counts[1..].iter().all(|&count| count <= MAX_BETWEEN), "{pattern}: {counts:?}");
    }
}

/// What may stand before the first message of a neighbour (docs/reference/limits.md).
const MAX_AT_FIRST: usize = 12_288;
/// The same while both send.
const MAX_BETWEEN: usize = 4096;
