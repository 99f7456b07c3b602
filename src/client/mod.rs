//! The fabric client: one connection to a broker, kept up; subscriptions, confirmed publishes, requests. A
//! machine without I/O.
//!
//! Generic over `T`, the token by which its user knows a subscription or a request.

mod backoff;
mod config;
mod error;
mod event;
mod machine;
mod outbound;
mod requests;
mod session;
mod subscriptions;
#[cfg(test)]
mod tests;

pub use backoff::Backoff;
pub use config::{ClientConfig, ReconnectConfig};
pub use error::ClientError;
pub use event::{ClientEvent, SessionState};
pub use machine::{Client, ClientUsage};
pub use requests::{ReplyLimits, Request, RequestKind};
