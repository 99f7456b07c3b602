//! Connects: each socket has one server, whatever becomes of the question, the answer, or who was asked.

use std::collections::BTreeMap;
use std::time::Duration;

use selvedge::base::FaultPoint;
use selvedge::endpoint::Command;
use selvedge::socket::{SocketConfig, State};

use crate::app::Sock;
use crate::socket::{MINUTE, SECOND};
use crate::world::World;

fn ready(world: &World, socks: &[Sock]) -> bool {
    socks.iter().all(|sock| world.sides[sock].state == State::Ready)
}

/// How many sockets each server was given.
fn accepted(world: &World) -> BTreeMap<usize, usize> {
    let mut accepted = BTreeMap::new();
    for ((node, _), _) in world.sides.iter().filter(|(_, side)| !side.is_client) {
        *accepted.entry(*node).or_default() += 1;
    }
    accepted
}

fn connect(world: &mut World, node: usize, subject: &str, count: usize) -> Vec<Sock> {
    (0..count).map(|_| world.connect(node, subject, SocketConfig::default())).collect()
}

#[test]
fn an_accept_that_is_lost_or_comes_twice_leaves_one_socket_at_one_server() {
    for point in [FaultPoint::LostAccept, FaultPoint::TwoAccepts] {
        let mut taken = 0;
        for seed in 0..60 {
            let mut world = World::new(seed);
            let servers: Vec<usize> = (0..3).map(|_| world.node()).collect();
            let client = world.node();
            for (number, server) in servers.iter().enumerate() {
                world.listen(*server, "story", &format!("server{number}"), SocketConfig::default());
            }
            world.run_for(SECOND);
            world.net.rare.set(1 << point as u16, 40);
            let socks = connect(&mut world, client, "story", 10);
            for sock in &socks {
                world.write(*sock, 3, 10);
            }
            assert!(world.run_until(MINUTE, |world| ready(world, &socks)), "{point:?} {seed}");
            let far: Vec<Sock> = world.sides.keys().filter(|sock| !socks.contains(sock)).copied().collect();
            for sock in far {
                world.write(sock, 3, 10);
            }
            taken += world.net.rare.taken();
            world.come_to_rest();
            world.assert_right(&format!("{point:?}, seed {seed} of this story"));
        }
        assert!(taken > 100, "{point:?}: {taken}");
    }
}

#[test]
fn a_connect_that_several_patterns_match_is_accepted_once() {
    let mut world = World::new(1);
    let (narrow, wide, client) = (world.node(), world.node(), world.node());
    world.listen(narrow, "a.b", "narrow", SocketConfig::default());
    world.listen(wide, "a.*", "wide", SocketConfig::default());
    world.run_for(SECOND);
    let socks = connect(&mut world, client, "a.b", 100);
    assert!(world.run_until(SECOND / 10, |world| ready(world, &socks)));
    world.run_for(SECOND);
    let accepted = accepted(&world);
    assert_eq!(accepted.values().sum::<usize>(), 100, "{accepted:?}");
    assert!(accepted.values().all(|count| *count > 20), "{accepted:?}");
    world.come_to_rest();
    world.assert_right("this story");
}

#[test]
fn listeners_of_one_process_share_the_sockets_that_come() {
    let mut world = World::new(2);
    let (server, client) = (world.node(), world.node());
    let listeners =
        ["one", "two", "three"].map(|id| world.listen(server, "story", id, SocketConfig::default()));
    world.run_for(SECOND);
    let socks = connect(&mut world, client, "story", 60);
    assert!(world.run_until(SECOND / 10, |world| ready(world, &socks)));
    assert_eq!(accepted(&world), [(server, 60)].into());
    // Who leaves gets no more, and the others go on.
    world.command(server, Command::ListenerRetire(listeners[0]));
    world.command(server, Command::ListenerClose(listeners[1]));
    let socks = connect(&mut world, client, "story", 60);
    assert!(world.run_until(SECOND / 10, |world| ready(world, &socks)));
    assert_eq!(accepted(&world), [(server, 120)].into());
    world.come_to_rest();
    world.assert_right("this story");
}

#[test]
fn a_frozen_server_delays_a_connect_by_a_second_and_what_it_takes_when_it_thaws_is_nobodys() {
    for seed in 0..30 {
        let mut world = World::new(seed);
        let (frozen, other, client) = (world.node(), world.node(), world.node());
        world.listen(frozen, "story", "frozen", SocketConfig::default());
        world.listen(other, "story", "other", SocketConfig::default());
        world.run_for(SECOND);
        let length = world.dice.millis(1500, 40_000);
        world.freeze(frozen, length);
        let socks = connect(&mut world, client, "story", 20);
        for sock in &socks {
            world.write(*sock, 3, 10);
        }
        assert!(world.run_until(Duration::from_millis(1100), |world| ready(world, &socks)), "seed {seed}");
        let far: Vec<Sock> = world.sides.keys().filter(|(node, _)| *node == other).copied().collect();
        assert_eq!(far.len(), 20, "seed {seed}");
        for sock in far {
            world.write(sock, 3, 10);
        }
        world.run_for(length);
        world.come_to_rest();
        assert!(socks.iter().all(|sock| world.sides[sock].is_open()), "seed {seed}");
        world.assert_right(&format!("seed {seed} of this story"));
    }
}

#[test]
fn whoever_connects_while_servers_come_and_go_in_order_is_accepted_at_once() {
    for seed in 0..60 {
        let mut world = World::new(seed);
        let client = world.node();
        let mut servers: Vec<(usize, u32)> = Vec::new();
        for number in 0..8 {
            let node = world.node();
            let config = SocketConfig::default();
            let listener = world.listen(node, "story", &format!("server{number}"), config);
            servers.push((node, listener));
            world.run_for(SECOND);
            let socks = connect(&mut world, client, "story", 5);
            if servers.len() > 2 {
                let (node, listener) = servers.remove(0);
                world.command(node, Command::ListenerRetire(listener));
            }
            let more = connect(&mut world, client, "story", 5);
            let all: Vec<Sock> = socks.into_iter().chain(more).collect();
            assert!(world.run_until(SECOND / 2, |world| ready(world, &all)), "seed {seed}");
        }
        world.come_to_rest();
        world.assert_right(&format!("seed {seed} of this story"));
    }
}

#[test]
fn a_client_that_is_opened_and_left_idle_keeps_its_socket() {
    let mut world = World::new(3);
    let (server, client) = (world.node(), world.node());
    world.listen(server, "story", "server", SocketConfig::default());
    world.run_for(SECOND);
    let socks = connect(&mut world, client, "story", 5);
    world.run_for(3 * MINUTE);
    assert!(ready(&world, &socks) && world.sides.values().all(|side| side.is_open()), "{:?}", world.sides);
    world.come_to_rest();
    world.assert_right("this story");
}
