//! Waiting for subscribers.

use super::*;
use crate::broker::interest_waits::{MAX_TIMEOUT, MAX_WAITS_PER_PEER};

fn wait(subject: &str, seconds: u64) -> impl FnOnce(AckId) -> ClientOp {
    move |ack| ClientOp::WaitForInterest {
        ack,
        subject: subject.into(),
        timeout: Duration::from_secs(seconds),
    }
}

#[test]
fn present_interest_and_a_timeout_of_zero_are_answered_at_once() {
    let mut stage = Stage::new();
    let [asker, listener] = stage.joined();
    assert_eq!(stage.ask(asker, wait("a.b", 0)), Reply::Interest(false));
    stage.subscribe(listener, "a.*", "q");
    assert_eq!(stage.ask(asker, wait("a.b", 0)), Reply::Interest(true));
    assert_eq!(stage.ask(asker, wait("a.b", 30)), Reply::Interest(true));
    assert_eq!(stage.broker.poll_timeout(), None);
}

#[test]
fn a_wait_ends_when_somebody_comes() {
    let mut stage = Stage::new();
    let [asker, listener] = stage.joined();
    for pattern in ["a.b.c", "a.b.*", "a.>", "*.b.c", "a.*.c"] {
        let (hit, miss) = (stage.begin(asker, wait("a.b.c", 30)), stage.begin(asker, wait("x.b.d", 30)));
        for other in ["a.b", "a.b.cc", "a.b.c.d", "b.>"] {
            stage.subscribe(listener, other, "q");
        }
        assert_eq!(stage.answer(asker, hit), None);
        stage.subscribe(listener, pattern, "q");
        assert_eq!(stage.answer(asker, hit), Some(Reply::Interest(true)), "{pattern}");
        assert_eq!(stage.answer(asker, miss), None);
        stage.unsubscribe(listener, pattern);
    }
    assert_eq!(stage.broker.stats().waits, 5);
}

#[test]
fn a_wait_ends_without_interest_when_its_time_is_over_at_most_90_seconds() {
    let mut stage = Stage::new();
    let [asker] = stage.joined();
    let (short, long) = (stage.begin(asker, wait("a", 5)), stage.begin(asker, wait("a", u64::MAX)));
    stage.pass(Duration::from_millis(4999));
    assert_eq!(stage.answer(asker, short), None);
    stage.pass(Duration::from_millis(1));
    assert_eq!(stage.answer(asker, short), Some(Reply::Interest(false)));
    stage.pass(MAX_TIMEOUT - Duration::from_millis(5001));
    assert_eq!(stage.answer(asker, long), None);
    stage.pass(Duration::from_millis(1));
    assert_eq!(stage.answer(asker, long), Some(Reply::Interest(false)));
    assert_eq!((stage.broker.stats().waits, stage.broker.poll_timeout()), (0, None));
}

#[test]
fn a_tap_is_no_interest() {
    let mut stage = Stage::new();
    let [asker, tap] = stage.joined();
    let waiting = stage.begin(asker, wait("a", 5));
    stage.subscribe(tap, ">", "q");
    assert_eq!(stage.answer(asker, waiting), None);
    assert_eq!(stage.ask(asker, wait("a", 0)), Reply::Interest(false));
    assert!(!stage.broker.has_interest(&Subject::parse("a").unwrap()));
}

#[test]
fn only_a_literal_subject_can_be_waited_for() {
    let mut stage = Stage::new();
    let [asker] = stage.joined();
    for subject in ["", "a.*", "a.>", "a..b", "a b"] {
        assert_eq!(error_of(stage.ask(asker, wait(subject, 5))), ("Error: invalid subject".into(), None));
    }
}

#[test]
fn a_peer_has_a_limit_of_waits() {
    let mut stage = Stage::new();
    let [asker, other] = stage.joined();
    for _ in 0..MAX_WAITS_PER_PEER {
        stage.begin(asker, wait("a", 5));
    }
    let (message, code) = error_of(stage.ask(asker, wait("a", 5)));
    assert!(message.contains("at most 1000 waits") && code == Some(429), "{message}");
    stage.begin(other, wait("a", 5));
    assert_eq!(stage.broker.stats().waits, MAX_WAITS_PER_PEER + 1);
    stage.pass(Duration::from_secs(5));
    let again = stage.begin(asker, wait("a", 5));
    assert_eq!(stage.answer(asker, again), None);
}
