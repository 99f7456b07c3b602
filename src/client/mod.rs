//! The fabric client: one connection to a broker, kept up; subscriptions, confirmed publishes, requests. A
//! machine without I/O.
//!
//! Generic over `T`, the token by which its user knows a subscription or a request.

mod acks;
mod config;
mod drains;
mod error;
mod event;
mod inbox;
mod machine;
mod op_queue;
mod outbound;
mod outputs;
mod request;
mod requests;
mod session;
mod subscriptions;
#[cfg(test)]
mod tests;
mod usage;

pub use config::ClientConfig;
pub use error::ClientError;
pub use event::{ClientEvent, SessionState};
pub use machine::Client;
pub use request::{ReplyLimits, Request, RequestKind};
pub use subscriptions::SubscriptionKind;
pub use usage::ClientUsage;
