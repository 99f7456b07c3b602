//! What an endpoint keeps in memory, and whether a simulation wants something rare.

use super::super::{Handle, Held};
use super::Endpoint;
use crate::socket::Held as SocketHeld;
use crate::subject::Pattern;

impl Endpoint {
    /// What it keeps, in all.
    pub fn held(&self) -> Held {
        let client = self.client.held();
        Held {
            sockets: self.sockets.len(),
            listeners: self.listeners.len(),
            arriving: self.listeners.values().map(|listening| listening.listener.arriving()).sum(),
            timers: self.deadlines.len(),
            questions: self.questions.len() + self.confirmations.len(),
            operations: client.operations,
            acks: client.acks,
            patterns: client.patterns,
            partial_bytes: client.partial_bytes,
            outputs: client.outputs + self.events.len() + self.touched.len(),
        }
    }

    /// What each of its sockets keeps.
    pub fn sockets_held(&self) -> impl Iterator<Item = (Handle, SocketHeld)> {
        self.sockets.iter().map(|(handle, socket)| (*handle, socket.held()))
    }

    /// What the broker should have of it while it is ready.
    pub fn patterns(&self) -> impl Iterator<Item = &Pattern> {
        self.client.patterns()
    }
}
