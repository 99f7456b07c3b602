//! Publications on their way through: checked, routed, counted.

use std::time::Instant;

use super::super::account::Account;
use super::super::error::Refusal;
use super::super::{PeerId, limits};
use super::{Broker, publication_size};
use crate::wire::{Publication, Reply, ServerOp, SocketCommand};

impl Broker {
    /// Publishes. Returns the number of receivers, or why it has none.
    pub(super) fn publish(&mut self, now: Instant, publisher: PeerId, publication: Publication) -> Reply {
        let result = self.try_publish(now, publisher, publication);
        self.settle_unfinished();
        match result {
            Ok(count) => Reply::Published { count },
            Err(refusal) => {
                self.totals.publishes_refused += 1;
                Reply::Error(refusal.into())
            }
        }
    }

    fn try_publish(
        &mut self,
        now: Instant,
        publisher: PeerId,
        mut publication: Publication,
    ) -> Result<u64, Refusal> {
        limits::check_publication(&self.config, &publication)?;
        let is_private = self.is_private(&publication);
        let (messages, size) = (publication.count(), publication_size(&publication));
        let Self { peers, router, totals, entropy, effort, .. } = self;
        let sender = peers.get(publisher).map_or(Account::Connection(publisher), |entry| entry.account);
        if publication.headers.command == Some(SocketCommand::Connect) {
            // So that a listener can tell users apart.
            publication.headers.stamp_origin(sender.origin());
        }
        let account = if (publication.seq, publication.done) == (0, true) {
            // Only what is remembered has to be paid for.
            Account::Connection(publisher)
        } else {
            sender
        };
        let count = router.route(
            now,
            (publisher, account),
            (publication, self.config.max_message_bytes),
            &mut **entropy,
            |peer, pattern, publication, sharers| {
                if is_private && !peers.get(peer).is_some_and(|receiver| receiver.is_internal) {
                    return false;
                }
                let (messages, size) = (publication.count(), publication_size(&publication));
                let delivery = ServerOp::Deliver { pattern: pattern.clone(), publication };
                *effort += DELIVERY_EFFORT;
                let is_delivered = peers.deliver(peer, delivery, (sender, sharers), messages, size);
                if is_delivered {
                    totals.delivered.add(messages, size);
                }
                is_delivered
            },
        )?;
        totals.published.add(messages, size);
        if let Some(entry) = peers.get_mut(publisher) {
            entry.published.add(messages, size);
        }
        Ok(count)
    }
}

/// A delivery, in steps of a look for patterns: a few nanoseconds each.
const DELIVERY_EFFORT: u64 = 16;
