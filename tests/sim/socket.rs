//! One socket, one trouble: short stories.

use std::time::Duration;

use selvedge::client::SessionState;
use selvedge::endpoint::Command;
use selvedge::socket::{SocketConfig, State};
use selvedge::subject::{Pattern, Subject};
use selvedge::wire::{Headers, Message, Payload};

use crate::app::Sock;
use crate::asks::Answered;
use crate::net::{Direction, Faults, QUIET};
use crate::world::{Outcome, World};

pub const SECOND: Duration = Duration::from_secs(1);
pub const MINUTE: Duration = Duration::from_secs(60);

/// A server on node 0 and a client on node 1, attached.
pub fn pair(seed: u64, config: &SocketConfig) -> (World, Sock, Sock) {
    let mut world = World::new(seed);
    let (server, client) = (world.node(), world.node());
    world.listen(server, "story", "server", config.clone());
    let near = world.connect(client, "story", config.clone());
    assert!(world.run_until(SECOND, |world| world.sides[&near].state == State::Ready), "attached");
    let far = *world.sides.keys().find(|(node, _)| *node == server).expect("accepted");
    (world, near, far)
}

fn finish(mut world: World) {
    world.come_to_rest();
    world.assert_right("this story");
}

/// Faults of the fabric for a while.
fn lossy(loss: f64) -> Faults {
    Faults { loss, duplicate: 0.1, reorder: 0.1, ..QUIET }
}

#[test]
fn messages_arrive_once_and_in_order_over_a_lossy_fabric() {
    for seed in 0..100 {
        let (mut world, near, far) = pair(seed, &SocketConfig::default());
        world.net.faults = lossy(0.3);
        assert_eq!((world.write(near, 50, 0), world.write(far, 50, 0)), (50, 50));
        let both = |world: &World| world.sides[&near].acked == 50 && world.sides[&far].acked == 50;
        // A lost tail costs a few pauses. More than two minutes mean that a timer was never armed.
        assert!(world.run_until(2 * MINUTE, both), "seed {seed}: {:?}", world.sides);
        finish(world);
    }
}

#[test]
fn a_client_may_connect_before_anybody_listens() {
    let mut world = World::new(1);
    let (server, client) = (world.node(), world.node());
    let near = world.connect(client, "story", SocketConfig::default());
    world.write(near, 3, 0);
    world.run_for(MINUTE);
    assert_eq!(world.sides[&near].state, State::Connecting);
    world.listen(server, "story", "server", SocketConfig::default());
    assert!(
        world.run_until(SECOND, |world| world.sides[&near].acked == 3),
        "interest wakes the client at once"
    );
    finish(world);
}

/// Some big messages fit beside each other.
fn wide() -> SocketConfig {
    SocketConfig { max_queue_bytes: 64 << 20, ..SocketConfig::default() }
}

#[test]
fn twelve_megabytes_arrive_whole_and_hold_up_nobody() {
    let (mut world, near, far) = pair(2, &wide());
    let other = world.connect(near.0, "story", SocketConfig::default());
    world.run_until(SECOND, |world| world.sides[&other].state == State::Ready);
    for _ in 0..3 {
        world.write(near, 5, 10);
        world.write(near, 1, 12_000_000);
        world.write(other, 5, 10);
    }
    assert!(world.run_until(SECOND, |world| world.sides[&other].acked == 15), "small ones flow");
    assert!(world.run_until(5 * SECOND, |world| world.sides[&near].acked == 18), "{:?}", world.sides);
    assert_eq!(world.sides[&far].received, 18);
    finish(world);
}

#[test]
fn of_a_big_message_only_what_was_lost_is_sent_again() {
    let (mut world, near, far) = pair(3, &wide());
    world.net.faults = lossy(0.2);
    world.write(near, 2, 9_000_000);
    world.write(far, 2, 9_000_000);
    let both = |world: &World| world.sides[&near].acked == 2 && world.sides[&far].acked == 2;
    assert!(world.run_until(2 * MINUTE, both), "{:?}", world.sides);
    finish(world);
}

#[test]
fn a_client_that_is_silent_for_too_long_is_told_when_it_comes_back() {
    let config = SocketConfig {
        keep_alive: Some(SECOND),
        keep_alive_timeout: SECOND,
        command_timeout: SECOND,
        ..SocketConfig::default()
    };
    let (mut world, near, far) = pair(4, &config);
    world.net.partition(world.now, near.0, 20 * SECOND);
    world.write(near, 2, 0);
    world.write(far, 3, 0);
    assert!(world.run_until(5 * SECOND, |world| !world.sides[&far].is_open()));
    assert_eq!(world.sides[&far].close_code().as_deref(), Some("ERR_SOCKET_TIMEOUT"));
    assert_eq!(world.sides[&far].closed.as_ref().expect("closed").1, 3, "undelivered");
    assert!(world.run_until(MINUTE, |world| !world.sides[&near].is_open()));
    assert_eq!(world.sides[&near].close_code().as_deref(), Some("ERR_SOCKET_LOST"));
    assert_eq!(world.sides[&near].closed.as_ref().expect("closed").1, 2, "undelivered");
    finish(world);
}

#[test]
fn a_busy_socket_survives_the_loss_of_its_pings() {
    let config = SocketConfig {
        keep_alive: Some(Duration::from_millis(100)),
        keep_alive_timeout: SECOND,
        ..SocketConfig::default()
    };
    let (mut world, near, far) = pair(5, &config);
    world.net.faults = lossy(0.3);
    for _ in 0..200 {
        world.write(near, 1, 0);
        world.write(far, 1, 0);
        world.run_for(Duration::from_millis(300));
    }
    assert!(world.sides[&near].is_open() && world.sides[&far].is_open(), "{:?}", world.sides);
    finish(world);
}

#[test]
fn without_reconnection_a_socket_waits_to_be_connected_by_hand() {
    let config = SocketConfig { reconnection: false, ..SocketConfig::default() };
    let (mut world, near, far) = pair(6, &config);
    world.net.cut(near.0, "cut");
    world.run_for(30 * SECOND);
    assert_eq!(world.sides[&near].state, State::Disconnected);
    world.write(near, 2, 0);
    world.write(far, 2, 0);
    world.attach(near, true);
    // Sooner than the first pause: the attach itself makes each side say where it stands.
    let both = |world: &World| world.sides[&near].acked == 2 && world.sides[&far].acked == 2;
    assert!(world.run_until(Duration::from_millis(200), both), "{:?}", world.sides);
    finish(world);
}

#[test]
fn an_end_waits_for_what_was_written_also_over_a_lossy_fabric() {
    for seed in 0..50 {
        let (mut world, near, far) = pair(seed, &SocketConfig::default());
        let ending = if seed % 2 == 0 { near } else { far };
        let reader = if seed % 2 == 0 { far } else { near };
        world.net.faults = lossy(0.3);
        world.write(ending, 20, 0);
        let (first, second) = (world.end(ending, 3 * MINUTE), world.end(ending, 3 * MINUTE));
        let ended = |world: &World| world.tickets[&first].is_some() && world.tickets[&second].is_some();
        assert!(world.run_until(4 * MINUTE, ended), "seed {seed}");
        assert_eq!(world.sides[&reader].received, 20, "seed {seed}");
        assert_eq!(world.sides[&ending].closed, Some((None, 0)), "seed {seed}");
        finish(world);
    }
}

#[test]
fn an_end_that_takes_too_long_says_what_was_not_delivered() {
    let (mut world, near, _) = pair(7, &SocketConfig::default());
    world.net.kill_broker();
    world.write(near, 4, 0);
    let ticket = world.end(near, 3 * SECOND);
    world.run_for(3 * SECOND);
    assert_eq!(world.tickets[&ticket], Some(Outcome::Done(true)));
    assert_eq!(world.sides[&near].closed, Some((None, 4)));
    finish(world);
}

#[test]
fn five_hundred_subscriptions_are_alive_before_the_client_is_ready_again() {
    let broker = selvedge::broker::BrokerConfig { max_subscriptions_per_client: 501, ..Default::default() };
    let mut world = World::with_broker(8, broker);
    let (node, other) = (world.node(), world.node());
    let mut subscriptions = Vec::new();
    for index in 0..500 {
        let (subscription, ticket) = (world.handle(), world.ticket(node));
        let pattern = Pattern::parse(&format!("many.{index}")).expect("valid");
        let command = Command::Subscribe { subscription, ticket: Some(ticket), pattern, queue: None };
        world.command(node, command);
        subscriptions.push((subscription, ticket));
    }
    world.run_for(SECOND);
    assert!(subscriptions.iter().all(|(_, ticket)| world.tickets[ticket] == Some(Outcome::Done(true))));
    world.net.kill_broker();
    world.run_for(SECOND);
    world.net.start_broker(world.now);
    let ready = |world: &World, node: usize| world.nodes[node].session == Some(SessionState::Ready);
    assert!(world.run_until(MINUTE, |world| ready(world, node)));
    let broker = world.net.broker().expect("alive");
    let alive = |index| broker.has_interest(&Subject::parse(&format!("many.{index}")).expect("valid"));
    assert!((0..500).all(alive));
    assert!(world.run_until(MINUTE, |world| ready(world, other)));
    for index in 0..500 {
        let subject = Subject::parse(&format!("many.{index}")).expect("valid");
        let message = Message { subject, payload: Payload::NIL, headers: Headers::default() };
        world.command(other, Command::Publish(message));
    }
    world.run_for(SECOND);
    assert!(subscriptions.iter().all(|(subscription, _)| world.delivered[subscription].len() == 1));
    finish(world);
}

/// conat.md 10.10: the original stops for good here.
#[test]
fn a_full_window_moves_again_after_the_receiver_was_cut_off_once() {
    for (seed, window) in [(9, 1), (10, 8), (11, 1000)] {
        let config = SocketConfig { max_queue: window, ..SocketConfig::default() };
        for from_server in [false, true] {
            let (mut world, near, far) = pair(seed, &config);
            let (writer, reader) = if from_server { (far, near) } else { (near, far) };
            world.write(writer, window as u64, 0);
            world.net.cut(reader.0, "cut");
            world.run_for(Duration::from_millis(1));
            world.write(writer, 1, 0);
            let done = |world: &World| world.sides[&writer].acked == window as u64;
            assert!(world.run_until(5 * SECOND, done), "{window} {from_server}: {:?}", world.sides);
            finish(world);
        }
    }
}

#[test]
fn a_lost_report_holds_a_full_window_up_for_a_moment_only() {
    let (mut world, near, far) = pair(12, &SocketConfig { max_queue: 1, ..SocketConfig::default() });
    world.write(near, 1, 0);
    world.run_until(SECOND, |world| world.sides[&far].received == 1);
    world.net.faults.loss = 1.0;
    world.run_for(Duration::from_millis(100));
    world.net.faults.loss = 0.0;
    assert!(
        world.run_until(2 * SECOND, |world| world.sides[&near].acked == 1),
        "not a command timeout later"
    );
    finish(world);
}

#[test]
fn a_half_open_link_loses_nothing() {
    for direction in [Direction::ToBroker, Direction::ToEndpoint] {
        for node in 0..2 {
            let (mut world, near, far) = pair(13, &SocketConfig::default());
            world.net.half_open(world.now, node, direction, 20 * SECOND);
            for _ in 0..30 {
                world.write(near, 3, 0);
                world.write(far, 3, 0);
                world.run_for(SECOND);
            }
            finish(world);
        }
    }
}

#[test]
fn requests_are_answered_both_ways_and_wait_for_their_socket() {
    let (mut world, near, far) = pair(14, &SocketConfig::default());
    world.net.cut(near.0, "cut");
    world.run_for(Duration::from_millis(1));
    let asked = [near, far].map(|sock| (sock, world.say(sock, &[true; 9], 20 * SECOND, 9)));
    world.run_for(21 * SECOND);
    for (sock, keys) in asked {
        let outcomes = world.outcomes(sock, &keys);
        // Some handlers never answer.
        assert!(outcomes.contains(&Some(Answered::Answer)), "{outcomes:?}");
        assert!(outcomes.iter().all(Option::is_some), "{outcomes:?}");
    }
    // One that stays away for longer is not waited for: what had left may have been done, the rest was not.
    let left = world.say(far, &[true], 20 * SECOND, 9);
    world.command(near.0, Command::Disconnect);
    world.run_for(Duration::from_millis(20));
    let kept = world.say(far, &[true], 20 * SECOND, 9);
    world.run_for(2 * SECOND);
    let late = world.say(far, &[true], 20 * SECOND, 9);
    let unhandled = Some(Answered::Failed { is_unhandled: true });
    assert_eq!([kept, late].map(|keys| world.outcomes(far, &keys)), [vec![unhandled], vec![unhandled]]);
    assert!(matches!(world.outcomes(far, &left)[..], [Some(Answered::Failed { .. })]));
    world.command(near.0, Command::Connect);
    finish(world);
}

#[test]
fn an_attach_sends_the_last_message_at_once_however_long_the_pause_had_become() {
    let (mut world, near, far) = pair(15, &SocketConfig::default());
    world.command(near.0, Command::Disconnect);
    world.run_for(SECOND);
    world.write(far, 3, 0);
    world.run_for(20 * SECOND);
    world.command(near.0, Command::Connect);
    assert!(world.run_until(SECOND, |world| world.sides[&near].state == State::Ready));
    assert!(world.run_until(Duration::from_millis(100), |world| world.sides[&far].acked == 3));
    finish(world);
}

#[test]
fn a_ping_from_before_the_attach_says_nothing_about_the_peer_of_now() {
    let (mut world, near, _) = pair(16, &SocketConfig::default());
    let quiet = world.connect(near.0, "story", SocketConfig { keep_alive: None, ..SocketConfig::default() });
    world.run_for(44 * SECOND);
    let far = *world.sides.iter().find(|(_, side)| !side.is_client && side.writer == 4).expect("accepted").0;
    // The server's ping gets lost, and then the client is back long before it is overdue.
    world.net.half_open(world.now, near.0, Direction::ToEndpoint, 2 * SECOND);
    assert!(world.run_until(10 * SECOND, |world| world.sides[&quiet].state == State::Disconnected));
    assert!(world.run_until(10 * SECOND, |world| world.sides[&quiet].state == State::Ready));
    world.run_for(MINUTE);
    assert!(world.sides[&far].is_open(), "{:?}", world.sides[&far]);
    finish(world);
}

#[test]
fn a_server_that_was_away_is_caught_up_with_at_once() {
    // Whatever the client was waiting for when the server's link was cut: nobody waits for the time that a
    // command may take.
    for seed in 0..40 {
        let (mut world, near, far) = pair(seed, &SocketConfig::default());
        for _ in 0..5 {
            world.write(near, 100, 0);
            world.write(far, 100, 0);
            world.run_for(Duration::from_millis(seed % 13));
            world.net.cut(far.0, "cut");
            world.run_for(Duration::from_millis(1));
            assert!(world.run_until(10 * SECOND, |world| world.sides[&far].state == State::Ready));
            let all = |world: &World| {
                [near, far].iter().all(|sock| world.sides[sock].acked == world.sides[sock].written)
            };
            assert!(world.run_until(2 * SECOND, all), "seed {seed}: {:?}", world.sides);
        }
        finish(world);
    }
}
