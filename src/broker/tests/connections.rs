//! Coming and going: info, limits on connections, slow consumers, shutting down.

use super::*;
use crate::broker::DisconnectReason;
use crate::broker::machine::{INFO_INTERVAL, INFO_REPEAT_TIMEOUT};
use crate::wire::{Info, OpError};

fn infos(stage: &mut Stage, peer: PeerId) -> Vec<Info> {
    let ops = stage.take(peer);
    ops.into_iter().filter_map(|op| if let ServerOp::Info(info) = op { Some(*info) } else { None }).collect()
}

#[test]
fn the_first_output_says_who_is_who() {
    let config = BrokerConfig { id: "b1".into(), cluster_name: Some("east".into()), ..Default::default() };
    let mut stage = Stage::with(config, 1);
    let peer = stage.attach(r#"{"account_id":"a"}"#);
    let user = Ok(Json::parse(r#"{"account_id":"a"}"#.into()).unwrap());
    assert_eq!(stage.broker.poll_woken(), Some(peer));
    let first = infos(&mut stage, peer).pop().expect("an info");
    let (instance, cluster_name) = (first.instance.clone(), Some("east".into()));
    assert_eq!(
        first,
        Info {
            max_payload: 8_000_000,
            id: "b1".into(),
            cluster_name,
            user,
            instance,
            large: None,
            max_message: Some(256 << 20),
            monitor: None,
        }
    );
    let mut other = Stage::with(BrokerConfig::default(), 2);
    let peer = other.attach("null");
    assert_ne!(infos(&mut other, peer)[0].instance, first.instance, "each broker has its own");
}

#[test]
fn info_is_repeated_until_the_client_has_it() {
    let mut stage = Stage::new();
    let peer = stage.attach("null");
    assert_eq!(infos(&mut stage, peer).len(), 1);
    stage.pass(INFO_INTERVAL * 2);
    assert_eq!(infos(&mut stage, peer).len(), 2);
    stage.handle(peer, ClientOp::InfoReceived);
    assert_eq!(stage.broker.poll_timeout(), None);
    assert!(stage.broker.peer_stats(peer).unwrap().has_info);
}

#[test]
fn a_client_that_never_says_so_gets_info_for_two_minutes() {
    let mut stage = Stage::new();
    let peer = stage.attach("null");
    stage.pass(INFO_REPEAT_TIMEOUT * 10);
    assert_eq!(infos(&mut stage, peer).len(), 1 + 16);
    assert_eq!(stage.broker.poll_timeout(), None);
    assert_eq!(stage.broker.close_reason(peer), None);
}

#[test]
fn one_connection_too_many_is_told_so_and_closed() {
    let mut stage = Stage::with(BrokerConfig { max_connections: 2, ..Default::default() }, 1);
    let [first, _second] = stage.joined();
    let third = stage.attach("null");
    assert_eq!(stage.broker.close_reason(third), Some(DisconnectReason::SignInRefused));
    let message = "there is a limit of at most 2 connections".to_owned();
    let [info] = &infos(&mut stage, third)[..] else { panic!("one info") };
    assert_eq!(info.user, Err(OpError { message, code: Some(429) }));
    // It has no say, and takes no place.
    stage.handle(third, subscribe(Some(AckId(9)), [("a", Some("q"))]));
    assert!(stage.take(third).is_empty() && stage.broker.patterns().is_empty());
    stage.broker.detach(stage.now, third);
    stage.broker.detach(stage.now, first);
    assert_eq!((stage.broker.connections(), stage.broker.stats().connections_refused), (1, 1));
    let fourth = stage.attach("null");
    assert_eq!(stage.broker.close_reason(fourth), None);
}

#[test]
fn a_user_has_a_limit_of_connections_and_nobody_has_none() {
    let mut stage = Stage::with(BrokerConfig { max_connections_per_user: 1, ..Default::default() }, 1);
    let [_, _, _] = stage.joined();
    let (ann, bob, again) = (stage.attach(r#""ann""#), stage.attach(r#""bob""#), stage.attach(r#""ann""#));
    assert_eq!([ann, bob, again].map(|peer| stage.broker.close_reason(peer).is_some()), [false, false, true]);
    assert!(infos(&mut stage, again)[0].user.as_ref().unwrap_err().message.contains("for each user"));
    stage.broker.detach(stage.now, ann);
    let later = stage.attach(r#""ann""#);
    assert_eq!(stage.broker.close_reason(later), None);
    assert!(later > again && later != ann, "an id is never used again");
}

#[test]
fn a_peer_that_leaves_takes_everything_along_at_once() {
    let mut stage = Stage::new();
    let [leaver, other] = stage.joined();
    stage.subscribe(leaver, "a.*", "q");
    stage.subscribe(leaver, "a.b", "q");
    stage.begin(leaver, |ack| ClientOp::WaitForInterest {
        ack,
        subject: "w".into(),
        timeout: Duration::from_secs(5),
    });
    stage.publish_chunk(leaver, publication("a.b", "m", 0, false, "x"));
    stage.take(leaver);
    assert_eq!(stage.publish(other, "a.b", "unread"), 2);
    stage.broker.detach(stage.now, leaver);
    stage.broker.detach(stage.now, leaver);
    assert_eq!(stage.publish(other, "a.b", "x"), 0);
    let stats = stage.broker.stats();
    assert_eq!((stats.connections, stats.subscriptions, stats.patterns, stats.waits), (1, 0, 0, 0));
    assert_eq!((stats.outbox_ops, stage.broker.poll_timeout()), (0, None));
    assert!(stage.take(leaver).is_empty());
    // Its wait is gone, and with it the answer.
    stage.subscribe(other, "w", "q");
    stage.handle(leaver, ClientOp::InfoReceived);
    assert_eq!(stage.broker.peers(), [other]);
}

#[test]
fn when_all_places_are_taken_an_address_with_more_than_half_of_them_gives_way_to_others() {
    let mut stage = Stage::with(BrokerConfig { max_connections: 6, ..Default::default() }, 1);
    let mut come = |address: &str| {
        let info = crate::broker::ConnectionInfo { address: address.into(), ..Default::default() };
        let peer = stage.broker.attach_connection(stage.now, info);
        (peer, stage.broker.close_reason(peer).is_none())
    };
    let crowd: Vec<PeerId> = (0..5).map(|n| come(&format!("2001:db8::{n}")).0).collect();
    assert!(come("10.0.0.1").1);
    assert!(!come("2001:db8::9").1, "not to its own");
    assert!(come("10.0.0.2").1 && come("10.0.0.3").1);
    assert!(!come("10.0.0.4").1, "three are a half, and no more");
    let open = crowd.iter().filter(|peer| stage.broker.close_reason(**peer).is_none());
    assert_eq!(open.copied().collect::<Vec<_>>(), crowd[..3], "the latest went");
    let last = stage.take(crowd[4]);
    assert!(matches!(&last[..], [.., ServerOp::Info(info)] if info.user.is_err()), "{last:?}");
    stage.broker.peers().into_iter().for_each(|peer| stage.broker.detach(stage.now, peer));
    assert_eq!(stage.broker.connections(), 0);
}

#[test]
fn a_slow_consumer_is_closed_and_others_go_on() {
    let mut stage = Stage::with(BrokerConfig { max_outbox_ops: 3, ..Default::default() }, 1);
    let [slow, quick, publisher] = stage.joined();
    stage.subscribe(slow, "a", "1");
    stage.subscribe(slow, "*", "1");
    stage.subscribe(quick, "a", "2");
    assert_eq!(stage.publish(publisher, "a", "m1"), 3);
    assert_eq!(stage.received(quick).len(), 1);
    // The slow one has room for one of its two deliveries; the other is what closes it.
    assert_eq!(stage.publish(publisher, "a", "m2"), 2);
    assert_eq!(stage.broker.close_reason(slow), Some(DisconnectReason::SlowConsumer));
    let last_words = stage.take(slow);
    assert!(
        matches!(&last_words[..], [ServerOp::Closing { code, .. }] if code == "ERR_SLOW_CONSUMER"),
        "its outbox is dropped, and it is told: {last_words:?}"
    );
    assert_eq!(stage.publish(publisher, "a", "m3"), 1);
    assert_eq!(stage.received(quick), ["a: m2", "a: m3"]);
    let stats = stage.broker.stats();
    assert_eq!((stats.slow_consumers, stats.connections, stats.subscriptions), (1, 2, 1));
    stage.broker.detach(stage.now, slow);
    assert_eq!((stage.broker.connections(), stage.broker.close_reason(slow)), (2, None));
}

#[test]
fn a_slow_consumer_is_noticed_by_its_bytes_too() {
    let mut stage = Stage::with(BrokerConfig { max_outbox_bytes: 10_000, ..Default::default() }, 1);
    let [slow, publisher] = stage.joined();
    stage.subscribe(slow, "a", "1");
    assert_eq!(stage.publish(publisher, "a", &"x".repeat(6_000)), 1);
    assert_eq!(stage.publish(publisher, "a", &"x".repeat(6_000)), 0);
    assert_eq!(stage.broker.close_reason(slow), Some(DisconnectReason::SlowConsumer));
}

fn is_refused(op: &ServerOp) -> bool {
    matches!(op, ServerOp::Ack { reply: Reply::Error(OpError { code: Some(429), .. }), .. })
}

#[test]
fn who_floods_a_service_is_told_that_it_is_too_much_and_the_service_goes_on() {
    let mut stage = Stage::new();
    let [service, flooder, neighbour] = stage.joined();
    stage.subscribe(service, "service", "1");
    let (mut taken, mut told) = (Vec::new(), 0);
    for round in 0..300_000 {
        let publication = publication("service", "m", 0, true, "flood");
        let op = ClientOp::Publish { ack: Some(AckId(round)), publication };
        stage.broker.handle_op(stage.now, flooder, op);
        if round % 10_000 == 0 {
            // It reads, if slowly.
            stage.broker.take_outbox(service, &mut taken);
            assert_eq!(stage.publish(neighbour, "service", "m"), 1);
            told += stage.take(flooder).iter().filter(|op| is_refused(op)).count();
        }
    }
    assert!(taken.len() > 10_000 && told > 10_000, "{} {told}", taken.len());
    let stats = stage.broker.stats();
    assert_eq!((stats.slow_consumers, stage.broker.close_reason(service)), (0, None));
}

#[test]
fn who_does_not_read_its_answers_is_a_slow_consumer_as_well() {
    let mut stage = Stage::with(BrokerConfig { max_outbox_ops: 5, ..Default::default() }, 1);
    let [peer] = stage.joined();
    for _ in 0..6 {
        stage.begin(peer, |ack| ClientOp::Cluster { ack });
    }
    assert_eq!(stage.broker.close_reason(peer), Some(DisconnectReason::SlowConsumer));
    assert_eq!(stage.broker.connections(), 0);
}

#[test]
fn shutting_down_closes_all_and_leaves_their_output_to_be_flushed() {
    let mut stage = Stage::new();
    let [reader, publisher] = stage.joined();
    stage.subscribe(reader, "a", "q");
    stage.publish(publisher, "a", "last");
    while stage.broker.poll_woken().is_some() {}
    stage.broker.close();
    assert_eq!(std::iter::from_fn(|| stage.broker.poll_woken()).collect::<Vec<_>>(), [reader, publisher]);
    assert_eq!(stage.broker.close_reason(reader), Some(DisconnectReason::ShutDown));
    assert_eq!(stage.received(reader), ["a: last"]);
    let late = stage.attach("null");
    assert_eq!(stage.broker.close_reason(late), Some(DisconnectReason::ShutDown));
    assert_eq!((stage.broker.connections(), stage.broker.poll_timeout()), (0, None));
}

#[test]
fn a_peer_is_woken_once_for_many_deliveries_and_again_for_what_is_left() {
    let mut stage = Stage::new();
    let [reader, publisher] = stage.joined();
    stage.subscribe(reader, "a", "q");
    while stage.broker.poll_woken().is_some() {}
    for _ in 0..1500 {
        stage.handle(
            publisher,
            ClientOp::Publish { ack: None, publication: publication("a", "m", 0, true, "x") },
        );
    }
    assert_eq!(stage.broker.poll_woken(), Some(reader));
    assert_eq!(stage.broker.poll_woken(), None);
    let mut ops = Vec::new();
    stage.broker.take_outbox(reader, &mut ops);
    assert_eq!((ops.len(), stage.broker.poll_woken()), (1024, Some(reader)));
    stage.broker.take_outbox(reader, &mut ops);
    assert_eq!((ops.len(), stage.broker.poll_woken()), (1500, None));
}

#[test]
fn a_client_reports_and_asks_and_is_told_why_a_publish_was_refused() {
    let config = BrokerConfig { addresses: vec!["http://a".into()], ..Default::default() };
    let mut stage = Stage::with(config, 1);
    let [peer] = stage.joined();
    stage.handle(peer, ClientOp::Stats { messages: 7, bytes: 70 });
    let reported = stage.broker.peer_stats(peer).unwrap().reported;
    assert_eq!((reported.messages, reported.bytes), (7, 70));
    assert_eq!(stage.ask(peer, |ack| ClientOp::Cluster { ack }), Reply::Strings(vec!["http://a".into()]));
    let error = OpError { message: "Error: invalid subject".into(), code: None };
    let refused = |ack| ClientOp::PublishRefused { ack: Some(ack), error: error.clone() };
    assert_eq!(stage.ask(peer, refused), Reply::Error(error.clone()));
}

#[test]
fn a_snapshot_shows_peers_and_patterns_and_no_control_characters() {
    let mut stage = Stage::new();
    let [peer] = stage.joined();
    stage.subscribe(peer, "a.\u{1b}[31m", "q");
    let text = stage.broker.snapshot();
    assert!(text.contains("1 connections, 1 subscriptions") && text.contains(r"a.\u{1b}[31m"), "{text}");
    assert!(text.contains("null") && !text.contains('\u{1b}'), "{text}");
}

#[test]
fn a_drain_releases_the_oldest_first_at_an_even_pace_and_tells_once_when_all_have_gone() {
    let mut stage = Stage::new();
    let peers: [PeerId; 4] = stage.joined();
    let internal = stage.broker.attach_internal();
    stage.broker.drain(stage.now, Duration::from_secs(4));
    let late = stage.attach("null");
    assert_eq!(stage.broker.close_reason(late), Some(DisconnectReason::ShutDown), "none is accepted");
    stage.broker.detach(stage.now, late);
    for (gone, peer) in (1..).zip(peers) {
        stage.leave_quietly(peer);
        assert_eq!(stage.broker.close_reason(peer), Some(DisconnectReason::ShutDown));
        assert_eq!(stage.broker.connections(), peers.len() - gone, "one a second");
        assert!(!stage.broker.poll_drained(), "its link is still there");
        stage.broker.detach(stage.now, peer);
        if gone < peers.len() {
            assert!(!stage.broker.poll_drained());
            stage.pass(Duration::from_millis(980));
        }
    }
    assert!(stage.broker.poll_drained());
    assert!(!stage.broker.poll_drained(), "once");
    stage.pass(Duration::from_secs(60));
    assert_eq!(stage.broker.poll_timeout(), None);
    assert_eq!(stage.broker.close_reason(internal), Some(DisconnectReason::ShutDown));
}

#[test]
fn a_drain_without_a_spread_or_without_connections_is_over_as_soon_as_it_can_be() {
    let mut stage = Stage::new();
    assert!(!stage.broker.poll_drained(), "nobody has asked for one");
    stage.broker.drain(stage.now, Duration::from_secs(60));
    assert!(stage.broker.poll_drained());
    let mut stage = Stage::new();
    let peers: [PeerId; 3] = stage.joined();
    stage.broker.drain(stage.now, Duration::ZERO);
    for peer in peers {
        stage.leave_quietly(peer);
        assert_eq!(stage.broker.close_reason(peer), Some(DisconnectReason::ShutDown));
        stage.broker.detach(stage.now, peer);
    }
    assert!(stage.broker.poll_drained());
}

#[test]
fn subscriptions_of_the_brokers_own_connections_are_not_among_its_numbers() {
    let mut stage = Stage::new();
    let [peer] = stage.joined();
    let own = stage.broker.attach_internal();
    stage.subscribe(own, "sys.>", "");
    stage.subscribe(own, "sys.b1.>", "");
    assert_eq!(stage.broker.stats().subscriptions, 0);
    stage.subscribe(peer, "a", "");
    assert_eq!(stage.broker.stats().subscriptions, 1);
    stage.unsubscribe(own, "sys.>");
    assert_eq!(stage.broker.stats().subscriptions, 1);
    stage.broker.detach(stage.now, own);
    assert_eq!(stage.broker.stats().subscriptions, 1);
    stage.unsubscribe(peer, "a");
    assert_eq!(stage.broker.stats().subscriptions, 0);
}
