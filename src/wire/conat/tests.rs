//! Both codecs against recorded frames, against each other, and against noise.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::*;
use crate::subject::{Pattern, Subject};
use crate::wire::*;

mod properties;

/// Everything in the queue: text as it is, binary in hex between `<` and `>`.
fn shown(frames: &mut Frames) -> Vec<String> {
    std::iter::from_fn(|| frames.pop())
        .map(|frame| match frame {
            Frame::Text(text) => String::from_utf8(text.to_vec()).expect("utf-8"),
            Frame::Binary(bytes) => {
                format!("<{}>", bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>())
            }
        })
        .collect()
}

fn encoded<C: Codec>(codec: &mut C, op: C::Out) -> Vec<String> {
    let mut frames = Frames::default();
    codec.encode(op, &mut frames);
    shown(&mut frames)
}

/// Carries what `from` says over to `to`; gives what it hears, and what it answers.
fn carried<A: Codec, B: Codec>(
    from: &mut A,
    op: A::Out,
    to: &mut B,
) -> Result<(Vec<B::In>, Vec<String>), DecodeError> {
    let (mut frames, mut answers, mut heard) = (Frames::default(), Frames::default(), Vec::new());
    from.encode(op, &mut frames);
    while let Some(frame) = frames.pop() {
        match frame {
            Frame::Text(text) => {
                let text = std::str::from_utf8(&text).expect("utf-8");
                let Ok(EnginePacket::Message(text)) = EnginePacket::parse(text) else { panic!("{text}") };
                to.handle_text(text, &mut heard, &mut answers)?;
            }
            Frame::Binary(bytes) => to.handle_binary(bytes, &mut heard, &mut answers)?,
        }
    }
    Ok((heard, shown(&mut answers)))
}

fn decoded<C: Codec>(codec: &mut C, text: &str, attachments: &[&[u8]]) -> Result<Vec<C::In>, DecodeError> {
    let (mut heard, mut answers) = (Vec::new(), Frames::default());
    codec.handle_text(text, &mut heard, &mut answers)?;
    for bytes in attachments {
        codec.handle_binary(Bytes::copy_from_slice(bytes), &mut heard, &mut answers)?;
    }
    Ok(heard)
}

fn codecs() -> (ClientCodec, ServerCodec) {
    (ClientCodec::new(8_000_000), ServerCodec::new(8_000_000))
}

fn json(text: &str) -> Json {
    Json::parse(text.to_owned().into()).expect(text)
}

fn sample() -> Publication {
    Publication::chunk(
        "aB3dE6gH9k".into(),
        0,
        true,
        Message {
            subject: Subject::parse("conat.io").expect("valid"),
            payload: Payload::msgpack("hi"),
            headers: Headers::default().with_json(Some(json(r#"{"my":"header"}"#))),
        },
    )
}

#[test]
fn a_publish_is_written_as_recorded() {
    let (mut client, mut server) = codecs();
    let op = ClientOp::Publish { ack: Some(AckId(7)), publication: sample() };
    let text =
        r#"451-7["publish",["conat.io","aB3dE6gH9k",0,1,0,{"_placeholder":true,"num":0},{"my":"header"}]]"#;
    assert_eq!(encoded(&mut client, op.clone()), [text, "<6869>"]);
    assert_eq!(carried(&mut client, op.clone(), &mut server), Ok((vec![op], vec![])));
    let reply = ServerOp::Ack { id: AckId(7), reply: Reply::Published { count: 1 } };
    assert_eq!(encoded(&mut server, reply.clone()), [r#"437[{"count":1}]"#]);
    assert_eq!(carried(&mut server, reply.clone(), &mut client), Ok((vec![reply], vec![])));
    let bare = {
        let Publication { subject, payload, .. } = sample();
        let message = Message { subject, payload, headers: Headers::default() };
        Publication::chunk("aB3dE6gH9k".into(), 3, false, message)
    };
    let op = ClientOp::Publish { ack: None, publication: bare };
    let text = r#"451-["publish",["conat.io","aB3dE6gH9k",3,0,0,{"_placeholder":true,"num":0}]]"#;
    assert_eq!(encoded(&mut client, op), [text, "<6869>"]);
}

#[test]
fn a_delivery_is_written_as_recorded_even_under_the_name_of_an_event() {
    let (mut client, mut server) = codecs();
    for name in ["conat.*", "info", "permission", "publish"] {
        let pattern = Pattern::parse(name).expect("valid");
        let op = ServerOp::Deliver { pattern, publication: sample() };
        let text = format!(
            r#"451-["{name}",{{"subject":"conat.io","data":["aB3dE6gH9k",0,1,0,{{"_placeholder":true,"num":0}},{{"my":"header"}}]}}]"#
        );
        assert_eq!(encoded(&mut server, op.clone()), [text.as_str(), "<6869>"]);
        assert_eq!(carried(&mut server, op.clone(), &mut client), Ok((vec![op.clone()], vec![])));
        let spaced = text.replace("{\"subject\"", " { \"x\" : [1], \"subject\"");
        assert_eq!(decoded(&mut client, &spaced[1..], &[b"hi"]), Ok(vec![op]));
    }
}

#[test]
fn subscriptions_are_written_as_recorded_alone_and_as_a_list() {
    let (mut client, mut server) = codecs();
    let one = |pattern: &str, queue: Option<&str>| Subscription {
        pattern: pattern.into(),
        queue: queue.map(Arc::from),
        class: SubscriptionClass::Shared,
        exclusive: None,
    };
    let added = Ok(SubscribeStatus::Added);
    let refused = Err(OpError { message: "no".into(), code: Some(429) });
    let single =
        ClientOp::Subscribe { ack: Some(AckId(0)), subscriptions: vec![one("a.*", Some("q"))], list: false };
    assert_eq!(encoded(&mut client, single.clone()), [r#"420["subscribe",{"subject":"a.*","queue":"q"}]"#]);
    assert_eq!(carried(&mut client, single.clone(), &mut server), Ok((vec![single], vec![])));
    let reply = ServerOp::Ack { id: AckId(0), reply: Reply::Subscribed(vec![added.clone()]) };
    assert_eq!(encoded(&mut server, reply.clone()), [r#"430[{"status":"added"}]"#]);
    assert_eq!(carried(&mut server, reply.clone(), &mut client), Ok((vec![reply], vec![])));
    let list = ClientOp::Subscribe {
        ack: Some(AckId(1)),
        subscriptions: vec![one("a", Some("q")), one("not valid", None)],
        list: true,
    };
    let text = r#"421["subscribe",[{"subject":"a","queue":"q"},{"subject":"not valid"}]]"#;
    assert_eq!(encoded(&mut client, list.clone()), [text]);
    assert_eq!(carried(&mut client, list.clone(), &mut server), Ok((vec![list], vec![])));
    let reply = ServerOp::Ack { id: AckId(1), reply: Reply::Subscribed(vec![added, refused]) };
    let text = r#"431[[{"status":"added"},{"error":"no","code":429}]]"#;
    let mut copy = ServerCodec::new(1);
    assert_eq!(
        encoded(&mut copy, reply.clone()),
        [r#"431[{"status":"added"}]"#],
        "nobody asked it for a list"
    );
    let mut frames = Frames::default();
    server.encode(reply.clone(), &mut frames);
    assert_eq!(shown(&mut frames), [text]);
    assert_eq!(decoded(&mut client, &text[1..], &[]), Ok(vec![reply]));
}

#[test]
fn the_other_events_are_written_as_specified() {
    let (mut client, mut server) = codecs();
    let patterns: Vec<Arc<str>> = vec!["a".into(), "b".into()];
    let conversation = [
        (
            ClientOp::Unsubscribe { ack: None, patterns: patterns[..1].to_vec(), list: false, drain: false },
            r#"42["unsubscribe",{"subject":"a"}]"#,
            None,
        ),
        (
            ClientOp::Unsubscribe {
                ack: Some(AckId(1)),
                patterns: patterns.clone(),
                list: true,
                drain: false,
            },
            r#"421["unsubscribe",[{"subject":"a"},{"subject":"b"}]]"#,
            Some((Reply::Unsubscribed { count: 2 }, "431[[null,null]]")),
        ),
        (
            ClientOp::Unsubscribe {
                ack: Some(AckId(2)),
                patterns: patterns[..1].to_vec(),
                list: false,
                drain: false,
            },
            r#"422["unsubscribe",{"subject":"a"}]"#,
            Some((Reply::Unsubscribed { count: 1 }, "432[null]")),
        ),
        (
            ClientOp::Subscriptions { ack: AckId(3) },
            r#"423["subscriptions",null]"#,
            Some((Reply::Strings(vec!["a".into(), "\"".into()]), r#"433[["a","\""]]"#)),
        ),
        (ClientOp::Cluster { ack: AckId(4) }, r#"424["cluster"]"#, Some((Reply::Strings(vec![]), "434[[]]"))),
        (
            ClientOp::WaitForInterest {
                ack: AckId(5),
                subject: "a.b".into(),
                timeout: Duration::from_millis(5000),
            },
            r#"425["wait-for-interest",{"subject":"a.b","timeout":5000}]"#,
            Some((Reply::Interest(true), "435[true]")),
        ),
        (
            ClientOp::WaitForInterest { ack: AckId(6), subject: "a".into(), timeout: Duration::ZERO },
            r#"426["wait-for-interest",{"subject":"a","timeout":0}]"#,
            Some((
                Reply::Error(OpError { message: "no".into(), code: Some(403) }),
                r#"436[{"error":"no","code":403}]"#,
            )),
        ),
        (
            ClientOp::Stats { messages: 2, bytes: 300 },
            r#"42["stats",{"recv0":{"messages":2,"bytes":300}}]"#,
            None,
        ),
    ];
    for (op, text, answer) in conversation {
        let mut fresh = ClientCodec::new(1);
        assert_eq!(encoded(&mut fresh, op.clone()), [text]);
        assert_eq!(carried(&mut client, op.clone(), &mut server), Ok((vec![op], vec![])), "{text}");
        if let Some((reply, text)) = answer {
            let digits = text[2..].bytes().take_while(u8::is_ascii_digit).count();
            let id = AckId(text[2..2 + digits].parse().expect(text));
            assert_eq!(encoded(&mut server, ServerOp::Ack { id, reply: reply.clone() }), [text]);
            assert_eq!(decoded(&mut client, &text[1..], &[]), Ok(vec![ServerOp::Ack { id, reply }]));
        }
    }
    assert_eq!(encoded(&mut client, ClientOp::InfoReceived), Vec::<String>::new());
}

#[test]
fn info_is_acknowledged_by_the_codec() {
    let (mut client, mut server) = codecs();
    let mut info = Info {
        large: None,
        max_payload: 8_000_000,
        id: "0".into(),
        cluster_name: None,
        user: Ok(json("null")),
        instance: None,
        max_message: None,
        monitor: None,
    };
    let op = ServerOp::Info(info.clone().into());
    let (heard, answers) = carried(&mut server, op.clone(), &mut client).expect("fine");
    assert_eq!((heard, answers.as_slice()), (vec![op], &["430[]".to_owned()][..]));
    assert_eq!(decoded(&mut server, "30[]", &[]), Ok(vec![ClientOp::InfoReceived]));
    assert_eq!(decoded(&mut server, "31[]", &[]), Ok(vec![]), "it never asked for that one");
    let text = r#"420["info",{"max_payload":8000000,"id":"0","user":null}]"#;
    assert_eq!(encoded(&mut ServerCodec::new(1), ServerOp::Info(info.clone().into())), [text]);
    info.cluster_name = Some("c".into());
    info.user = Err(OpError { message: "too many".into(), code: Some(429) });
    let text = r#"421["info",{"max_payload":8000000,"id":"0","clusterName":"c","user":{"error":"too many","code":429}}]"#;
    assert_eq!(encoded(&mut server, ServerOp::Info(info.clone().into())), [text]);
    assert_eq!(decoded(&mut client, &text[1..], &[]), Ok(vec![ServerOp::Info(info.into())]));
    let permission =
        ServerOp::Permission { message: "no \"x\"".into(), subject: "x".into(), kind: "pub".into() };
    let text = r#"42["permission",{"message":"no \"x\"","subject":"x","type":"pub"}]"#;
    assert_eq!(encoded(&mut server, permission.clone()), [text]);
    assert_eq!(decoded(&mut client, &text[1..], &[]), Ok(vec![permission]));
}

#[test]
fn a_publish_that_cannot_be_routed_is_answered_or_ends_the_connection() {
    let placeholder = r#"{"_placeholder":true,"num":0}"#;
    for subject in [r#""a b""#, r#""""#, r#""a.*""#, r#""\ud800""#] {
        let text = format!(r#"51-7["publish",[{subject},"id",0,1,0,{placeholder}]]"#);
        let error = OpError::text("Error: invalid subject");
        let refused = ClientOp::PublishRefused { ack: Some(AckId(7)), error };
        assert_eq!(decoded(&mut ServerCodec::new(1), &text, &[b""]), Ok(vec![refused]), "{text}");
    }
    for tail in [
        r#"5,"id",0,1,0,P"#,
        r#""a",5,0,1,0,P"#,
        r#""a","id",-1,1,0,P"#,
        r#""a","id",0.5,1,0,P"#,
        r#""a","id",0,2,0,P"#,
        r#""a","id",0,1,256,P"#,
        r#""a","id",0,1,0,"text""#,
        r#""a","id",0,1,0,{"_placeholder":true,"num":1}"#,
        r#""a","id",0,1,0,P,{"x":{"_placeholder":true,"num":1}}"#,
        r#""a","id",0,1"#,
    ] {
        let text = format!(r#"51-7["publish",[{}]]"#, tail.replace('P', placeholder));
        assert!(decoded(&mut ServerCodec::new(1), &text, &[b"x"]).is_err(), "{text}");
    }
}

#[test]
fn what_else_a_publish_may_look_like() {
    let mut server = ServerCodec::new(100);
    let text = r#"52-["publish", ["a","id",0,true,1,{"num":1,"_placeholder":true},{"b":{"_placeholder":true,"num":0}},["target"]] ]"#;
    let heard = decoded(&mut server, text, &[b"\x01", b"payload"]).expect("fine");
    let [ClientOp::Publish { ack: None, publication }] = &heard[..] else { panic!("{heard:?}") };
    assert_eq!((publication.is_done(), publication.payload.encoding), (true, Encoding::JSON));
    assert_eq!(publication.payload.raw, "payload");
    let headers = json(r#"{"b":{"type":"Buffer","data":[1]}}"#);
    assert_eq!(publication.headers.json, Some(headers));
    let escaped = r#"51-["publish",["\u0061.b","id",0,1,0,{"_placeholder":true,"num":0}]]"#;
    let heard = decoded(&mut server, escaped, &[b""]).expect("fine");
    assert!(
        matches!(&heard[..], [ClientOp::Publish { publication, .. }] if publication.subject.as_str() == "a.b")
    );
}

#[test]
fn strange_events_of_a_client_are_ignored_answered_or_refused() {
    let mut server = ServerCodec::new(100);
    let mut answers = Frames::default();
    for text in [r#"29["toString"]"#, r#"2["__proto__",{"a":1}]"#, r#"29["info",{}]"#, "2/x,9[\"publish\"]"] {
        assert_eq!(server.handle_text(text, &mut Vec::new(), &mut answers), Ok(()), "{text}");
    }
    let error = r#"439[{"error":"unknown event"}]"#;
    assert_eq!(shown(&mut answers), [error, error]);
    for name in ["rpc-service", "rpc-service-close", "rpc", "fast-rpc", "rpc-raw"] {
        let text = format!(r#"29["{name}",{{"subject":"a","service":"s"}}]"#);
        assert_eq!(server.handle_text(&text, &mut Vec::new(), &mut answers), Ok(()), "{text}");
    }
    let none = r#"439[{"error":"no services matching","code":503}]"#;
    let (added, removed) = (r#"439[{"status":"added"}]"#, r#"439[{"status":"removed"}]"#);
    assert_eq!(shown(&mut answers), [added, removed, none, none, none]);
    server.handle_text("0/admin?x=1,{}", &mut Vec::new(), &mut answers).expect("answered");
    assert_eq!(shown(&mut answers), [r#"44/admin,{"message":"Invalid namespace"}"#]);
    for text in [
        "2",
        "2{}",
        "2[]",
        "2[5]",
        "2[null]",
        "2[\"subscribe\"",
        r#"2["subscribe"]"#,
        r#"2["subscribe",null]"#,
        r#"2["subscribe",[{"subject":"a"},null]]"#,
        r#"2["subscribe",{"subject":1}]"#,
        "0{}",
        "4{}",
        "3[]",
        r#"21["unsubscribe",[1]]"#,
        r#"21["wait-for-interest",{"subject":"a","timeout":"1"}]"#,
        r#"2["stats",{}]]"#,
    ] {
        let outcome = decoded(&mut server, text, &[]);
        assert!(matches!(outcome, Err(DecodeError::Misbehaved(_))), "{text}: {outcome:?}");
    }
    let queue =
        decoded(&mut server, r#"2["subscribe",{"subject":"a","queue":5}]"#, &[]).expect("the broker answers");
    assert!(
        matches!(&queue[..], [ClientOp::Subscribe { subscriptions, .. }] if subscriptions[0].queue.is_none())
    );
    assert_eq!(decoded(&mut server, "1", &[]), Err(DecodeError::Disconnected));
}

#[test]
fn strange_packets_of_a_server_do_not_cut_off_the_client() {
    let (mut client, _) = codecs();
    let deep = format!(
        r#"51-["a",{{"subject":"a","data":["id",0,1,0,{{}},{}{}]}}]"#,
        "[".repeat(99),
        "]".repeat(99)
    );
    for text in [&*deep, r#"51-["a",{"subject":"a b","data":["id",0,1,0,{"_placeholder":true,"num":0}]}]"#] {
        assert_eq!(decoded(&mut client, text, &[b"x"]), Ok(vec![]), "{text}");
    }
    for text in [r#"2["news",1]"#, r#"2["permission",null]"#, "399[1]", r#"2["a",{"subject":"a"}]"#] {
        assert_eq!(decoded(&mut client, text, &[]), Ok(vec![]), "{text}");
    }
    let refused = DecodeError::Refused("Invalid namespace".into());
    assert_eq!(decoded(&mut client, r#"4{"message":"Invalid namespace"}"#, &[]), Err(refused));
    assert_eq!(decoded(&mut client, "1", &[]), Err(DecodeError::Disconnected));
    assert!(decoded(&mut client, r#"21["info",{"id":5}]"#, &[]).is_err());
}

#[test]
fn headers_at_the_bounds_pass_both_ways_and_beyond_them_nothing_is_sent() {
    let deep = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    let long = |bytes: usize| format!("\"{}\"", "x".repeat(bytes - 2));
    let with =
        |text: &str| Publication { headers: Headers::default().with_json(Some(json(text))), ..sample() };
    for text in [deep(MAX_HEADERS_DEPTH), long(MAX_HEADERS_BYTES)] {
        let (mut client, mut server) = codecs();
        let publication = with(&text);
        let op = ClientOp::Publish { ack: None, publication: publication.clone() };
        assert_eq!(carried(&mut client, op.clone(), &mut server), Ok((vec![op], vec![])));
        let op = ServerOp::Deliver { pattern: Pattern::parse(">").expect("valid"), publication };
        assert_eq!(carried(&mut server, op.clone(), &mut client), Ok((vec![op], vec![])));
    }
    for text in [deep(MAX_HEADERS_DEPTH + 1), long(MAX_HEADERS_BYTES + 1)] {
        let op = ClientOp::Publish { ack: None, publication: with(&text) };
        assert_eq!(encoded(&mut codecs().0, op), Vec::<String>::new());
    }
}
