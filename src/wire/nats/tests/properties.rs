//! What holds for all messages and for all noise.

use proptest::prelude::*;

use super::model::Model;
use crate::subject::Subject;
use crate::wire::message::*;
use crate::wire::nats::*;

fn subject(text: &str) -> Subject {
    Subject::parse(text).expect(text)
}

prop_compose! {
    fn any_headers()(
        reply in prop::option::of("[a-z]{1,9}"),
        command in prop::option::of("(connect|connected|close|ping|socket|other)"),
        seq in prop::option::of(1..=(1_u64 << 53) - 1000),
        attempt in prop::option::of(1..1000_u64),
        numbered in any::<bool>(),
        malformed in prop::bool::weighted(0.1),
        json in prop::option::of(prop_oneof![
            Just("null".to_owned()),
            Just("{}".to_owned()),
            Just("{\n\"a\"\t:\r\n\"b\" }".to_owned()),
            Just(r#"{"\ud800":"\udfff","ü":["\u007f 🧵"]}"#.to_owned()),
            "\\{\"[A-Za-z_-]{0,9}\":\"[ -!#-\\[\\]-~]{0,9}\"\\}",
            "\\{\"a\":[0-9],\"(Sv|Nats-X|content-type|:|é)\":\"x\"\\}",
        ]),
    ) -> Headers {
        Headers::numbered(seq.filter(|_| numbered), attempt.filter(|_| numbered)).with_reply(reply.map(|text| subject(&text))).with_command(command.filter(|_| numbered).map(|text| SocketCommand::from_name(&text))).with_malformed(malformed).with_json(json.map(|text| Json::parse(text.into()).expect("valid")))
    }
}

prop_compose! {
    fn any_publication()(
        text in "[a-zü>]{0,5}(\\.[a-z\"\\\\]{1,5}){0,3}[a-z]",
        chunk in prop::option::weighted(0.3, ("[a-z0-9]{1,40}", any::<u32>(), any::<bool>())),
        encoding in prop_oneof![Just(0), Just(1), any::<u8>()],
        raw in prop_oneof![
            prop::collection::vec(any::<u8>(), 1..300),
            prop::collection::vec(any::<u8>(), 0..70).prop_map(|raw| {
                let length = u8::try_from(raw.len()).expect("short");
                [&[0xc4, length], &raw[..]].concat()
            }),
            (any::<u8>(), 1..40_000_usize).prop_map(|(byte, count)| vec![byte; count]),
        ],
        headers in any_headers(),
    ) -> Option<Publication> {
        let (id, seq, done) = chunk.filter(|(_, seq, done)| *seq != 0 || !done).unwrap_or(("1".into(), 0, true));
        Subject::parse(&text).ok().map(|subject| Publication::chunk(id.as_str().into(), seq, done, Message { subject, payload: Payload { encoding: Encoding(encoding), raw: raw.into() }, headers }))
    }
}

/// What JavaScript makes of headers: members and their values, in no order.
fn value(json: Option<&Json>) -> Option<serde_json::Value> {
    json.map(|json| {
        let mut value = json.to_value();
        if let Some(object) = value.as_object_mut() {
            object.sort_keys();
        }
        value
    })
}

/// Everything that a receiver sees of it. Bytes may have been written as a shorter `bin`.
fn seen(publication: &Publication) -> (String, u32, bool, u8, Vec<u8>, String, Option<serde_json::Value>) {
    let (Publication { subject, payload, headers, .. }, (seq, done)) = (publication, publication.position());
    let rest = headers.clone().with_json(None);
    let raw = payload.raw.to_vec();
    (
        subject.to_string(),
        seq,
        done,
        payload.encoding.0,
        raw,
        format!("{rest:?}"),
        value(headers.json.as_ref()),
    )
}

fn heard_back(publication: &Publication) -> Vec<Publication> {
    let mut model = Model::new("2.15.1");
    let all =
        Subscription { pattern: ">".into(), queue: None, class: SubscriptionClass::Plain, exclusive: None };
    model.say(ClientOp::Subscribe { ack: None, subscriptions: vec![all], list: false });
    model.say(ClientOp::Publish { ack: None, publication: publication.clone() });
    let ops = model.exchange().into_iter();
    ops.filter_map(|op| match op {
        ServerOp::Deliver { publication, .. } => Some(publication),
        _ => None,
    })
    .collect()
}

/// Everything that a server may say.
const TALK: &[u8] = b"INFO {\"max_payload\":1000}\r\nPING\r\nMSG a.b 1 5\r\nhello\r\n+OK\r\n\
    HMSG a 1 r 19 24\r\nNATS/1.0\r\nSv: 1\r\n\r\n\0\0abc\r\n-ERR 'Invalid Subject'\r\n";

/// Reads all frames of `bytes`, which come in pieces of these sizes.
fn frames(bytes: &[u8], cuts: impl Iterator<Item = usize>) -> Result<Vec<Vec<u8>>, DecodeError> {
    let (mut buffer, mut rest, mut all) = (Vec::new(), bytes, Vec::new());
    for cut in cuts.chain([usize::MAX]) {
        let (piece, behind) = rest.split_at(cut.min(rest.len()));
        buffer.extend_from_slice(piece);
        rest = behind;
        while let Some(length) = frame_length(&buffer, 1000)?.filter(|length| *length <= buffer.len()) {
            all.push(buffer.drain(..length).collect());
        }
    }
    Ok(all)
}

#[test]
fn a_frame_is_the_same_wherever_reads_end() {
    let whole = frames(TALK, std::iter::empty()).expect("frames");
    assert_eq!(whole.len(), 6);
    assert_eq!(whole.concat(), TALK);
    for first in 0..TALK.len() {
        assert_eq!(frames(TALK, [first].into_iter()).expect("frames"), whole, "cut at {first}");
        for second in 0..TALK.len() - first {
            assert_eq!(frames(TALK, [first, second].into_iter()).expect("frames"), whole);
        }
    }
    assert_eq!(frames(TALK, std::iter::repeat_n(1, TALK.len())).expect("frames"), whole);
}

proptest! {
    #[test]
    fn what_is_published_arrives(publication in any_publication()) {
        let Some(publication) = publication else { return Ok(()) };
        let heard = heard_back(&publication);
        prop_assert_eq!(heard.len(), 1);
        prop_assert_eq!(seen(&heard[0]), seen(&publication));
        prop_assert!(publication.part().is_none() || heard[0].id() == publication.id());
    }

    #[test]
    fn bundles_arrive_as_one_with_numbers_and_as_messages_without(
        raws in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..90), 2..20),
        first in prop::option::of(1..1000_u64),
    ) {
        let messages: Vec<Message> = raws.iter().zip(0..).map(|(raw, index)| Message {
            subject: subject("a"),
            payload: Payload::msgpack(raw.clone()),
            headers: Headers::numbered(first.map(|first| first + index), None),
        }).collect();
        let mut builder = BundleBuilder::of_two(&messages[0], &messages[1], 60_000).expect("two");
        messages[2..].iter().for_each(|message| builder.push(message));
        let bundle = Publication::of_bundle(builder.finish());
        let heard = heard_back(&bundle);
        prop_assert_eq!(heard.len(), if first.is_some() { 1 } else { messages.len() });
        let mut singles = Vec::new();
        heard.into_iter().for_each(|one| one.for_each_single(|single| singles.push(single)));
        let got: Vec<_> = singles.iter().map(|single| (single.headers.seq(), single.payload.clone())).collect();
        let sent: Vec<_> = messages.iter().map(|message| (message.headers.seq(), message.payload.clone())).collect();
        prop_assert_eq!(got, sent);
    }

    #[test]
    fn noise_is_refused_or_means_something(
        noise in prop::collection::vec(any::<u8>(), 0..200),
        at in any::<prop::sample::Index>(),
        flip in any::<u8>(),
    ) {
        let mut model = Model::new("2.15.1");
        let all = Subscription { pattern: "_INBOX.a.*".into(), queue: None, class: SubscriptionClass::Plain, exclusive: None };
        model.say(ClientOp::Subscribe { ack: None, subscriptions: vec![all], list: false });
        let mut talk = TALK.to_vec();
        talk[at.index(TALK.len())] ^= flip;
        for bytes in [&noise[..], &talk] {
            let mut ops = Vec::new();
            for frame in frames(bytes, std::iter::empty()).unwrap_or_default() {
                let _ = model.client.handle_frame(model.now, Frame::Borrowed(&frame), &mut ops);
                let shared = bytes::Bytes::from(frame);
                let _ = model.client.handle_frame(model.now, Frame::Shared(&shared), &mut ops);
            }
        }
    }
}
