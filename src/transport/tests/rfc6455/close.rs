//! Closing; section 7.

use super::*;

fn closing(payload: &[u8]) -> Vec<u8> {
    whole(CLOSE, payload)
}

fn with_reason(code: u16, reason: &[u8]) -> Vec<u8> {
    closing(&[&code.to_be_bytes(), reason].concat())
}

/// What is sent, and the close that answers it.
fn answered(id: impl Into<String>, frames: &[Vec<u8>], code: Option<u16>) -> Case {
    Case::new(id, vec![frames.concat()], vec![Reply::Close(code)])
}

#[tokio::test]
async fn section_7_1_nothing_is_answered_behind_a_close() {
    let hello = b"Hello World!";
    let large = vec![b'*'; 256 * 1024];
    let echoed = |payload: &[u8]| vec![Reply::Text(payload.to_vec()), Reply::Close(Some(1000))];
    run(vec![
        Case::orderly("7.1.1", &[whole(TEXT, hello)], vec![Reply::Text(hello.to_vec())]),
        answered("7.1.2", &[close(1000), close(1000)], Some(1000)),
        answered("7.1.3", &[close(1000), whole(PING, b"")], Some(1000)),
        answered("7.1.4", &[close(1000), whole(TEXT, hello)], Some(1000)),
        answered(
            "7.1.5",
            &[raw(TEXT, b"fragment1"), close(1000), whole(CONTINUATION, b"fragment2")],
            Some(1000),
        ),
        Case::new(
            "7.1.6",
            vec![[whole(TEXT, &large), close(1000), whole(PING, b"")].concat()],
            echoed(&large),
        ),
    ])
    .await;
}

#[tokio::test]
async fn sections_7_3_and_7_5_payloads_of_a_close() {
    run(vec![
        answered("7.3.1", &[closing(b"")], None),
        answered("7.3.2", &[closing(b"a")], Some(PROTOCOL_ERROR)),
        answered("7.3.3", &[close(1000)], Some(1000)),
        answered("7.3.4", &[with_reason(1000, b"Hello World!")], Some(1000)),
        answered("7.3.5", &[with_reason(1000, &[b'*'; 123])], Some(1000)),
        answered("7.3.6", &[with_reason(1000, &[b'*'; 124])], Some(PROTOCOL_ERROR)),
        answered("7.5.1", &[with_reason(1000, b"\xce\xba\xe1\xbd\xb9\xed\xa0\x80")], Some(INVALID_TEXT)),
    ])
    .await;
}

#[tokio::test]
async fn sections_7_7_and_7_9_and_7_13_codes_of_a_close() {
    let valid = [1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 3000, 3999, 4000, 4999];
    let invalid = [0, 999, 1004, 1005, 1006, 1016, 1100, 2000, 2999];
    // Nobody has given them a meaning; to refuse them is allowed.
    let unknown = [5000, 65_535];
    let mut cases = Vec::new();
    for code in valid {
        cases.push(answered(format!("7.7 {code}"), &[close(code)], Some(code)));
    }
    for code in invalid.into_iter().chain(unknown) {
        cases.push(answered(format!("7.9 {code}"), &[close(code)], Some(PROTOCOL_ERROR)));
    }
    run(cases).await;
}
