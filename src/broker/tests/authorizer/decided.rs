//! What has been decided is done by those who asked, in turns of their own.

use super::*;

const WAITING: usize = 10_000;

/// What a turn may take, and the last operation of it.
const MAX_TURN: u64 = 50_000 + 5_000;

fn crowded() -> (Stage, PeerId, PeerId, AuthRequestId) {
    let mut stage = stage(strict());
    let peer = stage.welcome("s1", "null");
    let tap = stage.broker.attach_internal();
    stage.subscribe(tap, "a", "tap");
    stage.take(tap);
    for number in 0..WAITING {
        stage.say(peer, "a", &number.to_string());
    }
    let asked = stage.asked();
    assert_eq!(asked.len(), 1);
    while stage.broker.poll_woken().is_some() {}
    (stage, peer, tap, asked[0].1)
}

#[test]
fn a_decision_does_nothing_but_wake_and_what_waited_is_done_in_turns_and_in_order() {
    let (mut stage, peer, tap, request) = crowded();
    let before = stage.broker.work();
    stage.broker.handle_decision(stage.now, request, Decision::Allowed);
    assert_eq!(stage.broker.work(), before, "whoever decides routes nothing");
    assert_eq!(stage.broker.stats().published.messages, 0);
    assert_eq!(stage.broker.poll_woken(), Some(peer));
    let mut later =
        vec![ClientOp::Publish { ack: None, publication: publication("a", "m", 0, true, "last") }];
    let (mut turns, mut heard) = (1, Vec::new());
    loop {
        let before = stage.broker.work();
        let is_over = stage.broker.handle_ops(stage.now, peer, &mut later, 0);
        assert!(stage.broker.work() - before <= MAX_TURN);
        heard.extend(stage.received(tap));
        if !is_over {
            break;
        }
        assert!(stage.broker.is_deciding(peer) || !later.is_empty());
        stage.now += Duration::from_millis(10);
        turns += 1;
    }
    assert!(turns >= 4, "{turns} turns");
    let numbers = (0..WAITING).map(|number| number.to_string());
    let expected: Vec<String> = numbers.chain(["last".into()]).map(|text| format!("a: {text}")).collect();
    assert_eq!(heard, expected);
    assert!(!stage.broker.is_deciding(peer) && !stage.broker.is_paused(peer));
}

#[test]
fn what_waits_for_its_turn_counts_as_memory_until_it_is_done() {
    let (mut stage, peer, tap, request) = crowded();
    let waiting = stage.broker.stats().memory_bytes;
    stage.broker.handle_decision(stage.now, request, Decision::Denied);
    assert!(stage.broker.stats().memory_bytes + 4096 > waiting, "nothing of it is done yet");
    while stage.broker.handle_ops(stage.now, peer, &mut Vec::new(), 0) {
        stage.take(peer);
    }
    stage.take(peer);
    assert!(stage.broker.stats().memory_bytes < waiting / 4);
    assert!(stage.received(tap).is_empty());
    assert_eq!(stage.broker.stats().publishes_refused, WAITING as u64);
}

#[test]
fn a_revocation_and_a_disconnect_stop_also_what_is_allowed_and_has_not_had_its_turn() {
    let (mut stage, peer, tap, request) = crowded();
    stage.broker.handle_decision(stage.now, request, Decision::Allowed);
    stage.broker.revalidate(stage.now, None);
    assert!(!stage.broker.handle_ops(stage.now, peer, &mut Vec::new(), 0));
    assert!(stage.received(tap).is_empty(), "it is asked about again");
    stage.decide_all(|_| false);
    assert_eq!(stage.broker.stats().publishes_refused, WAITING as u64);

    let (mut stage, peer, tap, request) = crowded();
    stage.broker.handle_decision(stage.now, request, Decision::Allowed);
    stage.broker.disconnect(&BTreeSet::from(["s1".to_owned()]));
    assert!(!stage.broker.handle_ops(stage.now, peer, &mut Vec::new(), 0));
    assert!(stage.received(tap).is_empty() && !stage.broker.is_deciding(peer));
}
