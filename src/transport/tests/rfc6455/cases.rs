//! Framing, control frames, reserved bits and opcodes, fragments; sections 1 to 5, 9 and 10.

use super::*;

#[tokio::test]
async fn sections_1_messages_of_every_length() {
    let mut cases = Vec::new();
    for (section, opcode) in [(1, TEXT), (2, BINARY)] {
        let reply =
            |payload: Vec<u8>| if opcode == TEXT { Reply::Text(payload) } else { Reply::Binary(payload) };
        for (number, length) in [0, 125, 126, 127, 128, 65_535, 65_536].into_iter().enumerate() {
            let payload = vec![if opcode == TEXT { b'*' } else { 0xfe }; length];
            let id = format!("1.{section}.{}", number + 1);
            cases.push(Case::orderly(id, &[whole(opcode, &payload)], vec![reply(payload)]));
        }
        let payload = vec![b'*'; 65_536];
        let last = Case::orderly("", &[whole(opcode, &payload)], vec![reply(payload)]);
        cases.push(last.chopped(format!("1.{section}.8"), 997));
    }
    run(cases).await;
}

#[tokio::test]
async fn section_2_pings_and_pongs() {
    let hello = b"Hello, world!".to_vec();
    let bytes = vec![0x00, 0xff, 0xfe, 0xfd, 0xfc, 0xfb, 0x00, 0xff];
    let longest = vec![0xfe; 125];
    let ping = |payload: &[u8]| whole(PING, payload);
    let answered =
        |id: &str, payload: &[u8]| Case::orderly(id, &[ping(payload)], vec![Reply::Pong(payload.to_vec())]);
    let unasked = |id: &str, payload: &[u8]| Case::orderly(id, &[whole(PONG, payload)], vec![]);
    let ten: Vec<Vec<u8>> = (0..10).map(|n| format!("payload-{n}").into_bytes()).collect();
    let pings: Vec<Vec<u8>> = ten.iter().map(|payload| ping(payload)).collect();
    let pongs: Vec<Reply> = ten.iter().cloned().map(Reply::Pong).collect();
    run(vec![
        answered("2.1", b""),
        answered("2.2", &hello),
        answered("2.3", &bytes),
        answered("2.4", &longest),
        Case::failing("2.5", &[ping(&[0xfe; 126])], vec![], PROTOCOL_ERROR),
        answered("", &longest).chopped("2.6", 1),
        unasked("2.7", b""),
        unasked("2.8", b"unsolicited pong payload"),
        Case::orderly("2.9", &[whole(PONG, b"unsolicited"), ping(&hello)], vec![Reply::Pong(hello.clone())]),
        Case::orderly("2.10", &pings, pongs.clone()),
        Case::orderly("", &pings, pongs).chopped("2.11", 1),
    ])
    .await;
}

#[tokio::test]
async fn section_3_reserved_bits_fail_the_connection_and_what_came_before_them_is_answered() {
    let hello = b"Hello, world!";
    let rsv = |bits: u8, opcode: u8, payload: &[u8]| raw(FIN | (bits << 4) | opcode, payload);
    let echoed = vec![Reply::Text(hello.to_vec())];
    let behind = |bits| [whole(TEXT, hello), rsv(bits, TEXT, hello), whole(PING, b"")];
    run(vec![
        Case::failing("3.1", &[rsv(1, TEXT, hello)], vec![], PROTOCOL_ERROR),
        Case::failing("3.2", &behind(2), echoed.clone(), PROTOCOL_ERROR),
        Case::failing("", &behind(3), echoed.clone(), PROTOCOL_ERROR).chopped("3.3", 19),
        Case::failing("", &behind(4), echoed, PROTOCOL_ERROR).chopped("3.4", 1),
        Case::failing("3.5", &[rsv(5, BINARY, &[0, 0xff, 0xfe])], vec![], PROTOCOL_ERROR),
        Case::failing("3.6", &[rsv(6, PING, hello)], vec![], PROTOCOL_ERROR),
        Case::failing("3.7", &[rsv(7, CLOSE, &1000_u16.to_be_bytes())], vec![], PROTOCOL_ERROR),
    ])
    .await;
}

#[tokio::test]
async fn section_4_reserved_opcodes_fail_the_connection() {
    let mut cases = Vec::new();
    for (section, first) in [(1, 3), (2, 11)] {
        for opcode in first..first + 5 {
            let id = format!("4.{section}.{}", opcode - first + 1);
            for payload in [&b""[..], b"reserved opcode payload"] {
                cases.push(Case::failing(&id, &[whole(opcode, payload)], vec![], PROTOCOL_ERROR));
                let frames = [whole(TEXT, b"first"), whole(opcode, payload), whole(PING, b"")];
                let case =
                    || Case::failing(&id, &frames, vec![Reply::Text(b"first".to_vec())], PROTOCOL_ERROR);
                cases.extend([case(), case().chopped(&id, 1)]);
            }
        }
    }
    run(cases).await;
}

#[tokio::test]
async fn section_5_fragments() {
    let (one, two) = (&b"fragment1"[..], &b"fragment2"[..]);
    let text = vec![Reply::Text(b"fragment1fragment2".to_vec())];
    let pong = || Reply::Pong(b"pongme!".to_vec());
    let ping = || whole(PING, b"pongme!");
    let start = || raw(TEXT, one);
    let last = || whole(CONTINUATION, two);
    let more = || raw(CONTINUATION, two);
    let other = || whole(TEXT, b"Hello");
    let fails =
        |id: &str, frames: &[Vec<u8>], heard: Vec<Reply>| Case::failing(id, frames, heard, PROTOCOL_ERROR);
    let mut cases = vec![
        fails("5.1", &[raw(PING, one), last()], vec![]),
        fails("5.2", &[raw(PONG, one), last()], vec![]),
        fails(
            "5.15",
            &[start(), last(), raw(CONTINUATION, b"fragment3"), whole(TEXT, b"fragment4")],
            text.clone(),
        ),
        fails("5.16", &[more(), raw(TEXT, one), last()], vec![]),
        fails("5.17", &[whole(CONTINUATION, one), start(), last()], vec![]),
        fails("5.18", &[start(), whole(TEXT, two)], vec![]),
    ];
    // Each whole, in pieces that cut frames, and byte by byte.
    for (ids, frames, heard, is_orderly) in [
        (["5.3", "5.4", "5.5"], vec![start(), last()], text.clone(), true),
        (["5.6", "5.7", "5.8"], vec![start(), ping(), last()], vec![pong(), text[0].clone()], true),
        (["5.9", "5.10", "5.11"], vec![last(), other()], vec![], false),
        (["5.12", "5.13", "5.14"], vec![more(), other()], vec![], false),
    ] {
        for (id, size) in ids.into_iter().zip([usize::MAX, 7, 1]) {
            let case = if is_orderly {
                Case::orderly(id, &frames, heard.clone())
            } else {
                fails(id, &frames, heard.clone())
            };
            cases.push(case.chopped(id, size));
        }
    }
    let parts = || ["fragment1", "fragment2", "fragment3", "fragment4", "fragment5"].map(str::as_bytes);
    let joined = Reply::Text(parts().concat());
    let [a, b, c, d, e] = parts();
    let pinged = |payload: &[u8]| whole(PING, payload);
    let frames = [
        raw(TEXT, a),
        raw(CONTINUATION, b),
        pinged(b"pongme 1!"),
        raw(CONTINUATION, c),
        raw(CONTINUATION, d),
        pinged(b"pongme 2!"),
        whole(CONTINUATION, e),
    ];
    let pongs = || [b"pongme 1!", b"pongme 2!"].map(|payload| Reply::Pong(payload.to_vec()));
    let heard = || pongs().into_iter().chain([joined.clone()]).collect();
    cases.push(Case::orderly("5.19", &frames, heard()));
    cases.push(Case::orderly("", &frames, heard()).chopped("5.20", 1));
    run(cases).await;
}

const KIB: usize = 1024;
const MIB: usize = 1024 * KIB;

#[tokio::test]
async fn section_9_large_and_many_messages_and_those_over_the_bounds() {
    let mut cases = Vec::new();
    for (section, opcode) in [(1, TEXT), (2, BINARY)] {
        let reply =
            |payload: Vec<u8>| if opcode == TEXT { Reply::Text(payload) } else { Reply::Binary(payload) };
        for (number, length) in [64 * KIB, 256 * KIB, MIB, 4 * MIB].into_iter().enumerate() {
            let payload = vec![b'*'; length];
            let id = format!("9.{section}.{}", number + 1);
            cases.push(Case::orderly(id, &[whole(opcode, &payload)], vec![reply(payload)]));
        }
        cases.push(Case::failing(
            format!("9.{section}.5"),
            &[whole(opcode, &vec![b'*'; 8 * MIB])],
            vec![],
            TOO_LARGE,
        ));
        let (section, payload) = (section + 2, vec![b'*'; MIB]);
        for (number, size) in
            [64, 256, KIB, 4 * KIB, 16 * KIB, 64 * KIB, 256 * KIB, MIB].into_iter().enumerate()
        {
            let (id, frames) = (format!("9.{section}.{}", number + 1), fragments(opcode, &payload, size));
            cases.push(if frames.len() > 4096 {
                Case::failing(id, &frames, vec![], POLICY)
            } else {
                Case::orderly(id, &frames, vec![reply(payload.clone())])
            });
        }
        let (section, payload) = (section + 2, vec![b'*'; 256 * KIB]);
        for (number, size) in [64, 256, KIB].into_iter().enumerate() {
            let case = Case::orderly("", &[whole(opcode, &payload)], vec![reply(payload.clone())]);
            cases.push(case.chopped(format!("9.{section}.{}", number + 1), size));
        }
        let section = section + 2;
        for (number, length) in [0, 16, 64, 256, KIB, 4 * KIB].into_iter().enumerate() {
            let payload = vec![b'*'; length];
            let frames = vec![whole(opcode, &payload); 1000];
            let id = format!("9.{section}.{}", number + 1);
            cases.push(Case::orderly(id, &frames, vec![reply(payload); 1000]));
        }
    }
    cases.push(Case::failing("flood of pings", &vec![whole(PING, b""); 3000], vec![], POLICY));
    let echo = Echo::listen().await;
    for Case { id, sent, heard } in cases {
        let mut replies = echo.replies(&sent).await.unwrap_or_else(|error| panic!("case {id}: {error}"));
        // As many of them as came before the bound was passed.
        if id.starts_with("flood") {
            replies.retain(|reply| *reply != Reply::Pong(Vec::new()));
        }
        assert!(replies == heard, "case {id}: {} replies, the last {:?}", replies.len(), replies.last());
    }
}

#[tokio::test]
async fn section_10_a_message_in_fragments_that_do_not_divide_it() {
    let payload = vec![b'*'; 65_536];
    let frames = fragments(TEXT, &payload, 1300);
    run(vec![Case::orderly("10.1.1", &frames, vec![Reply::Text(payload)])]).await;
}
