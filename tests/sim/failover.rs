//! Servers that forget, or go away: what their clients are told.

use std::time::Duration;

use selvedge::client::ClientConfig;
use selvedge::endpoint::Command;
use selvedge::socket::{AnswerLimits, SocketConfig, State};

use crate::socket::{MINUTE, SECOND, pair};
use crate::world::{Outcome, World};

#[test]
fn a_server_that_lost_its_state_is_not_taken_for_the_old_one() {
    // What the client is doing meanwhile: nothing, writing, waiting for the server to write.
    for (seed, written, unacked) in [(1, 0, 0), (2, 5, 0), (3, 5, 3), (4, 0, 3)] {
        let config = SocketConfig::default();
        let (mut world, near, far) = pair(seed, &config);
        world.write(near, written, 0);
        world.write(far, 2, 0);
        world.run_for(SECOND);
        world.boot(far.0, ClientConfig::default());
        world.write(near, unacked, 0);
        world.listen(far.0, "story", "server", config);
        assert!(world.run_until(2 * MINUTE, |world| !world.sides[&near].is_open()), "{:?}", world.sides);
        let side = &world.sides[&near];
        let code = side.close_code().expect("closed");
        assert!(["ERR_SOCKET_LOST", "ERR_SOCKET_CLOSED_BY_PEER"].contains(&code.as_str()), "{code}");
        assert_eq!(side.closed.as_ref().expect("closed").1 as u64, unacked);
        world.come_to_rest();
        world.assert_right("this story");
    }
}

#[test]
fn a_server_that_lost_its_state_while_the_client_was_away_says_so() {
    let config = SocketConfig::default();
    let (mut world, near, far) = pair(5, &config);
    world.write(near, 4, 0);
    world.run_for(SECOND);
    world.net.kill_broker();
    world.write(near, 2, 0);
    world.boot(far.0, ClientConfig::default());
    world.listen(far.0, "story", "server", config);
    world.net.start_broker(world.now);
    assert!(world.run_until(MINUTE, |world| !world.sides[&near].is_open()));
    assert_eq!(world.sides[&near].close_code().as_deref(), Some("ERR_SOCKET_LOST"));
    assert!(!world.sides.iter().any(|(sock, side)| sock.0 == far.0 && side.is_open()), "no second socket");
    world.come_to_rest();
    world.assert_right("this story");
}

#[test]
fn when_a_server_dies_its_clients_are_told_and_new_ones_reach_the_other() {
    let mut world = World::new(6);
    let config = SocketConfig {
        keep_alive: Some(10 * SECOND),
        keep_alive_timeout: 5 * SECOND,
        ..SocketConfig::default()
    };
    let servers = [world.node(), world.node()];
    for server in servers {
        world.listen(server, "story", &format!("server{server}"), config.clone());
    }
    let client = world.node();
    world.run_for(SECOND);
    let socks: Vec<_> = (0..20).map(|_| world.connect(client, "story", config.clone())).collect();
    world.run_until(SECOND, |world| socks.iter().all(|sock| world.sides[sock].state == State::Ready));
    world.kill(servers[0]);
    let orphans = world.sides.values().filter(|side| side.dead).count();
    assert!(orphans > 0 && orphans < 20, "both were chosen: {orphans}");
    for sock in &socks {
        world.write(*sock, 2, 0);
    }
    world.run_for(MINUTE);
    let lost: Vec<_> = socks.iter().filter(|sock| !world.sides[sock].is_open()).collect();
    assert_eq!(lost.len(), orphans);
    for sock in lost {
        assert_eq!(world.sides[sock].close_code().as_deref(), Some("ERR_SOCKET_LOST"));
        assert_eq!(world.sides[sock].closed.as_ref().expect("closed").1, 2);
    }
    for _ in 0..10 {
        let sock = world.connect(client, "story", config.clone());
        assert!(world.run_until(SECOND, |world| world.sides[&sock].state == State::Ready));
    }
    world.come_to_rest();
    world.assert_right("this story");
}

/// That there is another one was said when the first died, and not again.
#[test]
fn a_server_that_dies_soon_after_another_one_is_given_up_as_soon() {
    let (mut world, config) = (World::new(11), SocketConfig::default());
    let servers = [world.node(), world.node(), world.node()];
    let client = world.node();
    for server in &servers[..2] {
        world.listen(*server, "story", &format!("server{server}"), config.clone());
    }
    world.run_for(SECOND);
    let mut socks = Vec::new();
    for _ in 0..20 {
        socks.push(world.connect(client, "story", config.clone()));
        world.run_for(SECOND);
    }
    world.listen(servers[2], "story", "server2", config);
    world.run_for(SECOND);
    for server in &servers[..2] {
        let orphans = world.sides.keys().filter(|sock| sock.0 == *server).count();
        assert!(orphans > 0, "both were chosen");
        world.kill(*server);
        world.run_for(SECOND);
    }
    world.run_for(2 * SECOND);
    let open = socks.iter().filter(|sock| world.sides[sock].is_open()).count();
    assert_eq!(open, 0, "there is a third one");
    world.come_to_rest();
    world.assert_right("this story");
}

#[test]
fn sockets_of_a_server_that_died_give_it_up_one_after_the_other_and_not_before_their_time() {
    let mut world = World::new(9);
    let config = SocketConfig {
        keep_alive: Some(10 * SECOND),
        keep_alive_timeout: 5 * SECOND,
        ..SocketConfig::default()
    };
    let server = world.node();
    world.listen(server, "story", "server", config.clone());
    let client = world.node();
    world.run_for(SECOND);
    let socks: Vec<_> = (0..100).map(|_| world.connect(client, "story", config.clone())).collect();
    world.run_until(SECOND, |world| socks.iter().all(|sock| world.sides[sock].state == State::Ready));
    world.kill(server);
    let mut lost = Vec::new();
    for second in 0..90 {
        world.run_for(SECOND);
        let closed = socks.iter().filter(|sock| !world.sides[sock].is_open()).count();
        lost.extend(std::iter::repeat_n(second, closed - lost.len()));
    }
    assert_eq!(lost.len(), 100, "all were told");
    // The keep-alive notices after 10 to 15 s; from then on it is looked for during 30 to 45 s.
    assert!(lost[0] >= 30 && lost[99] <= 62, "{lost:?}");
    let most = (0..90).map(|from| lost.iter().filter(|at| (from..from + 5).contains(*at)).count()).max();
    assert!(most <= Some(50), "{lost:?}");
    assert!(lost[99] - lost[0] >= 10, "{lost:?}");
    world.come_to_rest();
    world.assert_right("this story");
}

#[test]
fn a_server_may_come_back_later_than_its_clients() {
    let (mut world, near, far) = pair(7, &SocketConfig::default());
    world.net.kill_broker();
    world.net.start_broker(world.now);
    world.net.partition(world.now, far.0, 14 * SECOND);
    world.write(near, 5, 0);
    world.write(far, 5, 0);
    let both = |world: &World| world.sides[&near].acked == 5 && world.sides[&far].acked == 5;
    assert!(world.run_until(MINUTE, both), "{:?}", world.sides);
    world.come_to_rest();
    world.assert_right("this story");
}

#[test]
fn time_without_our_own_link_is_not_held_against_the_server() {
    let (mut world, near, far) = pair(8, &SocketConfig::default());
    world.net.cut(near.0, "cut");
    world.command(far.0, Command::Disconnect);
    world.run_for(20 * SECOND);
    // The server's absence has been noticed once. Now the client is away itself, for longer than it would
    // look for the server.
    world.command(near.0, Command::Disconnect);
    world.run_for(45 * SECOND);
    world.command(near.0, Command::Connect);
    world.run_for(15 * SECOND);
    assert!(world.sides[&near].is_open(), "{:?}", world.sides);
    world.command(far.0, Command::Connect);
    assert!(
        world.run_until(20 * SECOND, |world| world.sides[&near].state == State::Ready),
        "{:?}",
        world.sides
    );
    world.come_to_rest();
    world.assert_right("this story");
}

#[test]
fn a_listener_that_ends_takes_nobody_new_and_ends() {
    let (mut world, near, far) = pair(9, &SocketConfig::default());
    let listener = *world.nodes[far.0].listeners.keys().next().expect("listening");
    world.slowness = 2000;
    world.write(far, 10, 0);
    let tickets = [world.ticket(far.0), world.ticket(far.0)];
    for ticket in tickets {
        world.command(far.0, Command::ListenerEnd { ticket, listener, timeout: 30 * SECOND });
    }
    world.sides.get_mut(&far).expect("there").ending = true;
    let late = world.connect(near.0, "story", SocketConfig::default());
    assert!(
        world.run_until(10 * SECOND, |world| tickets.iter().all(|ticket| world.tickets[ticket].is_some()))
    );
    assert_eq!(world.tickets[&tickets[0]], Some(Outcome::Done(true)));
    assert_eq!(world.sides[&near].received, 10, "everything first");
    assert_eq!(world.sides[&late].state, State::Connecting);
    world.close(late);
    world.come_to_rest();
    world.assert_right("this story");
}

#[test]
fn what_is_made_of_a_closed_endpoint_fails_at_once() {
    let (mut world, near, far) = pair(10, &SocketConfig::default());
    world.write(near, 1, 0);
    world.command(near.0, Command::Close(Duration::MAX));
    assert_eq!(world.sides[&near].close_code().as_deref(), Some(""));
    let late = world.connect(near.0, "story", SocketConfig::default());
    assert_eq!(world.sides[&late].close_code().as_deref(), Some("ERR_CLOSED"));
    assert!(
        world.run_until(Duration::from_millis(100), |world| !world.sides[&far].is_open()),
        "told in parting"
    );
    world.come_to_rest();
    world.assert_right("this story");
}

#[test]
fn a_listener_and_a_socket_made_while_the_broker_is_away_for_long_wait_for_it() {
    let mut world = World::new(9);
    let (server, client) = (world.node(), world.node());
    world.run_for(SECOND);
    world.net.kill_broker();
    world.run_for(SECOND);
    world.listen(server, "story", "server", SocketConfig::default());
    let near = world.connect(client, "story", SocketConfig::default());
    world.write(near, 3, 0);
    world.run_for(3 * MINUTE);
    world.net.start_broker(world.now);
    assert!(world.run_until(MINUTE, |world| world.sides[&near].state == State::Ready), "{:?}", world.sides);
    world.come_to_rest();
    world.assert_right("this story");
}

#[test]
fn a_dead_peer_is_known_in_a_moment_whoever_it_was_and_lost_when_waiting_is_pointless() {
    const MOMENT: Duration = Duration::from_millis(700);
    for seed in 0..20 {
        let (mut world, near, far) = pair(seed, &SocketConfig::default());
        world.write(near, 3, 0);
        world.write(far, 3, 0);
        world.run_for(Duration::from_millis(seed * 7));
        let asked = [near, far].map(|sock| world.say(sock, &[true], MINUTE, 9));
        let many = [near, far].map(|sock| vec![world.ask_many(sock, AnswerLimits::default(), MINUTE)]);
        let (alive, dead) = if seed % 2 == 0 { (near, far) } else { (far, near) };
        world.kill(dead.0);
        world.run_for(MOMENT);
        assert_eq!(world.sides[&alive].state, State::Disconnected, "{:?}", world.sides);
        world.run_for(2 * SECOND);
        for keys in [asked, many].map(|keys| keys[usize::from(alive == far)].clone()) {
            let outcomes = world.outcomes(alive, &keys);
            assert!(outcomes.iter().all(|outcome| outcome.is_some()), "{outcomes:?}");
        }
        assert!(world.sides[&alive].is_open(), "nobody else is there: it may come back");
        if alive == near {
            let next = world.node();
            world.listen(next, "story", "next", SocketConfig::default());
            world.run_for(MOMENT);
        } else {
            world.run_for(31 * SECOND);
        }
        assert_eq!(world.sides[&alive].close_code().as_deref(), Some("ERR_SOCKET_LOST"));
        world.come_to_rest();
        world.assert_right("this story");
    }
}

#[test]
fn a_client_whose_server_ended_moves_on_when_there_is_another_one() {
    let (mut world, near, far) = pair(30, &SocketConfig::default());
    let next = world.node();
    world.listen(next, "story", "next", SocketConfig::default());
    world.run_for(SECOND);
    world.kill(far.0);
    world.run_for(Duration::from_millis(1900));
    assert!(world.sides[&near].is_open(), "two seconds are its to come back");
    world.run_for(Duration::from_millis(400));
    assert_eq!(world.sides[&near].close_code().as_deref(), Some("ERR_SOCKET_LOST"));
    world.come_to_rest();
    world.assert_right("this story");
}

#[test]
fn a_crowd_that_loses_its_server_moves_on_evenly_and_not_at_one_moment() {
    const CROWD: usize = 2000;
    let mut world = World::new(31);
    let servers = [world.node(), world.node()];
    world.listen(servers[0], "story", "first", SocketConfig::default());
    world.run_for(SECOND);
    let clients: Vec<usize> = (0..8).map(|_| world.node()).collect();
    let connect = |n: usize| world.connect(clients[n % 8], "story", SocketConfig::default());
    let socks: Vec<_> = (0..CROWD).map(connect).collect();
    let is_ready = |world: &World, sock| world.sides[sock].state == State::Ready;
    assert!(world.run_until(10 * SECOND, |world| socks.iter().all(|sock| is_ready(world, sock))));
    world.listen(servers[1], "story", "second", SocketConfig::default());
    world.run_for(SECOND);
    world.kill(servers[0]);
    let killed = world.now;
    let mut moved: Vec<u128> = Vec::new();
    while moved.len() < CROWD && world.now < killed + 10 * SECOND {
        world.run_for(Duration::from_millis(5));
        let closed = socks.iter().filter(|sock| !world.sides[sock].is_open()).count();
        moved.extend(std::iter::repeat_n((world.now - killed).as_millis(), closed - moved.len()));
    }
    assert_eq!(moved.len(), CROWD, "all have given it up");
    // Two seconds are its to come back; then 5000 move on in a second.
    let (first, last) = (moved[0], moved[CROWD - 1]);
    assert!(first >= 2000 && last - first >= 350 && last < 2600, "{first} to {last} ms");
    for tenth in 0..10 {
        let from = first + (last - first) * tenth / 10;
        let to = first + (last - first) * (tenth + 1) / 10;
        let count = moved.iter().filter(|at| (from..to).contains(*at)).count();
        assert!((CROWD / 20..CROWD / 5).contains(&count), "{count} of {CROWD} from {from} to {to} ms");
    }
    world.come_to_rest();
    world.assert_right("this story");
}

#[test]
fn a_server_that_comes_back_before_it_is_missed_was_never_away() {
    for seed in 0..20 {
        let (mut world, near, far) = pair(40 + seed, &SocketConfig::default());
        world.write(near, 20, 0);
        world.write(far, 20, 0);
        world.run_for(Duration::from_millis(seed));
        world.net.cut(far.0, "cut");
        let mut left = false;
        world.run_until(2 * SECOND, |world| {
            left |= world.sides[&near].state != State::Ready;
            false
        });
        let all = |world: &World| [near, far].iter().all(|sock| world.sides[sock].acked == 20);
        assert!(all(&world), "{:?}", world.sides);
        // The first pause is at most a fifth of a second.
        assert!(!left, "seed {seed}");
        world.come_to_rest();
        world.assert_right("this story");
    }
}
