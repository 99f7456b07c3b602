//! Who is it: asked once, in order, and not for ever.

use super::*;

#[test]
fn what_a_visitor_says_before_it_is_known_waits_in_order_and_stops_its_reading() {
    let mut stage = stage(AuthorizerConfig { asks_permission: false, ..strict() });
    let peer = stage.visit("s1");
    assert!(!stage.broker.is_paused(peer));
    let first = stage.begin(peer, |ack| subscribe(Some(ack), [("a.*", Some("0"))]));
    assert!(stage.broker.is_paused(peer), "one read of a stranger is enough");
    let second = stage.begin(peer, |ack| ClientOp::Publish {
        ack: Some(ack),
        publication: publication("a.b", "m", 0, true, "hi"),
    });
    assert!(stage.take(peer).is_empty());
    let [AuthRequest::Authenticate { request, peer: asked, ref connection }] = stage.auth_requests()[..]
    else {
        panic!()
    };
    assert_eq!((asked, connection.id.as_str()), (peer, "s1"));
    stage.greet(request, r#"{"account_id":"x"}"#);
    let ops = stage.take(peer);
    let [
        ServerOp::Info(info),
        ServerOp::Ack { id: one, .. },
        ServerOp::Deliver { .. },
        ServerOp::Ack { id: two, reply },
    ] = &ops[..]
    else {
        panic!("{ops:?}")
    };
    assert_eq!(info.user.as_ref().unwrap().as_str(), r#"{"account_id":"x"}"#);
    assert_eq!((*one, *two, reply), (first, second, &Reply::Published { count: 1 }));
    assert!(!stage.broker.is_paused(peer));
}

#[test]
fn a_refused_sign_in_is_told_why_closed_and_leaves_nothing() {
    let mut stage = stage(strict());
    let peer = stage.visit("s1");
    stage.begin(peer, |ack| subscribe(Some(ack), [("a", Some("0"))]));
    let [AuthRequest::Authenticate { request, .. }] = stage.auth_requests()[..] else { panic!() };
    let error = OpError { message: "no such user".into(), code: Some(401) };
    stage.broker.handle_user(stage.now, request, Err(error.clone()));
    let ops = stage.take(peer);
    assert!(matches!(&ops[..], [ServerOp::Info(info)] if info.user == Err(error)), "{ops:?}");
    assert_eq!(stage.broker.close_reason(peer), Some(DisconnectReason::SignInRefused));
    assert_eq!(stage.auth_requests(), [AuthRequest::Disconnected(peer)]);
    stage.broker.detach(stage.now, peer);
    let stats = stage.broker.stats();
    assert_eq!((stats.connections, stats.subscriptions, stats.connections_refused), (0, 0, 1));
    assert_eq!((stage.open_questions(), stage.broker.poll_timeout()), ((0, 0), None));
    // A second answer is none.
    stage.greet(request, "null");
    assert_eq!(stage.broker.stats().connections, 0);
}

#[test]
fn a_sign_in_that_hangs_fails_in_time_and_its_late_answer_changes_nothing() {
    let mut stage = stage(strict());
    let peer = stage.visit("s1");
    let [AuthRequest::Authenticate { request, .. }] = stage.auth_requests()[..] else { panic!() };
    stage.pass(9 * SECOND);
    assert_eq!(stage.broker.close_reason(peer), None);
    stage.pass(2 * SECOND);
    let ops = stage.take(peer);
    let [ServerOp::Info(info)] = &ops[..] else { panic!("{ops:?}") };
    assert_eq!(info.user.as_ref().unwrap_err().code, Some(408));
    assert_eq!(stage.broker.close_reason(peer), Some(DisconnectReason::SignInRefused));
    assert_eq!(stage.open_questions(), (0, 1), "the application still owes an answer");
    stage.greet(request, "null");
    assert_eq!((stage.open_questions(), stage.broker.stats().connections), ((0, 0), 0));
}

#[test]
fn only_so_many_are_asked_about_at_once_also_when_they_come_and_go() {
    let mut stage = stage(strict());
    for index in 0..MAX_SIGNING_IN {
        let peer = stage.visit(&index.to_string());
        if index % 2 == 0 {
            stage.broker.detach(stage.now, peer);
        }
    }
    let last = stage.visit("last");
    let ops = stage.take(last);
    assert!(
        matches!(&ops[..], [ServerOp::Info(info)] if info.user.as_ref().is_err_and(|error| error.code == Some(429)))
    );
    let request = stage.auth_requests().into_iter().find_map(|auth_request| match auth_request {
        AuthRequest::Authenticate { request, .. } => Some(request),
        _ => None,
    });
    stage.greet(request.unwrap(), "null");
    let next = stage.visit("next");
    assert_eq!(stage.broker.close_reason(next), None);
}

#[test]
fn one_address_cannot_take_all_places_of_those_who_sign_in() {
    let mut stage = stage(strict());
    let from = |stage: &mut Stage, address: &str, index: usize| {
        let (id, address) = (format!("{address} {index}"), address.to_owned());
        let connection = ConnectionInfo { id, address, ..ConnectionInfo::default() };
        let peer = stage.broker.attach_connection(stage.now, connection);
        stage.broker.close_reason(peer).is_none()
    };
    let admitted = (0..MAX_SIGNING_IN).filter(|index| from(&mut stage, "10.0.0.1", *index)).count();
    assert_eq!(admitted, MAX_SIGNING_IN / 2, "as many as are free");
    assert!(from(&mut stage, "10.0.0.2", 0));
    let request = stage.auth_requests().into_iter().find_map(|asked| match asked {
        AuthRequest::Authenticate { request, .. } => Some(request),
        _ => None,
    });
    stage.greet(request.expect("asked"), "null");
    assert!(from(&mut stage, "10.0.0.1", MAX_SIGNING_IN));
    assert!(!from(&mut stage, "10.0.0.1", MAX_SIGNING_IN + 1));
    let others: usize = (3..11)
        .map(|n| (0..500).filter(|index| from(&mut stage, &format!("2001:db8:0:{n}::{n}"), *index)).count())
        .sum();
    assert!(others < 500, "{others}");
    assert!(from(&mut stage, "10.0.0.99", 0), "eight more that are greedy leave a place to who has none");
}

#[test]
fn a_user_beyond_his_connections_is_refused_at_sign_in() {
    let config =
        BrokerConfig { max_connections_per_user: 1, authorizer: Some(strict()), ..BrokerConfig::default() };
    let mut stage = Stage::with(config, 1);
    stage.welcome("s1", r#"{"a":1}"#);
    stage.welcome("s2", r#"{"a":2}"#);
    let third = stage.visit("s3");
    let [AuthRequest::Authenticate { request, .. }] = stage.auth_requests()[..] else { panic!() };
    stage.greet(request, r#"{"a":1}"#);
    assert_eq!(stage.broker.close_reason(third), Some(DisconnectReason::SignInRefused));
    assert_eq!(stage.broker.connections(), 2);
}
