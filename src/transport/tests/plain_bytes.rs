//! Plain bytes, for machines that decode by themselves: over TCP, TLS and a socket in the file system.

use super::*;
use crate::base::{Chunk, Code};
use crate::link::ListenAddress;
use crate::transport::tls::{ClientTls, ClientTlsOptions, ServerTls, ServerTlsOptions};

type Bytewise = BoxedLink<Bytes, Chunk>;

fn pem(name: &str) -> String {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/tls");
    std::fs::read_to_string(format!("{folder}/{name}.pem")).expect("test data")
}

fn server_tls() -> ServerTls {
    let options =
        ServerTlsOptions { cert: pem("server"), key: pem("server.key"), ..ServerTlsOptions::default() };
    ServerTls::new(options).expect("usable")
}

fn client_tls(ca: &str) -> ClientTls {
    ClientTls::new(&ClientTlsOptions { ca: Some(pem(ca)), ..ClientTlsOptions::default() }).expect("usable")
}

fn dialer(at: &ListenAddress, tls: Option<ClientTls>) -> ByteDialer {
    let place = match at {
        ListenAddress::Net(address) => Place::Net("localhost".into(), address.port()),
        ListenAddress::Unix(path) => Place::Unix(path.clone()),
    };
    ByteDialer { place, tls, connect_timeout: Duration::from_secs(5), registration: None }
}

/// Both ends of a connection.
async fn pair(at: ListenAt, is_secure: bool) -> (Bytewise, Bytewise) {
    let listener = StreamListener::bind(&at).await.expect("bound");
    let dialer = dialer(&listener.at, is_secure.then(|| client_tls("ca")));
    let accepting = async {
        let tls = is_secure.then(server_tls);
        let connection = listener.accept().await.expect("a connection");
        accept_bytes(connection, tls.as_ref(), Duration::from_secs(5)).await.expect("accepted").0
    };
    let (client, server) = tokio::join!(dialer.dial(), accepting);
    (client.expect("dialled"), server)
}

async fn receive(link: &mut Bytewise) -> Chunk {
    let mut chunks = Vec::new();
    poll_fn(|cx| link.poll_recv(cx, &mut chunks)).await.expect("open");
    assert_eq!(chunks.len(), 1);
    chunks.remove(0)
}

async fn send(link: &mut Bytewise, bytes: &[u8]) {
    link.feed(Bytes::copy_from_slice(bytes)).expect("open");
    flushed(link).await;
}

/// Everything up to the end.
async fn receive_all(link: &mut Bytewise) -> Vec<u8> {
    let mut all = Vec::new();
    loop {
        match receive(link).await {
            Chunk::Bytes(bytes) => all.extend_from_slice(&bytes),
            Chunk::End => return all,
        }
    }
}

async fn converse(mut client: Bytewise, mut server: Bytewise) {
    send(&mut client, b"small").await;
    assert_eq!(receive(&mut server).await, Chunk::Bytes(Bytes::from_static(b"small")));
    // Pieces of both kinds, in order: those that are copied together, and those that are not.
    let pieces: Vec<Vec<u8>> = (0..200_u8).map(|n| vec![n; usize::from(n) * 100]).collect();
    let whole = pieces.concat();
    let writer = tokio::spawn(async move {
        for piece in &pieces {
            if client.is_full() {
                flushed(&mut client).await;
            }
            client.feed(Bytes::copy_from_slice(piece)).expect("open");
        }
        // The close flushes first, and waits for the other end's.
        poll_fn(|cx| client.poll_close(cx)).await.expect("orderly");
    });
    assert!(receive_all(&mut server).await == whole, "all of it, in order");
    send(&mut server, b"after your end").await;
    poll_fn(|cx| server.poll_close(cx)).await.expect("orderly");
    writer.await.expect("no panic");
}

#[tokio::test]
async fn bytes_arrive_in_order_and_each_direction_ends_by_itself() {
    for is_secure in [false, true] {
        let (client, server) = pair(ListenAt::Net("127.0.0.1".into(), 0), is_secure).await;
        converse(client, server).await;
    }
}

#[cfg(unix)]
#[tokio::test]
async fn bytes_go_over_a_socket_in_the_file_system() {
    let name = format!("selvedge-bytes-{}.sock", uuid::Uuid::new_v4().simple());
    let (client, server) = pair(ListenAt::Unix(std::env::temp_dir().join(name), 0o600), false).await;
    converse(client, server).await;
}

#[tokio::test]
async fn a_failure_has_the_code_that_says_what_to_do() {
    let listener = StreamListener::bind(&ListenAt::Net("127.0.0.1".into(), 0)).await.expect("bound");
    let distrustful = dialer(&listener.at, Some(client_tls("other-ca")));
    let accepting = async {
        let (tls, connection) = (server_tls(), listener.accept().await.expect("a connection"));
        accept_bytes(connection, Some(&tls), Duration::from_secs(5)).await.map(drop)
    };
    let (dialed, accepted) = tokio::join!(distrustful.dial(), accepting);
    assert_eq!(dialed.map(drop).expect_err("not trusted").code(), Code::TlsUntrusted);
    accepted.expect_err("refused by the client");
    let nobody = dialer(&listener.at, None);
    drop(listener);
    assert_eq!(nobody.dial().await.map(drop).expect_err("nobody listens").code(), Code::ConnectionRefused);
}
