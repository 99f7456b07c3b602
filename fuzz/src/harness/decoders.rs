//! Everything that reads bytes of a stranger.

use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use selvedge::boundary::{SocketOptions, read_batch};
use selvedge::node::ClientOptions;
use selvedge::subject::{Interest, Pattern, Subject};
use selvedge::transport::{AcceptOptions, answer_to_head};
use selvedge::wire::message::chunk::{MAX_PARTIAL_BYTES, Reassembly};
use selvedge::wire::{ClientOp, Encoding, Form, Headers, Json, Message, Payload, Publication};

const MAX_PAYLOAD: usize = 1_000_000;

/// A byte stream of our own wire, at both ends. What a server hears, a client can say again, and it is the
/// same.
pub fn fabric(data: &[u8]) {
    use selvedge::wire::fabric::{ClientCodec, Codec, Frame, ServerCodec, frame_length};
    let (mut client, mut server) = (ClientCodec::new(MAX_PAYLOAD), ServerCodec::new(MAX_PAYLOAD));
    let speaker = ClientCodec::new(MAX_PAYLOAD).with_extensions(selvedge::wire::fabric::EXTENSIONS);
    let (mut speaker, mut listener) = (speaker, ServerCodec::new(MAX_PAYLOAD));
    let (mut rest, mut alive) = (data, [true; 2]);
    while let Ok(Some(length)) = frame_length(rest, server.max_frame()) {
        let Some((frame, next)) = rest.split_at_checked(length) else { return };
        rest = next;
        if alive[0] {
            alive[0] = client.decode(Frame::Borrowed(frame), &mut Vec::new()).is_ok();
        }
        let mut heard = Vec::new();
        if alive[1] {
            alive[1] = server.decode(Frame::Shared(&Bytes::copy_from_slice(frame)), &mut heard).is_ok();
        }
        for op in heard {
            let mut out = BytesMut::new();
            if let Some(payload) = speaker.encode(op.clone(), &mut out) {
                out.extend_from_slice(&payload);
            }
            let mut again = Vec::new();
            if !out.is_empty() {
                listener
                    .decode(Frame::Shared(&out.freeze()), &mut again)
                    .expect("what was heard can be said");
                assert_eq!(again.into_iter().map(without_id).collect::<Vec<_>>(), [without_id(op)]);
            }
        }
    }
}

/// A byte stream of a server of NATS, which the client answers, and the form of whatever it delivers.
pub fn nats(data: &[u8]) {
    use selvedge::wire::nats::{Client, Frame, ServerInfo, frame_length};
    use selvedge::wire::{AckId, ServerOp, Subscription, SubscriptionClass};
    let info = ServerInfo { max_payload: MAX_PAYLOAD, version: "2.15.1".into(), ..ServerInfo::default() };
    let (mut client, mut out, now) = (Client::new(info), BytesMut::new(), Instant::now());
    let patterns = ["_INBOX.a.*", "s.>"];
    let subscription = |pattern: &&str| Subscription {
        pattern: (*pattern).into(),
        queue: None,
        class: SubscriptionClass::Plain,
        exclusive: None,
    };
    let subscriptions = patterns.iter().map(subscription).collect();
    client.handle_op(now, ClientOp::Subscribe { ack: Some(AckId(1)), subscriptions, list: true }, &mut out);
    let mut rest = data;
    while let Ok(Some(length)) = frame_length(rest, client.max_message()) {
        let Some((frame, next)) = rest.split_at_checked(length) else { return };
        rest = next;
        client.push_fence(&mut out);
        let (mut ops, shared) = (Vec::new(), Bytes::copy_from_slice(frame));
        if client.handle_frame(now, Frame::Shared(&shared), &mut ops).is_err() {
            return;
        }
        for op in ops {
            if let ServerOp::Deliver { publication, .. } = op {
                assert!(publication.headers.are_accepted(), "nothing is delivered that could not be sent");
                client.handle_op(now, ClientOp::Publish { ack: Some(AckId(2)), publication }, &mut out);
            }
        }
        out.clear();
    }
}

/// A message in one chunk has an id that joins nothing, and is said without it.
fn without_id(mut op: ClientOp) -> ClientOp {
    if let ClientOp::Publish { publication, .. } | ClientOp::Request { publication, .. } = &mut op
        && publication.part().is_none()
        && !publication.is_bundle()
    {
        publication.form = Form::Whole;
    }
    op
}

/// The text of a control frame, at both ends.
pub fn control(data: &[u8]) {
    const CONTROL: u8 = 6;
    for text in data.split(|byte| *byte == b'\n') {
        let length = u32::try_from(text.len() + 1).expect("fuzzers stay below 4 GiB").to_le_bytes();
        fabric(&[&length[..], &[CONTROL], text].concat());
    }
}

/// WebSocket messages of Conat's wire, at both ends: a line is a text, one that begins with `b` is binary.
pub fn conat(data: &[u8]) {
    use selvedge::wire::conat::{ClientCodec, Codec, Frames, ServerCodec};
    let (mut client, mut server) = (ClientCodec::new(MAX_PAYLOAD), ServerCodec::new(MAX_PAYLOAD));
    let mut alive = [true; 2];
    for line in data.split(|byte| *byte == b'\n') {
        let mut answers = Frames::default();
        if let Some(binary) = line.strip_prefix(b"b") {
            let binary = Bytes::copy_from_slice(binary);
            alive[0] &= client.handle_binary(binary.clone(), &mut Vec::new(), &mut answers).is_ok();
            alive[1] &= server.handle_binary(binary, &mut Vec::new(), &mut answers).is_ok();
        } else if let Ok(text) = std::str::from_utf8(line) {
            alive[0] &= client.handle_text(text, &mut Vec::new(), &mut answers).is_ok();
            alive[1] &= server.handle_text(text, &mut Vec::new(), &mut answers).is_ok();
        }
        let answered = std::iter::from_fn(|| answers.pop()).count();
        assert!(answered <= 4, "{answered} answers to one frame");
        // A connection ends with its first error; there are two of them here.
        if !alive[0] {
            client = ClientCodec::new(MAX_PAYLOAD);
        }
        if !alive[1] {
            server = ServerCodec::new(MAX_PAYLOAD);
        }
        alive = [true; 2];
    }
}

/// Engine.IO and Socket.IO packets.
pub fn engine(data: &[u8]) {
    use selvedge::wire::conat::{EnginePacket, Open, Packet};
    let Ok(text) = std::str::from_utf8(data) else { return };
    let _ = EnginePacket::parse(text);
    if let Ok(open) = Open::parse(text) {
        let mut out = BytesMut::new();
        open.write(&mut out);
        let written = String::from_utf8(out.to_vec()).expect("text");
        let json = written.trim_start_matches('0');
        assert!(Open::parse(json).is_ok(), "{written}");
    }
    if let Ok(packet) = Packet::parse(text) {
        assert!(text.contains(packet.data));
    }
}

/// Headers of the application: what is split can be joined, and split again it is the same.
pub fn headers(data: &[u8]) {
    use selvedge::wire::conat::{join, split_json};
    let Ok(json) = Json::parse(Bytes::copy_from_slice(data)) else { return };
    let headers = split_json(json);
    if headers.are_accepted()
        && !headers.malformed
        && let Some(joined) = join(&headers)
    {
        let again = split_json(joined);
        assert_eq!((again.seq(), again.attempt()), (headers.seq(), headers.attempt()));
        assert_eq!((&again.reply, &again.command), (&headers.reply, &headers.command));
    }
}

/// The head of a stranger's HTTP request.
pub fn http(data: &[u8]) {
    let strict = AcceptOptions { check_host: true, ..AcceptOptions::default() };
    for options in [AcceptOptions::default(), strict] {
        if let Some(answer) = answer_to_head(data, &options) {
            assert!(answer.starts_with("HTTP/1.1 ") && answer.contains("\r\n\r\n"));
            // Nothing of the request comes back but the hash of a key: no header can be smuggled in.
            assert!(answer.len() < 400 && answer.matches("\r\n\r\n").count() == 1);
        }
    }
}

/// Returns what JavaScript hands over: batches, and options as text.
pub fn batch(data: &[u8]) {
    let mut commands = 0;
    let _ = read_batch(data, |_, _| commands += 1);
    assert!(commands <= data.len() / 10);
    if let Ok(text) = std::str::from_utf8(data) {
        let _ = ClientOptions::parse(text).and_then(|options| options.config());
        let _ = SocketOptions::parse(text).map(|options| options.config());
    }
}

/// Chunks of three messages in any order: four bytes each.
pub fn chunks(data: &[u8]) {
    let start = Instant::now();
    let (mut now, mut reassembly) = (start, Reassembly::default());
    let mut whole: [Vec<u8>; 3] = Default::default();
    for (index, item) in data.chunks_exact(4).enumerate() {
        let (of, seq, done) = (item[0] % 3, u32::from(item[1] % 8), item[2] & 1 == 1);
        now += Duration::from_secs(u64::from(item[2] >> 4));
        let raw = vec![u8::try_from(index % 256).expect("a byte"); usize::from(item[3])];
        // A message of one chunk goes past those that are under way.
        if !(seq == 0 && done) {
            if seq == 0 {
                whole[usize::from(of)].clear();
            }
            whole[usize::from(of)].extend(&raw);
        }
        let publication = Publication::chunk(
            format!("{of}").as_str().into(),
            seq,
            done,
            Message {
                subject: Subject::parse("a").expect("valid"),
                payload: Payload { encoding: Encoding::MSGPACK, raw: raw.into() },
                headers: Headers::default(),
            },
        );
        if let Some(message) = reassembly.handle_chunk(now, publication)
            && seq > 0
        {
            let all = &whole[usize::from(of)];
            assert!(all.ends_with(&message.payload.raw), "bytes of another message, or in another order");
        }
        assert!(reassembly.bytes() <= MAX_PARTIAL_BYTES);
    }
    reassembly.drop_old(now + Duration::from_secs(3600));
    assert_eq!(reassembly.bytes(), 0);
}

/// The trie against a walk over a list: lines `+pattern`, `-pattern`, `?subject`.
pub fn interest(data: &[u8]) {
    let (mut trie, mut list) = (Interest::new(), Vec::<Pattern>::new());
    for line in data.split(|byte| *byte == b'\n').take(200) {
        let Ok(line) = std::str::from_utf8(line) else { continue };
        let (act, text) = line.split_at_checked(1).unwrap_or(("", ""));
        let pattern = Pattern::parse(text).ok();
        match (act, pattern) {
            ("+", Some(pattern)) => {
                trie.get_or_insert_with(&pattern, || ());
                if !list.contains(&pattern) {
                    list.push(pattern);
                }
            }
            ("-", Some(pattern)) => {
                assert_eq!(trie.remove(&pattern).is_some(), list.contains(&pattern));
                list.retain(|known| *known != pattern);
            }
            ("?", _) if Subject::parse(text).is_ok() => {
                let mut found = Vec::new();
                trie.for_each_match(text, |pattern, ()| found.push(pattern.as_str().to_owned()));
                let mut wanted: Vec<_> = list
                    .iter()
                    .filter(|pattern| naive(pattern.as_str(), text))
                    .map(|pattern| pattern.as_str().to_owned())
                    .collect();
                found.sort_unstable();
                wanted.sort_unstable();
                assert_eq!(found, wanted, "{text}");
            }
            _ => {}
        }
        assert_eq!(trie.len(), list.len());
    }
}

/// Token by token: `*` is one, `>` at the end is one or more.
fn naive(pattern: &str, subject: &str) -> bool {
    let (mut patterns, mut subjects) = (pattern.split('.'), subject.split('.'));
    loop {
        match (patterns.next(), subjects.next()) {
            (Some(">"), Some(_)) if patterns.clone().next().is_none() => return true,
            (Some("*"), Some(_)) => {}
            (Some(wanted), Some(token)) if wanted == token => {}
            (None, None) => return true,
            _ => return false,
        }
    }
}
