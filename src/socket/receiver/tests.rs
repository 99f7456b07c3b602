use std::time::Duration;

use super::super::retrying_request::MAX_PAUSE;
use super::*;
use crate::socket::SocketConfig;
use crate::socket::stream::{ReceiveQueue, Windows};
use crate::wire::{Item, PackedBuilder, PackedMessages, Payload};

const BYTES: usize = 1 << 20;

fn data(seq: u64) -> Data {
    Data::new(seq, Item { payload: Payload::NIL, json: None })
}

/// So many messages of one byte.
fn packed(count: u32) -> PackedMessages {
    let mut builder = PackedBuilder::new(&Payload::NIL, None);
    (1..count).for_each(|_| builder.push(&Payload::NIL, None));
    builder.finish()
}

fn handed_over(receiver: &mut Receiver) -> Vec<u64> {
    std::iter::from_fn(|| receiver.poll_data()).map(|data| data.seq).collect()
}

fn attached(window: usize) -> Receiver {
    let mut receiver = Receiver::new(Window { messages: window, bytes: BYTES });
    receiver.attach();
    receiver
}

#[test]
fn messages_come_in_order_each_once_and_gaps_are_asked_for() {
    let mut receiver = attached(10);
    for seq in [1, 4, 4, 3] {
        receiver.handle_data(Instant::now(), data(seq)).expect("in the window");
    }
    assert_eq!(handed_over(&mut receiver), [1]);
    assert_eq!(receiver.poll_transmit(), Some(Outgoing::Missing(vec![2])));
    assert_eq!(receiver.poll_transmit(), None);
    receiver.handle_missing_reply(Instant::now(), Some(vec![data(2)])).expect("in the window");
    assert_eq!(handed_over(&mut receiver), [2, 3, 4]);
    assert_eq!(receiver.poll_transmit(), None);
}

#[test]
fn reports_say_what_was_handled_one_at_a_time() {
    let (mut receiver, now) = (attached(10), Instant::now());
    for seq in 1..=9 {
        receiver.handle_data(Instant::now(), data(seq)).expect("in the window");
    }
    handed_over(&mut receiver);
    assert_eq!(receiver.poll_transmit(), None, "nothing handled yet");
    receiver.consumed(2);
    assert_eq!(receiver.poll_transmit(), Some(Outgoing::Ack { upto: 2, resumed: false }));
    receiver.consumed(1);
    assert_eq!(receiver.poll_transmit(), None, "one is under way");
    receiver.handle_ack_reply(now, true);
    assert_eq!(receiver.poll_transmit(), Some(Outgoing::Ack { upto: 3, resumed: false }));
    receiver.consumed(5);
    assert_eq!(
        receiver.poll_transmit(),
        Some(Outgoing::Ack { upto: 8, resumed: false }),
        "a good part of the window waits"
    );
}

#[test]
fn a_peer_that_has_repeated_itself_is_not_told_again_that_we_were_away() {
    let (mut receiver, now) = (attached(10), Instant::now());
    receiver.handle_data(Instant::now(), data(1)).expect("in the window");
    handed_over(&mut receiver);
    receiver.consumed(1);
    receiver.resume();
    receiver.attach();
    assert_eq!(receiver.poll_transmit(), Some(Outgoing::Ack { upto: 1, resumed: true }));
    receiver.handle_data(Instant::now(), data(1)).expect("known");
    assert_eq!(receiver.poll_transmit(), Some(Outgoing::Ack { upto: 1, resumed: false }));
    receiver.handle_ack_reply(now, false);
    receiver.handle_timeout(now + MAX_PAUSE);
    assert_eq!(receiver.poll_transmit(), Some(Outgoing::Ack { upto: 1, resumed: false }), "nor later");
}

#[test]
fn a_report_leaves_early_too_when_much_of_the_window_of_bytes_was_handled() {
    let mut receiver = Receiver::new(Window { messages: 1000, bytes: 100 });
    receiver.attach();
    for (first, count) in [(1, 1), (2, 20), (22, 30)] {
        assert!(receiver.try_accept_packed(first, &packed(count)));
    }
    receiver.consumed(1);
    assert_eq!(receiver.poll_transmit(), Some(Outgoing::Ack { upto: 1, resumed: false }));
    receiver.consumed(10);
    assert_eq!(receiver.poll_transmit(), None, "one is under way");
    receiver.consumed(5);
    assert_eq!(receiver.poll_transmit(), Some(Outgoing::Ack { upto: 16, resumed: false }));
    receiver.consumed(10);
    assert_eq!(receiver.poll_transmit(), None);
}

#[test]
fn a_duplicate_is_answered_with_a_fresh_report_and_a_lost_report_is_repeated() {
    let (mut receiver, now) = (attached(10), Instant::now());
    receiver.handle_data(Instant::now(), data(1)).expect("in the window");
    handed_over(&mut receiver);
    receiver.consumed(1);
    assert_eq!(receiver.poll_transmit(), Some(Outgoing::Ack { upto: 1, resumed: false }));
    receiver.handle_ack_reply(now, false);
    assert_eq!(receiver.poll_transmit(), None);
    let at = receiver.poll_timeout().expect("armed");
    receiver.handle_timeout(at);
    assert_eq!(receiver.poll_transmit(), Some(Outgoing::Ack { upto: 1, resumed: false }));
    receiver.handle_ack_reply(at, true);
    receiver.handle_data(Instant::now(), data(1)).expect("old");
    assert_eq!(
        (handed_over(&mut receiver), receiver.poll_transmit()),
        (vec![], Some(Outgoing::Ack { upto: 1, resumed: false }))
    );
    assert_eq!(receiver.poll_transmit(), None, "one is under way");
    receiver.handle_data(at + Duration::from_secs(1), data(1)).expect("old");
    assert_eq!(
        receiver.poll_transmit(),
        Some(Outgoing::Ack { upto: 1, resumed: false }),
        "it did not get there"
    );
}

#[test]
fn a_flood_of_duplicates_brings_few_reports_and_few_requests_and_a_lone_one_later_brings_one() {
    let (mut receiver, start) = (attached(10), Instant::now());
    let flood = |receiver: &mut Receiver, seq, from: Instant, answers: bool| {
        let mut sent = 0;
        for number in 0..20_000 {
            let now = from + Duration::from_micros(50 * number);
            receiver.handle_data(now, data(seq)).expect("known");
            while let Some(outgoing) = receiver.poll_transmit() {
                sent += 1;
                match outgoing {
                    Outgoing::Ack { .. } if answers => receiver.handle_ack_reply(now, true),
                    Outgoing::Missing(_) if answers => {
                        receiver.handle_missing_reply(now, None).expect("no news")
                    }
                    _ => {}
                }
            }
        }
        sent
    };
    receiver.handle_data(start, data(1)).expect("in the window");
    handed_over(&mut receiver);
    receiver.consumed(1);
    assert!((1..=51).contains(&flood(&mut receiver, 1, start, true)), "one in 20 ms");
    let later = start + Duration::from_secs(5);
    assert!((1..=4).contains(&flood(&mut receiver, 1, later, false)), "one in 500 ms while none is answered");
    receiver.handle_data(later, data(3)).expect("in the window");
    assert!(
        (1..=4).contains(&flood(&mut receiver, 3, later + Duration::from_secs(5), false)),
        "requests, too"
    );
    receiver.handle_missing_reply(later, Some(vec![data(2)])).expect("in the window");
    let latest = later + Duration::from_secs(30);
    receiver.handle_data(latest, data(1)).expect("old");
    assert_eq!(receiver.poll_transmit(), Some(Outgoing::Ack { upto: 1, resumed: false }));
}

#[test]
fn a_refusal_counts_only_while_what_was_asked_for_is_still_missing() {
    let mut receiver = attached(10);
    receiver.handle_data(Instant::now(), data(2)).expect("in the window");
    assert_eq!(receiver.poll_transmit(), Some(Outgoing::Missing(vec![1])));
    assert!(receiver.is_resend_unanswered());
    // It was only late, and the next gap is another one.
    receiver.handle_data(Instant::now(), data(1)).expect("in the window");
    handed_over(&mut receiver);
    receiver.handle_data(Instant::now(), data(4)).expect("in the window");
    assert!(!receiver.is_resend_unanswered());
}

#[test]
fn what_came_before_its_turn_is_bounded_and_absurd_numbers_are_misbehaviour() {
    let mut receiver = attached(3);
    for seq in 2..=9 {
        receiver.handle_data(Instant::now(), data(seq)).expect("in reach");
    }
    assert_eq!(receiver.out_of_order.len(), 3);
    receiver.handle_data(Instant::now(), data(1)).expect("its turn");
    assert_eq!(handed_over(&mut receiver), [1, 2, 3, 4]);
    assert_eq!(receiver.poll_transmit(), Some(Outgoing::Missing(vec![5, 6, 7, 8, 9])));
    for seq in [0, 1 << 53, u64::MAX] {
        assert_eq!(receiver.handle_data(Instant::now(), data(seq)), Err(PeerMisbehaved::SeqTooFar { seq }));
    }
}

#[test]
fn an_application_that_handles_nothing_gets_a_bounded_number() {
    let mut receiver = attached(1);
    for seq in 1..=MIN_UNCONSUMED + 5 {
        receiver.handle_data(Instant::now(), data(seq)).expect("in reach");
        receiver.poll_data();
    }
    assert_eq!(receiver.unconsumed(), MIN_UNCONSUMED);
    assert_eq!(receiver.poll_transmit(), None, "asking for more would only fill memory");
}

#[test]
fn bytes_that_came_before_their_turn_and_bytes_that_are_not_handled_are_bounded() {
    let mut receiver = Receiver::new(Window { messages: 100, bytes: 1000 });
    receiver.attach();
    let data = |seq| Data::new(seq, Item { payload: Payload::msgpack(vec![0; 400]), json: None });
    for seq in 2..=9 {
        receiver.handle_data(Instant::now(), data(seq)).expect("in reach");
    }
    assert_eq!((receiver.out_of_order.len(), receiver.held_bytes), (2, 800));
    receiver.handle_data(Instant::now(), data(1)).expect("its turn");
    assert_eq!(handed_over(&mut receiver), [1, 2, 3], "no more than the window, and the one that reaches it");
    assert_eq!(receiver.poll_transmit(), None, "asking for more would only fill memory");
    receiver.consumed(3);
    assert_eq!(receiver.poll_transmit(), Some(Outgoing::Ack { upto: 3, resumed: false }));
    assert_eq!(receiver.poll_transmit(), Some(Outgoing::Missing(vec![4, 5])), "as many as can be kept");
}

#[test]
fn what_waits_keeps_nothing_alive_of_what_it_arrived_with_in_either_protocol() {
    for bytes in [10, 100_000] {
        let whole = Bytes::from(vec![0xc0; 1 << 20]);
        let item = || Item { payload: Payload::msgpack(whole.slice(..bytes)), json: None };
        let mut receiver = Receiver::new(Window { messages: 100, bytes: BYTES });
        receiver.handle_data(Instant::now(), Data::new(2, item())).expect("in reach");
        let config = SocketConfig::default();
        let windows = Windows::of_config(&config);
        let mut queue = ReceiveQueue::new(windows, config.receive_window(), usize::MAX);
        queue.handle_item(2, item()).expect("in reach");
        assert_eq!((receiver.usage(), queue.usage(), whole.is_unique()), ((1, bytes), (1, bytes), true));
    }
}

#[test]
fn a_run_is_taken_whole_only_where_it_is_exactly_next_and_there_is_room() {
    let mut receiver = Receiver::new(Window { messages: 10, bytes: 30 });
    receiver.attach();
    assert!(receiver.try_accept_packed(1, &packed(5)));
    assert!(
        !receiver.try_accept_packed(1, &packed(5)) && !receiver.try_accept_packed(5, &packed(5)),
        "known"
    );
    assert!(!receiver.try_accept_packed(7, &packed(2)), "something is missing in front");
    receiver.handle_data(Instant::now(), data(8)).expect("in the window");
    assert!(!receiver.try_accept_packed(6, &packed(2)), "something waits behind");
    for seq in [6, 7] {
        receiver.handle_data(Instant::now(), data(seq)).expect("in the window");
    }
    assert_eq!(handed_over(&mut receiver), [6, 7, 8]);
    assert!(receiver.try_accept_packed(9, &packed(20)), "28 bytes");
    assert!(!receiver.try_accept_packed(29, &packed(3)), "too many bytes");
    assert_eq!((receiver.unconsumed(), receiver.handled()), (28, 0));
    // In the middle of packed messages, over several packs, and more than there is.
    receiver.consumed(3);
    assert_eq!((receiver.unconsumed(), receiver.handled()), (25, 3));
    assert!(receiver.try_accept_packed(29, &packed(5)));
    receiver.consumed(20);
    assert_eq!(receiver.handled(), 23);
    receiver.consumed(99);
    assert_eq!((receiver.unconsumed(), receiver.handled(), receiver.unconsumed_bytes), (0, 33, 0));
    let mut tight = Receiver::new(Window { messages: 10, bytes: 30 });
    tight.force_small_window(true);
    assert!(!tight.try_accept_packed(1, &packed(2)));
}

#[test]
fn more_messages_than_may_be_unhandled_are_not_taken_whole() {
    let mut receiver = attached(10);
    for first in 0..MIN_UNCONSUMED / 250 {
        assert!(receiver.try_accept_packed(250 * first + 1, &packed(250)));
    }
    assert!(!receiver.try_accept_packed(MIN_UNCONSUMED + 1, &packed(2)));
    receiver.consumed(1);
    assert!(!receiver.try_accept_packed(MIN_UNCONSUMED + 1, &packed(2)));
    receiver.consumed(1);
    assert!(receiver.try_accept_packed(MIN_UNCONSUMED + 1, &packed(2)));
}

#[test]
fn a_small_message_that_waits_has_bytes_of_its_own() {
    let mut receiver = attached(10);
    let frame = Bytes::from(vec![7; 1000]);
    let part = |seq| Data::new(seq, Item { payload: Payload::msgpack(frame.slice(10..20)), json: None });
    receiver.handle_data(Instant::now(), part(2)).expect("in the window");
    receiver.handle_data(Instant::now(), part(1)).expect("in the window");
    let own: Vec<bool> = std::iter::from_fn(|| receiver.poll_data())
        .map(|data| data.payload.raw.as_ptr() != frame[10..].as_ptr())
        .collect();
    assert_eq!(own, [false, true]);
}
