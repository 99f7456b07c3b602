//! The fabric client: one connection to a broker, kept up; subscriptions, confirmed publishes, requests. A machine without I/O.
//!
//! Generic over `T`, the token by which its user knows a subscription or a question.

mod backoff;
mod config;
mod error;
mod event;
mod machine;
mod operations;
mod session;
mod subscriptions;
#[cfg(test)]
mod tests;

pub use backoff::Backoff;
pub use config::{ClientConfig, ReconnectConfig};
pub use error::ClientError;
pub use event::{ClientEvent, SessionState};
pub use machine::{Client, Held};
pub use operations::{Many, Question, QuestionKind};
