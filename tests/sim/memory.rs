//! Invariant 3: what machines keep is bounded at every step, and gone when everything is closed.

use std::time::Duration;

use selvedge::endpoint::{Command, Held};
use selvedge::socket::Held as SocketHeld;

use crate::app::Side;
use crate::world::World;

/// Bytes before their turn that one socket keeps (docs/protocols/socket.md), and the message that went over.
const MOST_AHEAD_BYTES: usize = 64 * 1024 * 1024 + 1_000_000;
/// Messages handed over and not handled, at least (docs/protocols/socket.md).
const LEAST_UNCONSUMED: u64 = 10_000;
/// Requests that wait on one socket (docs/protocols/socket.md).
const MOST_REQUESTS: usize = 10_000;
/// Everything that a closed world may still wait for: sockets' farewells, unfinished messages at the broker (120 s).
const AFTERMATH: Duration = Duration::from_secs(150);

impl World {
    /// After each step: nothing beyond its bound, and nothing left that ought to have been fetched.
    pub(crate) fn check_bounds(&mut self) {
        let mut faults = Vec::new();
        for (index, node) in self.nodes.iter().enumerate() {
            let Some(endpoint) = &node.endpoint else { continue };
            for (socket, held) in endpoint.sockets_held() {
                let Some(side) = self.sides.get(&(index, socket)) else {
                    faults.push(format!("{index}: socket {socket} is one that nobody knows"));
                    continue;
                };
                if let Some(what) = excess(&held, side) {
                    faults.push(format!("{:?}: {what}: {held:?}", (index, socket)));
                }
            }
            let held = endpoint.held();
            if held.outputs > 0 || held.timers > held.sockets {
                faults.push(format!("{index}: left over: {held:?}"));
            }
        }
        if let Some(broker) = self.net.broker() {
            let (stats, bound) = (broker.stats(), broker.config().max_outbox_bytes * self.nodes.len());
            if stats.outbox_bytes > bound || stats.outbox_ops > 0 {
                faults.push(format!("the broker keeps what nobody fetches: {stats:?}"));
            }
        }
        faults.into_iter().for_each(|fault| self.blame(fault));
    }

    /// Everybody leaves; then nothing is left anywhere.
    pub fn tear_down(&mut self) {
        self.note("everybody leaves");
        for node in 0..self.nodes.len() {
            self.command(node, Command::Close);
        }
        self.run_for(AFTERMATH);
        let mut faults = Vec::new();
        for (index, node) in self.nodes.iter().enumerate() {
            let held = node.endpoint.as_ref().map(|endpoint| endpoint.held()).unwrap_or_default();
            if held != Held::default() {
                faults.push(format!("{index}: closed, and still there: {held:?}"));
            }
        }
        for (sock, side) in self.sides.iter().filter(|(_, side)| side.is_open()) {
            faults.push(format!("{sock:?}: its client is closed, and it is not: {side:?}"));
        }
        if let Some(broker) = self.net.broker() {
            let (stats, peers) = (broker.stats(), broker.peers().len());
            let left = [
                stats.connections,
                stats.subscriptions,
                stats.patterns,
                stats.waits,
                broker.unfinished(),
                peers,
            ];
            if left != [0; 6] {
                faults.push(format!("the broker keeps something of those who left: {left:?} {stats:?}"));
            }
        }
        faults.into_iter().for_each(|fault| self.blame(fault));
    }
}

/// Which bound is broken.
fn excess(held: &SocketHeld, side: &Side) -> Option<&'static str> {
    let window = side.window;
    let bounds = [
        (
            held.unacked > 1 && held.unacked_bytes as u64 > side.window_bytes,
            "more bytes unacknowledged than the window",
        ),
        (held.unacked as u64 > window, "more unacknowledged than the window"),
        (held.ahead as u64 > window + 1, "more before its turn than the window"),
        (held.ahead_bytes > MOST_AHEAD_BYTES, "more bytes before their turn than the bound"),
        (held.unconsumed > window.max(LEAST_UNCONSUMED), "more handed over than may be unhandled"),
        (held.requests > MOST_REQUESTS, "more requests than may wait"),
        (held.outputs > 0, "outputs that nobody fetched"),
    ];
    bounds.into_iter().find(|(broken, _)| *broken).map(|(_, what)| what)
}
