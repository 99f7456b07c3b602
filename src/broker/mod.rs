//! The embedded broker: connections in, deliveries out. A pure state machine: no I/O, no clock, no tasks, no
//! locks.
//!
//! It asks the application who a user is and what they may do, if so configured
//! (`Broker::poll_auth_request`), and holds what cannot be decided yet. It knows nothing of protocols. A
//! peer's output waits in its outbox; `Broker::poll_woken` names the peers that have some.

mod account;
mod admission;
mod assigned_members;
mod auth_request;
mod authorizer;
mod budget;
mod chunk_assignments;
mod config;
mod connection_list;
mod cut_off;
mod debtors;
mod decision_cache;
mod discarded;
mod drain;
mod error;
mod exclusives;
mod given_back;
mod given_requests;
mod index_map;
mod interest_waits;
mod journal;
mod limits;
mod machine;
mod member_drains;
mod outbox;
mod owed_answers;
mod pattern_list;
mod peer;
mod peer_id;
mod peers;
mod pending_ops;
mod router;
mod snapshot;
mod socket_reports;
mod stats;
mod subscription_limits;
#[cfg(test)]
mod tests;
mod time_shares;
mod upstream;
mod watchers;
mod watches;

pub use auth_request::{
    Action, AuthRequest, AuthRequestId, AuthorizerConfig, Certificate, ConnectionInfo, Decision,
};
pub use config::{BrokerConfig, LimitChanges};
pub use connection_list::{Found, FoundPeer, SortBy, Wanted};
pub use discarded::Discarded;
pub use error::DisconnectReason;
pub use journal::{JournalEntry, JournalKind};
pub use machine::Broker;
pub use pattern_list::{FoundRows, PatternRow, SocketEnd, SocketRow, WantedPatterns};
pub use peer_id::PeerId;
pub use stats::{BrokerStats, EndReason, PeerStats, RefusedFor, RefusedOp, Unwanted, Volume};
pub use upstream::{UpstreamConfig, UpstreamState, UpstreamStats};
