//! Publishes that nobody wants after a while.

use super::*;
use crate::wire::{Json, split_ttl};

fn publish(stage: &mut Stage, token: u32, ttl: u64, wait_for_interest: bool) {
    let subject = Subject::parse("ticker").expect("valid");
    let json = Json::parse(r#"{"a":1}"#.into()).ok();
    let message =
        Message { subject, payload: Payload::msgpack("hi"), headers: Headers::default().with_json(json) };
    let (kind, timeout) = (RequestKind::Publish, Duration::from_secs(10));
    let ttl = Some(Duration::from_millis(ttl));
    stage.client.request(stage.now, Some(token), Request { kind, message, timeout, wait_for_interest, ttl });
}

/// What the one publish says, and who confirms it.
fn sent(stage: &mut Stage) -> (u128, AckId) {
    let ops = stage.ops();
    let [ClientOp::Publish { ack: Some(ack), publication }] = ops.as_slice() else { panic!("{ops:?}") };
    let (left, others) = split_ttl(publication.headers.json.as_ref().expect("headers")).expect("a time");
    assert_eq!(others.expect("those of the application").as_str(), r#"{"a":1}"#);
    (left.as_millis(), *ack)
}

fn is_stale(news: &[ClientEvent<u32>], token: u32) -> bool {
    matches!(news, [ClientEvent::Failed(failed, ClientError::Stale { .. })] if *failed == token)
}

#[test]
fn what_waits_for_the_connection_is_given_up_in_time_and_what_leaves_says_what_is_left() {
    let mut stage = Stage::ready();
    publish(&mut stage, 1, 5000, false);
    assert_eq!(sent(&mut stage).0, 5000);
    stage.lose();
    stage.news();
    publish(&mut stage, 2, 200, false);
    publish(&mut stage, 3, 5000, false);
    stage.now += Duration::from_millis(300);
    stage.client.handle_timeout(stage.now);
    let news = stage.news();
    assert!(is_stale(&news, 2), "{news:?}");
    stage.sign_in();
    assert_eq!(sent(&mut stage).0, 4700);
}

#[test]
fn what_waits_for_somebody_to_listen_goes_again_with_what_is_left_or_not_at_all() {
    for (ttl, is_late) in [(5000, false), (1000, true)] {
        let mut stage = Stage::ready();
        publish(&mut stage, 1, ttl, true);
        let (_, ack) = sent(&mut stage);
        stage.client.handle_op(stage.now, ServerOp::Ack { id: ack, reply: Reply::Published { count: 0 } });
        let ops = stage.ops();
        let [ClientOp::WaitForInterest { ack, .. }] = ops.as_slice() else { panic!("{ops:?}") };
        stage.now += Duration::from_millis(1500);
        stage.client.handle_op(stage.now, ServerOp::Ack { id: *ack, reply: Reply::Interest(true) });
        if is_late {
            let news = stage.news();
            assert!(is_stale(&news, 1), "{news:?}");
        } else {
            assert_eq!(sent(&mut stage).0, 3500);
        }
    }
}
