//! Stories about one gateway and a fabric above it that says what the test says.
#![allow(clippy::disallowed_methods)]

mod drains;
mod leaving;
mod refusals;

use std::time::Duration;

use crate::base::{Code, Failure};
use crate::broker::tests::{Stage, error_of, publication, subscribe};
use crate::broker::{BrokerConfig, PeerId, UpstreamConfig, UpstreamState};
use crate::subject::Pattern;
use crate::wire::{
    AckId, ClientOp, Info, Json, LargeMessages, OpError, OriginStamp, Presence, Publication, Reply, ServerOp,
    SocketCommand, SubscribeStatus, Subscription, SubscriptionClass, UpstreamNews, UpstreamOp, WatchRequest,
};

/// A gateway whose upstream has confirmed nothing yet.
fn dialed() -> Stage {
    let config = BrokerConfig { upstream: Some(UpstreamConfig::default()), ..BrokerConfig::default() };
    let mut stage = Stage::with(config, 1);
    assert!(stage.broker.poll_upstream_dial());
    stage.broker.handle_upstream_up();
    introduce(&mut stage, 10_000);
    stage
}

/// A server says who it is, and how large a message it takes.
fn introduce(stage: &mut Stage, whole: usize) {
    let large = Some(LargeMessages { chunk: 1000, whole });
    let user = Ok(Json::parse("null".to_owned().into()).expect("json"));
    let (id, cluster_name) = ("nats".to_owned(), None);
    let info = Info {
        max_payload: whole + 1000,
        id,
        cluster_name,
        user,
        instance: None,
        max_message: None,
        large,
        monitor: None,
    };
    news(stage, ServerOp::Info(info.into()));
}

/// A gateway whose upstream is ready.
fn gateway() -> Stage {
    let mut stage = dialed();
    confirm(&mut stage);
    assert_eq!(stage.broker.poll_upstream_state(), Some(UpstreamState::Ready));
    stage
}

fn news(stage: &mut Stage, op: ServerOp) {
    stage.broker.handle_upstream(stage.now, UpstreamNews::Op(op));
}

fn said(stage: &mut Stage) -> Vec<UpstreamOp> {
    let is_word = |op: &UpstreamOp| {
        let UpstreamOp::Op(op) = op else { return false };
        op.publication().is_some_and(|publication| publication.subject.as_str() == "_SV.gateways")
    };
    std::iter::from_fn(|| stage.broker.poll_upstream_op()).filter(|op| !is_word(op)).collect()
}

/// Grants whatever is subscribed to; returns in words what was said.
fn confirm(stage: &mut Stage) -> Vec<String> {
    let mut words = Vec::new();
    for op in said(stage) {
        let (word, id, reply) = match op {
            UpstreamOp::Op(ClientOp::Subscribe { ack, subscriptions, .. }) => {
                let names: Vec<&str> = subscriptions.iter().map(|one| &*one.pattern).collect();
                let added = vec![Ok(SubscribeStatus::Added); names.len()];
                (format!("sub {}", names.join(" ")), ack, Reply::Subscribed(added))
            }
            UpstreamOp::Op(ClientOp::Unsubscribe { ack, patterns, .. }) => {
                (format!("unsub {}", patterns[0]), ack, Reply::Unsubscribed { count: 1 })
            }
            UpstreamOp::Join { ack, pattern, queue, .. } => {
                let added = vec![Ok(SubscribeStatus::Added)];
                (format!("join {pattern} {queue}"), Some(ack), Reply::Subscribed(added))
            }
            UpstreamOp::Leave { ack, .. } => {
                ("leave".to_owned(), Some(ack), Reply::Unsubscribed { count: 1 })
            }
            UpstreamOp::Op(other) => panic!("{other:?}"),
        };
        words.push(word);
        news(stage, ServerOp::Ack { id: id.expect("asked for"), reply });
    }
    words.retain(|word| !word.starts_with("sub _INBOX"));
    words
}

/// Subscribes as a program whose library says what it knows.
fn own(stage: &mut Stage, peer: PeerId, pattern: &str, class: SubscriptionClass) -> AckId {
    let subscription =
        Subscription { pattern: pattern.into(), queue: Some("drawn".into()), class, exclusive: None };
    stage.begin(peer, |ack| ClientOp::Subscribe {
        ack: Some(ack),
        subscriptions: vec![subscription],
        list: false,
    })
}

/// The publications that were sent, with their acknowledgements.
fn published(stage: &mut Stage) -> Vec<(Option<AckId>, Publication)> {
    let publish = |op| match op {
        UpstreamOp::Op(ClientOp::Publish { ack, publication }) => Some((ack, publication)),
        _ => None,
    };
    said(stage).into_iter().filter_map(publish).collect()
}

fn publish(stage: &mut Stage, peer: PeerId, subject: &str) -> AckId {
    let publication = publication(subject, "1", 0, true, "hi");
    stage.begin(peer, |ack| ClientOp::Publish { ack: Some(ack), publication })
}

fn lose(stage: &mut Stage) {
    let why = Failure::new(Code::ConnectionReset, "killed");
    stage.broker.handle_upstream_down(stage.now, why);
}

const PLAIN: SubscriptionClass = SubscriptionClass::Plain;
const DIRECT: SubscriptionClass = SubscriptionClass::Direct;

#[test]
fn a_pattern_is_subscribed_to_once_and_a_membership_each_and_the_answer_waits_for_that() {
    let mut stage = gateway();
    let [one, other] = stage.joined();
    let first = own(&mut stage, one, "news", PLAIN);
    let second = own(&mut stage, other, "news", PLAIN);
    assert_eq!((stage.answer(one, first), stage.answer(other, second)), (None, None));
    assert_eq!(confirm(&mut stage), ["sub news"]);
    let added = Some(Reply::Subscribed(vec![Ok(SubscribeStatus::Added)]));
    assert_eq!((stage.answer(one, first), stage.answer(other, second)), (added.clone(), added));
    for peer in [one, other] {
        let jobs = stage.begin(peer, |ack| subscribe(Some(ack), [("jobs", Some("workers"))]));
        assert_eq!(stage.answer(peer, jobs), None);
        assert_eq!(confirm(&mut stage), ["join jobs workers"]);
        assert!(stage.answer(peer, jobs).is_some());
    }
    stage.unsubscribe(one, "news");
    assert!(confirm(&mut stage).is_empty());
    stage.broker.detach(stage.now, other);
    assert_eq!(confirm(&mut stage), ["leave", "unsub news"]);
    let stats = stage.broker.upstream_stats().expect("a gateway");
    assert_eq!((stats.patterns, stats.members), (0, 1));
}

#[test]
fn plain_ones_here_get_a_message_at_once_and_others_by_the_upstream() {
    let mut stage = gateway();
    let [reader, writer] = stage.joined();
    own(&mut stage, reader, "news", PLAIN);
    confirm(&mut stage);
    let ack = publish(&mut stage, writer, "news");
    assert_eq!(stage.received(reader), ["news: hi"]);
    assert_eq!(stage.answer(writer, ack), None, "the upstream has not said who got it");
    let [(Some(id), forwarded)] = &published(&mut stage)[..] else { panic!("one, counted") };
    assert_eq!(forwarded.subject.as_str(), "news");
    news(&mut stage, ServerOp::Ack { id: *id, reply: Reply::Published { count: 1 } });
    assert_eq!(stage.answer(writer, ack), Some(Reply::Published { count: 2 }));
}

#[test]
fn a_group_is_chosen_from_by_the_upstream_only() {
    let mut stage = gateway();
    let [worker, writer] = stage.joined();
    stage.begin(worker, |ack| subscribe(Some(ack), [("jobs", Some("workers"))]));
    let joined = said(&mut stage);
    let [UpstreamOp::Join { ack, member, .. }] = &joined[..] else { panic!("{joined:?}") };
    let added = Reply::Subscribed(vec![Ok(SubscribeStatus::Added)]);
    news(&mut stage, ServerOp::Ack { id: *ack, reply: added });
    stage.take(worker);
    publish(&mut stage, writer, "jobs");
    assert!(stage.received(worker).is_empty());
    let sent = published(&mut stage);
    assert_eq!(sent.len(), 1);
    let publication = sent[0].1.clone();
    stage.broker.handle_upstream(stage.now, UpstreamNews::Member { member: *member, publication });
    assert_eq!(stage.received(worker), ["jobs: hi"]);
    assert!(published(&mut stage).is_empty(), "what comes from there never goes there");
}

#[test]
fn who_waits_for_a_group_is_told_when_the_upstream_has_its_first_member() {
    let mut stage = gateway();
    let [worker, early, late] = stage.joined();
    let wait = |timeout| {
        move |ack| ClientOp::WaitForInterest {
            ack,
            subject: "jobs".into(),
            timeout: Duration::from_secs(timeout),
        }
    };
    let before = stage.begin(early, wait(9));
    stage.begin(worker, |ack| subscribe(Some(ack), [("jobs", Some("workers"))]));
    let after = stage.begin(late, wait(9));
    let told = Some(Reply::Interest(true));
    assert_eq!((stage.answer(early, before), stage.answer(late, after)), (None, None), "nobody gets it yet");
    let [looked, asked] = [stage.begin(late, wait(0)), stage.begin(late, wait(9))];
    for op in said(&mut stage) {
        match op {
            UpstreamOp::Join { ack, .. } => {
                let added = Reply::Subscribed(vec![Ok(SubscribeStatus::Added)]);
                news(&mut stage, ServerOp::Ack { id: ack, reply: added });
            }
            UpstreamOp::Op(ClientOp::WaitForInterest { ack, timeout, .. }) if timeout.is_zero() => {
                news(&mut stage, ServerOp::Ack { id: ack, reply: Reply::Interest(false) });
            }
            UpstreamOp::Op(ClientOp::WaitForInterest { .. }) => {}
            other => panic!("{other:?}"),
        }
    }
    let answers = [(early, before), (late, after), (late, asked)].map(|(peer, ack)| stage.answer(peer, ack));
    assert_eq!(answers, [told.clone(), told.clone(), told.clone()]);
    assert_eq!(stage.answer(late, looked), Some(Reply::Interest(false)), "as it was then");
    // A look from now on finds it here.
    let again = stage.begin(late, wait(9));
    assert_eq!((stage.answer(late, again), said(&mut stage).len()), (told, 0));
}

#[test]
fn who_waits_for_a_group_is_told_when_the_upstream_is_lost_before_it_has_confirmed_a_member() {
    let mut stage = gateway();
    let [worker, asker] = stage.joined();
    let timeout = Duration::from_secs(9);
    let wait = stage.begin(asker, |ack| ClientOp::WaitForInterest { ack, subject: "jobs".into(), timeout });
    stage.begin(worker, |ack| subscribe(Some(ack), [("jobs", Some("workers"))]));
    assert_eq!(stage.answer(asker, wait), None);
    lose(&mut stage);
    assert_eq!(stage.answer(asker, wait), Some(Reply::Interest(true)), "it is served here");
    let job = publish(&mut stage, asker, "jobs");
    assert_eq!(stage.answer(asker, job), Some(Reply::Published { count: 1 }));
}

#[test]
fn what_has_an_owner_here_stays_here_while_he_is_heard() {
    let mut stage = gateway();
    let [owner, writer] = stage.joined();
    own(&mut stage, owner, "chat.client.a", DIRECT);
    confirm(&mut stage);
    stage.take(owner);
    // Whose place he has taken is to be told of it.
    publish(&mut stage, writer, "chat.client.a");
    assert_eq!((published(&mut stage).len(), stage.received(owner).len()), (1, 1));
    stage.pass(Duration::from_secs(3));
    stage.handle(owner, ClientOp::InfoReceived);
    let ack = publish(&mut stage, writer, "chat.client.a");
    assert_eq!(stage.answer(writer, ack), Some(Reply::Published { count: 1 }));
    assert!(published(&mut stage).is_empty());
    stage.pass(Duration::from_secs(2));
    // He may be at another gateway by now.
    publish(&mut stage, writer, "chat.client.a");
    assert_eq!(published(&mut stage).len(), 1);
    assert_eq!(stage.received(owner).len(), 2);
}

#[test]
fn a_message_for_a_pattern_goes_to_its_subscribers_only() {
    let mut stage = gateway();
    let [one, other] = stage.joined();
    own(&mut stage, one, "a.*", PLAIN);
    own(&mut stage, one, "a.b", PLAIN);
    own(&mut stage, other, ">", PLAIN);
    assert_eq!(confirm(&mut stage), ["sub a.*", "sub a.b"], "a tap stays here");
    stage.take(one);
    stage.take(other);
    for pattern in ["a.*", "a.b"] {
        let pattern = Pattern::parse(pattern).expect("valid");
        news(&mut stage, ServerOp::Deliver { pattern, publication: publication("a.b", "1", 0, true, "hi") });
    }
    assert_eq!(stage.received(one), ["a.*: hi", "a.b: hi"]);
    assert!(stage.received(other).is_empty());
}

#[test]
fn a_request_without_anybody_is_told_so_by_the_upstream_alone() {
    let mut stage = gateway();
    let asker = stage.join();
    let question = publication("svc", "1", 0, true, "?");
    let ask = |ack| ClientOp::Request { ack, publication: question.clone() };
    let ack = stage.begin(asker, ask);
    let [(Some(id), _)] = &published(&mut stage)[..] else { panic!("counted") };
    news(&mut stage, ServerOp::Ack { id: *id, reply: Reply::Published { count: 0 } });
    assert_eq!(stage.answer(asker, ack), Some(Reply::Published { count: 0 }));
    let ack = stage.begin(asker, ask);
    let [(Some(id), _)] = &published(&mut stage)[..] else { panic!("counted") };
    news(&mut stage, ServerOp::Ack { id: *id, reply: Reply::Published { count: 1 } });
    assert_eq!(stage.answer(asker, ack), None, "its receiver answers");
    assert_eq!(stage.broker.stats().unheard, 1);
}

#[test]
fn while_it_is_away_groups_are_served_here_and_what_nobody_has_is_held() {
    let mut stage = gateway();
    let [worker, writer] = stage.joined();
    stage.begin(worker, |ack| subscribe(Some(ack), [("jobs", Some("workers"))]));
    confirm(&mut stage);
    stage.take(worker);
    let under_way = publish(&mut stage, writer, "elsewhere");
    lose(&mut stage);
    assert_eq!(error_of(stage.answer(writer, under_way).expect("told")).1, Some(408));
    let job = publish(&mut stage, writer, "jobs");
    assert_eq!(stage.answer(writer, job), Some(Reply::Published { count: 1 }));
    assert_eq!(stage.received(worker), ["jobs: hi"]);
    let [late, never] = ["elsewhere", "elsewhere"].map(|subject| publish(&mut stage, writer, subject));
    stage.handle(
        writer,
        ClientOp::Publish { ack: None, publication: publication("x", "1", 0, true, "unheard") },
    );
    assert_eq!(stage.broker.upstream_stats().map(|stats| (stats.held, stats.lost)), Some((2, 2)));
    // Subscribed here at once: it works here.
    let ack = own(&mut stage, worker, "more", PLAIN);
    assert!(stage.answer(worker, ack).is_some());
    stage.pass(Duration::from_secs(29));
    assert!(stage.broker.poll_upstream_dial());
    assert_eq!(stage.answer(writer, late), None);
    stage.pass(Duration::from_secs(2));
    assert!(stage.broker.is_upstream_overdue());
    for ack in [late, never] {
        assert_eq!(error_of(stage.answer(writer, ack).expect("given up")).1, Some(408));
    }
}

#[test]
fn when_it_is_back_all_is_subscribed_to_again_before_anything_is_sent() {
    let mut stage = gateway();
    let [worker, writer] = stage.joined();
    stage.begin(worker, |ack| subscribe(Some(ack), [("jobs", Some("workers"))]));
    own(&mut stage, worker, "news", PLAIN);
    confirm(&mut stage);
    lose(&mut stage);
    let held = publish(&mut stage, writer, "elsewhere");
    stage.pass(Duration::from_secs(1));
    assert!(stage.broker.poll_upstream_dial());
    stage.broker.handle_upstream_up();
    let user = Ok(Json::parse("null".to_owned().into()).expect("json"));
    news(
        &mut stage,
        ServerOp::Info(Box::new(Info {
            max_payload: 1000,
            id: String::new(),
            cluster_name: None,
            user,
            instance: None,
            max_message: None,
            large: None,
            monitor: None,
        })),
    );
    assert_eq!(confirm(&mut stage), ["sub news", "join jobs workers"]);
    assert!(matches!(stage.broker.poll_upstream_state(), Some(UpstreamState::Ready)));
    assert_eq!(published(&mut stage).len(), 1, "what was held");
    assert_eq!(stage.answer(writer, held), None);
}

#[test]
fn what_the_upstream_does_not_permit_is_told_to_each_who_wants_it() {
    let mut stage = gateway();
    let [one, other] = stage.joined();
    let acks = [one, other].map(|peer| (peer, own(&mut stage, peer, "secret", PLAIN)));
    let ops = said(&mut stage);
    let [UpstreamOp::Op(ClientOp::Subscribe { ack: Some(id), .. })] = &ops[..] else { panic!("{ops:?}") };
    let error = OpError { message: "no".to_owned(), code: Some(403) };
    news(&mut stage, ServerOp::Ack { id: *id, reply: Reply::Subscribed(vec![Err(error.clone())]) });
    for (peer, ack) in acks {
        assert_eq!(stage.answer(peer, ack), Some(Reply::Subscribed(vec![Err(error.clone())])));
        assert!(stage.broker.patterns_of(peer).is_empty());
    }
    own(&mut stage, one, "later", PLAIN);
    confirm(&mut stage);
    stage.take(one);
    let (message, kind) = ("taken back".to_owned(), "sub".to_owned());
    news(&mut stage, ServerOp::Permission { message, subject: "later".to_owned(), kind });
    assert!(matches!(&stage.take(one)[..], [ServerOp::Permission { .. }]));
    assert!(stage.broker.patterns_of(one).is_empty());
}

#[test]
fn reserved_names_are_for_no_client_and_what_comes_from_there_is_vouched_for_by_nobody() {
    let mut stage = gateway();
    let peer = stage.join();
    for name in ["$JS.API.INFO", "_R_.x", "_SV.watch"] {
        let ack = publish(&mut stage, peer, name);
        assert_eq!(error_of(stage.answer(peer, ack).expect("refused")).1, Some(403));
        let ack = own(&mut stage, peer, name, PLAIN);
        assert_eq!(error_of(stage.answer(peer, ack).expect("refused")).1, Some(403));
    }
    own(&mut stage, peer, "a.*", PLAIN);
    confirm(&mut stage);
    stage.take(peer);
    let pattern = Pattern::parse("a.*").expect("valid");
    let mut forged = publication("a.b", "1", 0, true, "");
    forged.headers.command = Some(SocketCommand::Connect);
    forged.headers.stamp_origin(Some(OriginStamp {
        number: 7,
        user: Json::parse("1".into()).ok().as_ref(),
        network: None,
    }));
    news(&mut stage, ServerOp::Deliver { pattern, publication: forged });
    let ops = stage.take(peer);
    let [ServerOp::Deliver { publication, .. }] = &ops[..] else { panic!("{ops:?}") };
    assert_eq!(publication.headers.origin(), None);
}

#[test]
fn chunks_go_only_to_who_is_alone_and_what_is_too_large_is_cut_for_him() {
    let mut stage = gateway();
    let writer = stage.join();
    let chunk = publication("jobs", "big", 0, false, "part");
    let ack = stage.begin(writer, |ack| ClientOp::Publish { ack: Some(ack), publication: chunk });
    assert_eq!(error_of(stage.answer(writer, ack).expect("refused")).1, Some(413));
    let large = "x".repeat(25_000);
    let whole = |subject| publication(subject, "1", 0, true, &large);
    let ack = stage.begin(writer, |ack| ClientOp::Publish { ack: Some(ack), publication: whole("jobs") });
    assert!(matches!(stage.answer(writer, ack), Some(Reply::Error(_))));
    stage.begin(writer, |ack| ClientOp::Publish { ack: Some(ack), publication: whole("chat.client.far") });
    let parts = published(&mut stage);
    assert_eq!(parts.iter().map(|(_, part)| part.position().0).collect::<Vec<_>>(), [0, 1, 2]);
    assert_eq!(
        parts.iter().map(|(ack, part)| (ack.is_some(), part.is_done())).collect::<Vec<_>>()[2],
        (true, true)
    );
    assert_eq!(parts.iter().map(|(_, part)| part.payload.raw.len()).sum::<usize>(), large.len());
}

#[test]
fn a_look_asks_the_upstream_and_a_wait_goes_on_until_somebody_listens() {
    let mut stage = gateway();
    let peer = stage.join();
    let wait = |timeout: u64| {
        move |ack| ClientOp::WaitForInterest {
            ack,
            subject: "far".into(),
            timeout: Duration::from_secs(timeout),
        }
    };
    let asked = |stage: &mut Stage| {
        let ops = said(stage);
        let [UpstreamOp::Op(ClientOp::WaitForInterest { ack, .. })] = &ops[..] else { panic!("{ops:?}") };
        *ack
    };
    let look = stage.begin(peer, wait(0));
    let id = asked(&mut stage);
    news(&mut stage, ServerOp::Ack { id, reply: Reply::Interest(false) });
    assert_eq!(stage.answer(peer, look), Some(Reply::Interest(false)));
    let [first, second] = [9, 9].map(|timeout| stage.begin(peer, wait(timeout)));
    let id = asked(&mut stage);
    news(&mut stage, ServerOp::Ack { id, reply: Reply::Interest(false) });
    let id = asked(&mut stage);
    lose(&mut stage);
    assert_eq!(stage.answer(peer, first), None);
    news(&mut stage, ServerOp::Ack { id, reply: Reply::Interest(true) });
    assert_eq!(stage.answer(peer, first), None, "an answer of the link that is gone");
    stage.pass(Duration::from_secs(10));
    assert_eq!(stage.answer(peer, second), Some(Reply::Interest(false)));
}

#[test]
fn an_end_that_nobody_here_owns_may_be_owned_elsewhere() {
    let mut stage = gateway();
    let peer = stage.join();
    stage
        .handle(peer, ClientOp::Watch(vec![WatchRequest { id: 1, subject: Some("chat.client.far".into()) }]));
    let ops = stage.take(peer);
    let [ServerOp::Watched(changes)] = &ops[..] else { panic!("{ops:?}") };
    assert_eq!(changes[0].presence, Presence::Unknown);
    // Nor is it known of somebody who was here and has left.
    let owner = stage.join();
    own(&mut stage, owner, "chat.client.far", SubscriptionClass::Direct);
    stage.take(peer);
    stage.broker.detach(stage.now, owner);
    let ops = stage.take(peer);
    let [ServerOp::Watched(changes)] = &ops[..] else { panic!("{ops:?}") };
    let said: Vec<_> = changes.iter().map(|change| (change.id, change.presence)).collect();
    assert_eq!(said, [(1, Presence::Cut), (1, Presence::Unknown)]);
}

#[test]
fn a_subscription_that_is_given_up_before_it_is_confirmed_is_answered() {
    let mut stage = gateway();
    let peer = stage.join();
    let ack = own(&mut stage, peer, "early", PLAIN);
    let group = stage.begin(peer, |ack| subscribe(Some(ack), [("jobs", Some("workers"))]));
    stage.unsubscribe(peer, "early");
    stage.unsubscribe(peer, "jobs");
    assert!(stage.answer(peer, ack).is_some() && stage.answer(peer, group).is_some());
    assert_eq!(confirm(&mut stage), ["sub early", "join jobs workers", "unsub early", "leave"]);
    let stats = stage.broker.upstream_stats().expect("a gateway");
    assert_eq!((stats.patterns, stats.members), (0, 0));
}

#[test]
fn who_publishes_more_than_there_is_room_for_is_not_read_from() {
    let mut stage = gateway();
    let [flood, calm] = stage.joined();
    let text = "x".repeat(9000);
    let mut sent = 0;
    while !stage.broker.is_paused(flood) {
        let publication = publication("far", "1", 0, true, &text);
        stage.handle(flood, ClientOp::Publish { ack: None, publication });
        sent += 1;
    }
    assert!((100..130).contains(&sent), "about 1 MiB: {sent}");
    assert!(stage.broker.is_paused(flood) && !stage.broker.is_paused(calm));
    publish(&mut stage, calm, "far");
    assert!(!stage.broker.is_paused(calm), "it has a share of its own");
    while stage.broker.poll_woken().is_some() {}
    assert_eq!(published(&mut stage).len(), sent + 1);
    assert!(!stage.broker.is_paused(flood));
    assert!(std::iter::from_fn(|| stage.broker.poll_woken()).any(|peer| peer == flood), "it is read again");
}

#[test]
fn what_a_gateway_holds_for_a_client_counts_in_the_one_budget() {
    let mut stage = gateway();
    let peer = stage.join();
    stage.take(peer);
    let memory = |stage: &Stage| stage.broker.stats().memory_bytes;
    let idle = memory(&stage);
    // On its way there, and the answers that are expected.
    let text = "x".repeat(9000);
    for _ in 0..10 {
        let publication = publication("far", "1", 0, true, &text);
        stage.begin(peer, |ack| ClientOp::Publish { ack: Some(ack), publication });
    }
    assert!(memory(&stage) - idle > 90_000);
    let sent = published(&mut stage);
    assert!((1000..10_000).contains(&(memory(&stage) - idle)), "ten answers are expected");
    for (id, _) in sent {
        news(&mut stage, ServerOp::Ack { id: id.expect("counted"), reply: Reply::Published { count: 1 } });
    }
    stage.take(peer);
    assert_eq!(memory(&stage), idle);
    // Interest, and what is asked for it.
    let before = memory(&stage);
    own(&mut stage, peer, "wanted", PLAIN);
    stage.begin(peer, |ack| subscribe(Some(ack), [("jobs", Some("workers"))]));
    let asked = memory(&stage);
    confirm(&mut stage);
    stage.take(peer);
    let confirmed = memory(&stage);
    assert!(before < confirmed && confirmed < asked, "{before} {confirmed} {asked}");
    for pattern in ["wanted", "jobs"] {
        stage.unsubscribe(peer, pattern);
    }
    confirm(&mut stage);
    stage.take(peer);
    assert_eq!(memory(&stage), idle);
    // Held while it is away.
    lose(&mut stage);
    for _ in 0..10 {
        let publication = publication("far", "1", 0, true, &text);
        stage.begin(peer, |ack| ClientOp::Publish { ack: Some(ack), publication });
    }
    assert!(memory(&stage) - idle > 90_000);
    stage.pass(Duration::from_secs(31));
    stage.take(peer);
    assert_eq!(memory(&stage), idle, "given up");
    stage.broker.detach(stage.now, peer);
    assert_eq!(memory(&stage), 0);
}

#[test]
fn what_a_client_may_not_hold_is_refused_and_one_that_fills_all_gives_way() {
    let bound = BrokerConfig { max_memory_bytes_per_connection: 200_000, ..BrokerConfig::default() };
    for config in [bound, BrokerConfig::default()] {
        let is_bound = config.max_memory_bytes_per_connection == 200_000;
        let config = BrokerConfig { upstream: Some(UpstreamConfig::default()), ..config };
        let mut stage = Stage::with(config, 1);
        let [greedy, neighbour] = stage.joined();
        let mut refused = Vec::new();
        for _ in 0..20_000 {
            publish(&mut stage, greedy, "far");
            for op in stage.take(greedy) {
                let ServerOp::Ack { reply, .. } = op else { continue };
                refused.push(error_of(reply).1);
            }
        }
        let held = publish(&mut stage, neighbour, "far");
        assert_eq!(stage.answer(neighbour, held), None, "is held");
        let code = if is_bound { 429 } else { 408 };
        assert!(refused.iter().all(|&one| one == Some(code)), "{refused:?}");
        assert!(!refused.is_empty() && refused.len() < 20_000, "{}", refused.len());
        assert!(
            stage.broker.close_reason(greedy).is_none() && stage.broker.close_reason(neighbour).is_none()
        );
    }
}

#[test]
fn a_client_that_comes_and_goes_at_a_pattern_is_not_read_from_while_nothing_leaves() {
    let mut stage = gateway();
    let [flapping, calm] = stage.joined();
    let mut rounds = 0;
    while !stage.broker.is_paused(flapping) {
        stage.handle(flapping, subscribe(None, [("news", Some("workers"))]));
        stage.unsubscribe(flapping, "news");
        rounds += 1;
        assert!(rounds < 100_000, "ever more waits to be sent");
    }
    assert!(!stage.broker.is_paused(calm));
    said(&mut stage);
    assert!(!stage.broker.is_paused(flapping));
}
