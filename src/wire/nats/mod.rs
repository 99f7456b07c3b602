//! The protocol of NATS, at a client's end (docs/protocols/nats.md): bytes to values and back, and what a
//! server's answers mean. No I/O, no clock.
//!
//! A server answers a connection in order: what it has to say about an operation comes before its `PONG` to a
//! `PING` sent behind that operation. Such a `PING` is called a *fence* here; one behind a batch settles all
//! of it.

mod client;
mod commands;
mod connects;
mod content;
mod fences;
mod frame;
mod gateway;
mod handover;
mod headers;
mod info;
mod interest;
mod nkey;
mod publication;
mod refusal;
mod subscriptions;
#[cfg(test)]
mod tests;

pub use client::{Client, Heard};
pub use commands::{CONNECT_START, SignIn, Sink, push_connect, push_pong};
pub use frame::{Delivery, Frame, MAX_INFO_BYTES, ServerFrame, frame_length};
pub use gateway::Gateway;
pub use handover::{Handover, Late, Reach, Step};
pub use info::ServerInfo;
pub use nkey::{Credentials, Seed};
pub use refusal::Refusal;

use std::fmt;

/// An error that ends this one connection. Names the broken rule and quotes nothing, so that it can be logged
/// as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DecodeError(pub &'static str);

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl std::error::Error for DecodeError {}

/// Largest chunk of a message, and piece of a socket's: larger ones gain nothing, and a small message waits
/// for one at most.
pub const CHUNK_BYTES: usize = 128 * 1024;

/// Longest subject and reply subject together. A server closes the connection over a control line of 4096
/// bytes.
pub const MAX_NAMES_BYTES: usize = 4000;
