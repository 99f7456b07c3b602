//! Text that is UTF-8, and text that is not; section 6.

use super::*;

fn text(id: &str, payload: &[u8]) -> Case {
    Case::orderly(id, &[whole(TEXT, payload)], vec![Reply::Text(payload.to_vec())])
}

#[tokio::test]
async fn sections_6_1_and_6_2_empty_and_cut_text() {
    let empty = || vec![Reply::Text(Vec::new())];
    let middle = b"middle frame payload";
    let hello = "Hello-µ@ßöäüàá-UTF-8!!".as_bytes();
    let greek = "κόσμε".as_bytes();
    let echoed = |payload: &[u8]| vec![Reply::Text(payload.to_vec())];
    let three = |payload: &[u8]| [raw(TEXT, b""), raw(CONTINUATION, payload), whole(CONTINUATION, b"")];
    run(vec![
        text("6.1.1", b""),
        Case::orderly("6.1.2", &three(b""), empty()),
        Case::orderly("6.1.3", &three(middle), echoed(middle)),
        text("6.2.1", hello),
        Case::orderly("6.2.2", &fragments(TEXT, hello, 12), echoed(hello)),
        Case::orderly("6.2.3", &fragments(TEXT, hello, 1), echoed(hello)),
        Case::orderly("6.2.4", &fragments(TEXT, greek, 1), echoed(greek)),
    ])
    .await;
}

#[tokio::test]
async fn sections_6_3_and_6_4_wrong_text_fails_where_it_becomes_wrong() {
    let wrong = [&b"\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5"[..], b"\xed\xa0\x80", b"edited"].concat();
    let [valid, surrogate, rest] = [&wrong[..11], &wrong[11..14], &wrong[14..]];
    run(vec![
        Case::failing("6.3.1", &[whole(TEXT, &wrong)], vec![], INVALID_TEXT),
        Case::failing("6.3.2", &fragments(TEXT, &wrong, 1), vec![], INVALID_TEXT),
        // The message is not over: nobody has to wait for the rest of it.
        Case::failing("6.4.1", &[raw(TEXT, valid), raw(CONTINUATION, surrogate)], vec![], INVALID_TEXT),
        Case::failing("6.4.2", &[raw(TEXT, valid), raw(CONTINUATION, b"\xf4\x90")], vec![], INVALID_TEXT),
        Case::failing("", &[whole(TEXT, &wrong)], vec![], INVALID_TEXT).chopped("6.4.3", 14),
        Case::failing("", &[whole(TEXT, &[valid, b"\xf4\x90\x80\x80", rest].concat())], vec![], INVALID_TEXT)
            .chopped("6.4.4", 1),
    ])
    .await;
}

/// By section: byte sequences in hexadecimal, and whether they are UTF-8.
const SEQUENCES: &[(&str, bool, &str)] = &[
    ("6.6", true, "ceba cebae1bdb9 cebae1bdb9cf83 cebae1bdb9cf83cebc cebae1bdb9cf83cebcceb5"),
    ("6.6", false, "ce cebae1 cebae1bd cebae1bdb9cf cebae1bdb9cf83ce cebae1bdb9cf83cebcce"),
    ("6.7", true, "00 c280 e0a080 f0908080"),
    ("6.8", false, "f888808080 fc8480808080"),
    ("6.9", true, "7f dfbf efbfbf f48fbfbf"),
    ("6.10", false, "f7bfbfbf fbbfbfbfbf fdbfbfbfbfbf"),
    ("6.11", true, "ed9fbf ee8080 efbfbd f48fbfbf"),
    ("6.11", false, "f4908080"),
    (
        "6.12",
        false,
        "80 bf 80bf 80bf80 80bf80bf 80bf80bf80 80bf80bf80bf 808182838485868788898a8b8c8d8e8f90919293",
    ),
    ("6.13", false, "c020c120c220df20 e020e120ef20 f020f120f720 f820f920fb20 fc20fd20"),
    ("6.14", false, "c0 e080 f08080 f8808080 fc80808080 df efbf f7bfbf fbbfbfbf fdbfbfbfbf"),
    ("6.15", false, "c0e080f08080f8808080fc80808080dfefbff7bfbffbbfbfbffdbfbfbfbf"),
    ("6.16", false, "fe ff fefeffff"),
    ("6.17", false, "c0af e080af f08080af f8808080af fc80808080af"),
    ("6.18", false, "c1bf e09fbf f08fbfbf f887bfbfbf fc83bfbfbfbf"),
    ("6.19", false, "c080 e08080 f0808080 f880808080 fc8080808080"),
    ("6.20", false, "eda080 edadbf edae80 edafbf edb080 edbe80 edbfbf"),
    (
        "6.21",
        false,
        "eda080edb080 eda080edbfbf edadbfedb080 edadbfedbfbf edae80edb080 edae80edbfbf edafbfedb080 edafbfedbfbf",
    ),
    (
        "6.22",
        true,
        "efbfbe efbfbf f09fbfbe f09fbfbf f0afbfbe f0afbfbf f0bfbfbe f0bfbfbf f18fbfbe f18fbfbf f19fbfbe f19fbfbf",
    ),
    (
        "6.22",
        true,
        "f1afbfbe f1afbfbf f1bfbfbe f1bfbfbf f28fbfbe f28fbfbf f29fbfbe f29fbfbf f2afbfbe f2afbfbf f2bfbfbe",
    ),
    (
        "6.22",
        true,
        "f2bfbfbf f38fbfbe f38fbfbf f39fbfbe f39fbfbf f3afbfbe f3afbfbf f3bfbfbe f3bfbfbf f48fbfbe f48fbfbf",
    ),
    ("6.23", true, "efbfb9 efbfba efbfbb efbfbc efbfbd efbfbe efbfbf"),
];

fn bytes(hexadecimal: &str) -> Vec<u8> {
    let byte = |at| u8::from_str_radix(&hexadecimal[at..at + 2], 16).expect("hexadecimal");
    (0..hexadecimal.len()).step_by(2).map(byte).collect()
}

#[tokio::test]
async fn sections_6_5_to_6_23_sequences_whole_and_in_fragments_of_a_byte() {
    let mut cases = Vec::new();
    for &(section, is_valid, sequences) in SEQUENCES {
        for sequence in sequences.split(' ') {
            let (id, payload) = (format!("{section} {sequence}"), bytes(sequence));
            for frames in [vec![whole(TEXT, &payload)], fragments(TEXT, &payload, 1)] {
                cases.push(if is_valid {
                    Case::orderly(&id, &frames, vec![Reply::Text(payload.clone())])
                } else {
                    Case::failing(&id, &frames, vec![], INVALID_TEXT)
                });
            }
            // As bytes nobody minds.
            cases.push(Case::orderly(&id, &[whole(BINARY, &payload)], vec![Reply::Binary(payload)]));
        }
    }
    assert!(cases.len() > 300);
    run(cases).await;
}
