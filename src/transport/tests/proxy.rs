//! The way out through an HTTP proxy: one that works, and all that one may do instead.

use super::*;
use crate::base::Code;
use crate::link::DirectHosts;
use crate::transport::dial_bytes;

/// Takes one connection after the other, reads a request of each, and does as it is told with it.
async fn proxy_that<F>(act: impl Fn(TcpStream, String) -> F + Send + 'static) -> (Proxy, JoinHandle<()>)
where
    F: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("bound");
    let port = listener.local_addr().expect("bound").port();
    let serving = tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.expect("a connection");
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                head.push(stream.read_u8().await.expect("a request"));
            }
            tokio::spawn(act(stream, String::from_utf8(head).expect("text")));
        }
    });
    let proxy = Proxy {
        host: "127.0.0.1".into(),
        port,
        tls: None,
        authorization: None,
        direct: None,
        timeout: Duration::from_secs(5),
    };
    (proxy, serving)
}

/// A proxy that always says the same, in one piece, and then nothing.
async fn proxy_that_says(answer: &'static str) -> (Proxy, JoinHandle<()>) {
    proxy_that(move |mut stream, _| async move {
        let _ = stream.write_all(answer.as_bytes()).await;
        let _ = stream.read_u8().await;
    })
    .await
}

/// Does what is asked, byte by byte.
async fn relay(mut stream: TcpStream, request: String) {
    assert!(request.contains("\r\nProxy-Authorization: Basic YTpi\r\n"), "{request}");
    let mut words = request.split(' ');
    assert_eq!(words.next(), Some("CONNECT"));
    let mut server = TcpStream::connect(words.next().expect("a server")).await.expect("connected");
    for byte in b"HTTP/1.1 200 Connection established\r\nVia: 1.1 small\r\n\r\n" {
        stream.write_all(&[*byte]).await.expect("open");
    }
    let _ = tokio::io::copy_bidirectional(&mut stream, &mut server).await;
}

async fn failure(proxy: Proxy) -> (Code, String) {
    let options = DialOptions { proxy: Some(proxy), ..to("192.0.2.1:9") };
    let error = dial(&options).await.map(drop).expect_err("no tunnel");
    (error.code(), error.to_string())
}

#[tokio::test]
async fn every_wire_goes_through_a_proxy_that_wants_a_password_and_answers_byte_by_byte() {
    let (proxy, serving) = proxy_that(relay).await;
    let proxy = Proxy { authorization: Some("Basic YTpi".into()), ..proxy };
    for (scheme, wire) in [
        ("http", Protocol::Selvedge),
        ("http", Protocol::Conat),
        ("ws", Protocol::Selvedge),
        ("http", Protocol::Best),
    ] {
        let (mut client, mut broker) = linked_by(AcceptOptions::default(), |address| DialOptions {
            address: format!("{scheme}://{address}"),
            proxy: Some(proxy.clone()),
            ..dialling(address, wire)
        })
        .await;
        converse(&mut client, &mut broker).await;
    }
    serving.abort();
}

#[tokio::test]
async fn what_a_server_says_at_once_is_not_lost_behind_the_answer() {
    let (proxy, serving) = proxy_that_says("HTTP/1.0 200 OK\r\n\r\nINFO {}\r\n").await;
    let place = Place::Net("nats.example".into(), 4222);
    let mut stream = dial_bytes::connect(&place, None, Some(&proxy), None).await.expect("a tunnel");
    let mut first = [0; 9];
    for pair in first.chunks_mut(2) {
        stream.read_exact(pair).await.expect("the first words");
    }
    assert_eq!(&first, b"INFO {}\r\n");
    serving.abort();
}

#[tokio::test]
async fn a_server_that_needs_no_proxy_is_connected_to_straight() {
    let (proxy, serving) = proxy_that(|_, request| async move { panic!("asked for {request}") }).await;
    let proxy = Proxy { direct: Some(DirectHosts::default()), ..proxy };
    let (mut client, mut broker) =
        linked_by(AcceptOptions::default(), |address| DialOptions { proxy: Some(proxy), ..to(address) })
            .await;
    converse(&mut client, &mut broker).await;
    assert!(!serving.is_finished());
    serving.abort();
}

#[tokio::test]
async fn the_reason_of_a_proxy_that_gives_no_tunnel_is_told_by_a_code_and_in_words() {
    for (answer, code, words) in [
        (
            "HTTP/1.1 403 Forbidden\r\n\r\nnot there",
            Code::ProxyTunnel,
            "does not connect us to the server: 403 Forbidden",
        ),
        ("HTTP/1.1 502 \r\nContent-Length: 0\r\n\r\n", Code::ProxyTunnel, "server: 502"),
        ("HTTP/1.1 407 Who\r\n\r\n", Code::ProxyAuth, "wants a user and a password: 407 Who"),
        ("HTTP/1.1 101 Switching Protocols\r\n\r\n", Code::ProxyTunnel, "101"),
        ("SSH-2.0-OpenSSH\r\n\r\n", Code::ProxyTunnel, "the answer is not http"),
        ("\x15\x03\x03", Code::TlsRequired, "wants TLS"),
        ("220 smtp\r\n", Code::ProxyTunnel, "not http"),
    ] {
        let (proxy, serving) = proxy_that_says(answer).await;
        let start = format!("the proxy 127.0.0.1:{}", proxy.port);
        let (found, text) = failure(proxy).await;
        assert_eq!(found, code, "{answer:?}: {text}");
        assert!(text.contains(words) && text.contains(&start), "{answer:?}: {text}");
        serving.abort();
    }
    for answer in ["HTTP/1.1 407 \r\n\r\n", "HTTP/1.1 401 Unauthorized\r\n\r\n"] {
        let (proxy, serving) = proxy_that_says(answer).await;
        let (code, text) = failure(Proxy { authorization: Some("Basic YTpi".into()), ..proxy }).await;
        assert!(code == Code::ProxyAuth && text.contains("does not accept"), "{text}");
        serving.abort();
    }

    let (proxy, serving) = proxy_that(|stream, _| async move { drop(stream) }).await;
    let (code, text) = failure(proxy.clone()).await;
    assert!(code == Code::ProxyTunnel && text.contains("closed"), "{text}");
    serving.abort();
    assert!(serving.await.is_err(), "it listens no more");
    let (code, text) = failure(proxy).await;
    assert!(code == Code::ConnectionRefused && text.contains("the proxy"), "{text}");

    let endless = "HTTP/1.1 200 OK\r\n".to_owned() + &"A: b\r\n".repeat(3000);
    let (proxy, serving) = proxy_that_says(endless.leak()).await;
    let (code, text) = failure(proxy).await;
    assert!(code == Code::ProxyTunnel && text.contains("too long"), "{text}");
    serving.abort();
}

#[tokio::test]
async fn a_proxy_that_says_nothing_or_never_comes_to_an_end_has_a_deadline() {
    for (first, crumb) in [("", ""), ("HTTP/1.1 200 OK\r\n", "A")] {
        let (proxy, serving) = proxy_that(move |mut stream, _| async move {
            let _ = stream.write_all(first.as_bytes()).await;
            while stream.write_all(crumb.as_bytes()).await.is_ok() {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        })
        .await;
        let port = proxy.port;
        let (code, text) = failure(Proxy { timeout: Duration::from_millis(100), ..proxy }).await;
        assert!(code == Code::TimedOut && text.contains(&format!("the proxy 127.0.0.1:{port}")), "{text}");
        serving.abort();
    }
}
