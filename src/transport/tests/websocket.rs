//! Our own protocol inside a WebSocket: for whom nothing else gets through.

use super::*;
use crate::wire::fabric::PROTOCOL;

fn inside(address: &str, wire: Protocol) -> DialOptions {
    DialOptions { address: format!("ws://{address}"), wire, ..to(address) }
}

/// Passes on what is said, unless it asks for anything but a WebSocket, as some proxies do.
async fn proxy_before(address: String) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("bound");
    let own = listener.local_addr().expect("bound").to_string();
    tokio::spawn(async move {
        loop {
            let (mut connection, _) = listener.accept().await.expect("a connection");
            let mut head = vec![0; 4096];
            let length = connection.read(&mut head).await.expect("a request");
            if String::from_utf8_lossy(&head[..length]).contains(&format!("Upgrade: {PROTOCOL}")) {
                let _ = connection.write_all(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n").await;
                continue;
            }
            let mut server = TcpStream::connect(&address).await.expect("connected");
            server.write_all(&head[..length]).await.expect("open");
            tokio::spawn(async move { tokio::io::copy_bidirectional(&mut connection, &mut server).await });
        }
    });
    own
}

#[tokio::test]
async fn our_own_language_goes_inside_a_websocket_both_ways() {
    let (mut client, mut broker) =
        linked_by(AcceptOptions::default(), |address| inside(address, Protocol::Selvedge)).await;
    converse(&mut client, &mut broker).await;
    carry_much(&mut client, &mut broker).await;
    let closing = tokio::spawn(async move { poll_fn(|cx| broker.poll_close(cx)).await });
    assert!(matches!(ended(&mut client).await, LinkError::Closed));
    drop(client);
    closing.await.expect("no panic").expect("orderly");
}

#[tokio::test]
async fn a_proxy_that_passes_only_websockets_is_got_through() {
    let (address, accepted) = listen_once(AcceptOptions::default()).await;
    let proxy = proxy_before(address).await;
    let options = DialOptions { wire: Protocol::Selvedge, ..to(&proxy) };
    let mut client = dial(&options).await.expect("dialled");
    let (mut broker, _) = accepted.await.expect("no panic").expect("accepted");
    converse(&mut client, &mut broker).await;
}

#[tokio::test]
async fn what_is_in_the_websocket_is_found_out_in_one_request() {
    // Ours is taken if the server knows it, else Conat's over the same connection; and nothing else if
    // nothing else will do.
    for (own_wire, wire, is_accepted) in
        [(true, Protocol::Best, true), (false, Protocol::Best, true), (false, Protocol::Selvedge, false)]
    {
        let (address, accepted) = listen_once(AcceptOptions { own_wire, ..AcceptOptions::default() }).await;
        let dialed = dial(&inside(&address, wire)).await;
        assert_eq!(dialed.is_ok(), is_accepted, "{own_wire} {wire:?}");
        assert_eq!(accepted.await.expect("no panic").is_ok(), is_accepted);
    }
}

#[tokio::test]
#[expect(clippy::result_large_err, reason = "the library's own type")]
async fn a_server_that_repeats_every_subprotocol_is_not_taken_for_ours() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("bound");
    let address = listener.local_addr().expect("bound").to_string();
    let server = tokio::spawn(async move {
        let (stream, _) = listener.accept().await.expect("a connection");
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
    assert!(dial(&inside(&address, Protocol::Best)).await.is_ok());
    drop(server.await.expect("no panic"));
}

/// The heads of `tests/data/fabric/doors.txt`, requests and answers by turns.
fn samples() -> Vec<String> {
    let text = include_str!("../../../tests/data/fabric/doors.txt");
    let mut heads = vec![String::new()];
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let line = line[1..].trim_start();
        let head = heads.last_mut().expect("one at least");
        head.push_str(line);
        head.push_str("\r\n");
        if line.is_empty() {
            heads.push(String::new());
        }
    }
    heads.pop();
    heads
}

/// With those values that differ each time as they are in the samples.
fn like_a_sample(head: &str) -> String {
    let fixed = [
        ("Host", "localhost:3000"),
        ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="),
        ("Selvedge-Session", "0123456789abcdef0123456789abcdef"),
    ];
    let line = |line: &str| {
        let name = line.split(':').next().unwrap_or_default();
        let fixed = fixed.iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
        fixed.map_or_else(|| line.to_owned(), |(_, value)| format!("{name}: {value}"))
    };
    head.split("\r\n").map(line).collect::<Vec<_>>().join("\r\n").replace("cookie:", "Cookie:")
}

async fn read_a_head(stream: &mut TcpStream) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.expect("a whole head"));
    }
    String::from_utf8(head).expect("text")
}

#[tokio::test]
async fn both_doors_are_asked_for_and_opened_as_in_the_samples() {
    let samples = samples();
    let [bare, granted, websocket, granted_inside] = &samples[..] else { panic!("{samples:?}") };
    for (request, answer, scheme) in [(bare, granted, "http"), (websocket, granted_inside, "ws")] {
        let (address, accepted) = listen_once(AcceptOptions::default()).await;
        let mut stream = TcpStream::connect(&address).await.expect("connected");
        stream.write_all(request.as_bytes()).await.expect("open");
        assert_eq!(&like_a_sample(&read_a_head(&mut stream).await), answer);
        assert!(accepted.await.expect("no panic").is_ok());

        let listener = TcpListener::bind("127.0.0.1:0").await.expect("bound");
        let address = listener.local_addr().expect("bound");
        let options =
            DialOptions { address: format!("{scheme}://{address}"), wire: Protocol::Best, ..to("") };
        let dialing = tokio::spawn(async move { dial(&options).await.map(drop) });
        let (mut stream, _) = listener.accept().await.expect("a connection");
        assert_eq!(&like_a_sample(&read_a_head(&mut stream).await), request);
        dialing.abort();
    }
}
