//! One fabric client joined with all its sockets: what one JavaScript `Client` is. Still a machine: commands, operations and time go in;
//! operations, events and deadlines come out.

mod command;
mod endpoint_config;
mod event;
mod failure;
mod held;
mod machine;
mod owner;
mod sockets;
mod spare;

pub use command::{Command, Handle, SocketQuestion};
pub use endpoint_config::EndpointConfig;
pub use event::Event;
pub use failure::Failure;
pub use held::Held;
pub use machine::Endpoint;
pub use owner::Owner;
