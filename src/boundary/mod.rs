//! What crosses to JavaScript and back, as values and as bytes (`docs/internals/boundary.md`). No napi: tests
//! and fuzz targets reach all of it.

mod broker;
mod command_reader;
mod event_buffer;
mod fabric_commands;
mod fabric_events;
mod host_event;
pub mod kinds;
mod pipe;
mod record_reader;
mod socket_options;
mod sockety;
mod sockety_events;
#[cfg(test)]
mod tests;

pub use broker::AuthReply;
pub use command_reader::{Record, read_batch};
pub use event_buffer::{Big, EventBuffer};
pub use host_event::{BrokerEvent, HostEvent, Reporting, SocketyServerEvent};
pub use socket_options::{SocketOptions, milliseconds, parse};
pub use sockety::read_operations;
