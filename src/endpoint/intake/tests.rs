use proptest::prelude::*;

use super::*;

const KIB: u64 = 1024;

/// Senders that send all they may, and what an endpoint gives them.
struct Crowd {
    now: Instant,
    intake: Intake,
    claims: BTreeMap<Handle, Claim>,
    credit: BTreeMap<Handle, u64>,
    closed: Vec<Handle>,
    payer: fn(Handle) -> Payer,
}

impl Crowd {
    /// Each socket is somebody else's.
    fn new(pool: usize, room: usize) -> Self {
        Self::of(pool, room, Payer::Socket)
    }

    fn of(pool: usize, room: usize, payer: fn(Handle) -> Payer) -> Self {
        Self {
            now: Instant::now(),
            intake: Intake::new(IntakeLimits { pool, room, gaps: 0 }),
            claims: BTreeMap::new(),
            credit: BTreeMap::new(),
            closed: Vec::new(),
            payer,
        }
    }

    fn claim(&mut self, handle: Handle) {
        self.intake.handle_claim(self.now, handle, (self.payer)(handle), self.claims[&handle]);
        self.decide();
    }

    fn decide(&mut self) {
        while let Some(decision) = self.intake.poll_decision(self.now) {
            match decision {
                Decision::Grant(handle, offset) => {
                    self.credit.insert(handle, offset);
                    self.claims.get_mut(&handle).expect("known").granted = offset;
                }
                Decision::Close(handle) => {
                    self.closed.push(handle);
                    self.intake.remove(self.now, handle);
                    self.claims.remove(&handle);
                    self.credit.remove(&handle);
                }
            }
        }
    }

    /// A message of so many bytes begins.
    fn begin(&mut self, handle: Handle, total: usize) {
        let claim = self.claims.entry(handle).or_default();
        let came = 10.min(total - 1);
        claim.begun += 1;
        (claim.total, claim.came) = (total, came);
        claim.wanted = claim.received + total as u64;
        claim.received += came as u64;
        self.claim(handle);
    }

    /// What may come comes, at most so much. Returns how much that was.
    fn send(&mut self, handle: Handle, most: u64) -> u64 {
        let claim = self.claims.get_mut(&handle).expect("known");
        let rest = (claim.total - claim.came) as u64;
        let granted = self.credit.get(&handle).map_or(0, |credit| credit.saturating_sub(claim.received));
        let sent = granted.min(rest).min(most);
        claim.came += usize::try_from(sent).expect("small");
        claim.received += sent;
        if claim.came == claim.total {
            (claim.came, claim.total) = (0, 0);
        }
        if sent > 0 {
            self.claim(handle);
        }
        sent
    }

    fn ask(&mut self, handle: Handle) {
        self.claims.get_mut(&handle).expect("known").asked += 1;
        self.claim(handle);
    }

    fn is_done(&self, handle: Handle) -> bool {
        self.claims[&handle].total == 0
    }

    /// Some time passes, deadline by deadline.
    fn pass(&mut self, time: Duration) {
        let until = self.now + time;
        while let Some(at) = self.intake.poll_timeout().filter(|at| *at <= until) {
            self.now = at.max(self.now);
            self.intake.handle_timeout(self.now);
            self.decide();
        }
        self.now = until;
    }
}

/// Sockets of one user below 1000, and of one each from there on.
fn one_user(handle: Handle) -> Payer {
    if handle < 1000 { Payer::Client(7) } else { Payer::Socket(handle) }
}

#[test]
fn what_one_payer_may_send_is_divided_among_its_sockets() {
    let mut crowd = Crowd::of(8192, 1 << 20, one_user);
    crowd.begin(1, 100_000);
    assert_eq!(crowd.credit[&1], 8192 + 10);
    crowd.begin(2, 100_000);
    assert_eq!(crowd.credit.get(&2), None, "all of it is promised");
    crowd.send(1, 5000);
    assert_eq!(
        (crowd.credit[&1], crowd.credit[&2]),
        (8192 + 10, 4096 + 10),
        "half of it, and the first has that"
    );
    crowd.send(1, 8192);
    assert!(crowd.intake.pool.promised() <= 8192 + 4096, "{:?}", crowd.intake.pool);
}

#[test]
fn a_payer_who_has_nothing_does_not_wait_for_credit_that_others_do_not_use() {
    let mut crowd = Crowd::of(8192, 1 << 30, one_user);
    (1..400).for_each(|handle| crowd.begin(handle, 100_000));
    assert!(crowd.intake.pool.promised() >= 8192);
    crowd.begin(1000, 3000);
    while !crowd.is_done(1000) {
        assert!(crowd.send(1000, u64::MAX) > 0, "in a row, without a pause");
    }
    for _ in 0..100 {
        (1..400).for_each(|handle| crowd.ask(handle));
        crowd.begin(1001, 100_000);
        let mut rounds = 0;
        while !crowd.is_done(1001) {
            assert!(crowd.send(1001, u64::MAX) > 0, "in a row, without a pause");
            rounds += 1;
        }
        assert!(rounds <= 8 * 100_000 / 7000, "an eighth of the pool each time: {rounds}");
        crowd.pass(Duration::from_millis(77));
    }
}

#[test]
fn some_payers_who_use_nothing_leave_something_for_one_more() {
    let mut crowd = Crowd::new(1 << 20, 1 << 30);
    (1..=20).for_each(|handle| crowd.begin(handle, 2 << 20));
    let mut rounds = 0;
    crowd.begin(1000, 100_000);
    while !crowd.is_done(1000) {
        assert!(crowd.send(1000, u64::MAX) > 0, "in a row, without a pause");
        rounds += 1;
    }
    assert!(rounds < 20, "{rounds}");
}

#[test]
fn whoever_gets_less_than_the_least_share_takes_turns() {
    let mut crowd = Crowd::new(128 * 100, 1 << 30);
    (1..=1000).for_each(|handle| crowd.begin(handle, 1000));
    assert!(crowd.credit.len() < 150, "{}", crowd.credit.len());
    let mut rounds = 0;
    while (1..=1000).any(|handle| !crowd.is_done(handle)) {
        let moved: u64 = (1..=1000).map(|handle| crowd.send(handle, u64::MAX)).sum();
        assert!(moved > 0, "nobody moves");
        rounds += 1;
    }
    assert!(rounds < 100, "{rounds}");
    assert_eq!((crowd.intake.len(), crowd.intake.pool.promised(), crowd.intake.admitted), (0, 0, 0));
}

#[test]
fn credit_that_is_not_used_is_given_to_others() {
    let mut crowd = Crowd::of(8192, 1 << 20, one_user);
    crowd.begin(1, 100_000);
    crowd.begin(2, 100_000);
    assert_eq!(crowd.credit.get(&2), None);
    crowd.pass(CREDIT_TIME);
    assert_eq!(crowd.credit[&2], 8192 + 10, "it is alone");
    crowd.ask(1);
    assert!(crowd.credit[&1] > 8192, "what it had counts again");
}

#[test]
fn messages_of_one_payer_are_admitted_in_order_while_they_have_room_and_one_always_is() {
    let mut crowd = Crowd::of(1 << 20, 1000, one_user);
    crowd.begin(1, 5000);
    crowd.begin(2, 600);
    crowd.begin(3, 300);
    crowd.begin(4, 260);
    assert_eq!(crowd.credit.keys().copied().collect::<Vec<_>>(), [1], "the first, whatever its size");
    crowd.send(1, u64::MAX);
    assert!(crowd.is_done(1));
    assert_eq!(crowd.credit.keys().copied().collect::<Vec<_>>(), [1, 2, 3]);
    crowd.send(2, u64::MAX);
    assert!(crowd.credit.contains_key(&4));
    crowd.intake.remove(crowd.now, 3);
    crowd.send(4, u64::MAX);
    assert_eq!((crowd.intake.len(), crowd.intake.admitted, crowd.intake.outside.total()), (0, 0, 0));
}

#[test]
fn a_short_message_of_somebody_else_goes_beside_those_that_hold_the_room() {
    let mut crowd = Crowd::of(1 << 20, 1000, one_user);
    (1..50).for_each(|handle| crowd.begin(handle, 200));
    assert_eq!((crowd.intake.admitted, crowd.intake.beside_bytes), (1000, 200));
    crowd.begin(1000, 250);
    assert!(!crowd.credit.contains_key(&1000), "not in the way of a shorter one");
    crowd.begin(1001, 190);
    crowd.begin(1002, 50);
    assert_eq!(crowd.intake.beside_bytes, 190 + 50, "what is longer gives way");
    for handle in [1001, 1002] {
        crowd.send(handle, u64::MAX);
        assert!(crowd.is_done(handle));
    }
}

#[test]
fn payers_have_turns_however_many_messages_wait_of_one() {
    let mut crowd = Crowd::of(1 << 20, 1000, one_user);
    (1..100).for_each(|handle| crowd.begin(handle, 900));
    crowd.begin(1000, 990);
    crowd.begin(1001, 995);
    crowd.send(1, u64::MAX);
    // This one was there before.
    crowd.send(2, u64::MAX);
    let others = |crowd: &Crowd| [1000, 1001].map(|handle| crowd.credit.contains_key(&handle));
    assert_eq!((others(&crowd), crowd.intake.admitted), ([true, false], 990));
    crowd.send(1000, u64::MAX);
    assert_eq!(others(&crowd), [true, true]);
    crowd.begin(1000, 990);
    crowd.send(1001, u64::MAX);
    assert_eq!(crowd.intake.admitted, 900, "and so has the one");
}

#[test]
fn what_stands_still_gives_up_its_place_and_goes_on_when_it_moves() {
    let mut crowd = Crowd::new(1 << 20, 1000);
    crowd.begin(1, 900);
    crowd.send(1, 400);
    crowd.begin(2, 800);
    crowd.pass(REVIEW);
    assert!(!crowd.credit.contains_key(&2));
    crowd.pass(REVIEW);
    assert!(crowd.credit.contains_key(&2), "{:?}", crowd.intake);
    assert_eq!((crowd.intake.admitted, crowd.intake.outside.total()), (800, 410));
    crowd.ask(1);
    assert_eq!(crowd.intake.row.len(), 1);
    crowd.send(2, u64::MAX);
    crowd.send(1, u64::MAX);
    assert!(crowd.is_done(1) && crowd.is_done(2));
    assert_eq!((crowd.intake.len(), crowd.intake.admitted, crowd.intake.outside.total()), (0, 0, 0));
}

#[test]
fn frames_do_not_count_as_moving_and_a_drop_now_and_then_neither() {
    let (room, total) = (1 << 20, 1 << 20);
    for bytes in [0, 1, 500] {
        let mut crowd = Crowd::new(1 << 20, room);
        crowd.begin(1, total);
        crowd.begin(2, total);
        for _ in 0..25 {
            crowd.pass(REVIEW / 10);
            if bytes == 0 || crowd.send(1, bytes / 10 + 1) == 0 {
                crowd.ask(1);
            }
        }
        assert!(crowd.credit.contains_key(&2), "{bytes} a period: {:?}", crowd.intake);
    }
}

#[test]
fn who_is_slow_has_turns_with_those_who_wait_and_gets_through() {
    let (room, total) = (1 << 20, 1 << 20);
    let mut crowd = Crowd::new(1 << 14, room);
    (1..=4).for_each(|handle| crowd.begin(handle, total));
    for round in 0.. {
        (1..=4).filter(|handle| !crowd.is_done(*handle)).collect::<Vec<_>>().into_iter().for_each(|handle| {
            let moved = crowd.send(handle, total as u64 / 3000);
            if moved == 0 {
                crowd.ask(handle);
            }
        });
        crowd.pass(REVIEW / 10);
        if (1..=4).all(|handle| crowd.is_done(handle)) {
            break;
        }
        assert!(round < 20_000);
    }
    assert!(crowd.closed.is_empty(), "nobody is closed");
}

#[test]
fn whose_slow_messages_are_most_is_closed_first_the_one_that_stands_still_for_the_longest_time() {
    let mut crowd = Crowd::of(1 << 20, 1000, one_user);
    for handle in [1000, 1, 2, 3] {
        crowd.begin(handle, 900);
        crowd.send(handle, 400);
        crowd.pass(REVIEW);
        // Somebody waits.
        crowd.begin(2000, 900);
        crowd.pass(REVIEW * 2);
        crowd.intake.remove(crowd.now, 2000);
        crowd.claims.remove(&2000);
        crowd.pass(REVIEW);
    }
    assert_eq!(crowd.closed, [1, 2], "{:?}", crowd.intake);
}

proptest! {
    /// Whoever comes, stops, asks and goes: what is promised and held stays within the bounds, the sums are
    /// those of the parts, and in the end all that goes on is through.
    #[test]
    fn the_sums_are_right_and_nobody_waits_for_ever(
        steps in prop::collection::vec((1..9_u32, 0..6_u8, 11..5000_usize), 1..200),
    ) {
        let (pool, room) = (2 * KIB, 6000);
        let mut crowd = Crowd::of(2048, room, |handle| match handle % 3 {
                0 => Payer::Socket(handle),
                number => Payer::Client(number.into()),
            });
        for (handle, kind, number) in steps {
            let is_open = crowd.claims.get(&handle).is_some_and(|claim| claim.total > 0);
            match kind {
                0 | 1 if !is_open => crowd.begin(handle, number),
                0..=2 if is_open => drop(crowd.send(handle, number as u64)),
                3 if is_open => crowd.ask(handle),
                4 => crowd.pass(Duration::from_millis(number as u64)),
                5 if number % 7 == 0 => {
                    crowd.intake.remove(crowd.now, handle);
                    crowd.claims.remove(&handle);
                    crowd.credit.remove(&handle);
                    crowd.decide();
                }
                _ => {}
            }
            let senders = || crowd.intake.senders.values();
            let promised: u64 = senders().map(Sender::left).sum();
            prop_assert_eq!(promised, crowd.intake.pool.promised());
            prop_assert!(promised <= 2 * pool);
            for (handle, sender) in &crowd.intake.senders {
                // Whose credit has lapsed says so.
                let waits = sender.wants() && sender.credit <= sender.claim.received;
                prop_assert!(!waits || sender.is_in_rotation, "{handle} is forgotten: {sender:?}");
            }
            let of = |place: fn(Place) -> bool| senders().filter(move |sender| place(sender.place));
            let admitted: usize = of(|place| place == Place::Admitted).map(|sender| sender.claim.total).sum();
            prop_assert_eq!(admitted, crowd.intake.admitted);
            let count = of(|place| place == Place::Admitted).count();
            prop_assert!(admitted <= room || count == 1);
            let beside: usize = of(|place| place == Place::Beside).map(|sender| sender.claim.total).sum();
            prop_assert_eq!(beside, crowd.intake.beside_bytes);
            prop_assert!(beside <= room / BESIDE_PART);
            let outside = of(Place::is_outside).map(|sender| sender.claim.came);
            prop_assert_eq!(outside.sum::<usize>(), crowd.intake.outside.total());
        }
        for _ in 0..1000 {
            for handle in crowd.claims.keys().copied().collect::<Vec<_>>() {
                let is_open = crowd.claims.get(&handle).is_some_and(|claim| claim.total > 0);
                if is_open && crowd.send(handle, u64::MAX) == 0 {
                    crowd.ask(handle);
                }
            }
            crowd.pass(Duration::from_millis(700));
        }
        prop_assert!(crowd.claims.keys().all(|handle| crowd.is_done(*handle)), "{:?}", crowd.intake);
        crowd.pass(Duration::from_secs(60));
        prop_assert_eq!((crowd.intake.len(), crowd.intake.pool.promised(), crowd.intake.admitted), (0, 0, 0));
        prop_assert_eq!(crowd.intake.outside.total(), 0);
    }
}
