//! Our own language inside a WebSocket: for whom nothing else gets through.

use super::*;
use crate::wire::fabric::PROTOCOL;

fn inside(address: &str, wire: Wire) -> DialOptions {
    DialOptions { address: format!("ws://{address}"), wire, ..to(address) }
}

/// Passes on what is said, unless it asks for anything but a WebSocket, as some proxies do.
async fn proxy_before(address: String) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("bound");
    let own = listener.local_addr().expect("bound").to_string();
    tokio::spawn(async move {
        loop {
            let (mut visitor, _) = listener.accept().await.expect("a visitor");
            let mut head = vec![0; 4096];
            let length = visitor.read(&mut head).await.expect("a request");
            if String::from_utf8_lossy(&head[..length]).contains(&format!("Upgrade: {PROTOCOL}")) {
                let _ = visitor.write_all(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n").await;
                continue;
            }
            let mut server = TcpStream::connect(&address).await.expect("connected");
            server.write_all(&head[..length]).await.expect("open");
            tokio::spawn(async move { tokio::io::copy_bidirectional(&mut visitor, &mut server).await });
        }
    });
    own
}

#[tokio::test]
async fn our_own_language_goes_inside_a_websocket_both_ways() {
    let (mut client, mut broker) =
        linked_by(AcceptOptions::default(), |address| inside(address, Wire::Selvedge)).await;
    converse(&mut client, &mut broker).await;
    carry_much(&mut client, &mut broker).await;
    let goodbye = tokio::spawn(async move { poll_fn(|cx| broker.poll_close(cx)).await });
    assert!(matches!(ended(&mut client).await, LinkError::Closed));
    drop(client);
    goodbye.await.expect("no panic").expect("orderly");
}

#[tokio::test]
async fn a_proxy_that_passes_only_websockets_is_got_through() {
    let (address, accepted) = door(AcceptOptions::default()).await;
    let proxy = proxy_before(address).await;
    for wire in [Wire::Best, Wire::Selvedge] {
        let options = DialOptions { wire, ..to(&proxy) };
        if wire == Wire::Best {
            let mut client = dial(&options).await.expect("dialled");
            let (mut broker, handshake) = accepted.await.expect("no panic").expect("accepted");
            let offered = handshake
                .headers
                .iter()
                .any(|(name, value)| name == "sec-websocket-protocol" && value == "selvedge.1");
            assert!(offered, "{:?}", handshake.headers);
            converse(&mut client, &mut broker).await;
            return;
        }
    }
}

#[tokio::test]
async fn what_is_in_the_websocket_is_found_out_in_one_request() {
    // Ours is taken if the server knows it, else Conat's over the same connection; and nothing else if nothing else will do.
    for (own_wire, wire, is_accepted) in
        [(true, Wire::Best, true), (false, Wire::Best, true), (false, Wire::Selvedge, false)]
    {
        let (address, accepted) = door(AcceptOptions { own_wire, ..AcceptOptions::default() }).await;
        let dialed = dial(&inside(&address, wire)).await;
        assert_eq!(dialed.is_ok(), is_accepted, "{own_wire} {wire:?}");
        assert_eq!(accepted.await.expect("no panic").is_ok(), is_accepted);
    }
}

#[tokio::test]
#[allow(clippy::result_large_err, reason = "the shape of the library")]
async fn a_server_that_repeats_every_subprotocol_is_not_taken_for_ours() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("bound");
    let address = listener.local_addr().expect("bound").to_string();
    let server = tokio::spawn(async move {
        let (stream, _) = listener.accept().await.expect("a visitor");
        let repeat =
            |request: &tokio_tungstenite::tungstenite::handshake::server::Request,
             mut response: tokio_tungstenite::tungstenite::handshake::server::Response| {
                let offer = request.headers()["sec-websocket-protocol"].clone();
                response.headers_mut().insert("sec-websocket-protocol", offer);
                Ok(response)
            };
        let mut socket = tokio_tungstenite::accept_hdr_async(stream, repeat).await.expect("upgraded");
        let open =
            r#"0{"sid":"a","upgrades":[],"pingInterval":25000,"pingTimeout":20000,"maxPayload":1000000}"#;
        socket.send(Message::text(open)).await.expect("sent");
        assert_eq!(socket.next().await.expect("open").expect("open"), Message::text("40"));
        socket.send(Message::text(r#"40{"sid":"b"}"#)).await.expect("sent");
        socket
    });
    assert!(dial(&inside(&address, Wire::Best)).await.is_ok());
    drop(server.await.expect("no panic"));
}
