//! Clients tell of their sockets, and whoever looks into the broker sees both ends.

use super::*;
use crate::broker::{BrokerConfig, SocketRow, WantedPatterns};
use crate::wire::{SocketCounts, SocketEndName, SocketReport, SocketStateName};

fn report(end: SocketEndName, id: &str, subject: &str, pending: u64) -> ClientOp {
    let counts = SocketCounts { sent: 7, received: 3, pending, pending_bytes: 100 * pending, resent: 1 };
    let state = SocketStateName::Ready;
    ClientOp::Sockets(vec![SocketReport { end, id: id.into(), subject: subject.into(), state, counts }])
}

fn stage() -> Stage {
    Stage::with(BrokerConfig { report_interval_ms: Some(5000), ..BrokerConfig::default() }, 1)
}

fn sockets(stage: &Stage) -> Vec<SocketRow> {
    stage.broker.find_sockets(&WantedPatterns { limit: 9, ..WantedPatterns::default() }).rows
}

#[test]
fn both_ends_of_a_socket_are_seen_together() {
    let mut stage = stage();
    let [client, server] = stage.joined();
    stage.handle(client, subscribe(None, [("rooms.eu.client.a", Some("q"))]));
    stage.handle(server, subscribe(None, [("rooms.*.server.main.*", Some("q"))]));
    assert_eq!(sockets(&stage)[0].client, None, "nothing is known, which is not 0");
    stage.handle(client, report(SocketEndName::Client, "a", "rooms.eu", 2));
    stage.handle(server, report(SocketEndName::Server, "a", "rooms.eu", 5));
    let row = sockets(&stage).remove(0);
    assert_eq!(row.listeners, 1, "of the pattern, too");
    assert_eq!(row.client.expect("it told").counts.pending, 2);
    assert_eq!(row.server.expect("it told").1.counts.pending_bytes, 500);
}

#[test]
fn nobody_tells_of_the_sockets_of_others() {
    let mut stage = stage();
    let [client, stranger] = stage.joined();
    stage.handle(client, subscribe(None, [("chat.client.a", Some("q"))]));
    stage.handle(stranger, report(SocketEndName::Client, "a", "chat", 9));
    stage.handle(stranger, report(SocketEndName::Server, "a", "chat", 9));
    let row = sockets(&stage).remove(0);
    assert_eq!((row.client, row.server), (None, None), "it has no such socket, and does not listen there");
}

#[test]
fn a_broker_that_has_not_asked_keeps_nothing() {
    let mut stage = Stage::new();
    let [client] = stage.joined();
    let before = stage.broker.stats().memory_bytes;
    stage.handle(client, subscribe(None, [("chat.client.a", Some("q"))]));
    let subscribed = stage.broker.stats().memory_bytes;
    stage.handle(client, report(SocketEndName::Client, "a", "chat", 9));
    assert!(subscribed >= before);
    assert_eq!((stage.broker.stats().memory_bytes, sockets(&stage)[0].client), (subscribed, None));
}

#[test]
fn what_was_told_is_the_connections_memory_and_goes_with_it() {
    let mut stage = stage();
    let [client] = stage.joined();
    let before = stage.broker.stats().memory_bytes;
    for number in 0..1000 {
        stage.handle(client, report(SocketEndName::Client, &number.to_string(), "chat", 9));
    }
    assert!(stage.broker.stats().memory_bytes > before + 100_000);
    stage.broker.detach(stage.now, client);
    assert_eq!(stage.broker.stats().memory_bytes, 0);
}
