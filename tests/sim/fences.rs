//! Fences: what was given to who leaves is handled, nobody is held up, and of two listeners with one id the
//! newer one takes what comes.

use std::collections::BTreeSet;
use std::time::Duration;

use selvedge::base::Handle;
use selvedge::broker::BrokerConfig;
use selvedge::client::{Request, RequestKind};
use selvedge::endpoint::Command;
use selvedge::socket::{SocketConfig, State};
use selvedge::subject::{Pattern, Subject};
use selvedge::wire::{Headers, Message, Payload};

use crate::socket::SECOND;
use crate::world::{Outcome, World};

const MEMBERS: usize = 4;

fn subscribe(world: &mut World, node: usize) -> Handle {
    let subscription = world.handle();
    world.delivered.insert(subscription, Vec::new());
    let pattern = Pattern::parse("jobs").expect("valid");
    let queue = Some("workers".into());
    world.command(node, Command::Subscribe { subscription, ticket: None, pattern, queue });
    subscription
}

fn publish(world: &mut World, node: usize, number: u32, bytes: usize) -> Handle {
    let ticket = world.ticket(node);
    let mut raw = number.to_be_bytes().to_vec();
    raw.resize(4 + bytes, 0);
    let subject = Subject::parse("jobs").expect("valid");
    let message = Message { subject, payload: Payload::msgpack(raw), headers: Headers::default() };
    let (kind, timeout, wait_for_interest) = (RequestKind::Publish, 30 * SECOND, false);
    let request = Request { kind, message, timeout, wait_for_interest, ttl: None };
    world.command(node, Command::Request { ticket: Some(ticket), request });
    ticket
}

#[test]
fn what_the_broker_counted_as_delivered_to_members_that_drain_is_handled() {
    for seed in 0..200 {
        let config = BrokerConfig { max_payload: 200_000, ..BrokerConfig::default() };
        let mut world = World::with_broker(seed, config);
        let askers = [world.node(), world.node()];
        let members: Vec<usize> = (0..MEMBERS).map(|_| world.node()).collect();
        world.run_for(SECOND);
        let mut present: Vec<(usize, Handle)> =
            members.iter().map(|node| (*node, subscribe(&mut world, *node))).collect();
        world.run_for(SECOND);
        let (mut asked, mut number) = (Vec::new(), 0);
        for round in 0..40 {
            for asker in askers {
                for _ in 0..world.dice.below(4) {
                    // Now and then one in chunks.
                    let bytes = if world.dice.chance(0.05) { 350_000 } else { 10 };
                    asked.push((publish(&mut world, asker, number, bytes), number));
                    number += 1;
                }
            }
            if round % 4 == 3 {
                let (node, subscription) = present.remove(world.dice.below(present.len()));
                let ticket = world.ticket(node);
                world.command(node, Command::Drain { subscription, ticket });
                // Whoever has left comes back: now, or in a moment.
                let pause = world.dice.millis(0, 20);
                world.run_for(pause);
                present.push((node, subscribe(&mut world, node)));
            }
            let pause = world.dice.millis(0, 3);
            world.run_for(pause);
        }
        assert!(world.run_until(30 * SECOND, |world| world.tickets.values().all(Option::is_some)));
        // Who stays is told of nothing, and still has some on the way.
        world.run_for(SECOND);
        let handled: Vec<u32> = world
            .delivered
            .values()
            .flatten()
            .map(|message| u32::from_be_bytes(message.payload.raw[..4].try_into().expect("a number")))
            .collect();
        let once: BTreeSet<u32> = handled.iter().copied().collect();
        assert_eq!(once.len(), handled.len(), "seed {seed}: one was handled twice");
        for (ticket, number) in asked {
            let outcome = &world.tickets[&ticket];
            assert_eq!(*outcome, Some(Outcome::Published(1)), "seed {seed}: somebody is always there");
            assert!(once.contains(&number), "seed {seed}: {number} was counted, and nobody has it");
        }
        world.check_interest();
        assert_eq!(
            world.net.broker().map(|broker| (broker.open_drains(), broker.unfinished())),
            Some((0, 0))
        );
        world.assert_right("this story");
    }
}

#[test]
fn a_client_of_a_listener_that_ends_is_with_the_next_one_a_moment_after_that_listens() {
    for seed in 0..100 {
        let mut world = World::new(seed);
        let (old, client, next) = (world.node(), world.node(), world.node());
        world.listen(old, "story", "old", SocketConfig::default());
        world.run_for(SECOND);
        let listener = *world.nodes[old].listeners.keys().next().expect("listening");
        // Before, within and after the moment in which it goes.
        let socks: Vec<_> = (0..10)
            .map(|n| {
                if n == 5 {
                    world.command(old, Command::ListenerRetire(listener));
                }
                let pause = world.dice.millis(0, 4);
                world.run_for(pause);
                world.connect(client, "story", SocketConfig::default())
            })
            .collect();
        world.run_for(Duration::from_millis(300));
        let is_ready = |world: &World, sock| world.sides[sock].state == State::Ready;
        assert!(
            socks.iter().filter(|sock| is_ready(&world, sock)).count() <= 8,
            "seed {seed}: it was to end"
        );
        world.listen(next, "story", "next", SocketConfig::default());
        let all = |world: &World| socks.iter().all(|sock| is_ready(world, sock));
        assert!(world.run_until(SECOND, all), "seed {seed}: {:?}", world.sides);
        world.come_to_rest();
        world.assert_right("this story");
    }
}

#[test]
fn of_listeners_with_one_id_the_newest_takes_everything_and_the_others_are_told() {
    for seed in 0..200 {
        let mut world = World::new(seed);
        let servers: Vec<usize> = (0..3).map(|_| world.node()).collect();
        let client = world.node();
        world.run_for(SECOND);
        let mut socks = Vec::new();
        for server in &servers {
            world.listen(*server, "story", "main", SocketConfig::default());
            let pause = world.dice.millis(0, 50);
            world.run_for(pause);
            let sock = world.connect(client, "story", SocketConfig::default());
            world.write(sock, 5, 0);
            socks.push(sock);
            // Links break, brokers are restarted, and who was there before comes back first, or last.
            match world.dice.below(4) {
                0 => world.net.cut(*server, "cut"),
                1 => {
                    world.net.kill_broker();
                    let pause = world.dice.millis(0, 3000);
                    world.run_for(pause);
                    world.net.start_broker(world.now);
                }
                _ => {}
            }
            for sock in &socks {
                world.write(*sock, 2, 0);
            }
            let pause = world.dice.millis(0, 2000);
            world.run_for(pause);
        }
        world.run_for(60 * SECOND);
        let ends: Vec<Option<String>> = servers
            .iter()
            .map(|server| {
                let (_, closed) = world.nodes[*server].listeners.values().next().expect("it listened");
                closed.clone().map(|code| code.unwrap_or_default())
            })
            .collect();
        let superseded = || Some("ERR_SUPERSEDED".to_owned());
        let open = ends.iter().filter(|end| end.is_none()).count();
        let told = ends.iter().filter(|end| **end == superseded()).count();
        assert_eq!((open, told), (1, 2), "seed {seed}: {ends:?}");
        let late = world.connect(client, "story", SocketConfig::default());
        let is_ready = |world: &World| world.sides[&late].state == State::Ready;
        assert!(world.run_until(SECOND, is_ready), "seed {seed}: {:?}", world.sides[&late]);
        world.come_to_rest();
        world.assert_right("this story");
    }
}

/// To a loop over a socket, on either side, it looked as if somebody had ended the socket in order.
#[test]
fn the_sockets_of_a_listener_whose_place_another_one_takes_end_for_that_reason_on_both_sides() {
    for seed in 0..100 {
        let mut world = World::new(seed);
        let (first, second, client) = (world.node(), world.node(), world.node());
        let config = SocketConfig { stream: seed % 2 == 0, ..SocketConfig::default() };
        world.listen(first, "story", "main", config.clone());
        world.run_for(SECOND);
        let nears: Vec<_> = (0..3).map(|_| world.connect(client, "story", config.clone())).collect();
        world.run_for(SECOND);
        let fars: Vec<_> = nears.iter().map(|near| world.only_peer(*near).expect("accepted")).collect();
        for sock in nears.iter().chain(&fars) {
            let count = world.dice.below(20) as u64;
            world.write(*sock, count, 10);
        }
        let pause = world.dice.millis(0, 20);
        world.run_for(pause);
        world.listen(second, "story", "main", config);
        world.run_for(10 * SECOND);
        for far in fars {
            let code = world.sides[&far].close_code();
            assert_eq!(code.as_deref(), Some("ERR_SUPERSEDED"), "seed {seed}: {far:?}");
        }
        for near in nears {
            // Who asks the newer one before it hears from the older one is told that there is no such socket.
            let code = world.sides[&near].close_code();
            let is_told = matches!(code.as_deref(), Some("ERR_SUPERSEDED" | "ERR_SOCKET_LOST"));
            assert!(is_told, "seed {seed}: {near:?} {code:?}");
        }
        world.assert_right("this story");
    }
}
