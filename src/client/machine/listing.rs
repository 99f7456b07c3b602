//! Lists that the broker keeps: the fabric's servers, and this connection's subscriptions, which are repaired
//! by it.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Instant;

use super::super::requests::{RequestId, Step};
use super::super::{ClientEvent, RequestKind};
use super::{Awaited, Client};
use crate::subject::Pattern;
use crate::wire::{ClientOp, OpError, SubscribeStatus, Subscription};

impl<T: Copy + Ord + std::hash::Hash> Client<T> {
    pub(super) fn request_list(&mut self, id: RequestId) {
        let Some(kind) = self.requests.get(id).map(|pending| pending.request.kind) else { return };
        self.requests.advance(id, Step::AwaitingList);
        let ack = self.await_ack(Awaited::List(id));
        self.ops.push(match kind {
            RequestKind::Cluster => ClientOp::Cluster { ack },
            _ => ClientOp::Subscriptions { ack },
        });
    }

    pub(super) fn handle_list(&mut self, id: RequestId, list: Vec<String>) {
        let Some(pending) = self.requests.get(id) else { return };
        if pending.request.kind == RequestKind::Sync {
            return self.repair(id, &list);
        }
        self.events.extend(pending.token.map(|token| ClientEvent::Cluster(token, list)));
        self.close_request(id);
    }

    /// Tells the broker what it lacks and what it has too much. What has changed here meanwhile is sent
    /// anyway, and does no harm twice.
    fn repair(&mut self, id: RequestId, list: &[String]) {
        let listed: HashSet<&str> = list.iter().map(String::as_str).collect();
        let mut missing = self.subscriptions.missing(&listed);
        if !listed.contains(self.inbox_pattern.as_str()) {
            missing.insert(0, self.inbox_subscription());
        }
        let unwanted: Vec<Arc<str>> =
            list.iter().filter(|text| !self.is_wanted(text)).map(|text| text.as_str().into()).collect();
        if !unwanted.is_empty() {
            self.ops.push(ClientOp::Unsubscribe { ack: None, patterns: unwanted, list: true });
        }
        if missing.is_empty() {
            return self.finish_sync(id);
        }
        let ack = self.await_ack(Awaited::Repair(id, missing.clone()));
        self.ops.push(ClientOp::Subscribe { ack: Some(ack), subscriptions: missing, list: true });
    }

    pub(super) fn handle_repair(
        &mut self,
        now: Instant,
        id: RequestId,
        missing: &[Subscription],
        statuses: Vec<Result<SubscribeStatus, OpError>>,
    ) {
        for (subscription, status) in missing.iter().zip(statuses) {
            if let Ok(pattern) = Pattern::parse(&subscription.pattern) {
                self.handle_subscription(now, &pattern, status.err());
            }
        }
        self.finish_sync(id);
    }

    fn finish_sync(&mut self, id: RequestId) {
        let token = self.close_request(id).and_then(|pending| pending.token);
        self.events.extend(token.map(ClientEvent::Synced));
    }

    fn is_wanted(&self, text: &str) -> bool {
        text == self.inbox_pattern.as_str()
            || Pattern::parse(text).is_ok_and(|pattern| self.subscriptions.contains(&pattern))
    }
}
