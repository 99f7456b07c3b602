//! What holds for all operations and for all noise.

use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;

use super::{carried, codecs, sample};
use crate::subject::{Pattern, Subject};
use crate::wire::conat::*;
use crate::wire::*;

fn any_text() -> impl Strategy<Value = String> {
    prop_oneof!["[a-z.]{0,12}", any::<String>()]
}

fn any_json() -> impl Strategy<Value = serde_json::Value> {
    let leaf = prop_oneof![
        Just(serde_json::Value::Null),
        any::<bool>().prop_map(Into::into),
        any::<i32>().prop_map(Into::into),
        any_text().prop_map(Into::into),
    ];
    leaf.prop_recursive(3, 12, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Into::into),
            prop::collection::hash_map("[a-z_]{0,5}", inner, 0..4)
                .prop_map(|fields| serde_json::Value::Object(fields.into_iter().collect())),
        ]
    })
}

prop_compose! {
    fn any_headers()(
        reply in prop::option::of("[a-z]{1,9}"),
        command in prop::option::of(any_text()),
        seq in prop::option::of(1..=(1_u64 << 53) - 1),
        attempt in prop::option::of(1..1000_u64),
        value in prop::option::of(any_json()),
    ) -> Headers {
        let mut headers = Headers::numbered(seq, attempt).with_reply(reply.map(|text| Subject::parse(&text).expect("valid"))).with_command(command.map(|text| SocketCommand::from_name(&text))).with_malformed(false).with_json(None);
        // With reserved headers beside them, only objects that are not empty survive.
        let fits = |value: &serde_json::Value| {
            !headers.has_reserved() || value.as_object().is_some_and(|fields| !fields.is_empty())
        };
        headers.json = value.filter(fits).map(|value| Json::from_value(&value));
        headers
    }
}

prop_compose! {
    fn any_publication()(
        subject in "[a-zü>]{0,5}(\\.[a-z\"\\\\]{1,5}){0,3}[a-z]",
        id in any_text(),
        seq in any::<u32>(),
        done in any::<bool>(),
        encoding in any::<u8>(),
        raw in prop::collection::vec(any::<u8>(), 0..3000),
        headers in any_headers(),
    ) -> Option<Publication> {
        Subject::parse(&subject).ok().map(|subject| Publication::chunk(id.as_str().into(), seq, done, Message { subject, payload: Payload { encoding: Encoding(encoding), raw: raw.into() }, headers }))
    }
}

proptest! {
    #[test]
    fn what_a_client_says_is_what_a_server_hears(
        publication in any_publication(),
        ack in prop::option::of(0..1_u64 << 53),
        names in prop::collection::vec((any_text(), prop::option::of(any_text())), 1..5),
        list in any::<bool>(),
        millis in 0..100_000_u64,
    ) {
        let (mut client, mut server) = codecs();
        let ack = ack.map(AckId);
        let names = if list { &names[..] } else { &names[..1] };
        let patterns: Vec<Arc<str>> = names.iter().map(|(name, _)| name.as_str().into()).collect();
        let subscriptions = names.iter().map(|(pattern, queue)| Subscription {
            pattern: pattern.as_str().into(),
            queue: queue.as_deref().map(Arc::from),
            class: SubscriptionClass::Shared, exclusive: None,
        }).collect();
        let timeout = Duration::from_millis(millis);
        let mut ops = vec![
            ClientOp::Subscribe { ack, subscriptions, list },
            ClientOp::Unsubscribe { ack, patterns: patterns.clone(), list, drain: false },
            ClientOp::WaitForInterest { ack: AckId(1), subject: patterns[0].clone(), timeout },
        ];
        ops.extend(publication.map(|publication| ClientOp::Publish { ack, publication }));
        for op in ops {
            prop_assert_eq!(carried(&mut client, op.clone(), &mut server), Ok((vec![op], vec![])));
        }
    }

    #[test]
    fn a_bundle_is_written_as_its_messages(
        texts in prop::collection::vec("[a-z]{0,20}", 2..20),
        first in prop::option::of(1..1000_u64),
    ) {
        let subject = Subject::parse("a.b").expect("valid");
        let singles: Vec<Publication> = texts.into_iter().zip(0..).map(|(text, index)| Publication::whole(Message {
            payload: Payload::msgpack(text),
            headers: Headers::numbered(first.map(|first| first + index), None),
            subject: subject.clone(),
        })).collect();
        let message = |single: &Publication| {
            let Publication { subject, payload, headers, .. } = single.clone();
            Message { subject, payload, headers }
        };
        let mut builder = BundleBuilder::new(&message(&singles[0]));
        singles[1..].iter().for_each(|single| builder.push(&message(single)));
        let publication = Publication::of_bundle(builder.finish());
        let (mut client, mut server) = codecs();
        let heard = singles.iter().cloned().map(|publication| ClientOp::Publish { ack: None, publication }).collect();
        let op = ClientOp::Publish { ack: None, publication: publication.clone() };
        prop_assert_eq!(carried(&mut client, op, &mut server), Ok((heard, vec![])));
        let pattern = Pattern::parse("a.*").expect("valid");
        let heard = singles.into_iter().map(|publication| ServerOp::Deliver { pattern: pattern.clone(), publication });
        let heard = heard.collect();
        prop_assert_eq!(carried(&mut server, ServerOp::Deliver { pattern: pattern.clone(), publication }, &mut client), Ok((heard, vec![])));
    }

    #[test]
    fn what_a_server_says_is_what_a_client_hears(
        publication in any_publication(),
        pattern in any_text(),
        strings in prop::collection::vec(any_text(), 0..4),
        user in any_json(),
        count in any::<u64>(),
        refusal in (any_text(), prop::option::of(any::<u16>())),
    ) {
        let (mut client, mut server) = codecs();
        let error = OpError { message: refusal.0, code: refusal.1 };
        let asked = [
            (ClientOp::Publish { ack: Some(AckId(0)), publication: sample() }, Reply::Published { count }),
            (ClientOp::Subscriptions { ack: AckId(0) }, Reply::Strings(strings.clone())),
            (ClientOp::Cluster { ack: AckId(0) }, Reply::Error(error.clone())),
        ];
        for (op, reply) in asked {
            carried(&mut client, op, &mut server).expect("asked");
            let op = ServerOp::Ack { id: AckId(0), reply };
            prop_assert_eq!(carried(&mut server, op.clone(), &mut client), Ok((vec![op], vec![])));
        }
        let user = if user.get("error").is_some() { Err(error) } else { Ok(Json::from_value(&user)) };
        let info = ServerOp::Info(Box::new(Info { max_payload: 5, id: pattern.clone(), cluster_name: strings.first().cloned(), user, instance: None, large: None, max_message: None, monitor: None }));
        prop_assert_eq!(carried(&mut server, info.clone(), &mut client).map(|(heard, _)| heard), Ok(vec![info]));
        if let (Some(publication), Ok(pattern)) = (publication, Pattern::parse(&pattern)) {
            let op = ServerOp::Deliver { pattern, publication };
            prop_assert_eq!(carried(&mut server, op.clone(), &mut client), Ok((vec![op], vec![])));
        }
    }

    #[test]
    fn noise_never_panics(
        texts in prop::collection::vec(prop_oneof![
            any::<String>(),
            "[0-6](1-)?[0-9]{0,2}\\[\"(publish|subscribe|info|x)\",[\\[\\]{}\",:a-z0-9_]{0,30}\\]",
            "51-\\[\"(publish|a)\",\\[\"a\",\"b\",[0-9],[01],[0-9],\\{\"_placeholder\":true,\"num\":[0-9]\\}(,[\\[{\"a\":1}\\]]{0,9})?\\]\\]",
        ], 0..8),
        bytes in prop::collection::vec(any::<u8>(), 0..9),
    ) {
        let (mut client, mut server) = codecs();
        let mut answers = Frames::default();
        for text in texts {
            let _ = EnginePacket::parse(&text).map(|_| Open::parse(&text));
            let _ = client.handle_text(&text, &mut Vec::new(), &mut answers);
            let _ = server.handle_text(&text, &mut Vec::new(), &mut answers);
            let _ = client.handle_binary(bytes.clone().into(), &mut Vec::new(), &mut answers);
            let _ = server.handle_binary(bytes.clone().into(), &mut Vec::new(), &mut answers);
        }
    }
}
