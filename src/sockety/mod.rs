//! A Sockety connection: messages, responses and fast replies with data, files and streams, side by side over
//! one byte stream.
//!
//! A machine: commands, bytes and time go in; bytes, events and deadlines come out. It is the same at both
//! ends. Nothing is allocated for what a peer only announces, everything that waits has a bound
//! (`config.rs`), and whoever breaks the rules of the protocol loses the connection, and nothing else does
//! (`docs/protocols/sockety.md`).

mod body;
mod budget;
mod channels;
mod command;
mod config;
mod connection;
mod error;
mod event;
mod events;
mod incoming;
mod outgoing;
mod output;
mod partial_header;
mod reader;
mod records;
mod requests;

pub use budget::Budget;
pub use command::{Command, Content, DraftFile, OutgoingMessage, OutgoingStream, UNAWAITED};
pub use config::Config;
pub use connection::Connection;
pub use error::{ConnectionError, PeerMisbehaved};
pub use event::{Event, Part};
pub use records::{Details, Record, RecordFile, Records, RecordsBuilder};
