//! What an operating system does to a process: stops it for a while, moves its clock.

use std::time::{Duration, Instant};

use selvedge::base::Machine;
use selvedge::endpoint::{Command, Endpoint};

use crate::net::Notice;
use crate::world::World;

/// In which what is due is handled, before it counts as never handled.
const MAX_ROUNDS: u32 = 3;

/// What a stopped process finds when it goes on.
#[derive(Debug)]
pub enum Pending {
    Notice(Notice),
    Command(Command),
}

impl World {
    /// The time, for one process.
    pub(crate) fn clock(&self, node: usize) -> Instant {
        self.now + self.nodes[node].skew
    }

    /// The clock of a process jumps ahead.
    pub fn leap(&mut self, node: usize, by: Duration) {
        self.note(format_args!("{node}: the clock leaps {by:?}"));
        self.net.count("clock leap");
        self.nodes[node].skew += by;
    }

    /// A process does nothing for a while; its peers are not told.
    pub fn freeze(&mut self, node: usize, length: Duration) {
        if self.nodes[node].endpoint.is_some() {
            self.note(format_args!("{node} is frozen for {length:?}"));
            self.net.count("freeze");
            let until = self.now + length;
            let frozen = &mut self.nodes[node].frozen_until;
            *frozen = Some(frozen.map_or(until, |before| before.max(until)));
        }
    }

    /// A frozen process goes on: its timers are overdue, its socket buffers full. Which of them it looks at
    /// first is up to chance.
    pub fn thaw(&mut self, node: usize) {
        if self.nodes[node].frozen_until.take().is_none() {
            return;
        }
        self.note(format_args!("{node} goes on"));
        self.nodes[node].thawed_at = Some(self.now);
        if self.dice.chance(0.5) {
            self.fire(node);
        }
        while let Some(pending) = self.nodes[node].backlog.pop_front() {
            match pending {
                Pending::Notice(notice) => self.tell(notice),
                Pending::Command(command) => self.command(node, command),
            }
        }
    }

    /// Returns when a process next has something to do by itself.
    pub(crate) fn next_of(&self, node: usize) -> Option<Instant> {
        let node = self.nodes.get(node)?;
        if node.frozen_until.is_some() {
            return node.frozen_until;
        }
        let at = node.endpoint.as_ref()?.poll_timeout();
        let at = at.map(|at| at.checked_sub(node.skew).unwrap_or(self.now));
        at.into_iter().chain(node.valve.full_until()).min()
    }

    /// Lets a process do what is due by its own clock.
    pub(crate) fn wake(&mut self, node: usize) {
        match self.nodes[node].frozen_until {
            Some(until) if until <= self.now => self.thaw(node),
            Some(_) => {}
            None => {
                if self.nodes[node].valve.open_at(self.now) {
                    self.pump(node);
                }
                self.fire(node);
            }
        }
    }

    fn fire(&mut self, node: usize) {
        let now = self.clock(node);
        let is_due = |endpoint: &Endpoint| endpoint.poll_timeout().is_some_and(|at| at <= now);
        // What is told while one deadline is handled can make another one due: that there is another
        // server, say.
        for _ in 0..MAX_ROUNDS {
            let Some(endpoint) = self.nodes[node].endpoint.as_mut().filter(|endpoint| is_due(endpoint))
            else {
                return;
            };
            endpoint.handle_timeout(now);
            let is_settled = !is_due(endpoint);
            self.pump(node);
            if is_settled {
                return;
            }
        }
        if self.nodes[node].endpoint.as_ref().is_some_and(is_due) {
            self.blame(format_args!("{node}: a deadline that has come stays"));
            self.now += Duration::from_millis(1);
        }
    }
}
