//! Stories of one client against a broker that the test plays by hand.
#![allow(clippy::disallowed_methods)]

mod ends;
mod holding;
mod leaving;
mod orphans;
mod stage;
mod ttl;

use std::time::{Duration, Instant};

use stage::Stage;

use super::*;
use crate::base::SeededEntropy;
use crate::subject::{Pattern, Subject};
use crate::wire::{
    AckId, ClientOp, Headers, Info, Json, Message, OpError, Payload, Publication, Reply, ServerOp,
    SubscribeStatus, Subscription,
};

const SYNC: u32 = 1;
const CLUSTER: u32 = 2;
const TAP: u32 = 3;
const NEWS: u32 = 4;

fn patterns(subscriptions: &[Subscription]) -> Vec<&str> {
    subscriptions.iter().map(|subscription| &*subscription.pattern).collect()
}

#[test]
fn a_sync_repairs_both_ways_and_leaves_the_inbox() {
    let mut stage = Stage::ready();
    stage.ask(SYNC, RequestKind::Sync);
    let ack = stage.list_ack();
    let inbox = stage.inbox();
    stage.listed(ack, &[&inbox, "tap", "left.over", "a..b"]);
    assert_eq!(stage.news(), [], "not before the broker has confirmed");
    let ops = stage.ops();
    let [ClientOp::Unsubscribe { patterns: unwanted, .. }, ClientOp::Subscribe { ack, subscriptions, .. }] =
        ops.as_slice()
    else {
        panic!("{ops:?}")
    };
    assert_eq!(unwanted.iter().map(|text| &**text).collect::<Vec<_>>(), ["left.over", "a..b"]);
    assert_eq!(patterns(subscriptions), ["news.>"]);
    assert!(subscriptions.iter().all(|one| one.queue.is_some()));
    stage.added(ack.expect("it waits"), 1);
    assert_eq!(stage.news(), [ClientEvent::Synced(SYNC)]);
}

#[test]
fn a_sync_brings_a_lost_inbox_back_and_says_nothing_when_all_is_well() {
    let mut stage = Stage::ready();
    let inbox = stage.inbox();
    stage.ask(SYNC, RequestKind::Sync);
    let ack = stage.list_ack();
    stage.listed(ack, &["news.>", "tap", &inbox]);
    assert_eq!((stage.ops(), stage.news()), (vec![], vec![ClientEvent::Synced(SYNC)]));
    stage.ask(SYNC, RequestKind::Sync);
    let ack = stage.list_ack();
    stage.listed(ack, &["news.>", "tap"]);
    let ops = stage.ops();
    let [ClientOp::Subscribe { subscriptions, .. }] = ops.as_slice() else { panic!("{ops:?}") };
    assert_eq!(patterns(subscriptions), [inbox]);
}

#[test]
fn lists_are_asked_for_again_after_a_loss() {
    let mut stage = Stage::ready();
    stage.ask(CLUSTER, RequestKind::Cluster);
    stage.list_ack();
    stage.lose();
    assert_eq!(stage.news(), []);
    stage.sign_in();
    let ack = stage.list_ack();
    stage.listed(ack, &["http://a", "http://b"]);
    assert_eq!(
        stage.news(),
        [ClientEvent::Cluster(CLUSTER, vec!["http://a".to_owned(), "http://b".to_owned()])]
    );
}

#[test]
fn a_list_that_never_comes_times_out_and_one_that_is_refused_fails() {
    let mut stage = Stage::ready();
    stage.ask(CLUSTER, RequestKind::Cluster);
    stage.list_ack();
    stage.now += Duration::from_secs(11);
    stage.client.handle_timeout(stage.now);
    let news = stage.news();
    assert!(
        matches!(news.as_slice(), [ClientEvent::Failed(CLUSTER, ClientError::Timeout { .. })]),
        "{news:?}"
    );
    stage.ask(SYNC, RequestKind::Sync);
    let id = stage.list_ack();
    let reply = Reply::Error(OpError::text("no"));
    stage.client.handle_op(stage.now, ServerOp::Ack { id, reply });
    assert_eq!(stage.news(), [ClientEvent::Failed(SYNC, ClientError::Refused(OpError::text("no")))]);
}

#[test]
fn without_an_inbox_questions_are_told_why_and_the_next_connection_asks_again() {
    let mut stage = Stage::ready();
    stage.lose();
    stage.ask(1, RequestKind::Request);
    stage.ask(2, RequestKind::Publish);
    stage.ask(3, RequestKind::Command);
    let (id, count) = stage.let_in();
    let refusal = OpError { code: Some(403), message: "permission denied".to_owned() };
    let mut statuses = vec![Ok(SubscribeStatus::Added); count];
    statuses[0] = Err(refusal.clone());
    stage.client.handle_op(stage.now, ServerOp::Ack { id, reply: Reply::Subscribed(statuses) });
    let why = ClientError::InboxRefused { inbox: stage.inbox(), error: refusal };
    let told = |token| ClientEvent::Failed(token, why.clone());
    let failed: Vec<_> =
        stage.news().into_iter().filter(|event| matches!(event, ClientEvent::Failed(..))).collect();
    assert_eq!(failed, [told(1), told(2)], "a socket's command waits on");
    assert!(stage.client.poll_drop());
    stage.client.handle_link_down(stage.now, "dropped".to_owned());
    stage.now += Duration::from_secs(2);
    stage.client.handle_timeout(stage.now);
    stage.sign_in();
    assert!(
        matches!(stage.ops()[..], [ClientOp::Publish { .. } | ClientOp::Request { .. }]),
        "now it is said"
    );
}

#[test]
fn what_is_asked_behind_a_cut_waits_for_the_next_connection() {
    let mut stage = Stage::ready();
    stage.client.drop_link();
    stage.ask(1, RequestKind::Request);
    assert_eq!((stage.ops(), stage.news()), (vec![], vec![]));
    assert!(stage.client.poll_drop());
    stage.client.handle_link_down(stage.now, "cut".to_owned());
    stage.now += Duration::from_secs(1);
    stage.client.handle_timeout(stage.now);
    stage.sign_in();
    assert!(matches!(stage.ops()[..], [ClientOp::Request { .. }]), "once");
}

#[test]
fn a_request_that_somebody_has_is_not_acknowledged_and_leaves_nothing_behind() {
    let mut stage = Stage::ready();
    stage.ask(NEWS, RequestKind::Request);
    let ops = stage.ops();
    let [ClientOp::Request { publication, .. }] = ops.as_slice() else { panic!("{ops:?}") };
    let reply = publication.headers.reply.clone().expect("somewhere for the answer");
    let answer = Publication { subject: reply, headers: Headers::default(), ..publication.clone() };
    let pattern = Pattern::parse(&stage.inbox()).expect("valid");
    stage.client.handle_op(stage.now, ServerOp::Deliver { pattern, publication: answer });
    let news = stage.news();
    assert!(matches!(news.as_slice(), [ClientEvent::Reply { token: NEWS, .. }]), "{news:?}");
    let usage = stage.client.usage();
    assert_eq!((usage.requests, usage.acks), (0, 0), "nobody waits for the acknowledgement");
}

#[test]
fn a_request_that_nobody_has_fails_at_once_or_waits_and_is_sent_whole_again() {
    let mut stage = Stage::ready();
    stage.ask(NEWS, RequestKind::Request);
    let ops = stage.ops();
    let [ClientOp::Request { ack, .. }] = ops.as_slice() else { panic!("{ops:?}") };
    stage.client.handle_op(stage.now, ServerOp::Ack { id: *ack, reply: Reply::Published { count: 0 } });
    let news = stage.news();
    let [ClientEvent::Failed(NEWS, ClientError::NoSubscribers { .. })] = news.as_slice() else {
        panic!("{news:?}")
    };
    let subject = Subject::parse("later").expect("valid");
    let message = Message { subject, payload: Payload::msgpack("hi"), headers: Headers::default() };
    let timeout = Duration::from_secs(10);
    let kind = RequestKind::Request;
    let request = Request { kind, message, timeout, wait_for_interest: true, ttl: None };
    stage.client.request(stage.now, Some(TAP), request);
    let ops = stage.ops();
    let [ClientOp::Request { ack, publication: first }] = ops.as_slice() else { panic!("{ops:?}") };
    stage.client.handle_op(stage.now, ServerOp::Ack { id: *ack, reply: Reply::Published { count: 0 } });
    let ops = stage.ops();
    let [ClientOp::WaitForInterest { ack, .. }] = ops.as_slice() else { panic!("{ops:?}") };
    stage.client.handle_op(stage.now, ServerOp::Ack { id: *ack, reply: Reply::Interest(true) });
    let ops = stage.ops();
    let [ClientOp::Request { publication: second, .. }] = ops.as_slice() else { panic!("{ops:?}") };
    assert_eq!((second, &second.payload), (first, &Payload::msgpack("hi")));
}

#[test]
fn a_request_whose_receiver_has_ended_fails_as_one_that_may_have_been_done() {
    let mut stage = Stage::ready();
    for kind in [RequestKind::Request, RequestKind::Publish] {
        stage.ask(1, kind);
        let ops = stage.ops();
        let [ClientOp::Request { ack, .. } | ClientOp::Publish { ack: Some(ack), .. }] = ops.as_slice()
        else {
            panic!("{ops:?}")
        };
        let ended = OpError { message: "ended".to_owned(), code: Some(410) };
        let reply = ServerOp::Ack { id: *ack, reply: Reply::Error(ended.clone()) };
        stage.client.handle_op(stage.now, reply.clone());
        let (what, subject) = (kind.name(), "list".to_owned());
        let expected = if kind == RequestKind::Request {
            ClientError::EndedUnanswered { what, subject }
        } else {
            ClientError::Refused(ended)
        };
        assert_eq!(stage.news(), [ClientEvent::Failed(1, expected)]);
        stage.client.handle_op(stage.now, reply);
        assert_eq!(stage.news(), [], "it is told once");
    }
}

#[test]
fn why_the_broker_ends_the_connection_is_told_before_it_is_gone() {
    let mut stage = Stage::ready();
    while stage.client.poll_event().is_some() {}
    let message = "x".repeat(5000);
    stage.client.handle_op(stage.now, ServerOp::Closing { code: "ERR_SLOW_CONSUMER".into(), message });
    stage.client.handle_link_down(stage.now, "cut".to_owned());
    let told: Vec<_> = std::iter::from_fn(|| stage.client.poll_event()).collect();
    let kept = ClientError::CutOff { code: "ERR_SLOW_CONSUMER".into(), message: "x".repeat(1000) };
    assert_eq!(
        told,
        [
            ClientEvent::Session(SessionState::Ending(kept)),
            ClientEvent::Session(SessionState::Lost("cut".into())),
            ClientEvent::Session(SessionState::Disconnected("cut".into()))
        ]
    );
}

#[test]
fn a_client_without_an_inbox_fails_what_waits_and_tries_another_connection() {
    let mut stage = Stage::ready();
    stage.lose();
    stage.ask(CLUSTER, RequestKind::Request);
    stage.greet();
    let Some(ClientOp::Subscribe { ack: Some(id), .. }) = stage.ops().pop() else { panic!("no sign-in") };
    let no = OpError { message: "permission denied".into(), code: Some(403) };
    let statuses = vec![Err(no.clone()), Ok(SubscribeStatus::Added), Ok(SubscribeStatus::Added)];
    stage.client.handle_op(stage.now, ServerOp::Ack { id, reply: Reply::Subscribed(statuses) });
    let why = ClientError::InboxRefused { inbox: stage.inbox(), error: no };
    let told: Vec<_> = std::iter::from_fn(|| stage.client.poll_event()).collect();
    assert!(told.contains(&ClientEvent::Failed(CLUSTER, why.clone())), "{told:?}");
    assert_eq!(told.last(), Some(&ClientEvent::Session(SessionState::Ending(why))));
    assert!(stage.client.poll_drop());
    stage.client.handle_link_down(stage.now, "given up".to_owned());
    stage.now += Duration::from_secs(60);
    stage.client.handle_timeout(stage.now);
    stage.sign_in();
    assert_eq!(stage.client.poll_event(), Some(ClientEvent::Session(SessionState::Lost("given up".into()))));
}

/// The payloads that it publishes.
fn published(stage: &mut Stage) -> Vec<bytes::Bytes> {
    let payload = |op: ClientOp| op.publication().map(|publication| publication.payload.raw.clone());
    stage.ops().into_iter().filter_map(payload).collect()
}

fn connecting() -> Stage {
    let mut client = Client::new(ClientConfig::default(), Box::new(SeededEntropy::new(7)));
    client.connect();
    Stage { client, now: Instant::now(), instance: None }
}

fn keep(stage: &mut Stage, text: &'static str) {
    let subject = Subject::parse("news.a").expect("valid");
    let payload = Payload::msgpack(text);
    stage.client.publish_or_keep(Message { subject, payload, headers: Headers::default() });
}

#[test]
fn what_is_published_before_the_sign_in_is_dropped_unless_the_client_closes_first() {
    let mut stage = connecting();
    keep(&mut stage, "early");
    stage.sign_in();
    keep(&mut stage, "late");
    assert_eq!(published(&mut stage), ["late"]);

    let mut stage = connecting();
    for text in ["1", "2", "3"] {
        keep(&mut stage, text);
    }
    stage.client.close(stage.now, Duration::MAX);
    assert!(stage.client.is_closed() && !stage.client.poll_drop());
    keep(&mut stage, "after the close");
    assert!(stage.client.poll_dial());
    stage.client.handle_link_down(stage.now, "refused".to_owned());
    stage.now = stage.client.poll_timeout().expect("it tries again");
    stage.client.handle_timeout(stage.now);
    stage.greet();
    let ops = stage.ops();
    let messages = ops.iter().filter_map(ClientOp::publication).map(Publication::count).sum::<u32>();
    assert_eq!(messages, 3, "{ops:?}");
    assert!(!ops.iter().any(|op| matches!(op, ClientOp::Subscribe { .. })));
    assert!(stage.client.poll_drop());
    assert_eq!(stage.client.poll_timeout(), None);
}

#[test]
fn a_closed_client_that_finds_no_broker_ends_in_time_and_says_what_is_lost() {
    let mut stage = connecting();
    keep(&mut stage, "1");
    keep(&mut stage, "2");
    stage.client.close(stage.now, Duration::MAX);
    let end = |stage: &mut Stage| {
        let events: Vec<_> = std::iter::from_fn(|| stage.client.poll_event()).collect();
        let is_closed = events.last() == Some(&ClientEvent::Session(SessionState::Closed));
        let unsent = SessionState::Ending(ClientError::Unsent { count: 2 });
        (is_closed, events.contains(&ClientEvent::Session(unsent)))
    };
    assert_eq!(end(&mut stage), (false, false));
    let begun = stage.now;
    while let Some(at) = stage.client.poll_timeout() {
        stage.now = at;
        stage.client.handle_timeout(at);
        if stage.client.poll_dial() {
            stage.client.handle_link_down(at, "refused".to_owned());
        }
    }
    assert_eq!(stage.now - begun, Duration::from_secs(5));
    assert_eq!(end(&mut stage), (true, true));
}
