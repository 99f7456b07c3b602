//! Links over loopback, and conversations that either protocol must carry.

use std::future::poll_fn;
use std::time::Duration;

use bytes::Bytes;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::link::Protocol;
use crate::subject::{Pattern, Subject};
use crate::transport::{
    AcceptOptions, BoxedLink, DialOptions, Handshake, LinkError, accept_with_handshake, dial,
};
use crate::wire::*;

pub type ClientLink = BoxedLink<ClientOp, ServerOp>;
pub type BrokerLink = BoxedLink<ServerOp, ClientOp>;
pub type Outcome = Result<(BrokerLink, Handshake), LinkError>;

/// Accepts one connection.
pub async fn listen_once(options: AcceptOptions) -> (String, JoinHandle<Outcome>) {
    let (address, accepted) = listen(options, 1).await;
    (address, tokio::spawn(async { accepted.await.expect("no panic").remove(0) }))
}

/// Accepts one connection after the other; the answers in order.
pub async fn listen(options: AcceptOptions, connections: usize) -> (String, JoinHandle<Vec<Outcome>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("bound");
    let address = listener.local_addr().expect("bound").to_string();
    let accepted = tokio::spawn(async move {
        let mut outcomes = Vec::new();
        for _ in 0..connections {
            let (stream, _) = listener.accept().await.expect("a connection");
            outcomes.push(accept_with_handshake(stream, &options).await);
        }
        outcomes
    });
    (address, accepted)
}

pub fn dialling(address: &str, wire: Protocol) -> DialOptions {
    DialOptions {
        address: format!("http://{address}"),
        path: "/conat".into(),
        headers: vec![("Cookie".into(), "sys=secret".into())],
        connect_timeout: Duration::from_secs(5),
        wire,
        tls: None,
        proxy: None,
    }
}

pub async fn linked(options: AcceptOptions, wire: Protocol) -> (ClientLink, BrokerLink) {
    linked_by(options, |address| dialling(address, wire)).await
}

pub async fn linked_by(
    options: AcceptOptions,
    to: impl FnOnce(&str) -> DialOptions,
) -> (ClientLink, BrokerLink) {
    let (address, accepted) = listen_once(options).await;
    let client = dial(&to(&address)).await.expect("dialled");
    let (broker, handshake) = accepted.await.expect("no panic").expect("accepted");
    assert!(handshake.headers.contains(&("cookie".into(), "sys=secret".into())));
    (client, broker)
}

pub async fn heard<Out, In>(link: &mut BoxedLink<Out, In>, count: usize) -> Vec<In> {
    let mut ops = Vec::new();
    while ops.len() < count {
        poll_fn(|cx| link.poll_recv(cx, &mut ops)).await.expect("open");
    }
    ops
}

pub async fn ended<Out, In>(link: &mut BoxedLink<Out, In>) -> LinkError {
    let mut ops = Vec::new();
    loop {
        if let Err(error) = poll_fn(|cx| link.poll_recv(cx, &mut ops)).await {
            return error;
        }
    }
}

pub async fn flushed<Out, In>(link: &mut BoxedLink<Out, In>) {
    poll_fn(|cx| link.poll_flush(cx)).await.expect("open");
}

/// A small word each way.
pub async fn converse(client: &mut ClientLink, broker: &mut BrokerLink) {
    client.feed(ClientOp::Cluster { ack: AckId(7) }).expect("open");
    flushed(client).await;
    assert_eq!(heard(broker, 1).await, [ClientOp::Cluster { ack: AckId(7) }]);
    let answer = ServerOp::Ack { id: AckId(7), reply: Reply::Published { count: 3 } };
    broker.feed(answer).expect("open");
    flushed(broker).await;
    assert_eq!(heard(client, 1).await.len(), 1);
}

/// Much each way, in pieces of many sizes, while the other side reads.
pub async fn carry_much(client: &mut ClientLink, broker: &mut BrokerLink) {
    let sizes = [0, 10, 3000, 70_000, 2_000_000, 5];
    for seq in 0..60_u32 {
        let raw = Bytes::from(vec![seq.to_le_bytes()[0]; sizes[seq as usize % sizes.len()]]);
        let publication = publication(seq, true, raw);
        client.feed(ClientOp::Publish { ack: None, publication: publication.clone() }).expect("open");
        let (_, got) = tokio::join!(flushed(client), heard(broker, 1));
        let [ClientOp::Publish { publication: got, .. }] = &got[..] else { panic!("{got:?}") };
        assert!((got.position().0, &got.payload) == (seq, &publication.payload), "message {seq}");
        let pattern = Pattern::parse("conat.*").expect("valid");
        let delivery = ServerOp::Deliver { pattern, publication: publication.clone() };
        broker.feed(delivery).expect("open");
        let (_, got) = tokio::join!(flushed(broker), heard(client, 1));
        let [ServerOp::Deliver { publication: got, .. }] = &got[..] else { panic!("{got:?}") };
        assert!((got.position().0, &got.payload) == (seq, &publication.payload), "delivery {seq}");
    }
}

pub fn publication(seq: u32, done: bool, raw: Bytes) -> Publication {
    Publication::chunk(
        "m".into(),
        seq,
        done,
        Message {
            subject: Subject::parse("conat.io").expect("valid"),
            payload: Payload::msgpack(raw),
            headers: Headers::default(),
        },
    )
}

/// The broker says who it is.
pub async fn carry_info(client: &mut ClientLink, broker: &mut BrokerLink) {
    let info = Info {
        max_payload: 8_000_000,
        id: "0".into(),
        cluster_name: None,
        user: Ok(Json::from_value(&serde_json::Value::Null)),
        instance: None,
        large: None,
        max_message: None,
        monitor: None,
    };
    broker.feed(ServerOp::Info(info.clone().into())).expect("open");
    flushed(broker).await;
    assert_eq!(heard(client, 1).await, [ServerOp::Info(info.into())]);
}

/// Chunks of a message to the broker, which confirms each and sends it back.
pub async fn carry_chunks(mut client: ClientLink, mut broker: BrokerLink) -> (ClientLink, BrokerLink) {
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
    let (got, client) = reader.await.expect("no panic");
    let delivered: Vec<_> = got
        .into_iter()
        .filter_map(|op| match op {
            ServerOp::Deliver { publication, .. } => Some(publication),
            _ => None,
        })
        .collect();
    assert_eq!(delivered, chunks);
    (client, broker)
}

/// 20 000 publications, of which a read of the broker brings several.
pub async fn carry_batches(
    mut client: ClientLink,
    mut broker: BrokerLink,
    raw: impl Fn(u32) -> Bytes + Copy + Send + 'static,
) {
    let writer = tokio::spawn(async move {
        for seq in 0..20_000 {
            if client.is_full() {
                flushed(&mut client).await;
            }
            let publication = publication(seq, true, raw(seq));
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
        assert_eq!((publication.position().0, &publication.payload.raw), (expected, &raw(expected)));
    }
    drop(writer.await.expect("no panic"));
    assert!(matches!(ended(&mut broker).await, LinkError::Io(_) | LinkError::Closed));
}

/// Pings keep a quiet connection, and silence ends it on both sides.
pub async fn ping_and_fall_silent(wire: Protocol) {
    let quick = AcceptOptions {
        ping_interval: Duration::from_millis(40),
        ping_timeout: Duration::from_secs(1),
        ..AcceptOptions::default()
    };
    let (mut client, mut broker) = linked(quick, wire).await;
    let (mut ops, mut more) = (Vec::new(), Vec::new());
    // Several pings long. Nothing ends as long as both are polled.
    tokio::select! {
        ended = poll_fn(|cx| client.poll_recv(cx, &mut ops)) => panic!("{ended:?}"),
        ended = poll_fn(|cx| broker.poll_recv(cx, &mut more)) => panic!("{ended:?}"),
        () = tokio::time::sleep(Duration::from_millis(600)) => {}
    }
    // From here on only one of them is polled: the other is as good as dead, with its connection open.
    assert!(matches!(ended(&mut broker).await, LinkError::Silent));
    let brief = AcceptOptions {
        ping_interval: Duration::from_millis(100),
        ping_timeout: Duration::from_millis(100),
        ..AcceptOptions::default()
    };
    let (mut client, unpolled) = linked(brief, wire).await;
    assert!(matches!(ended(&mut client).await, LinkError::Silent));
    drop(unpolled);
}
