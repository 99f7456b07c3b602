//! The read loop that the links of all protocols share, with its heartbeat.

use std::task::{Context, Poll};

use super::liveness::TimedLiveness;
use super::{Link, LinkError};
use crate::link::{Progress, Verdict};

/// A link that reads frames and has a heartbeat.
pub(super) trait HeartbeatLink: Link {
    /// Reads what is there, up to a bound. `Ready` when the bound is reached.
    fn poll_frames(&mut self, cx: &mut Context<'_>, into: &mut Vec<Self::In>) -> Poll<Result<(), LinkError>>;

    fn liveness(&mut self) -> &mut TimedLiveness;

    fn progress(&self) -> Progress;

    /// Queues a ping.
    fn ping(&mut self) -> Result<(), LinkError>;

    /// Returns whether replies of its own, such as pongs, wait for a flush.
    fn has_unflushed_replies(&self) -> bool;

    /// Returns why it is over, if it is.
    fn ended(&mut self) -> &mut Option<LinkError>;

    /// Sends the peer the reason, as far as that goes without waiting.
    fn send_close_reason(&mut self, cx: &mut Context<'_>, error: &LinkError);
}

/// Implements [`Link::poll_recv`] for a link with a heartbeat.
pub(super) fn poll_recv<C: HeartbeatLink>(
    link: &mut C,
    cx: &mut Context<'_>,
    into: &mut Vec<C::In>,
) -> Poll<Result<(), LinkError>> {
    let start = into.len();
    loop {
        if let Some(error) = link.ended().take() {
            *link.ended() = Some(LinkError::Closed);
            return Poll::Ready(Err(error));
        }
        let progress = match link.poll_frames(cx, into) {
            Poll::Ready(outcome) => outcome.map(|()| true),
            Poll::Pending => poll_liveness(link, cx).map(|()| false),
        };
        let progress = progress.unwrap_or_else(|error| {
            tracing::debug!(%error, "link ends");
            link.send_close_reason(cx, &error);
            *link.ended() = Some(error);
            true
        });
        if link.has_unflushed_replies() {
            // Nobody else flushes what the protocol says by itself. A failure shows in the next read.
            let _ = link.poll_flush(cx);
        }
        if into.len() > start {
            return Poll::Ready(Ok(()));
        }
        if !progress {
            return Poll::Pending;
        }
    }
}

fn poll_liveness<C: HeartbeatLink>(link: &mut C, cx: &mut Context<'_>) -> Result<(), LinkError> {
    let progress = link.progress();
    while let Poll::Ready(verdict) = link.liveness().poll(cx, progress) {
        match verdict {
            Verdict::Silent => return Err(LinkError::Silent),
            Verdict::Stalled => {
                return Err(LinkError::PeerMisbehaved("begins a message and does not finish it".into()));
            }
            Verdict::Ping => link.ping()?,
        }
    }
    Ok(())
}
