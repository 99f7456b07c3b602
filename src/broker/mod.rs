//! The embedded broker: connections in, deliveries out. A pure state machine: no I/O, no clock, no tasks, no locks.
//!
//! Who somebody is and what he may do it asks of the application, if it is to (`Broker::poll_inquiry`), and holds what cannot be
//! decided yet. Knows nothing of languages. A peer gets what waits for it in its outbox; `Broker::poll_woken` says whose outbox to
//! look into.

mod authority;
#[expect(clippy::module_inception, reason = "the file is named after its type, as everywhere")]
mod broker;
mod config;
mod decisions;
mod error;
mod gate;
mod inquiry;
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
pub use inquiry::{AuthorityConfig, Certificate, Decision, Inquiry, QuestionId, Right, Visitor};
pub use peer::PeerId;
pub use stats::{BrokerStats, PeerStats, Volume};
