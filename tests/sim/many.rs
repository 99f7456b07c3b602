//! Requests for any number of answers: short stories, and what a peer may say that lies.

use std::time::Duration;

use selvedge::base::Few;
use selvedge::endpoint::Command;
use selvedge::socket::{AnswerLimits, SocketConfig};
use selvedge::wire::stream::Answer;
use selvedge::wire::{Messages, Payload, push_item};

use crate::app::payload;
use crate::asks::{Answered, answer_end, one_of_many};
use crate::net::{Faults, QUIET};
use crate::socket::{MINUTE, SECOND, pair};
use crate::world::World;

const TEN_SECONDS: Duration = Duration::from_secs(10);
/// Write, ask, ask, write.
const LINE: [bool; 4] = [false, true, true, false];

fn finish(mut world: World) {
    world.come_to_rest();
    world.assert_right("this story");
}

#[test]
fn a_request_for_many_gets_all_in_order_once_and_fails_only_if_the_end_is_not_said() {
    let wait = Some(Duration::from_millis(400));
    for seed in 0..60 {
        let (mut world, near, far) = pair(300 + seed, &SocketConfig::default());
        world.net.faults = Faults { loss: 0.1, duplicate: 0.1, reorder: 0.1, ..QUIET };
        let mut asks = Vec::new();
        for sock in [near, far] {
            for (max_messages, max_wait) in [(None, None), (Some(1), None), (Some(4), wait), (None, wait)] {
                world.say(sock, &LINE, MINUTE, 10);
                let limits = AnswerLimits { max_messages, max_wait };
                asks.push((sock, world.ask_many(sock, limits, MINUTE)));
            }
        }
        world.run_for(MINUTE + SECOND);
        for ask in asks.iter().map(|ask| &world.asks[ask]) {
            let failed = Answered::Failed { is_unhandled: false };
            let expected = if ask.is_whole() { Answered::Answer } else { failed };
            assert_eq!(ask.outcome, Some(expected), "seed {seed}: {ask}, {} answers", ask.answers());
        }
        finish(world);
    }
}

#[test]
fn whoever_has_enough_answers_or_leaves_is_sent_no_more() {
    let (mut world, near, far) = pair(360, &SocketConfig::default());
    let limits = AnswerLimits { max_messages: Some(3), ..AnswerLimits::default() };
    let [enough, left] = [limits, AnswerLimits::default()].map(|limits| world.ask_many(near, limits, MINUTE));
    world.run_for(Duration::from_millis(50));
    let asked = world.asks[&(near, enough)].payload.clone();
    // However many the other side goes on to send.
    for number in world.asks[&(near, enough)].answers() + 1..50 {
        world.write_answer(far, Answer { key: enough, payload: one_of_many(&asked, number) }.encode(true));
    }
    world.cancel_ask(near, left);
    world.run_for(SECOND);
    assert_eq!((world.asks[&(near, enough)].answers(), world.open_asks().count()), (3, 0));
    world.run_for(MINUTE);
    finish(world);
}

#[test]
fn a_peer_that_does_not_speak_the_stream_answers_one_of_many_until_the_wait_is_over() {
    for (client, server) in [(true, false), (false, true), (false, false)] {
        let config = |stream| SocketConfig { stream, ..SocketConfig::default() };
        let mut world = World::new(361);
        let (one, two) = (world.node(), world.node());
        world.listen(one, "story", "server", config(server));
        let near = world.connect(two, "story", config(client));
        let limits = [
            AnswerLimits { max_messages: Some(1), max_wait: None },
            AnswerLimits { max_messages: None, max_wait: Some(SECOND) },
            AnswerLimits::default(),
        ];
        let early = limits.map(|limits| world.ask_many(near, limits, TEN_SECONDS));
        world.run_for(SECOND);
        let far = *world.sides.keys().find(|(node, _)| *node == one).expect("accepted");
        let late = limits.map(|limits| world.ask_many(far, limits, TEN_SECONDS));
        world.run_for(11 * SECOND);
        for (sock, keys) in [(near, early), (far, late)] {
            let answers = keys.map(|key| world.asks[&(sock, key)].answers());
            assert_eq!((answers, world.outcomes(sock, &keys)), ([1; 3], vec![Some(Answered::Answer); 3]));
        }
        finish(world);
    }
}

/// What a peer that speaks the stream may say to break it: each of them ends its own socket, with the reason.
#[test]
fn a_peer_that_answers_what_was_never_asked_or_once_too_often_for_one_is_not_believed() {
    let answer = |key, more| Answer { key, payload: Payload::NIL }.encode(more);
    let lies: [(&str, Vec<Payload>); 5] = [
        ("an answer to nothing", vec![answer(99, false)]),
        ("one of many to nothing", vec![answer(99, true)]),
        ("the end of answers to nothing", vec![answer_end(99)]),
        ("one of many where one was wanted", vec![answer(1, true)]),
        ("the end where one was wanted", vec![answer_end(1)]),
    ];
    for (what, lie) in lies {
        for packed in [false, true] {
            let (mut world, near, far) = pair(362, &SocketConfig::default());
            let id = world.sides[&far].id.clone();
            let neighbour = world.connect(near.0, "story", SocketConfig::default());
            world.deaf.insert(id);
            world.say(near, &[true], MINUTE, 9);
            world.run_for(SECOND);
            let mut raw = Vec::new();
            if packed {
                push_item(&mut raw, &payload(world.sides[&far].writer, 1, 3), None);
            }
            lie.iter().for_each(|item| push_item(&mut raw, item, None));
            let batches = Messages::split(raw.into()).expect("sound");
            world.command(far.0, Command::SocketWrite { sockets: Few::One(far.1), batches, volatile: false });
            world.run_for(SECOND);
            assert_eq!(world.sides[&near].close_code().as_deref(), Some("ERR_SOCKET_PROTOCOL"), "{what}");
            assert!(world.sides[&neighbour].is_open(), "{what}");
        }
    }
}

#[test]
fn what_comes_after_the_end_is_dropped_and_closes_nothing() {
    let (mut world, near, far) = pair(363, &SocketConfig::default());
    let id = world.sides[&far].id.clone();
    world.deaf.insert(id);
    let key = world.ask_many(near, AnswerLimits::default(), MINUTE);
    world.run_for(SECOND);
    world.write_answer(far, answer_end(key));
    // More than a window of them: what nobody wants counts as handled.
    for _ in 0..20_000 {
        world.write_answer(far, Answer { key, payload: Payload::NIL }.encode(true));
    }
    world.write_answer(far, answer_end(key));
    world.run_for(SECOND);
    assert_eq!(world.outcomes(near, &[key]), [Some(Answered::Answer)]);
    world.deaf.clear();
    let late = world.say(near, &[true; 30], TEN_SECONDS, 9);
    world.run_for(11 * SECOND);
    assert!(world.outcomes(near, &late).contains(&Some(Answered::Answer)));
    finish(world);
}
