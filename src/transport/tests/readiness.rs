//! A second thread that watches connections. The runtime of these tests runs on the test's own thread: while
//! the test does not wait, it sees nothing.

use std::io::{self, Write};
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use tokio::io::{AsyncRead, AsyncReadExt, ReadBuf};
use tokio::net::{TcpListener, TcpStream};

use crate::transport::readiness::{ReadinessPoller, register};
use crate::transport::stream::BoxedStream;

/// A register stream, and its other end, whose writes are with the operating system when they return.
async fn pair(readiness: &ReadinessPoller, name: u32) -> (BoxedStream, std::net::TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("bound");
    let stream = TcpStream::connect(listener.local_addr().expect("bound")).await.expect("connected");
    let (peer, _) = listener.accept().await.expect("a connection");
    let peer = peer.into_std().expect("a socket");
    peer.set_nonblocking(false).expect("a socket");
    (register(stream, Some(&readiness.registration(name))).expect("registered"), peer)
}

fn read(stream: &mut BoxedStream) -> Poll<io::Result<Vec<u8>>> {
    let mut bytes = [0; 64 * 1024];
    let mut into = ReadBuf::new(&mut bytes);
    let outcome = Pin::new(stream).poll_read(&mut Context::from_waker(Waker::noop()), &mut into);
    outcome.map_ok(|()| into.filled().to_vec())
}

/// Looks until somebody is seen.
fn look(readiness: &mut ReadinessPoller, mut visit: impl FnMut(u32)) {
    let mut seen = false;
    while !seen {
        readiness.poll_ready(|name| {
            seen = true;
            visit(name);
        });
    }
}

#[tokio::test]
async fn what_the_runtime_has_not_seen_is_read_in_a_look_once_and_the_rest_in_order_afterwards() {
    let mut readiness = ReadinessPoller::new().expect("an event queue");
    let (mut first, _quiet) = pair(&readiness, 1).await;
    let (mut second, mut peer) = pair(&readiness, 2).await;
    let sent: Vec<u8> = (0..40_000u32).map(|n| n.to_le_bytes()[0] ^ n.to_le_bytes()[1]).collect();
    assert!(read(&mut first).is_pending() && read(&mut second).is_pending());
    peer.write_all(&sent).expect("sent");
    assert!(read(&mut second).is_pending(), "only a look reads before the runtime has seen it");
    let mut heard = Vec::new();
    look(&mut readiness, |name| {
        assert_eq!(name, 2, "the other one is quiet");
        let Poll::Ready(Ok(bytes)) = read(&mut second) else { panic!("there is something to read") };
        heard.extend(bytes);
        assert!(read(&mut second).is_pending(), "once");
    });
    assert!(!heard.is_empty() && heard.len() <= 16 * 1024, "{}", heard.len());
    while heard.len() < sent.len() {
        second.read_buf(&mut heard).await.expect("the runtime finds the rest");
    }
    assert_eq!(heard, sent);
}

#[tokio::test]
async fn a_look_sees_the_end_and_its_reason() {
    let mut readiness = ReadinessPoller::new().expect("an event queue");
    let (mut reset, peer) = pair(&readiness, 1).await;
    socket2::SockRef::from(&peer).set_linger(Some(std::time::Duration::ZERO)).expect("a socket");
    assert!(read(&mut reset).is_pending());
    drop(peer);
    look(&mut readiness, |_| {
        let Poll::Ready(Err(error)) = read(&mut reset) else { panic!("it was reset") };
        assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
    });
    let (mut ended, peer) = pair(&readiness, 2).await;
    assert!(read(&mut ended).is_pending());
    drop(peer);
    look(&mut readiness, |_| assert!(matches!(read(&mut ended), Poll::Ready(Ok(bytes)) if bytes.is_empty())));
}

#[tokio::test]
async fn a_stream_that_is_gone_is_not_seen() {
    let mut readiness = ReadinessPoller::new().expect("an event queue");
    let (gone, mut peer) = pair(&readiness, 1).await;
    let (mut here, mut other) = pair(&readiness, 2).await;
    peer.write_all(b"for nobody").expect("sent");
    drop(gone);
    other.write_all(b"hello").expect("sent");
    assert!(read(&mut here).is_pending());
    look(&mut readiness, |name| {
        assert_eq!(name, 2);
        assert!(matches!(read(&mut here), Poll::Ready(Ok(bytes)) if bytes == b"hello"));
    });
}

/// Lets the second thread alone with a stream, which it reads in many looks.
fn talk(readiness: &mut ReadinessPoller, stream: &mut BoxedStream, peer: &mut std::net::TcpStream) {
    for _ in 0..100 {
        peer.write_all(b"word").expect("sent");
        let mut heard = Vec::new();
        while heard.len() < 4 {
            look(readiness, |_| {
                if let Poll::Ready(Ok(bytes)) = read(stream) {
                    heard.extend(bytes);
                }
            });
        }
        assert_eq!(heard, b"word");
    }
}

#[tokio::test]
async fn what_the_second_thread_does_not_come_to_read_the_runtime_finds_soon_and_all_of_it() {
    let mut readiness = ReadinessPoller::new().expect("an event queue");
    let (mut stream, mut peer) = pair(&readiness, 1).await;
    for _ in 0..3 {
        talk(&mut readiness, &mut stream, &mut peer);
        peer.write_all(b"is anybody there").expect("sent");
        let mut heard = Vec::new();
        while heard.len() < 16 {
            stream.read_buf(&mut heard).await.expect("the runtime finds it");
        }
        assert_eq!(heard, b"is anybody there");
    }
    talk(&mut readiness, &mut stream, &mut peer);
    peer.write_all(b"bye").expect("sent");
    drop(peer);
    let mut heard = Vec::new();
    stream.read_to_end(&mut heard).await.expect("the runtime finds the end");
    assert_eq!(heard, b"bye");
}

#[tokio::test]
async fn an_end_behind_data_is_seen_by_the_second_thread_too() {
    let mut readiness = ReadinessPoller::new().expect("an event queue");
    let (mut stream, mut peer) = pair(&readiness, 1).await;
    talk(&mut readiness, &mut stream, &mut peer);
    peer.write_all(b"bye").expect("sent");
    drop(peer);
    let mut heard = Vec::new();
    let mut has_ended = false;
    look(&mut readiness, |_| {
        while let Poll::Ready(outcome) = read(&mut stream) {
            let bytes = outcome.expect("no failure");
            has_ended |= bytes.is_empty();
            heard.extend(bytes);
            if has_ended {
                break;
            }
        }
    });
    assert_eq!(heard, b"bye");
    if !has_ended {
        assert_eq!(stream.read(&mut [0; 8]).await.expect("the end"), 0);
    }
}

#[tokio::test]
async fn a_visit_limits_the_reads_of_the_connection_that_is_visited_and_of_no_other() {
    let mut readiness = ReadinessPoller::new().expect("an event queue");
    let (mut other, mut other_peer) = pair(&readiness, 1).await;
    let (mut visited, mut peer) = pair(&readiness, 2).await;
    other_peer.write_all(&[7; 40_000]).expect("sent");
    // Something is left, so it is known that there is more.
    let mut heard = vec![0; 10];
    other.read_exact(&mut heard).await.expect("the runtime finds it");
    peer.write_all(b"hello").expect("sent");
    let mut is_visited = false;
    while !is_visited {
        readiness.poll_ready(|name| {
            if name != 2 {
                return;
            }
            is_visited = true;
            // As a worker thread does meanwhile: nothing would wake it for what it left there.
            while let Poll::Ready(Ok(bytes)) = read(&mut other) {
                heard.extend(bytes);
            }
            assert!(matches!(read(&mut visited), Poll::Ready(Ok(bytes)) if bytes == b"hello"));
        });
    }
    assert_eq!(heard.len(), 40_000);
}
