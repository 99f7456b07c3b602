//! What a broker counts for a connection is what it really takes: each kind of thing that a peer can make it
//! hold is asked for in great number, and the broker's own count compared with the allocator's.
#![allow(clippy::disallowed_methods, missing_docs)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use selvedge::base::SeededEntropy;
use selvedge::broker::{AuthorizerConfig, Broker, BrokerConfig, ConnectionInfo, PeerId};
use selvedge::subject::Subject;
use selvedge::wire::{
    AckId, ClientOp, Headers, Message, MessageId, Payload, Publication, ServerOp, Subscription,
    SubscriptionClass, WatchRequest,
};

/// Counts what is allocated and not freed.
struct Counting;

static HELD: AtomicUsize = AtomicUsize::new(0);

unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        HELD.fetch_add(layout.size(), Ordering::Relaxed);
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        HELD.fetch_sub(layout.size(), Ordering::Relaxed);
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

struct Stage {
    broker: Broker,
    now: Instant,
    asked: u64,
    read: Vec<ServerOp>,
}

impl Stage {
    fn new(config: BrokerConfig) -> Self {
        let broker = Broker::new(config, Box::new(SeededEntropy::new(1)));
        Self { broker, now: Instant::now(), asked: 0, read: Vec::new() }
    }

    fn join(&mut self) -> PeerId {
        let address = format!("10.0.0.{}", self.broker.connections());
        let info = ConnectionInfo { id: self.asked.to_string(), address, ..ConnectionInfo::default() };
        self.broker.attach_connection(self.now, info)
    }

    fn say(&mut self, peer: PeerId, op: impl FnOnce(AckId) -> ClientOp) {
        self.asked += 1;
        let op = op(AckId(self.asked));
        self.broker.handle_op(self.now, peer, op);
    }

    fn read(&mut self, peer: PeerId) {
        loop {
            self.read.clear();
            self.broker.take_outbox(peer, &mut self.read);
            if self.read.is_empty() {
                return;
            }
        }
    }
}

fn subscribe(pattern: &str, queue: &str) -> impl FnOnce(AckId) -> ClientOp {
    let subscription = Subscription {
        pattern: pattern.into(),
        queue: Some(queue.into()),
        class: SubscriptionClass::Shared,
        exclusive: None,
    };
    move |ack| ClientOp::Subscribe { ack: Some(ack), subscriptions: vec![subscription], list: false }
}

fn publish(subject: &str, id: &str, done: bool, bytes: usize) -> impl FnOnce(AckId) -> ClientOp {
    let publication = Publication::chunk(
        MessageId::from(id),
        0,
        done,
        Message {
            subject: Subject::parse(subject).expect("valid"),
            payload: Payload::msgpack(vec![0; bytes]),
            headers: Headers::default(),
        },
    );
    move |_| ClientOp::Publish { ack: None, publication }
}

/// 480 tokens.
fn long(n: usize) -> String {
    format!("{}.{n}", vec!["a"; 480].join("."))
}

/// Joins so many connections, has each do this, and compares what is counted with what is allocated.
fn measure(name: &str, mut stage: Stage, peers: usize, act: impl Fn(&mut Stage, PeerId, usize)) -> String {
    let peers: Vec<PeerId> = (0..peers).map(|_| stage.join()).collect();
    peers.iter().for_each(|&peer| stage.read(peer));
    let (held, counted) = (HELD.load(Ordering::Relaxed), stage.broker.stats().memory_bytes);
    for (index, &peer) in peers.iter().enumerate() {
        act(&mut stage, peer, index);
    }
    let taken = HELD.load(Ordering::Relaxed).saturating_sub(held);
    let told = stage.broker.stats().memory_bytes - counted;
    assert!(taken > 500_000, "{name}: only {taken} bytes, nothing to measure");
    assert!(peers.iter().all(|&peer| stage.broker.close_reason(peer).is_none()), "{name}: cut off");
    #[allow(clippy::cast_precision_loss, reason = "a ratio to look at")]
    let ratio = taken as f64 / told as f64;
    // What is gone does not count, and is not held.
    peers.iter().for_each(|&peer| stage.broker.detach(stage.now, peer));
    while stage.broker.poll_discarded().is_some() {}
    assert_eq!(stage.broker.stats().memory_bytes, 0, "{name}: something still counts");
    let left = HELD.load(Ordering::Relaxed).saturating_sub(held);
    let is_right = ratio < MAX_RATIO && ratio > MIN_RATIO && left < taken / 2;
    let verdict = if is_right { "" } else { " WRONG" };
    format!("{name}: {taken} held, {told} counted: {ratio:.2}; {left} stay{verdict}")
}

/// Publishes what 50 connections wait for, of which all but `left` read it, and compares likewise.
fn measure_broadcast(bytes: usize, left: usize) -> String {
    let mut stage = Stage::new(BrokerConfig::default());
    let peers: Vec<PeerId> = (0..50).map(|_| stage.join()).collect();
    peers.iter().for_each(|&peer| stage.say(peer, subscribe("news", &peer.serial().to_string())));
    peers.iter().for_each(|&peer| stage.read(peer));
    let (held, counted) = (HELD.load(Ordering::Relaxed), stage.broker.stats().memory_bytes);
    (0..8_000_000 / bytes).for_each(|n| stage.say(peers[0], publish("news", &n.to_string(), true, bytes)));
    peers[left..].iter().for_each(|&peer| stage.read(peer));
    let taken = HELD.load(Ordering::Relaxed) - held;
    let told = stage.broker.stats().memory_bytes - counted;
    peers.iter().for_each(|&peer| stage.broker.detach(stage.now, peer));
    while stage.broker.poll_discarded().is_some() {}
    assert_eq!(stage.broker.stats().memory_bytes, 0, "something still counts");
    #[allow(clippy::cast_precision_loss, reason = "a ratio to look at")]
    let ratio = taken as f64 / told as f64;
    let verdict = if ratio < MAX_RATIO && ratio > MIN_RATIO { "" } else { " WRONG" };
    format!("{bytes} bytes that {left} of 50 wait for: {taken} held, {told} counted: {ratio:.2}{verdict}")
}

/// All in one test: the allocator counts for all threads.
#[test]
fn what_is_counted_is_what_is_held() {
    let quiet = || Stage::new(BrokerConfig::default());
    let asking = || {
        let authorizer = AuthorizerConfig { asks_permission: true, ..AuthorizerConfig::default() };
        Stage::new(BrokerConfig { authorizer: Some(authorizer), ..BrokerConfig::default() })
    };
    let wait = |stage: &mut Stage, peer, subject: String| {
        let timeout = Duration::from_secs(60);
        stage.say(peer, |ack| ClientOp::WaitForInterest { ack, subject: subject.into(), timeout });
    };
    let table = [
        measure("subscriptions to short patterns", quiet(), 20, |stage, peer, index| {
            (0..500).for_each(|n| stage.say(peer, subscribe(&format!("a{index}.b{n}"), "q")));
            stage.read(peer);
        }),
        measure("subscriptions to one pattern", quiet(), 20, |stage, peer, index| {
            (0..500).for_each(|n| stage.say(peer, subscribe(&format!("a.b{n}"), &format!("q{index}"))));
            stage.read(peer);
        }),
        measure("subscriptions with wildcards", quiet(), 20, |stage, peer, index| {
            (0..60).for_each(|n| {
                stage.say(peer, subscribe(&format!("a{index}.{}*.>", "b.".repeat(n)), "q"));
            });
            (0..400).for_each(|n| stage.say(peer, subscribe(&format!("a{index}.*.c{n}"), "q")));
            stage.read(peer);
        }),
        measure("subscriptions to long patterns", quiet(), 20, |stage, peer, index| {
            (0..500).for_each(|n| stage.say(peer, subscribe(&format!("a{index}.{}", long(n)), "q")));
            stage.read(peer);
        }),
        measure("waits", quiet(), 10, |stage, peer, index| {
            (0..1000).for_each(|n| wait(stage, peer, format!("w{index}.{n}")));
        }),
        measure("waits in long subjects", quiet(), 10, |stage, peer, index| {
            (0..1000).for_each(|n| wait(stage, peer, format!("w{index}.{}", long(n))));
        }),
        measure("waits that patterns of many shapes look at", quiet(), 10, |stage, peer, index| {
            (0..1000).for_each(|n| wait(stage, peer, format!("w.{index}.{n}.a.b.c")));
            for pattern in ["*.x.y.z.a.b", "*.*.y.z.a.b", "x.*.y.z.a.b", "x.*.*.z.a.b", "*.y.*.z.a.b"] {
                stage.say(peer, subscribe(pattern, "q"));
            }
            stage.read(peer);
        }),
        measure("watches", quiet(), 10, |stage, peer, index| {
            for n in 0..1000 {
                let subject = format!("chat.{index}.client.{n:032}");
                let request = WatchRequest { id: n, subject: Some(subject.as_str().into()) };
                stage.say(peer, |_| ClientOp::Watch(vec![request]));
            }
            stage.read(peer);
        }),
        measure("begun messages", quiet(), 10, |stage, peer, index| {
            (0..1000).for_each(|n| stage.say(peer, publish("nobody", &format!("{index}.{n}"), false, 1)));
        }),
        measure("begun messages with long ids", quiet(), 10, |stage, peer, index| {
            let id = |n: usize| format!("{}{index}.{n}", "x".repeat(1000));
            (0..1000).for_each(|n| stage.say(peer, publish("nobody", &id(n), false, 1)));
        }),
        measure("begun messages to many groups", quiet(), 4, |stage, peer, index| {
            let subject = format!("mine{index}");
            (0..200).for_each(|n| stage.say(peer, subscribe(&subject, &format!("q{n}"))));
            (1..=100).for_each(|n| stage.say(peer, subscribe(&format!("mine{index}.{n}"), "q")));
            (0..400).for_each(|n| stage.say(peer, publish(&subject, &format!("{n}"), false, 1)));
            stage.read(peer);
        }),
        measure("deliveries that are not read", quiet(), 2, |stage, peer, index| {
            stage.say(peer, subscribe(&format!("in{index}"), "q"));
            (0..4000)
                .for_each(|n| stage.say(peer, publish(&format!("in{index}"), &n.to_string(), true, 300)));
        }),
        measure("answers that are not read", quiet(), 4, |stage, peer, _| {
            (0..4000).for_each(|_| stage.say(peer, |ack| ClientOp::Subscriptions { ack }));
        }),
        measure("refusals that are not read", quiet(), 4, |stage, peer, _| {
            (0..2000).for_each(|_| stage.say(peer, subscribe("not..valid", "q")));
        }),
        measure("operations that wait for a decision", asking(), 10, |stage, peer, index| {
            (0..1000).for_each(|n| stage.say(peer, publish(&format!("p{index}.{n}"), "1", true, 100)));
        }),
    ];
    let shared = [(200_000, 50), (200_000, 1), (20_000, 50), (20_000, 2), (2000, 50), (2000, 1)];
    let shared = shared.map(|(bytes, left)| measure_broadcast(bytes, left));
    let table = [&table[..], &shared[..]].concat().join("\n");
    println!("{table}");
    assert!(!table.contains("WRONG"), "{table}");
}

/// More is held than is counted, at most: an attacker gains less than that.
const MAX_RATIO: f64 = 1.25;
/// Less is held than is counted, at most: honest peers lose less than that.
const MIN_RATIO: f64 = 0.5;
