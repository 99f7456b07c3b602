//! A stranger publishes straight to the subjects of a socket: what no peer says changes nothing, there or at
//! its neighbours.

use bytes::Bytes;
use selvedge::endpoint::Command;
use selvedge::socket::{SocketConfig, State};
use selvedge::subject::Subject;
use selvedge::wire::{Encoding, Headers, Json, Message, Payload, SocketCommand};

use crate::app::Sock;
use crate::socket::{MINUTE, SECOND, pair};
use crate::world::World;

/// Returns what the stranger says.
fn attacks() -> Vec<(&'static str, Headers, Payload)> {
    let data = |seq| Headers::numbered(seq, None);
    let control = || Headers::default().with_command(Some(SocketCommand::Socket));
    let raw = |bytes: &'static [u8]| Payload::msgpack(Bytes::from_static(bytes));
    vec![
        ("no number", data(None), Payload::NIL),
        ("number 0", data(Some(0)), Payload::NIL),
        ("number 2^53", data(Some(1 << 53)), Payload::NIL),
        ("number 2^64 - 1", data(Some(u64::MAX)), Payload::NIL),
        ("a number that is none", data(None).with_malformed(true), Payload::NIL),
        ("an ack of what was never sent", control(), raw(b"\x81\xa6socket\x81\xa7emitted\x64")),
        ("an ack that is no number", control(), raw(b"\x81\xa6socket\x81\xa7emitted\xa1x")),
        ("missing ones that are no list", control(), raw(b"\x81\xa6socket\x81\xa7missing\x07")),
        ("nil for a control message", control(), Payload::NIL),
        ("an empty control message", control(), raw(b"")),
        (
            "a list of 4 thousand million",
            control(),
            raw(b"\x81\xa6socket\x81\xa7missing\xdd\xff\xff\xff\xff"),
        ),
        ("bytes that are no MessagePack", control(), raw(b"\xc1\xc1\xc1")),
    ]
}

fn say(world: &mut World, subject: &str, headers: Headers, payload: Payload) {
    let subject = Subject::parse(subject).expect("valid");
    let stranger = world.nodes.len() - 1;
    world.command(stranger, Command::Publish(Message { subject, payload, headers }));
}

/// A pair, a neighbour on the same nodes, and a stranger.
fn stage(seed: u64) -> (World, Sock, Sock, Sock) {
    stage_with(seed, SocketConfig::default())
}

/// The same, as with a peer that does not speak the stream.
fn old_stage(seed: u64) -> (World, Sock, Sock, Sock) {
    stage_with(seed, SocketConfig { stream: false, ..SocketConfig::default() })
}

fn stage_with(seed: u64, config: SocketConfig) -> (World, Sock, Sock, Sock) {
    let (mut world, near, far) = pair(seed, &config);
    let neighbour = world.connect(near.0, "story", config);
    world.node();
    world.run_for(SECOND);
    assert_eq!(world.sides[&neighbour].state, State::Ready);
    (world, near, far, neighbour)
}

fn subject_of(world: &World, near: Sock, to_client: bool) -> String {
    let id = &world.sides[&near].id;
    if to_client { format!("story.client.{id}") } else { format!("story.server.server.{id}") }
}

#[test]
fn what_no_peer_says_is_passed_over_and_closes_nothing_also_in_the_old_mode() {
    for (index, (name, headers, payload)) in attacks().into_iter().enumerate() {
        for to_client in [false, true] {
            let (mut world, near, far, neighbour) = old_stage(index as u64);
            let victim = if to_client { near } else { far };
            let subject = subject_of(&world, near, to_client);
            say(&mut world, &subject, headers.clone(), payload.clone());
            world.run_for(SECOND);
            assert!(world.sides[&victim].is_open(), "{name}: {:?}", world.sides[&victim].close_code());
            for sock in [near, far, neighbour] {
                world.write(sock, 10, 0);
            }
            world.run_for(SECOND);
            let acked = [near, far, neighbour].map(|sock| world.sides[&sock].acked);
            assert_eq!(acked, [10; 3], "{name}: the two ends, and the neighbour");
            world.come_to_rest();
            world.assert_right(name);
        }
    }
}

/// In the stream only the peer's tag proves anything: without it nothing is changed, whatever is said.
#[test]
fn a_frame_that_is_not_the_peers_changes_nothing() {
    let tagged = |tag| {
        move |(name, mut headers, payload): (&'static str, Headers, Payload)| {
            headers.set_attempt(tag);
            (name, headers, payload)
        }
    };
    let close = Headers::default().with_command(Some(SocketCommand::Close));
    let items = [0x81, 0x9f, 0xc0, 0xc1, 0xff].map(|encoding| {
        let payload =
            Payload { encoding: Encoding(encoding), raw: Bytes::from_static(b"\x09\x09\x09\x09\x09") };
        ("an item", Headers::numbered(Some(1), None), payload)
    });
    let attacks = attacks().into_iter().chain(items).chain([("a close", close, Payload::NIL)]);
    let attacks: Vec<_> = attacks.collect();
    let attacks = attacks.clone().into_iter().chain(attacks.into_iter().map(tagged(Some(7))));
    for (index, (name, headers, payload)) in attacks.enumerate() {
        for to_client in [false, true] {
            let (mut world, near, far, _) = stage(index as u64);
            let subject = subject_of(&world, near, to_client);
            say(&mut world, &subject, headers.clone(), payload.clone());
            world.run_for(SECOND);
            assert!(world.sides[&near].is_open() && world.sides[&far].is_open(), "{name}");
            world.write(near, 10, 0);
            world.write(far, 10, 0);
            world.run_for(SECOND);
            assert_eq!((world.sides[&near].acked, world.sides[&far].acked), (10, 10), "{name}");
            world.come_to_rest();
            world.assert_right(name);
        }
    }
}

#[test]
fn harmless_nonsense_is_survived() {
    let other = |name: &str| Headers::default().with_command(Some(SocketCommand::from_name(name)));
    let deep = Json::from_value(&serde_json::json!({ "__proto__": { "x": [[[[1]]]] } }));
    let nonsense = [
        other("dance"),
        other("connected"),
        other("ping"),
        other("dance").with_reply(Subject::parse("nowhere.at.all").ok()),
        other("ping").with_reply(Subject::parse("nowhere.at.all").ok()),
        other("dance").with_json(Some(deep)),
    ];
    for to_client in [false, true] {
        let (mut world, near, far, _) = stage(40);
        let subject = subject_of(&world, near, to_client);
        for headers in nonsense.clone() {
            say(&mut world, &subject, headers, Payload::NIL);
        }
        world.write(near, 10, 0);
        world.write(far, 10, 0);
        world.run_for(SECOND);
        assert_eq!((world.sides[&near].acked, world.sides[&far].acked), (10, 10));
        world.come_to_rest();
        world.assert_right("harmless nonsense");
    }
}

#[test]
fn a_number_that_is_far_ahead_but_possible_ends_in_a_reason() {
    for to_client in [false, true] {
        let (mut world, near, far, neighbour) = old_stage(41);
        let victim = if to_client { near } else { far };
        let subject = subject_of(&world, near, to_client);
        say(&mut world, &subject, Headers::numbered(Some(1 << 23), None), Payload::NIL);
        world.run_for(MINUTE);
        assert_eq!(
            world.sides[&victim].close_code().as_deref(),
            Some("ERR_SOCKET_LOST"),
            "nobody has what is missing"
        );
        assert!(world.sides[&neighbour].is_open());
        world.come_to_rest();
        world.assert_right("far ahead");
    }
}

#[test]
fn a_thousand_connects_without_a_way_back_hold_up_nobody() {
    let (mut world, near, _, _) = stage(42);
    for index in 0..1000 {
        let headers = Headers::default().with_command(Some(SocketCommand::Connect));
        say(&mut world, &format!("story.server.server.ghost{index}"), headers, Payload::NIL);
    }
    world.run_for(std::time::Duration::from_millis(50));
    let late = world.connect(near.0, "story", SocketConfig::default());
    assert!(world.run_until(SECOND, |world| world.sides[&late].state == State::Ready));
    world.run_for(10 * SECOND);
    assert!(!world.sides.values().any(|side| side.id.starts_with("ghost")), "nobody is there");
    world.come_to_rest();
    world.assert_right("ghosts");
}
