//! What holds for all operations and for all noise.

use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;

use super::{carried, codecs, framed, subject};
use crate::subject::{Pattern, Subject};
use crate::wire::fabric::*;
use crate::wire::*;

fn any_text() -> impl Strategy<Value = String> {
    prop_oneof!["[a-z.]{0,12}", any::<String>()]
}

prop_compose! {
    fn any_headers()(
        reply in prop::option::of("[a-z]{1,9}"),
        command in prop::option::of(prop_oneof![
            any_text(),
            "(connect|connected|close|ping|socket)",
        ]),
        seq in prop::option::of(1..=(1_u64 << 53) - 1),
        attempt in prop::option::of(1..1000_u64),
        malformed in any::<bool>(),
        json in prop::option::of(prop_oneof![
            Just("null".to_owned()),
            "\\{\"[a-z]{0,9}\":[0-9]{1}\\}",
            Just(r#"{"CN-Reply":5,"ü":[" "]}"#.to_owned()),
        ]),
    ) -> Headers {
        Headers::numbered(seq, attempt).with_reply(reply.map(|text| subject(&text))).with_command(command.map(|text| SocketCommand::from_name(&text))).with_malformed(malformed).with_json(json.map(|text| Json::parse(text.into()).expect("valid")))
    }
}

prop_compose! {
    fn any_publication()(
        text in "[a-zü>]{0,5}(\\.[a-z\"\\\\]{1,5}){0,3}[a-z]",
        chunk in prop::option::of((any_text(), any::<u32>(), any::<bool>())),
        encoding in any::<u8>(),
        raw in prop_oneof![
            prop::collection::vec(any::<u8>(), 0..300),
            (any::<u8>(), 0..40_000_usize).prop_map(|(byte, count)| vec![byte; count]),
        ],
        headers in any_headers(),
        more in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..60), 0..9),
    ) -> Option<Publication> {
        if chunk.is_none() && raw.len() < 1000 && let Some(bundle) = bundle(&text, encoding, &raw, &headers, &more) {
            return Some(Publication::of_bundle(bundle));
        }
        // A message of one chunk has no id of its own.
        let (id, seq, done) = chunk.filter(|(_, seq, done)| *seq != 0 || !done).unwrap_or(("1".into(), 0, true));
        Subject::parse(&text).ok().map(|subject| Publication::chunk(id.as_str().into(), seq, done, Message { subject, payload: Payload { encoding: Encoding(encoding), raw: raw.into() }, headers }))
    }
}

/// One of the first message and `more`, if there are more.
fn bundle(text: &str, encoding: u8, raw: &[u8], headers: &Headers, more: &[Vec<u8>]) -> Option<Bundle> {
    let subject = Subject::parse(text).ok().filter(|_| !more.is_empty())?;
    let messages: Vec<Message> = (0..)
        .zip(std::iter::once(raw).chain(more.iter().map(Vec::as_slice)))
        .map(|(index, raw)| Message {
            subject: subject.clone(),
            payload: Payload { encoding: Encoding(encoding), raw: raw.to_vec().into() },
            headers: Headers::numbered(headers.attempt().map(|first| first + index), None)
                .with_json(headers.json.clone().filter(|_| index % 2 == 0)),
        })
        .collect();
    let mut builder = BundleBuilder::of_two(&messages[0], &messages[1], usize::MAX)?;
    messages[2..].iter().for_each(|message| builder.push(message));
    Some(builder.finish())
}

proptest! {
    #[test]
    fn what_a_client_says_is_what_a_server_hears(
        publications in prop::collection::vec((any_publication(), prop::option::of(any::<u64>())), 0..6),
        ack in prop::option::of(any::<u64>()),
        names in prop::collection::vec((any_text(), prop::option::of(any_text())), 0..5),
        list in any::<bool>(),
        is_request in any::<bool>(),
        millis in 0..100_000_u64,
    ) {
        let (mut client, mut server) = codecs();
        let ack = ack.map(AckId);
        let patterns: Vec<Arc<str>> = names.iter().map(|(name, _)| name.as_str().into()).collect();
        let subscriptions = names.iter().map(|(pattern, queue)| Subscription {
            pattern: pattern.as_str().into(),
            queue: queue.as_deref().map(Arc::from),
            class: SubscriptionClass::Shared, exclusive: queue.as_ref().map(|_| Claim::Returning(millis)),
        }).collect();
        let timeout = Duration::from_millis(millis);
        let id = ack.unwrap_or(AckId(0));
        let mut ops = vec![
            ClientOp::Subscribe { ack, subscriptions, list },
            ClientOp::Unsubscribe { ack, patterns, list, drain: millis % 2 == 0 },
            ClientOp::WaitForInterest { ack: id, subject: "a.b".into(), timeout },
            ClientOp::Subscriptions { ack: id },
            ClientOp::Cluster { ack: id },
            ClientOp::Stats { messages: millis, bytes: u64::MAX },
            ClientOp::InfoReceived,
            ClientOp::Watch(
                (millis..)
                    .zip(&names)
                    .map(|(id, (_, subject))| WatchRequest { id, subject: subject.as_deref().map(Arc::from) })
                    .collect(),
            ),
            ClientOp::Sockets(vec![SocketReport {
                end: if list { SocketEndName::Server } else { SocketEndName::Client },
                id: "a1".into(),
                subject: names.first().map_or_else(String::new, |(name, _)| name.clone()),
                state: SocketStateName::Ready,
                counts: SocketCounts { sent: millis, pending: u64::MAX, ..SocketCounts::default() },
            }]),
            ClientOp::Leaving,
        ];
        for (publication, ack) in publications {
            ops.extend(publication.map(|publication| {
                // Nobody asks for the acknowledgement of a bundle.
                let ack = ack.map(AckId).filter(|_| !publication.is_bundle());
                match ack {
                    Some(ack) if is_request => ClientOp::Request { ack, publication },
                    ack => ClientOp::Publish { ack, publication },
                }
            }));
        }
        for op in ops {
            prop_assert_eq!(carried(&mut client, op.clone(), &mut server), Ok(vec![op]));
        }
    }

    #[test]
    fn what_a_server_says_is_what_a_client_hears(
        publications in prop::collection::vec(any_publication(), 0..6),
        pattern in prop_oneof!["[a-z]{1,3}\\.(\\*|>)", any_text()],
        strings in prop::collection::vec(any_text(), 0..4),
        numbers in (any::<u64>(), any::<u32>()),
        refusal in (any_text(), prop::option::of(any::<u16>())),
    ) {
        let (mut client, mut server) = codecs();
        let error = OpError { message: refusal.0, code: refusal.1 };
        let user = Json::parse(r#"{"id":[1,null,"x"]}"#.into()).expect("valid");
        let statuses = vec![Ok(SubscribeStatus::Added), Err(error.clone()), Ok(SubscribeStatus::AlreadyAdded)];
        let replies = vec![
            Reply::Published { count: numbers.0 },
            Reply::Subscribed(statuses),
            Reply::Unsubscribed { count: numbers.1 as usize },
            Reply::Strings(strings.clone()),
            Reply::Interest(true),
            Reply::Error(error.clone()),
        ];
        let mut ops: Vec<_> =
            replies.into_iter().map(|reply| ServerOp::Ack { id: AckId(numbers.0), reply }).collect();
        for user in [Ok(user), Err(error)] {
            let info = Info { max_payload: 5, id: pattern.clone(), cluster_name: strings.first().cloned(), user, instance: strings.last().cloned(), large: None, max_message: Some(7), monitor: Some(numbers.0) };
            ops.push(ServerOp::Info(info.into()));
        }
        let change = |number: u8| {
            let presence = Presence::from_number(number);
            let crowd = if presence.is_end() { numbers.0 } else { 1 };
            PresenceChange { id: u64::from(number), presence, crowd }
        };
        ops.push(ServerOp::Watched((0..10).map(change).collect()));
        ops.push(ServerOp::Closing { code: pattern.clone(), message: strings.concat() });
        ops.push(ServerOp::Permission { message: pattern.clone(), subject: pattern.clone(), kind: "sub".into() });
        if let Ok(pattern) = Pattern::parse(&pattern) {
            let deliver = |publication| ServerOp::Deliver { pattern: pattern.clone(), publication };
            ops.extend(publications.into_iter().flatten().map(deliver));
        }
        for op in ops {
            prop_assert_eq!(carried(&mut server, op.clone(), &mut client), Ok(vec![op]));
        }
    }

    #[test]
    fn noise_never_panics(
        frames in prop::collection::vec((prop_oneof![1..9_u8, any::<u8>()], prop_oneof![
            prop::collection::vec(any::<u8>(), 0..60),
            prop::collection::vec(0..24_u8, 0..40),
            "\\{\"op\":\"(subscribe|info|fly|cluster)\",[\\[\\]{}\",:a-z0-9_]{0,30}\\}".prop_map(String::into_bytes),
        ]), 0..12),
        bytes in prop::collection::vec(any::<u8>(), 0..12),
    ) {
        let (mut client, mut server) = codecs();
        let _ = frame_length(&bytes, 1000);
        let _ = client.decode(Frame::Borrowed(&bytes), &mut Vec::new());
        for (kind, body) in frames {
            let frame = framed(kind, &body);
            let _ = client.decode(Frame::Borrowed(&frame), &mut Vec::new());
            let _ = server.decode(Frame::Shared(&frame.into()), &mut Vec::new());
        }
    }
}
