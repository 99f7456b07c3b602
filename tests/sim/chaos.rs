//! The standing test: faults and users at random for a while, then peace, and the invariants. One mix of faults a test, a quarter of the
//! seeds each.

use std::time::Duration;

use selvedge::broker::BrokerConfig;
use selvedge::client::ClientConfig;
use selvedge::endpoint::Command;
use selvedge::socket::SocketConfig;

use crate::app::Sock;
use crate::net::{Direction, Faults};
use crate::world::World;

const SEEDS: u64 = 2000;
/// One seed in so many runs twice.
const TWICE: u64 = 10;
const SUBJECT: &str = "chaos";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mix {
    /// The fabric loses, doubles and reorders deliveries.
    LossyFabric,
    /// Links are cut or fall silent, the broker restarts.
    Cuts,
    /// Handlers take their time.
    SlowConsumers,
    /// Servers die: for good, or to come back under the same name with empty hands.
    Failover,
}

const MIXES: [Mix; 4] = [Mix::LossyFabric, Mix::Cuts, Mix::SlowConsumers, Mix::Failover];

#[test]
fn sockets_keep_their_promise_over_a_lossy_fabric() {
    try_seeds(0);
}

#[test]
fn sockets_keep_their_promise_when_links_are_cut_and_the_broker_restarts() {
    try_seeds(1);
}

#[test]
fn sockets_keep_their_promise_when_handlers_are_slow() {
    try_seeds(2);
}

#[test]
fn sockets_keep_their_promise_when_servers_die() {
    try_seeds(3);
}

fn try_seeds(mix: u64) {
    let number = |name| std::env::var(name).ok().and_then(|text: String| text.parse::<u64>().ok());
    let seeds = match number("SELVEDGE_SIM_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number("SELVEDGE_SIM_SEEDS").unwrap_or(SEEDS),
    };
    for seed in seeds.filter(|seed| seed % 4 == mix) {
        let world = live(seed);
        let replay =
            format!("SELVEDGE_SIM_SEED={seed} cargo test --no-default-features --test sim sockets_keep");
        if !world.wrong.is_empty() {
            eprintln!("seed {seed}, {:?}", MIXES[usize::try_from(mix).unwrap_or(0)]);
        }
        world.assert_right(&replay);
        if seed / 4 % TWICE == 0 {
            assert_eq!(live(seed).trace.hash(), world.trace.hash(), "seed {seed} runs differently\n{replay}");
        }
    }
}

/// A whole life of a world.
fn live(seed: u64) -> World {
    let mix = MIXES[usize::try_from(seed % 4).unwrap_or(0)];
    // Small payloads, so that some messages come in chunks (of 1000 bytes).
    let mut world =
        World::with_broker(seed, BrokerConfig { max_payload: 101_000, ..BrokerConfig::default() });
    let servers = if mix == Mix::Failover { 3 } else { 1 };
    let nodes = servers + 1 + world.dice.below(3);
    let config = config(&mut world, mix);
    for node in 0..nodes {
        world.node();
        if node < servers {
            world.listen(node, SUBJECT, &format!("server{node}"), config.clone());
        }
    }
    world.net.faults.latency = (1, world.dice.pick(&[3, 30, 200]));
    let chaos = world.dice.millis(5_000, 60_000);
    if mix == Mix::LossyFabric || (mix == Mix::Failover && world.dice.chance(0.5)) {
        let dice = &mut world.dice;
        let loss = dice.pick(&[0.0, 0.05, 0.15, 0.3]);
        let (duplicate, reorder) = (dice.pick(&[0.0, 0.03, 0.1]), dice.pick(&[0.0, 0.05, 0.2]));
        world.net.faults = Faults { loss, duplicate, reorder, ..world.net.faults };
    }
    if mix == Mix::SlowConsumers || world.dice.chance(0.1) {
        world.slowness = world.dice.pick(&[50, 500, 3000]);
    }
    for _ in 0..2 + world.dice.below(4) {
        let node = servers + world.dice.below(nodes - servers);
        world.connect(node, SUBJECT, config.clone());
    }
    for _ in 0..50 + world.dice.below(150) {
        let at = world.dice.millis(0, u64::try_from(chaos.as_millis()).unwrap_or(0));
        let config = config.clone();
        world.after(at, move |world| act(world, servers, config));
    }
    let faults = if mix == Mix::Cuts { 3 + world.dice.below(20) } else { world.dice.below(2) };
    for _ in 0..faults {
        let at = world.dice.millis(0, u64::try_from(chaos.as_millis()).unwrap_or(0));
        world.after(at, hurt);
    }
    if mix == Mix::Failover {
        // One server stays.
        for victim in 0..1 + world.dice.below(2) {
            let at = world.dice.millis(1000, u64::try_from(chaos.as_millis()).unwrap_or(0));
            let (returns, pause) = (world.dice.chance(0.5), world.dice.millis(0, 10_000));
            let config = config.clone();
            world.after(at, move |world| {
                world.kill(victim);
                if returns {
                    world.after(pause, move |world| {
                        world.boot(victim, ClientConfig::default());
                        world.listen(victim, SUBJECT, &format!("server{victim}"), config);
                    });
                }
            });
        }
    }
    world.run_for(chaos);
    world.come_to_rest();
    world
}

fn config(world: &mut World, mix: Mix) -> SocketConfig {
    let dice = &mut world.dice;
    let windows: &[usize] = if mix == Mix::Failover { &[1000] } else { &[1, 2, 3, 8, 1000] };
    let keep_alive = Some(Duration::from_secs(dice.pick(&[45, 45, 45, 5])));
    SocketConfig {
        max_queue: dice.pick(windows),
        keep_alive,
        keep_alive_timeout: Duration::from_secs(dice.pick(&[30, 30, 10])),
        ..SocketConfig::default()
    }
}

/// Something that a user does.
fn act(world: &mut World, servers: usize, config: SocketConfig) {
    let clients = world.nodes.len() - servers;
    let open: Vec<Sock> = world
        .sides
        .iter()
        .filter(|(_, side)| side.is_open() && !side.ending)
        .map(|(sock, _)| *sock)
        .collect();
    if open.is_empty() || world.dice.chance(0.03) {
        let node = servers + world.dice.below(clients);
        world.connect(node, SUBJECT, config);
        return;
    }
    let sock = world.dice.pick(&open);
    match world.dice.below(100) {
        0..70 => {
            let (count, size) = (1 + world.dice.below(30) as u64, world.dice.pick(&[0, 0, 10, 200, 3500]));
            world.write(sock, count, size);
        }
        70..85 => drop(world.ask(sock, Duration::from_secs(20))),
        85..88 => world.close(sock),
        88..91 => drop(world.end(sock, Duration::from_secs(5))),
        91..95 => {
            if world.sides.get(&sock).is_some_and(|side| side.is_client) {
                world.attach(sock, false);
                let again = world.dice.millis(0, 20_000);
                world.after(again, move |world| world.attach(sock, true));
            }
        }
        95..98 => {
            world.command(sock.0, Command::Disconnect);
            let again = world.dice.millis(0, 10_000);
            world.after(again, move |world| world.command(sock.0, Command::Connect));
        }
        _ => world.command(sock.0, Command::DropTransport),
    }
}

/// Something that the network does.
fn hurt(world: &mut World) {
    let (node, now) = (world.dice.below(world.nodes.len()), world.now);
    match world.dice.below(10) {
        0..4 => world.net.cut(node, "cut"),
        4..6 => {
            let direction = world.dice.pick(&[Direction::ToBroker, Direction::ToEndpoint]);
            let patience = world.dice.millis(0, 20_000);
            world.net.half_open(now, node, direction, patience);
        }
        6..8 => {
            let length = world.dice.millis(0, 15_000);
            world.net.partition(now, node, length);
        }
        _ => {
            world.net.kill_broker();
            let length = world.dice.millis(0, 5_000);
            world.after(length, |world| world.net.start_broker(world.now));
        }
    }
}
