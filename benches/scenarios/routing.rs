//! Names: a pattern against a subject, and a publication through the broker to its one subscriber.

use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use selvedge::base::SeededEntropy;
use selvedge::broker::{Broker, BrokerConfig};
use selvedge::subject::{Pattern, Subject};
use selvedge::wire::{
    ClientOp, Headers, Json, Message, Payload, Publication, Subscription, SubscriptionClass,
};

use super::{PAYLOAD_BYTES, Work};

/// One match of a pattern with a wildcard a message.
pub fn matches() -> Work {
    let pattern = Pattern::parse("sensors.*.roof.>").expect("valid");
    let subject = Subject::parse("sensors.north.roof.temperature.now").expect("valid");
    Box::new(move |messages| {
        for _ in 0..messages {
            assert!(std::hint::black_box(&pattern).matches(std::hint::black_box(&subject).as_str()));
        }
    })
}

/// A broker where one peer publishes to another, and `patterns` are subscribed in all.
#[allow(clippy::disallowed_methods)]
pub fn route(patterns: usize) -> Work {
    // The only look at the clock; no work depends on it.
    let now = Instant::now();
    let config = BrokerConfig { max_subscriptions_per_client: usize::MAX, ..BrokerConfig::default() };
    let mut broker = Broker::new(config, Box::new(SeededEntropy::new(1)));
    let nobody = || Json::from_value(&serde_json::Value::Null);
    let (writer, reader) = (broker.attach(now, nobody()), broker.attach(now, nobody()));
    let mut ops = Vec::new();
    let others = (1..patterns).map(|n| format!("crowd.{}.{n}.*", n % 1000));
    for pattern in std::iter::once("bench.*.data".to_owned()).chain(others) {
        let subscriptions = vec![Subscription {
            pattern: pattern.into(),
            queue: Some("0".into()),
            class: SubscriptionClass::Shared,
            exclusive: None,
        }];
        broker.handle_op(now, reader, ClientOp::Subscribe { ack: None, subscriptions, list: false });
    }
    let publication = publication("bench.route.data");
    Box::new(move |messages| {
        let mut delivered = 0;
        for _ in 0..messages {
            let publication = publication.clone();
            broker.handle_op(now, writer, ClientOp::Publish { ack: None, publication });
            while let Some(peer) = broker.poll_woken() {
                ops.clear();
                broker.take_outbox(peer, &mut ops);
                delivered += u32::from(peer == reader) * u32::try_from(ops.len()).expect("few");
            }
        }
        assert!(delivered >= messages, "{delivered} of {messages}");
    })
}

/// A whole message of one chunk, with a sequence number, as a socket sends it.
pub fn publication(subject: &str) -> Publication {
    Publication::chunk(
        Arc::from("0123456789abcdef0123456789abcdef"),
        0,
        true,
        Message {
            subject: Subject::parse(subject).expect("valid"),
            payload: Payload::msgpack(Bytes::from_static(&[7; PAYLOAD_BYTES])),
            headers: Headers::numbered(Some(123_456), None),
        },
    )
}
