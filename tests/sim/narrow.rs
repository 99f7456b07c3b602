//! Links that are full now and then: what an endpoint has to say waits meanwhile, and so do its commands, as
//! the runtime lets them. What comes and what is due does not wait, so that it meets endpoints in the middle
//! of what they were saying.

use std::collections::VecDeque;
use std::time::Instant;

use selvedge::base::{FaultPoint, Machine, Urgent};
use selvedge::endpoint::Command;

use crate::dice::Dice;
use crate::net::Notice;
use crate::world::{Node, World};

/// How narrow the links are.
#[derive(Debug, Clone, Copy)]
pub struct Narrow {
    /// Operations that a link takes before it is full, at most.
    pub ops: usize,
    /// Milliseconds that it is full, at most.
    pub pause: u64,
}

/// How much the link of a process takes.
#[derive(Default)]
pub struct Valve {
    has_link: bool,
    /// Operations that it takes before it is full.
    room: usize,
    full_until: Option<Instant>,
    /// Commands that wait for room.
    waiting: VecDeque<Command>,
}

impl Valve {
    /// Without a link nothing is asked for.
    pub fn takes(&self) -> bool {
        self.has_link && self.full_until.is_none()
    }

    pub fn full_until(&self) -> Option<Instant> {
        self.full_until
    }

    /// There is room again, if it is time. Returns whether.
    pub fn open_at(&mut self, now: Instant) -> bool {
        self.full_until.take_if(|until| *until <= now).is_some()
    }

    /// Keeps a command that has to wait; returns one that has not. `has_room`: as the endpoint says.
    pub fn keep(&mut self, command: Command, has_room: bool) -> Option<Command> {
        let is_next = self.waiting.is_empty() && (has_room || !command.needs_link());
        if self.full_until.is_none() || command.is_urgent() || is_next {
            return Some(command);
        }
        self.waiting.push_back(command);
        None
    }

    /// A command that need not wait any more.
    pub fn poll_command(&mut self, has_room: bool) -> Option<Command> {
        let takes_all = self.full_until.is_none() || has_room;
        let is_next = self.waiting.front().is_some_and(|next| takes_all || !next.needs_link());
        if is_next { self.waiting.pop_front() } else { None }
    }

    /// Each link begins empty.
    pub fn handle_notice(&mut self, notice: &Notice) {
        match notice {
            Notice::Up(_) => (self.has_link, self.full_until) = (true, None),
            Notice::Down(..) => (self.has_link, self.full_until) = (false, None),
            Notice::Op(..) => {}
        }
    }
}

/// Makes the links of one world in four narrow, and its turns short. By dice of its own, so that the other
/// worlds stay as they are.
pub fn make_narrow(world: &mut World, seed: u64) {
    let mut dice = Dice::new(seed ^ 0x6e61_7272_6f77);
    if dice.chance(0.75) {
        return;
    }
    world.narrow = Some(Narrow { ops: dice.pick(&[1, 3, 20]), pause: dice.pick(&[5, 50, 300]) });
    let rare = &world.net.rare;
    rare.set(rare.points() | 1 << FaultPoint::ShortTurn as u16, dice.pick(&[50, 300, 1000]));
}

impl World {
    /// The link of a process has taken one operation more.
    pub(crate) fn note_sent(&mut self, node: usize) {
        let Some(Narrow { ops, pause }) = self.narrow else { return };
        let valve = &mut self.nodes[node].valve;
        if valve.room > 0 {
            valve.room -= 1;
            return;
        }
        valve.room = self.dice.below(ops);
        valve.full_until = Some(self.now + self.dice.millis(1, 1 + pause));
    }

    /// All links take everything from now on.
    pub(crate) fn widen(&mut self) {
        if self.narrow.take().is_some() {
            for node in 0..self.nodes.len() {
                self.nodes[node].valve.full_until = None;
                if self.nodes[node].frozen_until.is_none() {
                    self.pump(node);
                }
            }
        }
    }

    /// A process gives its link up: what it has said until then leaves still.
    pub(crate) fn send_rest(&mut self, node: usize) {
        let Node { endpoint: Some(endpoint), valve, .. } = &mut self.nodes[node] else { return };
        if std::mem::take(&mut valve.has_link) {
            while let Some(op) = endpoint.poll_output() {
                self.net.send(self.now, node, op);
            }
        }
        valve.full_until = None;
    }
}
