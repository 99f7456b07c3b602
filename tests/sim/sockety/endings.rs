//! Heartbeats, silence, aborts, and every way to end.

use std::time::Duration;

use selvedge::base::{Code, Failure, LinkEvent, LinkRequest, Machine};
use selvedge::sockety::{Command, Config, Connection, OutgoingMessage, Part};

use super::app::{App, message};
use super::{SECOND, hex, id};

const ID: &str = "00112233445546778899aabbccddeeff";

#[test]
fn an_idle_connection_says_so_and_a_silent_one_is_given_up() {
    let mut app = App::opened();
    for _ in 0..10 {
        app.wait_until(app.now + 45 * SECOND);
        assert_eq!(app.sent(), hex("a0"));
        app.feed(b"\xa0");
    }
    app.wait_until(app.now + 59 * SECOND);
    assert_eq!(app.closed, None);
    app.wait_until(app.now + SECOND);
    assert_eq!(app.describe(), "closed: nothing came from the other end for 60s");
    assert!(app.is_finished);
}

#[test]
fn what_is_sent_stands_for_a_heartbeat_and_without_a_timeout_there_is_none() {
    let mut app = App::opened();
    for _ in 0..10 {
        app.wait_until(app.now + 30 * SECOND);
        app.command(Command::Send(message(id(0), "a")));
        assert_eq!(app.sent().first(), Some(&0x20));
        app.feed(b"\xa0");
    }
    let mut app = App::new(Config { timeout: None, ..Config::default() });
    app.feed(b"\xe3");
    assert_eq!(app.machine.poll_timeout(), None);
}

#[test]
fn an_aborted_message_ends_what_is_unfinished_of_it_and_frees_its_channel() {
    let mut app = App::opened();
    app.is_eager = false;
    let file = "01 0300 00 03 01 6e";
    app.feed(&hex(&format!("23 1a 10 {ID} 01 61 {file} c0 03 616263 d0 70 02 7879 90")));
    app.feed(&hex(&format!("20 13 00 {ID} 01 62")));
    assert_eq!(
        app.describe(),
        r#"message 00 "a" ? stream … file n 3 … aborted by its sender; message 00 "b""#
    );
    app.read(app.messages[0].number, Part::File(0), 10);
    assert_eq!(
        app.describe(),
        r#"message 00 "a" ? stream … file n 3 abc. aborted by its sender; message 00 "b""#,
        "what came whole can be read"
    );
}

#[test]
fn answers_find_who_waits_for_them_once() {
    let mut app = App::opened();
    let send = |number: u8| OutgoingMessage { request: number.into(), ..message(id(number), "a") };
    app.command(Command::Send(send(1)));
    app.command(Command::Send(send(2)));
    app.command(Command::Send(send(3)));
    app.command(Command::Forget(id(3)));
    let tail = "112233445546778899aabbccddeeff";
    app.feed(&hex(&format!("30 02{tail} 51 21 00 01{tail} 09{tail} 31 01{tail} 30 03{tail}")));
    let expected = "response 09 to 01/1 ?; reply 0 to 02/2; reply 1 to 01/0; reply 0 to 03/0";
    assert_eq!(app.describe(), expected);
}

#[test]
fn closing_says_goodbye_behind_all_that_was_sent() {
    let mut app = App::opened();
    app.command(Command::Send(OutgoingMessage { mark: 1, ..message(id(0), "a") }));
    let start = app.now;
    app.command(Command::Close);
    app.command(Command::Send(message(id(0), "too late")));
    assert!(app.machine.is_closing() && app.closed.is_none());
    assert_eq!(app.sent(), hex(&format!("20 13 00 {ID} 01 61 b0")));
    assert_eq!(app.flushed, [1]);
    app.feed(&hex(&format!("20 13 00 {ID} 01 62")));
    assert_eq!(app.requests, [LinkRequest::CloseBy(start + 60 * SECOND)], "once everything has been taken");
    app.link(LinkEvent::Closed);
    assert_eq!(app.describe(), r#"message 00 "b"; closed"#);
    assert!(app.is_finished);
}

#[test]
fn a_close_behind_what_a_peer_does_not_read_is_given_up_though_its_heart_beats() {
    let beats = |app: &mut App, seconds: u32| {
        for _ in 0..seconds {
            app.wait_until(app.now + SECOND);
            app.feed(&hex("a0"));
        }
    };
    // The close itself waits behind what the link does not take.
    let mut app = App::opened();
    app.command(Command::Leave);
    beats(&mut app, 59);
    assert!(app.closed.is_none());
    beats(&mut app, 1);
    assert!(app.is_finished);
    let text = app.describe();
    assert!(text.ends_with("has not read within 60s what was sent before the close"), "{text}");
    // It has come to the connection, which has said everything but to nobody.
    let mut app = App::opened();
    app.command(Command::Leave);
    beats(&mut app, 30);
    app.command(Command::Close);
    beats(&mut app, 30);
    assert!(app.is_finished && app.closed.is_some_and(|failure| failure.is_some()));
}

#[test]
fn destroying_ends_everything_at_once() {
    let mut app = App::opened();
    app.is_eager = false;
    app.feed(&hex(&format!("22 13 00 {ID} 01 61 70 01 62")));
    app.command(Command::Send(message(id(0), "never sent")));
    app.command(Command::Destroy);
    assert_eq!(app.describe(), r#"message 00 "a" stream … aborted with the connection; closed"#);
    assert!(app.is_finished && app.sent().is_empty());
    app.command(Command::Destroy);
    app.command(Command::Close);
    app.link(LinkEvent::Closed);
}

#[test]
fn a_lost_connection_is_told_with_its_reason_and_a_finished_one_without() {
    let mut app = App::opened();
    app.link(LinkEvent::Down(Failure::new(Code::ConnectionReset, "connection reset")));
    assert_eq!(app.describe(), "closed: connection reset");
    assert!(app.is_finished);
    let mut app = App::opened();
    app.command(Command::Send(message(id(0), "a")));
    app.end();
    assert_eq!(app.describe(), "closed");
    assert!(app.is_finished);
    assert_eq!(app.requests, [LinkRequest::Close(5 * SECOND)]);
    assert_eq!(app.sent().len(), 21, "what was on its way may still arrive");
}

#[test]
fn what_came_whole_before_the_end_waits_for_its_reader_for_a_while() {
    let ended = || {
        let mut app = App::opened();
        app.is_eager = false;
        app.feed(&hex(&format!("22 13 00 {ID} 01 61 70 03 616263 80")));
        app.end();
        assert!(app.closed.is_some() && !app.is_finished);
        app
    };
    let mut app = ended();
    app.wait_until(app.now + 50 * SECOND);
    app.read(app.messages[0].number, Part::Stream, 2);
    app.wait_until(app.now + 50 * SECOND);
    app.read(app.messages[0].number, Part::Stream, 2);
    assert!(app.is_finished && app.messages[0].is_whole());
    let mut app = ended();
    app.wait_until(app.now + 60 * SECOND);
    assert!(app.is_finished);
}

#[test]
fn whoever_connects_asks_for_a_connection_and_may_give_it_up_before_it_is_there() {
    let now = super::start();
    let mut machine = Connection::connect(now, Config::default());
    assert_eq!((machine.poll_link(), machine.poll_link()), (Some(LinkRequest::Dial), None));
    machine.handle_command(now, Command::Close);
    assert_eq!(machine.poll_link(), Some(LinkRequest::Close(Duration::ZERO)));
    assert!(machine.is_closing());
}
