//! Selvedge: reliable, ordered sockets over a pub/sub fabric.
//!
//! The rooms, top down; each imports only from rooms above it (`tests/layering.rs` is the wall):
//!
//! 1. `base`: randomness, faults and timers as values, so that machines need no clock;
//! 2. `subject`: names, patterns, and the trie that matches them;
//! 3. `wire`: messages, operations, chunks, and each protocol;
//! 4. `socket`: reliable in-order sockets; `client`: the fabric client; `broker`: the embedded
//!    broker; `sockety`: a Sockety connection — machines without I/O;
//! 5. `endpoint`: one client joined with all its sockets;
//! 6. `transport`: operations over something real;
//! 7. `runtime`: the only room with tasks, channels and a clock;
//! 8. `node`: the only room with napi.

#![deny(unsafe_code)]

pub mod base;
pub mod broker;
pub mod client;
pub mod endpoint;
#[allow(unsafe_code, reason = "Node-API is C")]
pub mod node;
pub mod runtime;
pub mod socket;
pub mod sockety;
pub mod subject;
pub mod transport;
pub mod wire;
