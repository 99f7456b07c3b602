//! Invariant 3: what machines keep is bounded at every step, and gone when everything is closed.

use std::time::Duration;

use selvedge::endpoint::{Command, EndpointUsage};
use selvedge::socket::SocketUsage;

use crate::app::Side;
use crate::world::World;

/// Bytes before their turn that one socket keeps (docs/protocols/socket.md), and the message that went over.
const MAX_OUT_OF_ORDER_BYTES: usize = 64 * 1024 * 1024 + 1_000_000;
/// The one message that always has room, and the beginnings of others.
const MAX_PARTIAL_OVERHEAD: usize = 200_000;
/// Messages handed over and not handled, at least (docs/protocols/socket.md).
const MIN_UNCONSUMED: u64 = 10_000;
/// Requests that wait on one socket (docs/protocols/socket.md).
const MAX_REQUESTS: usize = 10_000;
/// Everything that a closed world may still wait for: sockets' farewells, unfinished messages at the broker
/// (120 s).
const AFTERMATH: Duration = Duration::from_secs(150);

impl World {
    /// After each step: nothing beyond its bound, and nothing left that ought to have been fetched.
    pub(crate) fn check_bounds(&mut self) {
        let mut faults = Vec::new();
        for (index, node) in self.nodes.iter().enumerate() {
            let Some(endpoint) = &node.endpoint else { continue };
            let mut partial = 0;
            for (socket, usage) in endpoint.socket_usage() {
                partial += usage.partial_bytes;
                let Some(side) = self.sides.get(&(index, socket)) else {
                    faults.push(format!("{index}: socket {socket} is one that nobody knows"));
                    continue;
                };
                if let Some(what) = excess(&usage, side) {
                    faults.push(format!("{:?}: {what}: {usage:?}", (index, socket)));
                }
            }
            // As much again of those that stand still, and what was under way beside.
            let bound = 2 * self.intake.room + 2 * self.intake.pool + MAX_PARTIAL_OVERHEAD;
            if partial > bound {
                faults.push(format!("{index}: {partial} bytes of messages in pieces"));
            }
            let usage = endpoint.usage();
            // While a link is full, or there is none, what an endpoint has to say stays with it.
            let is_fetched = self.narrow.is_none() || node.valve.takes();
            if (usage.outputs > 0 && is_fetched) || usage.timers > usage.sockets {
                faults.push(format!("{index}: left over: {usage:?}"));
            }
        }
        for broker in self.net.brokers() {
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
            self.command(node, Command::Close(Duration::MAX));
        }
        self.run_for(AFTERMATH);
        let mut faults = Vec::new();
        for (index, node) in self.nodes.iter().enumerate() {
            let usage = node.endpoint.as_ref().map(|endpoint| endpoint.usage()).unwrap_or_default();
            if usage != EndpointUsage::default() {
                faults.push(format!("{index}: closed, and still there: {usage:?}"));
            }
        }
        for (sock, side) in self.sides.iter().filter(|(_, side)| side.is_open()) {
            faults.push(format!("{sock:?}: its client is closed, and it is not: {side:?}"));
        }
        for broker in self.net.brokers() {
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

/// Returns which bound is broken.
fn excess(usage: &SocketUsage, side: &Side) -> Option<&'static str> {
    let window = side.window;
    let bounds = [
        (
            usage.unacked > 1 && usage.unacked_bytes as u64 > side.window_bytes,
            "more bytes unacknowledged than the window",
        ),
        (usage.unacked as u64 > window, "more unacknowledged than the window"),
        (usage.out_of_order as u64 > window + 1, "more before its turn than the window"),
        (usage.out_of_order_bytes > MAX_OUT_OF_ORDER_BYTES, "more bytes before their turn than the bound"),
        (usage.unconsumed > window.max(MIN_UNCONSUMED), "more handed over than may be unhandled"),
        (usage.requests > MAX_REQUESTS, "more requests than may wait"),
        (usage.outputs > 0, "outputs that nobody fetched"),
    ];
    bounds.into_iter().find(|(broken, _)| *broken).map(|(_, what)| what)
}
