//! The link of a client in the broker's own process: what is flushed is routed there and then, and reading is
//! taking from the outbox. No task stands between the two, and nothing is encoded.

use std::sync::Arc;
use std::task::{Context, Poll};

use super::peer_task::Attachment;
use super::{BrokerHandle, PeerIdentity};
use crate::base::LinkInfo;
use crate::transport::{Link, LinkError};
use crate::wire::{Carrier, ClientOp, ServerOp};

pub(super) struct LocalLink {
    id: String,
    attachment: Attachment,
    /// Fed and not routed yet.
    batch: Vec<ClientOp>,
    /// The last flush has been a full one: others have their turn before the next.
    must_yield: bool,
    /// Some of what was flushed waits for a decision.
    is_deciding: bool,
}

impl LocalLink {
    pub(super) fn new(broker: Arc<BrokerHandle>, identity: PeerIdentity) -> Self {
        let id = identity.id().to_owned();
        let attachment = Attachment::new(broker, identity);
        attachment.broker.with(|machine, _| machine.note_local(attachment.peer));
        Self { id, attachment, batch: Vec::new(), must_yield: false, is_deciding: false }
    }
}

impl Link for LocalLink {
    type Out = ClientOp;
    type In = ServerOp;

    fn info(&self) -> LinkInfo {
        LinkInfo { id: self.id.clone(), wire: Carrier::InProcess.name() }
    }

    fn poll_recv(&mut self, cx: &mut Context<'_>, into: &mut Vec<ServerOp>) -> Poll<Result<(), LinkError>> {
        let Attachment { broker, peer } = &self.attachment;
        let start = into.len();
        broker.register(*peer, cx.waker());
        let is_over = broker.with(|machine, _| {
            machine.take_outbox(*peer, into);
            machine.close_reason(*peer).is_some()
        });
        match (into.len() > start, is_over) {
            (true, _) => Poll::Ready(Ok(())),
            (false, true) => Poll::Ready(Err(LinkError::Closed)),
            (false, false) => Poll::Pending,
        }
    }

    fn feed(&mut self, op: ClientOp) -> Result<(), LinkError> {
        self.batch.push(op);
        Ok(())
    }

    fn is_full(&self) -> bool {
        self.batch.len() >= MAX_BATCH_OPS
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), LinkError>> {
        if self.batch.is_empty() && !self.is_deciding {
            return Poll::Ready(Ok(()));
        }
        if std::mem::replace(&mut self.must_yield, false) {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        let Attachment { broker, peer } = &self.attachment;
        self.must_yield = self.is_full();
        broker.register(*peer, cx.waker());
        let batch = &mut self.batch;
        // It names the peer as woken once something is decided of what it has.
        let (had_turn, is_deciding) = broker.with(|machine, now| {
            let had_turn = machine.handle_ops(now, *peer, batch, 0);
            (had_turn, machine.is_deciding(*peer))
        });
        self.is_deciding = is_deciding;
        if had_turn && (is_deciding || !batch.is_empty()) {
            cx.waker().wake_by_ref();
        }
        if batch.is_empty() { Poll::Ready(Ok(())) } else { Poll::Pending }
    }

    fn poll_close(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), LinkError>> {
        if self.poll_flush(cx)?.is_pending() {
            return Poll::Pending;
        }
        // What was said before the end is decided and done before it.
        let Attachment { broker, peer } = &self.attachment;
        let is_over = broker.with(|machine, _| machine.close_reason(*peer).is_some());
        if self.is_deciding && !is_over { Poll::Pending } else { Poll::Ready(Ok(())) }
    }
}

/// Operations routed in one go.
const MAX_BATCH_OPS: usize = 1024;

#[cfg(all(test, not(feature = "shuttle")))]
mod tests {
    use super::*;
    use crate::broker::BrokerConfig;
    use crate::wire::{AckId, Reply};
    use std::task::Waker;

    fn ask(id: u64) -> ClientOp {
        ClientOp::Cluster { ack: AckId(id) }
    }

    fn link() -> (Arc<BrokerHandle>, LocalLink) {
        let broker = Arc::new(BrokerHandle::new(BrokerConfig::default(), None));
        let link = LocalLink::new(broker.clone(), PeerIdentity::Internal);
        (broker, link)
    }

    /// Returns everything that can be read now, and whether the link is over.
    fn read(link: &mut LocalLink) -> (Vec<u64>, bool) {
        let (mut ops, mut cx) = (Vec::new(), Context::from_waker(Waker::noop()));
        let is_over = loop {
            match link.poll_recv(&mut cx, &mut ops) {
                Poll::Ready(Ok(())) => {}
                Poll::Ready(Err(_)) => break true,
                Poll::Pending => break false,
            }
        };
        let ids = ops.iter().filter_map(|op| match op {
            ServerOp::Ack { id, reply: Reply::Strings(_) } => Some(id.0),
            _ => None,
        });
        (ids.collect(), is_over)
    }

    #[test]
    fn what_is_flushed_is_answered_in_order_and_read_also_after_the_broker_has_closed() {
        let (broker, mut link) = link();
        let mut cx = Context::from_waker(Waker::noop());
        (0..2).for_each(|id| link.feed(ask(id)).expect("open"));
        assert_eq!(read(&mut link), (vec![], false));
        assert!(link.poll_flush(&mut cx).is_ready());
        assert_eq!(read(&mut link), (vec![0, 1], false));
        link.feed(ask(2)).expect("open");
        assert!(link.poll_flush(&mut cx).is_ready());
        broker.close();
        assert_eq!(read(&mut link), (vec![2], true));
    }

    #[test]
    fn after_a_full_batch_others_have_their_turn() {
        let (_broker, mut link) = link();
        let mut cx = Context::from_waker(Waker::noop());
        for id in 0.. {
            if link.is_full() {
                break;
            }
            link.feed(ask(id)).expect("open");
        }
        assert!(link.poll_flush(&mut cx).is_ready());
        link.feed(ask(0)).expect("open");
        assert!(link.poll_flush(&mut cx).is_pending());
        assert!(link.poll_flush(&mut cx).is_ready());
        assert_eq!(read(&mut link).0.len(), MAX_BATCH_OPS + 1);
    }

    #[test]
    fn a_dropped_link_leaves_nothing_at_the_broker() {
        let broker = Arc::new(BrokerHandle::new(BrokerConfig::default(), None));
        let identity = PeerIdentity::Connection(crate::broker::ConnectionInfo::default());
        let link = LocalLink::new(broker.clone(), identity);
        assert_eq!(broker.stats().connections, 1);
        drop(link);
        assert_eq!(broker.stats().connections, 0);
    }
}
