//! A gateway that drains: who answers others leaves last, and in order.

use super::*;
use crate::broker::DisconnectReason;
use crate::subject::Subject;

fn is_let_go(stage: &Stage, peer: PeerId) -> bool {
    stage.broker.close_reason(peer) == Some(DisconnectReason::ShutDown)
}

/// A member of a group, which the fabric above knows by this number, and a request that it was given.
fn asked_member(stage: &mut Stage, number: u64) -> PeerId {
    let member = stage.join();
    stage.begin(member, |ack| subscribe(Some(ack), [("jobs", Some("workers"))]));
    confirm(stage);
    give(stage, number, "_INBOX.far.1");
    assert_eq!(stage.received(member), ["jobs: ?"]);
    member
}

fn give(stage: &mut Stage, number: u64, place: &str) {
    let mut publication = publication("jobs", "1", 0, true, "?");
    publication.headers.reply = Some(Subject::parse(place).expect("valid"));
    stage.broker.handle_upstream(stage.now, UpstreamNews::Member { member: number, publication });
}

fn answer(stage: &mut Stage, member: PeerId, place: &str) {
    let publication = publication(place, "1", 0, true, "!");
    stage.handle(member, ClientOp::Publish { ack: None, publication });
    assert_eq!(published(stage).len(), 1);
}

/// As long as until the next look.
const MOMENT: Duration = Duration::from_millis(10);

#[test]
fn who_was_asked_over_the_fabric_above_leaves_after_the_others_and_when_it_has_answered() {
    let mut stage = gateway();
    let member = asked_member(&mut stage, 1);
    let other = stage.join();
    stage.broker.drain(stage.now, Duration::ZERO);
    stage.leave_quietly(other);
    assert!(is_let_go(&stage, other), "though it came later");
    stage.broker.detach(stage.now, other);
    stage.pass(MOMENT);
    stage.leave_quietly(member);
    let ops = said(&mut stage);
    let [UpstreamOp::Leave { ack, .. }] = ops[..] else { panic!("{ops:?}") };
    give(&mut stage, 1, "_INBOX.far.2");
    assert_eq!(stage.received(member), ["jobs: ?"], "it was under way");
    answer(&mut stage, member, "_INBOX.far.1");
    news(&mut stage, ServerOp::Ack { id: ack, reply: Reply::Unsubscribed { count: 1 } });
    stage.pass(MOMENT);
    assert!(!is_let_go(&stage, member), "one answer is missing");
    answer(&mut stage, member, "_INBOX.far.2");
    stage.pass(MOMENT);
    assert!(is_let_go(&stage, member));
    stage.broker.detach(stage.now, member);
    assert!(stage.broker.poll_drained());
}

#[test]
fn an_answer_that_nobody_can_wait_for_any_more_is_not_waited_for() {
    let mut stage = gateway();
    let member = asked_member(&mut stage, 1);
    stage.pass(Duration::from_secs(9));
    stage.broker.drain(stage.now, Duration::ZERO);
    stage.leave_quietly(member);
    confirm(&mut stage);
    stage.pass(MOMENT);
    assert!(!is_let_go(&stage, member));
    stage.pass(Duration::from_secs(1));
    assert!(is_let_go(&stage, member));
}

#[test]
fn what_a_socket_asks_over_the_fabric_above_keeps_nobody() {
    for (subject, command) in [
        ("chat.server.s1.a", Some(SocketCommand::Connect)),
        ("chat.server.s1.a", Some(SocketCommand::Socket)),
        ("chat.server.status", None),
    ] {
        let mut stage = gateway();
        let listener = stage.join();
        let pattern = if command.is_some() { "chat.server.s1.*" } else { subject };
        own(&mut stage, listener, pattern, if command.is_some() { DIRECT } else { PLAIN });
        confirm(&mut stage);
        let mut publication = publication(subject, "1", 0, true, "");
        publication.headers.command = command;
        publication.headers.reply = Some(Subject::parse("_INBOX.far.1").expect("valid"));
        let pattern = Pattern::parse(pattern).expect("valid");
        news(&mut stage, ServerOp::Deliver { pattern, publication });
        assert_eq!(stage.received(listener).len(), 1);
        stage.broker.drain(stage.now, Duration::ZERO);
        stage.leave_quietly(listener);
        stage.pass(MOMENT);
        assert!(is_let_go(&stage, listener), "{subject}");
    }
}

#[test]
fn who_leaves_while_the_fabric_above_is_out_of_reach_waits_for_nobody_there_and_is_told() {
    for drains_first in [false, true] {
        let mut stage = gateway();
        let (member, asker) = (asked_member(&mut stage, 1), stage.join());
        lose(&mut stage);
        let ask = |stage: &mut Stage| {
            stage.begin(asker, |ack| ClientOp::Publish {
                ack: Some(ack),
                publication: publication("far", "1", 0, true, "?"),
            })
        };
        let held = ask(&mut stage);
        if drains_first {
            stage.broker.drain(stage.now, Duration::ZERO);
        }
        stage.pass(Duration::from_millis(499));
        assert_eq!(stage.answer(asker, held), None, "it may be a moment");
        stage.pass(Duration::from_millis(1));
        if !drains_first {
            assert_eq!(stage.answer(asker, held), None, "it waits, as does who is not sent away");
            stage.broker.drain(stage.now, Duration::ZERO);
        }
        let late = ask(&mut stage);
        for ack in [held, late] {
            let (text, code) = error_of(stage.answer(asker, ack).expect("told"));
            assert_eq!((text.contains("drains"), code), (true, Some(408)));
        }
        stage.leave_quietly(asker);
        stage.pass(MOMENT);
        stage.leave_quietly(member);
        stage.pass(MOMENT);
        assert_eq!([asker, member].map(|peer| is_let_go(&stage, peer)), [true; 2]);
    }
}
