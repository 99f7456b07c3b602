//! The only room that spawns tasks, owns queues between threads, and reads a clock. It carries; it decides nothing.

mod actor;
mod broker_handle;
mod broker_listener;
mod client_task;
mod clock;
mod company;
mod dialer;
mod door;
mod event_queue;
#[cfg(all(test, feature = "shuttle"))]
mod interleavings;
mod local_link;
mod log;
mod mailbox;
mod peer_task;
mod sync;
mod threads;

pub use broker_handle::{BrokerHandle, Guest};
pub use broker_listener::{OpenPort, open_port};
pub use client_task::ClientHandle;
pub use clock::now;
pub use dialer::{Dialer, own_fabric};
pub use door::Door;
pub use event_queue::{EventQueue, News};
pub use log::start_log;
use mailbox::Mailbox;
pub use threads::tasks;
