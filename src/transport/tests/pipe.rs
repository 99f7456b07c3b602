//! Over a pipe that somebody else fills and empties: as JavaScript does for its own HTTP server.

use super::*;
use crate::link::PipeEvent;
use crate::transport::pipe::{PipeEnd, pipe};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

/// A broker behind a pipe that is joined to TCP by hand; tells how much was in the pipe at most.
async fn carry(mut outside: TcpStream, end: PipeEnd, mut news: UnboundedReceiver<PipeEvent>) -> usize {
    let (mut brought, mut most) = (0, 0);
    let mut buffer = vec![0; 64 * 1024];
    loop {
        tokio::select! {
            // As much as is taken, and some more.
            read = outside.read(&mut buffer), if brought < 256 * 1024 => match read.unwrap_or(0) {
                0 => {
                    end.end(true);
                    return most;
                }
                length => {
                    brought += length;
                    most = most.max(brought);
                    end.push(Bytes::copy_from_slice(&buffer[..length]));
                }
            },
            item = news.recv() => match item.expect("the last is the end") {
                PipeEvent::Consumed(count) => brought -= count,
                PipeEvent::Bytes(bytes) => {
                    if outside.write_all(&bytes).await.is_ok() {
                        end.on_written(bytes.len());
                    }
                }
                PipeEvent::End => return most,
            },
        }
    }
}

async fn piped(wire: Protocol) -> (ClientLink, BrokerLink, JoinHandle<usize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("bound");
    let address = listener.local_addr().expect("bound").to_string();
    let (tell, news) = unbounded_channel();
    let (stream, end) = pipe(move |item| drop(tell.send(item)));
    let carrier = tokio::spawn(async move {
        let (outside, _) = listener.accept().await.expect("a connection");
        carry(outside, end, news).await
    });
    let options = DialOptions { wire, ..to(&address) };
    let accept_options = AcceptOptions::default();
    let (client, accepted) = tokio::join!(
        dial(&options),
        accept_with_handshake(IncomingConnection::new(stream, None), &accept_options)
    );
    (client.expect("dialled"), accepted.expect("accepted").0, carrier)
}

#[tokio::test]
async fn both_languages_go_through_a_pipe_and_both_ends_hear_of_the_end() {
    for wire in [Protocol::Conat, Protocol::Selvedge] {
        let (mut client, mut broker, carrier) = piped(wire).await;
        converse(&mut client, &mut broker).await;
        carry_much(&mut client, &mut broker).await;
        drop(client);
        assert!(matches!(ended(&mut broker).await, LinkError::Closed | LinkError::Io(_)));
        assert!(carrier.await.expect("no panic") <= 512 * 1024, "what was brought is bounded");
        let (mut client, broker, carrier) = piped(wire).await;
        drop(broker);
        assert!(matches!(ended(&mut client).await, LinkError::Closed | LinkError::Io(_)));
        carrier.await.expect("no panic");
    }
}

#[tokio::test]
async fn who_is_not_read_is_not_written_to_for_ever() {
    let (tell, mut news) = unbounded_channel();
    let (mut stream, end) = pipe(move |item| drop(tell.send(item)));
    let mut written = 0;
    let mut fill = async || {
        loop {
            let step = tokio::time::timeout(Duration::from_millis(50), stream.write(&[0; 50_000])).await;
            match step {
                Ok(count) => written += count.expect("open"),
                Err(_) => return written,
            }
        }
    };
    assert_eq!(fill().await, 1024 * 1024);
    end.on_written(1000);
    assert_eq!(fill().await, 1024 * 1024 + 1000);
    let given: usize = std::iter::from_fn(|| news.try_recv().ok())
        .map(|item| match item {
            PipeEvent::Bytes(bytes) => bytes.len(),
            other => panic!("{other:?}"),
        })
        .sum();
    assert_eq!(given, 1024 * 1024 + 1000);
    end.end(false);
    assert!(stream.write(&[0]).await.is_err());
    assert!(stream.read(&mut [0; 9]).await.is_err());
}
