//! What a subscribe and an unsubscribe answer.

use super::*;
use crate::wire::SocketCommand;
use crate::wire::SubscribeStatus::{Added, AlreadyAdded};

#[test]
fn a_pattern_is_added_once_whatever_the_queue() {
    let mut stage = Stage::new();
    let [peer, publisher] = stage.joined();
    assert_eq!(stage.subscribe(peer, "a", "1"), Reply::Subscribed(vec![Ok(Added)]));
    assert_eq!(stage.subscribe(peer, "a", "1"), Reply::Subscribed(vec![Ok(AlreadyAdded)]));
    assert_eq!(stage.subscribe(peer, "a", "2"), Reply::Subscribed(vec![Ok(AlreadyAdded)]));
    assert_eq!(stage.publish(publisher, "a", "x"), 1);
    stage.unsubscribe(peer, "a");
    assert_eq!(stage.publish(publisher, "a", "x"), 0);
}

#[test]
fn a_list_gets_one_status_each_in_order() {
    let mut stage = Stage::new();
    let [peer] = stage.joined();
    let wanted = [("a", Some("q")), ("a..b", Some("q")), ("b", None), ("a", Some("q"))];
    let Reply::Subscribed(statuses) = stage.ask(peer, |ack| subscribe(Some(ack), wanted)) else {
        panic!("statuses")
    };
    let texts: Vec<_> =
        statuses.iter().map(|status| status.as_ref().map_err(|e| e.message.as_str())).collect();
    let no_queue = "a subscription needs a queue";
    assert_eq!(texts, [Ok(&Added), Err("Error: invalid subject"), Err(no_queue), Ok(&AlreadyAdded)]);
    assert_eq!(stage.ask(peer, |ack| ClientOp::Subscriptions { ack }), Reply::Strings(vec!["a".into()]));
    // Nobody asks: it works as well.
    stage.handle(peer, subscribe(None, [("c", Some("q"))]));
    assert!(stage.take(peer).is_empty());
    assert_eq!(stage.broker.patterns().len(), 2);
}

#[test]
fn names_that_socket_io_keeps_for_itself_are_refused_as_whole_patterns() {
    let mut stage = Stage::new();
    let [peer] = stage.joined();
    for name in ["connect", "connect_error", "disconnect", "disconnecting", "newListener", "removeListener"] {
        let (message, code) = error_of(stage.subscribe(peer, name, "q"));
        assert!(message.contains("reserved") && code.is_none(), "{message}");
        assert_eq!(stage.subscribe(peer, &format!("{name}.x"), "q"), Reply::Subscribed(vec![Ok(Added)]));
    }
    for name in ["info", "permission", "publish"] {
        assert_eq!(stage.subscribe(peer, name, "q"), Reply::Subscribed(vec![Ok(Added)]), "{name}");
    }
}

#[test]
fn an_absurd_queue_name_is_refused() {
    let mut stage = Stage::new();
    let [peer] = stage.joined();
    assert!(error_of(stage.subscribe(peer, "a", &"q".repeat(8193))).0.contains("8192"));
}

#[test]
fn a_client_has_a_limit_of_subscriptions_and_a_hub_a_higher_one() {
    let config =
        BrokerConfig { max_subscriptions_per_client: 2, max_subscriptions_per_hub: 3, ..Default::default() };
    let mut stage = Stage::with(config, 1);
    for (user, limit) in [
        ("null", 2),
        (r#"{"account_id":"x"}"#, 2),
        (r#"{"hub_id":null}"#, 2),
        (r#"{"hub_id":""}"#, 2),
        (r#"{"hub_id":"h"}"#, 3),
    ] {
        let peer = stage.attach(user);
        for index in 0..limit {
            assert_eq!(stage.subscribe(peer, &format!("s{index}"), "q"), Reply::Subscribed(vec![Ok(Added)]));
        }
        let (message, code) = error_of(stage.subscribe(peer, "more", "q"));
        assert!(message.contains(&format!("there is a limit of at most {limit} subscriptions")), "{message}");
        assert_eq!(code, Some(429));
        // What it has, it has; and what it gives back, it can use again.
        assert_eq!(stage.subscribe(peer, "s0", "q"), Reply::Subscribed(vec![Ok(AlreadyAdded)]));
        stage.unsubscribe(peer, "s0");
        assert_eq!(stage.subscribe(peer, "more", "q"), Reply::Subscribed(vec![Ok(Added)]));
    }
}

#[test]
fn the_bytes_of_a_connections_patterns_are_bounded_whatever_their_number() {
    let mut stage = Stage::new();
    let [peer, other] = stage.joined();
    let pattern = |n: usize| format!("{}{n:03}", "x".repeat(8000));
    // 1 MB for 500 subscriptions, with their queues.
    let most = 500 * 2048 / 8004;
    for n in 0..most {
        assert_eq!(stage.subscribe(peer, &pattern(n), "q"), Reply::Subscribed(vec![Ok(Added)]));
    }
    let (message, code) = error_of(stage.subscribe(peer, &pattern(most), "q"));
    assert!(message.contains("1024000 bytes"), "{message}");
    assert_eq!(code, Some(429));
    assert_eq!(stage.publish(other, &pattern(most), "x"), 0, "nothing of it is there");
    // Once more is no more; short ones fit; others have their own; what it gives back, it can use again.
    assert_eq!(stage.subscribe(peer, &pattern(0), "q"), Reply::Subscribed(vec![Ok(AlreadyAdded)]));
    assert_eq!(stage.subscribe(peer, "short", "q"), Reply::Subscribed(vec![Ok(Added)]));
    assert_eq!(stage.subscribe(other, &pattern(most), "q"), Reply::Subscribed(vec![Ok(Added)]));
    stage.unsubscribe(peer, &pattern(0));
    assert_eq!(stage.subscribe(peer, &pattern(most), "q"), Reply::Subscribed(vec![Ok(Added)]));
    assert_eq!(error_of(stage.subscribe(peer, &pattern(0), "q")).1, Some(429));
}

#[test]
fn a_connect_behind_its_own_refused_subscription_is_given_to_nobody() {
    let limit = |max| BrokerConfig { max_subscriptions_per_client: max, ..Default::default() };
    let mut stage = Stage::with(limit(1), 1);
    let [server, client, stranger] = stage.joined();
    stage.subscribe(server, "a.b.server.~.*", "selvedge");
    let connect = |stage: &mut Stage, peer, subject: &str| {
        let mut publication = publication(subject, "1", 0, true, "x");
        publication.headers = publication.headers.with_command(Some(SocketCommand::Connect));
        stage.publish_chunk(peer, publication)
    };
    assert_eq!(connect(&mut stage, client, "a.b.server.~.1"), 1, "nothing was refused");
    stage.subscribe(client, "a.b.client.1", "q");
    error_of(stage.subscribe(client, "a.b.client.2", "q"));
    let subjects = ["a.b.server.~.1", "a.b.server.~.2", "server.~.2", "a.b.server.~.2"];
    assert_eq!(subjects.map(|subject| connect(&mut stage, client, subject)), [1, 0, 0, 0]);
    assert_eq!(connect(&mut stage, stranger, "a.b.server.~.2"), 1, "of another one");
    assert_eq!(stage.publish(client, "a.b.server.~.2", "x"), 1, "no connect");
    stage.unsubscribe(client, "a.b.client.1");
    stage.subscribe(client, "a.b.client.2", "q");
    assert_eq!(connect(&mut stage, client, "a.b.server.~.2"), 1);
}

#[test]
fn an_unknown_or_invalid_pattern_can_be_unsubscribed() {
    let mut stage = Stage::new();
    let [peer, other] = stage.joined();
    stage.subscribe(other, "a", "q");
    let patterns: Vec<std::sync::Arc<str>> = vec!["a".into(), "..".into(), "b.>".into()];
    let reply =
        stage.ask(peer, |ack| ClientOp::Unsubscribe { ack: Some(ack), patterns, list: true, drain: false });
    assert_eq!(reply, Reply::Unsubscribed { count: 3 });
    assert_eq!(stage.publish(peer, "a", "x"), 1, "the other one's subscription stays");
}
