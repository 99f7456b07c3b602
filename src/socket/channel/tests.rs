use super::*;
use crate::socket::ServerSocket;
use crate::socket::SocketEnd;

/// The server's end of a socket that has written so many messages.
fn server_with(now: Instant, written: u64) -> ServerSocket {
    let client = Subject::parse("s.client.id").expect("valid");
    let mut socket = ServerSocket::new(now, client, SocketConfig::default());
    for _ in 0..written {
        socket.write(now, Messages::one(Payload::NIL, None), false).expect("room");
    }
    sent(&mut socket);
    socket
}

/// The numbers of the data that it has to send.
fn sent(socket: &mut ServerSocket) -> Vec<u64> {
    let data = |output| match output {
        Output::Publish(message) => message.headers.seq,
        _ => None,
    };
    std::iter::from_fn(|| socket.poll_output()).filter_map(data).collect()
}

#[test]
fn a_peer_that_says_again_and_again_that_it_was_away_is_answered_with_everything_once_in_a_while() {
    let start = Instant::now();
    let mut socket = server_with(start, 3);
    let was_away = Message {
        subject: Subject::parse("s.server.x.id").expect("valid"),
        payload: control::Control::Ack { upto: 1, resumed: true }.encode(),
        headers: Headers { command: Some(SocketCommand::Socket), ..Headers::default() },
    };
    socket.handle_message(start, was_away.clone());
    assert_eq!(sent(&mut socket), [3], "the last one goes again");
    for pause in [0, 1, 499] {
        socket.handle_message(start + Duration::from_millis(pause), was_away.clone());
        assert!(sent(&mut socket).is_empty(), "after {pause} ms");
    }
    socket.handle_message(start + RETURN_PAUSE, was_away);
    assert_eq!(sent(&mut socket), [3]);
}
