//! Who is told of the end of whom, how, and in which order.

use super::*;
use crate::broker::outbox::MAX_CHANGES;
use crate::broker::watches::MAX_WATCHES_PER_PEER;
use crate::wire::{Presence, PresenceChange, WatchRequest};

impl Stage {
    fn watch(&mut self, peer: PeerId, id: u64, subject: &str) {
        self.handle(peer, ClientOp::Watch(vec![WatchRequest { id, subject: Some(subject.into()) }]));
    }

    fn unwatch(&mut self, peer: PeerId, id: u64) {
        self.handle(peer, ClientOp::Watch(vec![WatchRequest { id, subject: None }]));
    }

    fn told(&mut self, peer: PeerId) -> Vec<(u64, Presence)> {
        self.changes(peer).into_iter().map(|change| (change.id, change.presence)).collect()
    }

    fn changes(&mut self, peer: PeerId) -> Vec<PresenceChange> {
        let watched = |op| if let ServerOp::Watched(changes) = op { changes } else { Vec::new() };
        self.take(peer).into_iter().flat_map(watched).collect()
    }

    fn end(&mut self, peer: PeerId) {
        self.broker.detach(self.now, peer);
    }
}

#[test]
fn a_watch_is_answered_at_once_and_told_of_every_end_and_return() {
    let mut stage = Stage::new();
    let [watcher, first, second] = stage.joined();
    stage.watch(watcher, 7, "chat.client.a");
    assert_eq!(stage.told(watcher), [(7, Presence::Absent)]);
    stage.subscribe(first, "chat.client.a", "q");
    assert_eq!(stage.told(watcher), [(7, Presence::Here)]);
    // It was never away if it is there twice for a moment.
    stage.subscribe(second, "chat.client.a", "q");
    stage.end(first);
    assert_eq!(stage.told(watcher), []);
    stage.end(second);
    assert_eq!(stage.told(watcher), [(7, Presence::Cut)]);
    stage.unwatch(watcher, 7);
    let [third] = stage.joined();
    stage.subscribe(third, "chat.client.a", "q");
    assert_eq!((stage.told(watcher), stage.broker.stats().watches), (vec![], 0));
}

#[test]
fn what_is_told_is_how_it_came_to_its_end() {
    let mut stage = Stage::new();
    for (index, expected) in
        [Presence::Cut, Presence::Gone, Presence::Silent, Presence::Left].into_iter().enumerate()
    {
        let (id, subject) = (index as u64, format!("chat.server.s{index}.1"));
        let [watcher, owner] = stage.joined();
        stage.subscribe(owner, &format!("chat.server.s{index}.*"), "q");
        stage.watch(watcher, id, &subject);
        match expected {
            Presence::Gone => stage.handle(owner, ClientOp::Leaving),
            Presence::Silent => stage.broker.note_end(owner, Presence::Silent),
            Presence::Left => drop(stage.unsubscribe(owner, &format!("chat.server.s{index}.*"))),
            _ => {}
        }
        stage.end(owner);
        assert_eq!(stage.told(watcher), [(id, Presence::Here), (id, expected)]);
    }
}

#[test]
fn a_consumer_that_is_cut_off_for_being_slow_counts_as_silent() {
    let config = BrokerConfig { max_outbox_bytes: 2000, ..BrokerConfig::default() };
    let mut stage = Stage::with(config, 1);
    let [watcher, owner, publisher] = stage.joined();
    stage.subscribe(owner, "chat.client.a", "q");
    stage.watch(watcher, 1, "chat.client.a");
    for _ in 0..100 {
        stage.publish(publisher, "chat.client.a", "more than it reads");
    }
    assert_eq!(stage.told(watcher), [(1, Presence::Here), (1, Presence::Silent)]);
}

#[test]
fn the_end_stands_behind_all_that_was_said_before_it() {
    let mut stage = Stage::new();
    let [watcher, owner] = stage.joined();
    stage.subscribe(watcher, "chat.server.s.*", "q");
    stage.subscribe(owner, "chat.client.a", "q");
    stage.watch(watcher, 1, "chat.client.a");
    stage.take(watcher);
    stage.publish(owner, "chat.server.s.a", "last");
    stage.end(owner);
    let ops = stage.take(watcher);
    assert!(matches!(&ops[..], [ServerOp::Deliver { .. }, ServerOp::Watched(_)]), "{ops:?}");
}

#[test]
fn a_tap_owns_nothing_and_a_pattern_with_wildcards_before_the_id_does() {
    let mut stage = Stage::new();
    let [watcher, tap, owner] = stage.joined();
    for pattern in ["chat.>", "chat.client.*", ">", "chat.*.a"] {
        stage.subscribe(tap, pattern, "q");
    }
    stage.watch(watcher, 1, "chat.client.a");
    stage.watch(watcher, 2, "other.client.a");
    assert_eq!(stage.told(watcher), [(1, Presence::Absent), (2, Presence::Absent)]);
    stage.subscribe(owner, "*.client.a", "q");
    assert_eq!(stage.told(watcher), [(1, Presence::Here), (2, Presence::Here)]);
    stage.watch(watcher, 3, "third.client.a");
    assert_eq!(stage.told(watcher), [(3, Presence::Here)]);
    stage.unsubscribe(owner, "*.client.a");
    stage.end(tap);
    assert_eq!(stage.told(watcher).len(), 3);
}

#[test]
fn an_owner_in_the_process_of_the_broker_is_told_apart() {
    let mut stage = Stage::new();
    let [watcher, inside, outside] = stage.joined();
    stage.broker.note_local(inside);
    stage.subscribe(inside, "chat.server.status", "1");
    stage.watch(watcher, 1, "chat.server.status");
    stage.subscribe(outside, "chat.server.status", "2");
    stage.watch(watcher, 2, "chat.server.status");
    assert_eq!(stage.told(watcher), [(1, Presence::HereInBroker), (2, Presence::Here)]);
}

#[test]
fn ends_that_come_together_are_one_operation_and_know_how_many_they_are() {
    let mut stage =
        Stage::with(BrokerConfig { max_subscriptions_per_client: 10_000, ..BrokerConfig::default() }, 1);
    let [server, client] = stage.joined();
    let count = MAX_CHANGES + 10;
    let mut requests = Vec::new();
    for id in 0..count {
        let subject = format!("chat.client.c{id}");
        stage.subscribe(client, &subject, "q");
        requests.push(WatchRequest { id: id as u64, subject: Some(subject.as_str().into()) });
    }
    stage.handle(server, ClientOp::Watch(requests));
    stage.take(server);
    let [other] = stage.joined();
    stage.subscribe(other, "chat.client.late", "q");
    stage.watch(server, 1 << 20, "chat.client.late");
    stage.end(client);
    stage.end(other);
    let ops = stage.take(server);
    let sizes: Vec<usize> =
        ops.iter().map(|op| if let ServerOp::Watched(changes) = op { changes.len() } else { 0 }).collect();
    // The answer; the many that go together, in as few as they fit into; the last one joins them.
    assert_eq!(sizes, [1, MAX_CHANGES, 11]);
    let ServerOp::Watched(last) = &ops[2] else { panic!("{ops:?}") };
    assert!(last[..10].iter().all(|change| change.crowd == count as u64), "{last:?}");
    assert_eq!(last[10].crowd, 1);
}

#[test]
fn what_is_no_end_or_one_too_many_cannot_be_told() {
    let mut stage = Stage::new();
    let [watcher] = stage.joined();
    for (id, subject) in (0..).zip(["chat", "chat.*", "chat.server.~.a", ""]) {
        stage.watch(watcher, id, subject);
        assert_eq!(stage.told(watcher), [(id, Presence::Unknown)], "{subject}");
    }
    let requests = 0..=MAX_WATCHES_PER_PEER as u64;
    let begin = |id| WatchRequest { id, subject: Some("chat.client.a".into()) };
    stage.handle(watcher, ClientOp::Watch(requests.map(begin).collect()));
    let told = stage.told(watcher);
    let unknown: Vec<_> = told.iter().filter(|(_, presence)| *presence == Presence::Unknown).collect();
    assert_eq!(unknown, [&(MAX_WATCHES_PER_PEER as u64, Presence::Unknown)]);
    stage.end(watcher);
    assert_eq!(stage.broker.stats().watches, 0);
}

#[test]
fn whatever_happens_the_last_word_on_an_end_is_what_is_so() {
    const PATTERNS: [&str; 7] =
        ["a.client.x", "*.client.x", "b.client.x", "a.server.s.*", "*.server.s.*", "a.server.status", "a.>"];
    const SUBJECTS: [(&str, &[usize]); 5] = [
        ("a.client.x", &[0, 1]),
        ("b.client.x", &[1, 2]),
        ("a.server.s.1", &[3, 4]),
        ("a.server.s.2", &[3, 4]),
        ("a.server.status", &[5]),
    ];
    for seed in 0..200 {
        let (mut stage, mut random) = (Stage::new(), SeededEntropy::new(seed));
        let mut below = |end: usize| crate::base::Entropy::below(&mut random, end);
        let (mut peers, watcher) = (Vec::from(stage.joined::<4>()), stage.join());
        let (mut owned, mut last) = (Vec::new(), BTreeMap::new());
        for id in 0..120 {
            let (index, pattern) = (below(peers.len()), below(PATTERNS.len()));
            let peer = peers[index];
            match below(10) {
                0..4 => {
                    stage.subscribe(peer, PATTERNS[pattern], "q");
                    owned.retain(|own| *own != (peer, pattern));
                    owned.push((peer, pattern));
                }
                4..6 => {
                    stage.unsubscribe(peer, PATTERNS[pattern]);
                    owned.retain(|own| *own != (peer, pattern));
                }
                6 => {
                    stage.end(peer);
                    owned.retain(|(of, _)| *of != peer);
                    peers[index] = stage.join();
                }
                7 => {
                    let gone = last.keys().nth(below(1 + last.len())).copied();
                    gone.into_iter().for_each(|id| {
                        stage.unwatch(watcher, id);
                        last.remove(&id);
                    });
                }
                _ => {
                    let subject = below(SUBJECTS.len());
                    stage.watch(watcher, id, SUBJECTS[subject].0);
                    last.insert(id, (subject, Presence::Unknown));
                }
            }
            for (id, presence) in stage.told(watcher) {
                last.get_mut(&id).expect("a watch that has not ended").1 = presence;
            }
            for (subject, presence) in last.values() {
                let is_owned = owned.iter().any(|(_, pattern)| SUBJECTS[*subject].1.contains(pattern));
                assert_eq!(*presence == Presence::Here, is_owned, "seed {seed}: {subject} {presence:?}");
            }
        }
        stage.end(watcher);
        assert_eq!(stage.broker.stats().watches, 0);
    }
}

#[test]
fn the_bytes_of_watched_subjects_are_bounded_by_connection_and_by_user() {
    let max_memory_bytes_per_user = 64 * 1024 * 1024;
    let mut stage = Stage::with(BrokerConfig { max_memory_bytes_per_user, ..BrokerConfig::default() }, 1);
    let subject = format!("{}.client.a", "x".repeat(4000));
    let begin = |stage: &mut Stage, watcher: PeerId| {
        (0..5000)
            .filter(|&id| {
                stage.watch(watcher, id, &subject);
                stage.told(watcher) == [(id, Presence::Absent)]
            })
            .count()
    };
    let [watcher, other] = stage.joined();
    let begun = begin(&mut stage, watcher);
    assert!((1900..2100).contains(&begun), "16 MiB: {begun}");
    stage.unwatch(watcher, 0);
    stage.watch(watcher, 9999, &subject);
    assert_eq!(stage.told(watcher), [(9999, Presence::Absent)], "there is room again");
    assert_eq!(begin(&mut stage, other), begun, "it is another's");
    for _ in 0..6 {
        let peer = stage.attach(r#"{"name":"mallory"}"#);
        stage.handle(peer, ClientOp::InfoReceived);
        stage.take(peer);
        begin(&mut stage, peer);
    }
    // Whoever has all that a user may have and is told something is beyond it: a connection gives way.
    let others = 2 * 16;
    let held = stage.broker.stats().memory_bytes >> 20;
    assert!((others + 40..=others + 64).contains(&held), "64 MiB of one user: {held}");
}

#[test]
fn a_long_list_of_watches_is_several_turns_and_an_end_has_so_many_watchers() {
    let mut stage = Stage::new();
    let [watcher, other] = stage.joined();
    let begin = |id| WatchRequest { id, subject: Some(format!("a{id}.client.x").into()) };
    let mut ops = vec![ClientOp::Watch((0..20_000).map(begin).collect()), ClientOp::InfoReceived];
    let mut turns = 0;
    while !ops.is_empty() {
        let before = stage.broker.work();
        stage.broker.handle_ops(stage.now, watcher, &mut ops, 0);
        assert!(stage.broker.work() - before < 150_000, "a few milliseconds");
        turns += 1;
        assert_eq!(stage.publish(other, "nobody", "x"), 0, "between two of them others have theirs");
    }
    assert!(turns > 10, "{turns}");
    assert_eq!(stage.told(watcher).len(), 20_000, "each is answered, and once");
}

#[test]
fn who_has_crowds_told_again_and_again_rests() {
    let mut stage = Stage::new();
    let [watcher, owner] = stage.joined();
    let requests = (0..10_000).map(|id| WatchRequest { id, subject: Some("chat.client.a".into()) });
    stage.handle(watcher, ClientOp::Watch(requests.collect()));
    stage.take(watcher);
    let mut ops = vec![subscribe(None, [("chat.client.a", Some("q"))]), ClientOp::InfoReceived];
    assert!(stage.broker.handle_ops(stage.now, owner, &mut ops, 0));
    let rests_until = stage.broker.rests_until(owner).expect("10 000 were told");
    assert_eq!(stage.told(watcher).len(), 10_000);
    assert!(stage.broker.handle_ops(stage.now, owner, &mut ops, 0) && ops.len() == 1, "not before");
    stage.now = rests_until;
    assert!(!stage.broker.handle_ops(stage.now, owner, &mut ops, 0) && ops.is_empty());
    assert_eq!(stage.broker.rests_until(owner), None);
}

#[test]
fn who_floods_an_end_beyond_its_share_rests_and_who_speaks_to_others_does_not() {
    let mut stage = Stage::with(BrokerConfig { max_outbox_ops: 20_000, ..BrokerConfig::default() }, 1);
    let [reader, flooder, neighbour] = stage.joined();
    stage.subscribe(reader, "chat.client.a", "q");
    let publish =
        || ClientOp::Publish { ack: None, publication: publication("chat.client.a", "1", 0, true, "x") };
    for _ in 0..20_000 {
        stage.handle(flooder, publish());
    }
    stage.broker.handle_ops(stage.now, flooder, &mut vec![publish(), publish(), publish()], 0);
    assert!(stage.broker.rests_until(flooder).is_some_and(|until| until > stage.now));
    stage.broker.handle_ops(stage.now, neighbour, &mut vec![publish(), publish()], 0);
    assert_eq!(stage.broker.rests_until(neighbour), None, "who has said less has a share");
    assert_eq!(stage.broker.close_reason(reader), None);
}
