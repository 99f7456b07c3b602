//! The numbers that a broker shows.

use super::DisconnectReason;
use crate::wire::Json;

/// Traffic in one direction.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Volume {
    /// Messages, or chunks of them.
    pub messages: u64,
    /// Bytes: subject, id, payload and headers, without the framing of any protocol.
    pub bytes: u64,
}

impl Volume {
    /// Counts more messages. Saturates: numbers to look at must never stop the broker.
    pub(super) fn add(&mut self, messages: u32, bytes: usize) {
        self.messages = self.messages.saturating_add(messages.into());
        self.bytes = self.bytes.saturating_add(bytes as u64);
    }
}

/// A broker's numbers: what is there now, and what happened since it began.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct BrokerStats {
    /// Open connections. Those refused or closed by the broker are not among them.
    pub connections: usize,
    /// Subscriptions of all connections.
    pub subscriptions: usize,
    /// Different patterns among them.
    pub patterns: usize,
    /// Clients' waits for interest.
    pub waits: usize,
    /// Clients' watches of ends.
    pub watches: usize,
    /// Operations waiting in all outboxes.
    pub outbox_ops: usize,
    /// Their bytes.
    pub outbox_bytes: usize,
    /// Chunks taken for routing, so far.
    pub published: Volume,
    /// Chunks put into an outbox, taps included, so far.
    pub delivered: Volume,
    /// Publishes answered with an error, so far.
    pub publishes_refused: u64,
    /// Connections refused, so far.
    pub connections_refused: u64,
    /// Connections closed as slow consumers, so far.
    pub slow_consumers: u64,
}

/// One connection's numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PeerStats {
    /// The connection's id, as the application knows it.
    pub name: String,
    /// Its network address; empty within the process.
    pub address: String,
    /// Its user.
    pub user: Json,
    /// Set when the broker wants it gone.
    pub close_reason: Option<DisconnectReason>,
    /// Whether it has acknowledged `info`.
    pub has_info: bool,
    /// Its subscriptions.
    pub subscriptions: usize,
    /// Operations waiting for it.
    pub outbox_ops: usize,
    /// Their bytes.
    pub outbox_bytes: usize,
    /// Messages it published.
    pub published: Volume,
    /// Messages put into its outbox.
    pub delivered: Volume,
    /// Messages it claims to have received.
    pub reported: Volume,
}
