//! What is written, byte for byte, and which channel it goes on.

use bytes::Bytes;
use selvedge::sockety::{Command, Config, Content, DraftFile, OutgoingMessage, OutgoingStream, Part};

use super::app::{App, message};
use super::{hex, id};

fn file(name: &str, content: &str) -> DraftFile {
    DraftFile {
        name: Bytes::copy_from_slice(name.as_bytes()),
        size: content.len() as u64,
        content: Content::Whole(Bytes::copy_from_slice(content.as_bytes())),
    }
}

fn following(name: &str, size: u64) -> DraftFile {
    DraftFile { content: Content::Follows, size, ..file(name, "") }
}

fn write(number: u32, part: Part, bytes: &str) -> Command {
    Command::Write { number, part, bytes: Bytes::copy_from_slice(bytes.as_bytes()), mark: 0 }
}

fn end(number: u32, part: Part) -> Command {
    Command::End { number, part, mark: 0 }
}

/// The example with this name.
fn example(name: &str) -> Vec<u8> {
    let lines = include_str!("../../data/sockety.txt").lines();
    let found = lines.filter_map(|line| line.rsplit_once(" | ")).find(|(known, _)| *known == name);
    hex(found.expect(name).1)
}

#[track_caller]
fn assert_sends(commands: impl IntoIterator<Item = Command>, expected: Vec<u8>) {
    let mut app = App::opened();
    commands.into_iter().for_each(|command| app.command(command));
    assert_eq!(app.sent(), expected);
}

#[test]
fn messages_are_written_as_the_reference_does() {
    let ping = |number, request| OutgoingMessage { request, ..message(id(number), "ping") };
    assert_sends([Command::Send(ping(0, 0))], example("ping, no answer"));
    assert_sends([Command::Send(ping(1, 7))], example("ping, answer wanted"));
    let data = |number, action, data: &'static [u8], request| {
        Command::Send(OutgoingMessage {
            data: Bytes::from_static(data),
            request,
            ..message(id(number), action)
        })
    };
    assert_sends([data(4, "log", b"hello", 1)], example(r#"log + data "hello""#));
    assert_sends([data(0xd, "a", b"1", 1), data(0xe, "b", b"2", 0)], example("two messages, one write"));
    for (code, name) in [(0, 0x10), (5, 0x11), (15, 0x12), (16, 0x13), (1000, 0x14), (4095, 0x15)] {
        let reply = Command::FastReply { id: id(name), code, mark: 0 };
        assert_sends([reply], example(&format!("code {code}")));
    }
    assert_sends([Command::Heartbeat { mark: 0 }, Command::GoAway], hex("a0 b0"));
}

#[test]
fn responses_are_written_as_the_reference_does() {
    let response = |parent, own, data: &'static [u8], request, stream| {
        Command::Send(OutgoingMessage {
            parent: Some(id(parent)),
            data: Bytes::from_static(data),
            request,
            stream,
            ..message(id(own), "")
        })
    };
    let none = OutgoingStream::None;
    assert_sends([response(0x17, 0x18, b"", 1, none)], example("empty, C=1"));
    assert_sends([response(0x19, 0x1a, b"pong", 1, none)], example(r#"data "pong", C=1"#));
    assert_sends([response(0x1b, 0x1c, b"pong", 0, none)], example(r#"data "pong", C=0"#));
    let ended = OutgoingStream::Ended;
    assert_sends([response(0x1d, 0x1e, b"pong", 0, ended)], example("stream+data, C=0"));
}

#[test]
fn files_and_streams_are_written_as_the_reference_does() {
    let up = |number, files| {
        Command::Send(OutgoingMessage { request: 1, number: 1, files, ..message(id(number), "up") })
    };
    let files = vec![file("a.txt", "abc"), file("ż.bin", "defgh")];
    assert_sends([up(0xa, files)], example(r#"a.txt "abc", ż.bin "defgh""#));
    assert_sends([up(0xc, vec![file("a", ""), file("b", "")])], example("two zero-byte files"));
    let ping = |number| Command::Send(OutgoingMessage { request: 2, ..message(id(number), "ping") });
    let parts = [
        up(0x21, vec![following("a", 3), following("b", 2)]),
        ping(0x22),
        write(1, Part::File(0), "abc"),
        write(1, Part::File(1), "xy"),
        end(1, Part::File(0)),
        end(1, Part::File(1)),
    ];
    assert_sends(parts, example("streamed files, another message between"));
    let st = |number, request, stream, data: &'static [u8]| {
        let data = Bytes::from_static(data);
        Command::Send(OutgoingMessage { request, number: 1, stream, data, ..message(id(number), "st") })
    };
    assert_sends([st(0xf, 0, OutgoingStream::Ended, b"")], example("stream flag, C=0 (closed at once)"));
    let expected = example("stream + data, other message in between");
    // The reference's writer was told of the data before the stream was its own.
    let parts = [
        st(0x1f, 1, OutgoingStream::Open, b"D"),
        write(1, Part::Stream, "hello"),
        write(1, Part::Stream, "\u{1}\u{2}\u{3}"),
        ping(0x20),
        write(1, Part::Stream, "again"),
        end(1, Part::Stream),
    ];
    assert_sends(parts, expected);
}

#[test]
fn a_message_in_progress_keeps_its_channel_and_others_take_the_next_one() {
    let mut app = App::opened();
    for number in 0..20 {
        let stream = OutgoingStream::Open;
        let st = OutgoingMessage { number: number + 1, stream, ..message(id(0), "s") };
        app.command(Command::Send(st));
    }
    let head = "22 13 00 00112233445546778899aabbccddeeff 01 73";
    let switch = |channel| match channel {
        0 => String::new(),
        1..=15 => format!("{channel:02x}"),
        _ => format!("10 {channel:02x}"),
    };
    let expected: String = (0..20).map(|channel| switch(channel) + head).collect();
    assert_eq!(app.sent(), hex(&expected));
    app.command(end(3, Part::Stream));
    assert_eq!(app.sent(), hex("02 80"));
    app.command(Command::Send(message(id(1), "p")));
    assert_eq!(app.sent()[0], 0x20, "its channel is free, and the current one");
}

#[test]
fn messages_wait_in_order_while_no_channel_is_free_and_what_is_written_to_them_waits_too() {
    let mut app = App::new(Config::default());
    app.feed(&hex("e0"));
    app.sent();
    let stream = |number, name| {
        Command::Send(OutgoingMessage {
            number,
            stream: OutgoingStream::Open,
            ..message(id(number.to_le_bytes()[0]), name)
        })
    };
    app.command(stream(1, "a"));
    app.command(stream(2, "b"));
    app.command(Command::Send(OutgoingMessage { mark: 9, ..message(id(3), "c") }));
    app.command(write(2, Part::Stream, "early"));
    app.command(end(2, Part::Stream));
    let first = hex("22 13 00 01112233445546778899aabbccddeeff 01 61");
    assert_eq!(app.sent(), first);
    assert!(app.flushed.is_empty());
    app.command(end(1, Part::Stream));
    let rest = hex("80 22 13 00 02112233445546778899aabbccddeeff 01 62 70 05 6561726c79 80 \
         20 13 00 03112233445546778899aabbccddeeff 01 63");
    assert_eq!(app.sent(), rest);
    assert_eq!(app.flushed, [9]);
}

#[test]
fn a_message_that_is_given_up_tells_the_peer_and_its_channel_is_the_last_to_be_used_again() {
    let mut app = App::new(Config::default());
    app.feed(&hex("e102"));
    app.sent();
    let stream = |number| {
        Command::Send(OutgoingMessage { number, stream: OutgoingStream::Open, ..message(id(0), "s") })
    };
    app.command(stream(1));
    app.command(Command::Abort(1));
    app.command(write(1, Part::Stream, "late"));
    let head = "22 13 00 00112233445546778899aabbccddeeff 01 73";
    assert_eq!(app.sent(), hex(&format!("{head} 90")));
    app.command(stream(2));
    assert_eq!(app.sent(), hex(&format!("01 {head}")));
    app.command(stream(3));
    assert_eq!(app.sent(), hex(&format!("00 {head}")));
    app.command(stream(4));
    app.command(Command::Abort(4));
    assert!(app.sent().is_empty(), "it never began");
}

#[test]
fn marks_are_reported_when_their_bytes_have_been_taken_with_files_and_without_the_stream() {
    let mut app = App::opened();
    let files = vec![following("n", 1)];
    let stream = OutgoingStream::Open;
    app.command(Command::Send(OutgoingMessage { number: 1, mark: 5, stream, files, ..message(id(0), "a") }));
    app.command(Command::FastReply { id: id(1), code: 0, mark: 6 });
    app.command(Command::FastReply { id: id(1), code: 0, mark: 7 });
    app.drain();
    assert!(app.flushed.is_empty());
    app.sent();
    assert_eq!(app.flushed, [6, 7]);
    app.command(write(1, Part::File(0), "x"));
    app.command(end(1, Part::File(0)));
    app.sent();
    assert_eq!(app.flushed, [6, 7, 5]);
}

#[test]
fn large_contents_are_cut_where_a_packet_has_to_end() {
    let mut app = App::opened();
    let big = Bytes::from(vec![b'x'; (1 << 24) + 5]);
    let content = Content::Whole(big.clone());
    let files = vec![DraftFile { content, size: big.len() as u64, ..file("n", "") }];
    app.command(Command::Send(OutgoingMessage { files, ..message(id(0), "a") }));
    let sent = app.sent();
    let head = hex("20 21 18 00112233445546778899aabbccddeeff 01 61 01 05000001 0c 050000010000 01 6e");
    assert_eq!(sent[..head.len()], head[..]);
    // The reference misreads a file's packet of four size bytes.
    assert_eq!(sent[head.len()..head.len() + 4], hex("c8 ffffff"));
    assert_eq!(sent[sent.len() - 9..], hex("c0 06 787878787878 d0"));
    app.command(Command::Send(OutgoingMessage { data: big, ..message(id(0), "a") }));
    assert_eq!(app.sent()[27..32], hex("ec 05000001"), "data goes in one packet");
}
