//! Dialling against accepting over loopback, and strangers at the door.

use std::future::poll_fn;
use std::time::Duration;

use bytes::Bytes;
use futures_util::{SinkExt, StreamExt};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_tungstenite::client_async;
use tokio_tungstenite::tungstenite::Message;

use super::*;

mod pipe;
mod stalls;
mod tls;
#[cfg(unix)]
mod unix;
mod websocket;

use crate::subject::{Pattern, Subject};

use crate::wire::*;

type ClientLink = BoxedLink<ClientOp, ServerOp>;
type BrokerLink = BoxedLink<ServerOp, ClientOp>;

async fn door(options: AcceptOptions) -> (String, JoinHandle<Result<(BrokerLink, Handshake), LinkError>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("bound");
    let address = listener.local_addr().expect("bound").to_string();
    let accepted = tokio::spawn(async move {
        let (stream, _) = listener.accept().await.expect("a visitor");
        accept_with_handshake(stream, &options).await
    });
    (address, accepted)
}

fn to(address: &str) -> DialOptions {
    DialOptions {
        address: format!("http://{address}"),
        path: "/conat".into(),
        headers: vec![("Cookie".into(), "sys=secret".into())],
        connect_timeout: Duration::from_secs(5),
        wire: Wire::Conat,
        tls: None,
    }
}

async fn linked(options: AcceptOptions) -> (ClientLink, BrokerLink) {
    linked_by(options, to).await
}

async fn linked_by(options: AcceptOptions, to: impl FnOnce(&str) -> DialOptions) -> (ClientLink, BrokerLink) {
    let (address, accepted) = door(options).await;
    let client = dial(&to(&address)).await.expect("dialled");
    let (broker, handshake) = accepted.await.expect("no panic").expect("accepted");
    assert!(handshake.headers.contains(&("cookie".into(), "sys=secret".into())));
    (client, broker)
}

async fn heard<Out, In>(link: &mut BoxedLink<Out, In>, count: usize) -> Vec<In> {
    let mut ops = Vec::new();
    while ops.len() < count {
        poll_fn(|cx| link.poll_recv(cx, &mut ops)).await.expect("open");
    }
    ops
}

/// A small word each way.
async fn converse(client: &mut ClientLink, broker: &mut BrokerLink) {
    client.feed(ClientOp::Cluster { ack: AckId(7) }).expect("open");
    flushed(client).await;
    assert_eq!(heard(broker, 1).await, [ClientOp::Cluster { ack: AckId(7) }]);
    let answer = ServerOp::Ack { id: AckId(7), reply: Reply::Published { count: 3 } };
    broker.feed(answer).expect("open");
    flushed(broker).await;
    assert_eq!(heard(client, 1).await.len(), 1);
}

/// Much each way, in pieces of many sizes, while the other side reads.
async fn carry_much(client: &mut ClientLink, broker: &mut BrokerLink) {
    let sizes = [0, 10, 3000, 70_000, 2_000_000, 5];
    for seq in 0..60_u32 {
        let raw = Bytes::from(vec![seq.to_le_bytes()[0]; sizes[seq as usize % sizes.len()]]);
        let publication = publication(seq, true, raw);
        client.feed(ClientOp::Publish { ack: None, publication: publication.clone() }).expect("open");
        let (_, got) = tokio::join!(flushed(client), heard(broker, 1));
        assert_eq!(got, [ClientOp::Publish { ack: None, publication: publication.clone() }]);
        let pattern = Pattern::parse("conat.*").expect("valid");
        broker
            .feed(ServerOp::Deliver { pattern: pattern.clone(), publication: publication.clone() })
            .expect("open");
        let (_, got) = tokio::join!(flushed(broker), heard(client, 1));
        assert_eq!(got, [ServerOp::Deliver { pattern, publication }]);
    }
}

async fn ended<Out, In>(link: &mut BoxedLink<Out, In>) -> LinkError {
    let mut ops = Vec::new();
    loop {
        if let Err(error) = poll_fn(|cx| link.poll_recv(cx, &mut ops)).await {
            return error;
        }
    }
}

async fn flushed<Out, In>(link: &mut BoxedLink<Out, In>) {
    poll_fn(|cx| link.poll_flush(cx)).await.expect("open");
}

fn publication(seq: u32, done: bool, raw: Bytes) -> Publication {
    Publication {
        subject: Subject::parse("conat.io").expect("valid"),
        id: "m".into(),
        seq,
        done,
        payload: Payload::msgpack(raw),
        headers: Headers::default(),
    }
}

#[tokio::test]
async fn a_conversation_goes_both_ways_and_chunks_arrive_whole() {
    let (mut client, mut broker) = linked(AcceptOptions::default()).await;
    let user = Ok(Json::from_value(&serde_json::Value::Null));
    let info = Info { max_payload: 8_000_000, id: "0".into(), cluster_name: None, user };
    broker.feed(ServerOp::Info(info.clone())).expect("open");
    flushed(&mut broker).await;
    assert_eq!(heard(&mut client, 1).await, [ServerOp::Info(info)]);
    assert_eq!(heard(&mut broker, 1).await, [ClientOp::InfoReceived]);

    let whole = Bytes::from((0..20_000_000_u32).map(|index| index.to_le_bytes()[0]).collect::<Vec<_>>());
    let chunks: Vec<_> =
        split(whole.clone(), 7_900_000).map(|(seq, done, raw)| publication(seq, done, raw)).collect();
    let asked = chunks.clone();
    let writer = tokio::spawn(async move {
        for (id, publication) in (0..).zip(asked) {
            client.feed(ClientOp::Publish { ack: Some(AckId(id)), publication }).expect("open");
            flushed(&mut client).await;
        }
        client
    });
    let got = heard(&mut broker, chunks.len()).await;
    let mut client = writer.await.expect("no panic");
    let pattern = Pattern::parse("conat.*").expect("valid");
    let reader = tokio::spawn(async move { (heard(&mut client, 6).await, client) });
    for op in got {
        let ClientOp::Publish { ack: Some(id), publication } = op else { panic!("{op:?}") };
        broker.feed(ServerOp::Ack { id, reply: Reply::Published { count: 1 } }).expect("open");
        broker.feed(ServerOp::Deliver { pattern: pattern.clone(), publication }).expect("open");
        flushed(&mut broker).await;
    }
    let (got, mut client) = reader.await.expect("no panic");
    let delivered: Vec<_> = got
        .into_iter()
        .filter_map(|op| match op {
            ServerOp::Deliver { publication, .. } => Some(publication),
            _ => None,
        })
        .collect();
    assert_eq!(delivered, chunks);
    poll_fn(|cx| broker.poll_close(cx)).await.expect("open");
    assert!(matches!(ended(&mut client).await, LinkError::Closed));
}

#[tokio::test]
async fn many_small_operations_come_in_batches_and_in_order() {
    let (mut client, mut broker) = linked(AcceptOptions::default()).await;
    let writer = tokio::spawn(async move {
        for seq in 0..20_000 {
            if client.is_full() {
                flushed(&mut client).await;
            }
            let publication = publication(seq, true, Bytes::from_static(b"hello"));
            client.feed(ClientOp::Publish { ack: None, publication }).expect("open");
        }
        flushed(&mut client).await;
        client
    });
    let (mut ops, mut reads) = (Vec::new(), 0);
    while ops.len() < 20_000 {
        poll_fn(|cx| broker.poll_recv(cx, &mut ops)).await.expect("open");
        reads += 1;
    }
    assert!(reads < 10_000, "{reads} reads are no batches");
    for (expected, op) in (0..).zip(&ops) {
        let ClientOp::Publish { publication, .. } = op else { panic!("{op:?}") };
        assert_eq!(publication.seq, expected);
    }
    drop(writer.await.expect("no panic"));
    assert!(matches!(ended(&mut broker).await, LinkError::Io(_) | LinkError::Closed));
}

#[tokio::test]
async fn pings_keep_a_quiet_connection_and_silence_ends_it_on_both_sides() {
    let quick = AcceptOptions {
        ping_interval: Duration::from_millis(40),
        ping_timeout: Duration::from_millis(200),
        ..AcceptOptions::default()
    };
    let (mut client, mut broker) = linked(quick).await;
    let (mut ops, mut more) = (Vec::new(), Vec::new());
    // Several pings long. Nothing ends as long as both are polled.
    tokio::select! {
        ended = poll_fn(|cx| client.poll_recv(cx, &mut ops)) => panic!("{ended:?}"),
        ended = poll_fn(|cx| broker.poll_recv(cx, &mut more)) => panic!("{ended:?}"),
        () = tokio::time::sleep(Duration::from_millis(600)) => {}
    }
    // From here on only one of them is polled: the other is as good as dead, with its connection open.
    assert!(matches!(ended(&mut broker).await, LinkError::Silent));
    let (address, accepted) = door(AcceptOptions {
        ping_interval: Duration::from_millis(100),
        ping_timeout: Duration::from_millis(100),
        ..AcceptOptions::default()
    })
    .await;
    let mut client = dial(&to(&address)).await.expect("dialled");
    let unpolled = accepted.await.expect("no panic").expect("accepted");
    assert!(matches!(ended(&mut client).await, LinkError::Silent));
    drop(unpolled);
}

#[tokio::test]
async fn strangers_get_an_answer_and_the_door_is_not_kept_open() {
    let upgrade = "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
    let good = "/conat/?EIO=4&transport=websocket";
    for (request, expected) in [
        ("GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n".to_owned(), vec!["200 OK", "\r\n\r\nok"]),
        ("GET /x HTTP/1.1\r\n\r\n".into(), vec!["404 "]),
        (
            "GET /conat/?EIO=4&transport=polling&t=1 HTTP/1.1\r\n\r\n".into(),
            vec!["400 ", r#"{"code":0,"message":"Transport unknown"}"#],
        ),
        (format!("PUT {good} HTTP/1.1\r\n\r\n"), vec!["405 "]),
        (format!("GET {good} HTTP/1.1\r\n\r\n"), vec!["426 "]),
        (format!("GET {good} HTTP/1.1\r\nOrigin: https://evil.example\r\n{upgrade}\r\n"), vec!["403 "]),
        (format!("GET {good} HTTP/1.1\r\n{}\r\n", "A: b\r\n".repeat(65)), vec!["431 "]),
        (format!("GET {good} HTTP/1.1\r\nA: {}\r\n\r\n", "b".repeat(17_000)), vec!["431 "]),
        ("GET no http\r\n\r\n".into(), vec!["400 "]),
    ] {
        let (address, accepted) = door(AcceptOptions::default()).await;
        let mut stream = TcpStream::connect(&address).await.expect("connected");
        stream.write_all(request.as_bytes()).await.expect("written");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.expect("answered");
        assert!(expected.iter().all(|part| answer.contains(part)), "{request} {answer}");
        drop(stream);
        let outcome = accepted.await.expect("no panic").map(drop);
        assert!(matches!(outcome, Err(LinkError::Refused(_))), "{outcome:?}");
    }
    let brief = AcceptOptions { handshake_timeout: Duration::from_millis(100), ..AcceptOptions::default() };
    let (address, accepted) = door(brief).await;
    let mute = TcpStream::connect(&address).await.expect("connected");
    assert!(matches!(accepted.await.expect("no panic").map(drop), Err(LinkError::Silent)));
    drop(mute);
}

#[tokio::test]
async fn what_a_client_may_say_first() {
    for (words, expected) in [
        (vec!["42[\"publish\"]"], "before the namespace"),
        (vec!["2"], "before the namespace"),
        (vec!["x"], "unknown engine.io"),
        (vec!["40/a,", "40/b,", "40"], ""),
    ] {
        let (address, accepted) = door(AcceptOptions::default()).await;
        let stream = TcpStream::connect(&address).await.expect("connected");
        let url = format!("ws://{address}/conat/?EIO=4&transport=websocket");
        let (mut socket, _) = client_async(url, stream).await.expect("upgraded");
        for word in words {
            socket.send(Message::text(word)).await.expect("sent");
        }
        match accepted.await.expect("no panic").map(drop) {
            Ok(()) => {
                assert_eq!(expected, "");
                let mut texts = Vec::new();
                while texts.len() < 4 {
                    let text = socket.next().await.expect("open").expect("open").into_text().expect("text");
                    texts.push(text.as_str()[..6].to_owned());
                }
                assert_eq!(texts, ["0{\"sid", "44/a,{", "44/b,{", "40{\"si"]);
            }
            Err(LinkError::PeerMisbehaved(what)) => assert!(what.contains(expected), "{what}"),
            Err(error) => panic!("{error}"),
        }
    }
}

#[tokio::test]
async fn a_client_that_breaks_the_rules_is_told_and_closed() {
    let too_long = "4".repeat(1024 * 1024 + 2);
    for words in [
        vec![Message::text("41")],
        vec![Message::text("1")],
        vec![Message::text("42[\"subscribe\",5]")],
        vec![Message::binary(vec![1])],
        vec![Message::text("451-[\"publish\"]"), Message::text("42[\"cluster\"]")],
        vec![Message::text(format!("42[\"x\",\"{too_long}\"]"))],
        vec![Message::text("6"); 1001],
        vec![Message::Ping(Bytes::new()); 1001],
        vec![Message::binary(vec![0; 9_000_000])],
    ] {
        let is_goodbye = matches!(&words[..], [Message::Text(text)] if text.len() < 3);
        let (address, accepted) = door(AcceptOptions::default()).await;
        let stream = TcpStream::connect(&address).await.expect("connected");
        let url = format!("ws://{address}/conat/?EIO=4&transport=websocket");
        let (mut socket, _) = client_async(url, stream).await.expect("upgraded");
        socket.send(Message::text("40")).await.expect("sent");
        let (mut broker, _) = accepted.await.expect("no panic").expect("accepted");
        let rude = tokio::spawn(async move {
            for word in words {
                let _ = socket.send(word).await;
            }
            while let Some(Ok(_)) = socket.next().await {}
        });
        let error = ended(&mut broker).await;
        assert_eq!(matches!(error, LinkError::Closed), is_goodbye, "{error}");
        assert_eq!(matches!(error, LinkError::PeerMisbehaved(_)), !is_goodbye, "{error}");
        assert!(matches!(ended(&mut broker).await, LinkError::Closed), "and it stays so");
        drop(broker);
        rude.await.expect("no panic");
    }
}

#[tokio::test]
async fn dialling_says_why_it_failed() {
    let (address, _accepted) =
        door(AcceptOptions { path: "/other".into(), ..AcceptOptions::default() }).await;
    let Err(LinkError::Refused(what)) = dial(&to(&address)).await.map(drop) else { panic!("not refused") };
    assert!(what.contains("404"), "{what}");
    let tls = DialOptions { address: "https://localhost".into(), ..to("") };
    let Err(LinkError::Refused(what)) = dial(&tls).await.map(drop) else { panic!("not refused") };
    assert!(what.contains("TLS"), "{what}");
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("bound");
    let address = listener.local_addr().expect("bound").to_string();
    let hasty = DialOptions { connect_timeout: Duration::from_millis(100), ..to(&address) };
    assert!(matches!(dial(&hasty).await.map(drop), Err(LinkError::Silent)), "nobody answers");
    drop(listener);
    assert!(matches!(dial(&to(&address)).await.map(drop), Err(LinkError::Io(_))), "nobody listens");
}
