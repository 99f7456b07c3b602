//! The fabric above a broker that is a gateway (docs/internals/gateway.md): what it subscribes to there, what
//! it has asked, and when it is to be had.
//!
//! Knows nothing of local deliveries: `broker/machine/upstream.rs` joins the two.

mod batches;
mod class;
mod config;
mod event;
mod fellows;
mod interest;
mod machine;
mod outgoing;
mod session;
#[cfg(test)]
mod tests;
mod usage;

pub(super) use class::{Class, has_one_owner, is_local, is_reserved};
pub use config::{UpstreamConfig, UpstreamState, UpstreamStats};
pub(super) use event::{Counted, UpstreamEvent};
pub(super) use machine::{LEAVING, Upstream, carried_bytes, held_cost};
pub(super) use outgoing::Client;
