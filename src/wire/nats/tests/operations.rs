//! What becomes of each operation.

use std::time::Duration;

use bytes::Bytes;

use super::model::{Model, deliver};
use crate::subject::{Pattern, Subject};
use crate::wire::message::*;
use crate::wire::nats::{CHUNK_BYTES, Gateway, ServerInfo};

fn subject(text: &str) -> Subject {
    Subject::parse(text).expect(text)
}

fn publication(to: &str, raw: impl Into<Bytes>) -> Publication {
    let payload = Payload::msgpack(raw);
    Publication::chunk(
        "1".into(),
        0,
        true,
        Message { subject: subject(to), payload, headers: Headers::default() },
    )
}

fn subscription(pattern: &str, queue: &str, is_shared: bool) -> Subscription {
    let class = if is_shared { SubscriptionClass::Shared } else { SubscriptionClass::Plain };
    Subscription { pattern: pattern.into(), queue: Some(queue.into()), class, exclusive: None }
}

fn subscribe(ack: u64, patterns: &[&str]) -> ClientOp {
    let subscriptions = patterns.iter().map(|pattern| subscription(pattern, "own", false)).collect();
    ClientOp::Subscribe { ack: Some(AckId(ack)), subscriptions, list: true }
}

fn ack(id: u64, reply: Reply) -> ServerOp {
    ServerOp::Ack { id: AckId(id), reply }
}

/// A client with an inbox, `_INBOX.me.*`.
fn joined(version: &str) -> Model {
    let mut model = Model::new(version);
    model.say(subscribe(0, &["_INBOX.me.*"]));
    let ops = model.exchange();
    let [ServerOp::Info(info), subscribed] = &ops[..] else { panic!("{ops:?}") };
    assert_eq!(info.large.expect("limits").chunk, CHUNK_BYTES);
    assert_eq!(*subscribed, ack(0, Reply::Subscribed(vec![Ok(SubscribeStatus::Added)])));
    model
}

#[test]
fn a_count_is_nobody_or_somebody_and_nothing_is_waited_for() {
    let mut model = joined("2.15.1");
    model.others.push(Pattern::parse("heard.*").expect("valid"));
    model.forbidden.push("secret".into());
    for (id, to) in [(1, "heard.a"), (2, "nobody"), (3, "secret"), (4, "nobody"), (5, "heard.b")] {
        let publication = publication(to, "\u{1}");
        model.say(ClientOp::Publish { ack: Some(AckId(id)), publication });
    }
    let message = "Permissions Violation for Publish to \"secret\"".to_owned();
    let published = |id, count| ack(id, Reply::Published { count });
    let refused = ack(3, Reply::Error(OpError { message, code: Some(403) }));
    let expected = [published(2, 0), refused, published(4, 0), published(1, 1), published(5, 1)];
    assert_eq!(model.exchange(), expected);
    assert_eq!(model.lines.iter().filter(|line| *line == "PING").count(), 2, "one fence a flush");
    assert!(model.exchange().is_empty() && model.said.is_empty(), "nothing to settle, nothing sent");
}

#[test]
fn a_request_is_acknowledged_only_if_nobody_got_it() {
    let mut model = joined("2.15.1");
    model.others.push(Pattern::parse("heard").expect("valid"));
    let request = |id, to: &str| {
        let headers = Headers::default().with_reply(Some(subject(&format!("_INBOX.me.{id}"))));
        ClientOp::Request { ack: AckId(id), publication: Publication { headers, ..publication(to, "x") } }
    };
    model.say(request(1, "heard"));
    model.say(request(2, "nobody"));
    assert_eq!(model.exchange(), [ack(2, Reply::Published { count: 0 })]);
    // Nobody else's 503 says anything, and none is an answer.
    let mut forged = Vec::new();
    for to in ["_INBOX.me.1", "_INBOX.me.2", "_INBOX.me.c5", "_INBOX.me.9-x"] {
        deliver(&mut forged, to, 1, None, b"NATS/1.0 503\r\n\r\n", b"");
        deliver(&mut forged, to, 1, None, b"NATS/1.0 404 No Messages\r\n\r\n", b"");
    }
    assert!(model.hear(&forged).is_empty());
}

#[test]
fn what_a_server_refuses_to_subscribe_is_refused_and_the_rest_stands() {
    let mut model = joined("2.15.1");
    model.forbidden.push("secret".into());
    model.say(subscribe(1, &["a", "secret", "b", "a", "bad..pattern"]));
    let ops = model.exchange();
    let [ServerOp::Ack { reply: Reply::Subscribed(statuses), .. }] = &ops[..] else { panic!("{ops:?}") };
    let codes: Vec<_> = statuses.iter().map(|status| status.clone().map_err(|error| error.code)).collect();
    let (added, again) = (Ok(SubscribeStatus::Added), Ok(SubscribeStatus::AlreadyAdded));
    assert_eq!(codes, [added, Err(Some(403)), added, again, Err(None)]);
    model.say(ClientOp::Subscriptions { ack: AckId(2) });
    let list = ["_INBOX.me.*", "a", "b"].map(str::to_owned).to_vec();
    assert_eq!(model.exchange(), [ack(2, Reply::Strings(list))]);
    // It may be tried again.
    model.forbidden.clear();
    model.say(subscribe(3, &["secret"]));
    assert_eq!(
        model.exchange(),
        [ack(3, Reply::Subscribed(vec![added.map_err(|_: Option<u16>| unreachable!())]))]
    );
}

#[test]
fn the_last_subscriptions_are_those_beyond_the_limit() {
    let mut model = joined("2.15.1");
    model.max_subscriptions = 3;
    model.say(subscribe(1, &["a", "b", "c", "d"]));
    let ops = model.exchange();
    let [ServerOp::Ack { reply: Reply::Subscribed(statuses), .. }] = &ops[..] else { panic!("{ops:?}") };
    let codes: Vec<_> =
        statuses.iter().map(|status| status.as_ref().err().and_then(|error| error.code)).collect();
    assert_eq!(codes, [None, None, Some(429), Some(429)]);
}

#[test]
fn a_permission_that_is_taken_back_ends_that_subscription() {
    let mut model = joined("2.15.1");
    model.say(subscribe(1, &["a"]));
    model.exchange();
    let message = "Permissions Violation for Subscription to \"a\" (sid \"2\")";
    let ops = model.hear(format!("-ERR '{message}'\r\n").as_bytes());
    let expected = ServerOp::Permission { message: message.into(), subject: "a".into(), kind: "sub".into() };
    assert_eq!(ops, [expected]);
    let mut late = Vec::new();
    deliver(&mut late, "a", 2, None, b"", b"late");
    assert!(model.hear(&late).is_empty());
    model.say(subscribe(2, &["a"]));
    assert_eq!(model.exchange().len(), 1);
    assert!(model.lines.iter().any(|line| line == "SUB a  3" || line == "SUB a 3"), "{:?}", model.lines);
}

#[test]
fn messages_come_until_an_unsubscribe_is_settled_and_none_after() {
    let mut model = joined("2.15.1");
    model.say(subscribe(1, &["a"]));
    model.exchange();
    model.say(ClientOp::Publish { ack: None, publication: publication("a", "\u{1}") });
    let unsubscribe = ClientOp::Unsubscribe {
        ack: Some(AckId(2)),
        patterns: vec!["a".into(), "b".into()],
        list: true,
        drain: true,
    };
    model.say(unsubscribe);
    let ops = model.exchange();
    let [ServerOp::Deliver { .. }, last] = &ops[..] else { panic!("{ops:?}") };
    assert_eq!(*last, ack(2, Reply::Unsubscribed { count: 2 }));
    let mut late = Vec::new();
    deliver(&mut late, "a", 2, None, b"", b"late");
    assert!(model.hear(&late).is_empty());
}

#[test]
fn a_wait_asks_until_somebody_listens_and_nobody_gets_the_question() {
    let mut model = joined("2.15.1");
    let wait = |id, millis| ClientOp::WaitForInterest {
        ack: AckId(id),
        subject: "service".into(),
        timeout: Duration::from_millis(millis),
    };
    model.say(wait(1, 0));
    assert_eq!(model.exchange(), [ack(1, Reply::Interest(false))]);
    model.say(wait(2, 1000));
    assert!(model.exchange().is_empty());
    let (start, mut asked) = (model.now, 0);
    while model.now < start + Duration::from_millis(700) {
        model.now = model.client.poll_timeout().expect("asked again");
        model.client.handle_timeout(model.now, &mut model.said);
        assert!(model.exchange().is_empty());
        asked += 1;
    }
    assert!((7..14).contains(&asked), "{asked}");
    model.say(subscribe(3, &["service"]));
    model.exchange();
    model.now = model.client.poll_timeout().expect("asked again");
    model.client.handle_timeout(model.now, &mut model.said);
    assert_eq!(model.exchange(), [ack(2, Reply::Interest(true))], "and no message");
    assert_eq!(model.client.poll_timeout(), None);
    // Time is over.
    model.say(ClientOp::WaitForInterest {
        ack: AckId(4),
        subject: "x".into(),
        timeout: Duration::from_millis(5),
    });
    assert!(model.exchange().is_empty());
    let mut ops = Vec::new();
    while let Some(at) = model.client.poll_timeout() {
        model.now = at;
        model.client.handle_timeout(at, &mut model.said);
        ops.extend(model.exchange());
    }
    assert_eq!(ops, [ack(4, Reply::Interest(false))]);
    model.forbidden.push("service".into());
    model.say(wait(5, 1000));
    let ops = model.exchange();
    assert!(
        matches!(&ops[..], [ServerOp::Ack { reply: Reply::Error(error), .. }] if error.code == Some(403))
    );
}

#[test]
fn an_older_server_hands_the_question_out_and_ours_pass_over_it() {
    let mut model = joined("2.9.10");
    model.say(subscribe(1, &["service"]));
    model.exchange();
    let timeout = Duration::ZERO;
    model.say(ClientOp::WaitForInterest { ack: AckId(2), subject: "service".into(), timeout });
    assert_eq!(model.exchange(), [ack(2, Reply::Interest(true))]);
}

#[test]
fn a_named_queue_is_a_group_and_a_drawn_one_is_none() {
    let mut model = joined("2.15.1");
    let subscriptions = vec![
        subscription("a", "workers", true),
        subscription("b", "drawn", false),
        subscription("c", "of us", true),
    ];
    model.say(ClientOp::Subscribe { ack: None, subscriptions, list: false });
    assert!(model.exchange().is_empty());
    let line =
        |beginning: &str| model.lines.iter().find(|line| line.starts_with(beginning)).expect("said").clone();
    assert_eq!(line("SUB a"), "SUB a workers 2");
    assert!(!line("SUB b").contains("drawn"));
    assert!(line("SUB c").starts_with("SUB c sv."), "NATS has no white space in a name");
}

#[test]
fn who_leaves_is_sent_nothing_more_once_that_is_settled() {
    let mut model = joined("2.15.1");
    model.say(subscribe(1, &["a"]));
    model.exchange();
    model.client.leave(&mut model.said);
    assert!(!model.client.is_settled());
    assert!(model.exchange().is_empty() && model.client.is_settled());
    model.say(ClientOp::Publish { ack: None, publication: publication("a", "\u{1}") });
    assert!(model.exchange().is_empty());
}

#[test]
fn who_leaves_ends_its_memberships_as_well() {
    let (now, mut said) = (joined("2.15.1").now, bytes::BytesMut::new());
    let info =
        ServerInfo::read("{\"version\":\"2.15.1\",\"headers\":true,\"max_payload\":5000}").expect("valid");
    let mut gateway = Gateway::new(info);
    let pattern = Pattern::parse("jobs").expect("valid");
    for member in [1, 2] {
        let (ack, pattern) = (AckId(member), pattern.clone());
        gateway.handle_op(now, UpstreamOp::Join { ack, member, pattern, queue: "q".into() }, &mut said);
    }
    gateway.handle_op(now, UpstreamOp::Leave { ack: AckId(3), member: 1 }, &mut said);
    said.clear();
    gateway.client_mut().leave(&mut said);
    assert_eq!(std::str::from_utf8(&said).expect("text"), format!("UNSUB {}\r\nPING\r\n", (1_u64 << 48) + 2));
}

#[test]
fn nothing_is_sent_that_the_server_closes_over() {
    let mut model = joined("2.15.1");
    let long = "x".repeat(4090);
    model.say(ClientOp::Publish { ack: Some(AckId(1)), publication: publication(&long, "\u{1}") });
    model.say(subscribe(2, &[&long]));
    let large = publication("a", vec![0; 1024 * 1024]);
    model.say(ClientOp::Publish { ack: Some(AckId(3)), publication: large });
    let json = Json::from_value(&serde_json::json!({ "x": "\u{1f9f5}".repeat(50_000) }));
    let headers = Headers::default().with_json(Some(json));
    let heavy = Publication { headers, ..publication("a", "\u{1}") };
    model.say(ClientOp::Publish { ack: Some(AckId(4)), publication: heavy });
    let codes: Vec<_> = model
        .exchange()
        .into_iter()
        .map(|op| match op {
            ServerOp::Ack { id, reply: Reply::Error(error) } => (id.0, error.code),
            ServerOp::Ack { id, reply: Reply::Subscribed(statuses) } => {
                (id.0, statuses[0].as_ref().err().and_then(|error| error.code))
            }
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(codes, [(1, Some(413)), (3, Some(413)), (4, Some(413)), (2, Some(413))]);
}

#[test]
fn a_message_of_a_socket_may_have_long_headers() {
    let mut model = joined("2.15.1");
    model.say(subscribe(1, &["a"]));
    model.exchange();
    let json = Json::from_value(&serde_json::json!({ "x": "\u{e9}".repeat(300_000) }));
    let headers = Headers::numbered(Some(1), None).with_json(Some(json));
    let publication = Publication { headers, ..publication("a", "\u{1}") };
    model.say(ClientOp::Publish { ack: None, publication: publication.clone() });
    let ops = model.exchange();
    let [ServerOp::Deliver { publication: heard, .. }] = &ops[..] else { panic!("{} operations", ops.len()) };
    assert!(heard.headers == publication.headers);
}

#[test]
fn a_foreign_program_reads_values_and_sends_them() {
    let mut model = joined("2.15.1");
    model.say(subscribe(1, &["a"]));
    model.exchange();
    let mut sent = Vec::new();
    for (headers, payload) in [
        ("", &b"bytes"[..]),
        ("NATS/1.0\r\nContent-Type: application/json\r\n\r\n", b"{\"a\":1}"),
        ("NATS/1.0\r\ncontent-type: text/plain; charset=utf-8\r\n\r\n", b"hi"),
        ("NATS/1.0\r\nA: 1\r\nB: x\r\nA: 2\r\nNats-Msg-Id: 7\r\n\r\n", b""),
        ("hello", b"garbage"),
        ("NATS/1.0\r\nSv: 999\r\n\r\n", b"later"),
        ("NATS/1.0\r\nSv: 1\r\n\r\n", b"\xff\xff\xff"),
        ("NATS/1.0\r\nSv-Headers: {broken\r\n\r\n", b"x"),
    ] {
        deliver(&mut sent, "a", 2, Some("_INBOX.other.c7"), headers.as_bytes(), payload);
    }
    deliver(&mut sent, "a\u{a0}b", 2, None, b"", b"no subject of ours");
    let got: Vec<_> = model
        .hear(&sent)
        .into_iter()
        .map(|op| match op {
            ServerOp::Deliver { publication: Publication { payload, headers, .. }, .. } => {
                assert_eq!(headers.reply, None, "a count wants no answer");
                (
                    payload.encoding.0,
                    payload.raw.to_vec(),
                    headers.json.as_ref().map(|json| json.as_str().to_owned()),
                )
            }
            other => panic!("{other:?}"),
        })
        .collect();
    let headers = r#"{"A":["1","2"],"B":"x","Nats-Msg-Id":"7"}"#.to_owned();
    let expected = [
        (0, b"\xc4\x05bytes".to_vec(), None),
        (1, b"{\"a\":1}".to_vec(), None),
        (0, b"\xd9\x02hi".to_vec(), None),
        (0, b"\xc4\x00".to_vec(), Some(headers)),
    ];
    assert_eq!(got, expected);
    assert_eq!(model.client.dropped(), 5);
}

#[test]
fn what_goes_out_is_open_where_it_can_be() {
    let mut model = joined("2.15.1");
    let json =
        Json::from_value(&serde_json::json!({ "A": "1", "Nats-Trace-Dest": "x", "n": 5, "z": "a\r\nB: c" }));
    let headers = Headers::default().with_json(Some(json));
    model.say(ClientOp::Publish { ack: None, publication: publication("a", &b"\xc4\x02hi"[..]) });
    model.say(ClientOp::Publish {
        ack: None,
        publication: Publication { headers, ..publication("a", "\u{7}") },
    });
    let said = String::from_utf8_lossy(&model.said).into_owned();
    let fields = "NATS/1.0\r\nContent-Type: application/msgpack\r\nA: 1\r\n\
        Sv-Headers: {\"Nats-Trace-Dest\":\"x\",\"n\":5,\"z\":\"a\\r\\nB: c\"}\r\n\r\n";
    let (length, total) = (fields.len(), fields.len() + 1);
    assert_eq!(said, format!("PUB a 2\r\nhi\r\nHPUB a {length:09} {total:09}\r\n{fields}\u{7}\r\n"));
}

#[test]
fn a_server_that_stops_and_last_words_are_understood() {
    use crate::wire::nats::{Frame, Heard};
    let mut model = joined("2.15.1");
    let mut ops = Vec::new();
    let info =
        b"INFO {\"max_payload\":5000,\"ldm\":true,\"connect_urls\":[\"h:1\"],\"version\":\"2.15.1\"}\r\n";
    let heard = model.client.handle_frame(model.now, Frame::Borrowed(info), &mut ops);
    assert_eq!(heard, Ok(Heard::Leave));
    assert_eq!(
        model.client.info(),
        &ServerInfo {
            server_id: "N1".into(),
            version: "2.15.1".into(),
            max_payload: 5000,
            connect_urls: Some(vec!["h:1".into()]),
            ldm: true,
            ..ServerInfo::default()
        }
    );
    let code = |code: &str, message: &str| ServerOp::Closing { code: code.into(), message: message.into() };
    assert_eq!(model.hear(b"-ERR 'Slow Consumer'\r\n"), [code("ERR_SLOW_CONSUMER", "Slow Consumer")]);
    for (text, name) in [
        ("Authorization Violation", "ERR_REFUSED"),
        ("User Authentication Expired", "ERR_REFUSED"),
        ("Stale Connection", "ETIMEDOUT"),
        ("Maximum Payload Violation", "ERR_CONNECT"),
        ("Unknown Protocol Operation", "ERR_CONNECT"),
    ] {
        assert_eq!(model.hear(format!("-ERR '{text}'\r\n").as_bytes()), [code(name, text)]);
    }
    let pong = model.client.handle_frame(model.now, Frame::Borrowed(b"PONG\r\n"), &mut ops);
    assert!(pong.is_err(), "nobody has asked");
}

#[test]
fn chunks_fit_into_what_a_server_takes_with_their_id_and_headers() {
    for max_payload in [2048, 16 * 1024, 64 * 1024, 130_000, 1024 * 1024, 8 * 1024 * 1024] {
        let mut model = joined("2.15.1");
        let version = "2.15.1".into();
        let info = ServerInfo { version, headers: true, max_payload, ..ServerInfo::default() };
        model.client = crate::wire::nats::Client::new(info);
        let ops = model.exchange();
        let [ServerOp::Info(info)] = &ops[..] else { panic!("{ops:?}") };
        let chunk = info.large.expect("it says how large messages travel").chunk;
        let json = Some(Json::from_value(&serde_json::json!({ "x": "y".repeat(200) })));
        let headers = Headers::numbered(Some(1), None).with_json(json);
        let id = "i".repeat(40).as_str().into();
        let publication = {
            let Publication { subject, payload, .. } = publication("chat.client.a", vec![0; chunk]);
            Publication::chunk(id, 3, true, Message { subject, payload, headers })
        };
        model.say(ClientOp::Publish { ack: None, publication });
        let line = model.said[..].split(|byte| *byte == b'\r').next().expect("a line");
        let total = String::from_utf8_lossy(line).rsplit(' ').next().and_then(|size| size.parse().ok());
        assert!(total.is_some_and(|total: usize| total <= max_payload), "{max_payload}: {total:?}");
    }
}

#[test]
fn a_hundred_thousand_subscriptions_are_one_batch_behind_which_stands_one_fence() {
    let mut model = joined("2.15.1");
    let subjects: Vec<String> = (0..100_000).map(|n| format!("chat.client.{n}")).collect();
    model.say(subscribe(2, &subjects.iter().map(String::as_str).collect::<Vec<_>>()));
    model.client.push_fence(&mut model.said);
    let beginnings = |beginning: &[u8]| {
        model.said[..].split(|byte| *byte == b'\n').filter(|line| line.starts_with(beginning)).count()
    };
    assert_eq!((beginnings(b"SUB "), beginnings(b"PING")), (100_000, 1));
}
