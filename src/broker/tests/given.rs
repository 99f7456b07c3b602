//! Who asked is told when whoever was given the request ends without an answer.

use super::*;
use crate::broker::cut_off::MAX_CUT_OFF;
use crate::broker::given_requests::{MAX_OTHERS, MAX_UNANSWERED};
use crate::wire::message::ENDED_UNANSWERED;
use crate::wire::{ANSWER_GRACE, Presence};

impl Stage {
    /// A client with its inbox, and a member of the group that serves `calls`.
    pub(super) fn member(&mut self, inbox: &str) -> PeerId {
        let member = self.join();
        self.subscribe_inbox(member, inbox);
        self.subscribe(member, "calls", "members");
        member
    }

    pub(super) fn subscribe_inbox(&mut self, peer: PeerId, inbox: &str) {
        let subscription = Subscription {
            pattern: inbox.into(),
            queue: Some("own".into()),
            class: SubscriptionClass::Direct,
            exclusive: None,
        };
        self.handle(peer, ClientOp::Subscribe { ack: None, subscriptions: vec![subscription], list: false });
    }

    /// A request without a place for its answer.
    fn request(&mut self, asker: PeerId, subject: &str) -> AckId {
        let publication = publication(subject, "whole", 0, true, "?");
        self.begin(asker, |ack| ClientOp::Request { ack, publication })
    }

    /// A request to the group, whose answer comes to `place`.
    pub(super) fn call(&mut self, asker: PeerId, place: &str) -> AckId {
        self.call_at("calls", asker, place)
    }

    pub(super) fn call_at(&mut self, subject: &str, asker: PeerId, place: &str) -> AckId {
        let mut publication = publication(subject, "whole", 0, true, "?");
        publication.headers.reply = Some(Subject::parse(place).expect("valid"));
        self.begin(asker, |ack| ClientOp::Request { ack, publication })
    }

    pub(super) fn answer_call(&mut self, member: PeerId, place: &str, done: bool) {
        let answer = publication(place, if done { "whole" } else { "part" }, 0, done, "!");
        self.handle(member, ClientOp::Publish { ack: None, publication: answer });
    }

    /// An asker that has its answers below `inbox.asker`.
    pub(super) fn asker(&mut self) -> PeerId {
        let asker = self.join();
        self.subscribe_inbox(asker, "inbox.asker.*");
        asker
    }

    /// Whether the asker was told that whoever was asked has ended.
    fn take_told(&mut self, asker: PeerId, ack: AckId) -> bool {
        match self.answer(asker, ack) {
            None => false,
            Some(Reply::Error(OpError { code: Some(ENDED_UNANSWERED), .. })) => true,
            other => panic!("{other:?}"),
        }
    }

    /// All of which the asker was told that.
    fn take_all_told(&mut self, asker: PeerId) -> Vec<AckId> {
        let told = |op| match op {
            ServerOp::Ack { id, reply: Reply::Error(OpError { code: Some(ENDED_UNANSWERED), .. }) } => {
                Some(id)
            }
            _ => None,
        };
        self.take(asker).into_iter().filter_map(told).collect()
    }

    /// The memory of all connections, when nothing waits for these.
    fn memory_without(&mut self, peers: &[PeerId]) -> usize {
        peers.iter().for_each(|peer| drop(self.take(*peer)));
        self.broker.stats().memory_bytes
    }

    fn end_with(&mut self, peer: PeerId, why: Presence) {
        self.broker.note_end(peer, why);
        self.broker.detach(self.now, peer);
    }
}

#[test]
fn who_says_that_it_ends_is_not_waited_for_and_who_was_cut_is_for_a_while() {
    let mut stage = Stage::new();
    let [asker] = stage.joined();
    let member = stage.member("inbox.a.*");
    let ack = stage.request(asker, "calls");
    stage.end_with(member, Presence::Gone);
    assert!(stage.take_told(asker, ack));

    let member = stage.member("inbox.b.*");
    let ack = stage.request(asker, "calls");
    stage.broker.detach(stage.now, member);
    stage.pass(ANSWER_GRACE - Duration::from_millis(1));
    assert!(!stage.take_told(asker, ack), "its client may be back");
    stage.pass(Duration::from_millis(1));
    assert!(stage.take_told(asker, ack));
    assert_eq!(stage.broker.poll_timeout(), None);
}

#[test]
fn who_wants_several_answers_of_one_alone_is_told_behind_the_count() {
    let mut stage = Stage::new();
    let [asker] = stage.joined();
    let member = stage.member("inbox.a.*");
    let ask = |stage: &mut Stage, reply: Option<&str>| {
        let mut publication = publication("calls", "whole", 0, true, "?");
        publication.headers.reply = reply.map(|reply| Subject::parse(reply).expect("valid"));
        stage.begin(asker, |ack| ClientOp::Publish { ack: Some(ack), publication })
    };
    let [asked, told] = [Some("inbox.asker.1"), None].map(|reply| ask(&mut stage, reply));
    stage.end_with(member, Presence::Gone);
    let acks: Vec<(AckId, bool)> = (stage.take(asker).into_iter())
        .filter_map(|op| match op {
            ServerOp::Ack { id, reply } => Some((id, matches!(reply, Reply::Error(_)))),
            _ => None,
        })
        .collect();
    assert_eq!(acks, [(asked, false), (told, false), (asked, true)]);
}

#[test]
fn a_client_that_comes_back_owes_its_answers_still() {
    let mut stage = Stage::new();
    let [asker] = stage.joined();
    let member = stage.member("inbox.a.*");
    let ack = stage.request(asker, "calls");
    stage.broker.detach(stage.now, member);
    stage.pass(ANSWER_GRACE / 2);
    let again = stage.member("inbox.a.*");
    stage.pass(10 * ANSWER_GRACE);
    assert!(!stage.take_told(asker, ack), "it may answer");
    // Its next connection is there before the end of this one is noticed.
    let third = stage.member("inbox.a.*");
    stage.end_with(again, Presence::Silent);
    stage.pass(10 * ANSWER_GRACE);
    assert!(!stage.take_told(asker, ack));
    stage.end_with(third, Presence::Gone);
    assert!(stage.take_told(asker, ack));
}

#[test]
fn what_went_to_several_or_to_nobody_or_to_a_tap_is_nobodys_to_answer() {
    let mut stage = Stage::new();
    let [asker, tap] = stage.joined();
    stage.subscribe(tap, ">", "q");
    let [first, second] = [stage.member("inbox.a.*"), stage.member("inbox.b.*")];
    stage.subscribe(first, "news", "one");
    stage.subscribe(second, "news", "two");
    let ack = stage.request(asker, "news");
    stage.end_with(first, Presence::Gone);
    assert!(!stage.take_told(asker, ack), "the other one may answer");
    // The tap is no receiver, also where it was given it last.
    stage.subscribe_inbox(tap, "inbox.t.*");
    let ack = stage.request(asker, "calls");
    stage.end_with(tap, Presence::Gone);
    assert!(!stage.take_told(asker, ack));
    stage.end_with(second, Presence::Gone);
    assert!(stage.take_told(asker, ack));
}

#[test]
fn a_call_is_told_of_however_many_newer_ones_were_answered() {
    let mut stage = Stage::new();
    let asker = stage.asker();
    let alone = stage.memory_without(&[]);
    let member = stage.member("inbox.a.*");
    let slow = stage.call(asker, "inbox.asker.slow");
    let before = stage.memory_without(&[asker, member]);
    for n in 0..1000 {
        stage.call(asker, &format!("inbox.asker.{n}"));
    }
    let meanwhile = stage.memory_without(&[asker, member]);
    assert!(meanwhile > before + 20_000, "{before} {meanwhile}");
    for n in 0..1000 {
        stage.answer_call(member, &format!("inbox.asker.{n}"), true);
    }
    let halfway = stage.call(asker, "inbox.asker.halfway");
    stage.answer_call(member, "inbox.asker.halfway", false);
    stage.take(asker);
    stage.end_with(member, Presence::Gone);
    assert_eq!(stage.take_all_told(asker), [slow, halfway]);
    assert!(stage.memory_without(&[asker]) < alone + STEP);
}

#[test]
fn room_for_many_calls_is_given_back_when_all_are_answered() {
    let mut stage = Stage::new();
    let (asker, member) = (stage.asker(), stage.member("inbox.a.*"));
    stage.call(asker, "inbox.asker.0");
    let before = stage.memory_without(&[asker, member]);
    for n in 1..1000 {
        stage.call(asker, &format!("inbox.asker.{n}"));
    }
    (0..1000).for_each(|n| stage.answer_call(member, &format!("inbox.asker.{n}"), true));
    let after = stage.memory_without(&[asker, member]);
    assert!(after < before + STEP, "{before} {after}");
}

#[test]
fn what_another_says_to_an_asker_ends_no_call() {
    let mut stage = Stage::new();
    let asker = stage.asker();
    let [first, second] = [stage.member("inbox.a.*"), stage.join()];
    let ack = stage.call(asker, "inbox.asker.1");
    stage.answer_call(second, "inbox.asker.1", true);
    stage.end_with(first, Presence::Gone);
    assert!(stage.take_told(asker, ack));
}

#[test]
fn of_requests_for_several_answers_the_latest_are_remembered() {
    let mut stage = Stage::new();
    let [asker, leaver] = stage.joined();
    let member = stage.member("inbox.a.*");
    let acks: Vec<AckId> = (0..=MAX_OTHERS).map(|_| stage.request(asker, "calls")).collect();
    stage.request(leaver, "calls");
    stage.end_with(leaver, Presence::Gone);
    stage.end_with(member, Presence::Gone);
    let told: Vec<bool> = acks.into_iter().map(|ack| stage.take_told(asker, ack)).collect();
    assert_eq!(told.iter().filter(|told| **told).count(), MAX_OTHERS);
    assert!(!told[0] && told[1]);
}

#[test]
fn calls_without_an_answer_are_bounded_and_an_end_is_told_of_in_portions() {
    let mut stage = Stage::new();
    let asker = stage.asker();
    let alone = stage.memory_without(&[]);
    let call_many = |stage: &mut Stage, member: PeerId, count: usize| -> Vec<AckId> {
        let acks = (0..count).map(|n| stage.call(asker, &format!("inbox.asker.{n}"))).collect();
        stage.take(member);
        acks
    };
    let member = stage.member("inbox.a.*");
    let acks = call_many(&mut stage, member, MAX_UNANSWERED);
    let most = stage.memory_without(&[]) - alone;
    assert!(most < 6 * 1024 * 1024, "{most}");
    stage.end_with(member, Presence::Gone);
    let mut told = stage.take_all_told(asker);
    assert!((1..5000).contains(&told.len()), "{} at once", told.len());
    stage.pass(Duration::ZERO);
    told.extend(stage.take_all_told(asker));
    assert_eq!(told, acks);
    assert_eq!(stage.broker.poll_timeout(), None);

    // One more than is remembered: what was asked of whoever has most is forgotten, and whoever asks goes on.
    let member = stage.member("inbox.a.*");
    let acks = call_many(&mut stage, member, MAX_UNANSWERED + 1);
    stage.end_with(member, Presence::Gone);
    stage.pass(Duration::ZERO);
    assert_eq!(stage.take_all_told(asker), acks[MAX_UNANSWERED..]);
    assert_eq!(stage.memory_without(&[]), alone);
}

#[test]
fn whoever_may_keep_nothing_more_asks_none_the_less() {
    let config = BrokerConfig { max_memory_bytes_per_connection: 64 * 1024, ..BrokerConfig::default() };
    let mut stage = Stage::with(config, 1);
    let asker = stage.asker();
    let member = stage.member("inbox.a.*");
    for n in 0..10_000 {
        stage.call(asker, &format!("inbox.asker.{n}"));
        assert_eq!(stage.received(member), ["calls: ?"]);
    }
    assert_eq!(stage.broker.close_reason(asker), None);
    let open = stage.memory_without(&[]);
    stage.end_with(member, Presence::Gone);
    stage.pass(Duration::ZERO);
    assert!(stage.memory_without(&[asker]) <= open);
}

#[test]
fn askers_that_have_left_or_have_their_answers_are_not_kept() {
    let mut stage = Stage::new();
    let member = stage.member("inbox.a.*");
    let stays = stage.asker();
    let ack = stage.call(stays, "inbox.asker.1");
    for n in 0..1000 {
        let asker = stage.join();
        stage.subscribe_inbox(asker, &format!("inbox.{n}.*"));
        stage.call(asker, &format!("inbox.{n}.1"));
        if n % 2 == 0 {
            stage.answer_call(member, &format!("inbox.{n}.1"), true);
        }
        stage.end_with(asker, Presence::Gone);
    }
    assert!(stage.broker.askers_of(member) < 100, "{}", stage.broker.askers_of(member));
    stage.end_with(member, Presence::Gone);
    assert!(stage.take_told(stays, ack));
}

#[test]
fn who_only_hears_what_a_client_is_answered_owes_nothing_for_it() {
    let mut stage = Stage::new();
    let [asker, tap] = stage.joined();
    let member = stage.member("inbox.a.*");
    stage.subscribe(tap, "inbox.a.*", "tap");
    let ack = stage.request(asker, "calls");
    stage.end_with(member, Presence::Silent);
    stage.pass(ANSWER_GRACE);
    assert!(stage.take_told(asker, ack));
}

#[test]
fn the_answer_stands_before_the_word_that_there_will_be_none() {
    let mut stage = Stage::new();
    let [asker] = stage.joined();
    stage.subscribe_inbox(asker, "inbox.asker.*");
    let member = stage.member("inbox.a.*");
    stage.request(asker, "calls");
    stage.take(asker);
    // So much waits that each sender has a queue of its own.
    for _ in 0..2000 {
        let answer = publication("inbox.asker.1", "whole", 0, true, &"x".repeat(4000));
        stage.handle(member, ClientOp::Publish { ack: None, publication: answer });
    }
    stage.end_with(member, Presence::Gone);
    let ops = stage.take(asker);
    assert!(matches!(ops.last(), Some(ServerOp::Ack { reply: Reply::Error(_), .. })), "{:?}", ops.last());
    assert_eq!(ops.len(), 2001);
}

#[test]
fn places_of_those_who_were_cut_are_shared_by_user() {
    let mut stage = Stage::new();
    let [asker] = stage.joined();
    let cut = |stage: &mut Stage, user: &str, n: usize| {
        let member = stage.attach(&format!(r#"{{"account_id":"{user}"}}"#));
        stage.subscribe_inbox(member, &format!("inbox.{user}{n}.*"));
        stage.subscribe(member, "calls", "members");
        let ack = stage.request(asker, "calls");
        stage.broker.detach(stage.now, member);
        ack
    };
    let crowd: Vec<AckId> = (0..MAX_CUT_OFF).map(|n| cut(&mut stage, "many", n)).collect();
    assert!(!stage.take_told(asker, crowd[0]), "there is room for each");
    let other = cut(&mut stage, "lone", 0);
    assert!(stage.take_told(asker, crowd[0]), "the oldest of who has most");
    let own = cut(&mut stage, "many", MAX_CUT_OFF);
    assert!(stage.take_told(asker, crowd[1]), "one's own, where nobody has more");
    // Who comes back gives the place free at once.
    let again = stage.attach(r#"{"account_id":"many"}"#);
    stage.handle(again, ClientOp::InfoReceived);
    stage.subscribe_inbox(again, "inbox.many2.*");
    let last = cut(&mut stage, "late", 0);
    stage.pass(ANSWER_GRACE - Duration::from_millis(1));
    let acks = [crowd[2], crowd[3], other, own, last];
    assert_eq!(acks.map(|ack| stage.take_told(asker, ack)), [false; 5]);
    stage.pass(Duration::from_millis(1));
    assert_eq!(acks.map(|ack| stage.take_told(asker, ack)), [false, true, true, true, true]);
    assert_eq!(stage.broker.poll_timeout(), None);
}

/// What passes through a connection is counted in steps of so many bytes.
const STEP: usize = 4096;
