//! The one place that reads the clock. Everything else gets `now` as an argument.

use std::time::Instant;

/// Returns the time, for a machine.
#[expect(clippy::disallowed_methods, reason = "this is the place that the ban points at")]
pub fn now() -> Instant {
    Instant::now()
}
