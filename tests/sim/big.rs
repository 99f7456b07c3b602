//! Messages in pieces: many at once to one reader, writers that stop half way, and what others notice of it.

use std::time::Duration;

use selvedge::endpoint::IntakeLimits;
use selvedge::socket::{SocketConfig, State};

use crate::app::Sock;
use crate::net::{Faults, QUIET};
use crate::socket::{MINUTE, SECOND};
use crate::world::World;

/// Messages of 100 000 bytes towards a server that holds two and a bit of them, and lets a tenth of one be
/// under way.
const SIZE: usize = 100_000;
const LIMITS: IntakeLimits = IntakeLimits { pool: 10_000, room: 250_000, gaps: 1 << 20 };

fn config() -> SocketConfig {
    SocketConfig { piece_bytes: 2000, ..SocketConfig::default() }
}

/// A server and so many clients, each a process of its own, attached.
fn crowd(seed: u64, clients: usize) -> (World, Vec<Sock>) {
    let mut world = World::new(seed);
    world.intake = LIMITS;
    let server = world.node();
    world.listen(server, "story", "server", config());
    let nodes: Vec<usize> = (0..clients).map(|_| world.node()).collect();
    let socks: Vec<Sock> = nodes.into_iter().map(|node| world.connect(node, "story", config())).collect();
    let all = socks.clone();
    let ready = move |world: &World| all.iter().all(|sock| world.sides[sock].state == State::Ready);
    assert!(world.run_until(5 * SECOND, ready), "attached");
    (world, socks)
}

fn are_acked(world: &World, socks: &[Sock]) -> bool {
    socks.iter().all(|sock| world.sides[sock].acked == world.sides[sock].written)
}

fn finish(mut world: World) {
    world.come_to_rest();
    world.assert_right("this story");
    world.tear_down();
    world.assert_right("this story");
}

/// Returns what the server holds of messages that are not whole.
fn partial(world: &World) -> usize {
    let server = world.nodes[0].endpoint.as_ref().expect("alive");
    server.socket_usage().map(|(_, usage)| usage.partial_bytes).sum()
}

#[test]
fn many_big_messages_to_one_reader_arrive_within_its_room_and_hold_up_nobody() {
    for seed in 0..10 {
        let (mut world, mut socks) = crowd(seed, 8);
        let small = socks.pop().expect("eight");
        for sock in &socks {
            assert_eq!(world.write(*sock, 2, SIZE), 2);
        }
        let (mut most, mut rounds) = (0, 0);
        while !are_acked(&world, &socks) {
            world.write(small, 1, 10);
            let since = world.now;
            assert!(world.run_until(SECOND, |world| are_acked(world, &[small])), "small ones pass");
            assert!(world.now - since < Duration::from_millis(100), "{:?}", world.now - since);
            most = most.max(partial(&world));
            rounds += 1;
            assert!(world.now < world.start + 2 * MINUTE, "{:?}", world.sides);
        }
        assert!(rounds > 10 && (SIZE..=LIMITS.room + 50_000).contains(&most), "{rounds} rounds, {most} held");
        finish(world);
    }
}

#[test]
fn whoever_writes_big_messages_over_a_lossy_fabric_gets_them_through() {
    for seed in 0..10 {
        let (mut world, socks) = crowd(seed, 4);
        world.net.faults = Faults { loss: 0.2, duplicate: 0.1, reorder: 0.1, ..QUIET };
        for sock in &socks {
            assert_eq!(world.write(*sock, 2, SIZE), 2);
        }
        let all = socks.clone();
        assert!(world.run_until(20 * MINUTE, move |world| are_acked(world, &all)), "{:?}", world.sides);
        finish(world);
    }
}

#[test]
fn a_writer_that_dies_half_way_gives_its_room_back() {
    for seed in 0..10 {
        let (mut world, socks) = crowd(seed, 4);
        let (dying, others) = socks.split_at(2);
        for sock in dying {
            world.write(*sock, 1, SIZE);
        }
        world.run_for(Duration::from_millis(10 + 3 * seed));
        for sock in others {
            world.write(*sock, 1, SIZE);
        }
        for (node, _) in dying {
            world.kill(*node);
        }
        let others = others.to_vec();
        assert!(world.run_until(15 * SECOND, move |world| are_acked(world, &others)), "{:?}", world.sides);
        finish(world);
    }
}

#[test]
fn a_writer_that_stands_still_holds_up_others_for_a_moment_only_and_goes_on() {
    for seed in 0..10 {
        let (mut world, socks) = crowd(seed, 4);
        let (frozen, others) = socks.split_at(2);
        for sock in frozen {
            world.write(*sock, 1, SIZE);
        }
        world.run_for(Duration::from_millis(10 + 3 * seed));
        for (node, _) in frozen {
            world.freeze(*node, MINUTE);
        }
        for sock in others {
            world.write(*sock, 3, SIZE);
        }
        let going = others.to_vec();
        assert!(world.run_until(25 * SECOND, move |world| are_acked(world, &going)), "{:?}", world.sides);
        for (node, _) in frozen {
            world.thaw(*node);
        }
        let all = frozen.to_vec();
        assert!(world.run_until(20 * SECOND, move |world| are_acked(world, &all)), "{:?}", world.sides);
        finish(world);
    }
}

#[test]
fn a_big_message_survives_cuts_of_either_link() {
    for seed in 0..20 {
        let (mut world, socks) = crowd(seed, 3);
        for sock in &socks {
            world.write(*sock, 2, SIZE);
        }
        for step in 0..6 {
            world.run_for(Duration::from_millis(5 + seed * 3));
            world.net.cut(if step % 2 == 0 { 0 } else { 1 + step / 2 }, "cut");
        }
        let all = socks.clone();
        assert!(world.run_until(MINUTE, move |world| are_acked(world, &all)), "{:?}", world.sides);
        finish(world);
    }
}

/// Of some, a piece comes every other second.
#[test]
fn writers_that_drip_hold_up_nobody_and_get_through() {
    for seed in 0..5 {
        let (mut world, socks) = crowd(seed, 4);
        let (dripping, honest) = socks.split_at(3);
        let honest = honest[0];
        for sock in dripping {
            world.write(*sock, 2, SIZE);
        }
        world.run_for(Duration::from_millis(5));
        for round in 0..30 {
            for (node, _) in dripping {
                world.freeze(*node, MINUTE);
            }
            for _ in 0..2 {
                world.write(honest, 1, SIZE / 2);
                let since = world.now;
                assert!(world.run_until(2 * SECOND, |world| are_acked(world, &[honest])), "{round}");
                assert!(world.now - since < SECOND, "{round}: {:?}", world.now - since);
                world.run_for(SECOND);
            }
            for (node, _) in dripping {
                world.thaw(*node);
            }
            world.run_for(Duration::from_millis(1));
        }
        let all = socks.clone();
        assert!(world.run_until(20 * SECOND, move |world| are_acked(world, &all)), "{:?}", world.sides);
        finish(world);
    }
}
