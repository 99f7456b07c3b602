//! Memory usage of an endpoint.

use super::super::EndpointUsage;
use super::Endpoint;
use crate::base::Handle;
use crate::socket::SocketUsage;
use crate::subject::Pattern;

impl Endpoint {
    /// Returns what it keeps, in all.
    pub fn usage(&self) -> EndpointUsage {
        let client = self.client.usage();
        EndpointUsage {
            sockets: self.table.sockets().len(),
            listeners: self.table.listeners().len(),
            arriving: self.table.arriving(),
            watches: self.watches.len() + self.others.len(),
            timers: self.table.timers(),
            requests: self.confirmations.len(),
            operations: client.requests,
            acks: client.acks,
            patterns: client.patterns,
            incoming: self.intake.len(),
            partial_bytes: client.partial_bytes,
            outputs: client.outputs + self.events.len() + self.table.undrained(),
        }
    }

    /// Returns what each of its sockets keeps.
    pub fn socket_usage(&self) -> impl Iterator<Item = (Handle, SocketUsage)> {
        self.table.usage()
    }

    /// Returns what the broker should have of it while it is ready.
    pub fn patterns(&self) -> impl Iterator<Item = &Pattern> {
        self.client.patterns()
    }
}
