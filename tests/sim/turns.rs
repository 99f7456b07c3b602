//! What an end has to say is cut short in the middle, by the bound of its turn and by a link that is full,
//! and right then its peer, its broker or its listener goes. Whoever waits for a turn must not ask for it
//! without end, nor forget what it had to say.

use selvedge::base::FaultPoint;
use selvedge::client::ClientConfig;
use selvedge::endpoint::Command;
use selvedge::socket::{SocketConfig, State};

use crate::app::Sock;
use crate::chaos::number;
use crate::narrow::Narrow;
use crate::socket::{MINUTE, SECOND};
use crate::trace::ReplayOfPanic;
use crate::world::World;

/// What goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Loss {
    Link,
    Broker,
    /// The process of the server; it comes back and knows nothing.
    Server,
    /// The process of the client, for good.
    Client,
    /// The client detaches its socket for a while.
    Peer,
    /// It closes it.
    Socket,
    Listener,
    /// It takes nobody any more, and stays with those it has.
    Retired,
    /// The client gives its link up, as the application wants.
    Disconnect,
    /// The process of the server stands still.
    Frozen,
}

const LOSSES: [Loss; 10] = [
    Loss::Link,
    Loss::Broker,
    Loss::Server,
    Loss::Client,
    Loss::Peer,
    Loss::Socket,
    Loss::Listener,
    Loss::Retired,
    Loss::Disconnect,
    Loss::Frozen,
];
const SEEDS: u64 = 40;
const SERVER: usize = 0;
const CLIENT: usize = 1;

fn config() -> SocketConfig {
    SocketConfig { piece_bytes: 2000, ..SocketConfig::default() }
}

/// A server and two clients of one process, with bursts on their way in both directions that do not fit into
/// what a link takes.
fn busy(seed: u64) -> (World, Vec<Sock>) {
    let mut world = World::new(seed);
    for _ in [SERVER, CLIENT] {
        world.node();
    }
    world.listen(SERVER, "story", "server", config());
    let near: Vec<Sock> = (0..2).map(|_| world.connect(CLIENT, "story", config())).collect();
    let all = near.clone();
    let ready = move |world: &World| all.iter().all(|sock| world.sides[sock].state == State::Ready);
    assert!(world.run_until(5 * SECOND, ready), "attached");
    world.narrow = Some(Narrow { ops: world.dice.pick(&[1, 3, 10]), pause: world.dice.pick(&[2, 20, 200]) });
    world.net.rare.set(1 << FaultPoint::ShortTurn as u16, 700);
    burst(&mut world);
    (world, near)
}

/// Everybody who may writes more than fits into one turn.
fn burst(world: &mut World) {
    let open: Vec<Sock> = world
        .sides
        .iter()
        .filter(|(_, side)| side.is_open() && !side.ending)
        .map(|(sock, _)| *sock)
        .collect();
    for sock in open {
        for size in [10, 30_000, 10, 9000] {
            world.write(sock, 1, size);
        }
    }
}

fn lose(world: &mut World, near: Sock, loss: Loss) {
    let pause = world.dice.millis(0, 3000);
    match loss {
        Loss::Link => {
            let node = world.dice.pick(&[SERVER, CLIENT]);
            world.net.cut(node, "cut");
        }
        Loss::Broker => {
            world.net.kill_broker();
            world.after(pause, |world| world.net.start_broker(world.now));
        }
        Loss::Server => {
            world.kill(SERVER);
            world.after(pause, |world| {
                world.boot(SERVER, ClientConfig::default());
                world.listen(SERVER, "story", "server", config());
            });
        }
        Loss::Client => world.kill(CLIENT),
        Loss::Peer => {
            world.attach(near, false);
            world.after(pause, move |world| world.attach(near, true));
        }
        Loss::Socket => world.close(near),
        Loss::Listener | Loss::Retired => {
            let listener = *world.nodes[SERVER].listeners.keys().next().expect("one");
            let command =
                if loss == Loss::Retired { Command::ListenerRetire } else { Command::ListenerClose };
            world.command(SERVER, command(listener));
        }
        Loss::Disconnect => {
            world.command(CLIENT, Command::Disconnect);
            world.after(pause, |world| world.command(CLIENT, Command::Connect));
        }
        Loss::Frozen => world.freeze(SERVER, pause),
    }
}

fn live(loss: Loss, seed: u64) {
    let name = format!("{loss:?}, seed {seed} of this story");
    let _replay = ReplayOfPanic(name.clone());
    let (mut world, near) = busy(seed);
    for _ in 0..1 + world.dice.below(3) {
        // In the middle of what a link of some milliseconds has to carry.
        let pause = world.dice.millis(0, 60);
        world.run_for(pause);
        lose(&mut world, near[0], loss);
        let pause = world.dice.millis(0, 60);
        world.run_for(pause);
        burst(&mut world);
        if matches!(loss, Loss::Client | Loss::Listener | Loss::Retired) {
            break;
        }
    }
    world.run_for(MINUTE);
    world.come_to_rest();
    world.assert_right(&name);
    world.tear_down();
    world.assert_right(&name);
}

#[test]
fn whoever_goes_in_the_middle_of_a_turn_holds_up_nobody_and_nothing_is_lost() {
    let seeds = number("SELVEDGE_SIM_SEEDS").unwrap_or(SEEDS).min(10_000);
    for loss in LOSSES {
        for seed in 0..seeds {
            live(loss, seed);
        }
    }
}
