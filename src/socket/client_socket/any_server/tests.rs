use super::super::*;
use super::*;
use crate::base::{Code, SeededEntropy};
use crate::socket::{Listener, ListenerAction, OfferHeader, ServerSocket};
use crate::wire::Json;

/// A client that asks whoever listens, and what it has said.
struct Client {
    now: Instant,
    socket: ClientSocket,
    said: Vec<Output>,
}

impl Client {
    fn new(config: SocketConfig) -> Self {
        let now = Instant::now();
        let mut socket = ClientSocket::new("s", "sock", config).expect("valid");
        socket.offer_streams(TagSource::new(Box::new(SeededEntropy::new(1))));
        socket.set_keeps_order(true);
        socket.handle_fabric_up(now);
        let mut client = Self { now, socket, said: Vec::new() };
        client.hear();
        client
    }

    fn hear(&mut self) {
        self.said.extend(std::iter::from_fn(|| self.socket.poll_output()));
    }

    fn run(&mut self, time: Duration) {
        self.now += time;
        while self.socket.poll_timeout().is_some_and(|at| at <= self.now) {
            self.socket.handle_timeout(self.now);
        }
        self.socket.flush(self.now);
        self.hear();
    }

    /// The latest `connect`, with its tag.
    fn question(&self) -> (Tag, Message) {
        let asked = self.said.iter().rev().find_map(|output| match output {
            Output::AskAnyone { tag, message, .. } | Output::Request { tag, message, .. } => {
                Some((*tag, Message::clone(message)))
            }
            _ => None,
        });
        asked.expect("it asks")
    }

    fn connects(&self) -> Vec<String> {
        let of = |output: &Output| match output {
            Output::AskAnyone { message, .. } | Output::Request { message, .. } => {
                Some(message.subject.to_string())
            }
            _ => None,
        };
        self.said.iter().filter_map(of).collect()
    }

    fn answer(&mut self, answer: Result<Payload, CommandError>) {
        let (tag, _) = self.question();
        let subject = Subject::parse("_INBOX.a").expect("valid");
        let answer = answer.map(|payload| Message { subject, payload, headers: Headers::default() });
        self.socket.handle_reply(self.now, tag, answer);
        self.hear();
    }

    fn give(&mut self, message: Message) {
        self.socket.handle_message(self.now, message);
        self.socket.flush(self.now);
        self.hear();
    }

    fn states(&self) -> Vec<State> {
        let of = |output: &Output| match output {
            Output::Event(SocketEvent::State(state)) => Some(*state),
            _ => None,
        };
        self.said.iter().filter_map(of).collect()
    }

    /// The closes that it has published: to whom, and for which tag.
    fn closes(&self) -> Vec<(String, Option<u64>)> {
        let of = |output: &Output| match output {
            Output::Publish(message) if message.headers.command == Some(SocketCommand::Close) => {
                Some((message.subject.to_string(), control::tag(&message.headers)))
            }
            _ => None,
        };
        self.said.iter().filter_map(of).collect()
    }
}

/// The end of a server that takes this question at once.
fn taken_by(server: &str, now: Instant, question: &Message, own_tag: u64) -> (ServerSocket, Message) {
    let mut listener = Listener::new("s", server.into(), &SocketConfig::default()).expect("valid");
    let ListenerAction::Accept { client, connect, is_unproven: true, .. } =
        listener.handle_question(now, question.clone())
    else {
        panic!("it takes it")
    };
    let offer = Offer::of_headers(&connect.headers).expect("it offers");
    let mut socket = ServerSocket::with_stream(now, client, SocketConfig::default(), &offer, own_tag);
    socket.accept_unproven(now, connect, offer.tag);
    let accept = std::iter::from_fn(|| socket.poll_output()).find_map(|output| match output {
        Output::Probe { message, .. } => Some(*message),
        _ => None,
    });
    (socket, accept.expect("it accepts"))
}

fn write(socket: &mut dyn SocketEnd, now: Instant) {
    let item = crate::wire::Messages::one(Payload::msgpack(vec![1]), None);
    socket.write(now, item, false).expect("room");
}

#[test]
fn a_connect_is_one_question_behind_the_subscription_and_what_was_written_leaves_with_the_answer() {
    let mut client = Client::new(SocketConfig::default());
    let [Output::Event(_), Output::Subscribe(own), Output::AskAnyone { message, .. }] =
        client.said.as_slice()
    else {
        panic!("{:?}", client.said)
    };
    assert_eq!((own.as_str(), message.subject.as_str()), ("s.client.sock", "s.server.~.sock"));
    assert_eq!(message.headers.reply, None);
    let message = message.clone();
    write(&mut client.socket, client.now);
    let (mut server, accept) = taken_by("srv", client.now, &message, 99);
    client.said.clear();
    client.give(accept);
    assert_eq!(client.states(), [State::Ready]);
    let first = client.said.iter().find_map(|output| match output {
        Output::Publish(message) if message.headers.seq().is_some() => Some(message.clone()),
        _ => None,
    });
    let first = first.expect("in the same pump");
    assert_eq!((first.subject.as_str(), first.headers.attempt()), ("s.server.srv.sock", Some(99)));
    server.handle_message(client.now, first);
    server.flush(client.now);
    let outputs: Vec<Output> = std::iter::from_fn(|| server.poll_output()).collect();
    assert!(outputs.contains(&Output::Proven), "{outputs:?}");
}

#[test]
fn who_says_nothing_for_two_seconds_proves_itself_and_the_server_asks_once_it_lasts_five() {
    let mut client = Client::new(SocketConfig::default());
    let (mut server, accept) = taken_by("srv", client.now, &client.question().1, 99);
    client.give(accept);
    client.said.clear();
    client.run(Duration::from_millis(1999));
    assert_eq!(client.said, []);
    client.run(Duration::from_millis(1));
    let [Output::Probe { message, .. }] = client.said.as_slice() else { panic!("{:?}", client.said) };
    let status = Message::clone(message);
    // The server has heard nothing of it.
    let asked = |server: &mut ServerSocket, now| {
        server.handle_timeout(now);
        server.flush(now);
        std::iter::from_fn(|| server.poll_output()).find_map(|output| match output {
            Output::Probe { message, .. } => Some(message),
            _ => None,
        })
    };
    let start = client.now - Duration::from_secs(2);
    assert_eq!(asked(&mut server, start + Duration::from_millis(4900)), None);
    let asks = asked(&mut server, start + Duration::from_secs(5)).expect("it asks");
    assert_eq!(
        control::server(&asks.headers).as_deref(),
        Some("srv"),
        "to whom one says that it is not meant"
    );
    server.handle_message(start + Duration::from_secs(6), status);
    server.flush(start + Duration::from_secs(6));
    assert!(std::iter::from_fn(|| server.poll_output()).any(|output| output == Output::Proven));
}

#[test]
fn one_that_is_never_heard_of_is_given_up() {
    let client = Client::new(SocketConfig::default());
    let question = client.question().1;
    let (mut server, _) = taken_by("srv", client.now, &question, 99);
    let mut now = client.now;
    while !server.is_closed() {
        now = server.poll_timeout().expect("it waits").max(now);
        server.handle_timeout(now);
        server.flush(now);
        while server.poll_output().is_some() {}
    }
    assert!(now <= client.now + Duration::from_secs(36), "{:?}", now - client.now);
    // Its own subject is not there, nor comes: five seconds are enough.
    let (mut server, _) = taken_by("srv", client.now, &question, 99);
    let unheard = Tag { kind: TagKind::Accept, number: 1 };
    server.handle_reply(client.now, unheard, Err(CommandError::NoSubscribers));
    let waits = std::iter::from_fn(|| server.poll_output()).find_map(|output| match output {
        Output::AwaitInterest { tag, timeout, .. } => Some((tag, timeout)),
        _ => None,
    });
    let (tag, timeout) = waits.expect("it waits");
    assert_eq!(timeout, Duration::from_secs(5));
    server.handle_interest(client.now + timeout, tag, false);
    assert!(server.is_closed());
}

#[test]
fn an_accept_that_nobody_got_is_said_again_when_the_client_is_there() {
    let mut client = Client::new(SocketConfig::default());
    let (mut server, _) = taken_by("srv", client.now, &client.question().1, 99);
    write(&mut server, client.now);
    server.flush(client.now);
    while server.poll_output().is_some() {}
    let unheard = Tag { kind: TagKind::Accept, number: 1 };
    server.handle_reply(client.now, unheard, Err(CommandError::NoSubscribers));
    let tag = std::iter::from_fn(|| server.poll_output()).find_map(|output| match output {
        Output::AwaitInterest { tag, .. } => Some(tag),
        _ => None,
    });
    server.handle_interest(client.now, tag.expect("it waits"), true);
    server.flush(client.now);
    for output in std::iter::from_fn(|| server.poll_output()) {
        if let Output::Publish(message) = output {
            client.give(message);
        }
    }
    assert_eq!(client.socket.phase, Phase::Ready);
    let data = |output: &Output| matches!(output, Output::Event(SocketEvent::Data(_)));
    assert!(client.said.iter().any(data), "what it had said goes again");
}

#[test]
fn where_nobody_hears_it_or_nobody_answers_it_is_asked_who_serves() {
    for error in [Some(CommandError::NoSubscribers), None] {
        let mut client = Client::new(SocketConfig::default());
        let (_, first) = client.question();
        match error {
            Some(error) => client.answer(Err(error)),
            None => {
                client.run(Duration::from_millis(999));
                assert_eq!(client.connects().len(), 1);
                client.run(Duration::from_millis(1));
            }
        }
        client.socket.handle_subscribed(client.now);
        client.answer(Ok(control::server_id("srv")));
        assert_eq!(client.connects(), ["s.server.~.sock", "s.server.status", "s.server.srv.sock"]);
        let (_, second) = client.question();
        let tag = |message: &Message| Offer::of_headers(&message.headers).expect("it offers").tag;
        assert_ne!(tag(&first), tag(&second));
        assert_eq!(second.headers.attempt(), Some(2));
    }
}

#[test]
fn the_first_accept_counts_whichever_question_it_answers_and_the_other_server_is_told() {
    let mut client = Client::new(SocketConfig::default());
    let (_, first) = client.question();
    let (mut slow, late) = taken_by("slow", client.now, &first, 77);
    client.run(Duration::from_secs(1));
    client.socket.handle_subscribed(client.now);
    client.answer(Ok(control::server_id("quick")));
    // Before the one that was asked by its id.
    client.give(late);
    assert_eq!(client.socket.binding.server(), Some("slow"));
    let (_, second) = client.question();
    let offer = Offer::of_headers(&second.headers).expect("it offers");
    let answer = Offer::new(55, Some(offer.tag), &SocketConfig::default());
    let stream = Some(OfferHeader { offer: answer, server: Some("quick") });
    let json = Json::of(&control::Greeting { stream, ..control::Greeting::default() });
    let headers =
        Headers::numbered(None, Some(2)).with_command(Some(SocketCommand::Connected)).with_json(Some(json));
    client.give(Message {
        subject: Subject::parse("s.client.sock").expect("valid"),
        payload: Payload::NIL,
        headers,
    });
    assert_eq!(client.closes(), [("s.server.quick.sock".to_owned(), Some(offer.tag))]);
    assert_eq!(client.socket.binding.server(), Some("slow"));
    write(&mut slow, client.now);
    slow.flush(client.now);
    for output in std::iter::from_fn(|| slow.poll_output()) {
        if let Output::Publish(message) = output {
            client.give(message);
        }
    }
    assert!(client.said.iter().any(|output| matches!(output, Output::Event(SocketEvent::Data(_)))));
}

#[test]
fn of_two_that_take_one_question_the_first_has_the_socket_and_what_the_other_one_says_is_nobodys() {
    let mut client = Client::new(SocketConfig::default());
    let (_, question) = client.question();
    let (_, first) = taken_by("first", client.now, &question, 11);
    let (mut second, accept) = taken_by("second", client.now, &question, 22);
    client.give(first);
    write(&mut second, client.now);
    second.flush(client.now);
    let said: Vec<Output> = std::iter::from_fn(|| second.poll_output()).collect();
    for output in said {
        if let Output::Publish(message) = output {
            client.give(message);
        }
    }
    assert!(!client.said.iter().any(|output| matches!(output, Output::Event(SocketEvent::Data(_)))));
    client.give(accept);
    let closes = client.closes();
    assert_eq!(closes.len(), 1);
    let headers = control::with_tag(Headers::default(), closes[0].1).with_command(Some(SocketCommand::Close));
    let subject = Subject::parse(&closes[0].0).expect("valid");
    assert_eq!(subject.as_str(), "s.server.second.sock");
    second.handle_message(client.now, Message { subject, payload: Payload::NIL, headers });
    assert!(second.is_closed());
}

#[test]
fn a_server_that_is_full_or_leaves_sends_the_client_on_three_times() {
    for (code, ends) in [(Code::Limit, true), (Code::Draining, false)] {
        let mut client = Client::new(SocketConfig::default());
        for times in 1..=4 {
            assert_eq!(client.connects().len(), times);
            let (_, question) = client.question();
            let tag = Offer::of_headers(&question.headers).map(|offer| offer.tag);
            let headers = control::with_tag(control::turned_away(code, None), tag);
            let headers = headers.with_command(Some(SocketCommand::Close));
            let subject = Subject::parse("s.client.sock").expect("valid");
            client.give(Message { subject, payload: Payload::NIL, headers });
            client.run(Duration::ZERO);
        }
        assert_eq!(client.connects().len(), 4);
        assert_eq!(client.socket.is_closed(), ends, "{code:?}");
    }
}

#[test]
fn one_that_does_not_wait_closes_when_nobody_listens_and_one_that_waits_so_long_then() {
    for (wait, closes_after) in [(0, 0), (700, 700)] {
        let wait = Some(wait);
        let mut client = Client::new(SocketConfig { wait, ..SocketConfig::default() });
        client.answer(Err(CommandError::NoSubscribers));
        let (tag, _) = client.question();
        client.socket.handle_heard(tag, false);
        if closes_after > 0 {
            client.run(Duration::from_millis(closes_after - 1));
            assert!(!client.socket.is_closed());
        }
        client.run(Duration::from_millis(1));
        assert!(client.socket.is_closed(), "{wait:?}");
        client.hear();
        let closed = client.said.iter().find_map(|output| match output {
            Output::Event(SocketEvent::Closed { failure, .. }) => failure.clone(),
            _ => None,
        });
        assert_eq!(closed.map(|failure| failure.code), Some(Code::NoSubscribers));
    }
}

#[test]
fn one_that_is_closed_while_it_asks_tells_whoever_takes_it_and_the_application_knows_at_once() {
    let closed = |client: &Client| {
        let is_closed = |output: &&Output| matches!(output, Output::Event(SocketEvent::Closed { .. }));
        client.said.iter().filter(is_closed).count()
    };
    for is_taken in [true, false] {
        let mut client = Client::new(SocketConfig::default());
        let (_, question) = client.question();
        let (mut server, accept) = taken_by("srv", client.now, &question, 99);
        client.socket.close(CloseReason::Local);
        client.socket.end(client.now, 7, client.now);
        client.hear();
        assert_eq!((closed(&client), client.socket.is_closed()), (1, false));
        assert!(client.said.contains(&Output::Ended(7)));
        if is_taken {
            client.give(accept);
            let [(subject, tag)] = &client.closes()[..] else { panic!("it says so") };
            let headers = control::with_tag(Headers::default(), *tag);
            let headers = headers.with_command(Some(SocketCommand::Close));
            let subject = Subject::parse(subject).expect("valid");
            server.handle_message(client.now, Message { subject, payload: Payload::NIL, headers });
            assert!(server.is_closed());
        } else {
            client.run(Duration::from_secs(2));
        }
        assert!(client.socket.is_closed());
        let left = client.said.iter().any(|output| matches!(output, Output::Unsubscribe(_)));
        assert_eq!((closed(&client), left), (1, true));
    }
}

#[test]
fn a_server_from_which_the_client_goes_on_hears_of_no_end_in_order() {
    for headers in [Headers::default(), control::superseded(None)] {
        let client = Client::new(SocketConfig::default());
        let (_, question) = client.question();
        let (mut server, accept) = taken_by("srv", client.now, &question, 99);
        let offered = Offer::of_headers(&accept.headers).and_then(|offer| offer.answers);
        let tag = server.channel().stream().map(|stream| stream.tags().peer).or(offered);
        let headers = control::with_tag(headers, tag).with_command(Some(SocketCommand::Close));
        let subject = Subject::parse("s.server.srv.sock").expect("valid");
        server.handle_message(client.now, Message { subject, payload: Payload::NIL, headers });
        let failure = std::iter::from_fn(|| server.poll_output()).find_map(|output| match output {
            Output::Event(SocketEvent::Closed { failure, .. }) => failure,
            _ => None,
        });
        let code = failure.expect("it closes").code;
        assert!(matches!(code, Code::SocketLost | Code::Superseded), "{code:?}");
    }
}

#[test]
fn what_it_had_written_before_is_no_end_in_order_to_whoever_takes_it() {
    let cases = [
        (CloseReason::Local, 0, Code::SocketClosedByPeer, 0),
        (CloseReason::Local, 2, Code::SocketClosedByPeer, 2),
        (CloseReason::Aborted("the disk is full".into()), 2, Code::SocketAborted, 0),
    ];
    for (reason, written, code, lost) in cases {
        let mut client = Client::new(SocketConfig::default());
        let (_, question) = client.question();
        let (mut server, accept) = taken_by("srv", client.now, &question, 99);
        for _ in 0..written {
            write(&mut client.socket, client.now);
        }
        client.socket.close(reason);
        client.give(accept);
        let close = client.said.into_iter().find_map(|output| match output {
            Output::Publish(message) if message.headers.command == Some(SocketCommand::Close) => {
                Some(message)
            }
            _ => None,
        });
        server.handle_message(client.now, close.expect("it says so"));
        let told = std::iter::from_fn(|| server.poll_output()).find_map(|output| match output {
            Output::Event(SocketEvent::Closed { failure, missing, .. }) => Some((failure, missing)),
            _ => None,
        });
        let (failure, missing) = told.expect("it closes");
        assert_eq!((failure.expect("it was closed").code, missing), (code, lost));
    }
}
