//! NATS as a fabric: connections to its servers, and the link over one.

mod address;
mod conversation;
mod departure;
mod dial;
mod gateway;
mod link;
mod moving_link;
mod servers;
mod tries;
mod user;

pub use dial::{NatsOptions, NatsRemote};
pub use user::NatsUser;
