//! Dialling against accepting in our own protocol over loopback, servers that know only Conat's, and
//! strangers.

use std::future::poll_fn;

use bytes::Bytes;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::link::Protocol;
use crate::transport::tests::support::*;
use crate::transport::{AcceptOptions, LinkError, Remote, accept_with_handshake, dial};
use crate::wire::*;

/// A connection that was let in and speaks bytes of its own.
async fn rude(options: AcceptOptions, bytes: Vec<u8>) -> (TcpStream, BrokerLink) {
    let (address, accepted) = listen_once(options).await;
    let mut stream = TcpStream::connect(&address).await.expect("connected");
    let request = b"GET /conat/ HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: selvedge/1\r\n\r\n";
    stream.write_all(&[&request[..], &bytes].concat()).await.expect("written");
    let (broker, _) = accepted.await.expect("no panic").expect("accepted");
    (stream, broker)
}

#[tokio::test]
async fn a_conversation_goes_both_ways_and_chunks_arrive_whole() {
    let (mut client, mut broker) = linked(AcceptOptions::default(), Protocol::Selvedge).await;
    carry_info(&mut client, &mut broker).await;

    let (mut client, mut broker) = carry_chunks(client, broker).await;
    let closing = tokio::spawn(async move { poll_fn(|cx| broker.poll_close(cx)).await });
    assert!(matches!(ended(&mut client).await, LinkError::Closed));
    drop(client);
    closing.await.expect("no panic").expect("orderly");
}

#[tokio::test]
async fn many_operations_of_all_sizes_come_in_batches_and_in_order() {
    let (client, broker) = linked(AcceptOptions::default(), Protocol::Selvedge).await;
    let raw =
        |seq: u32| Bytes::from(vec![seq.to_le_bytes()[0]; [5, 900, 3000, 20_000, 300][seq as usize % 5]]);
    carry_batches(client, broker, raw).await;
}

#[tokio::test]
async fn pings_keep_a_quiet_connection_and_silence_ends_it_on_both_sides() {
    ping_and_fall_silent(Protocol::Selvedge).await;
}

#[tokio::test]
async fn what_was_said_last_arrives_although_answers_were_not_read() {
    let (mut client, mut broker) = linked(AcceptOptions::default(), Protocol::Selvedge).await;
    broker.feed(ServerOp::Ack { id: AckId(1), reply: Reply::Interest(true) }).expect("open");
    flushed(&mut broker).await;
    for seq in 0..100 {
        let publication = publication(seq, true, Bytes::from(vec![0; 20_000]));
        client.feed(ClientOp::Publish { ack: None, publication }).expect("open");
    }
    let closing = tokio::spawn(async move { poll_fn(|cx| client.poll_close(cx)).await });
    assert_eq!(heard(&mut broker, 100).await.len(), 100);
    assert!(matches!(ended(&mut broker).await, LinkError::Closed));
    drop(broker);
    closing.await.expect("no panic").expect("orderly");
}

#[tokio::test]
async fn a_server_that_knows_only_conats_wire_is_spoken_to_in_it_from_then_on() {
    let old = AcceptOptions { own_wire: false, ..AcceptOptions::default() };
    let (address, accepted) = listen(old, 3).await;
    let remote = Remote::new(dialling(&address, Protocol::Best));
    let first = remote.dial().await.expect("dialled");
    let second = remote.dial().await.expect("dialled");
    let outcomes = accepted.await.expect("no panic");
    assert!(matches!(&outcomes[0], Err(LinkError::Refused(_))), "our wire was tried once");
    assert!(outcomes[1].is_ok() && outcomes[2].is_ok());
    drop((first, second));
    // Asked once outside a WebSocket and once inside.
    let (address, _accepted) = listen(AcceptOptions { own_wire: false, ..AcceptOptions::default() }, 2).await;
    let Err(LinkError::Refused(what)) = dial(&dialling(&address, Protocol::Selvedge)).await.map(drop) else {
        panic!("not refused")
    };
    assert!(what.contains("400"), "{what}");
}

#[tokio::test]
async fn a_server_that_hangs_up_or_says_nothing_sensible_is_tried_in_conats_wire() {
    for answer in [
        &b""[..],
        b"HTTP/1.1 404 Not Found\r\n\r\n",
        b"HTTP/1.1 101 X\r\nUpgrade: other\r\n\r\n",
        b"SSH-2.0\r\n\r\n",
        b"x",
    ] {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("bound");
        let address = listener.local_addr().expect("bound").to_string();
        let server = tokio::spawn(async move {
            let (mut first, _) = listener.accept().await.expect("a connection");
            let mut request = vec![0; 1000];
            let length = first.read(&mut request).await.expect("a request");
            assert!(String::from_utf8_lossy(&request[..length]).contains("Upgrade: selvedge/1\r\n"));
            first.write_all(answer).await.expect("written");
            drop(first);
            let (second, _) = listener.accept().await.expect("a second visit");
            accept_with_handshake(second, &AcceptOptions { own_wire: false, ..AcceptOptions::default() })
                .await
        });
        let link = dial(&dialling(&address, Protocol::Best)).await.map(drop);
        assert!(link.is_ok(), "{answer:?} {link:?}");
        assert!(server.await.expect("no panic").is_ok());
    }
}

#[tokio::test]
async fn both_languages_share_a_port() {
    let (address, accepted) = listen(AcceptOptions::default(), 2).await;
    let mut clients = Vec::new();
    for wire in [Protocol::Conat, Protocol::Best] {
        clients.push(dial(&dialling(&address, wire)).await.expect("dialled"));
    }
    for (outcome, client) in accepted.await.expect("no panic").into_iter().zip(&mut clients) {
        let (mut broker, _) = outcome.expect("accepted");
        client.feed(ClientOp::Cluster { ack: AckId(0) }).expect("open");
        flushed(client).await;
        assert_eq!(heard(&mut broker, 1).await, [ClientOp::Cluster { ack: AckId(0) }]);
    }
}

#[tokio::test]
async fn terms_that_make_no_sense_are_refused() {
    let good = "HTTP/1.1 101 X\r\nUpgrade: selvedge/1\r\nSelvedge-Max-Payload: 5\r\nSelvedge-Ping-Interval: 1000\r\nSelvedge-Ping-Timeout: 1000\r\n\r\n";
    for (answer, is_good) in [
        (good.to_owned(), true),
        (good.replace("1000", "0"), false),
        (good.replace("Payload: 5", "Payload: -5"), false),
        (good.replace("Selvedge-Ping-Timeout", "X"), false),
        (format!("HTTP/1.1 101 X\r\nA: {}\r\n\r\n", "b".repeat(17_000)), false),
    ] {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("bound");
        let address = listener.local_addr().expect("bound").to_string();
        let server = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.expect("a connection");
            stream.write_all(answer.as_bytes()).await.expect("written");
            let _ = stream.read(&mut [0; 1000]).await;
            stream
        });
        assert_eq!(dial(&dialling(&address, Protocol::Selvedge)).await.is_ok(), is_good);
        drop(server.await.expect("no panic"));
    }
}

#[tokio::test]
async fn a_client_that_breaks_the_rules_is_closed() {
    let frames = |frame: &[u8], count: usize| frame.repeat(count);
    for (bytes, what) in [
        (vec![0, 0, 0, 0, 0], "without a type"),
        (vec![0xff, 0xff, 0xff, 0xff, 1], "too long"),
        (vec![1, 0, 0, 0, 99], "unknown frame"),
        (frames(&[1, 0, 0, 0, 4], 1001), "flood"),
        (frames(&[1, 0, 0, 0, 0x80], 1001), "flood"),
    ] {
        let (stream, mut broker) = rude(AcceptOptions::default(), bytes).await;
        let error = ended(&mut broker).await;
        let LinkError::PeerMisbehaved(text) = &error else { panic!("{what}: {error}") };
        assert!(text.contains(what), "{text} is not about {what}");
        assert!(matches!(ended(&mut broker).await, LinkError::Closed), "and it stays so");
        drop(stream);
    }
}

#[tokio::test]
async fn frames_may_come_with_the_request_and_byte_by_byte_and_end_anywhere() {
    let frame = [&[28, 0, 0, 0, 6][..], br#"{"op":"cluster","ack":1234}"#].concat();
    let (mut stream, mut broker) = rude(AcceptOptions::default(), frame.clone()).await;
    let expected = ClientOp::Cluster { ack: AckId(1234) };
    assert_eq!(heard(&mut broker, 1).await, std::slice::from_ref(&expected));
    let cut = frame[..20].to_vec();
    let writer = tokio::spawn(async move {
        stream.set_nodelay(true).expect("open");
        for byte in frame {
            stream.write_all(&[byte]).await.expect("open");
            tokio::task::yield_now().await;
        }
        stream.write_all(&cut).await.expect("open");
        stream.shutdown().await.expect("open");
        stream
    });
    assert_eq!(heard(&mut broker, 1).await, [expected]);
    assert!(matches!(ended(&mut broker).await, LinkError::Io(_)), "a frame was cut");
    drop(writer.await.expect("no panic"));
}
