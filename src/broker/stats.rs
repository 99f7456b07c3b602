//! The numbers that a broker shows.

use super::DisconnectReason;
use crate::wire::{Carrier, Json};

/// Traffic in one direction.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Volume {
    /// Messages, or chunks of them.
    pub messages: u64,
    /// Bytes of payloads.
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
    /// Subscriptions of all connections, without the broker's own.
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
    /// Memory that is held for all connections, as the budget counts it.
    pub memory_bytes: usize,
    /// Of that, for subscriptions.
    pub pattern_bytes: usize,
    /// For messages in pieces.
    pub chunk_bytes: usize,
    /// For waits and watches.
    pub wait_bytes: usize,
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
    /// Connections that signed in, by what carries them, so far.
    pub opened: [u64; Carrier::ALL.len()],
    /// Of those, the ones that have ended.
    pub ended: [u64; Carrier::ALL.len()],
    /// The same by reason.
    pub ended_by: [u64; EndReason::ALL.len()],
    /// Connections refused, by what there was too much of.
    pub refused_by: [u64; Unwanted::ALL.len()],
    /// Operations refused, by kind and reason.
    pub refused_ops: [[u64; RefusedFor::ALL.len()]; RefusedOp::ALL.len()],
    /// Requests that nobody listened to, so far.
    pub unheard: u64,
}

impl BrokerStats {
    pub(super) fn count_refusal(&mut self, op: RefusedOp, why: RefusedFor) {
        self.refused_ops[op as usize][why as usize] += 1;
    }
}

/// Defines an enumeration whose values are counted by name.
macro_rules! counted {
    ($(#[$doc:meta])* $name:ident { $($(#[$row:meta])* $value:ident = $text:literal,)* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum $name { $($(#[$row])* $value,)* }

        impl $name {
            /// All of them, in the order of their numbers.
            pub const ALL: &[Self] = &[$(Self::$value,)*];

            /// Returns what metrics call it.
            pub fn name(self) -> &'static str {
                match self { $(Self::$value => $text,)* }
            }
        }
    };
}
pub(super) use counted;

counted! {
    /// Why a connection has ended.
    EndReason {
        /// The client has closed it.
        Client = "client",
        /// The network failed.
        Network = "network",
        /// Nothing was heard for too long.
        Timeout = "timeout",
        /// It did not read.
        SlowConsumer = "slow_consumer",
        /// It broke the rules of its protocol.
        Protocol = "protocol",
        /// The broker drains.
        Drain = "drain",
        /// The application wanted it gone, or it had to make room.
        Disconnect = "disconnect",
        /// The broker is closed.
        Shutdown = "shutdown",
    }
}

counted! {
    /// Why a connection got no place.
    Unwanted {
        /// There are too many.
        Limit = "limit",
        /// The user has too many.
        UserLimit = "user_limit",
        /// It was not let in.
        SignIn = "sign_in",
    }
}

counted! {
    /// What was refused.
    RefusedOp {
        /// A publish or a request.
        Publish = "publish",
        /// A subscription.
        Subscribe = "subscribe",
        /// A look, a wait or a watch.
        Interest = "interest",
    }
}

counted! {
    /// Why an operation was refused.
    RefusedFor {
        /// It is not permitted.
        Permission = "permission",
        /// It makes no sense.
        Invalid = "invalid",
        /// It is too large.
        TooLarge = "too_large",
        /// There is too much of it.
        Limit = "limit",
    }
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
