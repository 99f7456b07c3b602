//! Every example of the specification: read, however it is cut, and written.

use super::app::App;
use super::hex;

const EXAMPLES: &str = include_str!("../../data/sockety.txt");

/// What each example means.
const MEANINGS: [(&str, &str); 39] = [
    ("heartbeat", ""),
    ("go-away", "go away"),
    ("abort (hand)", ""),
    ("switch 1", ""),
    ("switch 15", ""),
    ("switch 16", ""),
    ("switch 255", ""),
    ("switch 256", ""),
    ("switch 4095", ""),
    ("code 0", "reply 0 to 10/0"),
    ("code 5", "reply 5 to 11/0"),
    ("code 15", "reply 15 to 12/0"),
    ("code 16", "reply 16 to 13/0"),
    ("code 1000", "reply 1000 to 14/0"),
    ("code 4095", "reply 4095 to 15/0"),
    ("ping, no answer", r#"message 00 "ping""#),
    ("ping, answer wanted", r#"message 01 "ping" ?"#),
    ("empty action", r#"message 02 "" ?"#),
    ("UTF-8 action zażółć", r#"message 03 "zażółć" ?"#),
    (r#"log + data "hello""#, r#"message 04 "log" ? data hello"#),
    (r#"log + msgpack "some text""#, "message 05 \"log\" ? data \u{fffd}some text"),
    (
        "log + msgpack {a:1,b:[true,null,1.5]}",
        "message 06 \"log\" ? data \u{fffd}\0\u{2}\u{fffd}a\u{1}\u{fffd}b\u{fffd}\u{fffd}\u{fffd}\u{fffd}?\u{fffd}\0\0\0\0\0\0",
    ),
    ("two messages, one write", r#"message 0d "a" ? data 1; message 0e "b" data 2"#),
    ("uint24 size (hand)", r#"message 01 "ping" ?"#),
    ("uint32 size (hand)", r#"message 01 "ping" ?"#),
    (r#"a.txt "abc", ż.bin "defgh""#, r#"message 0a "up" ? file a.txt 3 abc. file ż.bin 5 defgh."#),
    ("two zero-byte files", r#"message 0c "up" ? file a 0 . file b 0 ."#),
    (r#"data "DD" + two files"#, r#"message 0d "up" ? data DD file a 3 abc. file b 2 de."#),
    (
        "streamed files, another message between",
        r#"message 21 "up" ? file a 3 abc. file b 2 xy.; message 22 "ping" ?"#,
    ),
    ("stream flag, C=0 (closed at once)", r#"message 0f "st" stream ."#),
    (
        "stream + data, other message in between",
        "message 1f \"st\" ? data D stream hello\u{1}\u{2}\u{3}again.; message 20 \"ping\" ?",
    ),
    ("empty, C=1", "response 18 to 17/0 ?"),
    (r#"data "pong", C=1"#, "response 1a to 19/0 ? data pong"),
    (r#"data "pong", C=0"#, "response 1c to 1b/0 data pong"),
    ("stream+data, C=0", "response 1e to 1d/0 data pong stream ."),
    ("message, heartbeat in between", r#"message 00 "ping" ?"#),
    ("response split between ids, channel excursion", "response 02 to 01/0 data ok"),
    ("empty first packet (hand)", r#"message 01 "ping" ?"#),
    ("split header, other channel in between (hand)", r#"message 01 "ping" ?; message 00 "ping" ?"#),
];

#[test]
fn every_example_means_the_same_whole_byte_by_byte_and_cut_at_every_offset() {
    let lines: Vec<_> = EXAMPLES.lines().filter(|line| !line.starts_with('#')).collect();
    assert_eq!(lines.len(), MEANINGS.len());
    for (line, (name, meaning)) in lines.iter().zip(MEANINGS) {
        let (found, bytes) = line.rsplit_once(" | ").expect("a name and its bytes");
        assert_eq!(found, name);
        let bytes = hex(bytes);
        let read = |pieces: &[&[u8]]| {
            let mut app = App::opened();
            pieces.iter().for_each(|piece| app.feed(piece));
            // The channel is free, and the place in the stream is right.
            app.feed(&hex("20 13 00 99112233445546778899aabbccddeeff 01 7a"));
            app.describe()
        };
        let expected = [meaning, r#"message 99 "z""#];
        // A fast reply is listed after all messages.
        let expected = match meaning {
            text if text.starts_with("reply") || text == "go away" => [expected[1], expected[0]],
            _ => expected,
        };
        let expected = expected.into_iter().filter(|text| !text.is_empty()).collect::<Vec<_>>().join("; ");
        assert_eq!(read(&[&bytes]), expected, "{name}");
        for at in 0..=bytes.len() {
            let (before, after) = bytes.split_at(at);
            assert_eq!(read(&[before, after]), expected, "{name} cut at {at}");
        }
        assert_eq!(read(&bytes.chunks(1).collect::<Vec<_>>()), expected, "{name} byte by byte");
    }
}

#[test]
fn packets_may_follow_the_header_in_the_same_read_and_the_header_may_be_cut() {
    let ping = hex("20 16 00 00112233445546778899aabbccddeeff 04 70696e67");
    for (header, channels) in
        [("e0", 1), ("e105", 5), ("e100", 256), ("e20101", 257), ("e3", 4096), ("e2ffff", 4096)]
    {
        let bytes = [hex(header), ping.clone()].concat();
        for at in 0..=bytes.len() {
            let mut app = App::new(selvedge::sockety::Config::default());
            app.feed(&bytes[..at]);
            app.feed(&bytes[at..]);
            assert_eq!(app.describe(), r#"message 00 "ping""#, "{header}: {channels} channels, cut at {at}");
        }
    }
}
