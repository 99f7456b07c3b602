//! Selvedge: reliable, ordered sockets over a pub/sub fabric.
//!
//! The rooms, top down; each imports only from rooms above it (`tests/layering` is the wall):
//!
//! 1. `base`: randomness, faults and timers as values, so that machines need no clock; what every
//!    machine looks like; error codes;
//! 2. `subject`: names, patterns, and the trie that matches them;
//! 3. `wire`: messages, operations, chunks, and each protocol;
//! 4. `socket`: reliable in-order sockets; `client`: the fabric client; `broker`: the embedded
//!    broker; `sockety`: a Sockety connection; `link`: what is decided about a connection —
//!    machines without I/O;
//! 5. `endpoint`: one client joined with all its sockets;
//! 6. `boundary`: what crosses to JavaScript and back;
//! 7. `transport`: connections, and the clock;
//! 8. `runtime`: the only room with tasks and channels; it drives any machine;
//! 9. `node`: the only room with napi.
//!
//! The features are floors: without any there is no `transport`, `runtime` or `node`; `net` adds the
//! first two. `nats` stands beside them: without it there is no `wire::nats`, and `transport` refuses its
//! addresses.

#![deny(unsafe_code)]

pub mod base;
pub mod boundary;
pub mod broker;
pub mod client;
pub mod endpoint;
pub mod link;
#[cfg(feature = "net")]
#[allow(unsafe_code, reason = "Node-API is C")]
pub mod node;
#[cfg(feature = "net")]
pub mod runtime;
pub mod socket;
pub mod sockety;
pub mod subject;
#[cfg(feature = "net")]
pub mod transport;
pub mod wire;
