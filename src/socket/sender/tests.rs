use bytes::Bytes;

use super::*;
use crate::wire::PackedBuilder;

fn sender(messages: usize) -> Sender {
    Sender::new(&SocketConfig { max_queue: messages, ..SocketConfig::default() })
}

fn write(sender: &mut Sender, text: &'static str) -> Result<u64, WriteError> {
    sender.write(Instant::now(), Messages::one(Payload::msgpack(text), None), false)
}

fn transmitted(sender: &mut Sender, now: Instant) -> Vec<u64> {
    std::iter::from_fn(|| sender.poll_transmit(now))
        .flat_map(|(first, batch)| first..first + u64::from(batch.count()))
        .collect()
}

#[test]
fn writes_queue_until_a_peer_is_attached_and_fail_at_the_window() {
    let (mut sender, now) = (sender(2), Instant::now());
    assert_eq!((write(&mut sender, "a"), write(&mut sender, "b")), (Ok(1), Ok(2)));
    assert_eq!(write(&mut sender, "c"), Err(WriteError::Full { window: 2 }));
    assert!(transmitted(&mut sender, now).is_empty());
    sender.attach(now);
    assert_eq!(transmitted(&mut sender, now), [1, 2]);
    assert_eq!(sender.handle_ack(now, 1), Ok(true));
    assert_eq!((sender.unacked(), write(&mut sender, "c")), (1, Ok(3)));
}

#[test]
fn the_last_message_goes_again_after_a_pause_and_after_a_reattach() {
    let (mut sender, now) = (sender(9), Instant::now());
    sender.attach(now);
    for text in ["a", "b"] {
        write(&mut sender, text).expect("room");
    }
    assert_eq!(transmitted(&mut sender, now), [1, 2]);
    let at = sender.poll_timeout().expect("armed");
    sender.handle_timeout(at);
    assert_eq!(transmitted(&mut sender, at), [2]);
    sender.detach();
    assert_eq!(sender.poll_timeout(), None);
    write(&mut sender, "c").expect("room");
    sender.attach(at);
    assert_eq!(transmitted(&mut sender, at), [2, 3]);
    assert_eq!(sender.handle_ack(at, 3), Ok(true));
    assert_eq!((sender.poll_timeout(), transmitted(&mut sender, at)), (None, vec![]));
}

#[test]
fn acknowledging_what_was_never_sent_is_misbehaviour_and_an_old_ack_is_not() {
    let (mut sender, now) = (sender(9), Instant::now());
    write(&mut sender, "a").expect("room");
    assert_eq!(sender.handle_ack(now, 1), Err(PeerMisbehaved::AckedUnsent { upto: 1 }));
    sender.attach(now);
    transmitted(&mut sender, now);
    assert_eq!(sender.handle_ack(now, 1), Ok(true));
    assert_eq!(sender.handle_ack(now, 0), Ok(false));
    assert_eq!(sender.handle_ack(now, u64::MAX), Err(PeerMisbehaved::AckedUnsent { upto: u64::MAX }));
}

#[test]
fn resends_what_is_kept_and_refuses_what_is_not() {
    let (mut sender, now) = (sender(9), Instant::now());
    sender.attach(now);
    for text in ["a", "b", "c"] {
        write(&mut sender, text).expect("room");
    }
    transmitted(&mut sender, now);
    sender.handle_ack(now, 1).expect("sent");
    let mut seqs = |list: &[u64]| {
        sender.resend(now, list).map(|found| found.iter().map(|data| data.seq).collect::<Vec<_>>())
    };
    assert_eq!(seqs(&[2, 3]), Some(vec![2, 3]));
    assert_eq!((seqs(&[1]), seqs(&[4]), seqs(&[])), (None, None, None));
}

#[test]
fn an_answer_to_a_missing_list_holds_8_mb_or_one_message_oldest_first() {
    let config = SocketConfig { max_queue_bytes: 4 * MAX_IN_FLIGHT_BYTES, ..SocketConfig::default() };
    let (mut sender, now) = (Sender::new(&config), Instant::now());
    let big = |megabytes: usize| Payload::msgpack(vec![0; megabytes * 1000 * 1000 - 100]);
    sender.attach(now);
    for megabytes in [3, 3, 3] {
        sender.write(now, Messages::one(big(megabytes), None), false).expect("room");
    }
    assert_eq!(transmitted(&mut sender, now), [1, 2, 3]);
    let seqs = |sender: &mut Sender, list: &[u64]| {
        sender.resend(now, list).map(|found| found.iter().map(|data| data.seq).collect::<Vec<_>>())
    };
    assert_eq!(seqs(&mut sender, &[3, 1, 1, 2]), Some(vec![1, 2]), "the rest is asked for again");
    sender.handle_ack(now, 3).expect("sent");
    sender.write(now, Messages::one(big(12), None), false).expect("room");
    assert_eq!(transmitted(&mut sender, now), [4]);
    assert_eq!(seqs(&mut sender, &[4]), Some(vec![4]));
}

#[test]
fn bytes_in_flight_are_bounded_but_one_message_always_goes() {
    let config = SocketConfig { max_queue_bytes: 4 * MAX_IN_FLIGHT_BYTES, ..SocketConfig::default() };
    let (mut sender, now) = (Sender::new(&config), Instant::now());
    let big = || Payload::msgpack(vec![0; MAX_IN_FLIGHT_BYTES + 1]);
    sender.attach(now);
    for _ in 0..2 {
        sender.write(now, Messages::one(big(), None), false).expect("room");
    }
    assert_eq!(transmitted(&mut sender, now), [1]);
    sender.handle_ack(now, 1).expect("sent");
    assert_eq!(transmitted(&mut sender, now), [2]);
}

#[test]
fn bytes_are_bounded_like_messages_and_headers_count() {
    let config = SocketConfig { max_queue_bytes: 100, ..SocketConfig::default() };
    let (mut sender, now) = (Sender::new(&config), Instant::now());
    let put = |sender: &mut Sender, size: usize, json| {
        sender.write(now, Messages::one(Payload::msgpack(vec![0; size]), json), false)
    };
    assert_eq!(put(&mut sender, 60, None), Ok(1));
    assert_eq!(put(&mut sender, 41, None), Err(WriteError::FullBytes { window: 100 }));
    let json = Json::from_value(&serde_json::json!({ "a": "x".repeat(40) }));
    assert_eq!(put(&mut sender, 1, Some(json)), Err(WriteError::FullBytes { window: 100 }));
    assert_eq!(put(&mut sender, 40, None), Ok(2));
    sender.attach(now);
    transmitted(&mut sender, now);
    sender.handle_ack(now, 2).expect("sent");
    assert_eq!((sender.acked_bytes(), put(&mut sender, 1000, None)), (100, Ok(3)), "a large one goes alone");
    assert_eq!(put(&mut sender, 0, None), Err(WriteError::FullBytes { window: 100 }));
}

#[test]
fn what_is_left_at_the_end_comes_out_in_order_without_the_volatile_ones() {
    let (mut sender, now) = (sender(9), Instant::now());
    sender.attach(now);
    for (seq, volatile) in [(1, true), (2, false), (3, true), (4, false), (5, true)] {
        assert_eq!(sender.write(now, Messages::one(Payload::NIL, None), volatile), Ok(seq));
    }
    transmitted(&mut sender, now);
    sender.handle_ack(now, 2).expect("sent");
    let left: Vec<u64> = sender.take_undelivered().iter().map(|data| data.seq).collect();
    assert_eq!(left, [4]);
}

#[test]
fn a_peer_that_acknowledges_nothing_while_the_window_is_used_is_noticed() {
    let timeout = Some(Duration::from_secs(3));
    let config = SocketConfig { max_queue: 4, slow_consumer_timeout: timeout, ..SocketConfig::default() };
    let (mut sender, start) = (Sender::new(&config), Instant::now());
    let at = |seconds| start + Duration::from_secs(seconds);
    sender.attach(start);
    let put =
        |sender: &mut Sender, now| sender.write(now, Messages::one(Payload::NIL, None), false).expect("room");
    put(&mut sender, start);
    assert!(!sender.is_stalled(at(99)), "less than half is used");
    put(&mut sender, at(1));
    put(&mut sender, at(2));
    transmitted(&mut sender, at(2));
    assert!(!sender.is_stalled(at(3)) && sender.is_stalled(at(4)));
    assert!(sender.poll_timeout().is_some_and(|at_most| at_most <= at(4)));
    sender.handle_ack(at(3), 1).expect("sent");
    assert!(!sender.is_stalled(at(5)) && sender.is_stalled(at(6)), "an acknowledgement buys time");
    sender.handle_ack(at(5), 2).expect("sent");
    assert!(!sender.is_stalled(at(99)), "it has caught up");
}

#[test]
fn asking_a_million_times_for_everything_is_paced_and_an_honest_peer_is_served_again() {
    let now = Instant::now();
    let mut sender = sender(1000);
    sender.attach(now);
    for _ in 0..100 {
        sender.write(now, Messages::one(Payload::msgpack(vec![7; 100_000]), None), false).expect("room");
    }
    transmitted(&mut sender, now);
    let all: Vec<u64> = (0..=100).collect();
    let mut sent = 0;
    for _ in 0..1_000_000 {
        sent += sender.resend(now, &all).expect("not refused").iter().map(Data::bytes).sum::<usize>();
    }
    assert!(
        (resend_budget::RESEND_BUDGET..resend_budget::RESEND_BUDGET + MAX_RESEND_BYTES).contains(&sent),
        "{sent}"
    );
    // Two seconds forgive 16 MB, and progress as much as it was.
    let later = now + Duration::from_secs(2);
    let mut more = 0;
    for _ in 0..1000 {
        more += sender.resend(later, &all).expect("kept").iter().map(Data::bytes).sum::<usize>();
    }
    assert!((1..=16_000_000 + MAX_RESEND_BYTES).contains(&more), "{more}");
    assert_eq!(sender.handle_ack(later, 99), Ok(true));
    assert_eq!(sender.resend(later, &all).expect("kept").len(), 1);
}

/// So many small messages in one go, `text` and its number each.
fn packed(text: &str, numbers: std::ops::RangeInclusive<u64>) -> Messages {
    let payload = |number| Payload::msgpack(format!("{text}{number}"));
    let mut builder = PackedBuilder::new(&payload(*numbers.start()), None);
    numbers.skip(1).for_each(|number| builder.push(&payload(number), None));
    Messages::Packed(builder.finish())
}

#[test]
fn a_run_leaves_as_it_was_written_and_each_of_its_messages_is_acknowledged_and_resent_by_itself() {
    let (mut sender, now) = (sender(20), Instant::now());
    assert_eq!(sender.write(now, packed("m", 1..=3), false), Ok(3));
    assert_eq!(write(&mut sender, "m4"), Ok(4));
    assert_eq!(sender.write(now, packed("m", 5..=9), false), Ok(9));
    assert_eq!((sender.unacked(), sender.unacked_bytes()), (9, 18));
    sender.attach(now);
    let counts: Vec<_> = std::iter::from_fn(|| sender.poll_transmit(now))
        .map(|(first, batch)| (first, batch.count()))
        .collect();
    assert_eq!(counts, [(1, 3), (4, 1), (5, 5)]);
    let resent = |sender: &mut Sender, wanted: &[u64]| {
        let found = sender.resend(now, wanted).unwrap_or_default().into_iter();
        found.map(|data| (data.seq, data.payload.raw)).collect::<Vec<_>>()
    };
    let kept = |numbers: &[u64]| {
        numbers.iter().map(|number| (*number, Bytes::from(format!("m{number}")))).collect::<Vec<_>>()
    };
    assert_eq!(resent(&mut sender, &[9, 2, 4, 6, 99]), kept(&[2, 4, 6, 9]));
    // In the middle of the first, then of the last.
    assert_eq!(sender.handle_ack(now, 2), Ok(true));
    assert_eq!((sender.unacked(), sender.unacked_bytes(), sender.acked_bytes()), (7, 14, 4));
    assert_eq!(resent(&mut sender, &[1, 2, 3]), kept(&[3]));
    assert_eq!(sender.handle_ack(now, 7), Ok(true));
    assert_eq!(resent(&mut sender, &[7, 8, 9]), kept(&[8, 9]));
    let at = sender.poll_timeout().expect("armed");
    sender.handle_timeout(at);
    assert_eq!(transmitted(&mut sender, at), [9], "the last one goes again, alone");
    assert_eq!(sender.handle_ack(now, 10), Err(PeerMisbehaved::AckedUnsent { upto: 10 }));
    assert_eq!(sender.handle_ack(now, 9), Ok(true));
    assert_eq!((sender.unacked(), sender.unacked_bytes(), sender.is_waiting()), (0, 0, false));
}

#[test]
fn a_run_that_does_not_fit_is_refused_whole() {
    let (mut sender, now) = (sender(4), Instant::now());
    assert_eq!(sender.write(now, packed("m", 1..=3), false), Ok(3));
    assert_eq!(sender.write(now, packed("m", 4..=5), false), Err(WriteError::Full { window: 4 }));
    assert_eq!(sender.write(now, packed("m", 4..=4), true), Ok(4));
    let left: Vec<u64> = sender.take_undelivered().iter().map(|data| data.seq).collect();
    assert_eq!(left, [1, 2, 3], "without the volatile one");
}
