//! Lists that the broker keeps: the fabric's servers, and this connection's subscriptions, which are repaired by it.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Instant;

use super::super::operations::{Key, Step};
use super::super::{ClientEvent, QuestionKind};
use super::{Awaited, Client};
use crate::subject::Pattern;
use crate::wire::{ClientOp, OpError, SubscribeStatus, Subscription};

impl<T: Copy + Ord + std::hash::Hash> Client<T> {
    pub(super) fn ask_list(&mut self, key: Key) {
        let Some(kind) = self.operations.get(key).map(|operation| operation.question.kind) else { return };
        self.operations.advance(key, Step::AwaitingList);
        let ack = self.await_ack(Awaited::List(key));
        self.ops.push(match kind {
            QuestionKind::Cluster => ClientOp::Cluster { ack },
            _ => ClientOp::Subscriptions { ack },
        });
    }

    pub(super) fn handle_list(&mut self, key: Key, list: Vec<String>) {
        let Some(operation) = self.operations.get(key) else { return };
        if operation.question.kind == QuestionKind::Sync {
            return self.repair(key, &list);
        }
        self.events.extend(operation.token.map(|token| ClientEvent::Cluster(token, list)));
        self.close_question(key);
    }

    /// The broker hears of what it lacks and of what it has too much. What has changed here meanwhile is said to it anyway, and does no harm twice.
    fn repair(&mut self, key: Key, list: &[String]) {
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
            return self.finish_sync(key);
        }
        let ack = self.await_ack(Awaited::Repair(key, missing.clone()));
        self.ops.push(ClientOp::Subscribe { ack: Some(ack), subscriptions: missing, list: true });
    }

    pub(super) fn handle_repair(
        &mut self,
        now: Instant,
        key: Key,
        missing: &[Subscription],
        statuses: Vec<Result<SubscribeStatus, OpError>>,
    ) {
        for (subscription, status) in missing.iter().zip(statuses) {
            if let Ok(pattern) = Pattern::parse(&subscription.pattern) {
                self.handle_subscription(now, &pattern, status.err());
            }
        }
        self.finish_sync(key);
    }

    fn finish_sync(&mut self, key: Key) {
        let token = self.close_question(key).and_then(|operation| operation.token);
        self.events.extend(token.map(ClientEvent::Synced));
    }

    fn is_wanted(&self, text: &str) -> bool {
        text == self.inbox_pattern.as_str()
            || Pattern::parse(text).is_ok_and(|pattern| self.subscriptions.contains(&pattern))
    }
}
