use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;
use crate::socket::stream::ReceiveQueue;
use crate::wire::stream::{Answer, Request};
use crate::wire::{Encoding, Messages, Payload};

const PIECE: usize = 50;

fn windows() -> Windows {
    Windows::of_config(&SocketConfig::default())
}

fn big(size: usize) -> Messages {
    Messages::one(Payload::msgpack(vec![7; size]), None)
}

fn attached(windows: Windows) -> (SendQueue, Instant) {
    let now = Instant::now();
    let mut sender = SendQueue::new(&SocketConfig::default(), windows, PIECE, true);
    sender.attach(now);
    (sender, now)
}

fn poll_all(sender: &mut SendQueue, now: Instant) -> Vec<Encoding> {
    sender.begin_turn(false);
    let left = std::iter::from_fn(|| sender.poll_transmit(now));
    left.flat_map(|(_, messages)| messages.items().collect::<Vec<_>>())
        .map(|item| item.payload.encoding)
        .collect()
}

#[test]
fn a_large_message_begins_unasked_and_goes_on_as_far_as_it_is_granted() {
    let (mut sender, now) = attached(windows());
    sender.write(now, big(200), false).expect("room");
    sender.write(now, big(10), false).expect("room");
    assert_eq!(poll_all(&mut sender, now), [Encoding::BIG]);
    sender.handle_credit(now, 120);
    assert_eq!(poll_all(&mut sender, now), [Encoding::MORE; 2]);
    assert_eq!(sender.take_wanted(), None, "more comes by itself");
    let counts = Counts { arrived: 3, ..Counts::default() };
    assert_eq!(sender.handle_counts(now, &counts), Ok(false));
    assert_eq!((sender.unacked(), sender.unacked_bytes()), (2, 210), "one message, however much has arrived");
    sender.handle_credit(now, 200);
    assert_eq!(poll_all(&mut sender, now), [Encoding::MORE, Encoding::MORE, Encoding::MSGPACK]);
    let counts = Counts { arrived: 6, data: 1, ..Counts::default() };
    assert_eq!(sender.handle_counts(now, &counts), Ok(true));
    assert_eq!((sender.unacked(), sender.unacked_bytes(), sender.acked_bytes()), (1, 10, 200));
}

#[test]
fn what_is_not_whole_at_the_other_end_comes_back_whole() {
    let (mut sender, now) = attached(windows());
    for size in [60, 70, 80] {
        sender.write(now, big(size), false).expect("room");
    }
    sender.handle_credit(now, 145);
    poll_all(&mut sender, now);
    let counts = Counts { arrived: 2, ..Counts::default() };
    assert_eq!(sender.handle_counts(now, &counts), Ok(false));
    let undelivered = sender.take_undelivered();
    assert_eq!(undelivered.iter().map(|data| data.payload.raw.len()).collect::<Vec<_>>(), [60, 70, 80]);
}

#[test]
fn what_has_arrived_since_it_was_asked_for_does_not_leave_again() {
    let (mut sender, now) = attached(windows());
    for _ in 0..3 {
        sender.write(now, big(10), false).expect("room");
    }
    poll_all(&mut sender, now);
    sender.handle_missing(now, 0, &[(0, 3)]);
    // In the same batch.
    let counts = Counts { arrived: 2, ..Counts::default() };
    assert_eq!(sender.handle_counts(now, &counts), Ok(false));
    sender.begin_turn(false);
    let again: Vec<u64> = std::iter::from_fn(|| sender.poll_transmit(now)).map(|(first, _)| first).collect();
    assert_eq!(again, [3]);
}

#[test]
fn requests_that_have_left_and_are_not_handled_are_known_by_their_keys() {
    let (mut sender, now) = attached(windows());
    let ask = |sender: &mut SendQueue, key| {
        let request = Request { key, timeout: 0, payload: Payload::NIL }.encode(false);
        sender.write(now, Messages::one(request, None), false).expect("room");
    };
    ask(&mut sender, 1);
    sender.write(now, big(10), false).expect("room");
    ask(&mut sender, 2);
    ask(&mut sender, 3);
    poll_all(&mut sender, now);
    ask(&mut sender, 4);
    let unhandled = |sender: &SendQueue| sender.unhandled_requests().collect::<Vec<_>>();
    assert_eq!(unhandled(&sender), [1, 2, 3], "the fourth has not left");
    let counts = Counts { arrived: 4, requests: 2, ..Counts::default() };
    assert_eq!(sender.handle_counts(now, &counts), Ok(false));
    assert_eq!(unhandled(&sender), [3], "it has arrived, and that is all");
    assert_eq!(sender.handle_counts(now, &Counts { requests: 1, ..counts }), Ok(false));
    assert_eq!(unhandled(&sender), [3], "older news is no news");
}

#[test]
fn credit_that_was_not_used_in_time_is_asked_for_again_and_again() {
    let (mut sender, mut now) = attached(windows());
    sender.write(now, big(200), false).expect("room");
    poll_all(&mut sender, now);
    sender.handle_credit(now, 200);
    now += Duration::from_secs(1);
    assert_eq!(poll_all(&mut sender, now), [], "others may have it");
    sender.handle_timeout(now);
    assert_eq!((sender.take_wanted(), sender.take_wanted()), (Some(200), None), "at once");
    let again = sender.poll_timeout().expect("armed");
    sender.handle_timeout(again);
    assert_eq!(sender.take_wanted(), Some(200));
    sender.handle_credit(again, 200);
    assert_eq!(poll_all(&mut sender, again), [Encoding::MORE; 3]);
}

#[test]
fn what_waits_behind_a_large_message_is_told_so_that_it_need_not_ask() {
    let (mut sender, now) = attached(windows());
    sender.write(now, big(200), false).expect("room");
    sender.write(now, big(300), false).expect("room");
    poll_all(&mut sender, now);
    assert_eq!(sender.take_wanted(), Some(500));
}

#[test]
fn small_answers_go_between_the_pieces_of_data_and_behind_a_large_answer() {
    let answer = |key, size| {
        let payload = Payload::msgpack(vec![7; size]);
        Messages::one(Answer { key, payload }.encode(false), None)
    };
    let (mut sender, now) = attached(windows());
    sender.write(now, big(200), false).expect("room");
    assert_eq!(poll_all(&mut sender, now), [Encoding::BIG]);
    sender.write(now, answer(1, 2), false).expect("room");
    assert_eq!(poll_all(&mut sender, now), [Encoding::ANSWER]);
    sender.write(now, answer(2, 100), false).expect("room");
    sender.write(now, answer(3, 2), false).expect("room");
    assert_eq!(poll_all(&mut sender, now), [], "in the order of the answers");
    sender.handle_credit(now, 200);
    let rest = [Encoding::MORE, Encoding::MORE, Encoding::MORE, Encoding::BIG];
    assert_eq!(poll_all(&mut sender, now), rest);
    sender.handle_credit(now, 400);
    assert_eq!(poll_all(&mut sender, now), [Encoding::MORE, Encoding::MORE, Encoding::ANSWER]);
}

#[test]
fn an_end_that_hears_of_nothing_is_not_told_of_any_number_of_dropped_messages() {
    let (mut sender, now) = attached(windows());
    (1..100_000).for_each(|number| sender.note_dropped(now, number));
    assert_eq!(sender.waiting_sizes.counts[Class::Answer as usize], 65_536);
    assert_eq!(sender.most_handled(), Some(0), "what was dropped first is told first");
}

#[test]
fn a_turn_ends_so_that_others_get_theirs() {
    let now = Instant::now();
    let mut sender = SendQueue::new(&SocketConfig::default(), windows(), 256 * 1024, true);
    sender.attach(now);
    sender.write(now, big(2_000_000), false).expect("room");
    sender.handle_credit(now, 2_000_000);
    for _ in 0..7 {
        assert_eq!(poll_all(&mut sender, now).len(), 1);
        assert!(sender.waits_for_turn());
    }
    assert_eq!(poll_all(&mut sender, now).len(), 1);
    assert!(!sender.waits_for_turn());
}

#[test]
fn what_leaves_whole_has_turns_too_but_for_the_last_one() {
    let now = Instant::now();
    let mut sender = SendQueue::new(&SocketConfig::default(), windows(), 256 * 1024, true);
    sender.attach(now);
    (0..9).for_each(|_| sender.write(now, big(40_000), false).expect("room"));
    for _ in 0..2 {
        assert_eq!(poll_all(&mut sender, now).len(), 2);
        assert!(sender.waits_for_turn());
    }
    sender.set_last_turn();
    assert_eq!(poll_all(&mut sender, now).len(), 5);
    assert!(!sender.waits_for_turn());
}

fn calls() -> impl Strategy<Value = Payload> {
    (0..4_u8, 1..9_u64, 0..300_usize).prop_map(|(kind, key, size)| {
        let payload = Payload::msgpack(vec![kind; size]);
        match kind {
            0 => Request { key, timeout: 0, payload }.encode(false),
            1 => Answer { key, payload }.encode(false),
            _ => payload,
        }
    })
}

proptest! {
    /// Both halves, on a way that loses what it likes, with credit by any amounts: everything comes once,
    /// whole and in order, but for answers past the pieces of what is none.
    #[test]
    fn what_is_cut_joins_again_whatever_is_lost_and_granted(
        calls in prop::collection::vec(calls(), 1..30),
        (messages, bytes) in (1..6_u64, 1..400_u64),
        steps in prop::collection::vec((0..3_usize, 1..150_u64, any::<u64>()), 61),
    ) {
        let list = [messages, bytes, messages, bytes, messages, bytes].map(Some);
        let windows = Windows::from_items(list.into_iter()).expect("six");
        let (mut sender, mut now) = attached(windows);
        let mut receiver = ReceiveQueue::new(windows, SocketConfig::default().receive_window(), 1000);
        let (mut written, mut given, mut credit) = (0, Vec::new(), 0);
        let mut steps = steps.into_iter().cycle();
        for round in 0.. {
            prop_assert!(round < 20_000, "it goes on and on");
            let (writes, grant, losses) = steps.next().expect("for ever");
            for payload in calls.iter().skip(written).take(writes) {
                sender.write(now, Messages::one(payload.clone(), None), false).expect("room");
                written += 1;
            }
            now += Duration::from_millis(100);
            sender.handle_timeout(now);
            sender.begin_turn(false);
            let mut n = 0;
            while let Some((first, messages)) = sender.poll_transmit(now) {
                for (index, item) in messages.items().enumerate() {
                    n += 1;
                    if losses >> (n % 64) & 3 != 0 {
                        receiver.handle_item(first + index as u64, item).expect("sound");
                    }
                }
            }
            receiver.handle_next(sender.next()).expect("sound");
            while let Some(item) = receiver.poll_item().expect("in order") {
                receiver.handle_consumed(item.payload.encoding.class().expect("an item"), 1);
                given.push(item.payload);
            }
            if let Some(offset) = sender.take_wanted() {
                receiver.assembly().handle_wanted(offset);
            }
            if let Some(claim) = receiver.assembly().take_claim() {
                credit = credit.max(claim.wanted.min(claim.received + grant));
                receiver.assembly().grant(credit);
                sender.handle_credit(now, credit);
            }
            sender.handle_counts(now, &receiver.counts()).expect("sound");
            let (missing, _) = receiver.missing();
            sender.handle_missing(now, receiver.counts().arrived, &missing);
            if written == calls.len() && given.len() == calls.len() {
                break;
            }
        }
        let of = |payloads: &[Payload], answers: bool| -> Vec<Payload> {
            let is_answer = |payload: &Payload| payload.encoding.class() == Some(Class::Answer);
            payloads.iter().filter(|payload| is_answer(payload) == answers).cloned().collect()
        };
        for answers in [false, true] {
            prop_assert_eq!(of(&calls, answers), of(&given, answers));
        }
        prop_assert_eq!(sender.unacked(), 0);
        prop_assert_eq!((sender.is_under_way(), receiver.partial_bytes()), (false, 0));
        let classes: BTreeSet<usize> = Class::ALL.into_iter().map(|class| sender.waiting_bytes(class)).collect();
        prop_assert_eq!(classes, BTreeSet::from([0]));
    }
}
