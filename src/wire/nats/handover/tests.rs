//! Publishers at several servers, and one subscriber that moves from one of them to another.
#![allow(clippy::disallowed_methods)]

use super::*;
use crate::base::{Entropy, SeededEntropy};

/// What a server passes on, and when that arrives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Flight {
    at: Duration,
    publisher: usize,
    number: u64,
    share: bool,
}

const PUBLISHERS: usize = 3;
const COUNT: u64 = 400;

fn micros(chance: &mut SeededEntropy, least: usize, most: usize) -> Duration {
    Duration::from_micros((least + chance.below(most - least)) as u64)
}

/// One move: what the subscriber is given, in order.
fn moved(seed: u64) -> Vec<(usize, u64, bool)> {
    let mut chance = SeededEntropy::new(seed);
    let start = Instant::now();
    // Each way from a publisher to a server keeps order, and takes its time.
    let ways: Vec<[Duration; 2]> =
        (0..PUBLISHERS).map(|_| [micros(&mut chance, 50, 20_000), micros(&mut chance, 50, 20_000)]).collect();
    let (settled, joined) = (micros(&mut chance, 100, 5_000), micros(&mut chance, 5_000, 10_000));
    // When each publisher's server hears of the next connection, and when the old server of its end.
    let known: Vec<Duration> = (0..PUBLISHERS).map(|_| joined + micros(&mut chance, 0, 50_000)).collect();
    let left = joined + SPREADING;
    let unknown: Vec<Duration> = (0..PUBLISHERS).map(|_| left + micros(&mut chance, 0, 20_000)).collect();
    let (mut old, mut next) = (Vec::new(), Vec::new());
    for publisher in 0..PUBLISHERS {
        let mut last = [Duration::ZERO; 2];
        for number in 0..COUNT {
            let share = chance.below(4) == 0;
            let sent = Duration::from_micros(number * 1000 + publisher as u64);
            let is_known = [sent < unknown[publisher], sent >= known[publisher]];
            let to_next =
                if share && is_known[0] && is_known[1] { chance.below(2) == 1 } else { is_known[1] };
            let to_old = is_known[0] && !(share && to_next);
            for (side, goes) in [to_old, to_next].into_iter().enumerate() {
                last[side] = last[side].max(sent + ways[publisher][side] + micros(&mut chance, 0, 500));
                let flight = Flight { at: last[side], publisher, number, share };
                if goes && side == 0 && flight.at >= left {
                    // A server passes on what comes for a member that has just left.
                    if share {
                        next.push(Flight { at: flight.at + ways[publisher][1], ..flight });
                    }
                } else if goes {
                    [&mut old, &mut next][side].push(flight);
                }
            }
        }
    }
    old.sort_by_key(|flight| flight.at);
    next.sort_by_key(|flight| flight.at);
    // Now and then one has the content of an earlier one.
    let copy = |flight: &Flight| match flight.share {
        true => Reach::Share,
        false => Reach::Copy(flight.publisher as u64 * 1000 + flight.number % 150),
    };
    let ended = left + micros(&mut chance, 100, 3_000);
    let mut times: Vec<Duration> = old.iter().chain(&next).map(|flight| flight.at).collect();
    times.extend([settled, joined, left, ended]);
    times.sort_unstable();
    let (mut got, mut late) = (Vec::new(), None);
    let name = |flight: &Flight| (flight.publisher, flight.number, flight.share);
    let (mut old, mut next) = (old.into_iter().peekable(), next.into_iter().peekable());
    let mut handover = Some(Handover::begin(start));
    for at in times {
        let now = start + at;
        while let Some(flight) = old.next_if(|flight| flight.at <= at) {
            if let Some(handover) = &mut handover {
                handover.handle_old(now, copy(&flight));
                got.push(name(&flight));
            }
        }
        while let Some(flight) = next.next_if(|flight| flight.at <= at) {
            match (&mut handover, &mut late) {
                (Some(handover), _) => got.extend(handover.handle_next(now, copy(&flight), 1, name(&flight))),
                (None, Some(late)) => {
                    let late: &mut Late = late;
                    if late.is_over(now) || late.admits(copy(&flight)) {
                        got.push(name(&flight));
                    }
                }
                (None, None) => unreachable!(),
            }
        }
        if let Some(handover) = &mut handover {
            handover.poll(now, at >= settled, at >= joined);
        }
        if at >= ended
            && let Some(handover) = handover.take()
        {
            let (waiting, rest) = handover.finish(now);
            got.extend(waiting);
            late = Some(rest);
        }
    }
    got
}

#[test]
fn a_subscriber_that_moves_gets_everything_once_and_in_order() {
    for seed in 0..300 {
        let got = moved(seed);
        for publisher in 0..PUBLISHERS {
            let of = |share: bool| -> Vec<u64> {
                let own = got.iter().filter(|(from, _, is)| *from == publisher && *is == share);
                own.map(|(_, number, _)| *number).collect()
            };
            let mut shares = of(true);
            shares.sort_unstable();
            let copies: Vec<u64> = (0..COUNT).filter(|number| !shares.contains(number)).collect();
            assert_eq!(of(false), copies, "seed {seed}, publisher {publisher}");
            shares.windows(2).for_each(|pair| assert!(pair[0] < pair[1], "seed {seed}: twice {pair:?}"));
        }
    }
}

#[test]
fn nothing_is_subscribed_to_before_all_is_settled_and_nothing_is_left_before_others_know() {
    let now = Instant::now();
    let mut handover = Handover::<()>::begin(now);
    assert_eq!((handover.poll(now, false, true), handover.is_settled()), (None, false));
    assert_eq!(handover.poll(now, true, true), Some(Step::Join));
    assert_eq!((handover.poll(now, true, false), handover.is_settled()), (None, true));
    assert_eq!(handover.poll(now, false, true), None);
    assert_eq!(handover.deadline(), Some(now + SPREADING));
    assert_eq!(handover.poll(now + SPREADING, true, true), Some(Step::Leave));
    assert_eq!((handover.poll(now + SPREADING, true, true), handover.deadline()), (None, None));
}

#[test]
fn a_server_that_answers_nothing_is_given_up_and_what_it_alone_was_given_is_passed_on() {
    let now = Instant::now();
    let mut handover = Handover::begin(now);
    assert_eq!(handover.poll(now, true, true), Some(Step::Join));
    let passed = [(Reach::Word, 1), (Reach::Share, 2), (Reach::Copy(3), 3)]
        .map(|(reach, news)| handover.handle_next(now, reach, 1, news));
    assert_eq!(passed, [None, Some(2), None]);
    let late = handover.deadline().expect("it ends");
    assert_eq!(handover.poll(late, true, false), Some(Step::GiveUp));
}

/// One whose next connection is known everywhere.
fn spread() -> (Handover<u32>, Instant) {
    let now = Instant::now();
    let mut handover = Handover::begin(now);
    handover.poll(now, true, true);
    handover.poll(now, true, true);
    (handover, now + SPREADING / 2)
}

#[test]
fn what_waits_is_bounded_and_a_copy_makes_room() {
    let (mut handover, now) = spread();
    handover.handle_next(now, Reach::Copy(1), MAX_WAITING_BYTES, 1);
    assert!(!handover.has_room());
    handover.handle_old(now, Reach::Copy(1));
    assert!(handover.has_room());
    assert!(handover.finish(now).0.is_empty());
}

#[test]
fn a_message_that_is_said_again_and_again_is_left_out_no_more_often_than_it_came() {
    let (mut handover, middle) = spread();
    let before = middle.checked_sub(Duration::from_millis(1)).expect("later");
    let end = middle + SPREADING / 2;
    // Others may not have known of the next connection, and no copy comes there.
    handover.handle_old(before, Reach::Copy(1));
    handover.handle_old(middle, Reach::Copy(1));
    assert_eq!(handover.poll(end, true, true), Some(Step::Leave));
    handover.handle_old(end, Reach::Copy(1));
    let (waiting, mut late) = handover.finish(end);
    assert!(waiting.is_empty());
    let admitted: Vec<bool> = (0..3).map(|_| late.admits(Reach::Copy(1))).collect();
    assert_eq!(admitted, [false, true, true]);
    assert!(late.is_over(end), "nothing is missing");
}
