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

#[test]
fn a_server_that_stops_is_told_all_that_was_asked_and_what_is_asked_then_waits_for_the_next_one() {
    let mut stage = gateway();
    let [asker] = stage.joined();
    let before = publish(&mut stage, asker, "before");
    let stops = ServerOp::Closing { code: Code::Draining.to_string(), message: "it stops".to_owned() };
    news(&mut stage, stops.clone());
    news(&mut stage, stops);
    let after = publish(&mut stage, asker, "after");
    let asked = said(&mut stage);
    let [
        UpstreamOp::Op(ClientOp::Publish { ack: Some(id), publication }),
        UpstreamOp::Op(ClientOp::InfoReceived),
    ] = &asked[..]
    else {
        panic!("{asked:?}")
    };
    assert_eq!(publication.subject.as_str(), "before");
    news(&mut stage, ServerOp::Ack { id: *id, reply: Reply::Published { count: 1 } });
    assert_eq!(stage.answer(asker, before), Some(Reply::Published { count: 1 }));
    lose(&mut stage);
    assert_eq!(stage.answer(asker, after), None, "held");
}

#[test]
fn another_server_that_has_taken_the_place_of_one_is_told_and_nothing_is_asked_again() {
    let mut stage = gateway();
    let [asker] = stage.joined();
    let before = publish(&mut stage, asker, "before");
    let [(Some(id), _)] = &published(&mut stage)[..] else { panic!("counted") };
    introduce(&mut stage, 20_000);
    assert_eq!(stage.broker.poll_upstream_state(), Some(UpstreamState::Ready));
    assert!(said(&mut stage).is_empty());
    news(&mut stage, ServerOp::Ack { id: *id, reply: Reply::Published { count: 1 } });
    assert_eq!(stage.answer(asker, before), Some(Reply::Published { count: 1 }));
    let publication = publication("large", "1", 0, true, &"x".repeat(15_000));
    stage.begin(asker, |ack| ClientOp::Publish { ack: Some(ack), publication });
    assert_eq!(published(&mut stage).len(), 1, "this one takes it");
}
