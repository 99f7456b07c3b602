//! Gateways that lose the fabric above for a while, one or all of them: sockets across them know it within a
//! second, wait as if they had lost their own broker, and go on when it is back.

use std::time::Duration;

use selvedge::socket::{SocketConfig, State};

use crate::app::Sock;
use crate::gateways::{GATEWAYS, NODES, check_cloud, world};
use crate::narrow::make_narrow;
use crate::socket::{MINUTE, SECOND};
use crate::world::World;

/// It is told that the upstream is away after half a second, and what the network takes.
const KNOWN: Duration = Duration::from_millis(700);

fn config(seed: u64) -> SocketConfig {
    SocketConfig { stream: !seed.is_multiple_of(4), ..SocketConfig::default() }
}

/// A socket between two gateways, and one within the first of them, both ready.
fn across_and_within(seed: u64) -> (World, Sock, Sock) {
    let mut world = world(seed);
    make_narrow(&mut world, seed);
    // Clients are at the gateways in turn: the first and the fourth at gateway 1.
    let (server, client, _, neighbour) = (world.node(), world.node(), world.node(), world.node());
    world.listen(server, "far", "server", config(seed));
    let across = world.connect(client, "far", config(seed));
    let within = world.connect(neighbour, "far", config(seed));
    let are_ready = |world: &World| both(world, across).chain(both(world, within)).eq([State::Ready; 4]);
    assert!(world.run_until(10 * SECOND, are_ready), "seed {seed}");
    world.run_for(SECOND);
    (world, across, within)
}

/// The states of both ends.
fn both(world: &World, sock: Sock) -> impl Iterator<Item = State> {
    let id = &world.sides[&sock].id;
    world.sides.values().filter(move |side| side.id == *id).map(|side| side.state)
}

fn lose_all(world: &mut World, length: Duration) {
    for gateway in 0..GATEWAYS {
        // They do not find it again at the same moment.
        let late = world.dice.millis(0, 300);
        world.net.cut_uplink(world.now, gateway, length + late);
    }
}

#[test]
fn sockets_across_gateways_without_an_upstream_are_disconnected_within_a_second_and_lose_nothing() {
    for seed in 0..200 {
        let (mut world, across, within) = across_and_within(seed);
        let length = world.dice.pick(&[2, 20, 60, 200]) * SECOND;
        lose_all(&mut world, length);
        world.write(across, 10, 0);
        world.run_for(KNOWN);
        let states: Vec<State> = both(&world, across).collect();
        assert_eq!(states, [State::Disconnected; 2], "seed {seed}");
        assert!(both(&world, within).eq([State::Ready; 2]), "seed {seed}: it needs no upstream");
        world.write(within, 10, 0);
        let is_handled = |world: &World| world.sides[&within].acked == 10;
        assert!(world.run_until(SECOND, is_handled), "seed {seed}");
        world.run_for(length - KNOWN - SECOND);
        let is_back =
            |world: &World| both(world, across).eq([State::Ready; 2]) && world.sides[&across].acked == 10;
        assert!(world.run_until(4 * SECOND, is_back), "seed {seed}: lost for {length:?}");
        world.come_to_rest();
        check_cloud(&mut world);
        world.assert_right("this story");
    }
}

#[test]
fn a_server_of_the_fabric_above_that_is_replaced_at_once_is_not_noticed() {
    for seed in 0..200 {
        let (mut world, across, within) = across_and_within(seed);
        for node in 0..NODES {
            world.net.kill_node(world.now, node);
        }
        for sock in [across, within] {
            world.write(sock, 10, 0);
        }
        for _ in 0..20 {
            world.run_for(Duration::from_millis(50));
            let states = both(&world, across).chain(both(&world, within));
            assert!(states.eq([State::Ready; 4]), "seed {seed}");
        }
        world.come_to_rest();
        world.assert_right("this story");
    }
}

/// What was known before, or is seen here, is no secret because the upstream is away.
#[test]
fn a_peer_at_the_own_gateway_that_dies_during_an_outage_is_given_up_in_its_time() {
    for seed in 0..100 {
        let (mut world, _, within) = across_and_within(seed);
        lose_all(&mut world, 5 * MINUTE);
        world.run_for(2 * SECOND);
        let dead = world.sides.keys().find(|sock| sock.0 == within.0).copied().expect("its client");
        world.kill(dead.0);
        let id = world.sides[&within].id.clone();
        let is_lost = move |world: &World| {
            world.sides.iter().any(|(sock, side)| sock.0 != within.0 && side.id == id && !side.is_open())
        };
        assert!(world.run_until(40 * SECOND, is_lost), "seed {seed}");
    }
}

/// A broker that dies and is started again after a while, at which two servers listen, and one socket of the
/// first of them. Returns when it was started again.
fn restart_the_broker(seed: u64, kills_server: bool) -> (World, Sock, std::time::Instant) {
    let mut world = World::new(seed);
    let (server, other, client) = (world.node(), world.node(), world.node());
    world.listen(server, "far", "server", config(seed));
    world.run_for(SECOND);
    let sock = world.connect(client, "far", config(seed));
    assert!(world.run_until(10 * SECOND, |world| both(world, sock).eq([State::Ready; 2])), "seed {seed}");
    world.listen(other, "far", "other", config(seed));
    // Their connections have lasted.
    world.run_for(10 * SECOND);
    world.net.kill_broker();
    if kills_server {
        world.kill(server);
    }
    let length = world.dice.millis(100, 9000);
    world.run_for(length);
    world.net.start_broker(world.now);
    let started = world.now;
    (world, sock, started)
}

#[test]
fn sockets_whose_broker_and_server_die_together_give_that_up_seconds_after_the_broker_is_back() {
    let mut all = Vec::new();
    for seed in 0..200 {
        let (mut world, sock, started) = restart_the_broker(seed, true);
        assert!(world.run_until(MINUTE, |world| !world.sides[&sock].is_open()), "seed {seed}");
        all.push(world.now - started);
    }
    all.sort_unstable();
    // Their own pause before they reconnect is up to two seconds; as long the server may take for its own.
    assert!(all[100] < Duration::from_millis(2900), "{:?}", all[100]);
    assert!(all[199] < Duration::from_millis(4300), "{:?}", all[199]);
}

#[test]
fn sockets_whose_server_lives_stay_with_it_when_the_broker_is_back_after_seconds() {
    for seed in 0..1000 {
        let (mut world, sock, started) = restart_the_broker(seed, false);
        let is_back = |world: &World| both(world, sock).eq([State::Ready; 2]);
        assert!(world.run_until(30 * SECOND, is_back), "seed {seed}: {:?}", world.now - started);
        world.come_to_rest();
        world.assert_right("this story");
    }
}
