//! A connection that another one takes the place of.

use std::time::Duration;

use super::model::{Model, deliver};
use crate::subject::Pattern;
use crate::wire::message::*;
use crate::wire::nats::{Client, Reach, ServerInfo};

fn subscription(pattern: &str, queue: Option<&str>) -> Subscription {
    let class = if queue.is_some() { SubscriptionClass::Shared } else { SubscriptionClass::Plain };
    Subscription { pattern: pattern.into(), queue: queue.map(Into::into), class, exclusive: None }
}

/// Subscribed to an inbox, a subject, and one in a group; and the next connection, to a server with this id.
fn two(id: &str) -> (Model, Model) {
    let (mut old, mut next) = (Model::new("2.15.1"), Model::new("2.15.1"));
    let info = ServerInfo { server_id: id.into(), ..old.client.info().clone() };
    next.client = Client::new(info);
    let subscriptions =
        vec![subscription("_INBOX.me.*", None), subscription("news", None), subscription("jobs", Some("q"))];
    old.say(ClientOp::Subscribe { ack: Some(AckId(1)), subscriptions, list: true });
    old.exchange();
    (old, next)
}

fn replace(old: &mut Model, next: &mut Model) -> Vec<ServerOp> {
    old.client.repeat(&mut next.client, &mut next.said);
    assert!(!next.client.is_idle());
    let answers = next.serve();
    let heard = next.hear(&answers);
    assert!(next.client.is_idle());
    heard
}

#[test]
fn the_next_connection_has_every_subscription_under_its_number() {
    let (mut old, mut next) = two("N2");
    let ended = vec!["news".into()];
    old.say(ClientOp::Unsubscribe { ack: None, patterns: ended, list: true, drain: false });
    let subscriptions = vec![subscription("more", None)];
    old.say(ClientOp::Subscribe { ack: Some(AckId(2)), subscriptions, list: true });
    assert!(!old.client.is_idle());
    old.exchange();
    assert!(old.client.is_idle() && old.client.fits(&next.client));
    let heard = replace(&mut old, &mut next);
    assert!(matches!(&heard[..], [ServerOp::Info(info)] if info.id == "N2"));
    next.lines.sort();
    assert_eq!(next.lines, ["PING", "SUB _INBOX.me.* 1", "SUB jobs q 3", "SUB more 4"]);
    let mut bytes = Vec::new();
    deliver(&mut bytes, "more", 4, None, b"", b"x");
    assert!(
        matches!(&next.hear(&bytes)[..], [ServerOp::Deliver { pattern, .. }] if pattern.as_str() == "more")
    );
}

#[test]
fn a_message_is_known_on_both_by_its_content_and_one_of_a_group_comes_on_one_of_them() {
    let (mut old, mut next) = two("N2");
    replace(&mut old, &mut next);
    let mut reach = |subject: &str, sid: u64, payload: &str| {
        let mut bytes = Vec::new();
        deliver(&mut bytes, subject, sid, None, b"", payload.as_bytes());
        let of = |model: &mut Model| model.hear(&bytes).pop().map(|op| model.client.reach(&op));
        [of(&mut old), of(&mut next)].map(|reach| reach.expect("heard"))
    };
    let [one, other] = reach("news", 2, "a");
    assert!(matches!(one, Reach::Copy(_)));
    assert_eq!(one, other);
    assert_ne!(reach("news", 2, "b")[0], one);
    assert_ne!(reach("_INBOX.me.1", 1, "a")[0], one);
    assert_eq!(reach("jobs", 3, "a"), [Reach::Share; 2]);
    let word = ServerOp::Permission { message: String::new(), subject: "a".into(), kind: "sub".into() };
    assert_eq!(next.client.reach(&word), Reach::Word);
}

#[test]
fn who_waits_for_somebody_is_told_by_the_next_connection() {
    let (mut old, mut next) = two("N2");
    let timeout = Duration::from_secs(9);
    old.say(ClientOp::WaitForInterest { ack: AckId(7), subject: "later".into(), timeout });
    assert!(old.exchange().is_empty(), "nobody yet");
    replace(&mut old, &mut next);
    next.client.adopt(&mut old.client, &mut next.said);
    next.others.push(Pattern::parse("later").expect("valid"));
    assert_eq!(next.exchange(), [ServerOp::Ack { id: AckId(7), reply: Reply::Interest(true) }]);
    assert_eq!(old.client.poll_timeout(), None);
}

#[test]
fn a_connection_to_the_same_server_or_to_one_that_takes_less_takes_no_place() {
    let (old, mut next) = two("N1");
    assert!(!old.client.fits(&next.client));
    let less = ServerInfo { server_id: "N2".into(), max_payload: 1000, ..next.client.info().clone() };
    next.client = Client::new(less);
    assert!(!old.client.fits(&next.client));
}
