//! One peer of a broker: moves operations between its link and the machine.

use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Context, Poll};

use super::close_link::close_link;
use super::{BrokerHandle, PeerIdentity};
use crate::broker::{DisconnectReason, PeerId};
use crate::link::OrderlyClose;
use crate::transport::timer::now;
use crate::transport::{BoxedLink, LinkError};
use crate::wire::{ClientOp, Presence, ServerOp};

/// Serves the peer until its link ends, or the broker wants it gone.
pub(super) async fn serve(
    broker: Arc<BrokerHandle>,
    link: BoxedLink<ServerOp, ClientOp>,
    identity: PeerIdentity,
) {
    let attachment = Attachment::new(broker.clone(), identity);
    let peer = attachment.peer;
    let mut task =
        PeerTask { broker, peer, link, incoming: Vec::new(), outgoing: Vec::new(), held_up: false };
    match poll_fn(|cx| task.poll(cx)).await {
        Ok(reason) => {
            tracing::info!(%peer, ?reason, "peer closed by the broker");
            let closing = OrderlyClose::from_peer(now(), reason == DisconnectReason::SlowConsumer);
            close_link(task.link, Vec::new(), closing).await;
        }
        Err(error) => {
            tracing::debug!(%peer, %error, "peer gone");
            if matches!(error, LinkError::Silent) {
                task.broker.with(|machine, _| machine.note_end(peer, Presence::Silent));
            }
        }
    }
}

/// A peer that a broker knows; also when its task is aborted or panics, the broker must not keep it longer
/// than this.
pub(super) struct Attachment {
    pub(super) broker: Arc<BrokerHandle>,
    pub(super) peer: PeerId,
}

impl Attachment {
    pub(super) fn new(broker: Arc<BrokerHandle>, identity: PeerIdentity) -> Self {
        let peer = broker.with(|machine, now| match identity {
            PeerIdentity::Connection(connection) => machine.attach_connection(now, connection),
            PeerIdentity::Internal => machine.attach_internal(),
        });
        tracing::debug!(%peer, "peer attached");
        Self { broker, peer }
    }
}

impl Drop for Attachment {
    fn drop(&mut self) {
        self.broker.detach(self.peer);
    }
}

struct PeerTask {
    broker: Arc<BrokerHandle>,
    peer: PeerId,
    link: BoxedLink<ServerOp, ClientOp>,
    incoming: Vec<ClientOp>,
    outgoing: Vec<ServerOp>,
    /// The broker wants to decide what it has before it takes more.
    held_up: bool,
}

impl PeerTask {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<DisconnectReason, LinkError>> {
        self.broker.register(self.peer, cx.waker());
        for _ in 0..MAX_ROUNDS {
            // What its last turn left comes first.
            let heard = !self.held_up
                && (!self.incoming.is_empty()
                    || match self.link.poll_recv(cx, &mut self.incoming) {
                        Poll::Ready(Ok(())) => true,
                        Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                        Poll::Pending => false,
                    });
            let takes = !self.link.is_full();
            let (peer, incoming, outgoing) = (self.peer, &mut self.incoming, &mut self.outgoing);
            let (closed, held_up, had_turn) = self.broker.with(|machine, now| {
                let had_turn = machine.handle_ops(now, peer, incoming);
                let closed = machine.close_reason(peer);
                // The last words go on top of what the link still has to say.
                if takes || closed.is_some() {
                    machine.take_outbox(peer, outgoing);
                }
                (closed, machine.is_paused(peer), had_turn)
            });
            let released = std::mem::replace(&mut self.held_up, held_up) && !held_up;
            let said = !self.outgoing.is_empty();
            for op in self.outgoing.drain(..) {
                self.link.feed(op)?;
            }
            if let Some(reason) = closed {
                return Poll::Ready(Ok(reason));
            }
            let flushed = self.link.poll_flush(cx)?.is_ready();
            // With the link full nothing was taken, so there may be more to say once it is flushed.
            let more = flushed && (said || !takes);
            if had_turn {
                break;
            }
            if !heard && !more && !released {
                return Poll::Pending;
            }
        }
        // Others want their turn.
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

/// Batches in a row before other tasks get their turn.
const MAX_ROUNDS: usize = 16;
