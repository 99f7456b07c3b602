//! Who gets a message.

use std::collections::BTreeSet;

use super::*;
use crate::broker::chunk_assignments::{LIFETIME, MAX_PER_PUBLISHER};
use crate::wire::SocketCommand;

#[test]
fn each_group_of_each_matching_pattern_gets_a_message_under_its_own_pattern() {
    let mut stage = Stage::new();
    let [both, other, publisher] = stage.joined();
    stage.subscribe(both, "a.*", "q");
    stage.subscribe(both, "a.>", "q");
    stage.subscribe(other, "a.>", "r");
    stage.subscribe(other, "b.>", "r");
    assert_eq!(stage.publish(publisher, "a.b", "hi"), 3);
    assert_eq!(stage.received(both), ["a.*: hi", "a.>: hi"]);
    assert_eq!(stage.received(other), ["a.>: hi"]);
}

#[test]
fn one_random_member_of_a_group_gets_it_and_every_member_has_its_turn() {
    let mut stage = Stage::new();
    let [publisher] = stage.joined();
    let members: [PeerId; 40] = stage.joined();
    for member in members {
        stage.subscribe(member, "work", "shared");
    }
    for _ in 0..1000 {
        assert_eq!(stage.publish(publisher, "work", "x"), 1);
    }
    let shares = members.map(|member| stage.received(member).len());
    assert_eq!(shares.iter().sum::<usize>(), 1000);
    // The mean is 25: a member without any would have had a chance of 1 in 10^11.
    assert!(shares.iter().all(|share| *share > 0), "{shares:?}");
}

#[test]
fn the_question_of_a_socket_to_whoever_listens_goes_to_one_of_all_groups_of_listeners() {
    let mut stage = Stage::new();
    let [one, two, other, watcher, publisher] = stage.joined();
    for (member, pattern) in [(one, "a.b.server.~.*"), (two, "a.*.server.~.*"), (other, "*.b.server.~.*")] {
        stage.subscribe(member, pattern, "selvedge");
    }
    stage.subscribe(watcher, "a.b.server.~.*", "somebody else");
    let question = |command| {
        let mut question = publication("a.b.server.~.id", "m", 0, true, "x");
        question.headers = Headers::default().with_command(command);
        question
    };
    for _ in 0..60 {
        stage.begin(publisher, |ack| {
            let publication = question(Some(SocketCommand::Connect));
            ClientOp::Publish { ack: Some(ack), publication }
        });
    }
    let shares = [one, two, other].map(|member| stage.received(member).len());
    assert_eq!((shares.iter().sum::<usize>(), stage.received(watcher).len()), (60, 60));
    assert!(shares.iter().all(|share| *share > 5), "{shares:?}");
    // Anything else on that subject goes the usual way.
    stage.begin(publisher, |ack| ClientOp::Publish { ack: Some(ack), publication: question(None) });
    assert_eq!([one, two, other].map(|member| stage.received(member).len()), [1, 1, 1]);
}

#[test]
fn a_tap_receives_and_does_not_count() {
    let mut stage = Stage::new();
    let [tap, listener, publisher] = stage.joined();
    stage.subscribe(tap, ">", "q");
    assert_eq!(stage.publish(publisher, "a", "1"), 0);
    stage.subscribe(listener, "a", "q");
    assert_eq!(stage.publish(publisher, "a", "2"), 1);
    assert_eq!(stage.received(tap), [">: 1", ">: 2"]);
}

#[test]
fn a_publisher_that_listens_gets_its_messages_in_order_and_before_the_acknowledgement() {
    let mut stage = Stage::new();
    let [peer] = stage.joined();
    stage.subscribe(peer, "a", "q");
    let acks = ["1", "2"].map(|text| {
        let publication = publication("a", "m", 0, true, text);
        stage.begin(peer, |ack| ClientOp::Publish { ack: Some(ack), publication })
    });
    let seen: Vec<String> = stage
        .take(peer)
        .iter()
        .map(|op| match op {
            ServerOp::Deliver { publication, .. } => {
                String::from_utf8_lossy(&publication.payload.raw).into_owned()
            }
            ServerOp::Ack { id, .. } => format!("ack {}", acks.iter().position(|ack| ack == id).unwrap() + 1),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(seen, ["1", "ack 1", "2", "ack 2"]);
}

#[test]
fn a_request_is_acknowledged_only_when_nobody_gets_it() {
    let mut stage = Stage::with(BrokerConfig { max_payload: 100, ..Default::default() }, 1);
    let [tap, listener, publisher] = stage.joined();
    let request = |stage: &mut Stage, text: &str| {
        let publication = publication("a", "m", 0, true, text);
        let ack = stage.begin(publisher, |ack| ClientOp::Request { ack, publication });
        stage.answer(publisher, ack)
    };
    stage.subscribe(tap, ">", "q");
    assert_eq!(request(&mut stage, "1"), Some(Reply::Published { count: 0 }), "a tap is nobody");
    stage.subscribe(listener, "a", "q");
    assert_eq!(request(&mut stage, "2"), None);
    assert!(matches!(request(&mut stage, &"x".repeat(101)), Some(Reply::Error(_))));
    assert_eq!(stage.received(listener), ["a: 2"]);
    assert!(stage.take(publisher).is_empty());
    assert_eq!(stage.broker.stats().publishes_refused, 1);
}

#[test]
fn too_big_a_payload_is_refused_headers_included() {
    let mut stage = Stage::with(BrokerConfig { max_payload: 100, ..Default::default() }, 1);
    let [listener, publisher] = stage.joined();
    stage.subscribe(listener, "a", "q");
    assert_eq!(stage.publish(publisher, "a", &"x".repeat(100)), 1);
    let mut with_headers = publication("a", "m", 0, true, &"x".repeat(97));
    with_headers.headers.json = Some(Json::parse("1234".into()).unwrap());
    let long_id = publication("a", &"i".repeat(1025), 0, true, "x");
    for bad in [publication("a", "m", 0, true, &"x".repeat(101)), with_headers, long_id] {
        error_of(stage.ask(publisher, |ack| ClientOp::Publish { ack: Some(ack), publication: bad.clone() }));
        stage.handle(publisher, ClientOp::Publish { ack: None, publication: bad });
    }
    assert!(stage.take(publisher).is_empty());
    assert_eq!((stage.received(listener).len(), stage.broker.stats().publishes_refused), (1, 6));
}

/// Two members of one group, and a publisher.
fn group_of_two() -> (Stage, [PeerId; 2], PeerId) {
    let mut stage = Stage::new();
    let [left, action, publisher] = stage.joined();
    stage.subscribe(left, "a", "shared");
    stage.subscribe(action, "a", "shared");
    (stage, [left, action], publisher)
}

#[test]
fn all_chunks_of_a_message_go_to_the_member_that_had_the_first() {
    let (mut stage, members, publisher) = group_of_two();
    let mut chosen = BTreeSet::new();
    for message in 0..20 {
        for seq in 0..10 {
            let chunk = publication("a", &message.to_string(), seq, seq == 9, "x");
            assert_eq!(stage.publish_chunk(publisher, chunk), 1);
            // Other messages in between choose anew.
            stage.publish(publisher, "a", "noise");
        }
        for member in members {
            let ops = stage.take(member);
            let chunks = ops.iter().filter(
                |op| matches!(op, ServerOp::Deliver { publication, .. } if publication.part().is_some()),
            );
            match chunks.count() {
                0 => {}
                10 => drop(chosen.insert(member)),
                part => panic!("{part} of 10 chunks"),
            }
        }
    }
    assert_eq!(chosen.len(), 2);
    assert_eq!(stage.broker.poll_timeout(), None, "nothing is kept of messages that are done");
}

#[test]
fn the_rest_of_a_message_goes_nowhere_when_its_member_leaves_even_if_it_returns() {
    for returns in [false, true] {
        let (mut stage, members, publisher) = group_of_two();
        stage.publish_chunk(publisher, publication("a", "m", 0, false, "x"));
        let chosen = members.into_iter().find(|member| !stage.received(*member).is_empty()).unwrap();
        stage.unsubscribe(chosen, "a");
        if returns {
            stage.subscribe(chosen, "a", "shared");
        }
        assert_eq!(stage.publish_chunk(publisher, publication("a", "m", 1, true, "x")), 0);
        assert_eq!(members.map(|member| stage.received(member).len()), [0, 0]);
        // A new message is another matter.
        assert_eq!(stage.publish_chunk(publisher, publication("a", "m", 0, false, "x")), 1);
    }
}

#[test]
fn who_subscribes_within_a_message_gets_none_of_its_rest() {
    let (mut stage, _, publisher) = group_of_two();
    stage.publish_chunk(publisher, publication("a", "m", 0, false, "x"));
    let [late] = stage.joined();
    stage.subscribe(late, "a", "own");
    assert_eq!(stage.publish_chunk(publisher, publication("a", "m", 1, true, "x")), 1);
    assert!(stage.received(late).is_empty());
    assert_eq!(stage.publish_chunk(publisher, publication("a", "unknown", 1, true, "x")), UNKNOWN);
}

#[test]
fn two_publishers_may_use_one_message_id() {
    let (mut stage, _, first) = group_of_two();
    let [second] = stage.joined();
    for publisher in [first, second] {
        assert_eq!(stage.publish_chunk(publisher, publication("a", "m", 0, false, "x")), 1);
    }
    for publisher in [first, second] {
        assert_eq!(stage.publish_chunk(publisher, publication("a", "m", 1, true, "x")), 1);
    }
}

#[test]
fn a_receiver_can_tell_senders_apart_and_nobody_can_send_under_the_id_that_it_sees() {
    let (mut stage, members, first) = group_of_two();
    let [second, watcher] = stage.joined();
    stage.subscribe(watcher, "a", "own");
    let seen = |stage: &mut Stage| -> Vec<String> {
        members.iter().for_each(|member| drop(stage.take(*member)));
        let ids = stage.take(watcher).into_iter().filter_map(|op| match op {
            ServerOp::Deliver { publication, .. } => Some(publication.id().to_owned()),
            _ => None,
        });
        ids.collect()
    };
    for publisher in [first, second] {
        stage.publish_chunk(publisher, publication("a", "m", 0, false, "x"));
        stage.publish_chunk(publisher, publication("a", "m", 1, false, "x"));
        stage.publish_chunk(publisher, publication("a", "n", 0, false, "x"));
    }
    let ids = seen(&mut stage);
    let origin = |id: &str| id.split_once('.').map(|(origin, _)| origin.to_owned()).expect("told");
    assert_eq!(ids[0], ids[1], "the chunks of a message");
    assert!(ids[0] != ids[2] && ids[0] != ids[3], "and of no other");
    assert_eq!(origin(&ids[0]), origin(&ids[2]));
    assert_ne!(origin(&ids[0]), origin(&ids[3]));
    assert_eq!(stage.publish_chunk(second, publication("a", &ids[0], 2, true, "x")), UNKNOWN);
    assert!(seen(&mut stage).is_empty());
}

#[test]
fn an_unfinished_message_is_forgotten_after_two_minutes() {
    let (mut stage, _, publisher) = group_of_two();
    stage.publish_chunk(publisher, publication("a", "m", 0, false, "x"));
    stage.pass(LIFETIME / 2);
    stage.publish_chunk(publisher, publication("a", "later", 0, false, "x"));
    stage.pass(LIFETIME / 2);
    assert_eq!(stage.publish_chunk(publisher, publication("a", "m", 1, true, "x")), UNKNOWN);
    assert_eq!(stage.publish_chunk(publisher, publication("a", "later", 1, false, "x")), 1);
    assert!(stage.broker.poll_timeout().is_some());
    stage.pass(LIFETIME);
    assert_eq!(stage.broker.poll_timeout(), None);
}

#[test]
fn a_publisher_that_begins_too_many_messages_loses_its_own_oldest() {
    let (mut stage, _, publisher) = group_of_two();
    let [other] = stage.joined();
    stage.publish_chunk(other, publication("a", "m", 0, false, "x"));
    for message in 0..=MAX_PER_PUBLISHER {
        // It does not wait for the acknowledgements, which come when there is room for so many.
        let publication = publication("a", &message.to_string(), 0, false, "x");
        stage.begin(publisher, |ack| ClientOp::Publish { ack: Some(ack), publication });
    }
    assert_eq!(stage.publish_chunk(publisher, publication("a", "0", 1, true, "x")), UNKNOWN);
    assert_eq!(stage.publish_chunk(publisher, publication("a", "1", 1, true, "x")), 1);
    assert_eq!(stage.publish_chunk(other, publication("a", "m", 1, true, "x")), 1);
}

#[test]
fn a_message_that_becomes_too_large_is_refused_with_all_of_its_rest() {
    let config = BrokerConfig { max_message_bytes: 10, ..BrokerConfig::default() };
    let mut stage = Stage::with(config, 1);
    let [publisher, reader] = stage.joined();
    stage.subscribe(reader, "a", "0");
    let mut chunk = |seq, done, text: &str| {
        let chunk = publication("a", "m", seq, done, text);
        stage.ask(publisher, |ack| ClientOp::Publish { ack: Some(ack), publication: chunk })
    };
    assert_eq!(chunk(0, false, "123456"), Reply::Published { count: 1 });
    assert_eq!(chunk(1, false, "7890"), Reply::Published { count: 1 });
    let text =
        |size: usize| (format!("payload and headers have {size} bytes, and the limit is 10"), Some(413));
    assert_eq!(error_of(chunk(2, false, "!")), text(11));
    assert_eq!(error_of(chunk(3, true, "!")), text(12));
    assert!(matches!(chunk(4, true, "!"), Reply::Error(OpError { code: Some(429), .. })), "it is over");
    assert_eq!(error_of(chunk(0, true, "12345678901")), text(11));
    // The first chunk is too large already.
    assert_eq!(error_of(chunk(0, false, "12345678901")), text(11));
    assert_eq!(error_of(chunk(1, false, "12345678901")), text(11));
    assert_eq!(error_of(chunk(2, true, "!")), text(23));
    assert!(matches!(chunk(3, true, "!"), Reply::Error(OpError { code: Some(429), .. })), "it is over");
    assert_eq!(stage.broker.unfinished(), 0);
}
