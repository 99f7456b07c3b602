//! Stories about authentication and permissions. The application is played here: it answers when the story
//! wants it.

mod any_order;
mod decided;
mod sign_in;

use std::collections::BTreeSet;
use std::time::Duration;

use super::{Stage, error_of, publication, subscribe};
use crate::base::{Entropy, SeededEntropy};
use crate::broker::authorizer::{MAX_OPEN, MAX_SIGNING_IN};
use crate::broker::pending_ops::MAX_PENDING_OPS;
use crate::broker::{
    Action, AuthRequest, AuthRequestId, AuthorizerConfig, BrokerConfig, ConnectionInfo, Decision,
    DisconnectReason, PeerId,
};
use crate::wire::{AckId, ClientOp, Json, OpError, Reply, ServerOp, SubscribeStatus, SubscriptionClass};

const SECOND: Duration = Duration::from_secs(1);

fn strict() -> AuthorizerConfig {
    AuthorizerConfig { asks_user: true, asks_permission: true, ..AuthorizerConfig::default() }
}

fn stage(authorizer: AuthorizerConfig) -> Stage {
    Stage::with(BrokerConfig { authorizer: Some(authorizer), ..BrokerConfig::default() }, 1)
}

impl Stage {
    fn visit(&mut self, name: &str) -> PeerId {
        let connection = ConnectionInfo { id: name.into(), ..ConnectionInfo::default() };
        self.broker.attach_connection(self.now, connection)
    }

    fn auth_requests(&mut self) -> Vec<AuthRequest> {
        std::iter::from_fn(|| self.broker.poll_auth_request()).collect()
    }

    fn greet(&mut self, request: AuthRequestId, user: &str) {
        let user = Json::parse(user.to_owned().into()).expect("valid JSON");
        self.broker.handle_user(self.now, request, Ok(user));
        self.have_turns();
    }

    /// A connection that is signed in as `user`.
    fn welcome(&mut self, name: &str, user: &str) -> PeerId {
        let peer = self.visit(name);
        let [AuthRequest::Authenticate { request, .. }] = self.auth_requests()[..] else {
            panic!("not asked who it is")
        };
        self.greet(request, user);
        self.take(peer);
        peer
    }

    /// Everything that is asked, as `pub a.b`, with its request.
    fn asked(&mut self) -> Vec<(String, AuthRequestId)> {
        let text = |auth_request| match auth_request {
            AuthRequest::Authorize { request, action, subject, .. } => {
                Some((format!("{} {subject}", action.name()), request))
            }
            _ => None,
        };
        self.auth_requests().into_iter().filter_map(text).collect()
    }

    fn decide(&mut self, request: AuthRequestId, is_allowed: bool) {
        let decision = if is_allowed { Decision::Allowed } else { Decision::Denied };
        self.broker.handle_decision(self.now, request, decision);
        self.have_turns();
    }

    /// Answers all that is asked, also what is asked then.
    fn decide_all(&mut self, is_allowed: impl Fn(&str) -> bool) {
        loop {
            let asked = self.asked();
            if asked.is_empty() {
                return;
            }
            for (what, request) in asked {
                self.decide(request, is_allowed(&what));
            }
        }
    }

    fn say(&mut self, peer: PeerId, subject: &str, text: &str) {
        self.handle(
            peer,
            ClientOp::Publish { ack: None, publication: publication(subject, "m", 0, true, text) },
        );
    }

    fn refusals(&mut self, peer: PeerId) -> Vec<(String, String, String)> {
        let refusal = |op| match op {
            ServerOp::Permission { message, subject, kind } => Some((kind, subject, message)),
            _ => None,
        };
        self.take(peer).into_iter().filter_map(refusal).collect()
    }

    fn open_questions(&self) -> (usize, usize) {
        self.broker.authority_for_tests().open()
    }
}

#[test]
fn what_is_denied_is_answered_with_403_and_told_as_an_event() {
    let mut stage = stage(strict());
    let peer = stage.welcome("s1", r#"{"id":7}"#);
    let publish = stage.begin(peer, |ack| ClientOp::Publish {
        ack: Some(ack),
        publication: publication("secret.x", "m", 0, true, "hi"),
    });
    let request = stage.begin(peer, |ack| ClientOp::Request {
        ack,
        publication: publication("secret.z", "m", 0, true, "hi"),
    });
    let list = stage.begin(peer, |ack| {
        subscribe(Some(ack), [("open.*", Some("0")), ("secret.*", Some("0")), ("not..valid", Some("0"))])
    });
    let wait = stage.begin(peer, |ack| ClientOp::WaitForInterest {
        ack,
        subject: "secret.y".into(),
        timeout: SECOND,
    });
    let asked = stage.asked();
    let texts: Vec<&str> = asked.iter().map(|(what, _)| what.as_str()).collect();
    assert_eq!(texts, ["pub secret.x", "pub secret.z", "sub open.*", "sub secret.*", "pub secret.y"]);
    // In any order.
    for (what, request) in asked.into_iter().rev() {
        assert!(stage.take(peer).is_empty(), "nothing overtakes the first");
        stage.decide(request, !what.contains("secret"));
    }
    let text = "permission denied publishing to 'secret.x' from this user";
    assert_eq!(error_of(stage.answer(peer, publish).unwrap()), (text.into(), Some(403)));
    assert_eq!(error_of(stage.answer(peer, request).unwrap()).1, Some(403));
    let Some(Reply::Subscribed(statuses)) = stage.answer(peer, list) else { panic!() };
    assert_eq!(statuses[0], Ok(SubscribeStatus::Added));
    let refused = "permission denied subscribing to 'secret.*' from this user".to_owned();
    assert_eq!(statuses[1], Err(OpError { message: refused.clone(), code: Some(403) }));
    assert_eq!(statuses[2].as_ref().unwrap_err().code, None);
    assert_eq!(error_of(stage.answer(peer, wait).unwrap()).1, Some(403));
    let refusals = stage.refusals(peer);
    assert_eq!(refusals[0], ("pub".into(), "secret.x".into(), text.into()));
    assert_eq!((refusals[1].0.as_str(), refusals[1].1.as_str()), ("pub", "secret.z"));
    assert_eq!(refusals[2], ("sub".into(), "secret.*".into(), refused));
    assert_eq!((refusals[3].1.as_str(), refusals.len()), ("secret.y", 4));
    assert_eq!(stage.broker.stats().publishes_refused, 3);
}

#[test]
fn a_decision_is_believed_for_a_second_by_its_connection_and_right_alone() {
    let mut stage = stage(strict());
    let [one, other] = ["s1", "s2"].map(|name| stage.welcome(name, "null"));
    for _ in 0..100 {
        stage.say(one, "a", "x");
    }
    let asked = stage.asked();
    assert_eq!(asked.len(), 1, "a hundred messages on one subject are one request");
    stage.decide(asked[0].1, true);
    assert_eq!(stage.broker.stats().published.messages, 100);
    stage.say(one, "a", "x");
    assert_eq!((stage.asked().len(), stage.broker.stats().published.messages), (0, 101));
    stage.say(other, "a", "x");
    stage.begin(one, |ack| subscribe(Some(ack), [("a", Some("0"))]));
    assert_eq!(stage.asked().len(), 2);
    stage.pass(SECOND);
    stage.say(one, "b", "x");
    stage.say(one, "a", "x");
    let texts: Vec<String> = stage.asked().into_iter().map(|(what, _)| what).collect();
    assert_eq!(texts, ["pub b", "pub a"]);
}

#[test]
fn without_a_cache_every_operation_is_asked_about() {
    let mut stage = stage(AuthorizerConfig { permission_cache: Duration::ZERO, ..strict() });
    let peer = stage.welcome("s1", "null");
    for _ in 0..3 {
        stage.say(peer, "a", "x");
    }
    let asked = stage.asked();
    assert_eq!(asked.len(), 3);
    stage.decide(asked[0].1, true);
    stage.decide(asked[1].1, false);
    stage.decide(asked[2].1, true);
    let stats = stage.broker.stats();
    assert_eq!((stats.published.messages, stats.publishes_refused, stage.open_questions().1), (2, 1, 0));
}

#[test]
fn what_could_not_be_decided_is_denied_and_asked_again() {
    let mut stage = stage(strict());
    let peer = stage.welcome("s1", "null");
    stage.say(peer, "a", "x");
    let request = stage.asked()[0].1;
    stage.broker.handle_decision(stage.now, request, Decision::Failed);
    stage.have_turns();
    assert_eq!(stage.refusals(peer).len(), 1);
    stage.say(peer, "a", "x");
    let request = stage.asked()[0].1;
    stage.pass(19 * SECOND);
    assert_eq!(stage.refusals(peer).len(), 0, "a busy application may not have begun with it");
    stage.pass(2 * SECOND);
    assert_eq!(stage.refusals(peer).len(), 1, "it hung");
    stage.decide(request, true);
    stage.say(peer, "a", "x");
    assert_eq!(stage.asked().len(), 1, "a late answer is not believed");
}

#[test]
fn a_revoked_subscription_ends_and_its_holder_is_told() {
    let mut stage = stage(strict());
    let [reader, writer] = ["reader", "writer"].map(|name| stage.welcome(name, "null"));
    stage.begin(reader, |ack| subscribe(Some(ack), [("news.*", Some("0")), ("mail", Some("0"))]));
    stage.decide_all(|_| true);
    stage.take(reader);
    let names = BTreeSet::from(["reader".to_owned()]);
    assert_eq!(stage.broker.revalidate(stage.now, Some(&names)), 1);
    let asked = stage.asked();
    assert_eq!(asked.len(), 2, "a decision of a moment ago does not count");
    stage.say(writer, "news.a", "before");
    stage.decide_all(|_| true);
    assert_eq!(stage.received(reader), ["news.*: before"], "until it is decided it flows");
    for (what, request) in asked {
        stage.decide(request, what != "sub news.*");
    }
    let refusals = stage.refusals(reader);
    assert_eq!(refusals.len(), 1);
    assert_eq!((refusals[0].0.as_str(), refusals[0].1.as_str()), ("sub", "news.*"));
    stage.say(writer, "news.a", "after");
    stage.say(writer, "mail", "still");
    stage.decide_all(|_| true);
    assert_eq!(stage.received(reader), ["mail: still"]);
    assert_eq!(stage.broker.stats().subscriptions, 1);
}

#[test]
fn a_wait_for_interest_that_is_not_allowed_any_more_ends_and_hears_of_nobody() {
    let mut stage = stage(strict());
    let [asker, listener] = ["asker", "listener"].map(|name| stage.welcome(name, "null"));
    let wait = |subject: &'static str| {
        move |ack| ClientOp::WaitForInterest { ack, subject: subject.into(), timeout: 60 * SECOND }
    };
    let waits = ["secret", "secret", "open"].map(|subject| stage.begin(asker, wait(subject)));
    stage.decide_all(|_| true);
    assert_eq!(stage.broker.stats().waits, 3);
    assert_eq!(stage.broker.revalidate(stage.now, Some(&BTreeSet::from(["asker".to_owned()]))), 1);
    stage.decide_all(|what| what != "pub secret");
    for wait in &waits[..2] {
        assert_eq!(error_of(stage.answer(asker, *wait).expect("it ended")).1, Some(403));
    }
    assert_eq!(stage.broker.stats().waits, 1, "the other goes on");
    stage.begin(listener, |ack| subscribe(Some(ack), [("secret", Some("0")), ("open", Some("0"))]));
    stage.decide_all(|_| true);
    assert_eq!(stage.answer(asker, waits[2]), Some(Reply::Interest(true)));
    assert_eq!((stage.broker.stats().waits, stage.open_questions().1), (0, 0));
}

#[test]
fn a_decision_from_before_a_revocation_does_not_count_after_it() {
    let mut stage = stage(strict());
    let peer = stage.welcome("s1", "null");
    stage.say(peer, "a", "x");
    let old = stage.asked()[0].1;
    stage.broker.revalidate(stage.now, None);
    let new = stage.asked()[0].1;
    stage.decide(old, true);
    assert_eq!(stage.broker.stats().published.messages, 0);
    stage.decide(new, false);
    assert_eq!((stage.broker.stats().published.messages, stage.refusals(peer).len()), (0, 1));
    stage.say(peer, "a", "x");
    assert_eq!(stage.refusals(peer).len(), 1, "the new decision is the one that is believed");
    assert_eq!(stage.open_questions().1, 0);
}

#[test]
fn a_connection_has_a_window_of_questions_and_of_operations_and_is_read_again_after_it() {
    let mut stage = stage(strict());
    let peer = stage.welcome("s1", "null");
    let innocent = stage.welcome("s2", "null");
    for index in 0..MAX_PENDING_OPS {
        assert!(!stage.broker.is_paused(peer));
        stage.say(peer, &format!("a.{index}"), "x");
    }
    let wanted: Vec<(String, Option<&str>)> =
        (0..1000).map(|index| (format!("s.{index}"), Some("0"))).collect();
    let subscriptions = wanted
        .iter()
        .map(|(pattern, _)| crate::wire::Subscription {
            pattern: pattern.as_str().into(),
            queue: Some("0".into()),
            class: SubscriptionClass::Shared,
            exclusive: None,
        })
        .collect();
    stage.handle(peer, ClientOp::Subscribe { ack: Some(AckId(9999)), subscriptions, list: true });
    assert!(stage.broker.is_paused(peer));
    let asked = stage.asked();
    assert_eq!(asked.len(), MAX_OPEN);
    stage.say(innocent, "b", "x");
    stage.decide_all(|what| what == "pub b");
    assert_eq!(stage.broker.stats().published.messages, 1, "others do not wait");
    while stage.broker.poll_woken().is_some() {}
    for (_, request) in asked {
        stage.decide(request, true);
    }
    assert!(!stage.broker.is_paused(peer));
    assert!(std::iter::from_fn(|| stage.broker.poll_woken()).any(|woken| woken == peer));
    stage.decide_all(|_| true);
    let Some(Reply::Subscribed(statuses)) = stage.answer(peer, AckId(9999)) else { panic!() };
    assert_eq!(statuses.iter().filter(|status| status.is_ok()).count(), 500);
    assert_eq!(stage.open_questions().1, 0);
}

#[test]
fn who_leaves_is_forgotten_and_the_application_is_told() {
    let mut stage = stage(strict());
    let peer = stage.welcome("s1", "null");
    stage.say(peer, "a", "x");
    let request = stage.asked()[0].1;
    stage.broker.detach(stage.now, peer);
    assert_eq!(stage.auth_requests(), [AuthRequest::Disconnected(peer)]);
    assert_eq!(stage.broker.poll_timeout(), None);
    stage.decide(request, true);
    assert_eq!((stage.open_questions(), stage.broker.stats().published.messages), ((0, 0), 0));
}

#[test]
fn the_applications_own_disconnects_name_connections_by_id() {
    let mut stage = stage(AuthorizerConfig { asks_permission: false, ..strict() });
    let [one, other] = ["s1", "s2"].map(|name| stage.welcome(name, "null"));
    stage.subscribe(one, "a", "0");
    let names = BTreeSet::from(["s1".to_owned(), "nobody".to_owned()]);
    assert_eq!(stage.broker.disconnect(&names), 1);
    assert_eq!(stage.broker.close_reason(one), Some(DisconnectReason::Disconnected));
    assert_eq!(stage.broker.close_reason(other), None);
    assert_eq!((stage.broker.connections(), stage.broker.stats().subscriptions), (1, 0));
}

#[test]
fn the_systems_subjects_are_for_system_users_and_heard_by_the_broker_alone() {
    let guarded = AuthorizerConfig { asks_permission: false, guards_system: true, ..strict() };
    let mut stage = stage(guarded);
    let own = stage.broker.attach_internal();
    let [user, system] = [("s1", r#"{"hub_id":"other"}"#), ("s2", r#"{"hub_id":"system"}"#)]
        .map(|(name, user)| stage.welcome(name, user));
    assert_eq!(stage.broker.connections(), 2, "the broker's own takes no place");
    stage.subscribe(own, "sys.conat.default", "0");
    stage.subscribe(user, "*.conat.default", "0");
    stage.subscribe(user, ">", "0");
    for pattern in ["sys.conat.default", "sys.>", "sys.*.default"] {
        assert_eq!(error_of(stage.subscribe(user, pattern, "0")).1, Some(403), "{pattern}");
        assert_eq!(error_of(stage.subscribe(system, pattern, "0")).1, Some(403), "{pattern}");
    }
    let publish = |ack| ClientOp::Publish {
        ack: Some(ack),
        publication: publication("sys.conat.default", "m", 0, true, "x"),
    };
    assert_eq!(error_of(stage.ask(user, publish)).1, Some(403));
    stage.take(user);
    assert_eq!(stage.ask(system, publish), Reply::Published { count: 1 });
    assert_eq!(stage.received(own), ["sys.conat.default: x"]);
    assert!(stage.received(user).is_empty(), "not even by a tap");
    // Others are what they always were.
    assert_eq!(stage.publish(user, "sys", "y"), 0);
    assert_eq!(stage.publish(user, "system.conat.default", "y"), 1);
    assert_eq!(stage.received(user).len(), 3);
}
