//! Both codecs against written-down bytes, against each other, and against noise.

use std::time::Duration;

use bytes::{Bytes, BytesMut};

use super::*;
use crate::subject::{Pattern, Subject};
use crate::wire::*;

mod properties;

fn codecs() -> (ClientCodec, ServerCodec) {
    (ClientCodec::new(8_000_000).with_extensions(EXTENSIONS), ServerCodec::new(8_000_000))
}

fn encoded<C: Codec>(codec: &mut C, op: C::Out) -> Bytes {
    let mut out = BytesMut::new();
    let payload = codec.encode(op, &mut out);
    out.extend_from_slice(&payload.unwrap_or_default());
    out.freeze()
}

type DecodedFrame<C> = Result<(Vec<<C as Codec>::In>, Decoded<<C as Codec>::Out>), DecodeError>;

fn decoded<C: Codec>(codec: &mut C, bytes: &[u8]) -> DecodedFrame<C> {
    assert_eq!(frame_length(bytes, codec.max_frame()), Ok(Some(bytes.len())));
    let mut into = Vec::new();
    let heard = codec.decode(Frame::Borrowed(bytes), &mut into)?;
    Ok((into, heard))
}

fn carried<A: Codec, B: Codec>(from: &mut A, op: A::Out, to: &mut B) -> Result<Vec<B::In>, DecodeError> {
    let bytes = encoded(from, op);
    let mut into = Vec::new();
    to.decode(Frame::Shared(&bytes), &mut into).map(|_| into)
}

/// A frame around a body.
fn framed(kind: u8, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len() + 1).expect("short");
    [&length.to_le_bytes()[..], &[kind], body].concat()
}

fn subject(text: &str) -> Subject {
    Subject::parse(text).expect(text)
}

fn sample(text: &str) -> Publication {
    Publication::chunk(
        "1".into(),
        0,
        true,
        Message { subject: subject(text), payload: Payload::msgpack("hi"), headers: Headers::default() },
    )
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn a_name_is_written_once() {
    let (mut client, mut server) = codecs();
    let publish = |text: &str| ClientOp::Publish { ack: None, publication: sample(text) };
    let first = encoded(&mut client, publish("a.b"));
    let second = encoded(&mut client, publish("a.b"));
    // length, PUBLISH, flags, slot, [length, name], encoding, payload
    let slot = first[6];
    assert_eq!(hex(&first), format!("0b0000000102{slot:02x}0300612e62006869"));
    assert_eq!(hex(&second), format!("060000000100{slot:02x}006869"));
    for bytes in [first, second] {
        assert_eq!(decoded(&mut server, &bytes), Ok((vec![publish("a.b")], Decoded::Op)));
    }
}

#[test]
fn slots_that_collide_are_filled_anew_and_nothing_is_mixed_up() {
    let (mut client, mut server) = codecs();
    for round in 0..3 {
        for index in 0..2000 {
            let op =
                ClientOp::Publish { ack: Some(AckId(round)), publication: sample(&format!("s.{index}")) };
            assert_eq!(carried(&mut client, op.clone(), &mut server), Ok(vec![op]));
        }
    }
    for index in 0..2000 {
        let pattern = Pattern::parse(&format!("p.{}.>", index % 700)).expect("valid");
        let op = ServerOp::Deliver { pattern, publication: sample(&format!("p.{index}")) };
        assert_eq!(carried(&mut server, op.clone(), &mut client), Ok(vec![op]));
    }
}

#[test]
fn small_payloads_are_copied_and_big_ones_are_not() {
    for (size, given, shared) in [(100, false, false), (4000, false, true), (100_000, true, true)] {
        let (mut client, mut server) = codecs();
        let raw = Bytes::from(vec![7; size]);
        let mut publication = sample("a");
        publication.payload.raw = raw.clone();
        let mut out = BytesMut::new();
        let payload = client.encode(ClientOp::Publish { ack: None, publication }, &mut out);
        assert_eq!(payload.as_ref().map(|payload| payload.as_ptr() == raw.as_ptr()), given.then_some(true));
        out.extend_from_slice(&payload.unwrap_or_default());
        let (bytes, mut into) = (out.freeze(), Vec::new());
        server.decode(Frame::Shared(&bytes), &mut into).expect("well formed");
        let ClientOp::Publish { publication, .. } = &into[0] else { panic!("{into:?}") };
        assert_eq!(publication.payload.raw, raw);
        assert_eq!(bytes.as_ptr_range().contains(&publication.payload.raw.as_ptr()), shared);
    }
}

#[test]
fn an_invalid_subject_is_answered_and_empties_its_slot() {
    let (_, mut server) = codecs();
    let good = framed(1, b"\x02\x05\x01\x00a\x00hi");
    decoded(&mut server, &good).expect("well formed");
    let bad = framed(1, b"\x03\x09\x05\x03\x00a.*\x00hi");
    let refused =
        ClientOp::PublishRefused { ack: Some(AckId(9)), error: OpError::text("Error: invalid subject") };
    assert_eq!(decoded(&mut server, &bad), Ok((vec![refused], Decoded::Op)));
    let again = framed(1, b"\x00\x05\x00hi");
    assert_eq!(decoded(&mut server, &again), Err(DecodeError("slot without a subject")));
}

#[test]
fn reserved_headers_with_values_they_must_not_have_are_malformed() {
    let (_, mut server) = codecs();
    for headers in
        [&b"\x01\x03\x00a.*"[..], b"\x04\x00", b"\x04\x80\x80\x80\x80\x80\x80\x80\x10", b"\x08\x00", b"\x20"]
    {
        let frame = framed(1, &[b"\x12\x05\x01\x00a", headers, b"\x00hi"].concat());
        let (ops, _) = decoded(&mut server, &frame).expect("well formed");
        let ClientOp::Publish { publication, .. } = &ops[0] else { panic!("{ops:?}") };
        let expected = Headers::default().with_malformed(true);
        assert_eq!(publication.headers, expected, "{headers:?}");
    }
}

#[test]
fn unknown_frames_and_operations_have_their_rules() {
    let (mut client, mut server) = codecs();
    assert_eq!(decoded(&mut server, &framed(0x80, b"later")), Ok((vec![], Decoded::Idle)));
    assert_eq!(decoded(&mut client, &framed(0xff, b"")), Ok((vec![], Decoded::Idle)));
    assert_eq!(decoded(&mut server, &framed(4, b"")), Ok((vec![], Decoded::Ping)));
    assert_eq!(decoded(&mut server, &framed(5, b"")), Ok((vec![], Decoded::Pong)));
    let reply = Reply::Error(OpError::text("unknown operation"));
    assert_eq!(
        decoded(&mut server, &framed(6, br#"{"op":"fly","ack":7,"high":[]}"#)),
        Ok((vec![], Decoded::Reply(ServerOp::Ack { id: AckId(7), reply })))
    );
    assert_eq!(decoded(&mut server, &framed(6, br#"{"op":"fly"}"#)), Ok((vec![], Decoded::Idle)));
    assert_eq!(decoded(&mut client, &framed(6, br#"{"op":"fly","ack":7}"#)), Ok((vec![], Decoded::Op)));
}

#[test]
fn what_breaks_the_rules_is_an_error() {
    let deep = format!("{{\"a\":{}1{}}}", "[".repeat(70), "]".repeat(70));
    let deep = [b"\x12\x05\x01\x00a\x10\x93\x00\x00\x00", deep.as_bytes(), b"\x00"].concat();
    let long = [br#"{"op":"info-received","x":""#, &vec![b'x'; MAX_CONTROL_BYTES][..], b"\"}"].concat();
    for (frame, what) in [
        (framed(9, b""), "unknown frame"),
        (framed(7, b"\x03\x05\x00a"), "shorter"),
        (framed(0, b""), "unknown frame"),
        (framed(2, b""), "unknown frame"),
        (framed(1, b""), "shorter"),
        (framed(1, b"\x80\x05\x00"), "unknown flags"),
        (framed(1, b"\x42\x00\x01\x00a\x00"), "without an acknowledgement id"),
        (framed(1, b"\x04\x05\x00"), "unknown flags"),
        (framed(1, b"\x02\x05\x09\x00a"), "shorter"),
        (framed(1, b"\x02\x05\x01\x00\xff\x00"), "utf-8"),
        (framed(1, b"\x00\x05\x00"), "slot without"),
        (framed(1, b"\x01\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02"), "too large"),
        (framed(1, b"\x0a\x05\x01\x00a\x01m\x00\x02\x00"), "neither"),
        (framed(1, b"\x0a\x05\x01\x00a\x01m\x80\x80\x80\x80\x10\x00\x00"), "chunk number"),
        (framed(1, b"\x12\x05\x01\x00a\x40\x00"), "flags of headers"),
        (framed(1, b"\x12\x05\x01\x00a\x02\x06\x00"), "command"),
        (framed(1, b"\x12\x05\x01\x00a\x10\xff\xff\xff\xff{}\x00"), "shorter"),
        (framed(1, b"\x12\x05\x01\x00a\x10\x02\x00\x00\x00{]\x00"), "json"),
        (framed(1, &deep), "deep"),
        (framed(1, b"\x22\x05\x01\x00a\x02\x02\x00x"), "malformed bundle"),
        (framed(1, b"\x22\x05\x01\x00a\x01\x02\x00x"), "malformed bundle"),
        (framed(1, b"\x22\x05\x01\x00a\xff\xff\xff\xff\xff\x01\x02\x00x"), "malformed bundle"),
        (framed(1, b"\x22\x05\x01\x00a\x02\x02\x00x\x03\x02{]\x00x"), "malformed bundle"),
        (framed(1, b"\x23\x01\x05\x01\x00a\x02\x02\x00x\x02\x00x"), "single"),
        (framed(1, b"\x32\x05\x01\x00a\x02\x01\x02\x02\x00x\x02\x00x"), "malformed bundle"),
        (framed(6, b"{}"), "malformed"),
        (framed(6, b"\xff"), "malformed"),
        (framed(6, br#"{"op":"cluster","ack":"1"}"#), "malformed"),
        (framed(6, br#"{"op":"fly","ack":-1}"#), "malformed"),
        (framed(6, &long), "too long"),
    ] {
        let (_, mut server) = codecs();
        let error = decoded(&mut server, &frame).expect_err(what);
        assert!(error.0.contains(what), "{error} is not about {what}");
    }
    let (mut client, _) = codecs();
    for (frame, what) in [
        (framed(1, b"\x02\x05\x01\x00a\x00"), "unknown frame"),
        (framed(2, b"\x06\x05\x03\x00a.*\x05\x01\x00a\x00"), "invalid subject"),
        (framed(2, b"\x06\x05\x01\x00a\x05\x02\x00a.\x00"), "invalid pattern"),
        (framed(2, b"\x02\x05\x01\x00a\x09\x00"), "invalid pattern"),
        (framed(3, b"\x01\x01\x01"), "longer"),
    ] {
        let error = decoded(&mut client, &frame).expect_err(what);
        assert!(error.0.contains(what), "{error} is not about {what}");
    }
}

#[test]
fn a_length_is_judged_before_anything_comes() {
    assert_eq!(frame_length(b"\x01\x00\x00", 10), Ok(None));
    assert_eq!(frame_length(b"\x0a\x00\x00\x00", 10), Ok(Some(14)));
    assert_eq!(frame_length(b"\x0b\x00\x00\x00", 10), Err(DecodeError("frame too long")));
    assert_eq!(frame_length(b"\xff\xff\xff\xff", 10), Err(DecodeError("frame too long")));
    assert_eq!(frame_length(b"\x00\x00\x00\x00", 10), Err(DecodeError("frame without a type")));
}

#[test]
fn headers_that_no_server_takes_are_not_sent_and_headers_too_big_are_not_heard() {
    let (mut client, mut server) = codecs();
    let mut publication = sample("a");
    let json = format!("[\"{}\"]", "x".repeat(1024 * 1024));
    publication.headers.json = Some(Json::parse(json.into()).expect("valid"));
    let op = ClientOp::Publish { ack: None, publication: publication.clone() };
    assert!(encoded(&mut client, op).is_empty());
    let pattern = Pattern::parse("a").expect("valid");
    let deliver = ServerOp::Deliver { pattern, publication };
    assert_eq!(carried(&mut server, deliver, &mut client), Ok(vec![]));
}

#[test]
fn durations_are_capped() {
    let (mut client, mut server) = codecs();
    let wait = |timeout| ClientOp::WaitForInterest { ack: AckId(1), subject: "a".into(), timeout };
    let hour = Duration::from_secs(3600);
    assert_eq!(carried(&mut client, wait(hour * 9), &mut server), Ok(vec![wait(hour)]));
}

#[test]
fn a_request_is_an_acknowledged_publish_to_a_server_that_does_not_know_requests() {
    let request = ClientOp::Request { ack: AckId(7), publication: sample("a") };
    let publish = ClientOp::Publish { ack: Some(AckId(7)), publication: sample("a") };
    for (extensions, heard) in
        [("", &publish), ("requestsx,other", &publish), ("requests", &request), ("other, requests", &request)]
    {
        let mut client = ClientCodec::new(1000).with_extensions(extensions);
        let mut server = ServerCodec::new(1000);
        assert_eq!(
            carried(&mut client, request.clone(), &mut server),
            Ok(vec![heard.clone()]),
            "{extensions}"
        );
    }
}

#[test]
fn watches_are_written_as_documented_and_only_for_a_server_that_knows_them() {
    let (mut client, mut server) = codecs();
    let begin = |id, subject: &str| WatchRequest { id, subject: Some(subject.into()) };
    let op = ClientOp::Watch(vec![begin(3, "a.client.b"), WatchRequest { id: 2, subject: None }]);
    let bytes = encoded(&mut client, op.clone());
    assert_eq!(hex(&bytes), format!("0f00000007070a00{}04", hex(b"a.client.b")));
    assert_eq!(decoded(&mut server, &bytes), Ok((vec![op.clone()], Decoded::Op)));
    let change = |id, presence, crowd| PresenceChange { id, presence, crowd };
    let changes = vec![change(3, Presence::Here, 1), change(2, Presence::Cut, 300)];
    let bytes = encoded(&mut server, ServerOp::Watched(changes.clone()));
    assert_eq!(hex(&bytes), "07000000080301".to_owned() + "0203ac02");
    assert_eq!(decoded(&mut client, &bytes), Ok((vec![ServerOp::Watched(changes)], Decoded::Op)));
    let mut older = ClientCodec::new(8_000_000).with_extensions("requests");
    assert!(encoded(&mut older, op).is_empty() && encoded(&mut older, ClientOp::Leaving).is_empty());
}

#[test]
fn more_watches_than_one_frame_takes_are_several_frames_and_one_that_is_too_long_ends_the_connection() {
    let (mut client, mut server) = codecs();
    let subject = format!("{}.client.x", "s".repeat(200));
    let all: Vec<WatchRequest> =
        (0..10_000).map(|id| WatchRequest { id, subject: Some(subject.as_str().into()) }).collect();
    let (mut bytes, mut seen) = (encoded(&mut client, ClientOp::Watch(all.clone())), Vec::new());
    while let Some(length) = frame_length(&bytes, 2 * MAX_CONTROL_BYTES).expect("well formed") {
        let mut into = Vec::new();
        server.decode(Frame::Shared(&bytes.split_to(length)), &mut into).expect("well formed");
        let Some(ClientOp::Watch(some)) = into.pop() else { panic!("no watch") };
        seen.extend(some);
    }
    assert_eq!(seen, all);
    let flood = framed(7, &vec![0; MAX_CONTROL_BYTES + 1]);
    assert_eq!(decoded(&mut server, &flood), Err(DecodeError("watch frame too long")));
}
