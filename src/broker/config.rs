//! The settings of a broker, and their defaults.

/// Options of a broker. Sizes are in bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BrokerConfig {
    /// The broker's name in its cluster, told to every client. Default `"0"`, as Conat calls a server that
    /// stands alone. Two brokers of one cluster must not share it: the system service addresses them by it.
    pub id: String,
    /// The cluster's name, told to every client. Default: none.
    pub cluster_name: Option<String>,
    /// Where the servers of this cluster are reached: the answer to a client that asks. Default: none.
    pub addresses: Vec<String>,
    /// Largest payload with headers of one publish. Default 8 000 000, Conat's; longer messages come in
    /// chunks. Too low: more chunks a message, and below 101 000 chunks of 1000 bytes. Too high: one message
    /// blocks a link for as long as it takes, and each connection may hold that much before it is refused.
    pub max_payload: usize,
    /// Largest message with headers, in however many chunks. Default 256 MiB. Told to every client that
    /// understands it. Too high: receivers hold that much for each message that is not complete.
    pub max_message_bytes: usize,
    /// Subscriptions of one connection. Default 500, Conat's. Too low: clients with many sockets are refused.
    /// Too high: one client can hold that many patterns of up to 8 KiB in the broker's memory.
    pub max_subscriptions_per_client: usize,
    /// The same for a connection whose user has a `hub_id`: the fabric's own services. Default 15 000,
    /// Conat's.
    pub max_subscriptions_per_hub: usize,
    /// Connections at once. Default 10 000, Conat's. Too low: clients are refused with 429. Too high: the
    /// process runs out of file descriptors, and then accepts nothing.
    pub max_connections: usize,
    /// Connections at once of one user, unless the user is `null` (anonymous). Default 100, Conat's. Too low:
    /// a user with many tabs is refused. Too high: one user can take the places of all others.
    pub max_connections_per_user: usize,
    /// Output that may wait for one peer, with the broker's own cost of each operation. Default 64 MiB. Above
    /// it the peer is a slow consumer: closed, its output dropped. Below `max_payload` a single message does
    /// that; too high, and a few stalled readers take the memory of the process.
    pub max_outbox_bytes: usize,
    /// Operations that may wait for one peer. Default 262 144: what 64 MiB hold when all are tiny. The same
    /// policy.
    pub max_outbox_ops: usize,
    /// Memory that is held for one connection, all that it can make the broker keep together. Default 128
    /// MiB. Beyond it what the connection asks for is refused, and it is cut off when more comes for it.
    pub max_memory_bytes_per_connection: usize,
    /// The same for all connections of one user together. Default 512 MiB. The one with most of it is cut
    /// off. Too low: a user with many tabs is cut off by one large message to all of them.
    pub max_memory_bytes_per_user: usize,
    /// The same for all connections; what several wait for counts once, divided among them. Default 2 GiB.
    /// Above it the connection with most, of the user or the address with most, is cut off.
    pub max_memory_bytes: usize,
    /// Threads that serve connections. Default 1. Each owner of connections has a share of their time.
    pub threads: u32,
    /// What the clock says, in milliseconds since 1970. Default 0. Tells who was there later, also beyond a
    /// restart of the broker.
    pub started_ms: u64,
    /// Whether what happens is noted, for somebody who takes it. Default: no.
    pub is_watched: bool,
    /// Whether subscriptions are noted, too. Default: no.
    pub notes_subscriptions: bool,
    /// How often clients tell of their sockets, in milliseconds. Default: not at all.
    pub report_interval_ms: Option<u64>,
    /// What the application is asked. Default: nothing; every user is `null` and may do everything.
    pub authorizer: Option<super::AuthorizerConfig>,
    /// The fabric that it is a gateway of. Default: none.
    pub upstream: Option<super::UpstreamConfig>,
}

/// Limits that may change while the broker runs; those that are `None` stay.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LimitChanges {
    /// As in [`BrokerConfig`], for those who connect from now on.
    pub max_connections: Option<usize>,
    /// The same.
    pub max_connections_per_user: Option<usize>,
    /// As in [`BrokerConfig`], for those who sign in from now on.
    pub max_subscriptions_per_client: Option<usize>,
    /// The same.
    pub max_subscriptions_per_hub: Option<usize>,
    /// As in [`BrokerConfig`], at once.
    pub max_memory_bytes: Option<usize>,
    /// The same.
    pub max_memory_bytes_per_user: Option<usize>,
    /// The same.
    pub max_memory_bytes_per_connection: Option<usize>,
}

impl BrokerConfig {
    /// Takes over the limits that change.
    pub(super) fn change_limits(&mut self, changes: &LimitChanges) {
        let change = |limit: &mut usize, new: Option<usize>| *limit = new.unwrap_or(*limit);
        change(&mut self.max_connections, changes.max_connections);
        change(&mut self.max_connections_per_user, changes.max_connections_per_user);
        change(&mut self.max_subscriptions_per_client, changes.max_subscriptions_per_client);
        change(&mut self.max_subscriptions_per_hub, changes.max_subscriptions_per_hub);
        change(&mut self.max_memory_bytes, changes.max_memory_bytes);
        change(&mut self.max_memory_bytes_per_user, changes.max_memory_bytes_per_user);
        change(&mut self.max_memory_bytes_per_connection, changes.max_memory_bytes_per_connection);
    }
}

impl Default for BrokerConfig {
    fn default() -> Self {
        Self {
            id: "0".into(),
            cluster_name: None,
            addresses: Vec::new(),
            max_payload: 8_000_000,
            max_message_bytes: 256 * 1024 * 1024,
            max_subscriptions_per_client: 500,
            max_subscriptions_per_hub: 15_000,
            max_connections: 10_000,
            max_connections_per_user: 100,
            max_outbox_bytes: 64 * 1024 * 1024,
            max_outbox_ops: 262_144,
            max_memory_bytes_per_connection: 128 * 1024 * 1024,
            max_memory_bytes_per_user: 512 * 1024 * 1024,
            max_memory_bytes: 2 * 1024 * 1024 * 1024,
            threads: 1,
            started_ms: 0,
            is_watched: false,
            notes_subscriptions: false,
            report_interval_ms: None,
            authorizer: None,
            upstream: None,
        }
    }
}
