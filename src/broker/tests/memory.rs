//! One budget for the memory that connections take: who is refused, who is cut off, and who is not.

use std::time::Duration;

use super::*;
use crate::broker::{AuthorizerConfig, ConnectionInfo, DisconnectReason};
use crate::wire::WatchRequest;

const KIB: usize = 1024;

fn stage(of_connection: usize, of_user: usize, of_all: usize) -> Stage {
    let config = BrokerConfig {
        max_memory_bytes_per_connection: of_connection,
        max_memory_bytes_per_user: of_user,
        max_memory_bytes: of_all,
        ..BrokerConfig::default()
    };
    Stage::with(config, 1)
}

impl Stage {
    /// A connection of nobody, from this address.
    fn come(&mut self, address: &str) -> PeerId {
        let info = ConnectionInfo { address: address.into(), ..ConnectionInfo::default() };
        let peer = self.broker.attach_connection(self.now, info);
        self.handle(peer, ClientOp::InfoReceived);
        self.take(peer);
        peer
    }

    fn is_cut(&self, peer: PeerId) -> bool {
        self.broker.close_reason(peer) == Some(DisconnectReason::SlowConsumer)
    }

    fn memory(&self) -> usize {
        self.broker.stats().memory_bytes
    }

    /// Subscribes to ever more patterns, until it is refused with 429. Returns how many there are.
    fn fill_with_patterns(&mut self, peer: PeerId, most: usize) -> usize {
        let pattern = |n: usize| format!("{}.{}.{n}", "x".repeat(1000), peer.serial());
        (0..most)
            .take_while(|&n| match self.subscribe(peer, &pattern(n), "q") {
                Reply::Subscribed(statuses) => match &statuses[0] {
                    Ok(_) => true,
                    Err(error) => {
                        assert_eq!(error.code, Some(429), "{error:?}");
                        false
                    }
                },
                other => panic!("{other:?}"),
            })
            .count()
    }
}

#[test]
fn all_that_a_connection_asks_for_counts_together_and_is_refused_together() {
    let mut stage = stage(200 * KIB, usize::MAX, usize::MAX);
    let [greedy, neighbour] = stage.joined();
    let idle = stage.memory();
    let patterns = stage.fill_with_patterns(greedy, 500);
    assert!((80..150).contains(&patterns), "{patterns}");
    let wait = |ack| ClientOp::WaitForInterest {
        ack,
        subject: "y".repeat(2000).into(),
        timeout: Duration::from_secs(9),
    };
    let (text, code) = error_of(stage.ask(greedy, wait));
    assert_eq!((code, text.contains("memory are held for one connection")), (Some(429), true), "{text}");
    let chunk = publication("nobody", &"i".repeat(1000), 0, false, "x");
    let publish = |ack| ClientOp::Publish { ack: Some(ack), publication: chunk.clone() };
    let begun = (0..400).filter(|_| stage.begin_is_taken(greedy, publish)).count();
    assert!(begun < 5, "{begun} messages begun over the bound");
    let watch = WatchRequest { id: 1, subject: Some(format!("{}.client.a", "z".repeat(4000)).into()) };
    stage.handle(greedy, ClientOp::Watch(vec![watch]));
    assert_eq!(stage.broker.stats().watches, 0, "its end is noticed by keep-alive");
    assert!(!stage.is_cut(greedy) && stage.memory() - idle < 200 * KIB);
    // The neighbour has all that it wants.
    assert_eq!(stage.fill_with_patterns(neighbour, 50), 50);
    // What is given back can be had again.
    stage.take(greedy);
    for n in 0..20 {
        stage.unsubscribe(greedy, &format!("{}.{}.{n}", "x".repeat(1000), greedy.serial()));
    }
    let again = stage.fill_with_patterns(greedy, 500);
    assert!((patterns - 3..=patterns + 3).contains(&again), "{patterns} {again}");
    [greedy, neighbour].into_iter().for_each(|peer| stage.broker.detach(stage.now, peer));
    assert_eq!(stage.memory(), 0);
}

impl Stage {
    fn begin_is_taken(&mut self, peer: PeerId, op: impl FnOnce(AckId) -> ClientOp) -> bool {
        matches!(self.ask(peer, op), Reply::Published { .. })
    }
}

#[test]
fn what_waits_for_a_connection_and_what_it_asked_for_are_one_sum() {
    let mut stage = stage(300 * KIB, usize::MAX, usize::MAX);
    let [reader, publisher] = stage.joined();
    stage.subscribe(reader, "in", "q");
    stage.fill_with_patterns(reader, 90);
    let text = "m".repeat(10 * KIB);
    let sent = (0..40).take_while(|_| stage.publish(publisher, "in", &text) == 1).count();
    assert!((10..20).contains(&sent), "room for about 150 KiB: {sent}");
    assert!(stage.is_cut(reader) && !stage.is_cut(publisher));
    let last = stage.take(reader);
    assert!(matches!(&last[..], [ServerOp::Closing { code, .. }] if code == "ERR_SLOW_CONSUMER"), "{last:?}");
}

#[test]
fn a_user_pays_for_all_connections_and_loses_the_greatest() {
    let mut stage = stage(usize::MAX, 300 * KIB, usize::MAX);
    let [one, two, other] = ["\"ann\"", "\"ann\"", "\"bob\""].map(|user| stage.attach(user));
    stage.subscribe(one, "one", "q");
    stage.subscribe(two, "two", "q");
    let text = "m".repeat(10 * KIB);
    assert_eq!((0..15).filter(|_| stage.publish(other, "one", &text) == 1).count(), 15);
    assert_eq!((0..20).filter(|_| stage.publish(other, "two", &text) == 1).count(), 20);
    assert!(stage.is_cut(one) != stage.is_cut(two), "one of them was enough");
    assert!(!stage.is_cut(other));
    let taken = stage.fill_with_patterns(two, 500);
    assert!(taken < 200, "{taken}");
}

#[test]
fn when_all_hold_too_much_the_address_with_most_gives_way_and_no_neighbour() {
    let mut stage = stage(usize::MAX, usize::MAX, 1024 * KIB);
    let neighbour = stage.come("10.0.0.2");
    assert_eq!(stage.fill_with_patterns(neighbour, 100), 100, "more than any single one of the others");
    let crowd: Vec<PeerId> = (0..40).map(|n| stage.come(&format!("2001:db8::{n:x}"))).collect();
    for &peer in &crowd {
        stage.fill_with_patterns(peer, 60);
    }
    assert!(crowd.iter().any(|&peer| stage.is_cut(peer)), "one network has most");
    assert!(!stage.is_cut(neighbour) && stage.memory() <= 1024 * KIB + 4096);
    assert_eq!(stage.publish(neighbour, "nobody", "x"), 0, "is answered");
}

#[test]
fn bytes_in_a_link_and_operations_that_wait_for_a_decision_count() {
    let authorizer = AuthorizerConfig { asks_permission: true, ..AuthorizerConfig::default() };
    let config = BrokerConfig {
        max_memory_bytes_per_connection: 100 * KIB,
        authorizer: Some(authorizer),
        ..BrokerConfig::default()
    };
    let mut stage = Stage::with(config, 1);
    let [begun, asking, neighbour] = stage.joined();
    let before = stage.memory();
    stage.broker.handle_ops(stage.now, begun, &mut Vec::new(), 50 * KIB);
    assert_eq!(stage.memory() - before, 50 * KIB);
    stage.broker.handle_ops(stage.now, begun, &mut Vec::new(), 0);
    assert_eq!(stage.memory(), before);
    stage.broker.handle_ops(stage.now, begun, &mut Vec::new(), 100 * KIB);
    assert!(stage.is_cut(begun));
    let op = |n: usize| ClientOp::Publish {
        ack: None,
        publication: publication(&format!("a{n}"), "1", 0, true, &"x".repeat(10 * KIB)),
    };
    let mut ops: Vec<ClientOp> = (0..9).map(op).collect();
    stage.broker.handle_ops(stage.now, asking, &mut ops, 0);
    assert!(stage.is_cut(asking) && !stage.is_cut(neighbour));
    [begun, asking, neighbour].into_iter().for_each(|peer| stage.broker.detach(stage.now, peer));
    assert_eq!(stage.memory(), 0);
}

#[test]
fn what_a_connection_keeps_is_given_back_whatever_way_it_ends() {
    let mut stage = Stage::new();
    let [peer, other] = stage.joined();
    stage.take(peer);
    let idle = stage.memory();
    let wait = |timeout| move |ack| ClientOp::WaitForInterest { ack, subject: "w.w".into(), timeout };
    stage.begin(peer, wait(Duration::from_secs(1)));
    stage.begin(peer, wait(Duration::from_secs(50)));
    let one = stage.memory();
    stage.pass(Duration::from_secs(2));
    assert!(stage.memory() < one, "its time is over");
    stage.subscribe(other, "w.w", "q");
    stage.unsubscribe(other, "w.w");
    stage.take(peer);
    stage.take(other);
    stage.publish_chunk(peer, publication("a", "m", 0, false, "x"));
    assert!(stage.memory() > idle);
    stage.publish_chunk(peer, publication("a", "m", 1, true, "x"));
    stage.publish_chunk(peer, publication("a", "n", 0, false, "x"));
    stage.pass(Duration::from_secs(200));
    let subject = Some("chat.client.a".into());
    stage.handle(peer, ClientOp::Watch(vec![WatchRequest { id: 1, subject }]));
    stage.handle(peer, ClientOp::Watch(vec![WatchRequest { id: 1, subject: None }]));
    stage.subscribe(peer, "x.*", "q");
    stage.unsubscribe(peer, "x.*");
    stage.take(peer);
    assert_eq!(stage.memory(), idle);
}
