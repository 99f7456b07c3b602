//! Decisions about a connection, whatever it carries: whether the peer is alive, floods or stalls us, how to
//! reach it, and how to close. State machines without I/O: `transport` and `runtime` carry out what they
//! decide.

mod backoff;
mod dial_policy;
mod direct_hosts;
mod flood;
mod heartbeat;
mod listen;
mod liveness;
mod orderly_close;
mod page;
mod pipe;
mod read_window;
mod stall;

pub use backoff::{Backoff, ReconnectConfig};
pub use dial_policy::{Attempt, DialPolicy, Protocol};
pub use direct_hosts::DirectHosts;
pub use flood::{FloodMeter, Flooded};
pub use heartbeat::{Beat, Heartbeat};
pub use listen::ListenAddress;
pub use liveness::{Liveness, MESSAGE_TIMEOUT, Verdict};
pub use orderly_close::{OrderlyClose, Step};
pub use page::PageRequest;
pub use pipe::PipeEvent;
pub use read_window::ReadWindow;
pub use stall::{Progress, StallMeter};

use std::time::{Duration, Instant};

/// Returns the time `pause` after `now`; a peer may name a pause that no clock can add.
fn after(now: Instant, pause: Duration) -> Instant {
    now.checked_add(pause).unwrap_or_else(|| now + MAX_PAUSE)
}

/// A year: as good as for ever, and safe to add to any time.
const MAX_PAUSE: Duration = Duration::from_secs(365 * 24 * 3600);
