//! Many writers to one process over a fabric that loses and exchanges messages, and little room for what
//! comes before its turn: nothing is lost, and the room is kept.

use selvedge::base::Handle;
use selvedge::endpoint::IntakeLimits;
use selvedge::socket::{SocketConfig, SocketUsage, State};

use crate::app::Sock;
use crate::net::{Faults, QUIET};
use crate::socket::{MINUTE, SECOND};
use crate::world::World;

const CLIENTS: usize = 12;
const MESSAGES: u64 = 100;
const SIZE: usize = 1000;
/// What the next one of each socket may take, with its number and headers.
const BESIDE: usize = CLIENTS * (SIZE + 100);

/// A server with so much room, and writers, each a process of its own, that have written all they have to.
fn crowd(seed: u64, gaps: usize, config: &SocketConfig) -> (World, Vec<Sock>) {
    let mut world = World::new(seed);
    world.intake = IntakeLimits { gaps, ..IntakeLimits::default() };
    let server = world.node();
    world.listen(server, "story", "server", config.clone());
    let nodes: Vec<usize> = (0..CLIENTS).map(|_| world.node()).collect();
    let socks: Vec<Sock> =
        nodes.into_iter().map(|node| world.connect(node, "story", config.clone())).collect();
    let all = socks.clone();
    let ready = move |world: &World| all.iter().all(|sock| world.sides[sock].state == State::Ready);
    assert!(world.run_until(5 * SECOND, ready), "attached");
    world.net.faults = Faults { loss: 0.1, duplicate: 0.1, reorder: 0.2, ..QUIET };
    for sock in &socks {
        for _ in 0..MESSAGES / 10 {
            assert_eq!(world.write(*sock, 10, SIZE), 10);
        }
    }
    (world, socks)
}

/// Runs until all is acknowledged. Returns the most that the server kept of what came before its turn.
fn most_kept(mut world: World, socks: &[Sock]) -> usize {
    let mut most = 0;
    let done = |world: &World| {
        let usage = world.nodes[0].endpoint.as_ref().expect("alive").socket_usage();
        most = most.max(usage.map(|(_, usage): (Handle, SocketUsage)| usage.out_of_order_bytes).sum());
        socks.iter().all(|sock| world.sides[sock].acked == MESSAGES)
    };
    assert!(world.run_until(30 * MINUTE, done), "{:?}", world.sides);
    world.come_to_rest();
    world.assert_right("this story");
    world.tear_down();
    world.assert_right("this story");
    most
}

#[test]
fn with_little_room_for_what_comes_before_its_turn_all_arrives_and_the_room_is_kept() {
    for stream in [true, false] {
        let config = SocketConfig { stream, ..SocketConfig::default() };
        for seed in 0..4 {
            let (world, socks) = crowd(seed, usize::MAX, &config);
            let unbounded = most_kept(world, &socks);
            for gaps in [0, 5000, 30_000] {
                assert!(unbounded > 2 * (gaps + BESIDE), "{unbounded}: there is something to bound");
                let (world, socks) = crowd(seed, gaps, &config);
                let most = most_kept(world, &socks);
                assert!(most <= gaps + BESIDE, "seed {seed}, stream {stream}: {most} of {gaps}");
            }
        }
    }
}
