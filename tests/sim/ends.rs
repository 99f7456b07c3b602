//! Ends: who dies is known in a moment, of several listeners of one id one at a time gets what comes, and
//! what was accepted was handled or is told. Watched in every run; the stories here are only about them.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use selvedge::endpoint::Command;
use selvedge::socket::{SocketConfig, State};
use selvedge::wire::{Reply, ServerOp, SubscribeStatus};

use crate::app::Sock;
use crate::socket::SECOND;
use crate::world::World;

/// How long a living end may take to leave `Ready` when its peer has died, beside what the network takes:
/// it may come back in the first 300 ms.
const TOLD: Duration = Duration::from_millis(400);

impl World {
    /// A process is about to die: whoever has a socket with it has to know in a moment.
    pub(crate) fn expect_news_of(&mut self, dying: usize) {
        let ready = |sock: &Sock| self.sides[sock].state == State::Ready && sock.0 != dying;
        let pairs = self.sides.keys().filter(|sock| ready(sock)).filter_map(|&sock| {
            let peer = self.only_peer(sock).filter(|peer| peer.0 == dying)?;
            Some((sock, peer, self.net.whole_link(sock.0)?))
        });
        let pairs: Vec<(Sock, Sock, u64)> = pairs.collect();
        // A watch may be on its way, and its answer on the way back.
        let (_, slowest) = self.net.faults.latency;
        let pause = self.narrow.map_or(0, |narrow| 1 + narrow.pause);
        let time = TOLD + 3 * Duration::from_millis(slowest + pause);
        let since = self.now;
        for (sock, peer, link) in pairs {
            self.after(time, move |world| world.check_told(sock, peer, link, since));
        }
    }

    /// The other end of a socket, if there is no doubt which it is.
    pub fn only_peer(&self, sock: Sock) -> Option<Sock> {
        let side = &self.sides[&sock];
        let same = |other: &&Sock| self.sides[*other].id == side.id && self.sides[*other].is_open();
        let [one, other] = self.sides.keys().filter(same).copied().collect::<Vec<_>>().try_into().ok()?;
        let peer = if one == sock { other } else { one };
        (self.sides[&peer].is_client != side.is_client).then_some(peer)
    }

    fn check_told(&mut self, sock: Sock, peer: Sock, link: u64, since: std::time::Instant) {
        let node = &self.nodes[sock.0];
        let slept = node.frozen_until.is_some() || node.thawed_at.is_some_and(|at| at >= since);
        // Who was away itself, or finds another one under the same name, is told otherwise.
        let was_back = self.booted_at.get(&peer.0).is_some_and(|at| *at >= since);
        let is_dead = self.nodes[peer.0].endpoint.is_none() && !was_back && !self.has_heir(peer, since);
        let is_same = self.net.whole_link(sock.0) == Some(link) && is_dead;
        let side = &self.sides[&sock];
        // One that ends waits for nothing but the end.
        if is_same && !slept && side.is_open() && !side.ending && side.state == State::Ready {
            let what = format!("{sock:?} was not told in time that {peer:?} has died: {side:?}");
            self.blame(what);
        }
        self.net.count("death that somebody was told of");
    }

    /// Whether another process has begun to listen with the id of a server since, or just before: to its
    /// clients that is a return, which they greet, and it says that it does not know them; but greetings may
    /// get lost.
    fn has_heir(&self, server: Sock, since: std::time::Instant) -> bool {
        let id = self.sides.get(&server).and_then(|side| side.server.as_ref());
        let heir = id.and_then(|id| self.listened_at.get(id));
        heir.is_some_and(|(node, at)| *node != server.0 && *at + TOLD >= since)
    }

    /// What only the reader can know: it closed, and has said exactly what it had handled.
    fn check_exact(&mut self, writer: Sock, reader: Sock) {
        let (from, to) = (&self.sides[&writer], &self.sides[&reader]);
        let Some(handled) = to.consumed_at_close else { return };
        let Some((_, undelivered)) = &from.closed else {
            return self.blame(format_args!("{writer:?}: the other end has closed, and it is not told"));
        };
        let owed = from.owed(handled, from.written);
        if *undelivered as u64 != owed {
            let what = format!("{writer:?}: {handled} of {} handled, {undelivered} told", from.written);
            self.blame(what);
        }
    }
}

/// What brokers do with listeners of one id.
#[derive(Debug, Default)]
pub struct FenceWatch {
    /// Who was told that another one has taken its place, by link.
    told: BTreeSet<(u64, String)>,
    /// Who has been given what is for one listener, since the last operation of anybody.
    given: BTreeMap<String, usize>,
    pub wrong: Vec<String>,
}

impl FenceWatch {
    /// Something else happens.
    pub fn begin(&mut self) {
        self.given.clear();
    }

    /// A broker says this over a link.
    pub fn note(&mut self, endpoint: usize, link: u64, op: &ServerOp) {
        match op {
            ServerOp::Deliver { pattern, .. } if is_of_one_listener(pattern.as_str()) => {
                let pattern = pattern.as_str().to_owned();
                if self.told.contains(&(link, pattern.clone())) {
                    self.wrong.push(format!("{endpoint} still gets what comes to {pattern}"));
                }
                let first = *self.given.entry(pattern.clone()).or_insert(endpoint);
                if first != endpoint {
                    self.wrong.push(format!("{first} and {endpoint} both get what comes to {pattern}"));
                }
            }
            ServerOp::Superseded { pattern, .. } => {
                self.told.insert((link, pattern.as_str().to_owned()));
            }
            ServerOp::Ack { reply: Reply::Subscribed(statuses), .. } => {
                let granted =
                    |status: &Result<SubscribeStatus, _>| matches!(status, Ok(SubscribeStatus::Exclusive(_)));
                if statuses.iter().any(granted) {
                    self.told.retain(|(of, _)| *of != link);
                }
            }
            _ => {}
        }
    }
}

/// `….server.<id>.*`
fn is_of_one_listener(pattern: &str) -> bool {
    let mut tokens = pattern.rsplit('.');
    let (last, id, kind) = (tokens.next(), tokens.next(), tokens.next());
    last == Some("*") && kind == Some("server") && id != Some("~")
}

/// A listener that takes nobody any more and the next one of its id, in one process: the one closed the
/// other one's sockets.
#[test]
fn a_retired_listener_and_the_next_one_of_its_id_each_serve_their_own_sockets() {
    for (seed, stream) in [(1, true), (2, false), (3, true), (4, false)] {
        let config = SocketConfig { stream, ..SocketConfig::default() };
        let mut world = World::new(seed);
        let (server, client) = (world.node(), world.node());
        let first = world.listen(server, "story", "server", config.clone());
        let ready = |sock: Sock| move |world: &World| world.sides[&sock].state == State::Ready;
        let older = world.connect(client, "story", config.clone());
        assert!(world.run_until(SECOND, ready(older)));
        world.command(server, Command::ListenerRetire(first));
        world.listen(server, "story", "server", config.clone());
        world.run_for(SECOND);
        let newer = world.connect(client, "story", config.clone());
        assert!(world.run_until(SECOND, ready(newer)), "seed {seed}: {:?}", world.sides[&newer]);
        for _ in 0..5 {
            let all: Vec<Sock> = world.sides.keys().copied().collect();
            assert_eq!(all.len(), 4, "seed {seed}: {all:?}");
            all.iter().for_each(|sock| assert_eq!(world.write(*sock, 3, 10), 3));
            world.run_for(SECOND);
            for sock in all {
                assert_eq!(world.sides[&sock].acked, world.sides[&sock].written, "seed {seed}: {sock:?}");
            }
            world.net.cut(client, "cut");
            world.run_for(2 * SECOND);
        }
        world.close(older);
        world.command(server, Command::ListenerClose(first));
        world.run_for(SECOND);
        let newest = world.connect(client, "story", config);
        assert!(world.run_until(SECOND, ready(newest)));
        world.write(newer, 3, 10);
        world.come_to_rest();
        world.assert_right("this story");
        world.tear_down();
        world.assert_right("this story");
    }
}

#[test]
fn who_closes_has_said_exactly_what_it_has_handled() {
    for seed in 0..100 {
        let mut world = World::new(seed);
        let (server, client) = (world.node(), world.node());
        let config = SocketConfig { max_queue: world.dice.pick(&[3, 20, 1000]), ..SocketConfig::default() };
        world.listen(server, "story", "server", config.clone());
        world.slowness = world.dice.pick(&[0, 5, 60]);
        world.run_for(SECOND);
        let clients: Vec<Sock> = (0..4).map(|_| world.connect(client, "story", config.clone())).collect();
        world.run_for(SECOND);
        let pairs: Vec<(Sock, Sock)> =
            clients.into_iter().map(|near| (near, world.only_peer(near).expect("accepted"))).collect();
        for &(near, far) in &pairs {
            for sock in [near, far] {
                for _ in 0..world.dice.below(20) {
                    let (at, count) = (world.dice.millis(0, 300), 1 + world.dice.below(9) as u64);
                    world.after(at, move |world| {
                        world.write(sock, count, 10);
                    });
                }
            }
            let (at, closing) = (world.dice.millis(0, 400), world.dice.pick(&[near, far]));
            world.after(at, move |world| world.close(closing));
        }
        world.run_for(30 * SECOND);
        for (near, far) in pairs {
            let closes_first = |sock| world.sides[&sock].close_code().as_deref() == Some("");
            match (closes_first(near), closes_first(far)) {
                (true, false) => world.check_exact(far, near),
                (false, true) => world.check_exact(near, far),
                other => world.blame(format_args!("one of two was to close: {other:?}")),
            }
        }
        world.come_to_rest();
        world.assert_right("this story");
    }
}

/// The last word of an orderly end went with the broker: the other end missed its client for 30 s.
#[test]
fn an_orderly_end_is_told_though_the_broker_goes_with_its_last_word() {
    for seed in 0..200 {
        let mut world = World::new(seed);
        let (server, client) = (world.node(), world.node());
        let config = SocketConfig::default();
        world.listen(server, "story", "server", config.clone());
        world.run_for(SECOND);
        let near = world.connect(client, "story", config);
        world.run_for(SECOND);
        let far = world.only_peer(near).expect("accepted");
        world.write(near, 3, 10);
        world.write(far, 3, 10);
        let (ends, goes) = (world.dice.millis(0, 30), world.dice.millis(0, 60));
        world.after(ends, move |world| {
            world.end(near, 60 * SECOND);
        });
        world.after(goes, |world| world.net.kill_broker());
        world.run_for(SECOND / 10);
        let pause = world.dice.millis(0, 2000);
        world.run_for(pause);
        world.net.start_broker(world.now);
        let closed = |world: &World| [near, far].iter().all(|sock| world.sides[sock].closed.is_some());
        // Until both have found the broker, and then a moment.
        let in_time = world.run_until(15 * SECOND, closed);
        assert!(in_time, "seed {seed}: {:?} {:?}", world.sides[&near], world.sides[&far]);
        world.come_to_rest();
        world.assert_right("this story");
    }
}
