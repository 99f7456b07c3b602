//! Dialling against accepting over loopback, and clients that speak something else.

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
mod plain_bytes;
mod proxy;
#[cfg(target_os = "linux")]
mod readiness;
mod rfc6455;
mod stalls;
pub(super) mod support;
mod tls;
#[cfg(unix)]
mod unix;
mod websocket;

use support::*;

use crate::link::Protocol;
use crate::wire::*;

fn to(address: &str) -> DialOptions {
    dialling(address, Protocol::Conat)
}

#[tokio::test]
async fn a_conversation_goes_both_ways_and_chunks_arrive_whole() {
    let (mut client, mut broker) = linked(AcceptOptions::default(), Protocol::Conat).await;
    carry_info(&mut client, &mut broker).await;
    assert_eq!(heard(&mut broker, 1).await, [ClientOp::InfoReceived]);

    let (mut client, mut broker) = carry_chunks(client, broker).await;
    let closing = tokio::spawn(async move { poll_fn(|cx| broker.poll_close(cx)).await });
    assert!(matches!(ended(&mut client).await, LinkError::Closed));
    drop(client);
    closing.await.expect("no panic").expect("orderly");
}

/// Has one end hear all of `last`, which the other one says in parting, over what it has not read.
async fn part<Out: Send + 'static, In: Send + 'static>(
    (mut parting, last): (BoxedLink<Out, In>, Vec<Out>),
    (mut staying, unread): (BoxedLink<In, Out>, In),
) {
    staying.feed(unread).expect("open");
    flushed(&mut staying).await;
    let (tell, parted) = tokio::sync::oneshot::channel();
    let count = last.len();
    let closing = tokio::spawn(async move {
        for op in last {
            parting.feed(op).expect("open");
        }
        flushed(&mut parting).await;
        tell.send(()).expect("waited for");
        poll_fn(|cx| parting.poll_close(cx)).await
    });
    parted.await.expect("flushed");
    assert_eq!(heard(&mut staying, count).await.len(), count);
    assert!(matches!(ended(&mut staying).await, LinkError::Closed));
    drop(staying);
    closing.await.expect("no panic").expect("orderly");
}

#[tokio::test]
async fn what_is_said_in_parting_arrives_although_who_parts_has_not_read_all() {
    for (scheme, wire) in
        [("http", Protocol::Conat), ("http", Protocol::Selvedge), ("ws", Protocol::Selvedge)]
    {
        for is_client in [true, false] {
            let to = |address: &str| DialOptions {
                address: format!("{scheme}://{address}"),
                ..dialling(address, wire)
            };
            let (client, broker) = linked_by(AcceptOptions::default(), to).await;
            let publication = publication(0, true, Bytes::from(vec![0; 10_000]));
            let pattern = crate::subject::Pattern::parse("conat.*").expect("valid");
            let publish = ClientOp::Publish { ack: None, publication: publication.clone() };
            let delivery = ServerOp::Deliver { pattern, publication };
            if is_client {
                part((client, vec![publish; 8]), (broker, delivery)).await;
            } else {
                part((broker, vec![delivery; 8]), (client, publish)).await;
            }
        }
    }
}

#[tokio::test]
async fn many_small_operations_come_in_batches_and_in_order() {
    let (client, broker) = linked(AcceptOptions::default(), Protocol::Conat).await;
    carry_batches(client, broker, |_| Bytes::from_static(b"hello")).await;
}

#[tokio::test]
async fn pings_keep_a_quiet_connection_and_silence_ends_it_on_both_sides() {
    ping_and_fall_silent(Protocol::Conat).await;
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
        (format!("GET {good} HTTP/1.1\r\nA: {}\r\n\r\n", "b".repeat(5_000_000)), vec!["431 "]),
        ("GET no http\r\n\r\n".into(), vec!["400 "]),
    ] {
        let (address, accepted) = listen_once(AcceptOptions::default()).await;
        let mut stream = TcpStream::connect(&address).await.expect("connected");
        stream.write_all(request.as_bytes()).await.expect("written");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.expect("answered");
        assert!(expected.iter().all(|part| answer.contains(part)), "{:.200} {answer}", request);
        drop(stream);
        let outcome = accepted.await.expect("no panic").map(drop);
        assert!(matches!(outcome, Err(LinkError::Refused(_))), "{outcome:?}");
    }
    let brief = AcceptOptions { handshake_timeout: Duration::from_millis(100), ..AcceptOptions::default() };
    let (address, accepted) = listen_once(brief).await;
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
        let (address, accepted) = listen_once(AcceptOptions::default()).await;
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
        let (address, accepted) = listen_once(AcceptOptions::default()).await;
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
        listen_once(AcceptOptions { path: "/other".into(), ..AcceptOptions::default() }).await;
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
