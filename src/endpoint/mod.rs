//! One fabric client joined with all its sockets: what one JavaScript `Client` is. Still a machine: commands,
//! operations and time go in; operations, events and deadlines come out.

mod command;
mod config;
mod event;
mod intake;
mod left_out;
mod machine;
mod probes;
mod queue_pool;
mod table;
mod token;
mod unheard_subjects;
mod unread;
mod usage;
mod watches;

pub use command::Command;
pub use config::EndpointConfig;
pub use event::{Delivery, Event, ListenerEvent, TicketEvent};
pub use intake::IntakeLimits;
pub use machine::Endpoint;
pub use token::Token;
pub use unread::Claim;
pub use usage::EndpointUsage;
