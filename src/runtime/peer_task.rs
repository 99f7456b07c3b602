//! One peer of a broker: moves operations between its link and the machine.

use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use super::close_link::close_link;
use super::{BrokerHandle, PeerIdentity, spare_memory, threads};
use crate::broker::{DisconnectReason, EndReason, PeerId};
use crate::link::{OrderlyClose, ReadWindow};
use crate::transport::timer::{Timer, now};
use crate::transport::{BoxedLink, LinkError};
use crate::wire::{ClientOp, Presence, ServerOp};

/// Serves the peer until its link ends, or the broker wants it gone.
pub(super) async fn serve(
    broker: Arc<BrokerHandle>,
    link: BoxedLink<ServerOp, ClientOp>,
    identity: PeerIdentity,
    signed_in: Box<dyn FnOnce() + Send>,
) {
    let _counted = spare_memory::Counted::new();
    let attachment = Attachment::new(broker.clone(), identity);
    let peer = attachment.peer;
    let mut task = PeerTask {
        broker,
        peer,
        link,
        incoming: Vec::new(),
        outgoing: Vec::new(),
        window: ReadWindow::default(),
        held_up: false,
        rests_until: None,
        rest: Timer::default(),
        unpaid: Duration::ZERO,
        signed_in: Some(signed_in),
    };
    match poll_fn(|cx| task.poll(cx)).await {
        Ok(reason) => {
            tracing::info!(%peer, ?reason, "peer closed by the broker");
            let closing = OrderlyClose::from_peer(now(), reason == DisconnectReason::SlowConsumer);
            close_link(task.link, Vec::new(), closing).await;
            task.broker.turn_to_end(peer).await;
        }
        Err(error) => {
            tracing::debug!(%peer, %error, "peer gone");
            if matches!(error, LinkError::Closed | LinkError::Io(_)) {
                task.finish_deciding().await;
            }
            task.broker.turn_to_end(peer).await;
            let why = end_reason(&error);
            task.broker.with(|machine, _| machine.note_lost(peer, why));
            match error {
                LinkError::Silent => task.broker.with(|machine, _| machine.note_end(peer, Presence::Silent)),
                LinkError::PeerMisbehaved(_) => {
                    // It is nobody's peer any more; what it is told on the way out is to reach it.
                    drop(attachment);
                    close_link(task.link, Vec::new(), OrderlyClose::from_peer(now(), false)).await;
                }
                _ => {}
            }
        }
    }
}

fn end_reason(error: &LinkError) -> EndReason {
    match error {
        LinkError::Closed => EndReason::Client,
        LinkError::Silent => EndReason::Timeout,
        LinkError::PeerMisbehaved(_) => EndReason::Protocol,
        _ => EndReason::Network,
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
    /// What of it is under way.
    window: ReadWindow,
    /// The broker wants to decide what it has before it takes more.
    held_up: bool,
    /// It has flooded others, and is not heard before then.
    rests_until: Option<Instant>,
    rest: Timer,
    /// For how long it has kept a thread busy since the broker was told.
    unpaid: Duration,
    /// To be called when it is known who the peer is.
    signed_in: Option<Box<dyn FnOnce() + Send>>,
}

impl PeerTask {
    /// Waits until what came before the end is decided, and does it in turns: the application's decisions
    /// have deadlines.
    async fn finish_deciding(&mut self) {
        poll_fn(|cx| {
            let Some(began) = self.broker.begin_turn(self.peer, cx.waker()) else { return Poll::Pending };
            let rests = self.rests(cx);
            let (peer, outgoing) = (self.peer, &mut self.outgoing);
            let (had_turn, is_deciding, rests_until) = self.broker.with(|machine, now| {
                let had_turn = machine.handle_ops(now, peer, &mut Vec::new(), 0);
                // Nobody reads it.
                machine.take_outbox(peer, outgoing);
                outgoing.clear();
                let is_deciding = machine.close_reason(peer).is_none() && machine.is_deciding(peer);
                (had_turn, is_deciding, machine.rests_until(peer))
            });
            self.rests_until = rests_until;
            self.end_turn(began);
            if !is_deciding {
                return Poll::Ready(());
            }
            if had_turn && !rests {
                threads::end_turn(cx);
            }
            Poll::Pending
        })
        .await;
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<DisconnectReason, LinkError>> {
        let Some(began) = self.broker.begin_turn(self.peer, cx.waker()) else { return Poll::Pending };
        let result = self.poll_turn(cx, began + MAX_TURN);
        self.end_turn(began);
        result
    }

    fn end_turn(&mut self, began: Instant) {
        self.unpaid += now().saturating_duration_since(began);
        if self.unpaid >= MIN_PAID {
            let took = std::mem::take(&mut self.unpaid);
            self.broker.with(|machine, now| machine.end_turn(now, self.peer, took));
        }
    }

    /// Returns whether it is to be silent for a while; then the task is woken after that.
    fn rests(&mut self, cx: &mut Context<'_>) -> bool {
        self.rests_until.is_some() && self.rest.poll(cx, self.rests_until).is_pending()
    }

    /// Moves what there is, unless others want their turn before that: no round begins after `end`.
    fn poll_turn(&mut self, cx: &mut Context<'_>, end: Instant) -> Poll<Result<DisconnectReason, LinkError>> {
        for _ in 0..MAX_ROUNDS {
            let rests = self.rests(cx);
            // What its last turn left comes first.
            let heard = !self.held_up
                && !rests
                && (!self.incoming.is_empty()
                    || match self.link.poll_recv(cx, &mut self.incoming) {
                        Poll::Ready(Ok(())) => true,
                        Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                        Poll::Pending => false,
                    });
            let (has_room, buffered) = (!self.link.is_full(), self.link.buffered());
            let is_busy = self.link.unsent() >= BUSY_BYTES;
            self.window.handle_read(self.link.read_mark());
            // While it is not heard, its word that it has read is not heard either.
            let is_heard = !self.held_up && !rests;
            let (peer, incoming, outgoing) = (self.peer, &mut self.incoming, &mut self.outgoing);
            let window = &self.window;
            let (closed, (held_up, rests_until), (had_turn, takes, is_open), is_new) =
                self.broker.with(|machine, now| {
                    let had_turn = machine.handle_ops(now, peer, incoming, buffered);
                    let closed = machine.close_reason(peer);
                    let is_contended = machine.is_contended(peer);
                    let is_open = !is_heard || window.has_room(is_contended);
                    let takes = has_room && is_open && !(is_busy && is_contended);
                    // The last words go on top of what the link still has to say.
                    if takes || closed.is_some() {
                        machine.take_outbox(peer, outgoing);
                    }
                    let is_new = self.signed_in.is_some() && closed.is_none() && machine.is_signed_in(peer);
                    let pause = (machine.is_paused(peer), machine.rests_until(peer));
                    (closed, pause, (had_turn, takes, is_open), is_new)
                });
            self.rests_until = rests_until;
            if let Some(signed_in) = self.signed_in.take_if(|_| is_new) {
                signed_in();
            }
            let released = std::mem::replace(&mut self.held_up, held_up) && !held_up;
            let said = !self.outgoing.is_empty();
            for op in self.outgoing.drain(..) {
                let wants_mark = self.window.note_sent(messages(&op));
                self.link.feed(op)?;
                if wants_mark {
                    self.window.note_mark(self.link.mark()?);
                }
            }
            if let Some(reason) = closed {
                return Poll::Ready(Ok(reason));
            }
            let flushed = self.link.poll_flush(cx)?.is_ready();
            // With the link full nothing was taken, so there may be more to say once it is flushed. With too
            // much under way there is more once the peer has said that it has read.
            let more = flushed && (said || (!takes && is_open));
            if had_turn && !rests {
                break;
            }
            if !heard && !more && !released {
                return Poll::Pending;
            }
            if now() >= end {
                break;
            }
        }
        // Others want their turn.
        threads::end_turn(cx);
        Poll::Pending
    }
}

/// Returns how many messages an operation is for its receiver.
fn messages(op: &ServerOp) -> u32 {
    match op {
        ServerOp::Deliver { publication, .. } => publication.count(),
        _ => 1,
    }
}

/// With so much to be written, a link is given no more while several senders wait for their turns.
const BUSY_BYTES: usize = 64 * 1024;
/// Batches in a row before other tasks get their turn.
const MAX_ROUNDS: usize = 4;
/// The same in time.
const MAX_TURN: Duration = Duration::from_micros(500);
/// The broker is told of no less at once: most turns take some microseconds.
const MIN_PAID: Duration = Duration::from_micros(20);
