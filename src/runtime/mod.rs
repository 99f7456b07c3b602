//! The only room that spawns tasks, owns queues between threads, and reads a clock. It carries; it decides
//! nothing.

mod acceptor;
mod actor;
mod broker_handle;
mod broker_listener;
mod client_task;
mod clock;
mod dialer;
mod event_queue;
mod inline_wake;
#[cfg(all(test, feature = "shuttle"))]
mod interleavings;
mod local_link;
mod log;
mod mailbox;
mod peer_task;
mod sync;
mod threads;

pub use acceptor::Acceptor;
pub use broker_handle::{BrokerHandle, PeerIdentity};
pub use broker_listener::{OpenPort, open_port};
pub use client_task::ClientHandle;
pub use clock::now;
pub use dialer::{Dialer, own_fabric};
pub use event_queue::{EventQueue, HostEvent};
pub use log::start_log;
use mailbox::Mailbox;
pub use threads::tasks;
