//! Tasks, threads, and the queues between them. Decides nothing.

mod acceptor;
mod actor;
mod broker_handle;
mod byte_acceptor;
mod close_link;
mod connector;
mod driver;
mod drivers;
mod event_queue;
mod inline_wake;
#[cfg(all(test, feature = "shuttle"))]
mod interleavings;
mod local_link;
mod log;
mod mailbox;
mod peer_task;
mod port;
mod rounds;
mod spare_memory;
mod sync;
mod threads;
mod upstream_task;

pub use acceptor::Acceptor;
pub use broker_handle::{BrokerHandle, PeerIdentity};
pub use byte_acceptor::ByteAcceptor;
pub use connector::{Connecting, Connector, Dialer, own_fabric};
pub use driver::DriverHandle;
pub use drivers::{Drivers, Submission};
pub use event_queue::EventQueue;
pub use log::start_log;
use mailbox::Mailbox;
pub use port::{OpenPort, PortEvent, open_port};
pub use spare_memory::{set_give_back, tasks};
pub use upstream_task::{UpstreamReport, drive_upstream};
