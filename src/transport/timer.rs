//! The clock and the timers of state machines: the only place that reads the time and sleeps. Everything else
//! gets `now` as an argument and returns its deadlines.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use tokio::time::{Sleep, sleep_until, timeout};

use super::LinkError;

/// Returns the time, for a machine.
#[expect(clippy::disallowed_methods, reason = "this is the place that the ban points at")]
pub fn now() -> Instant {
    Instant::now()
}

/// Returns what the clock on the wall says, in milliseconds since 1970.
#[expect(clippy::disallowed_methods, reason = "this is the place that the ban points at")]
pub fn wall_clock_ms() -> u64 {
    let passed = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(passed.as_millis()).unwrap_or(0)
}

/// Wakes its task at a deadline that moves. It is set to that deadline or an earlier one: most deadlines move
/// on before they come, and setting a timer may wake a thread.
#[derive(Debug, Default)]
pub struct Timer(Option<(Instant, Pin<Box<Sleep>>)>);

impl Timer {
    /// Waits for the deadline, if there is one; ready with the time when it has come.
    pub fn poll(&mut self, cx: &mut Context<'_>, deadline: Option<Instant>) -> Poll<Instant> {
        let Some(at) = deadline else { return Poll::Pending };
        let (set, sleep) = self.0.get_or_insert_with(|| (at, new_sleep(at)));
        if at < *set {
            *set = at;
            reset(sleep, at);
        }
        while sleep.as_mut().poll(cx).is_ready() {
            if *set == at {
                return Poll::Ready(now());
            }
            *set = at;
            reset(sleep, at);
        }
        Poll::Pending
    }
}

fn new_sleep(at: Instant) -> Pin<Box<Sleep>> {
    Box::pin(sleep_until(at.into()))
}

fn reset(sleep: &mut Pin<Box<Sleep>>, at: Instant) {
    sleep.as_mut().reset(at.into());
}

/// Waits for `work`, for as long as an option allows: [`LinkError::Silent`] when the time is over.
pub(super) async fn within<T>(
    limit: Duration,
    work: impl Future<Output = Result<T, LinkError>>,
) -> Result<T, LinkError> {
    timeout(limit, work).await.unwrap_or(Err(LinkError::Silent))
}

/// Waits until `deadline`.
pub async fn wait_until(deadline: Instant) {
    new_sleep(deadline).await;
}
