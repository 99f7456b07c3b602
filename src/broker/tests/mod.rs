//! Stories about the broker as a whole, told through its public calls.
#![allow(clippy::disallowed_methods)]

mod authorizer;
mod connection_list;
mod connections;
mod drains;
mod exclusives;
mod given;
mod limit_changes;
mod memory;
mod model;
mod routing;
mod shutdown;
mod socket_reports;
mod subscriptions;
mod waits;
mod watches;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::{Broker, BrokerConfig, PeerId};
use crate::base::SeededEntropy;
use crate::subject::Subject;
use crate::wire::{
    AckId, BundleBuilder, Claim, ClientOp, Headers, Json, Message, MessageId, OpError, Payload, Publication,
    Reply, ServerOp, Subscription, SubscriptionClass,
};

/// What is counted for the rest of a message whose beginning was refused, or given up.
pub(super) const UNKNOWN: u64 = u64::MAX;

/// A broker with a clock, and what each of its peers has received.
pub(super) struct Stage {
    pub(super) broker: Broker,
    pub(super) now: Instant,
    inbox: BTreeMap<PeerId, Vec<ServerOp>>,
    asked: u64,
}

impl Stage {
    pub(super) fn new() -> Self {
        Self::with(BrokerConfig::default(), 1)
    }

    pub(super) fn with(config: BrokerConfig, seed: u64) -> Self {
        let broker = Broker::new(config, Box::new(SeededEntropy::new(seed)));
        Self { broker, now: Instant::now(), inbox: BTreeMap::new(), asked: 0 }
    }

    /// A connection that nobody has read from.
    pub(super) fn attach(&mut self, user: &str) -> PeerId {
        self.broker.attach(self.now, Json::parse(user.to_owned().into()).expect("valid JSON"))
    }

    /// A connection that is signed in.
    pub(super) fn join(&mut self) -> PeerId {
        let peer = self.attach("null");
        self.handle(peer, ClientOp::InfoReceived);
        self.take(peer);
        peer
    }

    pub(super) fn joined<const N: usize>(&mut self) -> [PeerId; N] {
        std::array::from_fn(|_| self.join())
    }

    pub(super) fn handle(&mut self, peer: PeerId, op: ClientOp) {
        self.broker.handle_op(self.now, peer, op);
    }

    /// Time goes by, and the broker is called when it asked for it.
    pub(super) fn pass(&mut self, time: Duration) {
        let end = self.now + time;
        while let Some(at) = self.broker.poll_timeout().filter(|at| *at <= end) {
            self.now = self.now.max(at);
            self.broker.handle_timeout(self.now);
            self.have_turns();
        }
        self.now = end;
    }

    /// Whoever has operations that have been decided does them.
    pub(super) fn have_turns(&mut self) {
        for peer in self.broker.due_for_tests() {
            let rests = |broker: &Broker, now| broker.rests_until(peer).is_some_and(|until| now < until);
            while self.broker.handle_ops(self.now, peer, &mut Vec::new(), 0) && !rests(&self.broker, self.now)
            {
            }
        }
    }

    /// The answer to the operation that `op` makes. Fails when there is none.
    pub(super) fn ask(&mut self, peer: PeerId, op: impl FnOnce(AckId) -> ClientOp) -> Reply {
        let ack = self.begin(peer, op);
        self.answer(peer, ack).expect("an answer")
    }

    pub(super) fn begin(&mut self, peer: PeerId, op: impl FnOnce(AckId) -> ClientOp) -> AckId {
        let ack = AckId(self.asked);
        self.asked += 1;
        self.handle(peer, op(ack));
        ack
    }

    /// The answer to an earlier operation, if it has come. Leaves everything else in the inbox.
    pub(super) fn answer(&mut self, peer: PeerId, ack: AckId) -> Option<Reply> {
        self.fetch(peer);
        let inbox = self.inbox.get_mut(&peer)?;
        let position = inbox.iter().position(|op| matches!(op, ServerOp::Ack { id, .. } if *id == ack))?;
        let ServerOp::Ack { reply, .. } = inbox.remove(position) else { return None };
        Some(reply)
    }

    /// Everything that came for a peer since the last time.
    pub(super) fn take(&mut self, peer: PeerId) -> Vec<ServerOp> {
        self.fetch(peer);
        self.inbox.remove(&peer).unwrap_or_default()
    }

    /// Returns what was delivered since the last time, as `pattern: payload`.
    pub(super) fn received(&mut self, peer: PeerId) -> Vec<String> {
        let mut lines = Vec::new();
        for op in self.take(peer) {
            let ServerOp::Deliver { pattern, publication } = op else { continue };
            publication.for_each_single(|single| {
                lines.push(format!("{pattern}: {}", String::from_utf8_lossy(&single.payload.raw)));
            });
        }
        lines
    }

    pub(super) fn subscribe(&mut self, peer: PeerId, pattern: &str, queue: &str) -> Reply {
        self.ask(peer, |ack| subscribe(Some(ack), [(pattern, Some(queue))]))
    }

    pub(super) fn unsubscribe(&mut self, peer: PeerId, pattern: &str) -> Reply {
        self.ask(peer, |ack| ClientOp::Unsubscribe {
            ack: Some(ack),
            patterns: vec![pattern.into()],
            list: false,
            drain: false,
        })
    }

    /// Publishes and gives the count.
    pub(super) fn publish(&mut self, peer: PeerId, subject: &str, text: &str) -> u64 {
        self.publish_chunk(peer, publication(subject, "whole", 0, true, text))
    }

    /// The same of a chunk; [`UNKNOWN`] when it was refused because the broker does not know its beginning.
    pub(super) fn publish_chunk(&mut self, peer: PeerId, publication: Publication) -> u64 {
        match self.ask(peer, |ack| ClientOp::Publish { ack: Some(ack), publication }) {
            Reply::Published { count } => count,
            Reply::Error(OpError { message, code: Some(429) }) if message.contains("beginning") => UNKNOWN,
            other => panic!("no count: {other:?}"),
        }
    }

    fn fetch(&mut self, peer: PeerId) {
        let into = self.inbox.entry(peer).or_default();
        loop {
            let before = into.len();
            self.broker.take_outbox(peer, into);
            if into.len() == before {
                return;
            }
        }
    }
}

pub(super) fn subscribe<const N: usize>(ack: Option<AckId>, wanted: [(&str, Option<&str>); N]) -> ClientOp {
    let subscriptions = wanted
        .map(|(pattern, queue)| Subscription {
            pattern: pattern.into(),
            queue: queue.map(Into::into),
            class: SubscriptionClass::Shared,
            exclusive: None,
        })
        .into();
    ClientOp::Subscribe { ack, subscriptions, list: true }
}

/// Claims a pattern for one connection alone.
pub(super) fn claim(ack: AckId, pattern: &str, claim: Claim) -> ClientOp {
    let subscription = Subscription {
        pattern: pattern.into(),
        queue: Some("q".into()),
        class: SubscriptionClass::Shared,
        exclusive: Some(claim),
    };
    ClientOp::Subscribe { ack: Some(ack), subscriptions: vec![subscription], list: true }
}

pub(super) fn publication(subject: &str, id: &str, seq: u32, done: bool, text: &str) -> Publication {
    Publication::chunk(
        MessageId::from(id),
        seq,
        done,
        Message {
            subject: Subject::parse(subject).expect("valid subject"),
            payload: Payload::msgpack(text.to_owned()),
            headers: Headers::default(),
        },
    )
}

/// One that holds a message of each text.
pub(super) fn bundle(subject: &str, texts: &[String]) -> Publication {
    let message = |text: &String| Message {
        subject: Subject::parse(subject).expect("valid subject"),
        payload: Payload::msgpack(text.clone()),
        headers: Headers::default(),
    };
    let mut builder = BundleBuilder::new(&message(&texts[0]));
    texts[1..].iter().for_each(|text| builder.push(&message(text)));
    Publication::of_bundle(builder.finish())
}

pub(super) fn error_of(reply: Reply) -> (String, Option<u16>) {
    match reply {
        Reply::Error(error) => (error.message, error.code),
        Reply::Subscribed(mut statuses) if statuses.len() == 1 => {
            let error = statuses.remove(0).expect_err("a refusal");
            (error.message, error.code)
        }
        other => panic!("no error: {other:?}"),
    }
}
