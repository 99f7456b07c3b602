//! The only room with napi: batches of commands down, buffers of events up (`docs/internals/boundary.md`).
//! Converts and forwards, decides nothing.
//!
//! Without the feature `node` only the options are left, so that tests reach them.

#[cfg(feature = "node")]
mod broker_queries;
#[cfg(feature = "node")]
mod exports;
#[cfg(feature = "node")]
mod failure;
mod options;
#[cfg(feature = "node")]
mod pipes;
mod proxy_options;
#[cfg(feature = "node")]
mod reset_on_close;
#[cfg(feature = "node")]
mod session;
#[cfg(feature = "node")]
mod sockety;
#[cfg(feature = "node")]
mod sockety_options;
#[cfg(feature = "node")]
#[cfg_attr(not(target_os = "linux"), path = "no_spare_memory.rs")]
mod spare_memory;
mod tls_options;
#[cfg(feature = "node")]
#[cfg_attr(not(target_os = "linux"), path = "no_uv_poll.rs")]
mod uv_poll;

pub use options::{BrokerOptions, ClientOptions, defaults};
