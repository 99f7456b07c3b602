//! Windows of bytes and messages, slow consumers, and two incarnations of one socket.

use std::time::Duration;

use selvedge::base::Few;
use selvedge::endpoint::Command;
use selvedge::socket::{SocketConfig, State};
use selvedge::wire::Messages;

use crate::app::{Side, Sock, payload};
use crate::net::{Faults, QUIET};
use crate::socket::{MINUTE, SECOND, pair};
use crate::world::World;

/// Reliability.md, invariant 3: what a reader was given and has not handled stays within its window and one
/// message.
fn assert_bounded(world: &World, window: u64, message: u64) {
    for (sock, side) in &world.sides {
        let held = side.received_bytes - side.consumed_bytes;
        assert!(held <= window + message, "{sock:?} holds {held} bytes, its window is {window}");
    }
}

#[test]
fn a_tiny_window_of_bytes_bounds_both_sides_and_all_arrives() {
    for (seed, bytes, size) in [(1, 1, 100), (2, 1000, 400), (3, 5000, 100), (4, 20_000, 3500)] {
        let config = SocketConfig { max_queue: 50, max_queue_bytes: bytes, ..SocketConfig::default() };
        let (mut world, near, far) = pair(seed, &config);
        world.net.faults = Faults { loss: 0.1, duplicate: 0.05, reorder: 0.1, ..QUIET };
        world.slowness = 40;
        for _ in 0..100 {
            for sock in [near, far] {
                let before = world.sides[&sock].written_bytes - world.sides[&sock].acked_bytes;
                world.write(sock, 5, size);
                let after = world.sides[&sock].written_bytes - world.sides[&sock].acked_bytes;
                assert!(after <= (bytes as u64).max(before).max(size as u64 + 100), "{before} {after}");
            }
            world.run_for(Duration::from_millis(200));
            assert_bounded(&world, bytes as u64, size as u64 + 100);
        }
        world.come_to_rest();
        world.assert_right("this story");
    }
}

/// Conat's peers have no window of bytes: a thousand big messages may be under way to a reader that cannot
/// hold them.
#[test]
fn a_reader_with_a_smaller_window_than_its_writer_loses_nothing() {
    for seed in 10..20 {
        let mut world = World::new(seed);
        let (server, client) = (world.node(), world.node());
        let narrow = SocketConfig { max_queue: 5, max_queue_bytes: 3000, ..SocketConfig::default() };
        world.listen(server, "story", "server", narrow);
        let near = world.connect(client, "story", SocketConfig::default());
        world.run_until(SECOND, |world| world.sides[&near].state == State::Ready);
        world.slowness = 30;
        assert_eq!(world.write(near, 300, 700), 300);
        while world.sides[&near].acked < 300 {
            world.run_for(Duration::from_millis(100));
            assert_bounded(&world, 3000, 1000);
            assert!(world.now < world.start + 10 * MINUTE, "seed {seed}: {:?}", world.sides[&near]);
        }
        world.come_to_rest();
        world.assert_right("this story");
    }
}

/// Invariant 4.
#[test]
fn a_socket_whose_reader_handles_nothing_delays_no_other() {
    let config = SocketConfig { max_queue: 1000, max_queue_bytes: 1 << 20, ..SocketConfig::default() };
    let (mut world, stuck, _) = pair(21, &config);
    world.slowness = 1_000_000_000;
    let filled = world.write(stuck, 1000, 3000);
    assert!((300..360).contains(&filled), "{filled}");
    world.run_for(SECOND);
    world.slowness = 0;
    let other = world.connect(stuck.0, "story", config);
    assert!(world.run_until(SECOND, |world| world.sides[&other].state == State::Ready));
    for _ in 0..50 {
        assert_eq!(world.write(other, 100, 1000), 100);
        let (sock, goal) = (other, world.sides[&other].written);
        assert!(world.run_until(Duration::from_millis(200), |world| world.sides[&sock].acked == goal));
    }
    assert_eq!(world.sides[&stuck].acked, 0);
    world.assert_right("this story");
}

#[test]
fn a_slow_consumer_is_cut_off_if_its_writer_wants_it_so_with_all_that_is_left() {
    let patient = SocketConfig { max_queue: 10, ..SocketConfig::default() };
    let config = SocketConfig { slow_consumer_timeout: Some(5 * SECOND), ..patient.clone() };
    let mut world = World::new(22);
    let (server, client) = (world.node(), world.node());
    world.listen(server, "story", "server", patient);
    let near = world.connect(client, "story", config);
    world.run_until(SECOND, |world| world.sides[&near].state == State::Ready);
    world.slowness = 1_000_000_000;
    world.write(near, 4, 0);
    world.run_for(20 * SECOND);
    assert!(world.sides[&near].is_open(), "less than half of the window");
    world.write(near, 2, 0);
    world.run_for(4 * SECOND);
    assert!(world.sides[&near].is_open());
    world.run_for(2 * SECOND);
    assert_eq!(world.sides[&near].close_code().as_deref(), Some("ERR_SLOW_CONSUMER"));
    assert_eq!(world.sides[&near].undelivered, [1, 2, 3, 4, 5, 6]);
    let far = far_of(&world, near);
    assert_eq!(world.sides[&far].close_code().as_deref(), Some("ERR_SLOW_CONSUMER"));
    world.assert_right("this story");
}

#[test]
fn a_close_says_what_was_handled_so_that_only_the_rest_is_undelivered() {
    for from_server in [false, true] {
        let (mut world, near, far) = pair(23, &SocketConfig::default());
        let (closer, writer) = if from_server { (far, near) } else { (near, far) };
        world.write(writer, 10, 0);
        world.run_until(SECOND, |world| world.sides[&closer].consumed == 10);
        // Not reported yet: the report is a question of its own, and the close comes right behind.
        world.close(closer);
        world.run_for(SECOND);
        assert!(world.sides[&writer].undelivered.is_empty(), "{:?}", world.sides[&writer]);
        world.assert_right("this story");
    }
}

fn far_of(world: &World, near: Sock) -> Sock {
    let id = &world.sides[&near].id;
    let is_far = |(_, side): &(&Sock, &Side)| !side.is_client && side.id == *id;
    *world.sides.iter().rfind(is_far).expect("accepted").0
}

/// Two incarnations of the socket `same`, on nodes 1 and 2, the first of them attached.
fn twins(seed: u64) -> (World, Sock, SocketConfig) {
    let mut world = World::new(seed);
    let server = world.node();
    world.node();
    world.node();
    world.listen(server, "story", "server", SocketConfig::default());
    world.run_for(SECOND);
    let config = |epoch| SocketConfig { epoch: Some(epoch), ..SocketConfig::default() };
    let old = world.connect_as(1, "story", "same", config(1));
    assert!(world.run_until(SECOND, |world| world.sides[&old].state == State::Ready));
    (world, old, config(2))
}

#[test]
fn of_two_makings_of_one_socket_the_newer_goes_on_and_the_older_is_told() {
    let (mut world, old, config) = twins(30);
    let old_far = far_of(&world, old);
    world.write(old, 3, 0);
    world.write(old_far, 3, 0);
    world.run_for(SECOND);
    let new = world.connect_as(2, "story", "same", config);
    assert!(world.run_until(SECOND, |world| world.sides[&new].state == State::Ready));
    world.run_for(SECOND);
    for sock in [old, old_far] {
        assert_eq!(
            world.sides[&sock].close_code().as_deref(),
            Some("ERR_SUPERSEDED"),
            "{:?}",
            world.sides[&sock]
        );
    }
    let new_far = far_of(&world, new);
    assert_ne!(new_far, old_far);
    world.write(new, 20, 0);
    world.write(new_far, 20, 0);
    world.run_for(SECOND);
    assert_eq!((world.sides[&new].acked, world.sides[&new_far].acked), (20, 20));
    world.come_to_rest();
    world.assert_right("this story");
}

/// reliability.md section 5, test 8: a process that was stopped goes on as if nothing had happened.
#[test]
fn an_older_making_that_was_frozen_is_fenced_when_it_wakes_up() {
    for seed in 31..51 {
        let (mut world, old, config) = twins(seed);
        world.write(old, 5, 0);
        world.run_for(SECOND);
        world.write(old, 4, 0);
        world.freeze(old.0, MINUTE);
        let new = world.connect_as(2, "story", "same", config);
        assert!(world.run_until(SECOND, |world| world.sides[&new].state == State::Ready), "seed {seed}");
        let new_far = far_of(&world, new);
        world.write(new, 8, 0);
        world.write(new_far, 8, 0);
        world.run_for(Duration::from_millis(seed * 700));
        world.thaw(old.0);
        world.write(old, 2, 0);
        world.write(new, 8, 0);
        world.write(new_far, 8, 0);
        world.run_for(2 * MINUTE);
        assert_eq!(world.sides[&old].close_code().as_deref(), Some("ERR_SUPERSEDED"), "seed {seed}");
        assert_eq!((world.sides[&new].acked, world.sides[&new_far].acked), (16, 16), "seed {seed}");
        world.come_to_rest();
        world.assert_right("this story");
    }
}

/// The other way round: the server that the older incarnation was attached to sleeps, and its client has
/// been made anew at another one.
#[test]
fn a_server_that_was_frozen_is_fenced_when_it_wakes_up() {
    let mut world = World::new(60);
    let (first, second, client) = (world.node(), world.node(), world.node());
    let config = |epoch| SocketConfig { epoch, ..SocketConfig::default() };
    world.listen(first, "story", "first", config(None));
    let old = world.connect_as(client, "story", "same", config(Some(1)));
    assert!(world.run_until(SECOND, |world| world.sides[&old].state == State::Ready));
    let stale = far_of(&world, old);
    world.write(stale, 3, 0);
    world.run_for(SECOND);
    world.kill(client);
    world.write(stale, 5, 0);
    world.freeze(first, 10 * MINUTE);
    world.listen(second, "story", "second", config(None));
    let third = world.node();
    world.run_for(SECOND);
    // The status request of the new incarnation comes to the frozen server as well; only the other one
    // answers.
    let new = world.connect_as(third, "story", "same", config(Some(2)));
    assert!(world.run_until(SECOND, |world| world.sides[&new].state == State::Ready));
    let far = far_of(&world, new);
    world.thaw(first);
    world.write(stale, 2, 0);
    world.write(far, 30, 0);
    world.write(new, 30, 0);
    world.run_for(3 * MINUTE);
    assert_eq!((world.sides[&new].acked, world.sides[&far].acked), (30, 30));
    assert_eq!(
        world.sides[&stale].close_code().as_deref(),
        Some("ERR_SUPERSEDED"),
        "{:?}",
        world.sides[&stale]
    );
    assert_eq!(world.sides[&stale].undelivered.len(), 7);
    world.sides.get_mut(&old).expect("there").dead = true;
    world.come_to_rest();
    world.assert_right("this story");
}

/// Found by the chaos (seed 129): each incarnation had a server of its own, and nobody told the older one.
#[test]
fn two_makings_at_two_servers_are_one_as_soon_as_the_newer_one_hears_something() {
    let mut world = World::new(62);
    let (first, second, client) = (world.node(), world.node(), world.node());
    let config = |epoch| SocketConfig { epoch, ..SocketConfig::default() };
    world.listen(first, "story", "first", config(None));
    let old = world.connect_as(client, "story", "same", config(Some(1)));
    assert!(world.run_until(SECOND, |world| world.sides[&old].state == State::Ready));
    let old_far = far_of(&world, old);
    // The newer one is made where the older one's server does not answer.
    world.freeze(first, 10 * MINUTE);
    world.listen(second, "story", "second", config(None));
    let other = world.node();
    world.run_for(SECOND);
    let new = world.connect_as(other, "story", "same", config(Some(2)));
    assert!(world.run_until(3 * SECOND, |world| world.sides[&new].state == State::Ready));
    let far = far_of(&world, new);
    assert_ne!(far, old_far);
    world.thaw(first);
    world.write(far, 3, 0);
    world.write(new, 3, 0);
    world.run_for(SECOND);
    assert_eq!(world.sides[&old].close_code().as_deref(), Some("ERR_SUPERSEDED"), "{:?}", world.sides[&old]);
    assert_eq!((world.sides[&new].acked, world.sides[&far].acked), (3, 3));
    world.come_to_rest();
    world.assert_right("this story");
}

#[test]
fn volatile_messages_come_in_order_at_most_once_and_are_not_told_as_undelivered() {
    let (mut world, near, far) = pair(61, &SocketConfig::default());
    world.net.faults = Faults { loss: 0.2, duplicate: 0.1, reorder: 0.2, ..QUIET };
    for seq in 1..=30 {
        let (writer, volatile) = (world.sides[&near].writer, seq % 2 == 0);
        let side = world.sides.get_mut(&near).expect("there");
        let payload = payload(writer, seq, 0);
        side.written += 1;
        side.written_bytes += payload.raw.len() as u64;
        side.calls.push(crate::app::Call::Data(seq));
        let sockets = Few::One(near.1);
        world.command(
            near.0,
            Command::SocketWrite { sockets, batches: Few::One(Messages::one(payload, None)), volatile },
        );
    }
    assert!(world.run_until(2 * MINUTE, |world| world.sides[&near].acked == 30));
    assert_eq!(world.sides[&far].received, 30);
    world.come_to_rest();
    world.assert_right("this story");
}
