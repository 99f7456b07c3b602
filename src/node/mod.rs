//! The only room with napi: batches of commands down, slabs of events up (`docs/internals/boundary.md`). Converts and forwards, decides nothing.
//!
//! Without the feature `node` only what needs no Node is left: the two formats, so that tests reach them.

mod batch;
#[cfg(feature = "node")]
mod broker_queries;
#[cfg(feature = "node")]
mod exports;
#[cfg(feature = "node")]
mod failure;
#[cfg(feature = "node")]
#[cfg_attr(not(target_os = "linux"), path = "no_loop_watch.rs")]
mod loop_watch;
mod options;
#[cfg(feature = "node")]
mod pipes;
#[cfg(feature = "node")]
mod session;
mod slab;
#[cfg(test)]
mod tests;
mod tls_options;

pub use batch::{Answer, Order, read_batch};
pub use options::{BrokerOptions, ClientOptions, SocketOptions, defaults};
pub use slab::Slab;
