//! The same breaks at the doors themselves: both protocols end with the code that belongs to the break, and
//! no reset swallows it. Served as by a broker: the link fails, and is then closed in order.

use std::future::poll_fn;

use super::echo::talk;
use super::*;
use crate::transport::tests::support::listen_once;
use crate::transport::{AcceptOptions, LinkError};
use crate::wire::fabric::SUBPROTOCOL;

/// What the door answers to `sent`.
async fn at_the_door(fields: &str, sent: Vec<Vec<u8>>) -> Vec<Reply> {
    let options = AcceptOptions::default();
    let (address, accepted) = listen_once(options).await;
    let served = tokio::spawn(async move {
        let (mut link, _) = accepted.await.expect("no panic")?;
        let mut ops = Vec::new();
        let error = loop {
            if let Err(error) = poll_fn(|cx| link.poll_recv(cx, &mut ops)).await {
                break error;
            }
        };
        let _ = poll_fn(|cx| link.poll_close(cx)).await;
        Err::<(), LinkError>(error)
    });
    let mut heard = talk(&address, fields, &sent).await.expect("an orderly end");
    let error = served.await.expect("no panic").expect_err("it ends");
    assert!(matches!(error, LinkError::PeerMisbehaved(_)), "{error}");
    heard.retain(|reply| matches!(reply, Reply::Close(_)));
    heard
}

/// Breaks, and the code for each; bytes behind them are never read.
fn breaks(data: u8) -> Vec<(&'static str, Vec<Vec<u8>>, u16)> {
    let behind = || whole(data, &[b'*'; 100_000]);
    vec![
        ("reserved bits", vec![raw(FIN | 0x40 | data, b"x"), behind()], PROTOCOL_ERROR),
        ("a ping too long", vec![whole(PING, &[0; 126]), behind()], PROTOCOL_ERROR),
        ("a message in a message", vec![raw(data, b"a"), behind()], PROTOCOL_ERROR),
        ("a continuation of nothing", vec![whole(CONTINUATION, b"a"), behind()], PROTOCOL_ERROR),
        ("an unmasked frame", vec![vec![FIN | data, 1, b'a'], behind()], PROTOCOL_ERROR),
        ("a message too large", vec![whole(data, &vec![b'*'; 9 << 20])], TOO_LARGE),
        ("text that is none", vec![whole(TEXT, b"\xff"), behind()], INVALID_TEXT),
    ]
}

#[tokio::test]
async fn the_door_of_conat_says_why_it_fails() {
    for (what, sent, code) in breaks(TEXT) {
        // Before and behind the handshake of the protocol inside.
        for joined in [vec![], vec![whole(TEXT, b"40")]] {
            let sent = [joined, sent.clone()].concat();
            assert_eq!(at_the_door("", sent).await, [Reply::Close(Some(code))], "{what}");
        }
    }
    // A rule of the protocol inside.
    let sent = vec![whole(TEXT, b"40"), whole(TEXT, b"nonsense")];
    assert_eq!(at_the_door("", sent).await, [Reply::Close(Some(POLICY))]);
}

#[tokio::test]
async fn the_door_of_our_own_protocol_says_why_it_fails() {
    let fields = format!("Sec-WebSocket-Protocol: {SUBPROTOCOL}\r\n");
    for (what, sent, code) in breaks(BINARY) {
        assert_eq!(at_the_door(&fields, sent).await, [Reply::Close(Some(code))], "{what}");
    }
    assert_eq!(at_the_door(&fields, vec![whole(TEXT, b"text")]).await, [Reply::Close(Some(1003))]);
}
