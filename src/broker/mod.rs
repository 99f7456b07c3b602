//! The embedded broker: connections in, deliveries out. A pure state machine: no I/O, no clock, no tasks, no locks.
//!
//! Knows nothing of permissions (whoever drives it asks for them before an operation comes here) and nothing of
//! languages. A peer gets what waits for it in its outbox; `Broker::poll_woken` says whose outbox to look into.

#[expect(clippy::module_inception, reason = "the file is named after its type, as everywhere")]
mod broker;
mod config;
mod error;
mod limits;
mod outbox;
mod peer;
mod peers;
mod roster;
mod router;
mod snapshot;
mod stats;
#[cfg(test)]
mod tests;
mod unfinished;
mod waits;

pub use broker::Broker;
pub use config::BrokerConfig;
pub use error::CloseReason;
pub use peer::PeerId;
pub use stats::{BrokerStats, PeerStats, Volume};
