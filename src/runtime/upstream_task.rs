//! The upstream of a broker: dials when the machine asks for it, and moves operations between link and
//! machine.

use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use super::{BrokerHandle, threads};
use crate::base::Failure;
use crate::broker::UpstreamState;
use crate::transport::timer::{now, wait_until};
use crate::transport::{BoxedLink, LinkError, NatsRemote};
use crate::wire::{UpstreamNews, UpstreamOp};

/// What becomes of an upstream.
#[derive(Debug)]
pub enum UpstreamReport {
    /// How far it has come.
    State(UpstreamState),
    /// Whether it has been away for so long that clients are better off elsewhere.
    Overdue(bool),
}

/// Drives the upstream of a broker that has one, until the broker is closed.
pub fn drive_upstream(
    broker: Arc<BrokerHandle>,
    remote: NatsRemote,
    report: impl Fn(UpstreamReport) + Send + 'static,
) {
    threads::spawn(async move {
        let mut task =
            UpstreamTask { broker, link: None, incoming: Vec::new(), outgoing: Vec::new(), report };
        let mut was_overdue = false;
        loop {
            let next = poll_fn(|cx| task.poll_next(cx)).await;
            let (state, is_overdue) =
                task.broker.with(|machine, _| (machine.poll_upstream_state(), machine.is_upstream_overdue()));
            if let Some(state) = state {
                (task.report)(UpstreamReport::State(state));
            }
            if std::mem::replace(&mut was_overdue, is_overdue) != is_overdue {
                (task.report)(UpstreamReport::Overdue(is_overdue));
            }
            match next {
                Next::Ended => break,
                Next::News => {}
                Next::Dial => {
                    let dialed = tokio::select! {
                        dialed = remote.dial_gateway() => dialed,
                        () = poll_fn(|cx| task.poll_closed(cx)) => break,
                    };
                    task.handle_dialed(dialed);
                }
            }
        }
        if let Some(mut link) = task.link.take() {
            // What was said last, such as the end of all subscriptions.
            tokio::select! {
                _ = poll_fn(|cx| link.poll_close(cx)) => {}
                () = wait_until(now() + CLOSE_TIMEOUT) => {}
            }
        }
    });
}

/// What is to be done outside of a poll.
enum Next {
    /// Something is to be reported.
    News,
    Dial,
    Ended,
}

struct UpstreamTask<R> {
    broker: Arc<BrokerHandle>,
    link: Option<BoxedLink<UpstreamOp, UpstreamNews>>,
    incoming: Vec<UpstreamNews>,
    outgoing: Vec<UpstreamOp>,
    report: R,
}

impl<R> UpstreamTask<R> {
    fn handle_dialed(&mut self, dialed: Result<BoxedLink<UpstreamOp, UpstreamNews>, LinkError>) {
        match dialed {
            Ok(link) => {
                self.link = Some(link);
                self.broker.with(|machine, _| machine.handle_upstream_up());
            }
            Err(error) => {
                let failure = Failure::from(error);
                self.broker.with(|machine, now| machine.handle_upstream_down(now, failure));
            }
        }
    }

    fn poll_closed(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.broker.register_upstream(cx.waker());
        if self.broker.is_closed() { Poll::Ready(()) } else { Poll::Pending }
    }

    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Next> {
        self.broker.register_upstream(cx.waker());
        for _ in 0..MAX_ROUNDS {
            let outcome = self.poll_link(cx);
            if let Err(error) = outcome {
                self.take_rest(cx);
                self.link = None;
                let failure = Failure::from(error);
                self.broker.with(|machine, now| machine.handle_upstream_down(now, failure));
                return Poll::Ready(Next::News);
            }
            if self.broker.is_closed() {
                return Poll::Ready(Next::Ended);
            }
            let (dials, has_news) =
                self.broker.with(|machine, _| (machine.poll_upstream_dial(), machine.has_upstream_news()));
            if dials {
                return Poll::Ready(Next::Dial);
            }
            if has_news {
                return Poll::Ready(Next::News);
            }
            if !outcome.unwrap_or(false) {
                return Poll::Pending;
            }
        }
        threads::end_turn(cx);
        Poll::Pending
    }

    /// Takes what is still there of a link that has ended: it may have been noticed by a write.
    fn take_rest(&mut self, cx: &mut Context<'_>) {
        let Self { broker, link: Some(link), incoming, .. } = self else { return };
        for _ in 0..MAX_LAST_READS {
            if !matches!(link.poll_recv(cx, incoming), Poll::Ready(Ok(()))) {
                break;
            }
            broker
                .with(|machine, now| incoming.drain(..).for_each(|news| machine.handle_upstream(now, news)));
        }
        incoming.clear();
    }

    /// Returns whether there may be more to do.
    fn poll_link(&mut self, cx: &mut Context<'_>) -> Result<bool, LinkError> {
        let Self { broker, link: Some(link), incoming, outgoing, .. } = self else { return Ok(false) };
        let heard = match link.poll_recv(cx, incoming) {
            Poll::Ready(outcome) => outcome.map(|()| true)?,
            Poll::Pending => false,
        };
        let takes = !link.is_full();
        broker.with(|machine, now| {
            for news in incoming.drain(..) {
                machine.handle_upstream(now, news);
            }
            // A link takes a bounded amount; the rest stays where it is counted.
            while takes && outgoing.len() < MAX_OPS {
                let Some(op) = machine.poll_upstream_op() else { break };
                outgoing.push(op);
            }
        });
        let said = !outgoing.is_empty();
        for op in outgoing.drain(..) {
            link.feed(op)?;
        }
        let flushed = link.poll_flush(cx)?.is_ready();
        Ok(heard || (flushed && (said || !takes)))
    }
}

/// Batches in a row before other tasks get their turn.
const MAX_ROUNDS: usize = 16;
/// Operations that leave in one batch.
const MAX_OPS: usize = 1024;
/// How often a link that has ended is read: more than a server leaves in a socket.
const MAX_LAST_READS: usize = 64;
/// How long the last words may take.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(2);
