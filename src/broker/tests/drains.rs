//! Members of groups that leave in order.

use std::time::Duration;

use super::super::chunk_assignments::LIFETIME;
use super::{Stage, publication};
use crate::broker::PeerId;
use crate::wire::{AckId, ClientOp, Reply, ServerOp};

fn drain(stage: &mut Stage, peer: PeerId, patterns: &[&str]) -> AckId {
    let patterns = patterns.iter().map(|pattern| (*pattern).into()).collect();
    stage.begin(peer, |ack| ClientOp::Unsubscribe { ack: Some(ack), patterns, list: false, drain: true })
}

fn chunk(stage: &mut Stage, from: PeerId, seq: u32, done: bool) -> u64 {
    stage.publish_chunk(from, publication("jobs", "m", seq, done, &format!("part {seq}")))
}

#[test]
fn who_drains_is_answered_behind_the_last_delivery_and_gets_nothing_more() {
    let mut stage = Stage::new();
    let [asker, leaver, stayer] = stage.joined();
    for member in [leaver, stayer] {
        stage.subscribe(member, "jobs", "workers");
        stage.subscribe(member, "news", "0");
    }
    for _ in 0..50 {
        assert_eq!(stage.publish(asker, "jobs", "job"), 1);
    }
    let ack = drain(&mut stage, leaver, &["jobs", "news", "unknown"]);
    for _ in 0..50 {
        assert_eq!(stage.publish(asker, "jobs", "job"), 1);
    }
    let ops = stage.take(leaver);
    let position = ops.iter().position(|op| matches!(op, ServerOp::Ack { id, .. } if *id == ack));
    assert_eq!(position, Some(ops.len() - 1), "{ops:?}");
    assert_eq!(ops.last(), Some(&ServerOp::Ack { id: ack, reply: Reply::Unsubscribed { count: 3 } }));
    assert_eq!(ops.len() - 1 + stage.received(stayer).len(), 100);
    assert_eq!(stage.broker.open_drains(), 0);
}

#[test]
fn what_was_begun_for_who_drains_still_goes_there_and_the_answer_waits_for_it() {
    let mut stage = Stage::new();
    let [asker, leaver, late] = stage.joined();
    stage.subscribe(leaver, "jobs", "workers");
    assert_eq!(chunk(&mut stage, asker, 0, false), 1);
    let ack = drain(&mut stage, leaver, &["jobs"]);
    // The group is empty, and a new member has no part in what was begun before.
    stage.subscribe(late, "jobs", "workers");
    assert_eq!(stage.publish(asker, "jobs", "whole"), 1);
    assert_eq!(chunk(&mut stage, asker, 1, false), 1);
    assert_eq!(stage.answer(leaver, ack), None);
    assert_eq!(chunk(&mut stage, asker, 2, true), 1);
    assert_eq!(stage.answer(leaver, ack), Some(Reply::Unsubscribed { count: 1 }));
    assert_eq!(stage.received(leaver), ["jobs: part 0", "jobs: part 1", "jobs: part 2"]);
    assert_eq!(stage.received(late), ["jobs: whole"]);
    assert_eq!((stage.broker.unfinished(), stage.broker.open_drains()), (0, 0));
}

#[test]
fn a_message_that_is_given_up_or_whose_publisher_has_gone_holds_up_nobody() {
    for gone in [false, true] {
        let mut stage = Stage::new();
        let [asker, leaver] = stage.joined();
        stage.subscribe(leaver, "jobs", "workers");
        chunk(&mut stage, asker, 0, false);
        let ack = drain(&mut stage, leaver, &["jobs"]);
        if gone {
            stage.broker.detach(stage.now, asker);
        } else {
            stage.pass(LIFETIME - Duration::from_secs(1));
            assert_eq!(stage.answer(leaver, ack), None);
            stage.pass(Duration::from_secs(1));
        }
        assert_eq!(stage.answer(leaver, ack), Some(Reply::Unsubscribed { count: 1 }));
        assert_eq!((stage.broker.unfinished(), stage.broker.open_drains()), (0, 0));
    }
}

#[test]
fn of_who_has_gone_while_it_drained_nothing_stays() {
    let mut stage = Stage::new();
    let [asker, leaver] = stage.joined();
    stage.subscribe(leaver, "jobs", "workers");
    chunk(&mut stage, asker, 0, false);
    drain(&mut stage, leaver, &["jobs"]);
    stage.broker.detach(stage.now, leaver);
    assert_eq!(stage.broker.open_drains(), 0);
    assert_eq!(chunk(&mut stage, asker, 1, true), 0, "it is not counted");
    assert_eq!(stage.broker.unfinished(), 0);
}
