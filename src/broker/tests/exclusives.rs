//! Two listeners with one id.

use super::{Stage, claim};
use crate::broker::PeerId;
use crate::wire::{Claim, ClientOp, Presence, Reply, ServerOp, SubscribeStatus, WatchRequest};

const MINE: &str = "s.server.main.*";

impl Stage {
    fn claim(&mut self, peer: PeerId, how: Claim) -> SubscribeStatus {
        let Reply::Subscribed(statuses) = self.ask(peer, |ack| claim(ack, MINE, how)) else { panic!() };
        statuses[0].clone().expect("not refused")
    }

    fn token(&mut self, peer: PeerId, how: Claim) -> u64 {
        match self.claim(peer, how) {
            SubscribeStatus::Exclusive(token) => token,
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn the_newer_of_two_takes_over_and_the_older_is_told_behind_its_last_delivery() {
    let mut stage = Stage::new();
    let [old, new, client] = stage.joined();
    stage.token(old, Claim::Fresh);
    stage.handle(
        client,
        ClientOp::Watch(vec![WatchRequest { id: 1, subject: Some("s.server.main.a".into()) }]),
    );
    stage.take(client);
    assert_eq!(stage.publish(client, "s.server.main.a", "1"), 1);
    let token = stage.token(new, Claim::Fresh);
    assert_eq!(stage.publish(client, "s.server.main.a", "2"), 1);
    let words: Vec<_> = stage
        .take(client)
        .into_iter()
        .filter_map(|op| if let ServerOp::Watched(changes) = op { Some(changes) } else { None })
        .flatten()
        .map(|change| change.presence)
        .collect();
    assert_eq!(words, [Presence::Replaced, Presence::Here]);
    let ops = stage.take(old);
    assert!(
        matches!(ops[..], [ServerOp::Deliver { .. }, ServerOp::Superseded { token: of, .. }] if of == token)
    );
    assert_eq!(stage.received(new), ["s.server.main.*: 2"]);
    // The older one gives up what it has not, and takes nothing away.
    stage.unsubscribe(old, MINE);
    assert_eq!(stage.publish(client, "s.server.main.a", "3"), 1);
    assert_eq!(stage.received(new), ["s.server.main.*: 3"]);
}

#[test]
fn who_comes_back_does_not_take_the_place_back_and_the_same_takes_its_own_without_a_word() {
    let mut stage = Stage::new();
    let [old, new, again] = stage.joined();
    let first = stage.token(old, Claim::Fresh);
    let second = stage.token(new, Claim::Fresh);
    stage.broker.detach(stage.now, old);
    let old = stage.join();
    assert_eq!(stage.claim(old, Claim::Returning(first)), SubscribeStatus::Superseded);
    // Its old connection is dead, and nobody has noticed that yet.
    assert_eq!(stage.token(again, Claim::Returning(second)), second);
    assert_eq!(stage.take(new), []);
    assert_eq!((stage.publish(old, "s.server.main.a", "1"), stage.received(again).len()), (1, 1));
    stage.broker.detach(stage.now, new);
    assert_eq!(stage.publish(old, "s.server.main.a", "2"), 1);
    stage.broker.detach(stage.now, again);
    assert_eq!(stage.token(old, Claim::Returning(first)), first, "nobody is there any more");
}

/// Its connection was given up, and what it had still said there came after what it said on the next one: the
/// dead connection got the pattern, and with its end nobody had it any more.
#[test]
fn a_claim_that_comes_behind_that_of_a_later_connection_of_the_same_changes_nothing() {
    for claims in [[Claim::Fresh; 2], [Claim::Returning(1 << 20); 2]] {
        let mut stage = Stage::new();
        let [late, now, client] = stage.joined();
        let token = stage.token(now, claims[0]);
        for claim in [claims[1], Claim::Fresh, Claim::Returning(token)] {
            assert_eq!(stage.claim(late, claim), SubscribeStatus::Superseded);
        }
        stage.broker.detach(stage.now, late);
        assert_eq!(stage.publish(client, "s.server.main.a", "1"), 1);
        assert_eq!(stage.received(now), ["s.server.main.*: 1"], "and it was told nothing");
    }
}

#[test]
fn another_listener_takes_over_though_its_connection_is_the_older_one() {
    let mut stage = Stage::new();
    let [other, first] = stage.joined();
    stage.token(first, Claim::Fresh);
    let of_another = |ack| {
        let mut op = claim(ack, MINE, Claim::Fresh);
        if let ClientOp::Subscribe { subscriptions, .. } = &mut op {
            subscriptions[0].queue = Some("another".into());
        }
        op
    };
    let Reply::Subscribed(statuses) = stage.ask(other, of_another) else { panic!() };
    assert!(matches!(statuses[..], [Ok(SubscribeStatus::Exclusive(_))]), "{statuses:?}");
    assert!(matches!(stage.take(first)[..], [ServerOp::Superseded { .. }]));
}

#[test]
fn a_plain_subscription_to_the_same_pattern_is_left_alone() {
    let mut stage = Stage::new();
    let [tap, one] = stage.joined();
    stage.subscribe(tap, MINE, "tap");
    stage.token(one, Claim::Fresh);
    assert_eq!(stage.publish(one, "s.server.main.a", "1"), 2);
    assert_eq!(stage.take(tap).len(), 1);
}
