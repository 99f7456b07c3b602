//! A broker that drains: who goes when.

use super::*;
use crate::broker::{ConnectionInfo, DisconnectReason};
use crate::wire::Carrier;

impl Stage {
    /// A client of ours that was told to go says that it asks nothing more, and that it has all its answers.
    pub(in crate::broker) fn leave_quietly(&mut self, peer: PeerId) {
        self.be_quiet(peer);
        self.be_answered(peer);
    }

    fn be_answered(&mut self, peer: PeerId) {
        self.handle(peer, ClientOp::InfoReceived);
        self.pass(MOMENT);
    }

    fn be_quiet(&mut self, peer: PeerId) {
        let is_notice =
            |op: &ServerOp| matches!(op, ServerOp::Closing { code, .. } if code == "ERR_DRAINING");
        assert!(self.take(peer).iter().any(is_notice), "it was not told");
        self.handle(peer, ClientOp::InfoReceived);
        self.pass(MOMENT);
    }

    fn is_let_go(&self, peer: PeerId) -> bool {
        self.broker.close_reason(peer) == Some(DisconnectReason::ShutDown)
    }
}

/// As long as until the next look.
const MOMENT: Duration = Duration::from_millis(10);

#[test]
fn who_has_asked_is_let_go_when_it_is_answered_and_who_was_asked_after_that() {
    let mut stage = Stage::new();
    let member = stage.member("inbox.member");
    let asker = stage.asker();
    let other = stage.join();
    stage.call(asker, "inbox.asker.1");
    stage.broker.drain(stage.now, Duration::ZERO);
    stage.be_quiet(asker);
    stage.leave_quietly(other);
    assert!(stage.is_let_go(other) && !stage.is_let_go(asker));
    stage.pass(Duration::from_secs(5));
    assert!(!stage.is_let_go(asker), "its answer has not come");
    assert!(!stage.take(member).iter().any(|op| matches!(op, ServerOp::Closing { .. })));
    stage.answer_call(member, "inbox.asker.1", true);
    stage.be_answered(asker);
    assert!(stage.is_let_go(asker));
    assert!(stage.take(asker).iter().any(|op| matches!(op, ServerOp::Deliver { .. })), "it has its answer");
    stage.pass(MOMENT);
    stage.leave_quietly(member);
    for peer in [asker, other, member] {
        assert!(stage.is_let_go(peer));
        stage.broker.detach(stage.now, peer);
    }
    assert!(stage.broker.poll_drained());
    assert_eq!(stage.broker.poll_timeout(), None);
}

#[test]
fn two_that_have_asked_each_other_are_let_go_when_both_have_answered() {
    let mut stage = Stage::new();
    let both = ["a", "b"].map(|name| {
        let member = stage.join();
        stage.subscribe_inbox(member, &format!("inbox.{name}.*"));
        stage.subscribe(member, &format!("calls.{name}"), "members");
        member
    });
    let [a, b] = both;
    stage.call_at("calls.b", a, "inbox.a.1");
    stage.call_at("calls.a", b, "inbox.b.1");
    stage.broker.drain(stage.now, Duration::ZERO);
    for peer in both {
        stage.be_quiet(peer);
    }
    stage.answer_call(a, "inbox.b.1", true);
    stage.be_answered(b);
    assert!(!stage.is_let_go(a) && !stage.is_let_go(b));
    stage.answer_call(b, "inbox.a.1", true);
    stage.be_answered(a);
    assert!(stage.is_let_go(a) && stage.is_let_go(b));
}

#[test]
fn who_does_not_say_that_it_asks_nothing_more_is_let_go_after_a_moment_but_only_when_it_has_answered() {
    let mut stage = Stage::new();
    let member = stage.member("inbox.member");
    let asker = stage.asker();
    stage.call(asker, "inbox.asker.1");
    stage.broker.drain(stage.now, Duration::ZERO);
    stage.pass(Duration::from_secs(1));
    assert!(stage.is_let_go(asker));
    stage.broker.detach(stage.now, asker);
    stage.pass(Duration::from_secs(2));
    assert!(stage.is_let_go(member), "nobody waits for its answer");
}

#[test]
fn who_speaks_the_protocol_of_conat_is_not_told_and_goes_at_once() {
    let mut stage = Stage::new();
    let connection = ConnectionInfo { carrier: Carrier::Conat, ..ConnectionInfo::default() };
    let peer = stage.broker.attach_connection(stage.now, connection);
    stage.handle(peer, ClientOp::InfoReceived);
    stage.broker.drain(stage.now, Duration::ZERO);
    assert!(stage.is_let_go(peer));
    assert!(!stage.take(peer).iter().any(|op| matches!(op, ServerOp::Closing { .. })));
}
