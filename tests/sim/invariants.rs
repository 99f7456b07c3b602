//! What must hold at the end of every run (reliability.md section 2).

use std::time::Duration;

use selvedge::socket::State;

use crate::app::{Side, Sock};
use crate::world::World;

/// Everything comes to rest within this time after the last fault: silence is noticed after 45 s, a missing
/// answer to the ping after 30 s more, and a server that is gone is looked for during 30 s.
pub const PATIENCE: Duration = Duration::from_secs(120);

impl World {
    /// Faults stop; whatever was detached by hand is attached; then everything comes to rest.
    pub fn come_to_rest(&mut self) {
        self.note("the faults stop");
        self.net.heal(self.now);
        self.widen();
        (0..self.nodes.len()).for_each(|node| self.thaw(node));
        let detached: Vec<Sock> = self
            .sides
            .iter()
            .filter(|(_, side)| side.is_open() && side.is_client && side.state == State::Disconnected)
            .map(|(sock, _)| *sock)
            .collect();
        detached.into_iter().for_each(|sock| self.attach(sock, true));
        for node in 0..self.nodes.len() {
            self.command(node, selvedge::endpoint::Command::Connect);
        }
        if !self.stuck.is_empty() {
            // Handlers that never return hold up their own sockets, and no other.
            self.run_until(PATIENCE, |world| world.restless(false).is_empty());
            self.restless(false)
                .into_iter()
                .for_each(|line| self.blame(format_args!("beside a stuck socket: {line}")));
            self.unstick();
        }
        self.run_until(PATIENCE, World::is_at_rest);
        self.check();
        self.check_interest();
    }

    /// The handlers that never returned do.
    fn unstick(&mut self) {
        self.note("the stuck handlers return");
        self.stuck.clear();
        for (sock, count) in std::mem::take(&mut self.stuck_with) {
            if let Some(side) = self.sides.get_mut(&sock) {
                side.consumed += count;
            }
            self.command(
                sock.0,
                selvedge::endpoint::Command::Consumed {
                    socket: sock.1,
                    counts: selvedge::socket::Consumed::data(count),
                },
            );
        }
    }

    /// The sides that cannot stay as they are, those that are stuck included or not.
    fn restless(&self, all: bool) -> Vec<String> {
        self.sides
            .iter()
            .filter(|(_, side)| all || !self.stuck.contains(&side.id))
            .filter_map(|(sock, side)| Some(format!("{sock:?}: {}: {side:?}", self.unrest(*sock, side)?)))
            .collect()
    }

    pub fn is_at_rest(&self) -> bool {
        self.tickets.values().all(Option::is_some)
            && self.open_asks().next().is_none()
            && self.sides.iter().all(|(sock, side)| self.unrest(*sock, side).is_none())
    }

    fn check(&mut self) {
        std::mem::take(&mut self.net.fences.wrong).into_iter().for_each(|line| self.blame(line));
        self.restless(true).into_iter().for_each(|line| self.blame(line));
        let lies: Vec<String> = self
            .sides
            .iter()
            .filter_map(|(sock, side)| Some(format!("{sock:?}: {}: {side:?}", self.lie(side)?)))
            .collect();
        lies.into_iter().for_each(|line| self.blame(line));
        let asked: Vec<_> = self.open_asks().collect();
        if !asked.is_empty() {
            self.blame(format_args!("nothing came of the requests {asked:?}"));
        }
        let open: Vec<_> =
            self.tickets.iter().filter(|(_, outcome)| outcome.is_none()).map(|(ticket, _)| *ticket).collect();
        if !open.is_empty() {
            self.blame(format_args!("nothing came of the tickets {open:?}"));
        }
    }

    /// Returns why this side cannot stay as it is.
    fn unrest(&self, sock: Sock, side: &Side) -> Option<&'static str> {
        if !side.is_open() {
            return None;
        }
        let mut others = self.sides.iter().filter(|(other, candidate)| {
            **other != sock
                && candidate.id == side.id
                && candidate.is_open()
                && candidate.is_client != side.is_client
        });
        let Some((_, other)) = others.next() else { return Some("open, and nobody at the other end") };
        if others.next().is_some() {
            return Some("two at the other end");
        }
        match side.state {
            _ if side.ending => Some("has not come to its end"),
            State::Ready if side.acked == side.written && other.received == side.written => None,
            State::Ready => Some("ready, and not everything delivered and acknowledged"),
            _ => Some("neither ready nor closed"),
        }
    }

    /// Returns what a closed side said that was not so.
    fn lie(&self, side: &Side) -> Option<String> {
        let (_, undelivered) = side.closed.as_ref().filter(|_| !side.dead)?;
        let reached: u64 = self
            .sides
            .values()
            .filter(|reader| reader.from == Some(side.writer))
            .map(|reader| reader.received)
            .max()
            .unwrap_or(0);
        let missing = side.owed(reached, side.written);
        if (*undelivered as u64) < missing {
            return Some(format!("{missing} undelivered, and it says {undelivered}"));
        }
        if side.undelivered.len() != *undelivered {
            return Some(format!("{undelivered} undelivered, and it hands over {:?}", side.undelivered));
        }
        (*undelivered as u64 != side.owed(side.acked, side.written))
            .then(|| "the undelivered are not those without acknowledgement".to_owned())
    }

    /// Fails the test if anything went wrong. `replay` is the command that shows it again.
    pub fn assert_right(&self, replay: &str) {
        if !self.wrong.is_empty() {
            self.trace.print(replay);
            panic!("{}\nreplay: {replay}", self.wrong.join("\n"));
        }
    }
}
