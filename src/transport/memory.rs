//! A linked pair in one process: operations are handed over as they are, in batches, without encoding.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use super::{BoxedLink, Link, LinkError};
use crate::wire::{ClientOp, Publication, ServerOp};

/// Both ends of a connection: the client's, then the broker's.
///
/// Each direction holds at most two batches of [`MAX_BATCH_OPS`] operations or [`MAX_BATCH_BYTES`] (and one operation): one that
/// waits for its reader, one that waits for its flush. Dropping an end closes both directions; what was flushed before is
/// still read. `id` is the broker's name for the connection.
pub fn pair(id: &str) -> (BoxedLink<ClientOp, ServerOp>, BoxedLink<ServerOp, ClientOp>) {
    let (up, down) = (Arc::new(Lane::default()), Arc::new(Lane::default()));
    let client = MemoryLink::new(id, Arc::clone(&up), Arc::clone(&down));
    let broker = MemoryLink::new("", down, up);
    (Box::new(client), Box::new(broker))
}

struct MemoryLink<Out, In> {
    id: Box<str>,
    /// Fed and not yet flushed.
    batch: Vec<Out>,
    batch_bytes: usize,
    out: Arc<Lane<Out>>,
    inward: Arc<Lane<In>>,
}

impl<Out, In> MemoryLink<Out, In> {
    fn new(id: &str, out: Arc<Lane<Out>>, inward: Arc<Lane<In>>) -> Self {
        Self { id: id.into(), batch: Vec::new(), batch_bytes: 0, out, inward }
    }
}

impl<Out: Weigh + Send, In: Send> Link for MemoryLink<Out, In> {
    type Out = Out;
    type In = In;

    fn id(&self) -> &str {
        &self.id
    }

    fn poll_recv(&mut self, cx: &mut Context<'_>, into: &mut Vec<In>) -> Poll<Result<(), LinkError>> {
        let mut lane = self.inward.lock();
        if lane.queue.is_empty() {
            if lane.is_closed {
                return Poll::Ready(Err(LinkError::Closed));
            }
            lane.reader = Some(cx.waker().clone());
            return Poll::Pending;
        }
        if into.is_empty() {
            // The reader's allocation becomes the next queue.
            std::mem::swap(into, &mut lane.queue);
        } else {
            into.append(&mut lane.queue);
        }
        let writer = lane.writer.take();
        drop(lane);
        wake(writer);
        Poll::Ready(Ok(()))
    }

    fn feed(&mut self, op: Out) -> Result<(), LinkError> {
        self.batch_bytes += op.weight();
        self.batch.push(op);
        Ok(())
    }

    fn is_full(&self) -> bool {
        self.batch.len() >= MAX_BATCH_OPS || self.batch_bytes >= MAX_BATCH_BYTES
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), LinkError>> {
        if self.batch.is_empty() {
            return Poll::Ready(Ok(()));
        }
        let mut lane = self.out.lock();
        if lane.is_closed {
            return Poll::Ready(Err(LinkError::Closed));
        }
        if lane.queue.is_empty() {
            std::mem::swap(&mut self.batch, &mut lane.queue);
            lane.bytes = self.batch_bytes;
        } else if lane.queue.len() + self.batch.len() <= MAX_BATCH_OPS
            && lane.bytes + self.batch_bytes <= MAX_BATCH_BYTES
        {
            lane.queue.append(&mut self.batch);
            lane.bytes += self.batch_bytes;
        } else {
            lane.writer = Some(cx.waker().clone());
            return Poll::Pending;
        }
        self.batch_bytes = 0;
        let reader = lane.reader.take();
        drop(lane);
        wake(reader);
        Poll::Ready(Ok(()))
    }

    fn poll_close(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), LinkError>> {
        let flushed = self.poll_flush(cx);
        if flushed.is_ready() {
            self.out.close();
            self.inward.close();
        }
        flushed
    }
}

impl<Out, In> Drop for MemoryLink<Out, In> {
    fn drop(&mut self) {
        self.out.close();
        self.inward.close();
    }
}

/// One direction.
struct Lane<Op>(Mutex<LaneState<Op>>);

struct LaneState<Op> {
    queue: Vec<Op>,
    bytes: usize,
    is_closed: bool,
    reader: Option<Waker>,
    writer: Option<Waker>,
}

impl<Op> Default for Lane<Op> {
    fn default() -> Self {
        let state = LaneState { queue: Vec::new(), bytes: 0, is_closed: false, reader: None, writer: None };
        Self(Mutex::new(state))
    }
}

impl<Op> Lane<Op> {
    fn lock(&self) -> MutexGuard<'_, LaneState<Op>> {
        // Nothing in here panics halfway through a change, so a poisoned state is a whole one.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn close(&self) {
        let mut lane = self.lock();
        lane.is_closed = true;
        let (reader, writer) = (lane.reader.take(), lane.writer.take());
        drop(lane);
        wake(reader);
        wake(writer);
    }
}

fn wake(waker: Option<Waker>) {
    if let Some(waker) = waker {
        waker.wake();
    }
}

/// The bytes that count against the bound.
trait Weigh {
    fn weight(&self) -> usize;
}

impl Weigh for ClientOp {
    fn weight(&self) -> usize {
        match self {
            Self::Publish { publication, .. } => publication_weight(publication),
            _ => 0,
        }
    }
}

impl Weigh for ServerOp {
    fn weight(&self) -> usize {
        match self {
            Self::Deliver { publication, .. } => publication_weight(publication),
            _ => 0,
        }
    }
}

fn publication_weight(publication: &Publication) -> usize {
    let headers = publication.headers.json.as_ref().map_or(0, |json| json.as_bytes().len());
    publication.payload.raw.len() + headers
}

/// Operations of one batch.
pub const MAX_BATCH_OPS: usize = 1024;
/// Payload and headers of one batch, in bytes.
pub const MAX_BATCH_BYTES: usize = 4 * 1024 * 1024;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::AckId;
    use std::future::poll_fn;

    fn ask(id: u64) -> ClientOp {
        ClientOp::Cluster { ack: AckId(id) }
    }

    #[tokio::test]
    async fn operations_arrive_in_order_and_the_slow_reader_holds_the_writer() {
        let (mut client, mut broker) = pair("");
        let reader = tokio::spawn(async move {
            let mut heard = Vec::new();
            while poll_fn(|cx| broker.poll_recv(cx, &mut heard)).await.is_ok() {
                assert!(heard.len() <= 5000);
            }
            heard
        });
        for id in 0..5000 {
            if client.is_full() {
                poll_fn(|cx| client.poll_flush(cx)).await.expect("open");
            }
            client.feed(ask(id)).expect("open");
        }
        poll_fn(|cx| client.poll_close(cx)).await.expect("open");
        let expected: Vec<_> = (0..5000).map(ask).collect();
        assert_eq!(reader.await.expect("no panic"), expected);
    }

    #[tokio::test]
    async fn a_full_lane_is_pending_until_it_is_read() {
        let (mut client, mut broker) = pair("");
        let mut flush = |ids: std::ops::Range<u64>| {
            ids.for_each(|id| client.feed(ask(id)).expect("open"));
            let mut cx = Context::from_waker(Waker::noop());
            client.poll_flush(&mut cx).is_ready()
        };
        assert!(flush(0..1024));
        assert!(!flush(1024..1025));
        let mut heard = Vec::new();
        poll_fn(|cx| broker.poll_recv(cx, &mut heard)).await.expect("open");
        assert!(flush(0..0) && heard.len() == 1024);
    }

    #[tokio::test]
    async fn what_was_flushed_is_read_after_the_other_end_is_gone() {
        let (mut client, mut broker) = pair("");
        client.feed(ask(1)).expect("open");
        poll_fn(|cx| client.poll_flush(cx)).await.expect("open");
        drop(client);
        let mut heard = Vec::new();
        poll_fn(|cx| broker.poll_recv(cx, &mut heard)).await.expect("still there");
        assert_eq!(heard, [ask(1)]);
        let ended = poll_fn(|cx| broker.poll_recv(cx, &mut heard)).await;
        assert!(matches!(ended, Err(LinkError::Closed)));
        broker.feed(ServerOp::Ack { id: AckId(1), reply: crate::wire::Reply::Interest(true) }).expect("kept");
        assert!(matches!(poll_fn(|cx| broker.poll_flush(cx)).await, Err(LinkError::Closed)));
    }
}
