use super::*;
use crate::base::Code;
use crate::wire::{Headers, Payload};

/// Drops all outputs, and returns the latest question and every change of the state.
fn outputs(socket: &mut ClientSocket) -> (Option<Tag>, Vec<Result<State, PeerLoss>>) {
    let (mut asked, mut states) = (None, Vec::new());
    while let Some(output) = socket.poll_output() {
        match output {
            Output::Request { tag, .. } => asked = Some(tag),
            Output::Event(SocketEvent::State(state)) => states.push(Ok(state)),
            Output::Event(SocketEvent::PeerLost(loss)) => states.push(Err(loss)),
            _ => {}
        }
    }
    (asked, states)
}

fn reply(socket: &mut ClientSocket, now: Instant, answer: Result<Payload, CommandError>) {
    let (asked, _) = outputs(socket);
    let subject = Subject::parse("_INBOX.a").expect("valid");
    let answer = answer.map(|payload| Message { subject, payload, headers: Headers::default() });
    socket.handle_reply(now, asked.expect("it asks"), answer);
}

/// A socket that has a server, and another one to go to.
fn attached(now: Instant) -> ClientSocket {
    attached_with(now, SocketConfig::default())
}

fn attached_with(now: Instant, config: SocketConfig) -> ClientSocket {
    let mut socket = ClientSocket::new("s", "sock", config).expect("valid");
    socket.handle_fabric_up(now);
    socket.handle_subscribed(now);
    reply(&mut socket, now, Ok(control::server_id("srv")));
    reply(&mut socket, now, Ok(control::text("connected")));
    assert_eq!(outputs(&mut socket).1.last(), Some(&Ok(State::Ready)));
    socket
}

/// Runs until its next deadline is later. Its server is not found when it is looked up.
fn run_until(socket: &mut ClientSocket, until: Instant) {
    while let Some(at) = socket.poll_timeout().filter(|at| *at <= until) {
        socket.handle_timeout(at);
        if socket.channel.outputs.iter().any(|output| matches!(output, Output::LookUpPeer)) {
            socket.handle_missed(at);
        }
    }
}

fn after(now: Instant, seconds: u64) -> Instant {
    now + Duration::from_secs(seconds)
}

#[test]
fn an_outage_of_our_own_is_over_with_the_next_attachment() {
    let start = Instant::now();
    let mut socket = attached(start);
    socket.handle_fabric_down(start);
    let back = after(start, 60);
    socket.handle_fabric_up(back);
    reply(&mut socket, back, Ok(control::text("connected")));
    // The server ends much later: the time that it gets, and that requests wait, is not longer for that.
    let later = after(back, 600);
    socket.handle_presence(later, WatchedEnd::Peer, Presence::Absent, 1);
    socket.handle_presence(later, WatchedEnd::Others, Presence::Here, 1);
    let lost_at = socket.channel.absence.lost_at().expect("away");
    assert!(lost_at <= after(later, 3), "{:?}", lost_at - later);
}

#[test]
fn a_server_that_nobody_tells_of_may_return_as_late_as_from_an_outage_as_long_as_ours() {
    let start = Instant::now();
    let mut socket = attached(start);
    socket.handle_fabric_down(start);
    let back = after(start, 60);
    socket.handle_fabric_up(back);
    // The question waited for the server as long as a question may.
    let now = back + socket.channel.config.command_timeout;
    reply(&mut socket, now, Err(CommandError::NoSubscribers));
    socket.handle_presence(now, WatchedEnd::Others, Presence::Here, 1);
    run_until(&mut socket, after(back, 15));
    assert!(!socket.is_closed(), "it pauses for 15 s before it reconnects");
    run_until(&mut socket, after(back, 20));
    assert!(socket.is_closed(), "there is another one");
}

#[test]
fn every_attempt_that_fails_for_want_of_the_server_says_so() {
    let start = Instant::now();
    let mut socket = attached(start);
    socket.handle_presence(start, WatchedEnd::Peer, Presence::Absent, 1);
    run_until(&mut socket, after(start, 1));
    assert_eq!(outputs(&mut socket).1, [Err(PeerLoss::Ended)]);
    socket.connect(after(start, 1));
    reply(&mut socket, after(start, 11), Err(CommandError::NoSubscribers));
    assert_eq!(outputs(&mut socket).1, [Err(PeerLoss::Ended)]);
}

#[test]
fn a_server_that_ends_while_it_is_asked_for_the_first_time_is_waited_for_no_longer_than_any_other() {
    let start = Instant::now();
    let mut socket = ClientSocket::new("s", "sock", SocketConfig::default()).expect("valid");
    socket.handle_fabric_up(start);
    socket.handle_subscribed(start);
    reply(&mut socket, start, Ok(control::server_id("srv")));
    // It may have accepted the socket, and nothing would tell its messages from those of the next one.
    reply(&mut socket, start, Err(CommandError::ReceiverEnded));
    socket.handle_presence(start, WatchedEnd::Others, Presence::Here, 1);
    run_until(&mut socket, after(start, 3));
    assert!(socket.is_closed(), "there is another one");
}

#[test]
fn a_server_that_ends_while_it_is_asked_again_is_waited_for_no_longer_than_any_other() {
    let start = Instant::now();
    let mut socket = attached(start);
    socket.handle_fabric_down(start);
    socket.handle_fabric_up(start);
    reply(&mut socket, start, Err(CommandError::ReceiverEnded));
    socket.handle_presence(start, WatchedEnd::Others, Presence::Here, 1);
    run_until(&mut socket, after(start, 3));
    assert!(socket.is_closed(), "there is another one");
}

#[test]
fn a_server_that_is_found_when_its_time_is_over_is_missed_anew_from_then_on() {
    let start = Instant::now();
    let mut socket = attached(start);
    socket.handle_fabric_down(start);
    socket.handle_fabric_up(start);
    socket.handle_presence(start, WatchedEnd::Peer, Presence::Absent, 1);
    socket.handle_presence(start, WatchedEnd::Others, Presence::Here, 1);
    let over = socket.channel.absence.lost_at().expect("away");
    while let Some(at) = socket.poll_timeout().filter(|at| *at <= over) {
        socket.handle_timeout(at);
    }
    assert!(!socket.is_closed() && socket.channel.outputs.iter().any(|o| matches!(o, Output::LookUpPeer)));
    socket.handle_found(over);
    // The question that was under way all the time is not answered by it.
    reply(&mut socket, after(start, 10), Err(CommandError::NoSubscribers));
    socket.handle_presence(after(start, 10), WatchedEnd::Others, Presence::Here, 1);
    assert!(socket.channel.absence.lost_at().expect("away") >= after(over, 2));
}

#[test]
fn without_reconnection_a_lost_connection_is_waited_for_by_hand_and_not_for_ever() {
    let start = Instant::now();
    let config = SocketConfig { reconnection: false, ..SocketConfig::default() };
    let mut socket = attached_with(start, config);
    socket.handle_fabric_down(start);
    run_until(&mut socket, after(start, 30));
    assert!(!socket.is_closed(), "somebody may connect it");
    let back = after(start, 30);
    socket.handle_fabric_up(back);
    socket.connect(back);
    reply(&mut socket, back, Ok(control::text("connected")));
    run_until(&mut socket, after(back, 40));
    assert!(!socket.is_closed(), "somebody did");
    let lost = after(back, 40);
    socket.handle_fabric_down(lost);
    socket.handle_fabric_up(lost);
    run_until(&mut socket, after(lost, 45));
    assert!(socket.is_closed(), "nobody did");
}

#[test]
fn who_disconnects_it_by_hand_is_waited_for_no_longer() {
    for reconnection in [true, false] {
        let start = Instant::now();
        let config = SocketConfig { reconnection, ..SocketConfig::default() };
        let mut socket = attached_with(start, config);
        socket.disconnect(start);
        run_until(&mut socket, after(start, 29));
        assert!(!socket.is_closed(), "somebody may connect it");
        run_until(&mut socket, after(start, 45));
        // One that reconnects is connected by the caller, in the same breath.
        assert_eq!(socket.is_closed(), !reconnection);
    }
}

/// What the application is told of why it is not attached, and the question that was asked last.
fn unserved(socket: &mut ClientSocket) -> (Vec<Option<Code>>, Option<Tag>) {
    let (mut told, mut asked) = (Vec::new(), None);
    while let Some(output) = socket.poll_output() {
        match output {
            Output::Event(SocketEvent::Unserved(why)) => told.push(why.map(|failure| failure.code)),
            Output::Request { tag, .. } => asked = Some(tag),
            _ => {}
        }
    }
    (told, asked)
}

#[test]
fn why_it_is_not_attached_is_told_once_and_until_it_is() {
    let mut now = Instant::now();
    let mut socket = ClientSocket::new("s", "sock", SocketConfig::default()).expect("valid");
    socket.handle_fabric_up(now);
    socket.handle_subscribed(now);
    let refused = OpError { message: "permission denied".to_owned(), code: Some(403) };
    let rounds = [
        (CommandError::NoSubscribers, Some(Code::NoSubscribers)),
        (CommandError::Failed, Some(Code::PeerSilent)),
        (CommandError::Refused(refused), Some(Code::from_number(403))),
    ];
    for (error, code) in rounds {
        for told in [vec![code], vec![]] {
            let asked = unserved(&mut socket).1.expect("it asks");
            socket.handle_reply(now, asked, Err(error.clone()));
            assert_eq!(unserved(&mut socket).0, told, "{error:?}");
            now = after(now, 60);
            socket.handle_timeout(now);
        }
    }
    let asked = unserved(&mut socket).1.expect("it asks");
    socket.handle_heard(asked, false);
    assert_eq!(unserved(&mut socket).0, [Some(Code::NoSubscribers)], "before its time is over");
    socket.handle_heard(Tag { number: asked.number + 1, ..asked }, true);
    assert_eq!(unserved(&mut socket).0, [], "that was another question");
    socket.handle_heard(asked, true);
    assert_eq!(unserved(&mut socket).0, [None]);
}

/// Runs for so long. Returns when it asked, in ms, and the numbers of the questions.
fn asks_within(socket: &mut ClientSocket, start: Instant, ms: u64) -> Vec<(u128, Tag, Message)> {
    let mut asked = Vec::new();
    while let Some(at) = socket.poll_timeout().filter(|at| *at <= start + Duration::from_millis(ms)) {
        socket.handle_timeout(at);
        while let Some(output) = socket.poll_output() {
            if let Output::Request { tag, message, .. } = output {
                asked.push(((at - start).as_millis(), tag, *message));
            }
        }
    }
    asked
}

#[test]
fn a_connect_that_was_given_to_somebody_and_is_not_answered_is_asked_again_as_the_same_attempt() {
    let start = Instant::now();
    let mut socket = attached(start);
    socket.handle_fabric_down(start);
    socket.handle_fabric_up(start);
    let (first, _) = outputs(&mut socket);
    let again = asks_within(&mut socket, start, 9_000);
    assert_eq!(again.iter().map(|(at, ..)| *at).collect::<Vec<_>>(), [1500, 4500]);
    let attempts: Vec<_> = again.iter().map(|(.., message)| message.headers.attempt()).collect();
    assert_eq!(attempts, [Some(2), Some(2)], "what it says is that of the first one");
    // The answer to any of them counts, and to what was given up none.
    let stray = Tag { number: again[1].1.number + 1, ..again[1].1 };
    let connected = || {
        let subject = Subject::parse("_INBOX.a").expect("valid");
        Ok(Message { subject, payload: control::text("connected"), headers: Headers::default() })
    };
    socket.handle_reply(start, stray, connected());
    assert_eq!(outputs(&mut socket).1, []);
    socket.handle_reply(start, first.expect("it asks"), connected());
    assert_eq!(outputs(&mut socket).1, [Ok(State::Ready)]);
    assert_eq!(asks_within(&mut socket, start, 20_000).len(), 0);
}

#[test]
fn a_connect_that_nobody_was_given_waits_for_who_comes_and_a_search_is_repeated_like_it() {
    let start = Instant::now();
    let mut socket = attached(start);
    socket.handle_fabric_down(start);
    socket.handle_fabric_up(start);
    let (first, _) = outputs(&mut socket);
    socket.handle_heard(first.expect("it asks"), false);
    assert_eq!(asks_within(&mut socket, start, 2_000).len(), 0);
    socket.handle_heard(first.expect("it asks"), true);
    assert_eq!(asks_within(&mut socket, start, 9_000).len(), 1);

    let mut searching = ClientSocket::new("s", "sock", SocketConfig::default()).expect("valid");
    searching.handle_fabric_up(start);
    let (first, _) = outputs(&mut searching);
    let again = asks_within(&mut searching, start, 2_900);
    let kinds: Vec<_> = again.iter().map(|(at, tag, _)| (*at, tag.kind)).collect();
    assert_eq!(
        (first.expect("it asks").kind, kinds),
        (TagKind::FindServer, vec![(1500, TagKind::FindServer)])
    );
}
