//! Engine.IO's heartbeat: the server pings, the client answers, and each notices when the other is gone.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::{Sleep, sleep};

/// An action that the heartbeat asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Beat {
    /// Send a ping.
    Ping,
    /// The other end is gone.
    Silent,
    /// The other end has begun a message and does not finish it.
    Stalled,
}

/// The progress of reading.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Progress {
    /// Messages that came whole.
    pub(super) whole: u64,
    /// Bytes, of whatever.
    pub(super) bytes: u64,
    /// Whether a message has begun and is not over.
    pub(super) is_mid_message: bool,
}

/// One end's timer. Frames of any kind are signs of life: behind much data a pong can be late.
#[derive(Debug)]
pub(super) struct Heartbeat {
    end: End,
    ping_interval: Duration,
    ping_timeout: Duration,
    heard: bool,
    timer: Pin<Box<Sleep>>,
    /// Frames without content in this period.
    idle_frames: u32,
    period: Pin<Box<Sleep>>,
    message_timeout: Duration,
    /// At the end of the last period.
    progress: Progress,
}

#[derive(Debug, PartialEq, Eq)]
enum End {
    /// Pings next.
    ServerIdle,
    /// Has pinged.
    ServerAwaitingPong,
    /// Is pinged.
    Client,
}

impl Heartbeat {
    /// Pings every `ping_interval`, and then expects a sign of life within `ping_timeout`. A message that has
    /// begun must go on: in `message_timeout` another [`MIN_PROGRESS_BYTES`], or the rest. That is checked
    /// once in so much time, so that it costs nothing.
    pub(super) fn server(ping_interval: Duration, ping_timeout: Duration, message_timeout: Duration) -> Self {
        Self::new(End::ServerIdle, ping_interval, ping_timeout, ping_interval, message_timeout)
    }

    /// Expects a ping within `ping_interval` and `ping_timeout`, or else frames.
    pub(super) fn client(ping_interval: Duration, ping_timeout: Duration) -> Self {
        let first = ping_interval.saturating_add(ping_timeout);
        Self::new(End::Client, ping_interval, ping_timeout, first, MESSAGE_TIMEOUT)
    }

    fn new(
        end: End,
        ping_interval: Duration,
        ping_timeout: Duration,
        first: Duration,
        message_timeout: Duration,
    ) -> Self {
        Self {
            end,
            ping_interval,
            ping_timeout,
            heard: false,
            timer: Box::pin(sleep(first)),
            idle_frames: 0,
            period: Box::pin(sleep(message_timeout)),
            message_timeout,
            progress: Progress::default(),
        }
    }

    /// Notes that a frame has arrived.
    pub(super) fn handle_frame(&mut self) {
        self.heard = true;
    }

    /// Notes that a client has been pinged.
    pub(super) fn handle_ping(&mut self) {
        if self.end != End::Client {
            return;
        }
        self.heard = false;
        self.timer = Box::pin(sleep(self.ping_interval.saturating_add(self.ping_timeout)));
    }

    /// Counts a frame without content, such as a ping. Returns whether there are too many of them.
    pub(super) fn count_idle_frame(&mut self) -> bool {
        self.idle_frames += 1;
        self.idle_frames > MAX_IDLE_FRAMES
    }

    /// Polls the timer. To be called when nothing is left to read, so that it never overtakes what arrived in
    /// time.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>, progress: Progress) -> Poll<Beat> {
        if self.period.as_mut().poll(cx).is_ready() {
            self.idle_frames = 0;
            self.period = Box::pin(sleep(self.message_timeout));
            // A new timer does not wake anything before it was polled.
            let _ = self.period.as_mut().poll(cx);
            let last = std::mem::replace(&mut self.progress, progress);
            if progress.is_stalled_since(last) {
                return Poll::Ready(Beat::Stalled);
            }
        }
        loop {
            if self.timer.as_mut().poll(cx).is_pending() {
                return Poll::Pending;
            }
            let heard = std::mem::take(&mut self.heard);
            let (end, next, beat) = match (&self.end, heard) {
                (End::ServerIdle, _) => (End::ServerAwaitingPong, self.ping_timeout, Some(Beat::Ping)),
                (End::ServerAwaitingPong, true) => {
                    (End::ServerIdle, self.ping_interval.saturating_sub(self.ping_timeout), None)
                }
                (End::Client, true) => (End::Client, self.ping_timeout, None),
                (_, false) => return Poll::Ready(Beat::Silent),
            };
            self.end = end;
            self.timer = Box::pin(sleep(next));
            if let Some(beat) = beat {
                return Poll::Ready(beat);
            }
        }
    }
}

impl Progress {
    fn is_stalled_since(self, last: Self) -> bool {
        let is_same_message = self.is_mid_message && last.is_mid_message && self.whole == last.whole;
        is_same_message && self.bytes - last.bytes < MIN_PROGRESS_BYTES
    }
}

/// The time that a message may make no progress.
pub(super) const MESSAGE_TIMEOUT: Duration = Duration::from_secs(30);
/// Bytes that count as progress of a message: a slow network does more, an attacker less.
const MIN_PROGRESS_BYTES: u64 = 64 * 1024;
/// Frames without content in the time of a message. An honest peer sends one or two.
const MAX_IDLE_FRAMES: u32 = 1000;
