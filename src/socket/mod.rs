//! Reliable, ordered sockets over a fabric that promises nothing.
//!
//! Machines: no clock, no I/O, no fabric client. The protocol: `docs/protocols/socket.md`.
//!
//! ```text
//! ┌────────────── connect() / fabric back / retry pause over ─────────────┐
//! ▼                                                                       │
//! disconnected ──► connecting: find a server, subscribe, ask it to attach ──► ready ──► disconnected
//! └──────────────────────────────┴───────────────────────────────────────┴────► closed (final)
//! ```
//!
//! A [`ClientSocket`] goes the whole way, and back to `disconnected` when the fabric is lost or a ping is. A
//! [`ServerSocket`] is made ready by its [`Listener`] and moves between `ready` and `disconnected` with the
//! fabric. Both hold a [`Channel`]: a [`Sender`], a [`Receiver`] and a [`KeepAlive`].

mod absence;
mod admission;
mod channel;
mod client_socket;
mod conat;
mod config;
mod consumed;
mod control;
mod counters;
mod error;
mod fence;
mod gap_pool;
mod keepalive;
mod listener;
mod open_requests;
mod output;
mod pause;
mod peer_status;
mod pending_close;
mod receiver;
mod retrying_request;
mod sender;
mod server_socket;
mod socket_end;
mod stale;
mod stream;
mod surroundings;
mod suspicion;
mod too_large;
mod unsettled;
mod usage;
mod window;
mod withdraw;

pub use absence::{AbsenceStep, PeerLoss, WatchedEnd};
pub use admission::ReceivedRequest;
pub use channel::Channel;
pub use client_socket::ClientSocket;
pub use config::{Dialect, SocketConfig};
pub use consumed::Consumed;
pub use counters::SocketCounters;
pub use error::{CloseReason, CommandError, PeerMisbehaved, RequestFailure, WriteError};
pub use gap_pool::{GapPool, GapShare, Payer};
pub use keepalive::KeepAlive;
pub use listener::{Entry as ListenerEntry, Listener, ListenerAction, ListenerPart};
pub use open_requests::{AnswerLimits, AskTerms};
pub use output::{Output, SocketEvent, StaleData, State, Tag, TagKind};
pub use receiver::{Outgoing, Receiver};
pub use sender::{Data, Sender};
pub use server_socket::ServerSocket;
pub use socket_end::{Leaving, SocketEnd};
pub use stream::{Claim, Offer, OfferHeader, TagSource, draw_tag};
pub use usage::SocketUsage;
pub use window::Window;
