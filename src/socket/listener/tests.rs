use super::*;
use crate::wire::OriginStamp;

fn connect(attempt: u64, resume: Option<bool>) -> Message {
    connect_of(None, attempt, resume)
}

fn connect_of(epoch: Option<u64>, attempt: u64, resume: Option<bool>) -> Message {
    let json = serde_json::json!({ "id": "sock", (control::RESUME): resume });
    let json = control::with_epoch(json, epoch);
    let headers = Headers::numbered(None, Some(attempt))
        .with_command(Some(SocketCommand::Connect))
        .with_json(Some(Json::from_value(&json)));
    Message { subject: Subject::parse("s.server.srv.sock").expect("valid"), payload: Payload::NIL, headers }
}

/// Returns whether it waits for interest of a client that connects.
fn is_awaited(listener: &mut Listener) -> Option<Tag> {
    let outputs = std::iter::from_fn(|| listener.poll_output());
    outputs.fold(None, |found, output| match output {
        Output::AwaitInterest { tag, .. } => Some(tag),
        _ => found,
    })
}

#[test]
fn a_late_connect_of_a_making_that_has_ended_does_not_supersede_the_one_after_it() {
    let mut listener = Listener::new("s", "srv".into(), &SocketConfig::default()).expect("valid");
    listener.insert(
        "sock".into(),
        Entry {
            socket: 7,
            epoch: Some(1),
            attempt: Some(3),
            origin: None,
            has_stream: true,
            is_unproven: false,
        },
    );
    listener.remove("sock");
    listener.insert(
        "sock".into(),
        Entry {
            socket: 8,
            epoch: Some(2),
            attempt: Some(1),
            origin: None,
            has_stream: true,
            is_unproven: false,
        },
    );
    let late = listener.handle_message(Instant::now(), connect_of(Some(1), 3, Some(false)));
    assert!(matches!(late, ListenerAction::Done), "{late:?}");
    assert_eq!(listener.sockets(), [8]);
    let newer = listener.handle_message(Instant::now(), connect_of(Some(3), 1, Some(false)));
    assert!(matches!(newer, ListenerAction::Supersede(8, _)), "{newer:?}");
}

#[test]
fn of_two_connects_out_of_order_the_later_attempt_counts() {
    let mut listener = Listener::new("s", "srv".into(), &SocketConfig::default()).expect("valid");
    listener.handle_message(Instant::now(), connect(2, Some(false)));
    listener.handle_message(Instant::now(), connect(1, Some(false)));
    let tag = is_awaited(&mut listener).expect("it arrives");
    let ListenerAction::Accept { connect, .. } = listener.handle_interest(tag, true) else {
        panic!("it is there")
    };
    assert_eq!(connect.headers.attempt(), Some(2));
}

#[test]
fn a_client_that_closes_while_it_is_waited_for_is_not_accepted() {
    let mut listener = Listener::new("s", "srv".into(), &SocketConfig::default()).expect("valid");
    listener.handle_message(Instant::now(), connect(1, Some(false)));
    let tag = is_awaited(&mut listener).expect("it arrives");
    let mut close = connect(1, None);
    close.headers = Headers::default().with_command(Some(SocketCommand::Close));
    let of_another = Message { headers: control::with_tag(close.headers.clone(), Some(5)), ..close.clone() };
    listener.handle_message(Instant::now(), of_another);
    assert_eq!(listener.arriving(), 1);
    listener.handle_message(Instant::now(), close);
    assert_eq!(listener.arriving(), 0);
    assert!(matches!(listener.handle_interest(tag, true), ListenerAction::Done));
}

#[test]
fn a_connect_that_comes_late_brings_no_second_socket_after_the_end_of_the_first() {
    let mut listener = Listener::new("s", "srv".into(), &SocketConfig::default()).expect("valid");
    assert!(matches!(listener.handle_message(Instant::now(), connect(2, Some(false))), ListenerAction::Done));
    let tag = is_awaited(&mut listener).expect("it arrives");
    let ListenerAction::Accept { id, epoch, connect: accepted, .. } = listener.handle_interest(tag, true)
    else {
        panic!("it is there")
    };
    listener.insert(
        id,
        Entry {
            socket: 7,
            epoch,
            attempt: accepted.headers.attempt(),
            origin: None,
            has_stream: true,
            is_unproven: false,
        },
    );
    assert!(matches!(
        listener.handle_message(Instant::now(), connect(3, Some(false))),
        ListenerAction::Socket(7, _)
    ));
    listener.remove("sock");
    for late in [1, 2, 3] {
        assert!(matches!(
            listener.handle_message(Instant::now(), connect(late, Some(false))),
            ListenerAction::Done
        ));
        assert!(is_awaited(&mut listener).is_none(), "attempt {late} was the ended socket's");
    }
    listener.handle_message(Instant::now(), connect(4, Some(false)));
    let tag = is_awaited(&mut listener).expect("a client that does not know may begin");
    listener.handle_interest(tag, false);
    listener.handle_message(Instant::now(), connect(1, None));
    assert!(is_awaited(&mut listener).is_some(), "an original client counts from 1 again");
}

fn question(user: u64) -> Message {
    let subject = Subject::parse("s.server.status").expect("valid");
    let mut headers = Headers::default().with_reply(Subject::parse("_INBOX.a").ok());
    headers.stamp_origin(Some(OriginStamp { number: user, user: None, network: None }));
    Message { subject, payload: Payload::NIL, headers }
}

#[test]
fn a_flood_of_questions_who_serves_leaves_answers_for_others() {
    let mut listener = Listener::new("s", "srv".into(), &SocketConfig::default()).expect("valid");
    listener.set_has_origins(true);
    let mut now = Instant::now();
    let mut answers = |now: Instant, user: u64, times: usize| {
        (0..times).for_each(|_| listener.handle_status(now, &question(user)));
        std::iter::from_fn(|| listener.poll_output()).filter(|o| matches!(o, Output::Respond(_))).count()
    };
    for round in 0..1000 {
        now += Duration::from_millis(10);
        for user in 1..=3 {
            answers(now, user, 300);
        }
        assert_eq!(answers(now, 1000 + round, 2), 2, "round {round}");
    }
}

/// Returns how many of those that come find a place.
fn filled(listener: &mut Listener, user: u64, count: usize) -> usize {
    filled_by(listener, OriginStamp { number: user, user: None, network: None }, count)
}

fn filled_by(listener: &mut Listener, origin: OriginStamp, count: usize) -> usize {
    let mut found = 0;
    for number in 0..count {
        let mut message = connect(1, Some(false));
        let id = format!("u{}-{number}", origin.number);
        message.subject = Subject::parse(&format!("s.server.srv.{id}")).expect("valid");
        message.headers.stamp_origin(Some(origin));
        listener.handle_message(Instant::now(), message);
        let Some(tag) = is_awaited(listener) else { continue };
        let ListenerAction::Accept { id, origin, .. } = listener.handle_interest(tag, true) else { continue };
        let entry =
            Entry { socket: 7, epoch: None, attempt: None, origin, has_stream: true, is_unproven: false };
        listener.insert(id, entry);
        found += 1;
    }
    found
}

#[test]
fn crowds_of_connections_without_users_leave_places_for_others() {
    let config = SocketConfig { max_sockets: 6400, max_sockets_per_user: 400, ..SocketConfig::default() };
    let mut listener = Listener::new("s", "srv".into(), &config).expect("valid");
    listener.set_has_origins(true);
    let taken: usize = (1..40).map(|user| filled(&mut listener, user, 400)).sum();
    assert!((6300..6400).contains(&taken), "{taken}");
    assert_eq!(filled(&mut listener, 100, 1), 1);
    let alone = SocketConfig { max_sockets: 3, ..SocketConfig::default() };
    let mut small = Listener::new("s", "srv".into(), &alone).expect("valid");
    small.set_has_origins(true);
    assert_eq!(filled(&mut small, 1, 9), 3);
}

#[test]
fn a_network_leaves_places_for_others_and_its_strangers_for_its_users() {
    let mut listener = Listener::new("s", "srv".into(), &SocketConfig::default()).expect("valid");
    listener.set_has_origins(true);
    let nobody = Json::from_value(&serde_json::Value::Null);
    let ann = Json::parse(r#"{"name":"ann"}"#.into()).expect("json");
    // Each of a crowd takes all that it can.
    let crowd = |number| OriginStamp { number, user: Some(&nobody), network: Some(1) };
    let taken: usize =
        (0..500).map(|n| filled_by(&mut listener, crowd(n), if n < 16 { 4100 } else { 20 })).sum();
    assert!((65_536 - 520..65_536).contains(&taken), "{taken}");
    let mut come = |number, user, network| filled_by(&mut listener, OriginStamp { number, user, network }, 1);
    assert_eq!(come(5000, Some(&nobody), Some(1)), 0);
    assert_eq!(come(5001, Some(&nobody), Some(2)), 1);
    assert_eq!(come(5002, Some(&ann), Some(1)), 1);
    assert_eq!(come(5003, Some(&ann), Some(3)), 1);
    assert_eq!(come(5004, Some(&nobody), None), 1, "the broker's own machine");
}

#[test]
fn those_that_never_subscribe_leave_others_room_to_connect() {
    let mut listener = Listener::new("s", "srv".into(), &SocketConfig::default()).expect("valid");
    listener.set_has_origins(true);
    let mut come = |user: u64, number: usize| {
        let mut message = connect(1, Some(false));
        message.subject = Subject::parse(&format!("s.server.srv.u{user}-{number}")).expect("valid");
        message.headers.stamp_origin(Some(OriginStamp { number: user, user: None, network: None }));
        listener.handle_message(Instant::now(), message);
        is_awaited(&mut listener).is_some()
    };
    for user in 1..20 {
        for number in 0..10_000 {
            come(user, number);
        }
    }
    assert!(come(100, 0));
}

#[test]
fn strangers_are_answered_so_often_and_not_more() {
    let (mut listener, start) =
        (Listener::new("s", "srv".into(), &SocketConfig::default()).expect("valid"), Instant::now());
    let answers = |listener: &mut Listener, now: Instant| {
        for number in 0..50_000 {
            let subject = Subject::parse(&format!("s.server.srv.u{number}")).expect("valid");
            let headers = Headers::numbered(Some(1), None);
            listener.handle_message(now, Message { subject, payload: Payload::NIL, headers });
            let subject = Subject::parse("s.server.status").expect("valid");
            let headers = Headers::default().with_reply(Subject::parse("_INBOX.a").ok());
            listener.handle_status(now, &Message { subject, payload: Payload::NIL, headers });
        }
        let outputs: Vec<_> = std::iter::from_fn(|| listener.poll_output()).collect();
        let closes = outputs.iter().filter(|output| matches!(output, Output::Publish(_))).count();
        let words = outputs.iter().filter(|output| matches!(output, Output::Respond(_))).count();
        (closes, words)
    };
    assert_eq!(answers(&mut listener, start), (10_000, 5000));
    assert_eq!(answers(&mut listener, start + Duration::from_secs(2)), (2000, 2000));
    assert_eq!(answers(&mut listener, start + Duration::from_secs(60)), (10_000, 5000));
}

#[test]
fn one_that_is_about_to_end_leaves_the_question_who_serves_and_sends_those_who_come_elsewhere() {
    let mut listener = Listener::new("s", "srv".into(), &SocketConfig::default()).expect("valid");
    (0..3).for_each(|_| listener.handle_subscribed());
    listener.handle_message(Instant::now(), connect(1, Some(false)));
    std::iter::from_fn(|| listener.poll_output()).for_each(drop);
    listener.retire();
    listener.retire();
    listener.handle_message(Instant::now(), connect_of(Some(7), 1, Some(false)));
    let outputs: Vec<Output> = std::iter::from_fn(|| listener.poll_output()).collect();
    let [Output::Drain(questions), Output::Drain(status), Output::Publish(arriving), Output::Publish(late)] =
        outputs.as_slice()
    else {
        panic!("{outputs:?}")
    };
    assert_eq!([questions.as_str(), status.as_str()], ["s.server.~.*", "s.server.status"]);
    for (close, epoch) in [(arriving, None), (late, Some(7))] {
        assert_eq!(close.subject.as_str(), "s.client.sock");
        assert_eq!(close.headers.command, Some(SocketCommand::Close));
        assert!(control::is_turned_away(&close.headers) && control::epoch(&close.headers) == epoch);
    }
    assert_eq!(listener.arriving(), 0);
}

#[test]
fn who_comes_back_as_another_user_is_refused_and_one_whom_nobody_knows_must_prove_itself() {
    let ann = Json::parse(r#"{"name":"ann","id":1}"#.into()).expect("json");
    let origin = Some(Origin { number: 4, user: Some(ann.clone()), network: None });
    let mut listener = Listener::new("s", "srv".into(), &SocketConfig::default()).expect("valid");
    listener.set_has_origins(true);
    let user = |text: &str| Some(Json::parse(text.to_owned().into()).expect("json"));
    let stamped = |mut connect: Message, user: Option<&Json>| {
        connect.headers.stamp_origin(user.map(|user| OriginStamp {
            number: 6,
            user: Some(user),
            network: None,
        }));
        connect
    };
    let proven = |answers: Option<u64>| {
        let offer = Offer::new(5, answers, &SocketConfig::default());
        let json = serde_json::json!({ "id": "sock", (control::RESUME): answers.is_some(), "stream": offer });
        let mut connect = connect_of(None, 2, None);
        connect.headers.json = Some(Json::from_value(&json));
        connect
    };
    for has_stream in [true, false] {
        let entry = Entry {
            socket: 7,
            epoch: None,
            attempt: Some(1),
            origin: origin.clone(),
            has_stream,
            is_unproven: false,
        };
        listener.insert("sock".into(), entry);
        let mut claim = |connect: Message| {
            while listener.poll_output().is_some() {}
            match listener.handle_message(Instant::now(), connect) {
                ListenerAction::Socket(7, _) => "taken",
                ListenerAction::Done => match std::iter::from_fn(|| listener.poll_output()).last() {
                    Some(Output::Publish(message)) => {
                        let said = message.headers.json.as_ref().map(|json| json.to_value()["code"].clone());
                        assert_eq!(said, Some("403".into()));
                        "refused"
                    }
                    None => "left alone",
                    other => panic!("{other:?}"),
                },
                other => panic!("{other:?}"),
            }
        };
        let plain = || connect(2, Some(true));
        assert_eq!(claim(stamped(plain(), Some(&ann))), "taken");
        assert_eq!(claim(stamped(plain(), user(r#"{"id":1,"name":"ann"}"#).as_ref())), "taken", "the order");
        assert_eq!(claim(stamped(plain(), user(r#"{"name":"eve","id":1}"#).as_ref())), "refused");
        assert_eq!(claim(stamped(plain(), user("null").as_ref())), "refused");
        assert_eq!(claim(stamped(plain(), None)), "refused");
        assert_eq!(claim(plain()), "refused");
        let (proof, first) = (claim(stamped(proven(Some(9)), None)), claim(stamped(proven(None), None)));
        let expected = if has_stream { ("taken", "left alone") } else { ("refused", "refused") };
        assert_eq!((proof, first), expected);
    }
}
