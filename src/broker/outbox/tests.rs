#![allow(clippy::disallowed_methods)]

use std::time::Duration;

use super::*;
use crate::subject::{Pattern, Subject};
use crate::wire::{AckId, Headers, Message, Payload};

const WIDE: OutboxLimits = OutboxLimits { bytes: usize::MAX, ops: usize::MAX };

fn strings(id: u64, length: usize) -> ServerOp {
    ServerOp::Ack { id: AckId(id), reply: Reply::Strings(vec!["x".repeat(length)]) }
}

#[test]
fn both_bounds_hold_and_what_does_not_fit_is_not_taken() {
    let mut outbox = Outbox::default();
    let two = OutboxLimits { bytes: usize::MAX, ops: 2 };
    assert_eq!(outbox.push(two, strings(0, 1), None), Ok(()));
    assert_eq!(outbox.push(two, strings(1, 1), None), Ok(()));
    assert_eq!(outbox.push(two, strings(2, 1), None), Err(Overflow::Peer));
    let exact = OutboxLimits { bytes: outbox.bytes() + cost(&strings(3, 100)), ops: 10 };
    assert_eq!(outbox.push(exact, strings(3, 101), None), Err(Overflow::Peer));
    assert_eq!(outbox.push(exact, strings(3, 100), None), Ok(()));
    assert_eq!(outbox.len(), 3);
}

#[test]
fn a_take_is_bounded_and_gives_back_all_that_was_counted() {
    let mut outbox = Outbox::default();
    for id in 0..3 {
        outbox.push(WIDE, strings(id, TAKE_BYTES), None).unwrap();
    }
    for id in 3..3000 {
        outbox.push(WIDE, strings(id, 1), None).unwrap();
    }
    let (mut taken, mut sizes) = (Vec::new(), Vec::new());
    while outbox.len() > 0 {
        let before = taken.len();
        outbox.take(&mut taken, TAKE_OPS);
        sizes.push(taken.len() - before);
    }
    assert_eq!(sizes[..4], [1, 1, 1, TAKE_OPS]);
    assert_eq!((outbox.bytes(), outbox.ops.capacity()), (0, 0));
    let ids = taken.iter().map(|op| if let ServerOp::Ack { id, .. } = op { id.0 } else { u64::MAX });
    assert!(ids.eq(0..3000));
}

fn delivery(pattern: &str, length: usize) -> ServerOp {
    let publication = Publication::chunk(
        "1".into(),
        0,
        true,
        Message {
            subject: Subject::parse("chat.server.s1.x").expect("valid"),
            payload: Payload::msgpack(vec![0; length]),
            headers: Headers::default(),
        },
    );
    ServerOp::Deliver { pattern: Pattern::parse(pattern).expect("valid"), publication }
}

/// Sent by this account, which cannot be told if it does not fit.
fn by(sender: Account) -> Sent {
    Sent { sender, is_shared: false, refused_at: None }
}

const SOCKETS: &str = "chat.server.s1.*";

/// Takes all, and returns how many bytes of payload came before the first of so many.
fn taken_before(outbox: &mut Outbox, length: usize) -> Option<usize> {
    let mut taken = Vec::new();
    while outbox.len() > 0 {
        outbox.take(&mut taken, TAKE_OPS);
    }
    assert_eq!((outbox.bytes(), outbox.flows.is_none()), (0, true));
    let sizes = taken.iter().map(|op| match op {
        ServerOp::Deliver { publication, .. } => publication.payload.raw.len(),
        _ => 0,
    });
    let sizes: Vec<usize> = sizes.collect();
    let at = sizes.iter().position(|size| *size == length)?;
    Some(sizes[..at].iter().sum())
}

#[test]
fn who_floods_a_crowded_peer_is_not_in_the_way_of_others() {
    let limits = OutboxLimits { bytes: 64 << 20, ops: 262_144 };
    let [mallory, ann] = [Account::User(1), Account::User(2)].map(Some);
    let mut outbox = Outbox::default();
    let mut refused = 0;
    for _ in 0..300_000 {
        refused += usize::from(
            outbox.push(limits, delivery(SOCKETS, 100), mallory.map(by)) == Err(Overflow::Sender),
        );
    }
    assert!(refused > 100_000, "{refused}");
    assert!(outbox.bytes() <= limits.bytes / 2 + CROWDED_BYTES + 1000);
    assert_eq!(outbox.push(limits, delivery(SOCKETS, 7), ann.map(by)), Ok(()));
    assert!(taken_before(&mut outbox, 7) <= Some(CROWDED_BYTES + 100_000));
}

#[test]
fn several_who_flood_give_way_to_one_who_does_not_and_only_unread_subscriptions_cut_a_peer_off() {
    let limits = OutboxLimits { bytes: 64 << 20, ops: 262_144 };
    let mut outbox = Outbox::default();
    for sender in 0..4 {
        for _ in 0..300 {
            let flood = outbox.push(limits, delivery(SOCKETS, 100_000), Some(by(Account::User(sender))));
            assert_ne!(flood, Err(Overflow::Peer));
        }
    }
    assert_eq!(outbox.push(limits, delivery(SOCKETS, 7), Some(by(Account::User(9)))), Ok(()));
    assert_eq!(outbox.push(limits, delivery("news.>", 8), Some(by(Account::User(9)))), Ok(()));
    assert!(outbox.bytes() <= limits.bytes);
    assert!(taken_before(&mut outbox, 7) < Some(8 << 20));

    let mut outbox = Outbox::default();
    let pushed =
        |outbox: &mut Outbox| outbox.push(limits, delivery("news.>", 100_000), Some(by(Account::User(1))));
    let count = std::iter::from_fn(|| pushed(&mut outbox).ok()).take(10_000).count();
    assert!((600..700).contains(&count));
    assert_eq!(pushed(&mut outbox), Err(Overflow::Peer));
}

#[test]
fn the_end_of_a_subscription_stays_behind_all_that_came_before_it() {
    let mut outbox = Outbox::default();
    let fence = |id| ServerOp::Ack { id: AckId(id), reply: Reply::Unsubscribed { count: 1 } };
    for round in 0..4_u64 {
        for number in 0..CROWDED_OPS {
            let sender = Account::User(number as u64 % 5);
            outbox.push(WIDE, delivery("news.>", 1), Some(by(sender))).expect("room");
        }
        outbox.push(WIDE, fence(2 * round), None).expect("room");
        outbox.push(WIDE, fence(2 * round + 1), None).expect("room");
    }
    let mut taken = Vec::new();
    while outbox.len() > 0 {
        outbox.take(&mut taken, TAKE_OPS);
    }
    assert_eq!(outbox.bytes(), 0);
    let (mut deliveries, mut fences) = (0, Vec::new());
    for op in taken {
        match op {
            ServerOp::Ack { id, .. } => fences.push((id.0, deliveries)),
            _ => deliveries += 1,
        }
    }
    let ids: Vec<u64> = fences.iter().map(|(id, _)| *id).collect();
    assert_eq!(ids, [0, 1, 2, 3, 4, 5, 6, 7]);
    for (id, before) in fences {
        let least = (usize::try_from(id).expect("small") / 2 + 1) * CROWDED_OPS;
        assert!(before >= least, "{id}: {before} of {least}");
    }
}

#[test]
fn what_one_sender_sends_stays_in_order_and_news_of_its_ends_behind_it() {
    let mut outbox = Outbox::default();
    let (mut taken, mut next) = (Vec::new(), [0_usize; 3]);
    for round in 0..30_000 {
        let sender = round % 3;
        let op = if round % 100 == 0 {
            ServerOp::Watched(vec![PresenceChange {
                id: next[sender] as u64,
                presence: crate::wire::Presence::Gone,
                crowd: sender as u64,
            }])
        } else {
            delivery(["a", "b", "c"][sender], next[sender])
        };
        next[sender] += 1;
        outbox.push(WIDE, op, Some(by(Account::User(sender as u64)))).expect("room");
        if round % 5000 == 4999 {
            outbox.take(&mut taken, TAKE_OPS);
        }
    }
    while outbox.len() > 0 {
        outbox.take(&mut taken, TAKE_OPS);
    }
    let mut seen: [Vec<usize>; 3] = Default::default();
    for op in taken {
        match op {
            ServerOp::Deliver { pattern, publication } => {
                let sender =
                    ["a", "b", "c"].iter().position(|name| *name == pattern.as_str()).expect("known");
                seen[sender].push(publication.payload.raw.len());
            }
            ServerOp::Watched(changes) => {
                let number = |number: u64| usize::try_from(number).expect("small");
                changes.iter().for_each(|change| seen[number(change.crowd)].push(number(change.id)));
            }
            _ => panic!("nothing else"),
        }
    }
    for (sender, seen) in seen.iter().enumerate() {
        assert!(seen.iter().copied().eq(0..next[sender]), "of sender {sender}");
    }
}

#[test]
fn who_floods_a_subscription_is_refused_and_others_find_room_as_long_as_it_is_read() {
    let limits = OutboxLimits { bytes: 64 << 20, ops: 262_144 };
    let mut now = Instant::now();
    let mut outbox = Outbox::default();
    let push = |outbox: &mut Outbox, now, sender, length| {
        let sent = Sent { refused_at: Some(now), ..by(Account::User(sender)) };
        outbox.push(limits, delivery("service.*", length), Some(sent))
    };
    let (mut refused, mut taken, mut given) = ([0; 12], Vec::new(), 0);
    for round in 0..60_000 {
        for sender in 0..10 {
            match push(&mut outbox, now, sender, 10) {
                Err(Overflow::Refused) => refused[usize::try_from(sender).expect("small")] += 1,
                other => assert_eq!(other, Ok(())),
            }
        }
        if round % 1000 == 0 {
            now += Duration::from_secs(1);
            assert_eq!(push(&mut outbox, now, 11, 7), Ok(()), "who sends little");
            outbox.take(&mut taken, 100);
            given += std::mem::take(&mut taken).len();
        }
    }
    assert!(given > 5000 && refused[..10].iter().all(|&count| count > 20_000), "{given} {refused:?}");
    // Nothing is read any more, but the peer goes on to answer what it has.
    for _ in 0..10 {
        assert_eq!(push(&mut outbox, now, 1, 10), Err(Overflow::Refused));
        now += flows::MAX_UNREAD_TIME;
        outbox.note_sent();
    }
    assert_eq!(push(&mut outbox, now, 1, 10), Err(Overflow::Refused));
    now += flows::MAX_UNREAD_TIME;
    assert_eq!(push(&mut outbox, now, 1, 10), Err(Overflow::Peer));
}

#[test]
fn however_many_flood_ends_others_find_room_and_what_the_broker_says_does_not_cut_the_peer_off() {
    let limits = OutboxLimits { bytes: 64 << 20, ops: 262_144 };
    for length in [10, 10_000] {
        let mut outbox = Outbox::default();
        for _ in 0..300_000 / (1 + length / 100) {
            for sender in 0..10 {
                let flood = outbox.push(limits, delivery(SOCKETS, length), Some(by(Account::User(sender))));
                assert_ne!(flood, Err(Overflow::Peer));
            }
        }
        let honest = Sent { refused_at: Some(Instant::now()), ..by(Account::User(11)) };
        for pattern in ["service.*", SOCKETS] {
            assert_eq!(outbox.push(limits, delivery(pattern, 7), Some(honest)), Ok(()), "{length}");
        }
        // Much more than there is room for: ends give way.
        for id in 0..20 {
            assert_eq!(outbox.push(limits, strings(id, 100_000), None), Ok(()), "{length}");
        }
        assert!(outbox.bytes() <= limits.bytes && outbox.len() <= limits.ops);
        // What the broker says has taken what was free, and who sends little finds room as before.
        for _ in 0..20 {
            assert_eq!(outbox.push(limits, delivery("service.*", 7), Some(honest)), Ok(()), "{length}");
        }
        assert!(outbox.bytes() <= limits.bytes && outbox.len() <= limits.ops);
    }
}

#[test]
fn ends_give_way_to_the_broker_and_to_others_also_when_most_of_what_waits_is_for_a_subscription() {
    let limits = OutboxLimits { bytes: 64 << 20, ops: 262_144 };
    let asked = |sender| Sent { refused_at: Some(Instant::now()), ..by(Account::User(sender)) };
    let mut outbox = Outbox::default();
    // Requests of one, as many as he may have, and then messages of many for ends.
    while outbox.push(limits, delivery("service.*", 10), Some(asked(1))) != Err(Overflow::Refused) {}
    for _ in 0..10_000 {
        for sender in 2..12 {
            let flood = outbox.push(limits, delivery(SOCKETS, 10), Some(by(Account::User(sender))));
            assert_ne!(flood, Err(Overflow::Peer));
        }
    }
    let free = limits.ops - outbox.len();
    assert!(free < 1000, "{free}");
    for id in 0..1000 {
        assert_eq!(outbox.push(limits, strings(id, 1), None), Ok(()), "{id} of the broker's");
    }
    assert_eq!(outbox.len(), limits.ops);
    for sender in 20..40 {
        assert_eq!(outbox.push(limits, delivery("service.*", 7), Some(asked(sender))), Ok(()), "{sender}");
    }
    assert!(outbox.bytes() <= limits.bytes && outbox.len() <= limits.ops);
}

#[test]
fn one_alone_has_nearly_all_of_what_may_wait() {
    let limits = OutboxLimits { bytes: 64 << 20, ops: 262_144 };
    let sent = Sent { refused_at: Some(Instant::now()), ..by(Account::User(1)) };
    for (length, least) in [(10, 240_000), (1_000_000, 61)] {
        let mut outbox = Outbox::default();
        let fits = std::iter::from_fn(|| outbox.push(limits, delivery("a", length), Some(sent)).ok()).count();
        assert!(fits >= least, "{fits} of {length} bytes");
    }
}
