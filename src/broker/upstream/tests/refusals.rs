//! What the fabric above does not permit, and why it ends the connection.

use super::*;
use crate::broker::{RefusedFor, RefusedOp};

fn refused(stage: &Stage, op: RefusedOp) -> u64 {
    stage.broker.stats().refused_ops[op as usize][RefusedFor::Permission as usize]
}

fn not_permitted() -> OpError {
    OpError { message: "no".to_owned(), code: Code::NotPermitted.number() }
}

#[test]
fn what_it_does_not_permit_counts_as_refused() {
    let mut stage = gateway();
    let [writer, reader] = stage.joined();
    let ack = publish(&mut stage, writer, "secret");
    let [(Some(id), _)] = &published(&mut stage)[..] else { panic!("counted") };
    news(&mut stage, ServerOp::Ack { id: *id, reply: Reply::Error(not_permitted()) });
    assert_eq!(error_of(stage.answer(writer, ack).expect("refused")).1, Some(403));
    stage.begin(reader, |ack| subscribe(Some(ack), [("secret", Some("workers"))]));
    let joined = said(&mut stage);
    let [UpstreamOp::Join { ack, .. }] = &joined[..] else { panic!("{joined:?}") };
    news(&mut stage, ServerOp::Ack { id: *ack, reply: Reply::Subscribed(vec![Err(not_permitted())]) });
    assert_eq!((refused(&stage, RefusedOp::Publish), refused(&stage, RefusedOp::Subscribe)), (1, 1));
    assert_eq!(stage.broker.stats().publishes_refused, 1);
}

#[test]
fn who_may_not_wait_for_interest_there_is_told_so() {
    let mut stage = gateway();
    let waiter = stage.join();
    let timeout = Duration::from_secs(30);
    let wait = |ack| ClientOp::WaitForInterest { ack, subject: "secret".into(), timeout };
    let ack = stage.begin(waiter, wait);
    let asked = said(&mut stage);
    let [UpstreamOp::Op(ClientOp::WaitForInterest { ack: id, .. })] = &asked[..] else { panic!("{asked:?}") };
    news(&mut stage, ServerOp::Ack { id: *id, reply: Reply::Error(not_permitted()) });
    assert_eq!(error_of(stage.answer(waiter, ack).expect("refused")).1, Some(403));
    assert_eq!(refused(&stage, RefusedOp::Interest), 1);
}

#[test]
fn what_it_says_before_the_end_is_why_it_is_away() {
    let mut stage = gateway();
    let message = "User Authentication Expired".to_owned();
    news(&mut stage, ServerOp::Closing { code: "ERR_REFUSED".to_owned(), message: message.clone() });
    lose(&mut stage);
    let why = Failure::new(Code::Refused, message);
    assert_eq!(stage.broker.poll_upstream_state(), Some(UpstreamState::Connecting(Some(why))));
}
