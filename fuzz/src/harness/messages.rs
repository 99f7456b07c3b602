//! Values that machines meet, made of arbitrary bytes: most of them plausible, some of them hostile.

use std::time::Duration;

use arbitrary::{Arbitrary, Result, Unstructured};
use bytes::Bytes;
use selvedge::base::Few;
use selvedge::subject::{Pattern, Subject};
use selvedge::wire::{
    AckId, Bundle, Form, Headers, Info, Json, Message, Messages, OpError, PackedBuilder, Payload,
    Publication, Reply, SocketCommand, SubscribeStatus, Subscription, SubscriptionClass, push_item,
};

pub const SUBJECTS: [&str; 8] = [
    "s",
    "s.server.status",
    "s.server.id.sock",
    "s.server.id.other",
    "s.client.sock",
    "s.client.other",
    "_INBOX.x.1",
    "t.u",
];
pub const PATTERNS: [&str; 6] = ["s", "s.>", "s.server.id.*", "s.client.sock", "*.u", "t.u"];

pub fn subject(u: &mut Unstructured<'_>) -> Result<Subject> {
    Ok(Subject::parse(u.choose(&SUBJECTS)?).expect("valid"))
}

pub fn pattern(u: &mut Unstructured<'_>) -> Result<Pattern> {
    Ok(Pattern::parse(u.choose(&PATTERNS)?).expect("valid"))
}

pub fn duration(u: &mut Unstructured<'_>) -> Result<Duration> {
    Ok(Duration::from_millis(u64::from(*u.choose(&[0_u32, 1, 50, 600, 5_000, 31_000, 130_000])?)))
}

/// MessagePack that control messages are made of, and bytes that are none.
pub fn payload(u: &mut Unstructured<'_>) -> Result<Payload> {
    let small = |u: &mut Unstructured<'_>| u.int_in_range(0..=40_u8);
    let raw = match u.int_in_range(0..=6)? {
        0 => b"\xc0".to_vec(),
        1 => [b"\x81\xa6socket\x81\xa7emitted".as_slice(), &[small(u)?]].concat(),
        2 => [b"\x81\xa6socket\x82\xa7emitted".as_slice(), &[small(u)?], b"\xa7resumed\xc3"].concat(),
        3 => [b"\x81\xa6socket\x81\xa7missing\x93".as_slice(), &[small(u)?, small(u)?, small(u)?]].concat(),
        4 => b"\xa9connected".to_vec(),
        5 => b"\x81\xa2id\xa2id".to_vec(),
        _ => {
            let length = u.int_in_range(0..=40)?;
            u.bytes(length.min(u.len()))?.to_vec()
        }
    };
    Ok(Payload::msgpack(Bytes::from(raw)))
}

/// The answer to a resend request: some numbered messages, each with its own number for payload.
pub fn resent(u: &mut Unstructured<'_>) -> Result<Payload> {
    let count = u.int_in_range(0..=5_u8)?;
    let mut raw = vec![0x90 | count];
    for _ in 0..count {
        let seq = u.int_in_range(0..=40_u8)?;
        raw.extend(b"\x83\xa8encoding\x00\xa3raw\xc4\x01");
        raw.push(seq);
        raw.extend(b"\xa7headers\x81\xacCN-SocketSeq");
        raw.push(seq);
    }
    Ok(Payload::msgpack(Bytes::from(raw)))
}

pub fn headers(u: &mut Unstructured<'_>) -> Result<Headers> {
    let commands = ["connect", "connected", "close", "ping", "socket", "other"];
    let command = if u.arbitrary()? { Some(SocketCommand::from_name(u.choose(&commands)?)) } else { None };
    let seq = match u.int_in_range(0..=5)? {
        0 => None,
        1 => Some(*u.choose(&[0, 1 << 24, 1 << 53, u64::MAX])?),
        _ => Some(u64::from(u.int_in_range(0..=40_u8)?)),
    };
    let json = match u.int_in_range(0..=5)? {
        0 => Some(r#"{"resume":true,"id":"sock"}"#),
        1 => Some(r#"{"error":"nodata"}"#),
        2 => Some("[1,{}]"),
        _ => None,
    };
    Ok(Headers::numbered(seq, u.arbitrary::<Option<u8>>()?.map(u64::from))
        .with_reply(if u.ratio(1, 3)? { Some(subject(u)?) } else { None })
        .with_command(command)
        .with_malformed(u.ratio(1, 30)?)
        .with_json(json.map(|json| Json::parse(json.into()).expect("valid"))))
}

pub fn message(u: &mut Unstructured<'_>) -> Result<Message> {
    let (subject, headers) = (subject(u)?, headers(u)?);
    // Data carries its own number, so that its reader can be held to the order.
    let payload = match headers.seq() {
        Some(seq) if headers.command.is_none() => Payload::msgpack(Bytes::from(seq.to_le_bytes().to_vec())),
        _ => payload(u)?,
    };
    Ok(Message { subject, headers, payload })
}

/// Returns what is written in one go: single messages, and runs.
pub fn batches(u: &mut Unstructured<'_>) -> Result<Few<Messages>> {
    let mut written = Vec::new();
    for _ in 0..u.int_in_range(1..=9)? {
        push_item(&mut written, &payload(u)?, None);
    }
    Ok(Messages::split(written.into()).expect("messages"))
}

/// Data in a row, each with its own number in it.
pub fn bundle(u: &mut Unstructured<'_>) -> Result<Bundle> {
    let first = u64::from(u.int_in_range(1..=20_u8)?);
    let number = |seq: u64| Payload::msgpack(Bytes::from(seq.to_le_bytes().to_vec()));
    let mut packed = PackedBuilder::new(&number(first), None);
    for seq in first + 1..=first + u64::from(u.int_in_range(1..=9_u8)?) {
        packed.push(&number(seq), None);
    }
    let attempt = u.arbitrary::<Option<bool>>()?.map(u64::from);
    Ok(Bundle { subject: subject(u)?, first: Some(first), attempt, packed: packed.finish() })
}

pub fn publication(u: &mut Unstructured<'_>) -> Result<Publication> {
    let Message { subject, headers, payload } = message(u)?;
    let (id, seq, done) = (u.choose(&["1", "2", "3"])?, u.int_in_range(0..=3_u32)?, u.ratio(4, 5)?);
    let seq = if u.ratio(3, 4)? { 0 } else { seq };
    let bundled = if seq == 0 && done && u.ratio(1, 5)? { u.int_in_range(1..=5)? } else { 0 };
    let message = Message { subject, payload, headers };
    if bundled > 0 {
        return Ok(Publication {
            form: Form::Bundle { count: bundled, bytes: 0 },
            ..Publication::whole(message)
        });
    }
    Ok(Publication::chunk((*id).into(), seq, done, message))
}

pub fn subscription(u: &mut Unstructured<'_>) -> Result<Subscription> {
    let queue = u.choose(&[None, Some("q"), Some("r")])?;
    let pattern = if u.ratio(1, 10)? { "..bad" } else { u.choose(&PATTERNS)? };
    Ok(Subscription {
        pattern: pattern.into(),
        queue: queue.map(Into::into),
        class: SubscriptionClass::Shared,
        exclusive: None,
    })
}

pub fn ack(u: &mut Unstructured<'_>) -> Result<AckId> {
    Ok(AckId(u64::from(u8::arbitrary(u)?)))
}

pub fn info(u: &mut Unstructured<'_>) -> Result<Info> {
    let user = if u.ratio(9, 10)? { Ok(Json::parse("null".into()).expect("valid")) } else { Err(error()) };
    let max_payload = *u.choose(&[0, 1, 101_000, 1_000_000, usize::MAX])?;
    Ok(Info {
        max_payload,
        id: "b".to_owned(),
        cluster_name: None,
        user,
        instance: u.arbitrary()?,
        large: None,
        max_message: u.arbitrary()?,
        monitor: None,
    })
}

pub fn reply(u: &mut Unstructured<'_>) -> Result<Reply> {
    Ok(match u.int_in_range(0..=6)? {
        0 => Reply::Published { count: u64::from(u8::arbitrary(u)?) },
        1 => Reply::Error(error()),
        2 => Reply::Interest(u.arbitrary()?),
        3 => Reply::Unsubscribed { count: 1 },
        4 => Reply::Strings(vec!["a".to_owned()]),
        5 => Reply::Subscribed(vec![Ok(SubscribeStatus::Added); usize::from(u8::arbitrary(u)? % 9)]),
        _ => Reply::Subscribed(vec![Ok(SubscribeStatus::AlreadyAdded), Err(error())]),
    })
}

pub fn error() -> OpError {
    OpError { message: "no".to_owned(), code: Some(403) }
}
