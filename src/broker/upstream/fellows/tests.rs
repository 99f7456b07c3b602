//! Gateways that talk with each other on virtual time, some of which are killed.
#![allow(clippy::disallowed_methods)]

use std::collections::{BTreeMap, BTreeSet};

use super::*;

fn subject(text: &str) -> Subject {
    Subject::parse(text).expect("valid")
}

fn inbox(text: &str) -> Pattern {
    Pattern::parse(text).expect("valid")
}

/// A fabric and gateways onto it, each with its clients. Who is not in `frozen` nor killed has its turns.
struct Fabric {
    now: Instant,
    gateways: BTreeMap<usize, Fellows>,
    frozen: BTreeSet<usize>,
    ended: Vec<(usize, Duration, Option<Pattern>, Vec<Subject>)>,
    words: usize,
}

impl Fabric {
    fn with(count: usize) -> Self {
        let now = Instant::now();
        let mut gateways: BTreeMap<usize, Fellows> =
            (0..count).map(|n| (n, Fellows::new(format!("g{n}")))).collect();
        gateways.values_mut().for_each(|gateway| gateway.handle_ready(now));
        let mut fabric = Self { now, gateways, frozen: BTreeSet::new(), ended: Vec::new(), words: 0 };
        fabric.pass(2000);
        fabric
    }

    fn at(&mut self, gateway: usize) -> &mut Fellows {
        self.gateways.get_mut(&gateway).expect("lives")
    }

    fn say(&mut self, from: usize, word: &GatewayWord) {
        self.words += 1;
        for (number, gateway) in self.gateways.iter_mut().filter(|(number, _)| **number != from) {
            if !self.frozen.contains(number) {
                gateway.handle_word(self.now, word.clone());
            }
        }
    }

    fn pass(&mut self, ms: u64) {
        let (start, end) = (self.now, self.now + Duration::from_millis(ms));
        loop {
            let awake = self.gateways.iter().filter(|(number, _)| !self.frozen.contains(number));
            let next = awake.filter_map(|(number, gateway)| Some((gateway.poll_timeout()?, *number))).min();
            let Some((at, number)) = next.filter(|(at, _)| *at <= end) else { break };
            self.now = self.now.max(at);
            let now = self.now;
            for step in self.at(number).handle_timeout(now, true) {
                match step {
                    Step::Say(word) => self.say(number, &word),
                    Step::Look(name) => {
                        let is_there = self.gateways.values().any(|other| other.name == name);
                        self.at(number).handle_look(now, &name, is_there);
                    }
                    Step::Ended(inbox, places) => {
                        self.ended.push((number, self.now - start, inbox, places));
                    }
                }
            }
        }
        self.now = end;
    }

    fn ask(&mut self, asker: usize, holder: Option<usize>, place: &str) {
        let now = self.now;
        self.at(asker).note_asked(now, &subject(place));
        if let Some(holder) = holder {
            let member = inbox(&format!("_INBOX.member{holder}.*"));
            self.at(holder).note_held(now, &subject(place), &member);
        }
    }

    fn answer(&mut self, asker: usize, holder: usize, place: &str) {
        self.at(holder).handle_answer(&subject(place));
        self.at(asker).handle_answer(&subject(place));
    }
}

const SOON: Duration = Duration::from_millis(2200);

#[test]
fn who_has_asked_at_a_killed_gateway_is_told_within_two_seconds_and_nobody_else() {
    for age in [0, 50, 200, 700, 5000, 20_000] {
        let mut fabric = Fabric::with(3);
        fabric.ask(0, Some(1), "_INBOX.a.1");
        fabric.ask(0, Some(2), "_INBOX.a.2");
        fabric.ask(0, Some(1), "_INBOX.a.3");
        fabric.answer(0, 1, "_INBOX.a.3");
        fabric.pass(age);
        fabric.gateways.remove(&1);
        fabric.pass(10_000);
        let [(0, after, _, places)] = &fabric.ended[..] else { panic!("{age}: {:?}", fabric.ended) };
        assert_eq!(places, &[subject("_INBOX.a.1")], "{age}");
        assert!(*after >= Duration::from_millis(1000) && *after < SOON, "{age}: {after:?}");
    }
}

#[test]
fn what_a_client_of_the_fabric_above_has_goes_on_unless_it_was_asked_in_the_last_moment() {
    for (age, is_told) in [(0, true), (2000, false), (9000, false)] {
        let mut fabric = Fabric::with(2);
        fabric.ask(0, None, "_INBOX.a.1");
        fabric.pass(age);
        fabric.gateways.remove(&1);
        fabric.pass(10_000);
        assert_eq!(!fabric.ended.is_empty(), is_told, "{age}: {:?}", fabric.ended);
    }
}

#[test]
fn who_is_frozen_or_ends_in_order_or_has_lost_the_fabric_is_not_killed() {
    let mut fabric = Fabric::with(2);
    fabric.ask(0, Some(1), "_INBOX.a.1");
    fabric.pass(1000);
    fabric.frozen.insert(1);
    fabric.pass(30_000);
    assert_eq!(fabric.ended, []);
    fabric.frozen.clear();
    fabric.pass(1000);
    // All have lost the fabric: nobody hears anybody.
    fabric.gateways.values_mut().for_each(Fellows::handle_loss);
    fabric.pass(30_000);
    let now = fabric.now;
    fabric.gateways.values_mut().for_each(|gateway| gateway.handle_ready(now));
    fabric.pass(5000);
    assert_eq!(fabric.ended, []);
    // One that ends in order says what it has.
    fabric.ask(0, Some(1), "_INBOX.a.2");
    fabric.ask(0, None, "_INBOX.a.3");
    let words = fabric.at(1).last_words();
    fabric.gateways.remove(&1);
    words.iter().for_each(|word| fabric.say(1, word));
    fabric.pass(5000);
    let [(0, _, Some(_), places)] = &fabric.ended[..] else { panic!("{:?}", fabric.ended) };
    assert_eq!(places, &[subject("_INBOX.a.1"), subject("_INBOX.a.2")]);
}

#[test]
fn who_comes_later_is_told_again_and_a_client_that_has_moved_is_not_missed() {
    let mut fabric = Fabric::with(2);
    fabric.ask(0, Some(1), "_INBOX.a.1");
    fabric.ask(0, Some(1), "_INBOX.a.2");
    fabric.pass(1000);
    // The first one has lost what it knew of the other.
    let now = fabric.now;
    fabric.at(0).gateways.clear();
    fabric.at(0).asked.values_mut().for_each(|asked| asked.holders.clear());
    fabric.at(0).handle_ready(now);
    fabric.at(1).handle_moved(subject("_INBOX.a.2"));
    fabric.pass(1000);
    fabric.gateways.remove(&1);
    fabric.pass(5000);
    let [(0, _, Some(_), places)] = &fabric.ended[..] else { panic!("{:?}", fabric.ended) };
    assert_eq!(places, &[subject("_INBOX.a.1")]);
}

#[test]
fn whatever_is_asked_and_answered_who_waits_at_the_killed_ones_is_told_and_nobody_who_waits_elsewhere() {
    for seed in 0..200_u64 {
        let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
        let mut below = move |bound: usize| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            usize::try_from(state % bound as u64).expect("small")
        };
        let mut fabric = Fabric::with(4);
        let mut open: BTreeMap<String, (usize, usize)> = BTreeMap::new();
        for number in 0..200 {
            match below(3) {
                0 => fabric.pass(below(600) as u64),
                1 => {
                    let (asker, holder, place) = (below(2), below(4), format!("_INBOX.a.{number}"));
                    fabric.ask(asker, Some(holder), &place);
                    open.insert(place, (asker, holder));
                }
                _ => {
                    let Some((place, (asker, holder))) = open.pop_first() else { continue };
                    fabric.answer(asker, holder, &place);
                }
            }
        }
        assert_eq!(fabric.ended, [], "{seed}");
        let killed = 2 + below(2);
        fabric.gateways.remove(&killed);
        fabric.pass(10_000);
        let told: BTreeSet<&str> =
            fabric.ended.iter().flat_map(|(.., places)| places.iter().map(Subject::as_str)).collect();
        let waiting = open.iter().filter(|(_, (_, holder))| *holder == killed);
        assert_eq!(told, waiting.map(|(place, _)| place.as_str()).collect(), "{seed}");
        assert!(fabric.ended.iter().all(|(_, after, ..)| *after < SOON), "{seed}");
    }
}

#[test]
fn what_is_remembered_is_bounded_and_what_is_answered_at_once_is_never_told() {
    let mut fabric = Fabric::with(2);
    let before = fabric.words;
    for number in 0..100_000 {
        let place = format!("_INBOX.a.{number}");
        fabric.ask(0, Some(1), &place);
        fabric.answer(0, 1, &place);
    }
    assert!(fabric.at(0).recent.len() <= 4 * MIN_COMPACTED);
    fabric.pass(4000);
    assert!(fabric.words - before <= 22 && fabric.at(1).untold.is_empty());
    for number in 0..100_000 {
        fabric.ask(0, Some(1), &format!("_INBOX.b.{number}"));
    }
    let lens = (fabric.at(0).asked.len(), fabric.at(1).holds.len());
    assert_eq!(lens, (MAX_PLACES, MAX_PLACES));
    fabric.pass(70_000);
    let lens = (fabric.at(0).asked.len(), fabric.at(1).holds.len());
    assert_eq!(lens, (0, 0), "nobody waits for ever");
}

/// What a gateway hears costs each of them, and the fabric as many times more.
#[test]
fn however_many_gateways_there_are_each_hears_a_hundred_words_a_second_and_a_killed_one_is_known_soon() {
    for (count, most) in [(3, 2200), (40, 2200), (100, 5000), (MAX_GATEWAYS, 12_000)] {
        let mut fabric = Fabric::with(count);
        fabric.words = 0;
        for round in 0..10 {
            for n in 0..count {
                let (asker, holder) = (n, (n + 1) % count);
                fabric.ask(asker, Some(holder), &format!("_INBOX.a{n}.{round}"));
                if round > 0 {
                    fabric.answer(asker, holder, &format!("_INBOX.a{n}.{}", round - 1));
                }
            }
            fabric.pass(1000);
        }
        // Each of them hears all but its own.
        let heard = fabric.words * (count - 1) / count / 10;
        assert!(heard <= 110, "{count}: {heard}");
        assert_eq!(fabric.ended, []);
        fabric.gateways.remove(&1);
        fabric.pass(20_000);
        let [(0, after, _, places)] = &fabric.ended[..] else { panic!("{count}: {:?}", fabric.ended) };
        assert_eq!(places, &[subject("_INBOX.a0.9")], "{count}");
        assert!(*after < Duration::from_millis(most), "{count}: {after:?}");
    }
}

#[test]
fn gateways_that_are_ready_at_the_same_moment_do_not_speak_at_the_same_moments() {
    let mut fabric = Fabric::with(50);
    fabric.pass(60_000);
    let mut busiest = 0;
    for _ in 0..200 {
        let before = fabric.words;
        fabric.pass(10);
        busiest = busiest.max(fabric.words - before);
    }
    assert!(busiest <= 10, "{busiest} of 50 within 10 ms");
}
