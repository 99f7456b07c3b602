use std::time::{Duration, Instant};

use super::RETURN_PAUSE;
use crate::socket::{Output, ServerSocket, SocketConfig, SocketEnd, SocketEvent, control};
use crate::subject::Subject;
use crate::wire::{Headers, Message, Messages, Payload, SocketCommand};

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
        Output::Publish(message) => message.headers.seq(),
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
        headers: Headers::default().with_command(Some(SocketCommand::Socket)),
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

/// What it has to say, and to tell the application, beside data.
fn flooded(socket: &mut ServerSocket, now: Instant, message: &Message) -> (usize, usize) {
    let (mut answers, mut requests) = (0, 0);
    for _ in 0..20_000 {
        socket.handle_message(now, message.clone());
    }
    let mut taken = Vec::new();
    while let Some(output) = socket.poll_output() {
        match output {
            Output::Publish(_) | Output::Request { .. } | Output::Respond(_) => answers += 1,
            Output::Event(SocketEvent::Request(request)) => {
                requests += 1;
                taken.push(request);
            }
            _ => {}
        }
    }
    (answers, requests)
}

#[test]
fn a_peer_that_floods_its_socket_gets_so_many_answers_and_the_application_so_many_requests() {
    let now = Instant::now();
    let reply = Subject::parse("_INBOX.a.1").ok();
    let asked = |command, payload| Message {
        subject: Subject::parse("s.server.x.id").expect("valid"),
        payload,
        headers: Headers::default().with_command(command).with_reply(reply.clone()),
    };
    let request = asked(None, Payload::NIL);
    let mut socket = server_with(now, 0);
    let (refusals, requests) = flooded(&mut socket, now, &request);
    assert_eq!((refusals, requests), (2000, 4096), "as many as may wait, and a bounded number of refusals");
    assert_eq!(flooded(&mut socket, now, &request), (0, 4096), "once the application has taken those");
    let ack = control::Control::Ack { upto: 0, resumed: false }.encode();
    let missing = control::Control::Missing(vec![1]).encode();
    for message in [
        asked(Some(SocketCommand::Ping), Payload::NIL),
        asked(Some(SocketCommand::Socket), ack),
        asked(Some(SocketCommand::Socket), missing),
        asked(Some(SocketCommand::Connect), Payload::NIL),
        asked(Some(SocketCommand::Other("x".into())), Payload::NIL),
    ] {
        let mut socket = server_with(now, 1);
        let (answers, _) = flooded(&mut socket, now, &message);
        assert!((1..=4000).contains(&answers), "{answers} answers to {message:?}");
        assert!(!socket.is_closed());
    }
}
