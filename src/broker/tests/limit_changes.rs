//! Limits that change while the broker runs: what is there stays, and more is refused.

use super::*;
use crate::broker::LimitChanges;

impl Stage {
    fn finds_no_place(&mut self) -> bool {
        let peer = self.attach("null");
        self.broker.close_reason(peer).is_some()
    }

    fn may_subscribe(&mut self, peer: PeerId, pattern: &str) -> bool {
        matches!(self.subscribe(peer, pattern, "q"), Reply::Subscribed(statuses) if statuses[0].is_ok())
    }
}

#[test]
fn fewer_connections_are_accepted_and_none_is_closed() {
    let mut stage = Stage::with(BrokerConfig { max_connections: 3, ..Default::default() }, 1);
    let old = stage.joined::<2>();
    stage.broker.change_limits(&LimitChanges { max_connections: Some(2), ..Default::default() });
    assert!(stage.finds_no_place());
    assert!(old.iter().all(|peer| stage.broker.close_reason(*peer).is_none()));
    stage.broker.change_limits(&LimitChanges { max_connections: Some(4), ..Default::default() });
    assert!(!stage.finds_no_place());
}

#[test]
fn the_number_of_subscriptions_is_that_of_the_sign_in() {
    let mut stage = Stage::with(BrokerConfig { max_subscriptions_per_client: 2, ..Default::default() }, 1);
    let old = stage.join();
    stage.broker.change_limits(&LimitChanges { max_subscriptions_per_client: Some(1), ..Default::default() });
    let new = stage.join();
    assert_eq!(["a", "b", "c"].map(|pattern| stage.may_subscribe(old, pattern)), [true, true, false]);
    assert_eq!(["a", "b"].map(|pattern| stage.may_subscribe(new, pattern)), [true, false]);
}

#[test]
fn memory_is_bounded_by_the_new_limit_at_once() {
    let mut stage = Stage::with(BrokerConfig::default(), 1);
    let [holder, publisher] = stage.joined();
    stage.subscribe(holder, "in", "q");
    let text = "m".repeat(100 * 1024);
    assert_eq!(stage.publish(publisher, "in", &text), 1);
    let bytes = Some(50 * 1024);
    let changes = LimitChanges { max_memory_bytes_per_connection: bytes, ..Default::default() };
    stage.broker.change_limits(&changes);
    assert_eq!(stage.broker.close_reason(holder), None, "it has nothing more yet");
    stage.publish(publisher, "in", &text);
    assert!(stage.broker.close_reason(holder).is_some());
}
