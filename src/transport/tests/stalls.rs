//! Messages that begin and never end, and messages in crumbs: each ends one connection, in time.

use super::*;
use tokio::io::AsyncWrite;

fn impatient() -> AcceptOptions {
    AcceptOptions { message_timeout: Duration::from_millis(150), ..AcceptOptions::default() }
}

/// A client that has joined in Conat's protocol, and speaks bytes of its own from there on.
async fn joined(options: AcceptOptions) -> (TcpStream, BrokerLink) {
    let (address, accepted) = listen_once(options).await;
    let mut stream = TcpStream::connect(&address).await.expect("connected");
    let request = "GET /conat/?EIO=4&transport=websocket HTTP/1.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
        Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
    stream.write_all(request.as_bytes()).await.expect("open");
    stream.write_all(&frame(0x81, b"40")).await.expect("open");
    (stream, accepted.await.expect("no panic").expect("accepted").0)
}

/// A frame as clients send it, with a mask of zeros.
fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let length = u8::try_from(payload.len()).expect("short");
    [&[first, 0x80 | length, 0, 0, 0, 0], payload].concat()
}

/// Says something again and again, as long as that goes.
fn keep_saying(
    mut stream: impl AsyncWrite + Send + Unpin + 'static,
    bytes: Vec<u8>,
    pause: Duration,
) -> JoinHandle<()> {
    tokio::spawn(async move {
        while stream.write_all(&bytes).await.is_ok() {
            tokio::time::sleep(pause).await;
        }
    })
}

async fn is_cut_off(broker: &mut BrokerLink, why: &str) {
    let error = tokio::time::timeout(Duration::from_secs(5), ended(broker)).await.expect("in time");
    let LinkError::PeerMisbehaved(what) = &error else { panic!("{error}") };
    assert!(what.contains(why), "{what}");
}

#[tokio::test]
async fn a_message_that_never_ends_has_a_deadline_in_every_language() {
    // The life of the connection is shown all the time, so that it is not silence that ends it.
    let alive = Duration::from_millis(20);
    for (begun, life) in [
        // The first fragment, then pongs.
        (frame(0x02, b"\x04abc"), frame(0x8a, b"")),
        // A packet whose attachment never comes, and heartbeats.
        (frame(0x81, br#"451-["publish",{"_placeholder":true,"num":0}]"#), frame(0x81, b"3")),
        // A frame of a million bytes, byte by byte.
        (vec![0x82, 0xff, 0, 0, 0, 0, 0, 0x0f, 0x42, 0x40, 0, 0, 0, 0], vec![0]),
    ] {
        let (mut stream, mut broker) = joined(impatient()).await;
        stream.write_all(&begun).await.expect("open");
        let life = keep_saying(stream, life, alive);
        is_cut_off(&mut broker, "does not finish").await;
        drop(broker);
        life.await.expect("no panic");
    }
    let (address, accepted) = listen_once(impatient()).await;
    let mut stream = TcpStream::connect(&address).await.expect("connected");
    let request = b"GET /conat/ HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: selvedge/1\r\n\r\n";
    stream.write_all(&[&request[..], &[0x40, 0x42, 0x0f, 0, 1]].concat()).await.expect("open");
    let (mut broker, _) = accepted.await.expect("no panic").expect("accepted");
    let life = keep_saying(stream, vec![0], alive);
    is_cut_off(&mut broker, "does not finish").await;
    drop(broker);
    life.await.expect("no panic");
}

#[tokio::test]
async fn a_slow_message_that_goes_on_is_waited_for() {
    let (mut stream, mut broker) = joined(impatient()).await;
    // 700 KB in steps of 70 KB: far longer than the deadline, and more than the least in each.
    let length = 700_000_u32.to_be_bytes();
    let head = [&[0x82, 0xff, 0, 0, 0, 0][..], &length, &[0; 4]].concat();
    let writer = tokio::spawn(async move {
        stream.write_all(&frame(0x81, br#"451-["x",{"_placeholder":true,"num":0}]"#)).await.expect("open");
        stream.write_all(&head).await.expect("open");
        for _ in 0..10 {
            stream.write_all(&[0; 70_000]).await.expect("open");
            tokio::time::sleep(Duration::from_millis(60)).await;
        }
        stream.write_all(&frame(0x81, br#"420["cluster"]"#)).await.expect("open");
        stream
    });
    assert_eq!(heard(&mut broker, 1).await, [ClientOp::Cluster { ack: AckId(0) }]);
    drop(writer.await.expect("no panic"));
}

#[tokio::test]
async fn messages_in_crumbs_and_floods_of_control_frames_end_the_connection() {
    for (bytes, why) in [
        ([frame(0x02, b"\x04"), frame(0x00, b"").repeat(5000)].concat(), "fragments"),
        ([frame(0x02, b"\x04"), frame(0x80, b"a")].concat().repeat(1000), "flood"),
        (frame(0x8a, b"").repeat(1002), "flood"),
        (frame(0x89, b"").repeat(1002), "flood"),
    ] {
        let (mut stream, mut broker) = joined(AcceptOptions::default()).await;
        let writer = tokio::spawn(async move {
            // What is cut off cannot be said to the end.
            let _ = stream.write_all(&bytes).await;
            stream
        });
        let error = tokio::time::timeout(Duration::from_secs(5), ended(&mut broker)).await.expect("in time");
        let LinkError::PeerMisbehaved(what) = &error else { panic!("{why}: {error}") };
        assert!(what.contains(why) || what.contains("binary"), "{what} is not about {why}");
        drop(writer.await.expect("no panic"));
    }
}
