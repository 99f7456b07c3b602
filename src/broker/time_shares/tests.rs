#![allow(clippy::disallowed_methods)]

use std::collections::VecDeque;

use super::*;

/// One thread, on which tasks run in the order in which they became ready.
struct Stage {
    shares: TimeShares,
    all: Vec<(Owner, TimeUse)>,
    ready: VecDeque<usize>,
    began: Instant,
    now: Duration,
}

fn peer(slot: usize) -> PeerId {
    PeerId { serial: slot as u64, slot: u32::try_from(slot).expect("few") }
}

impl Stage {
    /// Connections of these owners.
    fn new(owners: impl IntoIterator<Item = Owner>) -> Self {
        let all: Vec<_> = owners.into_iter().map(|owner| (owner, TimeUse::default())).collect();
        Self {
            shares: TimeShares::new(1),
            all,
            ready: VecDeque::new(),
            began: Instant::now(),
            now: Duration::ZERO,
        }
    }

    fn call(&mut self, called: PeerId) {
        self.all[called.slot as usize].1.handle_called();
        self.ready.push_back(called.slot as usize);
    }

    /// Runs one task for this time, if it may. Returns whether it did.
    fn run(&mut self, slot: usize, took: Duration) -> bool {
        let (owner, time) = &mut self.all[slot];
        let owner = *owner;
        if !self.shares.try_begin(self.began + self.now, peer(slot), owner, time) {
            return false;
        }
        self.now += took;
        self.shares.charge(self.began + self.now, owner, time, took);
        if let Some(called) = self.shares.poll_called(owner) {
            self.call(called);
        }
        true
    }

    /// All that are ready have a turn, of which those of `crowd` come back for another one. Then the round
    /// ends.
    fn run_all(&mut self, took: Duration, crowd: usize) {
        for _ in 0..self.ready.len() {
            let slot = self.ready.pop_front().expect("counted");
            if self.run(slot, took) && slot < crowd {
                self.ready.push_back(slot);
            }
        }
        self.shares.end_round().into_iter().for_each(|called| self.call(called));
    }

    /// How long one waits that does a little and waits for the network, again and again, beside a crowd that
    /// has always something to do.
    fn worst_wait(&mut self, crowd: usize, slot: usize) -> Duration {
        self.ready.extend(0..crowd);
        let mut worst = Duration::ZERO;
        for _ in 0..1000 {
            let asked = self.now;
            while !self.run(slot, Duration::from_micros(20)) {
                self.run_all(Duration::from_millis(2), crowd);
            }
            worst = worst.max(self.now - asked);
            self.run_all(Duration::from_millis(2), crowd);
        }
        worst
    }
}

#[test]
fn a_crowd_of_one_owner_has_one_turn_while_another_one_has_one() {
    let mut stage = Stage::new((0..90).map(|_| Owner::User(1)).chain([Owner::User(2)]));
    let begin = stage.now;
    assert!(stage.worst_wait(90, 90) < Duration::from_millis(1));
    // One of two milliseconds every other round.
    let most = Duration::from_millis(2) + Duration::from_micros(1020) * 1001;
    assert!(stage.now - begin <= most, "{:?}", stage.now);
    assert!(stage.now - begin >= most / 2, "the crowd has its share: {:?}", stage.now);
}

#[test]
fn one_that_does_little_gets_through_beside_the_crowd_of_its_own_owner() {
    let mut stage = Stage::new((0..=90).map(|_| Owner::User(1)));
    // What it does has to be seen first: until then it waits as the others do.
    let until_known = stage.worst_wait(90, 90);
    assert!(until_known < Duration::from_millis(300), "{until_known:?}");
    let known = stage.worst_wait(90, 90);
    assert!(known < Duration::from_millis(5), "{known:?}");
}

#[test]
fn every_connection_of_a_busy_owner_comes_to_its_turn() {
    let mut stage = Stage::new((0..50).map(|_| Owner::User(1)));
    stage.ready.extend(0..50);
    (0..10).for_each(|_| stage.run_all(Duration::from_millis(2), 50));
    let mut turns = [0; 50];
    for _ in 0..2000 {
        for _ in 0..stage.ready.len() {
            let slot = stage.ready.pop_front().expect("counted");
            if stage.run(slot, Duration::from_millis(2)) {
                turns[slot] += 1;
                stage.ready.push_back(slot);
            }
        }
        stage.shares.end_round().into_iter().for_each(|called| stage.call(called));
    }
    let (least, most) = (turns.iter().min().expect("some"), turns.iter().max().expect("some"));
    assert!(*least > 0 && most - least <= 2, "{turns:?}");
}

#[test]
fn as_many_may_be_busy_as_there_are_threads() {
    let mut shares = TimeShares::new(4);
    let now = Instant::now();
    let mut times: Vec<TimeUse> = (0..8).map(|_| TimeUse::default()).collect();
    let owner = Owner::User(1);
    times.iter_mut().for_each(|time| shares.charge(now, owner, time, Duration::from_millis(1)));
    for (slot, time) in times.iter_mut().enumerate() {
        assert!(!shares.try_begin(now, peer(slot), owner, time));
    }
    assert!(shares.poll_due() && !shares.poll_due());
    assert_eq!(shares.end_round(), [], "eight milliseconds, four a round");
    assert_eq!(shares.end_round(), [0, 1, 2, 3].map(peer));
    assert!(shares.is_awaited());
}

#[test]
fn nothing_is_remembered_of_who_has_paid() {
    let (mut shares, now) = (TimeShares::new(1), Instant::now());
    for number in 0..3 * MAX_OWNERS as u64 {
        shares.charge(now, Owner::User(number), &mut TimeUse::default(), Duration::from_micros(20));
    }
    assert!(shares.by_owner.len() <= MAX_OWNERS);
    shares.end_round();
    assert!(shares.by_owner.is_empty() && !shares.is_awaited());
}

#[test]
fn a_crowd_that_was_quiet_for_long_is_known_again_at_once() {
    let mut stage = Stage::new((0..90).map(|_| Owner::User(1)).chain([Owner::User(2)]));
    for slot in 0..90 {
        assert!(stage.run(slot, Duration::from_micros(10)));
    }
    stage.now += Duration::from_secs(10);
    let begin = stage.now;
    stage.ready.extend(0..90);
    stage.run_all(Duration::from_millis(2), 90);
    assert!(stage.now - begin <= SHARE_WITH_LITTLE + Duration::from_millis(2), "{:?}", stage.now - begin);
}
