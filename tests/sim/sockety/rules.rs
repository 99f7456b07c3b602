//! Who breaks a rule of the protocol loses the connection, with the right words, and what came whole before
//! stays.

use selvedge::sockety::Config;

use super::app::App;
use super::{SECOND, hex};

const ID: &str = "00112233445546778899aabbccddeeff";

/// A message on the current channel: one data byte, or a stream, or the file "n" with 3 bytes.
fn with_data() -> String {
    format!("21 14 40 {ID} 01 61 02")
}
fn with_stream() -> String {
    format!("23 13 00 {ID} 01 61")
}
fn with_file() -> String {
    format!("21 1a 10 {ID} 01 61 01 0300 00 03 01 6e")
}

fn ending_of(bytes: &str, config: Config) -> String {
    let bytes = hex(bytes);
    let read = |pieces: &[&[u8]]| {
        let mut app = App::new(config.clone());
        pieces.iter().for_each(|piece| app.feed(piece));
        assert!(app.machine.is_closing() == app.closed.is_some());
        let ending = app.closed.clone().flatten().map_or(String::new(), |why| format!("{}: {why}", why.code));
        // Whatever still comes changes nothing.
        app.feed(&bytes);
        app.wait_until(app.now + 1000 * SECOND);
        assert!(ending.is_empty() || app.is_finished);
        ending
    };
    let whole = read(&[&bytes]);
    assert_eq!(read(&bytes.chunks(1).collect::<Vec<_>>()), whole, "byte by byte");
    whole
}

#[test]
fn every_broken_rule_ends_the_connection_with_its_reason() {
    let (data, stream, file) = (with_data(), with_stream(), with_file());
    let two_files = format!("21 18 10 {ID} 01 61 02 0600 00 03");
    let cases = [
        ("16".into(), "Invalid control byte"),
        ("e20000".into(), "Number of max concurrent channels must be between 1 and 4096"),
        ("e3 ff".into(), "Unknown packet type bits"),
        (format!("e3 {stream} 21 13 00 {ID} 01 61"), "There is already packet in process."),
        (format!("e3 {data} 51 21 00 {ID}{ID}"), "There is already packet in process."),
        ("e3 60 01 00".into(), "There is no response in process."),
        (format!("e3 {stream} 60 01 00"), "There is no response in process."),
        (format!("e3 21 14 00 {ID} 01 61 00"), "The message packet size was malformed."),
        (
            "e3 21 05 00 00112233 60 0f 445546778899aabbccddeeff 01 61 00".into(),
            "The message packet size was malformed.",
        ),
        (format!("e3 51 22 00 {ID}{ID} 00"), "The response packet size was malformed."),
        ("e3 e0 01 00".into(), "There is no data expected."),
        (format!("e3 {data} e0 02 6161 e0 01 61"), "There is no data expected."),
        (format!("e3 {stream} e0 01 61"), "There is no data expected."),
        ("e3 21 05 40 00112233 e0 01 61".into(), "There is no data expected."),
        (format!("e3 {data} e0 03 616161"), "Data sent over expected size."),
        (format!("e3 {data} e0 01 61 e0 02 6161"), "Data sent over expected size."),
        ("e3 70 01 61".into(), "There is no stream in process."),
        ("e3 80".into(), "There is no stream in process."),
        (format!("e3 {data} 70 01 61"), "There is no stream in process."),
        (format!("e3 23 14 40 {ID} 01 61 01 80 80"), "There is no stream in process."),
        ("e3 c0 01 61".into(), "There is no message processed."),
        ("e3 d0".into(), "There is no message processed."),
        (format!("e3 {file} c1 01 01 61"), "Received File with index higher than in message."),
        (format!("e3 {file} d1 01"), "Received File with index higher than in message."),
        (format!("e3 {data} d0"), "Received File with index higher than in message."),
        (format!("e3 {two_files} 60 02 01 61 c1 01 01 61"), "There is no file 1 available yet."),
        (format!("e3 {two_files} 60 02 01 61 d1 01"), "There is no file 1 available yet."),
        (format!("e3 {two_files} d0"), "There is no file 0 available yet."),
        (
            format!("e3 21 1d 10 {ID} 01 61 02 0300 00 03 01 6e 00 00 00 c0 03 616263 d0 d0"),
            "File has been already finished.",
        ),
        (
            format!("e3 21 1d 10 {ID} 01 61 02 0300 00 03 01 6e 00 00 00 d1 01 c1 00 01"),
            "File has been already finished.",
        ),
        (format!("e3 {file} c0 04 61616161"), "File sent over expected size."),
        (format!("e3 {file} c0 02 6161 d0"), "File has been finished before its expected size."),
    ];
    for (bytes, text) in cases {
        let expected = format!("ERR_SOCKETY_PROTOCOL: {text}");
        assert_eq!(ending_of(&bytes, Config::default()), expected, "{bytes}");
    }
}

#[test]
fn a_channel_that_was_not_offered_must_not_be_used() {
    let config = Config { max_received_channels: 16, ..Config::default() };
    assert_eq!(ending_of("e3 0f", config.clone()), "");
    assert_eq!(ending_of("e3 1010", config), "ERR_SOCKETY_PROTOCOL: Used over maximum channels");
    let config = Config { max_received_channels: 1, ..Config::default() };
    assert_eq!(ending_of("e3 01", config), "ERR_SOCKETY_PROTOCOL: Used over maximum channels");
}

#[test]
fn what_only_looks_wrong_is_taken() {
    for bytes in [
        // Data of length 0 is announced, and none comes.
        format!("e3 21 14 40 {ID} 01 61 00 21 13 00 {ID} 01 61"),
        // No file is announced, with a sum.
        format!("e3 21 16 10 {ID} 01 61 00 0000 21 13 00 {ID} 01 61"),
        // Empty packets.
        format!("e3 {} 70 00", with_stream()),
        format!("e3 {} e0 00 e0 02 6161", with_data()),
        format!("e3 {} c0 00 c0 03 616263 d0", with_file()),
        // An abort of nothing.
        "e3 90 90".into(),
        // A message right after an aborted one.
        format!("e3 {} 90 21 13 00 {ID} 01 61", with_stream()),
        // Bytes that are no UTF-8, and an id that is no version 4.
        "e3 21 13 00 ffffffffffffffffffffffffffffffff 01 ff".into(),
    ] {
        assert_eq!(ending_of(&bytes, Config::default()), "", "{bytes}");
    }
}

#[test]
fn files_may_differ_from_what_was_announced_if_that_is_allowed() {
    let config = Config { allow_files_size_mismatch: true, ..Config::default() };
    let mut app = App::new(config);
    app.feed(&hex(&format!("e3 {} c0 04 61626364 d0 {} c0 01 61 d0", with_file(), with_file())));
    assert_eq!(app.describe(), r#"message 00 "a" ? file n 3 abcd.; message 00 "a" ? file n 3 a."#);
}

#[test]
fn headers_and_files_have_limits_for_all_channels_together() {
    let config = Config { max_header_bytes: 100, max_files: 3, ..Config::default() };
    let half = format!("21 12 00 {ID} ff");
    let halves = |count: u8| (0..count).map(|channel| format!("{channel:02x} {half} ")).collect::<String>();
    assert_eq!(ending_of(&format!("e3 {}", halves(5)), config.clone()), "");
    let text = "ERR_SOCKETY_LIMIT: unfinished headers of more than 100 bytes";
    assert_eq!(ending_of(&format!("e3 {}", halves(6)), config.clone()), text);
    // They count until they are whole.
    let whole = format!("21 12 00 {ID} 01 60 01 61 ").repeat(20);
    assert_eq!(ending_of(&format!("e3 {whole}"), config.clone()), "");
    let files = format!("21 1c 10 {ID} 01 61 02 0000 00 00 00 00 00 00");
    assert_eq!(ending_of(&format!("e3 {files} d0 d101 {files}"), config.clone()), "");
    let text = "ERR_SOCKETY_LIMIT: more than 3 files in unfinished messages";
    assert_eq!(ending_of(&format!("e3 {files} 01 {files}"), config), text);
}

#[test]
fn messages_that_came_whole_before_a_fault_can_be_read_to_their_end() {
    let mut app = App::opened();
    app.is_eager = false;
    let data = "61".repeat(300);
    app.feed(&hex(&format!("23 15 80 {ID} 01 61 2c01 e4 2c01 {data} 80 01 {} 70 01 62", with_stream())));
    let number = app.messages[0].number;
    app.feed(b"\xff");
    assert!(app.closed.is_some() && !app.is_finished);
    assert_eq!((app.messages[0].aborted, app.messages[1].aborted), (None, Some(false)));
    app.read(number, selvedge::sockety::Part::Data, 299);
    assert!(!app.is_finished);
    app.read(number, selvedge::sockety::Part::Data, 1);
    assert!(app.is_finished && app.messages[0].is_whole());
}

#[test]
fn whoever_never_says_a_header_is_let_go_after_a_while() {
    let mut app = App::new(Config::default());
    app.wait_until(app.now + 9 * SECOND);
    assert!(app.closed.is_none());
    app.wait_until(app.now + SECOND);
    assert_eq!(app.describe(), "closed: no connection header within 10s");
}
