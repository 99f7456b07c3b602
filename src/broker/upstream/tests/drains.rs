//! Clients that unsubscribe in order while messages for them are under way in the fabric above.

use super::*;

fn drain(stage: &mut Stage, peer: PeerId, patterns: &[&str]) -> AckId {
    let patterns = patterns.iter().map(|&pattern| pattern.into()).collect();
    stage.begin(peer, |ack| ClientOp::Unsubscribe { ack: Some(ack), patterns, list: false, drain: true })
}

/// The fabric above has chosen this membership for a message.
fn choose(stage: &mut Stage, member: u64, text: &str) {
    let publication = publication("jobs", "1", 0, true, text);
    stage.broker.handle_upstream(stage.now, UpstreamNews::Member { member, publication });
}

#[test]
fn who_unsubscribes_in_order_gets_what_was_under_way_there_first() {
    let mut stage = gateway();
    let peer = stage.join();
    own(&mut stage, peer, "news", PLAIN);
    confirm(&mut stage);
    stage.take(peer);
    let ack = drain(&mut stage, peer, &["news"]);
    let pattern = Pattern::parse("news").expect("valid");
    news(&mut stage, ServerOp::Deliver { pattern, publication: publication("news", "1", 0, true, "last") });
    assert_eq!(confirm(&mut stage), ["unsub news"]);
    let ops = stage.take(peer);
    assert!(
        matches!(&ops[..], [ServerOp::Deliver { .. }, ServerOp::Ack { id, .. }] if *id == ack),
        "{ops:?}"
    );
}

#[test]
fn a_drain_waits_for_what_is_under_way_whatever_else_its_client_subscribes_to() {
    for again in ["jobs", "news"] {
        let mut stage = gateway();
        let worker = stage.join();
        stage.begin(worker, |ack| subscribe(Some(ack), [("jobs", Some("workers"))]));
        confirm(&mut stage);
        stage.take(worker);
        let left = drain(&mut stage, worker, &["jobs", "unknown"]);
        let ack = stage.begin(worker, |ack| subscribe(Some(ack), [(again, Some("workers"))]));
        choose(&mut stage, 1, "for who drains");
        let ops = stage.take(worker);
        assert!(matches!(&ops[..], [ServerOp::Deliver { .. }]), "{again}: {ops:?}");
        assert_eq!(confirm(&mut stage), ["leave".to_owned(), format!("join {again} workers")]);
        let ops = stage.take(worker);
        let answers: Vec<_> = ops
            .iter()
            .filter_map(|op| {
                let ServerOp::Ack { id, reply } = op else { return None };
                let is_added =
                    matches!(reply, Reply::Subscribed(all) if all[0] == Ok(SubscribeStatus::Added));
                Some((*id, is_added))
            })
            .collect();
        assert_eq!(answers, [(left, false), (ack, true)], "{again}: {ops:?}");
        assert_eq!(stage.broker.patterns_of(worker).len(), 1, "what came later stands");
        choose(&mut stage, 2, "for who came");
        assert_eq!(stage.received(worker), [format!("{again}: for who came")]);
    }
}

#[test]
fn a_client_that_drains_and_goes_leaves_nothing_behind() {
    let mut stage = gateway();
    let worker = stage.join();
    stage.begin(worker, |ack| subscribe(Some(ack), [("jobs", Some("workers"))]));
    confirm(&mut stage);
    drain(&mut stage, worker, &["jobs"]);
    stage.begin(worker, |ack| subscribe(Some(ack), [("jobs", Some("workers"))]));
    stage.broker.detach(stage.now, worker);
    confirm(&mut stage);
    let stats = stage.broker.upstream_stats().expect("a gateway");
    assert_eq!((stats.members, stage.broker.stats().memory_bytes, stage.broker.open_drains()), (0, 0, 0));
}
