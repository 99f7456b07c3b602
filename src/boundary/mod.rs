//! What crosses to JavaScript and back, as values and as bytes (`docs/internals/boundary.md`). No napi: tests
//! and fuzz targets reach all of it.

mod host_event;
mod sockety;

pub use host_event::{BrokerEvent, HostEvent, Reporting, SocketyServerEvent};
pub use sockety::read_operations;
